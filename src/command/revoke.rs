//! `gatepost revoke`: ends what the tokens of a user are good for.

use clap::Args;
use serde_json::json;

use super::{Answer, Common, Exit, ask};
use crate::control::{Request, Response};

/// Whose tokens to revoke.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The name
    user: String,
}

impl Revoke {
    pub(super) fn run(self, common: &Common) -> Answer {
        let config = match common.configuration() {
            Ok(config) => config,
            Err(no) => return no,
        };
        match ask::running(&config, &Request::Revoke { user: self.user }) {
            Ok(response) => say(&response),
            Err(failure) => Answer::failure(&failure),
        }
    }
}

fn say(response: &Response) -> Answer {
    let reason = response.reason.as_deref();
    let (exit, text) = match response.outcome.as_str() {
        Response::DONE => {
            let forgotten = response.flushed.unwrap_or_default();
            (Exit::Yes, format!("revoked: {}\nforgotten: {forgotten}", response.revoked.join(", ")))
        }
        // Of the name that was said they are revoked all the same.
        Response::UNAVAILABLE => {
            let why = reason.unwrap_or_default();
            let what =
                format!("revoked: {}; that is not all there is to it: {why}", response.revoked.join(", "));
            (Exit::Temporary, what)
        }
        outcome => (Exit::No, format!("{}: {}", outcome.replace('_', " "), reason.unwrap_or_default())),
    };
    Answer { exit, text, json: json!(response) }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Response, say};

    fn response(json: serde_json::Value) -> Response {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_said_of_a_revocation_names_who_it_was_about() {
        for (json, exit, text) in [
            (
                serde_json::json!({"outcome": "done", "revoked": ["al@x.test", "alice@x.test"], "flushed": 3}),
                Exit::Yes,
                "revoked: al@x.test, alice@x.test\nforgotten: 3",
            ),
            (
                serde_json::json!({"outcome": "unavailable", "revoked": ["al@x.test"], "flushed": 1, "reason": "away"}),
                Exit::Temporary,
                "revoked: al@x.test; that is not all there is to it: away",
            ),
            (
                serde_json::json!({"outcome": "invalid_name", "reason": "empty"}),
                Exit::No,
                "invalid name: empty",
            ),
        ] {
            let answer = say(&response(json));
            assert_eq!((answer.exit, &*answer.text), (exit, text));
        }
    }
}
