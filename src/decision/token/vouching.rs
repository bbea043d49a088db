//! What is kept of a token that a provider vouches for.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use crate::{
    account::Account,
    cache::Digest,
    decision::Engine,
    directory::{Directory, Unavailable, account_of_claims},
    oidc::{self, Claims, How, Join},
    username::{InvalidName, Username},
};

/// What a token is good for: what its provider says, as far as it is needed again. Never the token.
#[derive(Debug)]
pub(super) struct Vouching {
    pub(super) provider: Arc<str>,
    /// Whose it is.
    pub(super) user: Result<Username, InvalidName>,
    /// Whom they may log in as besides.
    pub(super) delegates: Box<[Username]>,
    pub(super) source: Source,
    pub(super) expires_at: SystemTime,
    /// `iat`, if it says so.
    pub(super) issued_at: Option<SystemTime>,
    /// How that is known.
    pub(super) how: How,
    pub(super) issuer: Box<str>,
    pub(super) subject: Option<Box<str>>,
    pub(super) session: Option<Box<str>>,
    /// Of the token.
    pub(super) digest: Digest,
    /// The canonical name of its user, where that is another one and has been found out.
    canonical: OnceLock<Username>,
}

/// Where the account of its user is.
#[derive(Debug)]
pub(super) enum Source {
    /// Known to the directories, or nowhere.
    Directories,
    /// The same, and where they are not, one of them is to make them.
    Provisioned(Provision),
    /// Made of what the token says, if it could be.
    Made(Result<Arc<Account>, Unavailable>),
}

/// Where a user is made, and of what.
#[derive(Debug)]
pub(super) struct Provision {
    pub(super) directory: Directory,
    /// What the token says of each claim that the directory wants to know.
    pub(super) claims: Box<[Option<String>]>,
}

impl Vouching {
    /// Whether that is known by a signature. Then it is checked again for little, and without anybody's help.
    pub(super) fn is_signed(&self) -> bool {
        self.how == How::Jwt
    }

    /// Whether the token has ended.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        now >= self.expires_at
    }

    /// Takes note of the canonical name of its user.
    pub(super) fn belongs_to(&self, canonical: &Username) {
        if self.canonical.get().is_none() {
            // Somebody else may have been faster, and has found out the same.
            let _ = self.canonical.set(canonical.clone());
        }
    }

    /// The name that its user goes by: the canonical one, where that is known.
    pub(super) fn owner(&self) -> Option<&Username> {
        self.canonical.get().or(self.user.as_ref().ok())
    }

    /// Whether `whom` says so of its user, by one of their names.
    pub(super) fn is_of(&self, whom: impl Fn(&str) -> bool) -> bool {
        self.user.as_ref().is_ok_and(|user| whom(user.as_str()))
            || self.canonical.get().is_some_and(|canonical| whom(canonical.as_str()))
    }

    /// Bytes of memory that it takes, more or less.
    pub(super) fn weight(&self) -> usize {
        /// An account with no fields to speak of.
        const ACCOUNT: usize = 400;
        let texts = [Some(&self.issuer), self.subject.as_ref(), self.session.as_ref()];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
        let users = self.user.iter().chain(&self.delegates).chain(self.canonical.get());
        let users: usize = users.map(|user| size_of::<Username>() + 32 + user.as_str().len()).sum();
        let account = match &self.source {
            Source::Directories | Source::Made(Err(_)) => 0,
            Source::Provisioned(provision) => {
                provision.claims.iter().map(|claim| 32 + claim.as_ref().map_or(0, String::len)).sum()
            }
            Source::Made(Ok(account)) => {
                ACCOUNT + account.passdb.as_fields().raw().len() + account.userdb.as_fields().raw().len()
            }
        };
        size_of::<Self>() + texts + users + account
    }
}

impl Engine {
    /// What is to be kept of an answer.
    pub(super) fn vouching(&self, vouched: oidc::Vouched, digest: Digest) -> Vouching {
        let user = self.normalise(vouched.username.as_bytes());
        let delegates = vouched.delegates.iter();
        // Who is no login name is nobody's delegate.
        let delegates = delegates.filter_map(|name| self.normalise(name.as_bytes()).ok()).collect();
        let source = match (&vouched.account, &user) {
            (Join::FromClaims(recipe), Ok(user)) => {
                let claims = &vouched.claims;
                let text = |name: &str| claims.text(name);
                let domain = self.default_domain();
                let made = account_of_claims(&vouched.provider, &recipe.fields, domain, user, text);
                Source::Made(made.map(Arc::new))
            }
            (Join::Required, Ok(user)) => match self.chain.provisioner(user) {
                Some(directory) => Source::Provisioned(provision(directory, &vouched.claims)),
                None => Source::Directories,
            },
            (Join::Required | Join::FromClaims(_), Err(_)) => Source::Directories,
        };
        Vouching {
            user,
            delegates,
            source,
            issued_at: vouched.claims.issued_at(),
            provider: vouched.provider,
            expires_at: vouched.expires_at,
            how: vouched.how,
            issuer: vouched.issuer,
            subject: vouched.subject,
            session: vouched.session,
            digest,
            canonical: OnceLock::new(),
        }
    }
}

/// What a directory is to be told of a new user. A NUL is no text to PostgreSQL.
fn provision(directory: &Directory, claims: &Claims) -> Provision {
    let text = |name: &String| claims.text(name).filter(|text| !text.contains('\0')).map(Cow::into_owned);
    let claims = directory.provision_claims().unwrap_or_default().iter().map(text).collect();
    Provision { directory: directory.clone(), claims }
}
