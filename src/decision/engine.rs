//! The whole policy on one page, in the order in which it is applied.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatepost_protocol::secret::Secret;

use super::{
    Attempt, By, Decision, Hop, Now, Recollection, Refusal, SaltKey, Target, TempFail, Verified,
    app_password::{self, Here},
    identity::{self, Identity, Separator},
    kick::Kick,
    map::Maps,
    memory::Memory,
    policy::Policy,
    proof::{Proven, Prover},
    rehash::{Job, Renewal},
    route::Router,
    rules,
    token::{Ledger, Revocations},
};
use crate::{
    account::{Account, State, is_delivery},
    app_password::{AppPasswords, Moment, Seen, Use},
    cache, config,
    directory::{Chain, Check, Found, Inquiry, Unavailable},
    mechanism::{Credential, Sought},
    observe,
    oidc::{Challenge, Providers},
    password::{Pool, Terms, Unverified},
    username::{InvalidName, Username},
};

/// Everything that is needed to judge. Built from a configuration as a whole, and replaced as a whole.
#[derive(Debug)]
pub struct Engine {
    pub(super) chain: Chain,
    pool: Arc<Pool>,
    app_passwords: AppPasswords,
    pub(super) memory: Option<Memory>,
    pub(super) providers: Arc<Providers>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) ledger: Option<Ledger>,
    pub(super) kick: Option<Kick>,
    limits: Limits,
    default_domain: Option<Box<str>>,
    salts: Option<SaltKey>,
    pub(super) renewal: Renewal,
    pub(super) separator: Separator,
    pub(super) maps: Maps,
    pub(super) policy: Policy,
    router: Router,
}

/// What bounds a judgement.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When an answer is given up. Postfix stops listening after 10 s, so this is below.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(8) }
    }
}

impl Engine {
    /// An engine over `chain`; bare names are completed with `default_domain`.
    pub fn new(chain: Chain, pool: Arc<Pool>, limits: Limits, default_domain: Option<&str>) -> Self {
        Self {
            chain,
            pool,
            app_passwords: AppPasswords::none(),
            memory: None,
            providers: Arc::new(Providers::none()),
            revocations: Arc::default(),
            ledger: None,
            kick: None,
            limits,
            default_domain: default_domain.map(Into::into),
            salts: SaltKey::ephemeral().ok(),
            renewal: Renewal::default(),
            separator: None,
            maps: Maps::none(),
            policy: Policy::default(),
            router: Router::default(),
        }
    }

    /// The same with gatepost's own app passwords.
    #[must_use]
    pub fn with_app_passwords(self, app_passwords: AppPasswords) -> Self {
        Self { app_passwords, ..self }
    }

    /// The same, remembering what directories have said.
    ///
    /// # Errors
    ///
    /// Without random numbers.
    pub fn with_memory(self, limits: cache::Limits, now: Instant) -> Result<Self, getrandom::Error> {
        let memory = Memory::new(limits, &self.chain, now)?;
        let memory = memory.map(|memory| memory.shared(!self.providers.is_empty()));
        Ok(Self { memory, ..self })
    }

    /// The same with providers that vouch for tokens.
    #[must_use]
    pub fn with_providers(self, providers: Arc<Providers>) -> Self {
        let memory = self.memory.map(|memory| memory.shared(!providers.is_empty()));
        Self { providers, memory, ..self }
    }

    /// The same with what was revoked before it was made.
    #[must_use]
    pub fn with_revocations(self, revocations: Arc<Revocations>) -> Self {
        Self { revocations, ..self }
    }

    /// The same, with a place where these are written down.
    #[must_use]
    pub fn with_ledger(self, ledger: Ledger) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    /// The same with somebody who ends the connections of those who were revoked.
    #[must_use]
    pub fn with_kick(self, kick: Option<Kick>) -> Self {
        Self { kick, ..self }
    }

    /// The same, with a key for made-up salts that outlives the process.
    #[must_use]
    pub fn with_salts(self, salts: SaltKey) -> Self {
        Self { salts: Some(salts), ..self }
    }

    /// The same with names of master users behind this sign: `user*master`.
    #[must_use]
    pub fn with_separator(self, separator: Separator) -> Self {
        Self { separator, ..self }
    }

    /// The same with tables that Postfix looks things up in.
    #[must_use]
    pub fn with_maps(self, config: &config::Maps) -> Self {
        let maps = Maps::of(config, &self.chain);
        let memory = self.memory.map(|memory| memory.shared(maps.has_tables()));
        Self { maps, memory, ..self }
    }

    /// The same with rules for mail.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same for mail servers with these addresses: `proxy_maybe` leads nowhere else from there.
    #[must_use]
    pub fn with_proxy_self(self, own: Vec<IpAddr>) -> Self {
        Self { router: Router::new(own), ..self }
    }

    /// The directories it asks.
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Who vouches for tokens.
    pub const fn providers(&self) -> &Arc<Providers> {
        &self.providers
    }

    /// Gatepost's own app passwords.
    pub const fn app_passwords(&self) -> &AppPasswords {
        &self.app_passwords
    }

    /// How long a peer is let wait for an answer.
    pub const fn deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Judges a login. `now` is what accounts that run out are held against.
    pub async fn decide(&self, attempt: &Attempt, now: impl Into<Now>) -> Decision {
        self.judge(attempt, now).await.0
    }

    /// Looks up where a user's mail lives, without a credential. Whom `service` delivers nothing to is not there.
    pub async fn lookup(&self, name: &[u8], service: &str) -> Result<Option<Arc<Account>>, Unavailable> {
        match self.normalise(name) {
            Ok(user) => {
                let account = self.look_up(&user, service).await?;
                Ok(account.filter(|account| account.services.deliver(service)))
            }
            // What nobody can be called, nobody is called.
            Err(_) => Ok(None),
        }
    }

    /// What somebody is to stretch their password with, before they have proven anything.
    ///
    /// Who does not exist, or has nothing stored that was made with a salt, is told a made-up one: nobody learns from it
    /// whether there is such a user. It is the same every time, and as long and as slow as others in the directory.
    ///
    /// # Errors
    ///
    /// Nobody could tell.
    pub async fn terms(&self, sought: &Sought, service: &str) -> Result<Terms, TempFail> {
        let normalise = |name: &[u8]| self.normalise(name);
        let who = identity::of_names(&sought.name, sought.authzid.as_deref(), self.separator, normalise);
        let (prover, found) = match &who {
            Ok(Identity::Own(user)) => (user, self.chain.login(&Inquiry { user, service }).await),
            Ok(Identity::Master { master, .. }) => {
                (master, self.chain.master(&Inquiry { user: master, service }).await)
            }
            // What comes of it is said at the end, as to everybody else.
            Err(_) => return self.made_up(&String::from_utf8_lossy(&sought.name), sought, None),
        };
        let found = found.map_err(TempFail::Directory)?;
        let terms = match found.check().map_err(TempFail::from)? {
            Check::Stored(stored) => stored.scram_terms(sought.hash).cloned(),
            Check::Bind(..) | Check::Nothing => None,
        };
        let made_up = || self.made_up(prover.as_str(), sought, found.decoy().usual_terms(sought.hash));
        terms.map_or_else(made_up, Ok)
    }

    fn made_up(&self, name: &str, sought: &Sought, usual: Option<(usize, u32)>) -> Result<Terms, TempFail> {
        let (length, iterations) = usual.unwrap_or((Terms::USUAL_SALT, Terms::USUAL_ITERATIONS));
        let salt = self.salts.as_ref().and_then(|salts| salts.salt(sought.hash, name, length));
        let salt = salt.ok_or(TempFail::Hashing(Unverified::Broken))?;
        Ok(Terms { salt, iterations })
    }

    /// Looks up what a login of a user would be told, without a credential: whether it would go on elsewhere. Who could
    /// not log in is not there, except for what takes mail in: theirs goes where that of others goes.
    pub async fn preview(
        &self,
        name: &[u8],
        service: &str,
        hop: &Hop,
        now: SystemTime,
    ) -> Result<Option<Arc<Account>>, Unavailable> {
        match self.lookup(name, service).await? {
            Some(account) if is_delivery(service) || account.state.at(now) == State::Active => {
                self.router.route(account, hop).await.map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// What a remote is told whose token was not taken, by the domain of the name that they say.
    pub fn challenge(&self, domain: Option<&str>) -> Option<Challenge> {
        self.providers.challenge(domain)
    }

    /// The same by the name itself, as typed.
    pub fn challenge_of(&self, name: &[u8]) -> Option<Challenge> {
        let user = self.normalise(name).ok();
        self.challenge(user.as_ref().and_then(Username::domain))
    }

    pub(super) async fn verify(
        &self,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, Option<Recollection>), (Refusal, Option<Recollection>)> {
        if let Some(token) = attempt.claim.credential.token() {
            return Box::pin(self.verify_token(token, attempt, now)).await;
        }
        let who = identity::identify(&attempt.claim, self.separator, |name| self.normalise(name));
        match who.map_err(|refusal| (refusal, None))? {
            Identity::Own(user) => self.verify_own(&user, attempt, now).await,
            Identity::Master { master, target } => {
                let verdict = Box::pin(self.verify_master(&master, &target, attempt, now.wall)).await;
                observe::master_login(&master, &target, attempt, verdict.as_ref().map(|_| ()));
                verdict.map(|verified| (verified, None)).map_err(|refusal| (refusal, None))
            }
        }
    }

    /// Judges a login by asking, whatever memory says.
    pub(super) async fn ask_afresh(
        &self,
        user: &Username,
        attempt: &Attempt,
        now: Now,
    ) -> Result<Verified, Refusal> {
        let inquiry = Inquiry { user, service: &attempt.service };
        let found = self.chain.login(&inquiry).await.map_err(TempFail::Directory)?;
        self.ask_of(&found, attempt, now).await
    }

    /// Judges a login by what was found.
    pub(super) async fn ask_of(
        &self,
        found: &Found<'_>,
        attempt: &Attempt,
        now: Now,
    ) -> Result<Verified, Refusal> {
        let proven = self.prover(attempt, now.wall, false).prove(found, &attempt.claim.credential).await?;
        rules::usable(found.state_elsewhere(), now.wall)?;
        let account = found.account.clone().ok_or(Refusal::UserUnknown)?;
        rules::admit(&account, attempt, now.wall)?;
        self.renew(found, &proven.by, &attempt.claim.credential);
        self.verified(account, proven, attempt).await
    }

    /// Judges an app password of gatepost's own by an account that is known.
    pub(super) async fn by_own_app_password(
        &self,
        account: Option<Arc<Account>>,
        seen: &Seen,
        attempt: &Attempt,
        now: Now,
    ) -> Result<Verified, Refusal> {
        let here = self.prover(attempt, now.wall, false).here;
        let by = app_password::own(&self.app_passwords, account.as_deref(), seen, here).await;
        if let Err(temporary @ Refusal::TempFail(_)) = by {
            return Err(temporary);
        }
        let account = account.ok_or(Refusal::UserUnknown)?;
        let by = by?;
        rules::admit(&account, attempt, now.wall)?;
        self.verified(account, by.into(), attempt).await
    }

    /// A master user is somebody in a directory of master users. Their password, and their rules, come first; nothing
    /// is looked up of the other user for somebody who is not who they say they are. What is found out is never kept
    /// for another user.
    async fn verify_master(
        &self,
        master: &Username,
        target: &Username,
        attempt: &Attempt,
        now: SystemTime,
    ) -> Result<Verified, Refusal> {
        if !self.chain.has_masters() {
            return Err(Refusal::AuthzDenied);
        }
        let service = &*attempt.service;
        let masters =
            self.chain.master(&Inquiry { user: master, service }).await.map_err(TempFail::Directory)?;
        let prover = self.prover(attempt, now, true);
        let Proven { answer, .. } = prover.prove(&masters, &attempt.claim.credential).await?;
        rules::usable(masters.state_elsewhere(), now)?;
        let account = masters.account.as_ref().ok_or(Refusal::UserUnknown)?;
        rules::admit(account, attempt, now)?;
        if account.nologin.is_some() {
            return Err(Refusal::UserDisabled);
        }
        let master = account.user.clone();
        let found =
            self.chain.login(&Inquiry { user: target, service }).await.map_err(TempFail::Directory)?;
        if found.several {
            return Err(Refusal::TargetRefused(Target::Ambiguous));
        }
        // An alias must not lead past the list of targets, so both names have to be on it.
        let allowed = |user: &Username| masters.may_be(user);
        if !allowed(target) || found.account.as_ref().is_some_and(|account| !allowed(&account.user)) {
            return Err(Refusal::TargetRefused(Target::NotAllowed));
        }
        let account = found.account.clone().ok_or(Refusal::TargetRefused(Target::Unknown))?;
        rules::admit_master(&account, attempt, now)?;
        // Who is switched off, or gone, where their password is checked is so for everybody who comes as them.
        let known = found.known_elsewhere().map_err(TempFail::Directory)?;
        match found.state_elsewhere().at(now) {
            State::Active if known => {}
            State::Active | State::Disabled => return Err(Refusal::TargetRefused(Target::Disabled)),
            State::Expired | State::Until(_) => return Err(Refusal::TargetRefused(Target::Expired)),
        }
        self.verified(account, Proven { by: By::Master(master), answer }, attempt).await
    }

    /// Has the hash replaced that a password was just verified with, if the operator wants it stronger.
    pub(super) fn renew(&self, found: &Found<'_>, by: &By, credential: &Credential) {
        if let (By::Password, Some(password)) = (by, credential.password())
            && let Some((directory, account, outdated)) = found.outdated()
            && account.password.stored().is_some_and(|stored| stored.has_seen_all_of(password.expose()))
        {
            let job = Job {
                directory: directory.clone(),
                user: account.user.clone(),
                outdated: Arc::clone(outdated),
                password: Secret::new(password.expose().to_vec()),
            };
            self.renewal.offer(&self.pool, job);
        }
    }

    pub(super) async fn verified(
        &self,
        account: Arc<Account>,
        proven: Proven,
        attempt: &Attempt,
    ) -> Result<Verified, Refusal> {
        let Proven { by, answer } = proven;
        let account = self.router.route(account, &attempt.hop).await.map_err(TempFail::Directory)?;
        let typed = identity::typed(&attempt.claim, self.separator);
        // With a token somebody may say no name.
        let original = !typed.is_empty() && typed != account.user.as_str().as_bytes();
        let original = original.then(|| typed.into());
        Ok(Verified { account, by, answer, original })
    }

    /// `on_behalf`: of somebody who wants to act as somebody else.
    pub(super) fn prover<'a>(&'a self, attempt: &'a Attempt, now: SystemTime, on_behalf: bool) -> Prover<'a> {
        let here = Here {
            service: &attempt.service,
            remote: attempt.remote,
            now: now.into(),
            on_behalf,
            default_domain: self.default_domain.as_deref(),
        };
        Prover { pool: &self.pool, app_passwords: &self.app_passwords, here, known: false }
    }

    /// Notes what a login was made with, where that is kept: the last use of an app password. A login that is only tried
    /// out is none.
    pub fn note_use(&self, attempt: &Attempt, decision: &Decision) {
        let Decision::Accept(verified) = decision else { return };
        if let Some(id) = verified.by().app_password().and_then(|which| which.own) {
            let remote = attempt.remote.filter(|remote| *remote != Attempt::UNKNOWN_REMOTE);
            let used = Use::new(Moment::now(), &attempt.service, remote);
            self.app_passwords.used(id, used);
        }
    }

    pub(super) fn default_domain(&self) -> Option<&str> {
        self.default_domain.as_deref()
    }

    pub(super) fn normalise(&self, name: &[u8]) -> Result<Username, InvalidName> {
        Username::normalise(name, self.default_domain.as_deref())
    }
}

impl From<InvalidName> for Refusal {
    fn from(why: InvalidName) -> Self {
        Self::InvalidName(why)
    }
}

impl From<TempFail> for Refusal {
    fn from(why: TempFail) -> Self {
        Self::TempFail(why)
    }
}

#[cfg(test)]
mod tests;
