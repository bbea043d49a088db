//! What came back: right and wrong answers, and how long they took.

use std::time::Duration;

use gatepost_protocol::dovecot::reply::Reply;
use hdrhistogram::{CreationError, Histogram};

use super::load::Kind;

/// Longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(120);

/// Answers of one run.
#[derive(Debug)]
pub struct Tally {
    /// Of all answers.
    pub times: Times,
    good: Times,
    bad: Times,
    unknown: Times,
    /// `OK` to right passwords.
    pub ok: u64,
    /// `FAIL` to wrong passwords and unknown users.
    pub fail: u64,
    /// Temporary failures and everything else that is neither yes nor no.
    pub other: u64,
    /// `OK` to a wrong password or an unknown user.
    pub let_in: u64,
    /// `FAIL` to a right password.
    pub shut_out: u64,
}

/// How long answers took.
#[derive(Debug)]
pub struct Times {
    /// Nanoseconds, to three digits.
    histogram: Histogram<u64>,
}

impl Tally {
    /// Of nothing yet.
    pub(super) fn new() -> Result<Self, CreationError> {
        let [times, good, bad, unknown] = [Times::new()?, Times::new()?, Times::new()?, Times::new()?];
        Ok(Self { times, good, bad, unknown, ok: 0, fail: 0, other: 0, let_in: 0, shut_out: 0 })
    }

    /// Takes an answer to a request of this kind.
    pub(super) fn note(&mut self, reply: &Reply<'_>, kind: Kind, after: Duration) {
        self.times.note(after);
        let times = match kind {
            Kind::Good => &mut self.good,
            Kind::Bad => &mut self.bad,
            Kind::Unknown => &mut self.unknown,
        };
        times.note(after);
        let count = match (reply, kind == Kind::Good) {
            (Reply::Ok { .. }, true) => &mut self.ok,
            (Reply::Ok { .. }, false) => &mut self.let_in,
            // With a code it is about the account or the server, and no judgement on the password.
            (Reply::Fail { fields, .. }, _) if fields.has(b"code") || fields.has(b"temp") => &mut self.other,
            (Reply::Fail { .. }, false) => &mut self.fail,
            (Reply::Fail { .. }, true) => &mut self.shut_out,
            _ => &mut self.other,
        };
        *count += 1;
    }

    /// How long the answers to requests of this kind took.
    pub const fn of(&self, kind: Kind) -> &Times {
        match kind {
            Kind::Good => &self.good,
            Kind::Bad => &self.bad,
            Kind::Unknown => &self.unknown,
        }
    }

    /// How many answers there are.
    pub fn answered(&self) -> u64 {
        self.times.count()
    }

    /// How many answers are the opposite of what is right.
    pub const fn wrong(&self) -> u64 {
        self.let_in + self.shut_out
    }
}

impl Times {
    fn new() -> Result<Self, CreationError> {
        let nanos = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self { histogram: Histogram::new_with_bounds(1, nanos, 3)? })
    }

    fn note(&mut self, time: Duration) {
        self.histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Of how many answers.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time within which `percent` of the answers came.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.histogram.value_at_percentile(percent))
    }

    /// The time that the slowest answer took.
    pub fn slowest(&self) -> Duration {
        Duration::from_nanos(self.histogram.max())
    }
}
