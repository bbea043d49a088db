//! `gatepost policy`: what would be said of a mail, and what has been sent.

use std::{
    fmt::Write as _,
    io::{self, Read as _},
};

use clap::{Args, Subcommand};
use gatepost_protocol::postfix::policy;
use serde_json::json;

use super::{Answer, Common, Exit, ask};
use crate::{
    control::{Request, Response, Said},
    daemon::Failure,
};

/// What can be done with the rules for mail.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Say what Postfix would be told of a mail, and by which rule. Nothing is counted.
    ///
    /// Attributes are read from standard input, one name=value a line as Postfix sends them, up to an empty line or the
    /// end. Without request= and protocol_state= it is a question at RCPT.
    Test,
    /// Let somebody send again: forget what the running daemon has counted of them, and that they are suspended
    Reset(Reset),
}

/// Who may send again.
#[derive(Debug, Args)]
pub struct Reset {
    /// A login, an address, or @domain, as the limit has it
    whom: String,
}

impl Policy {
    pub(super) fn run(self, common: &Common) -> Answer {
        let attributes = match &self {
            Self::Test => match attributes() {
                Ok(attributes) => attributes,
                Err(error) => return Answer::failure(&Failure::Io("standard input", error)),
            },
            Self::Reset(_) => String::new(),
        };
        let config = match common.configuration() {
            Ok(config) => config,
            Err(no) => return no,
        };
        let answered = match self {
            Self::Test => ask::answer_of(&config, Request::PolicyTest { attributes }, None),
            Self::Reset(Reset { whom }) => ask::running(&config, &Request::PolicyReset { whom }),
        };
        match answered {
            Ok(response) => say(&response),
            Err(failure) => Answer::failure(&failure),
        }
    }
}

/// What is on standard input, up to the first empty line.
fn attributes() -> io::Result<String> {
    let limit = u64::try_from(policy::REQUEST).unwrap_or(u64::MAX);
    let mut text = String::new();
    io::stdin().lock().take(limit + 1).read_to_string(&mut text)?;
    if text.len() > policy::REQUEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "more than 64 KiB are no question of Postfix",
        ));
    }
    Ok(completed(&text))
}

/// The lines, with what every question has.
fn completed(text: &str) -> String {
    let given: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
    let says = |name: &str| given.iter().any(|line| line.starts_with(name));
    let usual = [("request=", "smtpd_access_policy"), ("protocol_state=", "RCPT")];
    let mut lines = String::new();
    for (name, value) in usual.into_iter().filter(|(name, _)| !says(name)) {
        let _ = writeln!(lines, "{name}{value}");
    }
    for line in given {
        let _ = writeln!(lines, "{line}");
    }
    lines
}

fn say(response: &Response) -> Answer {
    let (exit, mut text) = match (response.outcome.as_str(), &response.policy) {
        (Response::NOT_REFUSED, Some(said)) => (Exit::Yes, by(said)),
        (Response::UNAVAILABLE, Some(said)) => (Exit::Temporary, by(said)),
        (_, Some(said)) => (Exit::No, by(said)),
        (Response::DONE, None) => {
            (Exit::Yes, format!("forgotten by {} limits", response.flushed.unwrap_or_default()))
        }
        (outcome, None) => (Exit::No, outcome.replace('_', " ")),
    };
    if let Some(reason) = &response.reason {
        let _ = write!(text, ": {reason}");
    }
    for said in &response.trials {
        let _ = write!(text, "\n  on trial: {}", by(said));
    }
    Answer { exit, text, json: json!(response) }
}

fn by(said: &Said) -> String {
    let Said { rule, action } = said;
    match rule {
        Some(rule) => format!("{action}, by rule {rule}"),
        None => format!("{action}, by no rule"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Response, completed, say};

    #[test]
    fn what_every_question_has_need_not_be_typed() {
        let usual = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
        assert_eq!(completed(""), usual);
        assert_eq!(completed("sender=a@b.test\n\nx=y\n"), format!("{usual}sender=a@b.test\n"));
        assert_eq!(completed("sender=a@b.test"), format!("{usual}sender=a@b.test\n"));
        let whole = "request=other\nsender=\nprotocol_state=DATA\n";
        assert_eq!(completed(whole), whole);
    }

    #[test]
    fn what_would_be_said_is_told_with_its_rule() {
        for (json, exit, text) in [
            (
                serde_json::json!({"outcome": "not_refused", "policy": {"action": "DUNNO"}}),
                Exit::Yes,
                "DUNNO, by no rule",
            ),
            (
                serde_json::json!({"outcome": "refused", "policy": {"action": "REJECT 5.7.1 no", "rule": "a"},
                    "trials": [{"action": "HOLD", "rule": "b"}]}),
                Exit::No,
                "REJECT 5.7.1 no, by rule a\n  on trial: HOLD, by rule b",
            ),
            (
                serde_json::json!({"outcome": "unavailable", "policy": {"action": "451 4.3.0 later", "rule": "a"},
                    "reason": "away"}),
                Exit::Temporary,
                "451 4.3.0 later, by rule a: away",
            ),
            (
                serde_json::json!({"outcome": "malformed", "reason": "a number"}),
                Exit::No,
                "malformed: a number",
            ),
            (serde_json::json!({"outcome": "done", "flushed": 2}), Exit::Yes, "forgotten by 2 limits"),
            (serde_json::json!({"outcome": "not_found", "flushed": 0}), Exit::No, "not found"),
        ] {
            let response: Response = serde_json::from_value(json).unwrap();
            let answer = say(&response);
            assert_eq!((answer.exit, &*answer.text), (exit, text));
        }
    }
}
