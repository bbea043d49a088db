//! Which mails were counted or refused already: Postfix asks again where an answer did not reach it.

use std::collections::{HashMap, VecDeque};

/// How long that is remembered, in milliseconds. Postfix asks twice, and waits for 100 s each time, unless it is told
/// otherwise.
const LIFE: u64 = 15 * 60_000;

/// Of how many, some 100 bytes each. Of more within that time the oldest are forgotten.
const MOST: usize = 1 << 17;

/// What came of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was counted.
    Counted,
    /// It was too much.
    Refused {
        /// It will never fit.
        for_good: bool,
    },
}

/// A mail and the counter that it was held against, as a digest.
pub(super) type Id = [u8; 16];

/// Those of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Settled {
    outcomes: HashMap<Id, (u64, Outcome)>,
    /// In the order in which they came, with their times.
    order: VecDeque<(u64, Id)>,
}

impl Settled {
    pub(super) fn of(&self, id: &Id, now: u64) -> Option<Outcome> {
        let &(at, outcome) = self.outcomes.get(id)?;
        is_fresh(at, now).then_some(outcome)
    }

    pub(super) fn note(&mut self, id: Id, outcome: Outcome, now: u64) {
        let old = |&(at, _): &(u64, Id)| !is_fresh(at, now);
        while self.order.len() >= MOST || self.order.front().is_some_and(old) {
            let Some((_, id)) = self.order.pop_front() else { break };
            self.outcomes.remove(&id);
        }
        if self.outcomes.insert(id, (now, outcome)).is_none() {
            self.order.push_back((now, id));
        }
    }
}

const fn is_fresh(at: u64, now: u64) -> bool {
    now.saturating_sub(at) <= LIFE
}

#[cfg(test)]
mod tests {
    use super::{LIFE, MOST, Outcome, Settled};

    #[test]
    fn what_came_of_a_mail_is_known_for_a_while_and_of_so_many() {
        let mut settled = Settled::default();
        let id = |number: usize| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            id
        };
        settled.note(id(0), Outcome::Counted, 0);
        settled.note(id(1), Outcome::Refused { for_good: false }, 1);
        settled.note(id(2), Outcome::Counted, LIFE);
        assert_eq!(settled.of(&id(0), LIFE), Some(Outcome::Counted));
        assert_eq!(settled.of(&id(0), LIFE + 1), None);
        settled.note(id(3), Outcome::Counted, LIFE + 1);
        assert_eq!((settled.outcomes.len(), settled.of(&id(1), LIFE + 1).is_some()), (3, true));
        for number in 4..MOST + 100 {
            settled.note(id(number), Outcome::Counted, LIFE + 1);
        }
        assert_eq!((settled.outcomes.len(), settled.order.len()), (MOST, MOST));
        let known = |number| settled.of(&id(number), LIFE + 1).is_some();
        assert_eq!((known(3), known(MOST + 99)), (false, true));
    }
}
