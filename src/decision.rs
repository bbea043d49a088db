//! The study: an [`Attempt`] in, a [`Decision`] out. It does not know which protocol asked.
//!
//! A decision is a value with its reason. There is one place where an acceptance is made ([`Engine::decide`]) and
//! it needs a verified password to do so; there is one place, per protocol, where a refusal becomes words.

mod app_password;
mod engine;
mod identity;
mod kick;
mod map;
mod memory;
mod policy;
mod proof;
mod rehash;
mod route;
mod rules;
mod salts;
mod sender;
#[cfg(test)]
mod testing;
mod token;
mod whom;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use gatepost_protocol::dovecot::FailCode;

pub use self::{
    engine::{Engine, Limits},
    identity::Separator,
    kick::Kick,
    map::{Answer, Asker, Maps},
    memory::{Knock, Known, Moment, Now, Recalled, Recollection},
    policy::{Charge, Cost, Counters, Over, Policy, Step, Trip, Tripped, Verdict, Why},
    salts::SaltKey,
    sender::Standing,
    token::{Bearer, Ended, Ledger, Logout, Revocations, Revoked},
    whom::Whom,
};
use crate::{
    account::Account,
    app_password::{Barred, Id, Scope},
    directory::{Unavailable, Uncheckable},
    mechanism::{Breach, Claim, Mechanism},
    oidc::{self, TokenFault},
    password::{Unusable, Unverified},
    username::{InvalidName, Username},
};

/// A login that is to be judged: the claim, and the circumstances under which it was made.
#[derive(Debug)]
pub struct Attempt {
    /// What was claimed.
    pub claim: Claim,
    /// How it was claimed.
    pub mechanism: Mechanism,
    /// What is to be used, as the peer spells it: `imap`, `smtp` ...
    pub service: Box<str>,
    /// The address of the mail user, if the peer told one.
    pub remote: Option<IpAddr>,
    /// The peer's name for the session, for the log.
    pub session: Option<Box<str>>,
    /// Where the remote came in, and on behalf of whom.
    pub hop: Hop,
}

impl Attempt {
    /// The address of a remote that has one which the peer does not tell, or tells as something else. Nobody has it; without
    /// any, `allow_nets=local` would let them in.
    pub const UNKNOWN_REMOTE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
}

/// The server that a remote has reached, as its login process tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hop {
    /// The server's own address. Of a connection that came through a proxy it is the last one's, not the proxy's.
    pub local: Option<IpAddr>,
    /// Its port, as the remote sees it.
    pub port: Option<u16>,
    /// `forward_fields`: what a trusted proxy passed on, as `key=value` between TABs. Goes to the next hop.
    pub forward: Option<Box<[u8]>>,
}

/// What was decided.
#[derive(Debug)]
pub enum Decision {
    /// They are who they say they are, and may come in.
    Accept(Verified),
    /// They may not, or it could not be found out.
    Refuse(Refusal),
}

/// Proof that a credential was checked. Its field is private: only the engine makes one.
pub struct Verified {
    account: Arc<Account>,
    by: By,
    /// What proves to the remote that the password is known here too.
    answer: Option<Vec<u8>>,
    original: Option<Box<[u8]>>,
}

/// What an account was proven by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Its password, or what only who knows it can make.
    Password,
    /// An app password of theirs.
    AppPassword(Box<AppPassword>),
    /// A token, which this provider vouches for.
    Token(Arc<str>),
    /// A TLS certificate that the peer has verified.
    Certificate,
    /// Nothing: it is the account for those who say nothing of themselves.
    Anonymous,
    /// The password of this master user, who may act as its owner.
    Master(Username),
}

/// Which app password it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// Its id: gatepost's own, or the key of a row of another program.
    pub id: Box<str>,
    /// What its owner calls it.
    pub label: Box<str>,
    /// Set for gatepost's own: the last use is noted under it.
    pub own: Option<Id>,
    /// What it is good for.
    pub scope: Scope,
}

/// Why not. The difference between an outage and a wrong password is kept up to the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It has the form of an app password and is none of this user's.
    AppPasswordMismatch(AppMismatch),
    /// An app password of the user is right, and lets nobody in here and now.
    AppPasswordBarred(Box<AppPassword>, Barred),
    /// They may not act as the one they want to act as.
    AuthzDenied,
    /// No account can have this name.
    InvalidName(InvalidName),
    /// A response was none of its mechanism.
    MechanismBreach(Breach),
    /// What is stored of the password cannot serve the mechanism, which needs this.
    NoCredentials(&'static str),
    /// `allow_nets` does not hold the address.
    NetworkDenied,
    /// The password was right once; it has run out.
    PassExpired,
    /// Not the password of this account.
    PasswordMismatch,
    /// The main password may not be used for this service, whether this is the one or not.
    PrimaryPasswordDenied {
        /// What was to be used.
        service: Box<str>,
    },
    /// The account may not use this service.
    ServiceDenied,
    /// A master user is who they say they are, and may not act as the one they want to act as.
    TargetRefused(Target),
    /// Nobody could tell. Says nothing about the user.
    TempFail(TempFail),
    /// A token that is right, of somebody who is not the one that the client names, and may not log in as them.
    TokenOfAnother,
    /// A token that nobody vouches for.
    TokenRejected(TokenFault),
    /// The name leads to more than one account.
    UserAmbiguous,
    /// The account is switched off.
    UserDisabled,
    /// The directory has locked the account for a time, whatever the password.
    UserLocked,
    /// No directory knows the name.
    UserUnknown,
}

/// Why a master user may not act as somebody. For the log, and for the master user no more than that it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The directory of the master user does not let them.
    NotAllowed,
    /// No directory knows the name.
    Unknown,
    /// The name leads to more than one account.
    Ambiguous,
    /// The account is switched off.
    Disabled,
    /// The account has expired.
    Expired,
    /// The account may not use the service.
    Service,
    /// The account's `allow_nets` does not hold the address.
    Network,
}

/// Why it is no app password of this user. For the log alone: to the remote they are all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppMismatch {
    /// Characters are wrong, missing or too many.
    Mistyped,
    /// There is none like it, or no longer.
    Unknown,
    /// It is right, and somebody else's.
    OfAnother,
}

/// Why nobody could tell. For the log; a peer learns only that it is temporary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TempFail {
    /// A directory gave no answer.
    Directory(Unavailable),
    /// The stored password of the account cannot be verified by this version, or not at all.
    Stored(Unusable),
    /// The password could not be hashed.
    Hashing(Unverified),
    /// A provider of tokens gave no answer.
    Provider(oidc::Unavailable),
    /// A token was shown, and there is no provider that could be asked about it.
    NoProvider,
    /// A part of the daemon failed on this request.
    Panicked,
    /// The answer took longer than peers wait.
    Deadline,
    /// As many requests as one connection may have are in flight, or as many questions as may be asked at once.
    TooManyRequests,
    /// The daemon is on its way out.
    Stopping,
}

impl From<Uncheckable> for TempFail {
    fn from(why: Uncheckable) -> Self {
        match why {
            Uncheckable::Stored(unusable) => Self::Stored(unusable),
            Uncheckable::Elsewhere(unavailable) => Self::Directory(unavailable),
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The answer would be enough to guess passwords with.
        f.debug_struct("Verified")
            .field("account", &self.account)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

impl Verified {
    /// The account that was proven.
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What it was proven by.
    pub const fn by(&self) -> &By {
        &self.by
    }

    /// What the mechanism says last, so that the remote knows whom it has spoken with (SCRAM's `ServerSignature`).
    pub fn answer(&self) -> Option<&[u8]> {
        self.answer.as_deref()
    }

    /// The master user who acts as its owner.
    pub const fn master(&self) -> Option<&Username> {
        match &self.by {
            By::Master(master) => Some(master),
            By::Password | By::AppPassword(_) | By::Token(_) | By::Certificate | By::Anonymous => None,
        }
    }

    /// The name of who proved it, as it was typed; `None` where that is the canonical name of the account.
    pub fn original(&self) -> Option<&[u8]> {
        self.original.as_deref()
    }

    /// The canonical name of the account.
    pub fn user(&self) -> &Username {
        &self.account.user
    }
}

impl By {
    /// The app password, if it was one.
    pub fn app_password(&self) -> Option<&AppPassword> {
        match self {
            Self::Password | Self::Token(_) | Self::Certificate | Self::Anonymous | Self::Master(_) => None,
            Self::AppPassword(which) => Some(which),
        }
    }

    /// The provider that vouches for the token, if it was one.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::Password | Self::AppPassword(_) | Self::Certificate | Self::Anonymous | Self::Master(_) => {
                None
            }
            Self::Token(provider) => Some(provider),
        }
    }
}

impl Refusal {
    /// What Dovecot may learn. An unknown user and a wrong password look alike, and must.
    pub const fn fail_code(&self) -> Option<FailCode> {
        match self {
            Self::AuthzDenied | Self::TargetRefused(_) => Some(FailCode::AuthzFail),
            Self::PassExpired => Some(FailCode::PassExpired),
            Self::AppPasswordMismatch(_)
            | Self::AppPasswordBarred(..)
            | Self::InvalidName(_)
            | Self::MechanismBreach(_)
            | Self::NoCredentials(_)
            | Self::NetworkDenied
            | Self::PasswordMismatch
            | Self::PrimaryPasswordDenied { .. }
            | Self::ServiceDenied
            | Self::TokenOfAnother
            | Self::TokenRejected(_)
            | Self::UserAmbiguous
            | Self::UserLocked
            | Self::UserUnknown => None,
            Self::TempFail(_) => Some(FailCode::TempFail),
            Self::UserDisabled => Some(FailCode::UserDisabled),
        }
    }

    /// The app password that was right, and let nobody in.
    pub fn app_password(&self) -> Option<&AppPassword> {
        if let Self::AppPasswordBarred(which, _) = self { Some(which) } else { None }
    }

    /// The outcome in one word, for logs and `--json`.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::AppPasswordMismatch(_) | Self::PasswordMismatch => "rejected",
            Self::AppPasswordBarred(..) => "app_password_denied",
            Self::AuthzDenied => "authz_denied",
            Self::InvalidName(_) => "invalid_name",
            Self::MechanismBreach(_) => "mechanism_breach",
            Self::NoCredentials(_) => "no_credentials",
            Self::NetworkDenied => "network_denied",
            Self::PassExpired => "expired",
            Self::PrimaryPasswordDenied { .. } => "primary_password_denied",
            Self::ServiceDenied => "service_denied",
            Self::TargetRefused(_) => "target_refused",
            Self::TempFail(_) => "unavailable",
            Self::TokenOfAnother => "token_of_another",
            Self::TokenRejected(_) => "token_rejected",
            Self::UserAmbiguous => "ambiguous",
            Self::UserDisabled => "disabled",
            Self::UserLocked => "locked",
            Self::UserUnknown => "no_such_user",
        }
    }

    /// Whether this says nothing about the user and must not be held against them.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::TempFail(_))
    }
}

impl Decision {
    /// The outcome in one word, for logs and `--json`.
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Accept(_) => "verified",
            Self::Refuse(refusal) => refusal.outcome(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppPasswordMismatch(why) => write!(f, "{why}; no directory was asked about it"),
            Self::AppPasswordBarred(_, why) => write!(f, "the app password {why}"),
            Self::AuthzDenied => f.write_str("may not act as the requested user"),
            Self::InvalidName(why) => write!(f, "not a login name: {why}"),
            Self::MechanismBreach(why) => why.fmt(f),
            Self::NoCredentials(needed) => {
                write!(f, "no {needed} credentials: the password is stored otherwise")
            }
            Self::NetworkDenied => f.write_str("allow_nets does not hold the remote address"),
            Self::PassExpired => f.write_str("the password has expired"),
            Self::PasswordMismatch => f.write_str("wrong password"),
            Self::PrimaryPasswordDenied { service } => {
                // Whatever else a peer calls a service is in a field of its own, where it cannot pass for another one.
                let plain = !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let service = if plain { service } else { "this service" };
                write!(f, "the main password may not be used for {service}: use an app password")
            }
            Self::ServiceDenied => f.write_str("the account may not use this service"),
            Self::TargetRefused(why) => write!(f, "the master user may not act as this user: {why}"),
            Self::TempFail(why) => write!(f, "temporary failure: {why}"),
            Self::TokenOfAnother => {
                f.write_str("the token is of somebody else than the one that the client names")
            }
            Self::TokenRejected(why) => write!(f, "the token is no good: {why}"),
            Self::UserAmbiguous => f.write_str("the name leads to several accounts of one directory"),
            Self::UserDisabled => f.write_str("the account is disabled"),
            Self::UserLocked => f.write_str("the directory has locked the account for a time"),
            Self::UserUnknown => f.write_str("no directory knows this name"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAllowed => "the targets of their directory do not name them",
            Self::Unknown => "no directory knows this name",
            Self::Ambiguous => "the name leads to several accounts of one directory",
            Self::Disabled => "the account is disabled",
            Self::Expired => "the account has expired",
            Self::Service => "the account may not use this service",
            Self::Network => "allow_nets of the account does not hold the remote address",
        })
    }
}

impl fmt::Display for AppMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mistyped => "a mistyped app password",
            Self::Unknown => "an app password that does not exist",
            Self::OfAnother => "the app password of another user",
        })
    }
}

impl fmt::Display for TempFail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(unavailable) => unavailable.fmt(f),
            Self::Stored(unusable) => write!(f, "the stored password: {unusable}"),
            Self::Hashing(unverified) => unverified.fmt(f),
            Self::Provider(unavailable) => unavailable.fmt(f),
            Self::NoProvider => f.write_str("there is no provider that could be asked about tokens"),
            Self::Panicked => f.write_str("a part of the daemon failed on this request"),
            Self::Deadline => f.write_str("no answer within the deadline"),
            Self::TooManyRequests => f.write_str("too many requests in flight"),
            Self::Stopping => f.write_str("the daemon is stopping"),
        }
    }
}

#[cfg(test)]
mod tests;
