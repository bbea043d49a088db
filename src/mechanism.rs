//! The parlour: SASL responses in, the next challenge or a [`Claim`] out.
//!
//! A mechanism knows neither sockets nor directories nor the time. It consumes its state, so that what has not
//! been learnt yet cannot be named, and it ends in a claim: who somebody says they are and what they offer as proof.
//! Whether that is true is for [`crate::decision`] to say. SCRAM has to know something of an account before that: it asks
//! ([`Step::Ask`]) and is told, and does not learn from whom.

mod anonymous;
mod cram_md5;
mod external;
mod login;
mod oauthbearer;
mod plain;
mod scram;
mod xoauth2;

use std::{borrow::Cow, fmt, sync::Arc};

use gatepost_protocol::{dovecot::MechFlag, secret::Secret};

#[cfg(test)]
pub(crate) use self::scram::client::Client;
pub use self::{
    anonymous::Anonymous,
    cram_md5::CramMd5,
    external::External,
    login::Login,
    oauthbearer::OAuthBearer,
    plain::Plain,
    scram::{Scram, Seeking, Sought, WantFinal, farewell},
    xoauth2::XOAuth2,
};

use crate::password::{Evidence, ScramHash};

/// The mechanisms this version can conduct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616: everything in one response.
    Plain,
    /// draft-murchison-sasl-login: asks for the name, then for the password.
    Login,
    /// RFC 2195: the HMAC-MD5 of a challenge.
    CramMd5,
    /// RFC 5802.
    ScramSha1,
    /// RFC 5802, bound to the TLS channel.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677, bound to the TLS channel.
    ScramSha256Plus,
    /// RFC 4422 appendix A: the remote's TLS certificate.
    External,
    /// RFC 4505: nobody in particular.
    Anonymous,
    /// RFC 7628: a bearer token.
    OAuthBearer,
    /// Google's: a bearer token, in another form.
    XOAuth2,
}

/// What is known of a remote's connection, as far as a mechanism asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// The name in the remote's TLS certificate, if the peer has verified that and says the name.
    pub certificate: Option<&'a [u8]>,
    /// Whether the remote was offered to bind the exchange to its TLS channel.
    pub binding_offered: bool,
    /// The account that ANONYMOUS leads to.
    pub anonymous: Option<&'a str>,
}

/// An exchange that waits for a response.
#[derive(Debug)]
pub enum Exchange {
    /// PLAIN, before its only response.
    Plain(Plain),
    /// LOGIN, before the name or before the password.
    Login(Login),
    /// CRAM-MD5, before its only response.
    CramMd5(CramMd5),
    /// SCRAM, before the first response.
    Scram(Scram),
    /// SCRAM, before the second response.
    ScramFinal(Box<WantFinal>),
    /// EXTERNAL, before its only response.
    External(External),
    /// ANONYMOUS, before its only response.
    Anonymous(Anonymous),
    /// OAUTHBEARER, before its only response.
    OAuthBearer(OAuthBearer),
    /// XOAUTH2, before its only response.
    XOAuth2(XOAuth2),
}

/// What a response leads to.
#[derive(Debug)]
pub enum Step {
    /// Say this and wait for the next response.
    Challenge(Cow<'static, [u8]>, Exchange),
    /// Find this out, and tell it.
    Ask(Sought, Box<Seeking>),
    /// The exchange is over; this is what it came to.
    Claim(Claim),
}

/// Unproven: who somebody says they are, and what they offer as proof.
#[derive(Debug)]
pub struct Claim {
    /// Who they want to act as, as typed; `None` when it is the same as the authcid or was not given.
    pub authzid: Option<Vec<u8>>,
    /// Who they say they are, as typed.
    pub authcid: Vec<u8>,
    /// The proof.
    pub credential: Credential,
}

/// What is offered as proof.
#[derive(Debug)]
pub enum Credential {
    /// The password itself.
    Password(Secret),
    /// Something that only who knows the password can have made.
    Evidence(Arc<Evidence>),
    /// A TLS certificate with the name, which the peer has verified.
    Certificate,
    /// Nothing, and nobody asks for more.
    Anonymous {
        /// What they say of themselves, for the log.
        trace: Option<Box<str>>,
    },
    /// A bearer token of some provider, without the word before it. The name beside it may be empty.
    Token(Secret),
}

impl Credential {
    /// The password itself, for mechanisms that send it.
    pub fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password(password) => Some(password),
            Self::Evidence(_) | Self::Token(_) | Self::Certificate | Self::Anonymous { .. } => None,
        }
    }

    /// The bearer token, for mechanisms that send one.
    pub fn token(&self) -> Option<&Secret> {
        match self {
            Self::Token(token) => Some(token),
            Self::Password(_) | Self::Evidence(_) | Self::Certificate | Self::Anonymous { .. } => None,
        }
    }

    /// What somebody says of themselves who does not say who they are.
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Anonymous { trace } => trace.as_deref(),
            Self::Password(_) | Self::Evidence(_) | Self::Token(_) | Self::Certificate => None,
        }
    }
}

/// Why an exchange leads nowhere. It costs the remote their attempt, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A response breaks its mechanism's grammar.
    Grammar,
    /// The exchange is not bound to the channel that it came over, or not although it could be: somebody may be in the
    /// middle.
    ChannelBinding,
    /// EXTERNAL, and the peer has told of no certificate that it has verified, or of no name in it.
    NoCertificate,
    /// ANONYMOUS, and there is no account for it.
    NobodyAnonymous,
    /// Not the remote's fault: the system has no random numbers.
    NoRandomNumbers,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::Login,
        Self::CramMd5,
        Self::ScramSha1,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha256Plus,
        Self::External,
        Self::Anonymous,
        Self::OAuthBearer,
        Self::XOAuth2,
    ];

    /// Those that are offered where the operator does not say: every kind of directory can serve them.
    pub const DEFAULT: [Self; 2] = [Self::Plain, Self::Login];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::External => "EXTERNAL",
            Self::Anonymous => "ANONYMOUS",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// The mechanism of that name. Case does not matter: Postfix forwards the name as it was typed.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The flags announced with it; Dovecot and Postfix decide by them where the mechanism may be offered.
    pub const fn flags(self) -> &'static [MechFlag] {
        match self {
            // Who reads a token has it, as with a password.
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 => &[MechFlag::Plaintext],
            Self::CramMd5 => &[MechFlag::Dictionary, MechFlag::Active],
            Self::ScramSha1 | Self::ScramSha256 => &[MechFlag::MutualAuth],
            Self::ScramSha1Plus | Self::ScramSha256Plus => &[MechFlag::MutualAuth, MechFlag::ChannelBinding],
            Self::External => &[],
            Self::Anonymous => &[MechFlag::Anonymous],
        }
    }

    /// The same mechanism bound to the TLS channel, if there is one.
    pub const fn bound(self) -> Option<Self> {
        match self {
            Self::ScramSha1 => Some(Self::ScramSha1Plus),
            Self::ScramSha256 => Some(Self::ScramSha256Plus),
            Self::Plain
            | Self::Login
            | Self::CramMd5
            | Self::ScramSha1Plus
            | Self::ScramSha256Plus
            | Self::External
            | Self::Anonymous
            | Self::OAuthBearer
            | Self::XOAuth2 => None,
        }
    }

    /// Whether the exchange is bound to the TLS channel, of which only Dovecot 2.4's login processes can tell.
    pub const fn is_bound(self) -> bool {
        matches!(self, Self::ScramSha1Plus | Self::ScramSha256Plus)
    }

    /// Opens an exchange. `initial` is the initial response, where there was one.
    pub fn start(self, initial: Option<Secret>, around: Circumstances<'_>) -> Result<Step, Breach> {
        let (prompt, exchange): (&'static [u8], _) = match self {
            Self::Plain => (b"", Exchange::Plain(Plain)),
            Self::Login => (Login::PROMPT, Exchange::Login(Login::WantUser)),
            // The server speaks first; a response to nothing is none.
            Self::CramMd5 if initial.as_ref().is_none_or(Secret::is_empty) => return CramMd5::ask(),
            Self::CramMd5 => return Err(Breach::Grammar),
            Self::ScramSha1 | Self::ScramSha1Plus => {
                (b"", Exchange::Scram(Scram::new(self, ScramHash::Sha1, around.binding_offered)))
            }
            Self::ScramSha256 | Self::ScramSha256Plus => {
                (b"", Exchange::Scram(Scram::new(self, ScramHash::Sha256, around.binding_offered)))
            }
            Self::External => (b"", Exchange::External(External::new(around.certificate))),
            Self::Anonymous => (b"", Exchange::Anonymous(Anonymous::new(around.anonymous))),
            Self::OAuthBearer => (b"", Exchange::OAuthBearer(OAuthBearer)),
            Self::XOAuth2 => (b"", Exchange::XOAuth2(XOAuth2)),
        };
        match initial {
            Some(response) => exchange.step(response, None),
            None => Ok(Step::Challenge(Cow::Borrowed(prompt), exchange)),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grammar => "the response does not follow its mechanism",
            Self::ChannelBinding => "the exchange is not bound to the TLS channel as it should be",
            Self::NoCertificate => "no TLS certificate that was verified and has a name",
            Self::NobodyAnonymous => "no account for anonymous logins",
            Self::NoRandomNumbers => "no random numbers",
        })
    }
}

impl Exchange {
    /// Takes the response that was waited for, with the data of the TLS channel if [`Self::binding`] says so.
    pub fn step(self, response: Secret, channel: Option<Secret>) -> Result<Step, Breach> {
        match self {
            Self::Plain(plain) => plain.step(&response).map(Step::Claim),
            Self::Login(login) => login.step(response),
            Self::CramMd5(cram_md5) => cram_md5.step(&response).map(Step::Claim),
            Self::Scram(scram) => scram.step(&response),
            Self::ScramFinal(scram) => scram.step(&response, channel.as_ref()),
            Self::External(external) => external.step(&response).map(Step::Claim),
            Self::Anonymous(anonymous) => anonymous.step(&response).map(Step::Claim),
            Self::OAuthBearer(bearer) => bearer.step(&response).map(Step::Claim),
            Self::XOAuth2(xoauth2) => xoauth2.step(&response).map(Step::Claim),
        }
    }

    /// The type of channel binding data that has to come with the response.
    pub const fn binding(&self) -> Option<&'static str> {
        match self {
            Self::ScramFinal(scram) => scram.binding(),
            Self::Plain(_)
            | Self::Login(_)
            | Self::CramMd5(_)
            | Self::Scram(_)
            | Self::External(_)
            | Self::Anonymous(_)
            | Self::OAuthBearer(_)
            | Self::XOAuth2(_) => None,
        }
    }

    /// The mechanism that is being conducted.
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::Login(_) => Mechanism::Login,
            Self::CramMd5(_) => Mechanism::CramMd5,
            Self::Scram(scram) => scram.mechanism(),
            Self::ScramFinal(scram) => scram.mechanism(),
            Self::External(_) => Mechanism::External,
            Self::Anonymous(_) => Mechanism::Anonymous,
            Self::OAuthBearer(_) => Mechanism::OAuthBearer,
            Self::XOAuth2(_) => Mechanism::XOAuth2,
        }
    }
}

#[cfg(test)]
mod tests;
