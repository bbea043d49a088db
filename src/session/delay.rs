//! Failures that wait to be told.
//!
//! A refusal is told at a fixed time after its request *arrived*, however long it took to find out, and together
//! with all others that fall into the same slot, in random order: the time of an answer tells nothing of what was
//! done to reach it. No task waits meanwhile; the connection has one timer.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::BytesMut;

use super::auth::Handle;

/// Length of a slot.
const SLOT: Duration = Duration::from_millis(250);

/// How a refusal is told.
#[derive(Debug)]
pub(super) struct Failure {
    /// A challenge that goes ahead of it, to which there is nothing to say.
    pub(super) challenge: Option<BytesMut>,
    /// What ends the request.
    pub(super) line: BytesMut,
}

impl From<BytesMut> for Failure {
    fn from(line: BytesMut) -> Self {
        Self { challenge: None, line }
    }
}

/// The failures of one connection. Those of cancelled requests stay too: the session counts all of them as requests in
/// flight, which bounds them.
#[derive(Debug)]
pub(super) struct Delayed {
    /// Slots of all connections are counted from here, so that they coincide.
    epoch: Instant,
    slots: BTreeMap<Instant, Vec<(Handle, Failure)>>,
    len: usize,
}

impl Delayed {
    pub(super) const fn new(epoch: Instant) -> Self {
        Self { epoch, slots: BTreeMap::new(), len: 0 }
    }

    /// Keeps `failure` until the end of the slot that `due` lies in, or of the present one if that is later.
    pub(super) fn add(&mut self, due: Instant, now: Instant, handle: Handle, failure: Failure) {
        let end = told_at(self.epoch, due, now);
        self.slots.entry(end).or_default().push((handle, failure));
        self.len += 1;
    }

    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// When the next slot ends.
    pub(super) fn next(&self) -> Option<Instant> {
        self.slots.keys().next().copied()
    }

    /// Everything whose slot has ended, in random order.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(Handle, Failure)> {
        let mut due = Vec::new();
        while let Some(slot) = self.slots.first_entry() {
            if *slot.key() > now {
                break;
            }
            due.append(&mut slot.remove());
        }
        self.len -= due.len();
        shuffle(&mut due);
        due
    }

    /// Everything, in random order.
    pub(super) fn all(&mut self) -> Vec<(Handle, Failure)> {
        let mut all: Vec<_> = std::mem::take(&mut self.slots).into_values().flatten().collect();
        self.len = 0;
        shuffle(&mut all);
        all
    }
}

/// The end of the slot that `due` lies in, or of the present one if that is later.
pub(super) fn told_at(epoch: Instant, due: Instant, now: Instant) -> Instant {
    let since = due.max(now).saturating_duration_since(epoch);
    let slots = since.as_nanos().div_ceil(SLOT.as_nanos());
    epoch + SLOT * u32::try_from(slots).unwrap_or(u32::MAX)
}

/// Fisher-Yates. The bias of the remainder is far below what a remote could measure.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        // Without entropy the order stays as it is: a worse disguise, but an answer.
        let draw = getrandom::u64().unwrap_or(0) % (last as u64 + 1);
        items.swap(last, usize::try_from(draw).unwrap_or(last));
    }
}
