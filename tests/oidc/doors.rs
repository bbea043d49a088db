//! The ways in, and what each server says there of an outcome.

use serde_json::Value;

use crate::support::{Provider, Told};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Door {
    /// With the response in the line of the command.
    Imap,
    /// With the response in a line of its own, after the server has asked.
    ImapAsked,
    Pop3,
    Sieve,
    Smtp,
}

impl Door {
    /// What everybody has.
    pub(crate) const USUAL: [Self; 3] = [Self::Imap, Self::ImapAsked, Self::Smtp];

    pub(crate) const ALL: [Self; 5] = [Self::Imap, Self::ImapAsked, Self::Pop3, Self::Sieve, Self::Smtp];
}

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Enters,
    /// For good, after having been told what is wrong with the token, if that is what is wrong.
    Refused(Option<Value>),
    /// It may be tried again as it is.
    Temporary,
    /// Words that are none of these.
    Odd(Told),
}

impl Outcome {
    /// That of a token which gatepost does not take: RFC 7628 3.2.2.
    pub(crate) fn invalid(provider: &Provider<'_>) -> Self {
        Self::Refused(Some(serde_json::json!({
            "status": "invalid_token",
            "schemes": "bearer",
            "scope": "email",
            "openid-configuration": format!("{}/.well-known/openid-configuration", provider.issuer()),
        })))
    }
}

pub(crate) fn imap(told: Told) -> Outcome {
    of(told, "OK", "NO [AUTHENTICATIONFAILED]", "NO [UNAVAILABLE]")
}

pub(crate) fn pop3(told: Told) -> Outcome {
    of(told, "+OK", "-ERR [AUTH]", "-ERR [SYS/TEMP]")
}

/// Dovecot gives a refusal no code.
pub(crate) fn sieve(told: Told) -> Outcome {
    of(told, "OK", "NO", "NO (TRYLATER)")
}

pub(crate) fn smtp(told: Told) -> Outcome {
    of(told, "235", "535", "454")
}

fn of(told: Told, enters: &str, refused: &str, temporary: &str) -> Outcome {
    let says = |start: &str| told.answer.starts_with(start);
    if says(enters) && told.challenge.is_none() {
        Outcome::Enters
    } else if says(temporary) && told.challenge.is_none() {
        Outcome::Temporary
    } else if says(refused) {
        Outcome::Refused(told.challenge)
    } else {
        Outcome::Odd(told)
    }
}
