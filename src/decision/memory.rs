//! Judging from memory, and seeing to it that memory has something to judge from.
//!
//! A password that is known to be right lets its owner in as long as the rules of the account allow it here and now: these
//! are looked at each time. Where they do not, the directory is asked, for they may have changed: nobody is refused from
//! memory but who has no account, or gives a password that was wrong a moment ago.
//!
//! Tokens are remembered beside ([`Tokens`]): what is kept of them is not about a name.
//!
//! Not from memory: master users, whose right depends on whom they want to be; mechanisms that do not send the password;
//! app passwords of gatepost's own, which are in a table beside (what is remembered is the account they are of).

mod ask;
mod look_up;
mod recall;

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use gatepost_protocol::secret::Secret;
use tokio::sync::Semaphore;

pub(super) use self::ask::in_time;
use self::look_up::Looked;
pub use self::recall::{Knock, Known, Moment, Recalled};
use super::{
    AppPassword, Attempt, By, Decision, Engine, Refusal, Verified,
    identity::{self, Identity},
    map::Tables,
    rules,
    token::{Owner, Tokens},
};
use crate::{
    account::{Account, Password, State},
    app_password::recognise,
    cache::{
        self, Asking, Cache, Digest, Entry, EntryBuf, Fingerprint, Flights, Key, Limits, Recall, Status, Tick,
    },
    directory::{Chain, Changed, Directory, Found, Unavailable},
    mechanism::{Claim, Credential},
    username::Username,
};

/// How many different logins may be asked about at once, and how many lookups. Beyond that one is unavailable at once.
const ASKED: usize = 8192;

/// How many are asked about ahead of time at once. Others are let in from memory a little longer.
const AHEAD: usize = 64;

/// One part in so many of the memory is for tokens, where there are providers that vouch for any, and as much for tables of
/// Postfix's, where there are such.
const SHARE: usize = 8;

/// The time of a judgement, by both clocks: what runs out on a certain day, and what lasts for a certain time.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The day and the time of day.
    pub wall: SystemTime,
    /// The time that does not jump.
    pub instant: Instant,
}

/// That an answer came from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recollection {
    /// It is young enough. `refresh`: the directory is to be asked ahead of time.
    Hit {
        /// Whether [`Engine::refresh`] is to be called.
        refresh: bool,
    },
    /// It is not, and its directory does not answer.
    Stale,
}

/// What one engine remembers, and what it is asking about.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) cache: Cache,
    pub(super) tokens: Tokens,
    pub(super) maps: Tables,
    logins: Flights<Arc<Judged>>,
    lookups: Flights<(Asking, Result<Looked, Unavailable>)>,
    pub(super) owners: Flights<(Asking, Result<Owner, Refusal>)>,
    ahead: Semaphore,
    pub(super) reads_service: bool,
    /// Bytes of what is remembered beside people, each kind of it.
    share: usize,
}

/// What was found out about a login, before the rules.
#[derive(Debug)]
struct Judged {
    /// When that was asked.
    asking: Asking,
    verdict: Result<(Arc<Account>, By), Refusal>,
    elsewhere: State,
    recollection: Option<Recollection>,
}

/// A password and where it is looked for.
#[derive(Clone, Copy)]
struct Question<'a> {
    user: &'a Username,
    key: Key<'a>,
    digest: Digest,
}

impl From<SystemTime> for Now {
    fn from(wall: SystemTime) -> Self {
        Self { wall, instant: Instant::now() }
    }
}

impl Now {
    /// What the clocks say.
    pub fn read() -> Self {
        SystemTime::now().into()
    }

    /// So much later.
    #[must_use]
    pub fn after(self, while_: Duration) -> Self {
        let Self { wall, instant } = self;
        Self {
            wall: wall.checked_add(while_).unwrap_or(wall),
            instant: instant.checked_add(while_).unwrap_or(instant),
        }
    }
}

impl Recollection {
    /// In one word, for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit { .. } => "hit",
            Self::Stale => "stale",
        }
    }
}

impl Attempt {
    /// The same attempt once more, for somebody who asks about it later.
    pub fn again(&self) -> Option<Self> {
        let same = |secret: &Secret| Secret::new(secret.expose().to_vec());
        let credential = match &self.claim.credential {
            Credential::Password(password) => Credential::Password(same(password)),
            Credential::Token(token) => Credential::Token(same(token)),
            Credential::Evidence(_) | Credential::Certificate | Credential::Anonymous { .. } => return None,
        };
        let claim =
            Claim { authzid: self.claim.authzid.clone(), authcid: self.claim.authcid.clone(), credential };
        let (service, hop) = (self.service.clone(), self.hop.clone());
        Some(Self { claim, service, hop, session: self.session.clone(), ..*self })
    }
}

impl Judged {
    const fn refused(asking: Asking, refusal: Refusal) -> Self {
        Self { asking, verdict: Err(refusal), elsewhere: State::Active, recollection: None }
    }

    /// Whether it holds for somebody who came then: it was asked after the last flush before that, or says nothing.
    fn holds_for(&self, come: &Asking) -> bool {
        matches!(self.verdict, Err(Refusal::TempFail(_))) || self.asking.covers(come)
    }
}

impl Memory {
    pub(super) fn new(limits: Limits, chain: &Chain, now: Instant) -> Result<Option<Self>, getrandom::Error> {
        let reads_service = chain.directories().iter().any(|directory| directory.reads_service());
        let share = Limits { max_memory: limits.max_memory / SHARE, ..limits };
        Ok(Cache::new(limits, now)?.map(|cache| Self {
            cache,
            tokens: Tokens::new(&share),
            maps: Tables::new(&share),
            logins: Flights::new(ASKED),
            lookups: Flights::new(ASKED),
            owners: Flights::new(ASKED),
            ahead: Semaphore::new(AHEAD),
            reads_service,
            share: share.max_memory,
        }))
    }

    /// The same, of which something else has a share, if there is any of that.
    pub(super) fn shared(self, with_others: bool) -> Self {
        let share = if with_others { self.share } else { 0 };
        Self { cache: self.cache.without(share), ..self }
    }

    pub(super) fn key<'a>(&self, user: &'a str, service: &'a str) -> Key<'a> {
        Key { user, service: if self.reads_service { service } else { "" } }
    }

    pub(super) fn ask(&self, now: Instant) -> Asking {
        self.cache.ask(self.cache.at(now))
    }

    pub(super) fn tick(&self) -> Tick {
        self.cache.at(Instant::now())
    }

    fn question<'a>(&self, user: &'a Username, attempt: &'a Attempt, password: &Secret) -> Question<'a> {
        let key = self.key(user.as_str(), &attempt.service);
        Question { user, key, digest: self.cache.digester().password(user.as_str(), password.expose()) }
    }

    /// All that the answer to a question depends on.
    fn login(&self, question: &Question<'_>, attempt: &Attempt, password: &Secret) -> Digest {
        let (user, remote) = (question.user.as_str(), attempt.remote);
        let remote = remote.map(|remote| remote.to_string()).unwrap_or_default();
        self.cache.digester().login(user, password.expose(), &attempt.service, remote.as_bytes())
    }

    /// How the password of what was found is checked.
    pub(super) fn checked(&self, found: &Found<'_>) -> Option<Fingerprint> {
        found.holder().and_then(|holder| self.check_of(holder))
    }

    /// How the password of an account is checked; `None`: that is for another directory to say.
    fn check_of(&self, account: &Account) -> Option<Fingerprint> {
        let digester = self.cache.digester();
        match &account.password {
            Password::Stored(stored) => Some(digester.stored(|sink| stored.feed(sink))),
            Password::Bind(entry) => Some(digester.check(entry.as_bytes())),
            Password::Missing | Password::Unusable(_) => Some(digester.check(b"")),
            // Not the same: of a missing one a provider may be asked.
            Password::Locked => Some(digester.check(b"!")),
            Password::Elsewhere(_) => None,
        }
    }
}

impl Engine {
    /// Judges a login, and says whether it was from memory. `now` is what accounts that run out are held against.
    pub async fn judge(&self, attempt: &Attempt, now: impl Into<Now>) -> (Decision, Option<Recollection>) {
        match self.verify(attempt, now.into()).await {
            Ok((verified, recollection)) => (Decision::Accept(verified), recollection),
            Err((refusal, recollection)) => (Decision::Refuse(refusal), recollection),
        }
    }

    /// Asks about a login that was let in from memory, before its time is over.
    pub async fn refresh(&self, attempt: &Attempt) {
        let Some(memory) = &self.memory else { return };
        if let Some(token) = attempt.claim.credential.token() {
            return self.refresh_token(token, &attempt.claim, Now::read()).await;
        }
        let Ok(_place) = memory.ahead.try_acquire() else { return };
        let who = identity::identify(&attempt.claim, self.separator, |name| self.normalise(name));
        let (Ok(Identity::Own(user)), Some(password)) = (who, attempt.claim.credential.password()) else {
            return;
        };
        let question = memory.question(&user, attempt, password);
        // What comes of it is for the next login.
        let _ = self.ask_once(memory, question, attempt, password, true).await;
    }

    /// Judges the login of somebody as themselves by what the directories say.
    pub(super) async fn verify_by_directories(
        &self,
        user: &Username,
        attempt: &Attempt,
        now: Now,
    ) -> Result<(Verified, Option<Recollection>), (Refusal, Option<Recollection>)> {
        let password = attempt.claim.credential.password();
        let (Some(memory), Some(password)) = (&self.memory, password) else {
            return asked(Box::pin(self.ask_afresh(user, attempt, now)).await);
        };
        if let Some(seen) = recognise(password.expose()) {
            let known = memory.cache.account(memory.key(user.as_str(), &attempt.service), memory.tick());
            return match known.as_ref().map(EntryBuf::look) {
                Some(entry) if entry.is_nobody() || entry.is_whole() => {
                    let account = self.unpack(entry);
                    asked(self.by_own_app_password(account, &seen, attempt, now).await)
                }
                Some(_) | None => {
                    let judged = Box::pin(self.ask_for_app_password(memory, user, &seen, attempt, now));
                    asked(judged.await)
                }
            };
        }
        let question = memory.question(user, attempt, password);
        let asking = memory.ask(now.instant);
        let judged = match self.remembered(memory, &question, attempt, asking, now) {
            Some(judged) => Arc::new(judged),
            // Boxed, so that who is known does not carry it along.
            None => Box::pin(self.ask_once(memory, question, attempt, password, false)).await,
        };
        let recollection = judged.recollection;
        let verdict = judged.verdict.clone();
        let admitted = verdict.and_then(|(account, by)| {
            rules::usable(judged.elsewhere, now.wall)?;
            rules::admit(&account, attempt, now.wall)?;
            Ok((account, by))
        });
        let verified = match admitted {
            Ok((account, by)) => self.verified(account, by.into(), attempt).await,
            Err(refusal) => Err(refusal),
        };
        match verified {
            Ok(verified) => Ok((verified, recollection)),
            Err(refusal) => Err((refusal, recollection)),
        }
    }

    /// Forgets those of whom `whom` says so by one of their names; how many that were.
    pub fn flush(&self, whom: impl Fn(&str) -> bool) -> usize {
        let memory = self.memory.as_ref();
        let maps = memory.map_or(0, |memory| memory.maps.flush(&whom));
        self.flush_tokens(&whom) + maps + memory.map_or(0, |memory| memory.cache.flush(whom))
    }

    /// Takes note of what has changed in the directories: whoever that is, is forgotten; where nobody knows who it is,
    /// everybody is asked about again.
    pub fn changed<'c>(&self, changed: &'c [Changed]) {
        let Some(memory) = &self.memory else { return };
        let name = |changed: &'c Changed| match changed {
            Changed::User(user) => Some(user.as_str()),
            Changed::Everybody => None,
        };
        if changed.contains(&Changed::Everybody) {
            memory.cache.doubt(memory.tick());
            memory.maps.doubt(Instant::now());
        }
        let names: HashSet<&str> = changed.iter().filter_map(name).collect();
        if !names.is_empty() {
            memory.cache.forget(&names);
            self.forget_keys(names);
        }
    }

    /// How memory stands; `None` where nothing is kept.
    pub fn memory_status(&self) -> Option<Status> {
        let status = |memory: &Memory| {
            let (tokens, maps) = (memory.tokens.status(), memory.maps.status());
            Status { tokens, maps, ..memory.cache.status() }
        };
        self.memory.as_ref().map(status)
    }

    /// What memory says of a password; `None` where the directories are to be asked.
    fn remembered(
        &self,
        memory: &Memory,
        question: &Question<'_>,
        attempt: &Attempt,
        asking: Asking,
        now: Now,
    ) -> Option<Judged> {
        let hit = |refresh| Some(Recollection::Hit { refresh });
        let refused = |refusal| Judged { recollection: hit(false), ..Judged::refused(asking, refusal) };
        let share = |right: cache::Right<'_>| Some(right.shared());
        match memory.cache.recall(question.key, &question.digest, memory.cache.at(now.instant), share) {
            Recall::Nothing => None,
            Recall::Nobody => Some(refused(Refusal::UserUnknown)),
            Recall::Wrong => Some(refused(Refusal::PasswordMismatch)),
            Recall::Right { taken, refresh } => {
                let recollection = hit(refresh);
                self.let_in(taken.look(), attempt, now.wall).map(|verdict| Judged {
                    asking,
                    verdict: Ok(verdict),
                    elsewhere: State::Active,
                    recollection,
                })
            }
        }
    }

    /// Somebody with the right password, if the rules of the account let them in.
    fn let_in(
        &self,
        right: cache::Right<'_>,
        attempt: &Attempt,
        now: SystemTime,
    ) -> Option<(Arc<Account>, By)> {
        if !self.admits(right, &attempt.service, || attempt.remote, || now) {
            return None;
        }
        let account = self.unpack(right.entry)?;
        let by = right
            .app_password
            .map_or(By::Password, |which| By::AppPassword(Box::new(AppPassword::clone(which))));
        Some((account, by))
    }

    /// `remote` and `now` are asked only where something depends on them.
    fn admits(
        &self,
        right: cache::Right<'_>,
        service: &str,
        remote: impl Fn() -> Option<IpAddr>,
        now: impl Fn() -> SystemTime,
    ) -> bool {
        let entry = right.entry;
        let primary = |number: u16| {
            let directory = self.chain.directories().get(usize::from(number));
            directory.is_some_and(|directory| directory.primary_password_services().allow(service))
        };
        let credential = match &right.app_password {
            Some(which) => which.scope.admit(service, remote(), now().into()).is_ok(),
            None => {
                primary(entry.directory()) && entry.elsewhere().is_none_or(|other| primary(other.directory))
            }
        };
        credential && (entry.has_no_rules() || entry.admits(service, remote(), now()))
    }

    /// Whether a directory that gave no answer comes after the one of an account. That one was asked then, and does not
    /// know it any more.
    pub(super) fn is_past(&self, entry: Entry<'_>, unavailable: &Unavailable) -> bool {
        let mut names = self.chain.directories().iter().map(|directory| directory.name());
        names
            .position(|name| *name == unavailable.directory)
            .is_some_and(|at| at > usize::from(entry.directory()))
    }

    /// Whether nobody is asked about an account after its directory.
    pub(super) fn is_of_the_last(&self, entry: Entry<'_>) -> bool {
        usize::from(entry.directory()) + 1 == self.chain.directories().len()
    }

    /// What memory knows of how the password of somebody is checked: by which directory, and whether they have none there.
    pub(super) fn known_check(&self, user: &Username, service: &str) -> Option<(Option<Directory>, bool)> {
        let memory = self.memory.as_ref()?;
        let known = memory.cache.account(memory.key(user.as_str(), service), memory.tick())?;
        let entry = known.look();
        let directory = self.chain.directories().get(usize::from(entry.directory()));
        let none = memory.cache.digester().check(b"");
        Some((directory.cloned(), entry.is_somebody() && entry.is_whole() && entry.is_checked_by(none)))
    }

    pub(super) fn unpack(&self, entry: Entry<'_>) -> Looked {
        let directory = self.directory_name(entry.directory())?;
        entry.account(Arc::clone(directory)).map(Arc::new)
    }

    pub(super) fn directory_name(&self, number: u16) -> Option<&Arc<str>> {
        self.chain.directories().get(usize::from(number)).map(|directory| directory.name())
    }
}

/// The domain of a name in normal form.
pub(super) fn domain_of(user: &str) -> Option<&str> {
    user.split_once('@').map(|(_, domain)| domain)
}

/// What was not from memory.
fn asked<T, E>(verdict: Result<T, E>) -> Result<(T, Option<Recollection>), (E, Option<Recollection>)> {
    verdict.map(|verified| (verified, None)).map_err(|refusal| (refusal, None))
}

#[cfg(test)]
mod tests;
