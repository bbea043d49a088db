//! A mail as the conditions of rules see it.

use std::{borrow::Cow, net::IpAddr};

use gatepost_protocol::postfix::{
    address::Address,
    policy::{Request, State},
};

use super::Cost;
use crate::{
    config::{AddressPattern, HostPattern, Listed, Per, When, normal},
    decision::Engine,
};

/// A request, with what is compared of it in the form in which it is compared.
pub(super) struct Mail<'a> {
    pub(super) request: &'a Request<'a>,
    /// `None`: nobody has logged in.
    login: Option<Box<str>>,
    /// `None`: there is none yet. The null sender is empty.
    sender: Option<Addressed>,
    /// `None`: there is none, or more than one.
    recipient: Option<Addressed>,
    client: Option<IpAddr>,
}

/// An address in lower case.
struct Addressed {
    whole: Box<str>,
    /// Without its extension, if it has one.
    short: Option<Box<str>>,
}

impl<'a> Mail<'a> {
    pub(super) fn of(request: &'a Request<'a>, engine: &Engine) -> Self {
        let login = request.sasl_username.map(|login| match engine.normalise(login) {
            Ok(user) => user.as_str().into(),
            // Somebody has let them in; they are whoever they are.
            Err(_) => text(login).into(),
        });
        let begun = matches!(
            request.protocol_state,
            Some(State::Mail | State::Rcpt | State::Data | State::EndOfMessage)
        );
        let address = |address: &[u8]| Addressed::of(address, engine.maps.delimiters());
        Self {
            request,
            login,
            sender: begun.then(|| address(request.sender.unwrap_or_default())),
            recipient: request.recipient.map(address),
            client: request.client_ip().map(|address| address.to_canonical()),
        }
    }

    /// Whether all conditions hold. What is not known fits nothing.
    pub(super) fn meets(&self, when: &When) -> bool {
        let Request { client_name, helo_name, policy_context, encryption_protocol, .. } = *self.request;
        let state = self.request.protocol_state.is_some_and(|state| when.states.contains(&state));
        // The cheap ones first.
        state
            && when.logged_in.is_none_or(|wanted| wanted == self.login.is_some())
            && when.tls.is_none_or(|wanted| wanted == encryption_protocol.is_some())
            && when.size.as_ref().is_none_or(|range| self.size().is_some_and(|size| range.contains(&size)))
            && when
                .recipients
                .as_ref()
                .is_none_or(|range| self.request.recipient_count.is_some_and(|count| range.contains(&count)))
            && when.context.as_ref().is_none_or(|wanted| {
                let context = policy_context.unwrap_or_default();
                wanted.iter().any(|wanted| wanted.as_bytes() == context)
            })
            && when.network.as_ref().is_none_or(|listed| {
                self.client.is_some_and(|client| listed.says(|network| network.contains(&client)))
            })
            && when.login.as_ref().is_none_or(|listed| {
                self.login.as_ref().is_some_and(|login| listed.says(|pattern| pattern.fits(login)))
            })
            && says(when.sender.as_ref(), self.sender.as_ref())
            && says(when.recipient.as_ref(), self.recipient.as_ref())
            && named(when.helo.as_ref(), helo_name)
            && named(when.client_name.as_ref(), client_name)
    }

    /// Under what it is counted. `None`: not at all.
    pub(super) fn key(&self, per: Per) -> Option<Box<str>> {
        match per {
            Per::User => self.login.clone(),
            Per::Domain => self.login.as_ref().map(|login| {
                let domain = login.rsplit_once('@').map_or("", |(_, domain)| domain);
                format!("@{domain}").into()
            }),
            Per::Address => {
                let sender = self.sender.as_ref()?;
                let key = sender.short.as_ref().unwrap_or(&sender.whole);
                (!key.is_empty()).then(|| key.clone())
            }
        }
    }

    /// By what it is known when it is asked about again. `None`: by nothing.
    ///
    /// After a refusal at its end, by us or by what comes behind us, the same transaction goes on, and its next mail may be
    /// longer and to more: that is another one.
    pub(super) fn name(&self) -> Option<Vec<u8>> {
        let Cost { recipients, bytes, .. } = self.cost();
        let instance = self.request.instance?;
        Some([instance, &recipients.to_le_bytes(), &bytes.to_le_bytes()].concat())
    }

    /// What it costs, as far as that is known: before its end it has one recipient at least, and the size that was announced.
    pub(super) fn cost(&self) -> Cost {
        let recipients = match self.request.protocol_state {
            Some(State::EndOfMessage) => self.request.recipient_count.unwrap_or(1).max(1),
            _ => 1,
        };
        Cost { messages: 1, recipients, bytes: self.size().unwrap_or(0) }
    }

    /// `None`: nobody has said so far.
    fn size(&self) -> Option<u64> {
        let known = self.request.protocol_state == Some(State::EndOfMessage);
        self.request.size.filter(|&size| known || size > 0)
    }
}

impl Addressed {
    fn of(address: &[u8], delimiters: &str) -> Self {
        let whole = normal(&String::from_utf8_lossy(address)).into_boxed_str();
        let short =
            Address::read(&whole).without_extension(delimiters).map(|(bare, _)| bare.external().into());
        Self { whole, short }
    }
}

/// The first item that fits the address as it is, or without its extension.
fn says(listed: Option<&Listed<AddressPattern>>, address: Option<&Addressed>) -> bool {
    let Some(listed) = listed else { return true };
    address.is_some_and(|Addressed { whole, short }| {
        listed.says(|pattern| pattern.fits(whole) || short.as_ref().is_some_and(|short| pattern.fits(short)))
    })
}

fn named(listed: Option<&Listed<HostPattern>>, name: Option<&[u8]>) -> bool {
    let Some(listed) = listed else { return true };
    name.is_some_and(|name| {
        let name = text(name);
        listed.says(|pattern| pattern.fits(&name))
    })
}

/// In lower case.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    Cow::Owned(String::from_utf8_lossy(bytes).to_lowercase())
}
