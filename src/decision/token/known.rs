//! What is remembered of tokens.
//!
//! - That a provider vouches for one: for `ttl`, and never past its end. From then on it is known to have ended, so that a
//!   webmail which shows it again and again is answered from here.
//! - That it does not: for `negative_ttl`, and never longer than [`DEAD`], for what is wrong may be mended.
//! - Where the provider does not answer, that it did: for `max_stale` more. Not of signed ones: those are checked here, and
//!   when that cannot be done, it is because the keys are not known any more.
//!
//! Times count from when the provider was asked. Nothing is remembered of an answer that was asked for before a flush.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::Semaphore;

use super::{vouch::Asked, vouching::Vouching};
use crate::{
    cache::{Bounded, Digest, Flights, Limits, Tally, Tokens as Status},
    decision::Now,
    directory::Unavailable,
    oidc::{How, TokenFault},
};

/// How long at most a token is known to be no good.
const DEAD: Duration = Duration::from_secs(60);

/// How many different tokens may be asked about at once. Beyond that one is unavailable at once.
const ASKED: usize = 8192;

/// How many are asked about ahead of time at once. Others are let in from memory a little longer.
const AHEAD: usize = 64;

/// What one engine remembers of tokens, and what it is asking about.
#[derive(Debug)]
pub(in crate::decision) struct Tokens {
    known: Bounded<Arc<Known>>,
    pub(super) flights: Flights<Arc<Asked>>,
    /// Users who are being made.
    pub(super) made: Flights<Result<(), Unavailable>>,
    pub(super) ahead: Semaphore,
    /// Counts the flushes.
    epoch: AtomicU64,
    ttl: Duration,
    negative_ttl: Duration,
    max_stale: Duration,
    tally: Tally,
}

/// What is known of one token.
#[derive(Debug)]
struct Known {
    /// When its provider was asked.
    asked: Instant,
    /// When it was shown first.
    seen: SystemTime,
    said: Said,
    /// Whether it is asked about ahead of time.
    refreshing: AtomicBool,
}

#[derive(Debug)]
enum Said {
    Vouched {
        vouching: Arc<Vouching>,
        /// The end of the token by the clock that nobody sets back.
        ends: Instant,
    },
    Rejected {
        why: TokenFault,
        until: Option<SystemTime>,
    },
}

/// What memory says of a token.
#[derive(Debug)]
pub(super) enum Recall {
    /// Nothing: its provider is to be asked.
    Nothing,
    /// It is no good.
    Rejected(TokenFault),
    /// A provider vouches for it.
    Vouched {
        vouching: Arc<Vouching>,
        /// When it was shown first.
        seen: SystemTime,
        /// Whether the provider is to be asked ahead of time, by this caller.
        refresh: bool,
    },
}

/// A token that is known to be good, before anything comes of that.
#[derive(Debug)]
pub(super) struct Glance {
    known: Arc<Known>,
    ends: Instant,
    ttl: Duration,
}

/// A question to a provider: what it answers counts from then on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    epoch: u64,
    now: Now,
}

impl Asking {
    /// Whether its answer may be told to somebody who came at the time of another one: nothing was flushed in between.
    pub(super) const fn covers(&self, come: &Self) -> bool {
        self.epoch >= come.epoch
    }
}

impl Known {
    /// Whether the token has ended, by either clock.
    fn is_over(&self, now: Now) -> bool {
        match &self.said {
            Said::Vouched { vouching, ends } => vouching.is_over(now.wall) || now.instant >= *ends,
            Said::Rejected { .. } => false,
        }
    }

    fn age(&self, now: Now) -> Duration {
        now.instant.saturating_duration_since(self.asked)
    }
}

impl Glance {
    /// What it is good for.
    pub(super) fn vouching(&self) -> Option<&Vouching> {
        match &self.known.said {
            Said::Vouched { vouching, .. } => Some(vouching),
            Said::Rejected { .. } => None,
        }
    }

    /// When it was shown first.
    pub(super) fn seen(&self) -> SystemTime {
        self.known.seen
    }
}

impl Tokens {
    /// Those of an engine with these limits, as far as the memory of tokens goes.
    pub(in crate::decision) fn new(limits: &Limits) -> Self {
        let Limits { ttl, negative_ttl, max_stale, max_memory } = *limits;
        Self {
            known: Bounded::new(max_memory),
            flights: Flights::new(ASKED),
            made: Flights::new(ASKED),
            ahead: Semaphore::new(AHEAD),
            epoch: AtomicU64::new(0),
            ttl,
            negative_ttl: negative_ttl.min(DEAD),
            max_stale,
            tally: Tally::default(),
        }
    }

    /// To be called before a provider is asked.
    pub(super) fn ask(&self, now: Now) -> Asking {
        Asking { epoch: self.epoch.load(Ordering::Acquire), now }
    }

    /// What is known of a token.
    pub(super) fn recall(&self, key: &Digest, now: Now) -> Recall {
        let Some(known) = self.known.find(key) else { return Recall::Nothing };
        match &known.said {
            Said::Rejected { why, until } => {
                if known.age(now) < self.negative_ttl && until.is_none_or(|until| now.wall < until) {
                    self.tally.negative_hit();
                    return Recall::Rejected(*why);
                }
                Recall::Nothing
            }
            // A password is not over with the token that was given for it.
            Said::Vouched { vouching, .. } if vouching.how == How::PasswordGrant && known.is_over(now) => {
                Recall::Nothing
            }
            Said::Vouched { .. } if known.is_over(now) => {
                self.tally.negative_hit();
                Recall::Rejected(TokenFault::Expired)
            }
            Said::Vouched { vouching, ends } => {
                let ttl = self.ttl_of(key, known.asked, *ends);
                if known.age(now) >= ttl {
                    return Recall::Nothing;
                }
                self.tally.hit();
                let refresh = self.is_due(&known, vouching, *ends, ttl, now);
                Recall::Vouched { vouching: Arc::clone(vouching), seen: known.seen, refresh }
            }
        }
    }

    /// A token that [`Self::recall`] would say to be good. So far nobody has used it.
    pub(super) fn glance(&self, key: &Digest, now: Now) -> Option<Glance> {
        let known = self.known.find(key)?;
        let Said::Vouched { ends, .. } = known.said else { return None };
        let ttl = self.ttl_of(key, known.asked, ends);
        (!known.is_over(now) && known.age(now) < ttl).then_some(Glance { known, ends, ttl })
    }

    /// Notes that one lets somebody in. Whether its provider is to be asked ahead of time, by this caller.
    pub(super) fn used(&self, glance: &Glance, now: Now) -> bool {
        self.tally.hit();
        let Glance { known, ends, ttl } = glance;
        glance.vouching().is_some_and(|vouching| self.is_due(known, vouching, *ends, *ttl, now))
    }

    /// The same where its provider does not answer.
    pub(super) fn stale(&self, key: &Digest, now: Now) -> Option<(Arc<Vouching>, SystemTime)> {
        let known = self.known.find(key)?;
        let Said::Vouched { vouching, .. } = &known.said else { return None };
        let lasts = known.age(now) < self.ttl.saturating_add(self.max_stale);
        if vouching.is_signed() || known.is_over(now) || !lasts {
            return None;
        }
        self.tally.stale();
        Some((Arc::clone(vouching), known.seen))
    }

    /// Takes in that a provider vouches for a token. When it was shown first.
    pub(super) fn learn(&self, key: &Digest, asking: Asking, vouching: &Arc<Vouching>) -> SystemTime {
        let left = vouching.expires_at.duration_since(asking.now.wall).unwrap_or_default();
        // A token that lives longer than the clock can tell lives as long as that.
        let ends = asking.now.instant.checked_add(left).unwrap_or(asking.now.instant + self.ttl);
        let said = Said::Vouched { vouching: Arc::clone(vouching), ends };
        self.put(key, asking, said, vouching.weight())
    }

    /// Takes in that a token is no good.
    pub(super) fn learn_rejected(
        &self,
        key: &Digest,
        asking: Asking,
        why: TokenFault,
        until: Option<SystemTime>,
    ) {
        self.put(key, asking, Said::Rejected { why, until }, 0);
    }

    /// Notes that a provider is asked.
    pub(super) fn missed(&self) {
        self.tally.miss();
    }

    /// Forgets the tokens of which `whom` says so, and all that are no good, and what is being asked at present. How many
    /// good ones that were.
    pub(super) fn forget(&self, whom: impl Fn(&Vouching) -> bool) -> usize {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let mut good = 0;
        self.known.forget(|known| match &known.said {
            Said::Vouched { vouching, .. } => {
                let goes = whom(vouching);
                good += usize::from(goes);
                goes
            }
            Said::Rejected { .. } => true,
        });
        good
    }

    /// How it stands.
    pub(in crate::decision) fn status(&self) -> Status {
        let fill = self.known.fill();
        self.tally.status(fill)
    }

    fn put(&self, key: &Digest, asking: Asking, said: Said, weight: usize) -> SystemTime {
        let mut seen = asking.now.wall;
        self.known.put(key, |known| {
            seen = known.map_or(seen, |known| known.seen.min(seen));
            // Under the lock: a flush that comes after this takes it out again.
            let stands = self.epoch.load(Ordering::Acquire) <= asking.epoch;
            let known =
                || Known { asked: asking.now.instant, seen, said, refreshing: AtomicBool::new(false) };
            stands.then(|| (Arc::new(known()), size_of::<Known>() + weight))
        });
        seen
    }

    /// How long it is known that a provider vouches for a token: up to an eighth shorter than it might be, so that what came in
    /// together is not asked about together. Not of those that do not live longer: they are asked about once.
    fn ttl_of(&self, key: &Digest, asked: Instant, ends: Instant) -> Duration {
        if ends.saturating_duration_since(asked) <= self.ttl {
            return self.ttl;
        }
        self.ttl - self.ttl / 8 * u32::from(key.salt()) / 256
    }

    /// Whether it is this caller's turn to ask ahead of time: in the last quarter, once, and only where it is not for nothing,
    /// because the token ends first, or is checked for little.
    fn is_due(&self, known: &Known, vouching: &Vouching, ends: Instant, ttl: Duration, now: Now) -> bool {
        let due = vouching.how == How::Introspection
            && known.age(now) >= ttl - ttl / 4
            && ends.saturating_duration_since(known.asked) > self.ttl
            && !known.refreshing.swap(true, Ordering::Relaxed);
        if due {
            self.tally.refresh();
        }
        due
    }
}
