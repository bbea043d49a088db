//! Threads that serve connections, one a core.
//!
//! Each has a runtime of its own, accepts at all sockets and keeps the connections that it has accepted. A runtime of several
//! threads would share them out anew all the time: whenever one of its threads has something to do it wakes another one,
//! in case there is more, and that costs more than an answer from memory. What connections wait for (directories,
//! hashes) may be anywhere.
//!
//! A thread that has much to do reads many requests at once, and so has less to do for each. So they are filled one after
//! the other, and only one of them accepts at a time: which saves waking up the others, too.

use std::{
    io,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// More than these do not help each other: one answers half a million requests a second.
const MOST: usize = 8;

/// So many connections are given to one desk before the next has its turn. All that a small mail server has open keep one
/// thread of it busy, and what there is of many is spread evenly.
const SHARE: usize = 8;

/// The threads. A clone is another handle to the same ones.
#[derive(Debug, Clone)]
pub struct Desks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Their runtimes.
    desks: Vec<Handle>,
    seats: Mutex<Seats>,
    /// Another desk has its turn.
    moved: Notify,
}

/// Who sits where.
#[derive(Debug)]
struct Seats {
    /// How many connections each desk has.
    taken: Vec<usize>,
    /// Which one accepts.
    turn: usize,
}

/// One of the threads.
#[derive(Debug, Clone)]
pub(super) struct At {
    desks: Desks,
    number: usize,
}

/// A connection's place at a desk, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat(At);

impl Desks {
    /// As many as there are cores, 8 at the most. They go on until `end`, and what they serve then is cut off.
    ///
    /// # Errors
    ///
    /// Where there can be no thread or no runtime.
    pub fn open(end: &CancellationToken) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get).min(MOST);
        Self::of(cores, end)
    }

    fn of(count: usize, end: &CancellationToken) -> io::Result<Self> {
        let desks = (0..count).map(|number| open(number, end.clone())).collect::<io::Result<_>>()?;
        let seats = Mutex::new(Seats { taken: vec![0; count], turn: 0 });
        Ok(Self(Arc::new(Inner { desks, seats, moved: Notify::new() })))
    }

    /// All of them.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Handle, At)> {
        let desks = self.0.desks.iter().enumerate();
        desks.map(|(number, runtime)| (runtime, At { desks: self.clone(), number }))
    }

    fn seats<T>(&self, work: impl FnOnce(&mut Seats) -> T) -> T {
        // Numbers are what they are, whoever has panicked.
        work(&mut self.0.seats.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, desk: usize, by: impl FnOnce(usize) -> usize) {
        if self.seats(|seats| seats.change(desk, by)) {
            self.0.moved.notify_waiters();
        }
    }
}

impl Seats {
    /// Whether another desk has its turn then.
    fn change(&mut self, desk: usize, by: impl FnOnce(usize) -> usize) -> bool {
        if let Some(taken) = self.taken.get_mut(desk) {
            *taken = by(*taken);
        }
        let shares = self.taken.iter().map(|taken| taken / SHARE).enumerate();
        let turn = shares.min_by_key(|(_, shares)| *shares).map_or(0, |(desk, _)| desk);
        std::mem::replace(&mut self.turn, turn) != turn
    }
}

impl At {
    /// Waits until it is this desk's turn to accept: it is the first of those that have the fewest full shares.
    pub(super) async fn turn(&self) {
        loop {
            let moved = self.desks.0.moved.notified();
            if self.desks.seats(|seats| seats.turn) == self.number {
                return;
            }
            moved.await;
        }
    }

    /// Takes a seat.
    pub(super) fn sit(&self) -> Seat {
        self.desks.change(self.number, |taken| taken.saturating_add(1));
        Seat(self.clone())
    }
}

/// Starts one.
fn open(number: usize, end: CancellationToken) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(format!("desk-{number}")).spawn(move || {
        runtime.block_on(end.cancelled());
        // A hash that still runs would hold up the end for nobody.
        runtime.shutdown_background();
    })?;
    Ok(handle)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let At { desks, number } = &self.0;
        desks.change(*number, |taken| taken.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt as _;
    use tokio_util::sync::CancellationToken;

    use super::{Desks, SHARE};

    #[test]
    fn desks_are_filled_one_after_the_other_and_evenly() {
        let end = CancellationToken::new();
        let desks = Desks::of(3, &end).unwrap();
        let all: Vec<_> = desks.each().map(|(_, at)| at).collect();
        let turn = || {
            let mut having = all.iter().filter(|at| at.turn().now_or_never().is_some()).map(|at| at.number);
            let turn = having.next().unwrap();
            assert_eq!(having.next(), None, "one at a time");
            turn
        };
        let mut seats = Vec::new();
        for round in 0..2 {
            for at in &all {
                for _ in 0..SHARE {
                    assert_eq!(turn(), at.number, "round {round}");
                    seats.push(at.sit());
                }
            }
        }
        // Who waits is told when somebody goes.
        let mut waiting = Box::pin(all[2].turn());
        assert!((&mut waiting).now_or_never().is_none());
        drop(seats.pop());
        assert!(waiting.now_or_never().is_some());
        assert_eq!(turn(), 2);
        drop(seats);
        assert_eq!((turn(), desks.seats(|seats| seats.taken.clone())), (0, vec![0; 3]));
        end.cancel();
    }

    #[test]
    fn what_is_served_runs_on_the_thread_of_its_desk() {
        let end = CancellationToken::new();
        let desks = Desks::open(&end).unwrap();
        let (runtime, _) = desks.each().next().unwrap();
        let name = runtime.spawn(async { thread::current().name().map(str::to_owned) });
        let waiting = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(waiting.block_on(name).unwrap().as_deref(), Some("desk-0"));
        end.cancel();
    }
}
