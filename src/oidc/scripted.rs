//! Providers that say what a test has them say, and count how often they are asked.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use gatepost_protocol::secret::Secret;

use super::{
    Claims, How, Join, LoggedOut, NotVouched, Outage, Providers, TokenFault, Unavailable, Vouched, rejected,
};

type Says = dyn Fn(&[u8], Option<&str>, SystemTime) -> Result<Vouched, NotVouched> + Send + Sync;

/// What is said of tokens, and how long that takes.
pub(crate) struct Scripted {
    says: Box<Says>,
    takes: Duration,
    asked: AtomicUsize,
    /// The domain whose passwords are taken. What is said of them is what is said of `name NUL password`.
    pub(crate) grants: Option<&'static str>,
}

impl Providers {
    /// Providers that say this, after a while.
    pub(crate) fn scripted(
        takes: Duration,
        says: impl Fn(&[u8], Option<&str>, SystemTime) -> Result<Vouched, NotVouched> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let scripted = Scripted { says: Box::new(says), takes, asked: AtomicUsize::new(0), grants: None };
        let mut providers = Self::none();
        providers.scripted = Some(scripted);
        Arc::new(providers)
    }

    /// The same, taking passwords of a domain.
    pub(crate) fn granting(self: Arc<Self>, domain: &'static str) -> Arc<Self> {
        let mut providers = Arc::into_inner(self).expect("nobody else has it yet");
        providers.scripted.as_mut().expect("it is scripted").grants = Some(domain);
        Arc::new(providers)
    }

    /// How often they were asked.
    pub(crate) fn asked(&self) -> usize {
        self.scripted.as_ref().map_or(0, |scripted| scripted.asked.load(Ordering::SeqCst))
    }
}

impl Scripted {
    pub(super) fn grants(&self, domain: Option<&str>) -> bool {
        self.grants.is_some() && self.grants == domain
    }

    pub(super) async fn password(
        &self,
        user: &str,
        password: &Secret,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        let both = Secret::new([user.as_bytes(), b"\0", password.expose()].concat());
        self.check(&both, None, now).await
    }

    pub(super) async fn check(
        &self,
        token: &Secret,
        domain: Option<&str>,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Said before the wait: an answer is as old as its question.
        let said = (self.says)(token.expose(), domain, now);
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        said
    }
}

impl Claims {
    /// These.
    pub(crate) fn of(claims: serde_json::Value) -> Self {
        let serde_json::Value::Object(claims) = claims else { panic!("claims are an object") };
        Self::new(claims)
    }
}

/// What a provider `idp` says of a good token of this user.
pub(crate) fn vouched(username: &str, expires_at: SystemTime, claims: serde_json::Value) -> Vouched {
    Vouched {
        provider: "idp".into(),
        username: username.to_owned(),
        delegates: Vec::new(),
        claims: Arc::new(Claims::of(claims)),
        account: Join::Required,
        expires_at,
        how: How::Introspection,
        session: None,
        subject: Some(username.into()),
        issuer: "https://id.example.org".into(),
    }
}

/// What a provider `idp` tells of a logout: `forged` is no word of its own, of `away` nobody can tell, and any other text is
/// the subject who has logged out everywhere, and the id.
pub(super) fn logged_out(token: &Secret) -> Result<LoggedOut, NotVouched> {
    let provider: Arc<str> = "idp".into();
    let text = String::from_utf8_lossy(token.expose());
    match &*text {
        "" | "forged" => Err(rejected(TokenFault::Signature)),
        "away" => Err(NotVouched::Unavailable(Unavailable { provider, why: Outage::Unreachable })),
        subject => Ok(LoggedOut {
            provider,
            issuer: "https://id.example.org".into(),
            subject: Some(subject.into()),
            session: None,
            id: subject.into(),
        }),
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted(..)")
    }
}
