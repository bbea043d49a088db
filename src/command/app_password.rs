//! `gatepost app-password`: passwords for one program each.
//!
//! Changes are written to the database in the state directory, and the daemon sees them with its next look: there is
//! nothing to reload. A new password is shown once, on standard output, and kept nowhere.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use self::say::{Row, describe, made, no, note, unavailable, wrong};
use super::{Answer, Common, Exit, ask, output::Output};
use crate::{
    account::Net,
    app_password::{Details, FILE, Id, Moment, New, Records, Trouble},
    config::Config,
    control::{Request, Response},
    username::Username,
};

mod say;

/// What can be done with app passwords.
#[derive(Debug, Subcommand)]
pub enum AppPassword {
    /// Make an app password for a user and show it, this once
    Create(Create),
    /// List the app passwords of a user, or of all, with their last uses
    List(List),
    /// Take an app password away: it lets nobody in from now on
    Revoke(Revoke),
}

/// An app password to be made.
#[derive(Debug, Args)]
pub struct Create {
    /// The login name of its owner, in any directory
    user: String,
    /// What its owner calls it, such as "phone": 1 to 100 characters
    #[arg(long, value_name = "TEXT", value_parser = label)]
    label: String,
    /// A service that it is for, such as imap, pop3, smtp or sieve; several times for several. Default: all
    #[arg(long = "service", value_name = "SERVICE", value_parser = service)]
    services: Vec<String>,
    /// A network or address that it may be used from; several times for several. Default: all
    #[arg(long = "net", value_name = "CIDR", value_parser = net)]
    nets: Vec<String>,
    /// When it ends: after a time such as 90d, or at a date such as 2027-01-31, which is its last day (UTC). Default:
    /// never
    #[arg(long, value_name = "TIME", value_parser = end)]
    expires: Option<Moment>,
    /// Make it also where no directory can say now whether there is such a user
    #[arg(long)]
    force: bool,
}

/// App passwords to be listed.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).args(["user", "all"])))]
pub struct List {
    /// The login name of their owner
    user: Option<String>,
    /// Those of all users
    #[arg(long)]
    all: bool,
}

/// An app password to be taken away.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Its id, as `list` shows it
    id: String,
}

/// Rows that are read at once.
const AT_ONCE: u16 = 1000;

/// Longest label, in characters.
const LABEL: usize = 100;

impl AppPassword {
    pub(super) fn run(self, common: &Common) -> Exit {
        common.with_configuration(|config| self.answer(common, config))
    }

    fn answer(self, common: &Common, config: &Config) -> Result<Exit, Answer> {
        let file = config.server.state_dir.join(FILE);
        let answer = match self {
            Self::Create(create) => create.run(config, &file, common.json)?,
            Self::List(List { user, .. }) => {
                let user = user.map(|typed| owner_of_some(config, &typed)).transpose()?;
                return list(user.as_ref(), &file, common.json, Output::of_this_process());
            }
            Self::Revoke(Revoke { id }) => revoke(&id, &file)?,
        };
        Ok(answer.print(common.json))
    }
}

impl Create {
    fn run(self, config: &Config, file: &Path, json: bool) -> Result<Answer, Answer> {
        let user = match owner(config, &self.user)? {
            Owner::Known(user) => user,
            Owner::Unknown => return Err(no("no_such_user", &self.user, "no directory knows this name")),
            Owner::Unsure(user, _) if self.force => user,
            Owner::Unsure(_, why) => {
                return Err(unavailable(&format!("{why}; with --force it is made all the same")));
            }
        };
        let list = |items: Vec<String>| (!items.is_empty()).then(|| items.join(" "));
        let new = New {
            label: self.label,
            services: list(self.services),
            allow_nets: list(self.nets),
            expires_at: self.expires,
        };
        let mut records = Records::open(file, true).map_err(|trouble| trouble_with(file, &trouble))?;
        let password = records.create(&user, &new).map_err(|trouble| trouble_with(file, &trouble))?;
        if !json {
            let _ = writeln!(io::stderr(), "{}", note(&user, &new, &password));
        }
        Ok(made(&user, &new, &password))
    }
}

/// Prints the rows as they are read, however many there are.
fn list<W: Write>(
    user: Option<&Username>,
    file: &Path,
    json: bool,
    mut output: Output<W>,
) -> Result<Exit, Answer> {
    let records = match Records::open(file, false) {
        Ok(records) => Some(records),
        // Nobody has made one yet.
        Err(trouble) if trouble.is_missing() => None,
        Err(trouble) => return Err(trouble_with(file, &trouble)),
    };
    let next = |after: Option<&Details>| {
        let Some(records) = &records else { return Ok(Vec::new()) };
        let (last, id) = after.map_or(("", ""), |after| (after.user.as_str(), after.id.as_str()));
        let page = match user {
            Some(user) => records.page_of(user, id, AT_ONCE),
            None => records.page((last, id), AT_ONCE),
        };
        page.map_err(|trouble| trouble_with(file, &trouble))
    };
    // Read before anything is written, so that the usual failures leave nothing half said.
    let mut page = next(None)?;
    let now = Moment::now();
    if json {
        output.say("{\"app_passwords\":[");
    }
    let mut separator = "";
    while !page.is_empty() {
        for details in &page {
            if json {
                output.say(format_args!("{separator}{}", describe(details, now)));
                separator = ",";
            } else {
                output.say(format_args!("{}\n", Row { details, now }));
            }
        }
        // Nobody reads on, so nothing more is read here.
        if !output.say("") {
            break;
        }
        page = next(page.last())?;
    }
    if json {
        output.say("]}\n");
    }
    Ok(output.end(Exit::Yes))
}

fn revoke(typed: &str, file: &Path) -> Result<Answer, Answer> {
    let unknown = || no("not_found", typed, "there is no app password of this id");
    let id = Id::parse(typed).ok_or_else(unknown)?;
    let mut records = match Records::open(file, false) {
        Ok(records) => records,
        Err(trouble) if trouble.is_missing() => return Err(unknown()),
        Err(trouble) => return Err(trouble_with(file, &trouble)),
    };
    let gone = records.revoke(id).map_err(|trouble| trouble_with(file, &trouble))?.ok_or_else(unknown)?;
    Ok(Answer {
        exit: Exit::Yes,
        text: format!("revoked: app password {} of {} ({:?})", gone.id, gone.user, gone.label),
        json: json!({ "outcome": "revoked", "id": gone.id, "user": gone.user, "label": gone.label }),
    })
}

/// Whose app password it is to be.
enum Owner {
    /// Somebody whom a directory knows under this name.
    Known(Username),
    /// Nobody.
    Unknown,
    /// Nobody can tell, and why; the name is as it was typed.
    Unsure(Username, String),
}

fn owner(config: &Config, typed: &str) -> Result<Owner, Answer> {
    let domain = config.server.default_domain.as_deref();
    let name = Username::normalise(typed.as_bytes(), domain).map_err(|invalid| {
        let why = format!("cannot be a login name: {invalid}");
        no("invalid", typed, &why)
    })?;
    let request = Request::Lookup { user: typed.to_owned(), service: String::new() };
    let response = match ask::answer_of(config, request, None) {
        Ok(response) => response,
        Err(failure) if super::exit_of(&failure) == Exit::Temporary => {
            return Ok(Owner::Unsure(name, failure.to_string()));
        }
        Err(failure) => return Err(Answer::failure(&failure)),
    };
    let canonical = response.user.and_then(|user| Username::normalise(user.as_bytes(), None).ok());
    Ok(match (response.outcome.as_str(), canonical) {
        (Response::FOUND, Some(user)) => Owner::Known(user),
        (Response::NO_SUCH_USER, _) => Owner::Unknown,
        (other, _) => Owner::Unsure(name, response.reason.unwrap_or_else(|| other.to_owned())),
    })
}

/// Under which name somebody's app passwords are. Also for somebody who is gone, or whom nobody can look up now: what
/// they have left behind is to be found.
fn owner_of_some(config: &Config, typed: &str) -> Result<Username, Answer> {
    match owner(config, typed)? {
        Owner::Known(user) | Owner::Unsure(user, _) => Ok(user),
        Owner::Unknown => {
            let domain = config.server.default_domain.as_deref();
            Username::normalise(typed.as_bytes(), domain)
                .map_err(|invalid| no("invalid", typed, &invalid.to_string()))
        }
    }
}

fn trouble_with(file: &Path, trouble: &Trouble) -> Answer {
    let reason = format!("{}: {trouble}", file.display());
    if trouble.is_for_good() { wrong(&reason) } else { unavailable(&reason) }
}

fn label(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LABEL || text.chars().any(char::is_control) {
        return Err("write 1 to 100 characters on one line");
    }
    Ok(text.to_owned())
}

fn service(text: &str) -> Result<String, &'static str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=64).contains(&text.len()) || !text.bytes().all(fits) {
        return Err("write one name, such as imap, pop3, smtp or sieve");
    }
    Ok(text.to_ascii_lowercase())
}

fn net(text: &str) -> Result<String, &'static str> {
    match text.parse::<Net>() {
        Ok(net) => Ok(net.to_string()),
        Err(_) => Err("write a network or an address, such as 192.0.2.0/24 or 2001:db8::1"),
    }
}

fn end(text: &str) -> Result<Moment, String> {
    let now = Moment::now();
    let end = match humantime::parse_duration(text) {
        Ok(duration) => now.after(duration),
        Err(_) => Moment::parse_end(text).map_err(|_| {
            "write a time from now such as 90d or 12h, or a date such as 2027-01-31".to_owned()
        })?,
    };
    if end > now { Ok(end) } else { Err(format!("{end} is over")) }
}
