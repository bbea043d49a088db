//! `[sasl]`: how remotes may prove who they are.

use std::time::Duration;

use super::{
    problem::Wrong,
    reader::{Reader, name_of},
};
use crate::mechanism::Mechanism;

/// `[sasl]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// `mechanisms`: what is offered, in this order. Never empty, each once. Default: PLAIN, LOGIN.
    pub mechanisms: Vec<Mechanism>,
    /// `failure_delay`: how long a refusal is held back, 0s to 8s. Default 2s.
    pub failure_delay: Duration,
    /// `master_user_separator`: what stands between the name of a user and that of the master user who logs in as
    /// them, `user*master`. A sign that no login name can hold. `None`: names are never taken apart.
    pub master_user_separator: Option<char>,
}

const MECHANISMS: &[(&str, Mechanism)] =
    &[(Mechanism::Plain.name(), Mechanism::Plain), (Mechanism::Login.name(), Mechanism::Login)];

/// Mechanisms that have a name, and no code in this version.
const LATER: &[&str] = &[
    "OAUTHBEARER",
    "XOAUTH2",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-512-PLUS",
    "EXTERNAL",
    "CRAM-MD5",
    "DIGEST-MD5",
    "GSSAPI",
    "GSS-SPNEGO",
];

/// Postfix waits 10 s for a reply (`AUTH_TIMEOUT` of its Dovecot plug-in) and then calls it a temporary
/// failure, so a refusal must be out well before that.
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Reads `[sasl]`.
pub(super) fn sasl(mut reader: Reader<'_>) -> Sasl {
    let mechanisms = match reader.list("mechanisms", |text| name_of(text, MECHANISMS, LATER)) {
        Some(listed) => {
            let mut mechanisms = Vec::with_capacity(listed.len());
            for (mechanism, spot) in listed {
                if mechanisms.contains(&mechanism) {
                    let what = format!("{mechanism} is listed twice");
                    reader.found().at(
                        spot,
                        reader.path_of("mechanisms"),
                        Wrong::new(what, "keep one of the two"),
                    );
                } else {
                    mechanisms.push(mechanism);
                }
            }
            if reader.is_empty_list("mechanisms") {
                reader.wrong(
                    "mechanisms",
                    Wrong::new(
                        "offers no way to log in: Postfix closes its port over that, for a minute at a time",
                        "write [\"PLAIN\", \"LOGIN\"], or leave the key out for the same",
                    ),
                );
            }
            mechanisms
        }
        None => vec![Mechanism::Plain, Mechanism::Login],
    };
    let failure_delay = reader.duration("failure_delay", Duration::ZERO..=LONGEST_DELAY);
    let master_user_separator = reader.text("master_user_separator", separator);
    reader.finish();
    Sasl { mechanisms, failure_delay: failure_delay.unwrap_or(Duration::from_secs(2)), master_user_separator }
}

/// One sign that is part of no name: with another, somebody's name could be read as two names.
fn separator(text: &str) -> Result<char, Wrong> {
    let remedy = "write one of * % : / | , ; as in master_user_separator = \"*\"";
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(sign), None) if "*%:/|,;".contains(sign) => Ok(sign),
        (Some(_), None) => {
            Err(Wrong::new("is no sign that separates names, or one that a name may hold", remedy))
        }
        (_, Some(_)) | (None, _) => Err(Wrong::new("is not one sign", remedy)),
    }
}
