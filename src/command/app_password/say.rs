//! What there is to say of app passwords.

use std::fmt;

use serde_json::{Value, json};

use super::super::{Answer, Exit, output::Plain};
use crate::{
    app_password::{AppPassword, Details, Moment, New},
    username::Username,
};

/// One that was just made. As text it is the password alone, so that it can be piped on; the rest is for the eyes of
/// who sits there: see [`note`].
pub(super) fn made(user: &Username, new: &New, password: &AppPassword) -> Answer {
    let (id, secret) = (password.id(), password.text());
    Answer {
        exit: Exit::Yes,
        text: String::clone(&secret),
        json: json!({
            "outcome": "created", "id": id.as_str(), "user": user.as_str(), "label": new.label,
            "password": *secret, "services": words(new.services.as_deref()),
            "allow_nets": words(new.allow_nets.as_deref()),
            "expires_at": new.expires_at.map(|end| end.to_string()),
        }),
    }
}

/// What there is to say besides, on standard error.
pub(super) fn note(user: &Username, new: &New, password: &AppPassword) -> String {
    let good_for = GoodFor {
        services: new.services.as_deref(),
        allow_nets: new.allow_nets.as_deref(),
        expires_at: new.expires_at,
    };
    format!(
        "created: app password {} of {user} (\"{}\"), for {good_for}\n\
         It is shown this once; blanks, hyphens and capitals do not matter.",
        password.id(),
        Plain(&new.label)
    )
}

/// One of a list.
pub(super) struct Row<'a> {
    pub(super) details: &'a Details,
    pub(super) now: Moment,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { id, user, label, services, allow_nets, expires_at, created_at, used } = self.details;
        let good_for = GoodFor {
            services: services.as_deref(),
            allow_nets: allow_nets.as_deref(),
            expires_at: *expires_at,
        };
        write!(f, "{id}  {user}  \"{}\"  for {good_for}", Plain(label))?;
        if has_expired(self.details, self.now) {
            f.write_str(" (over)")?;
        }
        write!(f, "  made {created_at}")?;
        match used {
            None => f.write_str("  never used"),
            Some(used) => {
                write!(f, "  used {} for {}", used.at, Plain(&used.service))?;
                used.remote.as_ref().map_or(Ok(()), |remote| write!(f, " from {}", Plain(remote)))
            }
        }
    }
}

/// The same for programs.
pub(super) fn describe(details: &Details, now: Moment) -> Value {
    let used = details.used.as_ref();
    json!({
        "id": details.id, "user": details.user, "label": details.label,
        "services": words(details.services.as_deref()), "allow_nets": words(details.allow_nets.as_deref()),
        "expires_at": details.expires_at.map(|end| end.to_string()), "expired": has_expired(details, now),
        "created_at": details.created_at.to_string(),
        "last_used": used.map(|used| json!({
            "at": used.at.to_string(), "service": used.service, "remote": used.remote,
        })),
    })
}

fn has_expired(details: &Details, now: Moment) -> bool {
    details.expires_at.is_some_and(|end| end <= now)
}

/// A list as programs like it; `null`: all of them.
fn words(list: Option<&str>) -> Value {
    list.map_or(Value::Null, |list| list.split(' ').collect())
}

struct GoodFor<'a> {
    services: Option<&'a str>,
    allow_nets: Option<&'a str>,
    expires_at: Option<Moment>,
}

impl fmt::Display for GoodFor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Plain(self.services.unwrap_or("all services")))?;
        if let Some(nets) = self.allow_nets {
            write!(f, " from {}", Plain(nets))?;
        }
        self.expires_at.map_or(Ok(()), |end| write!(f, " until {end}"))
    }
}

pub(super) fn no(outcome: &str, what: &str, why: &str) -> Answer {
    Answer {
        exit: Exit::No,
        text: format!("{}: {why}", Plain(what)),
        json: json!({ "outcome": outcome, "reason": why }),
    }
}

pub(super) fn unavailable(reason: &str) -> Answer {
    Answer {
        exit: Exit::Temporary,
        text: reason.to_owned(),
        json: json!({ "outcome": "unavailable", "reason": reason }),
    }
}

pub(super) fn wrong(reason: &str) -> Answer {
    Answer {
        exit: Exit::Config,
        text: reason.to_owned(),
        json: json!({ "outcome": "invalid", "reason": reason }),
    }
}
