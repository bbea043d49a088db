//! The conditions of a rule.

use std::ops::RangeInclusive;

use gatepost_protocol::postfix::policy::{Action, State};
use ipnet::IpNet;

use super::{
    Does,
    pattern::{AddressPattern, HostPattern, Listed, item},
};
use crate::config::{
    listener::network,
    problem::{Wrong, choice, quoted},
    reader::{Reader, name_of},
};

/// What a rule is for: all of these hold. `None`: it does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// `state`: how far SMTP has come. Never empty, and none of them unknown.
    pub states: Vec<State<'static>>,
    /// `sender`
    pub sender: Option<Listed<AddressPattern>>,
    /// `recipient`
    pub recipient: Option<Listed<AddressPattern>>,
    /// `sasl_username`: the login in normal form. Nobody's fits nothing.
    pub login: Option<Listed<AddressPattern>>,
    /// `logged_in`
    pub logged_in: Option<bool>,
    /// `network`: those of the client. IPv4 addresses are written as such.
    pub network: Option<Listed<IpNet>>,
    /// `helo`: as what the client introduces itself.
    pub helo: Option<Listed<HostPattern>>,
    /// `client_name`: what the client's address leads to, and back. `unknown` if it does not.
    pub client_name: Option<Listed<HostPattern>>,
    /// `tls`
    pub tls: Option<bool>,
    /// `min_size` and `max_size` in bytes: of what MAIL announces, and at `END-OF-MESSAGE` of what it is. What is not
    /// announced fits nothing.
    pub size: Option<RangeInclusive<u64>>,
    /// `min_recipients` and `max_recipients`
    pub recipients: Option<RangeInclusive<u64>>,
    /// `policy_context`: what main.cf says for this service.
    pub context: Option<Vec<String>>,
}

/// As Postfix spells them.
const STATES: &[(&str, State<'static>)] = &[
    ("CONNECT", State::Connect),
    ("EHLO", State::Ehlo),
    ("HELO", State::Helo),
    ("MAIL", State::Mail),
    ("RCPT", State::Rcpt),
    ("DATA", State::Data),
    ("END-OF-MESSAGE", State::EndOfMessage),
    ("VRFY", State::Vrfy),
    ("ETRN", State::Etrn),
];

/// Reads the conditions of a rule that does this.
pub(super) fn when(
    reader: &mut Reader<'_>,
    does: Option<&Does>,
    default_domain: Option<&str>,
) -> Option<When> {
    let addresses = AddressPattern::of_address;
    let sender = list(reader, "sender", addresses);
    let recipient = list(reader, "recipient", addresses);
    let login = list(reader, "sasl_username", |text| AddressPattern::of_login(text, default_domain));
    let logged_in = reader.boolean("logged_in");
    let network = list(reader, "network", network);
    let helo = list(reader, "helo", HostPattern::parse);
    let client_name = list(reader, "client_name", HostPattern::parse);
    let tls = reader.boolean("tls");
    let size = (reader.size("min_size", 0..=1 << 50), reader.size("max_size", 0..=1 << 50));
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let recipients =
        (reader.number("min_recipients", 0..=1 << 32), reader.number("max_recipients", 0..=1 << 32));
    let recipients = (recipients.0.map(count), recipients.1.map(count));
    let context = reader.list("policy_context", |text| Ok(text.to_owned()));
    nonempty(reader, "policy_context");
    // Also where something is wrong with it.
    let limits = reader.has("limit");
    if logged_in == Some(false) && login.is_some() {
        let wrong =
            Wrong::new("stands beside logged_in = false, and nobody is both", "take one of the two away");
        reader.wrong("sasl_username", wrong);
    }
    if limits {
        let why = "is none of a limit's: it is held against at RCPT and counted at END-OF-MESSAGE";
        reader.refuse(&["state"], why, "take it away");
        let why = "is told at RCPT only, and a limit is counted at END-OF-MESSAGE";
        reader.refuse(&["recipient"], why, "take it away");
    }
    let states = if limits { vec![State::Rcpt, State::EndOfMessage] } else { states(reader, does) };
    let size = range(reader, "max_size", size);
    let recipients = range(reader, "max_recipients", recipients);
    let context = context.map(|listed| listed.into_iter().map(|(text, _)| text).collect());
    Some(When {
        states,
        sender,
        recipient,
        login,
        logged_in,
        network,
        helo,
        client_name,
        tls,
        size,
        recipients,
        context,
    })
}

/// A list of at least one, if it is there.
fn list<T>(reader: &mut Reader<'_>, key: &str, read: impl Fn(&str) -> Result<T, Wrong>) -> Option<Listed<T>> {
    let listed = reader.list(key, |text| item(text, &read));
    nonempty(reader, key);
    Some(Listed::of(listed?.into_iter().map(|(item, _)| item).collect()))
}

fn nonempty(reader: &Reader<'_>, key: &str) {
    if reader.is_empty_list(key) {
        let wrong =
            Wrong::new("is empty, so that the rule is for nothing", "name something, or leave the key out");
        reader.wrong(key, wrong);
    }
}

fn range(reader: &Reader<'_>, upper: &str, ends: (Option<u64>, Option<u64>)) -> Option<RangeInclusive<u64>> {
    let range = match ends {
        (None, None) => return None,
        (from, to) => from.unwrap_or(0)..=to.unwrap_or(u64::MAX),
    };
    if range.is_empty() {
        reader.wrong(upper, Wrong::new("is less than the least", "write a larger one"));
    }
    Some(range)
}

/// Reads `state`. Without it, the rule is for those where what it wants to know is told.
fn states(reader: &mut Reader<'_>, does: Option<&Does>) -> Vec<State<'static>> {
    let counts = reader.has("min_recipients") || reader.has("max_recipients");
    let weighs = reader.has("min_size") || reader.has("max_size");
    let usual = match does {
        Some(Does::Authorise(_)) => vec![State::Mail, State::Rcpt],
        Some(Does::Say(_) | Does::Limit { .. }) | None if counts => vec![State::Data, State::EndOfMessage],
        Some(Does::Say(_) | Does::Limit { .. }) | None if weighs => vec![State::Rcpt, State::EndOfMessage],
        Some(Does::Say(_) | Does::Limit { .. }) | None => vec![State::Rcpt],
    };
    let listed = reader.list("state", |text| name_of(text, STATES, &[]));
    nonempty(reader, "state");
    let Some(listed) = listed else {
        judge(reader, "", &usual, does);
        return usual;
    };
    let states: Vec<_> = listed.into_iter().map(|(state, _)| state).collect();
    judge(reader, "state", &states, does);
    states
}

/// Notes what a rule wants to know, or to say, and cannot at all of its states.
fn judge(reader: &Reader<'_>, at: &str, states: &[State<'static>], does: Option<&Does>) {
    use State::{Data, EndOfMessage, Mail, Rcpt, Vrfy};
    let mail = &[Mail, Rcpt, Data, EndOfMessage][..];
    let mut wants: Vec<(&str, &[State<'_>])> = [
        ("sender", mail),
        ("recipient", &[Rcpt, Vrfy]),
        ("min_size", mail),
        ("max_size", mail),
        ("min_recipients", &[Data, EndOfMessage]),
        ("max_recipients", &[Data, EndOfMessage]),
    ]
    .into_iter()
    .filter(|(key, _)| reader.has(key))
    .collect();
    match does {
        Some(Does::Authorise(_)) => wants.push(("sender_authorisation", mail)),
        Some(Does::Say(Action::Prepend(_))) => wants.push(("prepend", &[Mail, Rcpt, Data])),
        Some(Does::Say(_) | Does::Limit { .. }) | None => {}
    }
    for (key, known) in wants {
        if let Some(state) = states.iter().find(|state| !known.contains(state)) {
            let name = |state: &State<'_>| String::from_utf8_lossy(state.as_bytes()).into_owned();
            let known: Vec<_> = known.iter().map(name).collect();
            let what = format!("is for {}, where {} means nothing", name(state), quoted(key));
            let remedy =
                format!("write {}, or make two rules of it", choice(known.iter().map(|name| &**name)));
            reader.wrong(at, Wrong::new(what, remedy));
        }
    }
}
