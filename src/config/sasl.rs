//! `[sasl]`: how remotes may prove who they are.

use std::time::Duration;

use super::{
    directory::user,
    problem::Wrong,
    reader::{Reader, name_of},
};
use crate::mechanism::Mechanism;

/// `[sasl]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// `mechanisms`: what is offered, in this order. Never empty, each once. Default: PLAIN, LOGIN.
    pub mechanisms: Vec<Mechanism>,
    /// `anonymous_user`: the account that everybody becomes who logs in by ANONYMOUS. There if that is offered.
    pub anonymous_user: Option<String>,
    /// `failure_delay`: how long a refusal is held back, 0s to 8s. Default 2s.
    pub failure_delay: Duration,
    /// `master_user_separator`: what stands between the name of a user and that of the master user who logs in as
    /// them, `user*master`. A sign that no login name can hold. `None`: names are never taken apart.
    pub master_user_separator: Option<char>,
}

const MECHANISMS: &[(&str, Mechanism)] = &[
    (Mechanism::Plain.name(), Mechanism::Plain),
    (Mechanism::Login.name(), Mechanism::Login),
    (Mechanism::CramMd5.name(), Mechanism::CramMd5),
    (Mechanism::ScramSha1.name(), Mechanism::ScramSha1),
    (Mechanism::ScramSha1Plus.name(), Mechanism::ScramSha1Plus),
    (Mechanism::ScramSha256.name(), Mechanism::ScramSha256),
    (Mechanism::ScramSha256Plus.name(), Mechanism::ScramSha256Plus),
    (Mechanism::External.name(), Mechanism::External),
    (Mechanism::Anonymous.name(), Mechanism::Anonymous),
    (Mechanism::OAuthBearer.name(), Mechanism::OAuthBearer),
    (Mechanism::XOAuth2.name(), Mechanism::XOAuth2),
];

/// Mechanisms that have a name, and no code in this version.
const LATER: &[&str] = &["SCRAM-SHA-512", "SCRAM-SHA-512-PLUS", "DIGEST-MD5", "GSSAPI", "GSS-SPNEGO"];

/// Postfix waits 10 s for a reply (`AUTH_TIMEOUT` of its Dovecot plug-in) and then calls it a temporary
/// failure, so a refusal must be out well before that.
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// Reads `[sasl]`. `providers`: whether there is anybody who vouches for tokens.
pub(super) fn sasl(mut reader: Reader<'_>, providers: bool) -> Sasl {
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
        None => Mechanism::DEFAULT.to_vec(),
    };
    let some_only = |mechanism: &Mechanism| mechanism.is_bound() || *mechanism == Mechanism::Anonymous;
    if !mechanisms.is_empty() && mechanisms.iter().all(some_only) {
        let what = "offers what only some of Dovecot's clients can use, and nothing to all the others";
        reader.wrong("mechanisms", Wrong::new(what, "add one such as \"SCRAM-SHA-256\" or \"PLAIN\""));
    }
    let takes_tokens =
        |mechanism: &Mechanism| matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2);
    if let Some(mechanism) = mechanisms.iter().find(|mechanism| takes_tokens(mechanism) && !providers) {
        let what = format!("{mechanism} takes tokens, and there is nobody to vouch for them");
        let remedy = "add an [[oidc]], as in 40-oidc.toml, or take OAUTHBEARER and XOAUTH2 away";
        reader.wrong("mechanisms", Wrong::new(what, remedy));
    }
    let anonymous_user = reader.text("anonymous_user", user);
    if mechanisms.contains(&Mechanism::Anonymous) {
        reader.need(
            "anonymous_user",
            "name the account that everybody becomes, as in \"anonymous@example.org\"",
        );
    }
    let failure_delay = reader.duration("failure_delay", Duration::ZERO..=LONGEST_DELAY);
    let master_user_separator = reader.text("master_user_separator", separator);
    reader.finish();
    Sasl {
        mechanisms,
        anonymous_user,
        failure_delay: failure_delay.unwrap_or(Duration::from_secs(2)),
        master_user_separator,
    }
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
