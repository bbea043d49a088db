//! Who vouches for tokens: OpenID providers.
//!
//! Only the types that the study needs; nobody is asked yet.

#[cfg(test)]
pub(crate) mod scripted;

use std::{borrow::Cow, fmt, sync::Arc, time::SystemTime};

use gatepost_protocol::secret::Secret;

use crate::config::Template;

/// Who vouches for tokens: all `[[oidc]]` of a configuration.
#[derive(Debug, Default)]
pub struct Providers {
    #[cfg(test)]
    pub(crate) scripted: Option<scripted::Scripted>,
}

/// What a token is good for, as its provider says.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The name of the `[[oidc]]`.
    pub provider: Arc<str>,
    /// The value of its `username_claim`, as it stands there.
    pub username: String,
    /// Whom the client may name besides.
    pub delegates: Vec<String>,
    /// Everything that the token says.
    pub claims: Arc<Claims>,
    /// How it leads to an account.
    pub account: Join,
    /// `exp`, never later.
    pub expires_at: SystemTime,
    /// How that was found out.
    pub how: How,
    /// `sid`.
    pub session: Option<Box<str>>,
    /// `sub`.
    pub subject: Option<Box<str>>,
    /// `iss`.
    pub issuer: Box<str>,
}

/// How a token leads to an account.
#[derive(Debug, Clone)]
pub enum Join {
    /// A directory has to know it.
    Required,
    /// It is made of the claims.
    FromClaims(Arc<FromClaims>),
}

/// What an account is made of, where no directory knows it.
#[derive(Debug)]
pub struct FromClaims {
    /// The fields and the templates over claims that they are made of.
    pub fields: Vec<(String, Template)>,
}

/// How a token was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By its signature.
    Jwt,
    /// By asking the provider (RFC 7662).
    Introspection,
    /// It was given for a password.
    PasswordGrant,
}

/// The claims of a token.
#[derive(Debug, Default)]
pub struct Claims(serde_json::Map<String, serde_json::Value>);

/// Outage nobody vouches for a token.
#[derive(Debug, Clone)]
pub enum NotVouched {
    /// A verdict about the token.
    Rejected {
        /// Who says so.
        provider: Option<Arc<str>>,
        /// Outage.
        why: TokenFault,
        /// From when on they may say otherwise.
        until: Option<SystemTime>,
    },
    /// Nobody could tell.
    Unavailable(Unavailable),
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// No token of any known form.
    Malformed,
    /// The provider says that it is not active.
    Inactive,
    /// `exp` is over.
    Expired,
    /// It was revoked here, or its session has ended.
    Revoked,
    /// No token at all: the provider does not take name and password.
    WrongPassword,
}

/// No answer from a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Which one.
    pub provider: Arc<str>,
    /// Outage, for the log.
    pub why: Outage,
}

/// Outage a provider gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It could not be reached.
    Unreachable,
}

impl Providers {
    /// Nobody.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nobody vouches for any token.
    pub fn is_empty(&self) -> bool {
        #[cfg(test)]
        if self.scripted.is_some() {
            return false;
        }
        true
    }

    /// Checks a token. `domain` is that of the name which the client says.
    ///
    /// # Errors
    ///
    /// It is refused, or nobody could tell.
    pub async fn check(
        &self,
        token: &Secret,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return scripted.check(token, domain, now).await;
        }
        let _ = (token, domain, now);
        Err(NotVouched::Rejected { provider: None, why: TokenFault::Malformed, until: None })
    }
}

impl Providers {
    /// Whether one of them takes passwords of a domain (`password_grant = true`).
    pub fn grants(&self, domain: Option<&str>) -> bool {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return scripted.grants(domain);
        }
        let _ = domain;
        false
    }

    /// Gives name and password to the first provider for the domain that takes them. `None`: there is none.
    pub async fn password(
        &self,
        user: &str,
        password: &Secret,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Option<Result<Vouched, NotVouched>> {
        #[cfg(test)]
        if let Some(scripted) = &self.scripted {
            return Some(scripted.password(user, password, now).await);
        }
        let _ = (user, password, domain, now);
        None
    }
}

impl Claims {
    /// A claim as text, as far as it is one.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.0.get(name)? {
            serde_json::Value::String(text) => Some(Cow::Borrowed(text)),
            value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => {
                Some(Cow::Owned(value.to_string()))
            }
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        }
    }
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it has the form of no token",
            Self::Inactive => "its provider says that it is not active",
            Self::Expired => "it has expired",
            Self::Revoked => "it was revoked",
            Self::WrongPassword => "the provider does not take the password",
        })
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Outage::Unreachable => "it cannot be reached",
        };
        write!(f, "provider {} is unavailable: {why}", self.provider)
    }
}
