//! One provider: what is known of it, and how it is asked.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use jsonwebtoken::Algorithm;
use tracing::{debug, info, warn};

use super::{
    answer::{FromClaims, How, Join, NotVouched, Outage, TokenFault, Unavailable, Vouched},
    claims::Claims,
    client::Credentials,
    discovery::{self, Endpoints},
    fetched::{AGAIN, Fetch, Fetched},
    http::{Again, Http},
    jwt::{Front, Header},
    keys::Keys,
    rules::{self, Fault},
};
use crate::{
    config::{AccountOf, Oidc, Validation},
    tls::NoRoots,
};

pub(super) mod introspect;
mod logout;
mod password;

/// How often the log repeats that something is to be mended.
const REMIND: Duration = Duration::from_secs(60);

/// How often it is asked whether it has other endpoints and keys now.
const REFRESH: Duration = Duration::from_secs(3600);

/// The same where the last time failed.
const REFRESH_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// One `[[oidc]]` at work.
pub(super) struct Provider {
    config: Arc<Oidc>,
    /// What bare names are completed with.
    default_domain: Option<Box<str>>,
    account: Join,
    credentials: Option<Credentials>,
    http: Arc<Http>,
    endpoints: Fetched<Endpoints>,
    keys: Fetched<Keys>,
    told: Mutex<Option<(Outage, Instant)>>,
    asked: Asked,
}

/// How often it was asked.
#[derive(Default)]
struct Asked {
    discoveries: AtomicU64,
    key_sets: AtomicU64,
    introspections: AtomicU64,
    passwords: AtomicU64,
}

/// How often a provider was asked since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The `name` of the `[[oidc]]`.
    pub provider: Arc<str>,
    /// For its discovery document.
    pub discoveries: u64,
    /// For its keys.
    pub key_sets: u64,
    /// About a token.
    pub introspections: u64,
    /// About a password.
    pub passwords: u64,
}

/// Why somebody is not vouched for by this provider.
pub(super) enum Not {
    Rejected(Fault),
    Unavailable(Outage),
}

impl Provider {
    pub(super) fn new(config: &Arc<Oidc>, default_domain: Option<&str>) -> Result<Self, NoRoots> {
        let tls = crate::tls::client(config.ca_file.as_deref())?;
        let account = match &config.account {
            AccountOf::Required => Join::Required,
            AccountOf::FromClaims { fields } => {
                Join::FromClaims(Arc::new(FromClaims { fields: fields.clone() }))
            }
        };
        Ok(Self {
            config: Arc::clone(config),
            default_domain: default_domain.map(Into::into),
            account,
            credentials: config.client_auth.as_ref().map(Credentials::new),
            http: Arc::new(Http::new(tls, config.proxy.clone(), config.timeout)),
            endpoints: Fetched::new(),
            keys: Fetched::new(),
            told: Mutex::default(),
            asked: Asked::default(),
        })
    }

    pub(super) fn config(&self) -> &Oidc {
        &self.config
    }

    /// Whether it is asked about people of `domain`, which must be normalised. `None`: nobody said whose token it is.
    pub(super) fn serves(&self, domain: Option<&str>) -> bool {
        let covers = |domain| self.config.domains.iter().any(|pattern| pattern.matches(domain));
        self.config.domains.is_empty() || domain.is_some_and(covers)
    }

    pub(super) fn introspects(&self) -> bool {
        self.config.validation != Validation::Jwt
    }

    /// Whether signed tokens of its own are verified here, and not asked about.
    pub(super) fn verifies(&self) -> bool {
        self.config.validation != Validation::Introspection
    }

    /// Checks a signed token, whose issuer is this provider.
    pub(super) async fn jwt(&self, front: Front<'_>, now: SystemTime) -> Result<Vouched, NotVouched> {
        let checked = self.checked(&front, now).await.map_err(|not| self.not(not))?;
        self.vouched(front.claims, checked, How::Jwt).map_err(|not| self.not(not))
    }

    async fn checked(&self, front: &Front<'_>, now: SystemTime) -> Result<SystemTime, Not> {
        let algorithm = rules::header(&self.config, &front.header, &self.config.token_types)?;
        // Before its signature: a verdict against it needs no proof that it was signed, and costs less this way.
        let expires_at = rules::access(&self.config, &front.claims, now)?;
        self.signed(front, algorithm, now).await?;
        Ok(expires_at)
    }

    /// Whether this provider has signed it.
    async fn signed(&self, front: &Front<'_>, algorithm: Algorithm, now: SystemTime) -> Result<(), Not> {
        let Header { kid, .. } = &front.header;
        let verifies = |keys: &Keys| {
            let key = keys.find(kid.as_deref(), algorithm).ok_or(TokenFault::UnknownKey)?;
            if key.verifies(front.signed, front.signature, algorithm) {
                Ok(())
            } else {
                Err(TokenFault::Signature)
            }
        };
        let keys = self.keys.get(|| self.fetch_keys()).await?;
        let Err(fault) = verifies(&keys) else { return Ok(()) };
        // The provider may have begun to use a key that it has not shown us yet, some even under the old name.
        let rejected = |why| Not::Rejected(Fault { why, until: now.checked_add(AGAIN) });
        match self.keys.newer(Some(&keys), || self.fetch_keys()).await {
            Ok(Some(newer)) => verifies(&newer).map_err(rejected),
            Ok(None) => Err(rejected(fault)),
            // Hardly ever is it another key of the same name: it is forged.
            Err(_) if fault == TokenFault::Signature && kid.is_some() => Err(rejected(fault)),
            Err(outage) => Err(outage.into()),
        }
    }

    /// What comes of claims that are to be believed.
    fn vouched(&self, claims: Claims, expires_at: SystemTime, how: How) -> Result<Vouched, Not> {
        let (username, delegates) = rules::owner(&self.config, &claims, self.default_domain.as_deref())?;
        Ok(Vouched {
            provider: Arc::clone(&self.config.name),
            username,
            delegates,
            account: self.account.clone(),
            expires_at,
            how,
            session: claims.string("sid").map(Into::into),
            subject: claims.string("sub").map(Into::into),
            issuer: self.config.issuer.clone(),
            claims: Arc::new(claims),
        })
    }

    async fn endpoint(
        &self,
        configured: Option<&str>,
        of: impl Fn(&Endpoints) -> Option<&str>,
    ) -> Result<Box<str>, Outage> {
        if let Some(endpoint) = configured {
            return Ok(endpoint.into());
        }
        let known = self.endpoints.get(|| self.discover()).await?;
        of(&known).map(Into::into).ok_or(Outage::NoEndpoint)
    }

    fn discover(&self) -> Fetch<'_, Endpoints> {
        Box::pin(async {
            self.asked.discoveries.fetch_add(1, Ordering::Relaxed);
            discovery::discover(&self.http, &self.config.issuer).await
        })
    }

    fn fetch_keys(&self) -> Fetch<'_, Keys> {
        Box::pin(self.key_set())
    }

    async fn key_set(&self) -> Result<Keys, Outage> {
        let configured = self.config.jwks_uri.as_deref();
        let place = self.endpoint(configured, |endpoints| endpoints.keys.as_deref()).await?;
        self.asked.key_sets.fetch_add(1, Ordering::Relaxed);
        let answer = self.http.ask(discovery::get(&place)?, Again::Maybe).await?;
        if !answer.status().is_success() {
            return Err(Outage::Status(answer.status().as_u16()));
        }
        let keys = Keys::parse(answer.body(), &self.config.algorithms).ok_or(Outage::Garbled)?;
        // It would be as if all tokens were forged.
        if keys.is_empty() { Err(Outage::NoKeys) } else { Ok(keys) }
    }

    /// Keeps what is known of it fresh. Never ends.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let refreshed = self.refresh().await;
            if let Err(outage) = refreshed {
                self.tell(outage);
            }
            tokio::time::sleep(if refreshed.is_ok() { REFRESH } else { REFRESH_AFTER_FAILURE }).await;
        }
    }

    async fn refresh(&self) -> Result<(), Outage> {
        let Oidc { validation, password_grant, jwks_uri, introspection_endpoint, token_endpoint, .. } =
            &*self.config;
        let signed = *validation != Validation::Introspection || *password_grant;
        let all_configured = (!signed || jwks_uri.is_some())
            && (!self.introspects() || introspection_endpoint.is_some())
            && (!password_grant || token_endpoint.is_some());
        if !all_configured {
            self.endpoints.refresh(self.discover()).await?;
        }
        if signed { self.keys.refresh(self.fetch_keys()).await } else { Ok(()) }
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            provider: Arc::clone(&self.config.name),
            discoveries: count(&self.asked.discoveries),
            key_sets: count(&self.asked.key_sets),
            introspections: count(&self.asked.introspections),
            passwords: count(&self.asked.passwords),
        }
    }

    fn not(&self, not: Not) -> NotVouched {
        let provider = Arc::clone(&self.config.name);
        match not {
            Not::Rejected(Fault { why, until }) => {
                NotVouched::Rejected { provider: Some(provider), why, until }
            }
            Not::Unavailable(why) => {
                self.tell(why);
                NotVouched::Unavailable(Unavailable { provider, why })
            }
        }
    }

    /// Writes into the log that it does not answer, or that somebody has something to mend; once in a while, as any
    /// token makes it happen again.
    fn tell(&self, outage: Outage) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|(before, when)| before == outage && when.elapsed() < REMIND) {
                return;
            }
            *told = Some((outage, Instant::now()));
        }
        let provider = &*self.config.name;
        if outage.is_a_fault() {
            warn!(provider, why = %outage, "a provider of tokens needs somebody to look");
        } else if outage == Outage::Resting || outage == Outage::Busy {
            debug!(provider, why = %outage, "a provider of tokens is spared");
        } else {
            info!(provider, why = %outage, "a provider of tokens does not answer");
        }
    }
}

impl From<Fault> for Not {
    fn from(fault: Fault) -> Self {
        Self::Rejected(fault)
    }
}

impl From<TokenFault> for Not {
    fn from(why: TokenFault) -> Self {
        Self::Rejected(why.into())
    }
}

impl From<Outage> for Not {
    fn from(outage: Outage) -> Self {
        Self::Unavailable(outage)
    }
}

#[cfg(test)]
mod tests;
