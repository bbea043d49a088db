//! How much has been sent, and whether more may be.
//!
//! A mail is counted at `END-OF-MESSAGE`, when Postfix is about to take it, by all limits that it is held against or by none.
//! Whether it fits in and that it is counted are one step, so that exactly as many are taken as may be, however many
//! smtpds ask at the same time; what was decided of a mail is remembered, so that asking again neither counts it again
//! nor gets another answer. Before that, at `RCPT`, who is over the limit is only told so.
//!
//! Under one lock, which is held for a few look-ups. What is kept of one key is bounded, and so is how many keys there are.

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

mod kept;
mod settled;
mod window;

pub use self::window::Cost;
use self::{
    kept::Book,
    settled::{Id, Outcome, Settled},
    window::{Spent, Sum, Window},
};
use crate::config::Limit;

/// Not heard of the end of a single mail in so many questions at `RCPT`: Postfix is not told to ask there.
const UNHEARD: u32 = 10_000;

/// The counters of all limits. They outlast a new configuration, and are kept in the state directory.
pub struct Counters {
    clock: Clock,
    state: Mutex<State>,
    /// `None`: nothing is written down.
    book: Option<Book>,
}

/// A mail before a limit.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The rule whose limit it is.
    pub rule: &'a Arc<str>,
    /// The limit.
    pub limit: &'a Limit,
    /// Under what it is counted.
    pub key: &'a str,
    /// What it costs, as far as that is known.
    pub cost: Cost,
    /// Nothing is refused for it.
    pub trial: bool,
}

/// What is to become of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing at all: somebody only wants to know.
    Ask,
    /// Nothing is counted, and who is over a limit is found out.
    Hold,
    /// It is counted, if it is within all limits. By its name a mail is known again; without one it is not.
    Count(Option<&'a [u8]>),
}

/// What is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// Which charge, by its number.
    pub charge: usize,
    /// It is more than ever fits in.
    pub for_good: bool,
    /// Set: that has not been so before within the window.
    pub tripped: Option<Tripped>,
}

/// A limit that somebody has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tripped {
    /// What they had sent within the window before.
    pub spent: Cost,
    /// For how long nothing is taken from them.
    pub suspended: Option<Duration>,
}

/// Milliseconds since 1970 that do not jump: those of the system when it was made, and the time since then.
#[derive(Debug)]
struct Clock {
    start: Instant,
    since_1970: u64,
}

#[derive(Debug, Default)]
struct State {
    max_keys: usize,
    tables: HashMap<Arc<str>, Table>,
    settled: Settled,
    /// What is not written down, each once.
    dirty: Vec<(Arc<str>, Id)>,
    /// What was forgotten by request, and not yet so on the disk.
    gone: Vec<(Arc<str>, Id)>,
    unheard: u32,
}

/// Those of one rule, by the digests of their keys.
#[derive(Debug)]
struct Table {
    window: Window,
    spent: HashMap<Id, Spent>,
    /// Whether the operator has been told that it is too small.
    told: bool,
}

/// One charge, looked up.
struct Stand {
    key: Id,
    mail: Option<Id>,
    window: Window,
    over: Option<Over>,
    before: Option<Outcome>,
}

impl Counters {
    /// Those of a state directory. What is written down there is taken up by [`Counters::recall`].
    pub fn at(state_dir: &Path, now: Instant, wall: SystemTime) -> Self {
        Self { book: Some(Book::at(state_dir)), ..Self::new(now, wall) }
    }

    /// Nothing was sent so far, and nothing is written down.
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since_1970 = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let state = State { max_keys: 100_000, ..State::default() };
        Self { clock: Clock { start: now, since_1970 }, state: Mutex::new(state), book: None }
    }

    /// For so many keys of each limit.
    pub fn set_max_keys(&self, max_keys: usize) {
        self.lock().max_keys = max_keys;
    }

    /// Holds a mail against limits, and gives those that it is too much for, in their order. With [`Step::Count`] it is
    /// counted by all of them or, if it is too much for one that is not on trial, by none.
    pub fn settle(&self, charges: &[Charge<'_>], step: Step<'_>, now: Instant) -> Vec<Over> {
        if charges.is_empty() {
            return Vec::new();
        }
        let ids: Vec<_> = charges.iter().map(|charge| Charge::ids(charge, step)).collect();
        let now = self.clock.at(now);
        let mut state = self.lock();
        let mut stands = Vec::with_capacity(charges.len());
        for ((number, charge), (key, mail)) in charges.iter().enumerate().zip(ids) {
            stands.push(state.stand(number, charge, key, mail, step, now));
        }
        if step != Step::Ask {
            state.heard(step);
            state.conclude(charges, &stands, step, now);
        }
        stands.into_iter().filter_map(|stand| stand.over).collect()
    }

    /// Forgets what was counted under a key, and how many limits that were.
    pub fn forget(&self, key: &str) -> usize {
        let key = digest(&[key.as_bytes()]);
        let mut state = self.lock();
        let known =
            state.tables.iter_mut().filter_map(|(rule, table)| table.spent.remove(&key).map(|_| rule));
        let gone: Vec<_> = known.map(|rule| (Arc::clone(rule), key)).collect();
        let count = gone.len();
        state.gone.extend(gone);
        count
    }

    /// Forgets those who have sent nothing within the window.
    pub fn sweep(&self, now: Instant) {
        let now = self.clock.at(now);
        self.lock().tables.retain(|_, table| {
            table.sweep(now);
            !table.spent.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers are what they are, whoever has panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many keys are counted, and how many sums there are of them at most.
    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        let state = self.lock();
        let spent = || state.tables.values().flat_map(|table| table.spent.values());
        (spent().count(), spent().map(Spent::len).max().unwrap_or(0))
    }
}

impl Charge<'_> {
    /// Under what it is counted, and by what the mail is known again.
    fn ids(&self, step: Step<'_>) -> (Id, Option<Id>) {
        let key = digest(&[self.key.as_bytes()]);
        let mail = match step {
            Step::Count(mail) => mail.map(|mail| digest(&[self.rule.as_bytes(), self.key.as_bytes(), mail])),
            Step::Ask | Step::Hold => None,
        };
        (key, mail)
    }
}

/// Of texts, each with its length. Remotes choose some of them, and cannot make two the same.
fn digest(texts: &[&[u8]]) -> Id {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&text.len().to_le_bytes());
        hasher.update(text);
    }
    let mut id = [0; 16];
    id.copy_from_slice(hasher.finalize().as_bytes().split_at(16).0);
    id
}

impl State {
    fn stand(
        &mut self,
        number: usize,
        charge: &Charge<'_>,
        key: Id,
        mail: Option<Id>,
        step: Step<'_>,
        now: u64,
    ) -> Stand {
        let window = Window::of(charge.limit.window);
        let before = mail.and_then(|mail| self.settled.of(&mail, now));
        let over = |for_good, tripped| Some(Over { charge: number, for_good, tripped });
        let stand = |over| Stand { key, mail, window, over, before };
        match before {
            Some(Outcome::Counted) => return stand(None),
            Some(Outcome::Refused { for_good }) => return stand(over(for_good, None)),
            None => {}
        }
        let most = charge.limit.most_for(charge.key);
        let mut spent = self.tables.get_mut(charge.rule).and_then(|table| {
            table.window = window;
            table.spent.get_mut(&key)
        });
        if spent.as_ref().is_some_and(|spent| spent.suspended_until > now) {
            return stand(over(false, None));
        }
        if !charge.cost.fits(most) {
            return stand(over(true, None));
        }
        let sent = spent.as_ref().map_or_else(Cost::default, |spent| spent.within(window, now));
        if sent.plus(charge.cost).fits(most) {
            return stand(None);
        }
        let mut tripped = None;
        if let Some(spent) = spent.as_mut().filter(|spent| step != Step::Ask && spent.told_until <= now) {
            let suspended = charge.limit.suspend;
            spent.told_until = after(now, charge.limit.window.max(suspended.unwrap_or_default()));
            spent.suspended_until = suspended.map_or(0, |time| after(now, time));
            if !std::mem::replace(&mut spent.dirty, true) {
                self.dirty.push((Arc::clone(charge.rule), key));
            }
            tripped = Some(Tripped { spent: sent, suspended });
        }
        stand(over(false, tripped))
    }

    /// Counts what is within all limits, and notes what came of it.
    fn conclude(&mut self, charges: &[Charge<'_>], stands: &[Stand], step: Step<'_>, now: u64) {
        let Step::Count(_) = step else { return };
        let refused = charges.iter().zip(stands).any(|(charge, stand)| stand.over.is_some() && !charge.trial);
        for (charge, stand) in charges.iter().zip(stands) {
            let outcome = match (stand.before, stand.over) {
                (Some(_), _) => continue,
                (None, Some(over)) => Outcome::Refused { for_good: over.for_good },
                (None, None) if refused => continue,
                (None, None) => {
                    self.add(charge, stand, now);
                    Outcome::Counted
                }
            };
            if let Some(mail) = stand.mail {
                self.settled.note(mail, outcome, now);
            }
        }
    }

    fn add(&mut self, charge: &Charge<'_>, stand: &Stand, now: u64) {
        let (window, max_keys) = (stand.window, self.max_keys);
        let table = self.tables.entry(Arc::clone(charge.rule)).or_insert_with(|| Table::of(window));
        if table.spent.len() >= max_keys && !table.spent.contains_key(&stand.key) {
            table.make_room(charge.rule, max_keys, now);
        }
        let spent = table.spent.entry(stand.key).or_default();
        if !spent.dirty {
            self.dirty.push((Arc::clone(charge.rule), stand.key));
        }
        spent.add(charge.cost, window, now);
    }

    /// Notices that limits are held against and nothing is ever counted.
    fn heard(&mut self, step: Step<'_>) {
        self.unheard = if step == Step::Hold { self.unheard.saturating_add(1) } else { 0 };
        if self.unheard == UNHEARD {
            tracing::warn!(
                "limits count nothing: Postfix asks at RCPT and never at END-OF-MESSAGE; \
                 see smtpd_end_of_data_restrictions in peers/postfix-policy.cf"
            );
        }
    }
}

impl Table {
    fn of(window: Window) -> Self {
        Self { window, spent: HashMap::new(), told: false }
    }

    fn sweep(&mut self, now: u64) {
        let window = self.window;
        self.spent.retain(|_, spent| !spent.is_idle(window, now));
    }

    /// Forgets who has sent nothing within the window; where that is nobody, a sixteenth, of those whose last mail is the
    /// longest ago.
    fn make_room(&mut self, rule: &str, max_keys: usize, now: u64) {
        self.sweep(now);
        let held = self.spent.len();
        if held < max_keys {
            return;
        }
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(
                rule,
                max_keys,
                "more is counted than policy.max_keys: the oldest counters begin anew"
            );
        }
        let mut ages: Vec<_> = self.spent.iter().map(|(key, spent)| (spent.last(), *key)).collect();
        let least = (held / 16).max(held + 1 - max_keys.max(1)).min(held);
        if let Some(at) = least.checked_sub(1) {
            ages.select_nth_unstable(at);
        }
        for (_, key) in ages.iter().take(least) {
            self.spent.remove(key);
        }
    }
}

/// So much later.
fn after(now: u64, time: Duration) -> u64 {
    now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Clock {
    fn at(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        self.since_1970.saturating_add(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(Instant::now(), SystemTime::now())
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters(..)")
    }
}

#[cfg(test)]
mod tests;
