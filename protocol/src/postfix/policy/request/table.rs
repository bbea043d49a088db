//! Which attribute has which place in a request, and how it is written.

use std::borrow::Cow;

use nom::Parser as _;
use nom::character::complete;
use nom::combinator::all_consuming;

use crate::error::Malformed;

use super::{Kind, Request, State};

/// Finds an attribute's place in a request.
type Access = for<'r, 'a> fn(&'r mut Request<'a>) -> Place<'r, 'a>;

/// All that have one, in the order in which Postfix 3.12 sends them; older versions leave some out.
pub(super) const ATTRIBUTES: [(&str, Access); 32] = [
    ("request", |it| Place::Kind(&mut it.request)),
    ("protocol_state", |it| Place::State(&mut it.protocol_state)),
    ("protocol_name", |it| Place::Text(&mut it.protocol_name)),
    ("client_address", |it| Place::Text(&mut it.client_address)),
    ("client_name", |it| Place::Text(&mut it.client_name)),
    ("client_port", |it| Place::Port(&mut it.client_port)),
    ("reverse_client_name", |it| Place::Text(&mut it.reverse_client_name)),
    ("server_address", |it| Place::Text(&mut it.server_address)),
    ("server_port", |it| Place::Port(&mut it.server_port)),
    ("helo_name", |it| Place::Text(&mut it.helo_name)),
    ("sender", |it| Place::Text(&mut it.sender)),
    ("recipient", |it| Place::Text(&mut it.recipient)),
    ("recipient_count", |it| Place::Number(&mut it.recipient_count)),
    ("queue_id", |it| Place::Text(&mut it.queue_id)),
    ("instance", |it| Place::Text(&mut it.instance)),
    ("size", |it| Place::Number(&mut it.size)),
    ("etrn_domain", |it| Place::Text(&mut it.etrn_domain)),
    ("stress", |it| Place::Text(&mut it.stress)),
    ("sasl_method", |it| Place::Text(&mut it.sasl_method)),
    ("sasl_username", |it| Place::Text(&mut it.sasl_username)),
    ("sasl_sender", |it| Place::Text(&mut it.sasl_sender)),
    ("ccert_subject", |it| Place::Text(&mut it.ccert_subject)),
    ("ccert_issuer", |it| Place::Text(&mut it.ccert_issuer)),
    ("ccert_fingerprint", |it| Place::Text(&mut it.ccert_fingerprint)),
    ("ccert_pubkey_fingerprint", |it| Place::Text(&mut it.ccert_pubkey_fingerprint)),
    ("encryption_protocol", |it| Place::Text(&mut it.encryption_protocol)),
    ("encryption_cipher", |it| Place::Text(&mut it.encryption_cipher)),
    ("encryption_keysize", |it| Place::Number(&mut it.encryption_keysize)),
    ("tls_sni", |it| Place::Text(&mut it.tls_sni)),
    ("policy_context", |it| Place::Text(&mut it.policy_context)),
    ("compatibility_level", |it| Place::Text(&mut it.compatibility_level)),
    ("mail_version", |it| Place::Text(&mut it.mail_version)),
];

/// Where in [`ATTRIBUTES`] that name stands. It is looked for from `next` on, where it is as a rule.
pub(super) fn place_of(name: &[u8], next: usize) -> Option<usize> {
    let is = |&at: &usize| ATTRIBUTES.get(at).is_some_and(|(known, _)| known.as_bytes() == name);
    (next..ATTRIBUTES.len()).chain(0..next).find(is)
}

/// A place in a request.
pub(super) enum Place<'r, 'a> {
    /// Of what kind it is.
    Kind(&'r mut Kind<'a>),
    /// How far SMTP has come.
    State(&'r mut Option<State<'a>>),
    /// A text.
    Text(&'r mut Option<&'a [u8]>),
    /// A count.
    Number(&'r mut Option<u64>),
    /// A port, which may be `unknown`.
    Port(&'r mut Option<u16>),
}

impl<'a> Place<'_, 'a> {
    /// Puts there what was said.
    pub(super) fn fill(self, what: &'static str, value: &'a [u8]) -> Result<(), Malformed> {
        if let Self::Kind(place) = self {
            *place = Kind::of(value);
        } else if !value.is_empty() {
            match self {
                Self::Kind(_) => {}
                Self::State(place) => *place = Some(State::of(value)),
                Self::Text(place) => *place = Some(value),
                Self::Number(place) => *place = Some(number(value).ok_or(Malformed::new(what, "a number"))?),
                Self::Port(_) if value == b"unknown" => {}
                Self::Port(place) => {
                    let port = number(value).and_then(|number| u16::try_from(number).ok());
                    *place = Some(port.ok_or(Malformed::new(what, "a port"))?);
                }
            }
        }
        Ok(())
    }

    /// What is there, as it is written.
    pub(super) fn to_text(&self) -> Cow<'a, [u8]> {
        match self {
            Self::Kind(kind) => Cow::Borrowed(kind.as_bytes()),
            Self::State(state) => Cow::Borrowed(state.map_or(b"", |state| state.as_bytes())),
            Self::Text(text) => Cow::Borrowed(text.unwrap_or_default()),
            Self::Number(number) => decimal(**number),
            Self::Port(port) => decimal(port.map(u64::from)),
        }
    }
}

/// Digits, and at least one.
fn number(value: &[u8]) -> Option<u64> {
    let read: Result<_, nom::Err<()>> = all_consuming(complete::u64).parse(value);
    read.ok().map(|(_, number)| number)
}

fn decimal(number: Option<u64>) -> Cow<'static, [u8]> {
    Cow::Owned(number.map(|number| number.to_string().into_bytes()).unwrap_or_default())
}
