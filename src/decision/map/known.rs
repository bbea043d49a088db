//! What tables have said, each answer by itself.
//!
//! What is there is good for `ttl`, and that it is not for `negative_ttl`. Where the directory does not answer, either is told
//! for `max_stale` more, the latter as what was said lately: something may be found by it, and nothing refused. Times count
//! from when the directory was asked. Nothing is remembered of what was asked for before a flush.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Said, Table};
use crate::{
    cache::{Bounded, Digest, Digester, Flights, Full, Limits, Tally, Tokens as Status},
    decision::{Engine, memory::in_time},
    directory::{Mapped, Unavailable},
};

/// How many different keys may be asked for at once. Beyond that one is unavailable at once.
const ASKED: usize = 8192;

/// What a directory says of a key.
type Answered = Result<Option<Mapped>, Unavailable>;

/// What one engine remembers of tables, and what it is asking.
#[derive(Debug)]
pub(in crate::decision) struct Tables {
    known: Bounded<Arc<Known>>,
    /// With the flushes up to then.
    flights: Flights<(u64, Answered)>,
    /// Counts the flushes.
    epoch: AtomicU64,
    /// When there was none yet.
    born: Instant,
    /// What was asked up to then is to be asked again: nanoseconds since. Zero: nothing is.
    doubted: AtomicU64,
    ttl: Duration,
    negative_ttl: Duration,
    max_stale: Duration,
    tally: Tally,
}

#[derive(Debug)]
struct Known {
    /// When the directory was asked.
    asked: Instant,
    key: Box<str>,
    found: Option<Mapped>,
}

impl Tables {
    pub(in crate::decision) fn new(limits: &Limits) -> Self {
        Self {
            known: Bounded::new(limits.max_memory),
            flights: Flights::new(ASKED),
            epoch: AtomicU64::new(0),
            born: Instant::now(),
            doubted: AtomicU64::new(0),
            ttl: limits.ttl,
            negative_ttl: limits.negative_ttl,
            max_stale: limits.max_stale,
            tally: Tally::default(),
        }
    }

    /// Forgets what was said of keys of which `whom` says so. How many answers that were.
    pub(in crate::decision) fn flush(&self, whom: impl Fn(&str) -> bool) -> usize {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.known.forget(|known| whom(&known.key))
    }

    /// Has everything asked for again before anything is said of it.
    pub(in crate::decision) fn doubt(&self, now: Instant) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.doubted.fetch_max(self.age_at(now), Ordering::AcqRel);
    }

    /// How it stands.
    pub(in crate::decision) fn status(&self) -> Status {
        self.tally.status(self.known.fill())
    }

    /// What is known and young enough.
    fn recall(&self, digest: &Digest, now: Instant) -> Option<Arc<Known>> {
        let known = self.known.find(digest)?;
        let limit = match known.found {
            // What came in together does not go out together.
            Some(_) => self.ttl - self.ttl / 8 * u32::from(digest.salt()) / 256,
            None => self.negative_ttl.min(self.ttl),
        };
        let doubted = self.age_at(known.asked) <= self.doubted.load(Ordering::Acquire);
        (known.age(now) < limit && !doubted).then_some(known)
    }

    /// Nanoseconds of its life until then, and one.
    fn age_at(&self, then: Instant) -> u64 {
        let age = then.saturating_duration_since(self.born).as_nanos();
        u64::try_from(age).map_or(u64::MAX, |age| age.saturating_add(1))
    }

    /// What is known and can serve while nobody answers.
    fn stale(&self, digest: &Digest, now: Instant, why: Unavailable) -> Result<Said, Unavailable> {
        match self.known.find(digest) {
            Some(known) if known.age(now) < self.ttl.saturating_add(self.max_stale) => {
                self.tally.stale();
                let lately = known.found.is_none().then_some(why);
                Ok(Said { found: known.found.clone(), lately })
            }
            Some(_) | None => Err(why),
        }
    }

    fn learn(&self, digest: &Digest, epoch: u64, asked: Instant, key: &str, found: Option<&Mapped>) {
        let value = found.map_or(0, Mapped::weight);
        self.known.put(digest, |_| {
            // Under the lock: a flush that comes after this takes it out again.
            let stands = self.epoch.load(Ordering::Acquire) <= epoch;
            let known = || Arc::new(Known { asked, key: key.into(), found: found.cloned() });
            stands.then(|| (known(), size_of::<Known>() + key.len() + value))
        });
    }
}

impl Known {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.asked)
    }
}

impl Engine {
    /// What a table says of a key as it is: what is remembered of it, or else what its directory says.
    pub(super) async fn table_says(&self, table: Table, key: &str) -> Result<Said, Unavailable> {
        let Some(memory) = &self.memory else {
            let found = self.find_in(table, key).await?;
            return Ok(Said { found, lately: None });
        };
        let tables = &memory.maps;
        let digest = digest_of(memory.cache.digester(), table, key);
        if let Some(known) = tables.recall(&digest, Instant::now()) {
            match known.found {
                Some(_) => tables.tally.hit(),
                None => tables.tally.negative_hit(),
            }
            return Ok(Said { found: known.found.clone(), lately: None });
        }
        Box::pin(self.table_says_anew(tables, table, &digest, key)).await
    }

    async fn table_says_anew(
        &self,
        tables: &Tables,
        table: Table,
        digest: &Digest,
        key: &str,
    ) -> Result<Said, Unavailable> {
        tables.tally.miss();
        let come = tables.epoch.load(Ordering::Acquire);
        let ask = async {
            let (epoch, asked) = (tables.epoch.load(Ordering::Acquire), Instant::now());
            let found = match in_time(self.patience(), self.find_in(table, key)).await {
                Ok(found) => found,
                Err(_) => Err(Unavailable::new("-", "no answer within the deadline")),
            };
            if let Ok(found) = &found {
                tables.learn(digest, epoch, asked, key, found.as_ref());
            }
            (epoch, found)
        };
        let fits = |(epoch, found): &(u64, Answered)| found.is_err() || *epoch >= come;
        match tables.flights.once(digest, fits, ask).await {
            Ok((_, Ok(found))) => Ok(Said { found, lately: None }),
            Ok((_, Err(unavailable))) => tables.stale(digest, Instant::now(), unavailable),
            Err(Full) => {
                let full = Unavailable::new("-", "too many questions are being asked");
                tables.stale(digest, Instant::now(), full)
            }
        }
    }

    async fn find_in(&self, table: Table, key: &str) -> Result<Option<Mapped>, Unavailable> {
        match self.chain().directories().get(usize::from(table.directory)) {
            Some(directory) => directory.find(usize::from(table.table), key).await,
            None => Ok(None),
        }
    }

    /// Forgets what tables have said of these keys.
    pub(in crate::decision) fn forget_keys<'k>(&self, keys: impl IntoIterator<Item = &'k str>) {
        let Some(memory) = self.memory.as_ref().filter(|_| self.maps.has_tables()) else { return };
        memory.maps.epoch.fetch_add(1, Ordering::AcqRel);
        for key in keys {
            for table in self.maps.tables() {
                memory.maps.known.remove(&digest_of(memory.cache.digester(), table, key));
            }
        }
    }
}

fn digest_of(digester: &Digester, table: Table, key: &str) -> Digest {
    digester.map(table.directory, table.table, key)
}
