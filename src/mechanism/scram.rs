//! SCRAM, RFC 5802: each side proves that it knows the password, or what was made of it, and neither tells.
//!
//! What a client is to stretch its password with has to be looked up in the middle of the exchange. No keys get in here:
//! the proof is checked where all passwords are, and the answer to it is made there.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost_protocol::{
    sasl::scram::{Binding, ClientFinal, ClientFirst, ServerFinal, ServerFirst},
    secret::Secret,
};
use subtle::ConstantTimeEq as _;

use super::{Breach, Claim, Credential, Exchange, Mechanism, Step};
use crate::password::{Evidence, ScramHash, Terms};

/// Longest first message that is kept while the second is waited for, in bytes. A peer may have a thousand of these
/// exchanges open.
const FIRST: usize = 1024;

/// Bytes of the server's half of a nonce, before base64.
const NONCE: usize = 18;

/// Types of channel binding (RFC 5929, RFC 9266) that Dovecot can give the data of.
const BINDINGS: [&str; 2] = ["tls-exporter", "tls-unique"];

/// Before the client's first message.
#[derive(Debug)]
pub struct Scram {
    variant: Variant,
    /// Whether the remote was offered the same mechanism bound to its channel.
    binding_offered: bool,
}

/// One of the SCRAM mechanisms.
#[derive(Debug, Clone, Copy)]
struct Variant {
    mechanism: Mechanism,
    hash: ScramHash,
}

/// Whose terms are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The name, as typed.
    pub name: Vec<u8>,
    /// Whom they want to be, if that is somebody else, as typed.
    pub authzid: Option<Vec<u8>>,
    /// The function that the password is stretched with.
    pub hash: ScramHash,
}

/// While the terms are looked up.
#[derive(Debug)]
pub struct Seeking {
    variant: Variant,
    binding: Option<&'static str>,
    authzid: Option<Vec<u8>>,
    authcid: Vec<u8>,
    client_nonce: Box<[u8]>,
    header: Box<[u8]>,
    bare: Box<[u8]>,
}

/// Before the client's second message.
#[derive(Debug)]
pub struct WantFinal {
    variant: Variant,
    binding: Option<&'static str>,
    authzid: Option<Vec<u8>>,
    authcid: Vec<u8>,
    header: Box<[u8]>,
    nonce: Box<[u8]>,
    terms: Terms,
    /// `client-first-message-bare "," server-first-message ","`
    signed: Vec<u8>,
}

impl Scram {
    /// An exchange of this mechanism, whose hash function is this.
    pub(super) const fn new(mechanism: Mechanism, hash: ScramHash, binding_offered: bool) -> Self {
        Self { variant: Variant { mechanism, hash }, binding_offered }
    }

    /// Takes the client's first message.
    pub fn step(self, response: &Secret) -> Result<Step, Breach> {
        let Self { variant, binding_offered } = self;
        let first = ClientFirst::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        if response.len() > FIRST {
            return Err(Breach::Grammar);
        }
        let plus = variant.mechanism.is_bound();
        let binding = match first.binding {
            Binding::Used(kind) if plus => {
                let known = BINDINGS.into_iter().find(|known| *known == kind);
                Some(known.ok_or(Breach::ChannelBinding)?)
            }
            Binding::Unsupported if !plus => None,
            // They would have bound it, had they seen that it was offered: somebody has taken the offer away.
            Binding::Unused if !plus && !binding_offered => None,
            Binding::Used(_) | Binding::Unsupported | Binding::Unused => return Err(Breach::ChannelBinding),
        };
        let authzid = first.authzid.filter(|authzid| *authzid != first.authcid);
        let sought = Sought { name: first.authcid.clone(), authzid: authzid.clone(), hash: variant.hash };
        let seeking = Seeking {
            variant,
            binding,
            authzid,
            authcid: first.authcid,
            client_nonce: first.nonce.into(),
            header: first.header.into(),
            bare: first.bare.into(),
        };
        Ok(Step::Ask(sought, Box::new(seeking)))
    }

    /// The mechanism that is being conducted.
    pub const fn mechanism(&self) -> Mechanism {
        self.variant.mechanism
    }
}

impl Seeking {
    /// Takes what the client is to stretch its password with.
    pub fn told(self, terms: Terms) -> Result<Step, Breach> {
        let mut random = [0; NONCE];
        getrandom::fill(&mut random).map_err(|_| Breach::NoRandomNumbers)?;
        self.answer(terms, &STANDARD.encode(random))
    }

    fn answer(self, terms: Terms, server_nonce: &str) -> Result<Step, Breach> {
        let nonce = [&self.client_nonce, server_nonce.as_bytes()].concat();
        let first = ServerFirst { nonce: &nonce, salt: terms.salt.to_vec(), iterations: terms.iterations };
        let challenge = first.encode();
        let want = WantFinal {
            variant: self.variant,
            binding: self.binding,
            authzid: self.authzid,
            authcid: self.authcid,
            header: self.header,
            signed: [&self.bare, challenge.as_slice(), b""].join(&b','),
            nonce: nonce.into(),
            terms,
        };
        Ok(Step::Challenge(Cow::Owned(challenge), Exchange::ScramFinal(Box::new(want))))
    }

    /// The mechanism that is being conducted.
    pub const fn mechanism(&self) -> Mechanism {
        self.variant.mechanism
    }

    /// Who says that they are there, as typed.
    pub fn name(&self) -> &[u8] {
        &self.authcid
    }
}

impl WantFinal {
    /// Takes the client's second message, and the data of the channel if there was to be some.
    pub fn step(self, response: &Secret, channel: Option<&Secret>) -> Result<Step, Breach> {
        let last = ClientFinal::parse(response.expose()).map_err(|_| Breach::Grammar)?;
        if last.nonce != &*self.nonce {
            return Err(Breach::Grammar);
        }
        let channel = match (self.binding, channel) {
            (Some(_), Some(data)) if !data.is_empty() => data.expose(),
            (None, None) => &[],
            (Some(_), Some(_) | None) | (None, Some(_)) => return Err(Breach::ChannelBinding),
        };
        // Somebody in the middle has another channel to us than the client has to them.
        let expected = [&self.header, channel].concat();
        if !bool::from(last.binding.as_slice().ct_eq(&expected)) {
            return Err(Breach::ChannelBinding);
        }
        let evidence = Evidence::Scram {
            hash: self.variant.hash,
            terms: self.terms,
            message: Secret::new([self.signed.as_slice(), last.without_proof].concat()),
            proof: Secret::new(last.proof.to_vec()),
        };
        let credential = Credential::Evidence(evidence.into());
        Ok(Step::Claim(Claim { authzid: self.authzid, authcid: self.authcid, credential }))
    }

    /// The type of channel binding data that has to come with the response.
    pub const fn binding(&self) -> Option<&'static str> {
        self.binding
    }

    /// The mechanism that is being conducted.
    pub const fn mechanism(&self) -> Mechanism {
        self.variant.mechanism
    }
}

/// The last message of the server, which proves that it knows the password too.
pub fn farewell(signature: &[u8]) -> Vec<u8> {
    ServerFinal { verifier: signature.to_vec() }.encode()
}

#[cfg(test)]
pub(crate) mod client;
#[cfg(test)]
mod tests;
