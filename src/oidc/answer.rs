//! What providers answer: vouched for, not vouched for, or nobody could tell.

use std::{fmt, sync::Arc, time::SystemTime};

use super::claims::Claims;
use crate::config::Template;

/// A provider vouches for the owner of a token.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The `name` of the `[[oidc]]`.
    pub provider: Arc<str>,
    /// The value of its `username_claim`, as it stands there. Its domain is one that the provider may vouch for.
    pub username: String,
    /// Whom the owner may log in as besides, from the claims of `delegates`, as they stand there. All in domains that
    /// the provider may vouch for.
    pub delegates: Vec<String>,
    /// Everything that the provider says of the owner.
    pub claims: Arc<Claims>,
    /// How it leads to an account.
    pub account: Join,
    /// `exp`. Nothing may be believed any longer than this, whatever a cache would like.
    pub expires_at: SystemTime,
    /// How it was found out.
    pub how: How,
    /// `sid`: the session at the provider, for its logout.
    pub session: Option<Box<str>>,
    /// `sub`: the owner, as the provider names them for ever.
    pub subject: Option<Box<str>>,
    /// `iss`: whose `sid` and `sub` these are.
    pub issuer: Box<str>,
}

/// How a token leads to an account.
#[derive(Debug, Clone)]
pub enum Join {
    /// `account = "required"`: the directories know it.
    Required,
    /// `account = "from_claims"`: it is made of the claims.
    FromClaims(Arc<FromClaims>),
}

/// `[oidc.fields]`.
#[derive(Debug, PartialEq, Eq)]
pub struct FromClaims {
    /// What the peer gets, in the order of the file. Holes are for claims, `user`, `local` and `domain`.
    pub fields: Vec<(String, Template)>,
}

/// How it was found out that a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// By its signature, with a key that the provider has published.
    Jwt,
    /// The provider was asked about it (RFC 7662).
    Introspection,
    /// There was none: the provider was given name and password (RFC 6749 4.3).
    PasswordGrant,
}

/// Nobody vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotVouched {
    /// A verdict about the token.
    Rejected {
        /// Whose verdict; `None` where it was clear before anybody was asked.
        provider: Option<Arc<str>>,
        /// What is wrong.
        why: TokenFault,
        /// From when on the verdict could be another. `None`: not while the token is what it is, or nobody knows.
        until: Option<SystemTime>,
    },
    /// Nobody could tell. Says nothing about the token.
    Unavailable(Unavailable),
}

/// What is wrong with a token. The remote learns none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// It is no token, or one that nobody can read.
    Malformed,
    /// No provider is for this name or this kind of token.
    Unrouted,
    /// It is of a type that does not let anybody in: an ID, refresh or logout token, or one that is not listed.
    Type,
    /// It is not signed, or in a way that is not allowed.
    Algorithm,
    /// It demands (`crit`) what gatepost does not know.
    Critical,
    /// It is signed with a key that the provider does not publish.
    UnknownKey,
    /// Its signature is wrong.
    Signature,
    /// It is somebody else's.
    Issuer,
    /// It is for some other program.
    Audience,
    /// It was given to a program that is not allowed here.
    Client,
    /// It lacks a scope.
    Scope,
    /// It is only good together with a key that mail programs cannot show (`cnf`: RFC 7800, RFC 8705, RFC 9449).
    Bound,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// This claim is missing, or no value of its kind.
    Claim(&'static str),
    /// The claim with the user's name is missing or empty.
    Username,
    /// The owner's address was never verified, so that it may be anybody's.
    EmailUnverified,
    /// It names somebody for whom this provider cannot vouch.
    Domain,
    /// The provider says that it is not good, or not any more.
    Inactive,
    /// It was good until it, its session or its owner was revoked here.
    Revoked,
    /// No token at all: the provider does not take name and password.
    WrongPassword,
}

/// A provider could not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The `name` of the `[[oidc]]`.
    pub provider: Arc<str>,
    /// Why.
    pub why: Outage,
}

/// Why a provider could not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outage {
    /// As many questions as it may get at once are waiting for it.
    Busy,
    /// It did not answer a moment ago, and somebody is finding out whether it does again.
    Resting,
    /// It did not answer in time.
    TimedOut,
    /// It cannot be reached.
    Unreachable,
    /// The proxy does not let anybody through.
    Proxy,
    /// Whoever answers cannot prove to be it.
    Tls,
    /// It ended the connection without an answer.
    Lost,
    /// It answered with this status of HTTP.
    Status(u16),
    /// It sends gatepost elsewhere, where no token goes.
    Redirected,
    /// Its answer is longer than any honest one.
    TooLarge,
    /// Its answer is no JSON, or not the JSON that it should be.
    Garbled,
    /// It does not let gatepost ask: the client's id, secret or key is wrong, or lacks a permission.
    Refused,
    /// It does not tell of tokens of this kind.
    Unsupported,
    /// It says that it is another issuer than the configuration says.
    OtherIssuer,
    /// It has no such endpoint, or none that is safe to ask.
    NoEndpoint,
    /// It publishes no key that could be used.
    NoKeys,
    /// It does not say whose password it has verified.
    NoClaims,
}

impl Outage {
    /// Whether it is for an operator to mend, here or there, and no mere weather.
    pub(super) const fn is_a_fault(self) -> bool {
        match self {
            Self::Busy | Self::Resting | Self::TimedOut | Self::Unreachable | Self::Lost => false,
            Self::Proxy
            | Self::Tls
            | Self::Status(_)
            | Self::Redirected
            | Self::TooLarge
            | Self::Garbled
            | Self::Refused
            | Self::Unsupported
            | Self::OtherIssuer
            | Self::NoEndpoint
            | Self::NoKeys
            | Self::NoClaims => true,
        }
    }
}

/// What the error challenge of OAUTHBEARER tells of a provider (RFC 7628 3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Where its discovery document is.
    pub configuration: Box<str>,
    /// The scopes that a token needs, with a blank between them.
    pub scope: Box<str>,
}

/// Who is logged out (OpenID Connect Back-Channel Logout 1.0 2.4). At least one of subject and session is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// The `name` of the `[[oidc]]`.
    pub provider: Arc<str>,
    /// `iss`
    pub issuer: Box<str>,
    /// `sub`: with no session, all of theirs end.
    pub subject: Option<Box<str>>,
    /// `sid`
    pub session: Option<Box<str>>,
    /// `jti`: for whoever wants to know whether it was told before.
    pub id: Box<str>,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
            Self::PasswordGrant => "password grant",
        })
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Malformed => "it is no token that can be read",
            Self::Unrouted => "no provider is for it",
            Self::Type => "it is a token of another type",
            Self::Algorithm => "it is not signed in a way that is allowed",
            Self::Critical => "it demands an extension",
            Self::UnknownKey => "it is signed with a key that the provider does not publish",
            Self::Signature => "its signature is wrong",
            Self::Issuer => "it is of another issuer",
            Self::Audience => "it is for another audience",
            Self::Client => "it was given to another client",
            Self::Scope => "it lacks a scope",
            Self::Bound => "it is bound to a key",
            Self::Expired => "it has expired",
            Self::NotYet => "it is not valid yet",
            Self::Claim(name) => return write!(f, "its claim {name} is missing or no value of its kind"),
            Self::Username => "it does not say whose it is",
            Self::EmailUnverified => "its owner's address is not verified",
            Self::Domain => "it names somebody outside the provider's domains",
            Self::Inactive => "the provider says that it is not active",
            Self::Revoked => "it was revoked",
            Self::WrongPassword => "the provider does not take the password",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Busy => "too many questions are waiting for it",
            Self::Resting => "it did not answer a moment ago",
            Self::TimedOut => "it does not answer in time",
            Self::Unreachable => "it cannot be reached",
            Self::Proxy => "the proxy makes no way to it",
            Self::Tls => "its certificate cannot be verified, or it speaks no TLS",
            Self::Lost => "it ended the connection without an answer",
            Self::Status(code) => return write!(f, "it answers with status {code}"),
            Self::Redirected => "it wants gatepost to ask elsewhere",
            Self::TooLarge => "its answer is too long",
            Self::Garbled => "its answer is not the JSON that it should be",
            Self::Refused => {
                "it refuses gatepost: check client_id, the secret or key, and what the client may do"
            }
            Self::Unsupported => "it does not tell of signed tokens: check validation",
            Self::OtherIssuer => "it says that it is another issuer than the configuration says",
            Self::NoEndpoint => "it names no endpoint of https for this",
            Self::NoKeys => "it publishes no key that could be used",
            Self::NoClaims => "it does not say whose password it was",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider {} is unavailable: {}", self.provider, self.why)
    }
}

impl fmt::Display for NotVouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { provider: Some(provider), why, .. } => write!(f, "provider {provider}: {why}"),
            Self::Rejected { provider: None, why, .. } => why.fmt(f),
            Self::Unavailable(unavailable) => unavailable.fmt(f),
        }
    }
}

impl std::error::Error for Outage {}
impl std::error::Error for Unavailable {}
impl std::error::Error for NotVouched {}
