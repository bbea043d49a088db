//! `[policy]`: what Postfix is told of a mail, or of one of its recipients, before it takes it.

use std::sync::Arc;

use gatepost_protocol::postfix::policy::Action;

use super::{problem::Wrong, reader::Reader, server::Server, tree::Spot};

mod action;
mod limit;
mod pattern;
mod when;

pub(crate) use self::pattern::normal;
use self::{action::action, limit::limit, when::when};
pub use self::{
    limit::{Limit, Most, Override, Per},
    pattern::{AddressPattern, HostPattern, Listed},
    when::When,
};

/// `[policy]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// `[[policy.rule]]`, in the order of the files. Every name occurs once.
    pub rules: Vec<Arc<Rule>>,
    /// `max_keys`: so many users, domains or addresses are counted for each limit, 100 to 10 million. Default 100000. One
    /// more takes the place of those who have sent nothing for the longest time.
    pub max_keys: usize,
}

/// One `[[policy.rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `name`: what the log calls it, and what counters are kept under.
    pub name: Arc<str>,
    /// What it is for.
    pub when: When,
    /// What comes of it.
    pub does: Does,
    /// `dry_run`: it only says in the log what it would have done.
    pub dry_run: bool,
}

/// What a rule does with what it is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// `action`: Postfix is told so, and no further rule is asked.
    Say(Action<'static>),
    /// `sender_authorisation`: who may not use the sender is told so.
    Authorise(Authorise),
    /// `limit`: what is too much is not taken.
    Limit {
        /// How much that is.
        limit: Limit,
        /// `action`: what who is over it is told, which refuses. `None`: `DEFER 4.7.1`.
        action: Option<Action<'static>>,
    },
}

/// `sender_authorisation = true` and what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorise {
    /// `also_when_not_logged_in`: who has not logged in may not use what somebody owns. Default: they may.
    pub strangers: bool,
    /// `null_sender`: whether bounces and receipts may be sent by who is logged in. Default: they may.
    pub null_sender: bool,
    /// `action`: what others are told. `None`: 553 5.7.1, as by Postfix itself.
    pub action: Option<Action<'static>>,
}

/// Keys of rules of one kind.
const AUTHORISE: [&str; 2] = ["also_when_not_logged_in", "null_sender"];

impl Default for Policy {
    fn default() -> Self {
        Self { rules: Vec::new(), max_keys: 100_000 }
    }
}

/// Reads the table.
pub(super) fn policy(mut reader: Reader<'_>, server: &Server) -> Policy {
    let max_keys = reader.number("max_keys", 100..=10_000_000);
    let mut names: Vec<(Arc<str>, Option<&Spot>)> = Vec::new();
    let mut rules = Vec::new();
    for table in reader.tables("rule") {
        rules.extend(rule(table, server.default_domain.as_deref(), &mut names));
    }
    reader.finish();
    Policy { rules, max_keys: max_keys.unwrap_or(Policy::default().max_keys) }
}

fn rule<'a>(
    mut reader: Reader<'a>,
    default_domain: Option<&str>,
    names: &mut Vec<(Arc<str>, Option<&'a Spot>)>,
) -> Option<Arc<Rule>> {
    let name = reader.text("name", named);
    reader.need("name", "write what the log is to call it, as in name = \"own-address\"");
    if let Some(name) = &name {
        match names.iter().find(|(taken, _)| taken == name) {
            Some((_, first)) => {
                let first = first.map_or_else(String::new, |spot| format!(" at {}", spot.place()));
                let what = format!("\"{name}\" is the name of another rule{first}");
                reader.wrong("name", Wrong::new(what, "give each rule a name of its own"));
            }
            None => names.push((Arc::clone(name), reader.spot_of("name"))),
        }
    }
    let dry_run = reader.boolean("dry_run").unwrap_or(false);
    let does = does(&mut reader, default_domain);
    let when = when(&mut reader, does.as_ref(), default_domain);
    reader.finish();
    Some(Arc::new(Rule { name: name?, when: when?, does: does?, dry_run }))
}

fn named(text: &str) -> Result<Arc<str>, Wrong> {
    let fits = |sign: char| sign.is_alphanumeric() || "-_.: ".contains(sign);
    if text.trim() == text && (1..=64).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err(Wrong::new(
        "is no name for a rule",
        "write letters, digits and - _ . : as in \"own-address\", 64 bytes at most",
    ))
}

/// What a rule is to do, of which there is one thing.
fn does(reader: &mut Reader<'_>, default_domain: Option<&str>) -> Option<Does> {
    let action = action(reader);
    let authorise = reader.boolean("sender_authorisation");
    let limits = reader.has("limit");
    let table = reader.table("limit");
    if limits && authorise == Some(true) {
        let remedy = "make two rules of it";
        reader.wrong(
            "limit",
            Wrong::new("stands beside sender_authorisation, but a rule does one thing", remedy),
        );
    }
    if limits {
        reader.refuse(&AUTHORISE, "is for sender_authorisation", "take it away");
        let limit = limit(table, default_domain);
        if action.as_ref().is_some_and(|action| !action.refuses()) {
            let what = "takes the mail that is too much";
            reader.wrong(
                "action",
                Wrong::new(what, "write \"defer\" or \"reject\", or take it away for \"defer\""),
            );
        }
        return Some(Does::Limit { limit: limit?, action });
    }
    if authorise == Some(true) {
        let strangers = reader.boolean("also_when_not_logged_in").unwrap_or(false);
        let null_sender = reader.boolean("null_sender").unwrap_or(true);
        if action == Some(Action::Dunno) {
            let remedy = "write \"reject\", or take it away for 553";
            reader.wrong("action", Wrong::new("lets everybody use every sender", remedy));
        }
        return Some(Does::Authorise(Authorise { strangers, null_sender, action }));
    }
    reader.refuse(&AUTHORISE, "is for sender_authorisation = true", "write that as well, or take it away");
    if !reader.has("action") {
        let remedy = "write action = \"reject\", sender_authorisation = true, or [policy.rule.limit]";
        reader.wrong("", Wrong::new("does nothing", remedy));
    }
    action.map(Does::Say)
}
