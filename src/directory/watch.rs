//! Who has changed, as far as a directory can tell without being asked about each of them.
//!
//! A watch runs beside the lookups for as long as the daemon does. What it tells is for those who remember answers. It
//! may tell too much, which costs a question, and it may tell late; it never stands in the way of a login. Once it has
//! found out where things stand it tells [`Changed::Everybody`], as it knows nothing of what was before.

use std::{sync::Arc, time::Duration};

use tokio::time::{Interval, MissedTickBehavior};

use crate::username::Username;

mod ledger;

pub(super) use self::ledger::{Ledger, OVERLAP, Trail};

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Changed {
    /// Whatever is known of this name, in normal form: what people log in with, or the name under which the account goes
    /// on. Answers that led from or to it are not to be relied on any more. There need not be such a user, any longer or
    /// at all.
    User(Username),
    /// Anything, or more than can be named.
    Everybody,
}

/// Who is told. Called from the watch, which goes on when it returns: it must not block. The slice is never empty.
pub type Tell = Arc<dyn Fn(&[Changed]) + Send + Sync>;

/// Ticks for a poll, the first at once. One that takes longer than its turn delays the next.
pub(super) fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
