//! What Postfix is told of a mail, or of one of its recipients, before it takes it: the rules in their order.
//!
//! The first rule that has something to say is the last one that is asked. Limits have nothing to say as long as a mail
//! is within them, and are counted all together when it is known that no rule behind them refuses it. Where no rule says
//! anything, the answer is `DUNNO`, and Postfix's own restrictions decide: nothing here can permit.

use std::{sync::Arc, time::Instant};

use gatepost_protocol::postfix::policy::{Action, Code, Enhanced, Request, State, Text};

use super::{Engine, Standing};
use crate::{
    config::{Authorise, Does, Limit, Rule, normal},
    directory::Unavailable,
};

mod counters;
mod mail;

pub use self::counters::{Charge, Cost, Counters, Over, Step, Tripped};
use self::mail::Mail;

/// The rules, and the counters of their limits.
#[derive(Debug, Default)]
pub struct Policy {
    rules: Vec<Arc<Rule>>,
    counters: Arc<Counters>,
}

/// What is to be said of a mail, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What Postfix is told.
    pub action: Action<'static>,
    /// The rule that says so; `None`: none says anything.
    pub rule: Option<Arc<str>>,
    /// What of the rule it is that says so.
    pub why: Why,
    /// What rules on trial would have said.
    pub trials: Vec<(Arc<str>, Action<'static>)>,
    /// Limits that have tripped with this mail, those on trial too.
    pub trips: Vec<Trip>,
    /// Set: a directory did not answer what a rule wanted to know. That is so of rules on trial as well.
    pub unavailable: Option<Unavailable>,
}

/// What of a rule it is that has something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing.
    Nothing,
    /// Its conditions.
    Action,
    /// The sender is not for who uses it.
    Sender,
    /// It is more than may be sent.
    Limit,
    /// Nobody could tell whom the sender is for.
    Unavailable,
}

/// A limit that has tripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// Whose limit.
    pub rule: Arc<str>,
    /// The user, domain or address.
    pub key: Box<str>,
    /// What they had sent before, and what comes of it.
    pub tripped: Tripped,
    /// Nothing comes of it.
    pub trial: bool,
}

/// Longest sender that is repeated in a refusal, in bytes: the login has to fit in as well.
const REPEATED: usize = 80;

impl Policy {
    /// These rules over these counters.
    pub fn new(rules: Vec<Arc<Rule>>, counters: Arc<Counters>) -> Self {
        Self { rules, counters }
    }

    /// The counters.
    pub const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

impl Verdict {
    /// Whose fault it is not: to be tried again.
    pub fn unavailable(why: Unavailable) -> Self {
        Self { action: later(), why: Why::Unavailable, unavailable: Some(why), ..Self::default() }
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            action: Action::Dunno,
            rule: None,
            why: Why::Nothing,
            trials: Vec::new(),
            trips: Vec::new(),
            unavailable: None,
        }
    }
}

impl Engine {
    /// Judges what smtpd asks. With `dry` nothing comes of it: nothing is counted, and no limit trips.
    pub async fn police(&self, request: &Request<'_>, dry: bool, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if self.policy.rules.is_empty() {
            return verdict;
        }
        let mail = Mail::of(request, self);
        let mut limits = Vec::new();
        for rule in self.policy.rules.iter().filter(|rule| mail.meets(&rule.when)) {
            let said = match &rule.does {
                Does::Say(action) => Some((action.clone(), Why::Action)),
                Does::Authorise(authorise) => match self.authorise(authorise, &mail).await {
                    Ok(said) => said.map(|action| (action, Why::Sender)),
                    Err(unavailable) => {
                        verdict.unavailable = Some(unavailable);
                        Some((later(), Why::Unavailable))
                    }
                },
                Does::Limit { limit, action } => {
                    let key = mail.key(limit.per);
                    limits.extend(key.map(|key| Held { rule, limit, action: action.as_ref(), key }));
                    None
                }
            };
            match said {
                Some((action, _)) if rule.dry_run => verdict.trials.push((Arc::clone(&rule.name), action)),
                Some((action, why)) => {
                    (verdict.action, verdict.why, verdict.rule) = (action, why, Some(Arc::clone(&rule.name)));
                    break;
                }
                None => {}
            }
        }
        let name = mail.name();
        // A mail that is refused anyway is not sent.
        let step = match request.protocol_state {
            _ if dry => Step::Ask,
            Some(State::EndOfMessage) if !verdict.action.refuses() => Step::Count(name.as_deref()),
            _ => Step::Hold,
        };
        self.hold(&limits, mail.cost(), step, now, &mut verdict);
        verdict
    }

    /// Forgets what limits have counted of a login, an address or an `@domain`, and that they are suspended. How many
    /// limits that were.
    pub fn forget_sent(&self, whom: &str) -> usize {
        let address = normal(whom);
        let login = self.normalise(whom.as_bytes()).ok().filter(|login| login.as_str() != address);
        let counters = &self.policy.counters;
        counters.forget(&address) + login.map_or(0, |login| counters.forget(login.as_str()))
    }

    /// Holds a mail against the limits that came before the rule whose verdict it is.
    fn hold(&self, limits: &[Held<'_>], cost: Cost, step: Step<'_>, now: Instant, verdict: &mut Verdict) {
        let charges: Vec<_> = limits.iter().map(|held| held.charge(cost)).collect();
        let mut first = None;
        for over in self.policy.counters.settle(&charges, step, now) {
            let Some(held) = limits.get(over.charge) else { continue };
            let (name, trial) = (&held.rule.name, held.rule.dry_run);
            if let Some(tripped) = over.tripped {
                let (rule, key) = (Arc::clone(name), held.key.clone());
                verdict.trips.push(Trip { rule, key, tripped, trial });
            }
            if trial {
                verdict.trials.push((Arc::clone(name), held.refusal(over.for_good)));
            } else if first.is_none() {
                first = Some((Arc::clone(name), held.refusal(over.for_good)));
            }
        }
        if let Some((rule, action)) = first {
            (verdict.action, verdict.why, verdict.rule) = (action, Why::Limit, Some(rule));
        }
    }

    /// What is to be said of a sender, if anything.
    async fn authorise(
        &self,
        authorise: &Authorise,
        mail: &Mail<'_>,
    ) -> Result<Option<Action<'static>>, Unavailable> {
        let login = mail.request.sasl_username;
        let Some(sender) = mail.request.sender else {
            let may = authorise.null_sender || login.is_none();
            return Ok((!may).then(|| not_theirs(authorise, "", login)));
        };
        let may = match login {
            Some(login) => self.may_send(login, sender).await?,
            None if authorise.strangers => self.standing(None, sender).await? != Standing::Others,
            None => true,
        };
        Ok((!may).then(|| not_theirs(authorise, &String::from_utf8_lossy(sender), login)))
    }
}

/// A limit that a mail is held against.
struct Held<'a> {
    rule: &'a Arc<Rule>,
    limit: &'a Limit,
    action: Option<&'a Action<'static>>,
    key: Box<str>,
}

impl Held<'_> {
    fn charge(&self, cost: Cost) -> Charge<'_> {
        let (rule, limit, key, trial) = (&self.rule.name, self.limit, &*self.key, self.rule.dry_run);
        Charge { rule, limit, key, cost, trial }
    }

    /// What is told to who is over it. `for_good`: trying again cannot help.
    fn refusal(&self, for_good: bool) -> Action<'static> {
        let enhanced = Enhanced::default();
        match self.action {
            Some(Action::Defer { .. } | Action::DeferIfPermit { .. }) | None if for_good => {
                let text = Text::cleaned("this is more than may be sent at once");
                Action::Reject { code: None, enhanced, text }
            }
            Some(action) => action.clone(),
            None => {
                let text = Text::cleaned("sending limit reached, try again later");
                Action::Defer { code: None, enhanced, text }
            }
        }
    }
}

/// `451 4.3.0`, as Postfix says it of a table of its own that does not answer.
fn later() -> Action<'static> {
    let text = Text::cleaned("Temporary lookup failure");
    Action::Defer { code: Code::new(451), enhanced: Enhanced::new(3, 0).unwrap_or_default(), text }
}

/// As Postfix says it of `reject_sender_login_mismatch`.
fn not_theirs(authorise: &Authorise, sender: &str, login: Option<&[u8]>) -> Action<'static> {
    if let Some(action) = &authorise.action {
        return action.clone();
    }
    let why = match login {
        Some(login) => format!("not owned by user {}", String::from_utf8_lossy(login)),
        None => "not logged in".to_owned(),
    };
    let sender = if sender.len() > REPEATED { "..." } else { sender };
    let text = Text::cleaned(format!("<{sender}>: Sender address rejected: {why}"));
    Action::Reject { code: Code::new(553), enhanced: Enhanced::default(), text }
}

#[cfg(test)]
mod tests;
