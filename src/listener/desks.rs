//! Threads that serve connections, one a core.
//!
//! Each has a runtime of its own, accepts at all sockets and keeps the connections that it has accepted. A runtime of several
//! threads would share them out anew all the time: whenever one of its threads has something to do it wakes another one,
//! in case there is more, and that costs more than an answer from memory. What connections wait for (directories,
//! hashes) may be anywhere.

use std::{
    io,
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// More than these do not help each other: every connection that comes wakes all of them.
const MOST: usize = 8;

/// The threads. A clone is another handle to the same ones.
#[derive(Debug, Clone)]
pub struct Desks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    desks: Vec<Desk>,
    /// Somebody has come or gone.
    moved: Notify,
}

#[derive(Debug)]
struct Desk {
    runtime: Handle,
    connections: AtomicUsize,
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
        let desks = (0..cores).map(|number| Desk::open(number, end.clone())).collect::<io::Result<_>>()?;
        Ok(Self(Arc::new(Inner { desks, moved: Notify::new() })))
    }

    /// All of them.
    pub(super) fn each(&self) -> impl Iterator<Item = (&Handle, At)> {
        let desks = self.0.desks.iter().enumerate();
        desks.map(|(number, desk)| (&desk.runtime, At { desks: self.clone(), number }))
    }

    fn fewest(&self) -> usize {
        let counts = self.0.desks.iter().map(|desk| desk.connections.load(Ordering::Relaxed));
        counts.min().unwrap_or(0)
    }
}

impl At {
    /// Waits until no other desk has clearly fewer connections. There is always one that has not to wait.
    pub(super) async fn turn(&self) {
        loop {
            let moved = self.desks.0.moved.notified();
            if self.count().is_none_or(|count| count.load(Ordering::Relaxed) <= self.desks.fewest() + 1) {
                return;
            }
            moved.await;
        }
    }

    /// Takes a seat.
    pub(super) fn sit(&self) -> Seat {
        if let Some(count) = self.count() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.desks.0.moved.notify_waiters();
        Seat(self.clone())
    }

    fn count(&self) -> Option<&AtomicUsize> {
        self.desks.0.desks.get(self.number).map(|desk| &desk.connections)
    }
}

impl Desk {
    fn open(number: usize, end: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("desk-{number}")).spawn(move || {
            runtime.block_on(end.cancelled());
            // A hash that still runs would hold up the end for nobody.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: AtomicUsize::new(0) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(count) = self.0.count() {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.0.desks.0.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering, thread};

    use futures_util::FutureExt as _;
    use tokio_util::sync::CancellationToken;

    use super::Desks;

    #[test]
    fn who_has_more_connections_than_others_waits_for_them() {
        let end = CancellationToken::new();
        let desks = Desks::open(&end).unwrap();
        let all: Vec<_> = desks.each().map(|(_, at)| at).collect();
        let first = all.first().unwrap();
        let mut seats = vec![first.sit(), first.sit()];
        let alone = all.len() == 1;
        assert_eq!(first.turn().now_or_never().is_some(), alone);
        assert!(all.iter().skip(1).all(|other| other.turn().now_or_never().is_some()));
        let mut waiting = Box::pin(first.turn());
        if !alone {
            assert!((&mut waiting).now_or_never().is_none());
            seats.extend(all.iter().skip(1).map(super::At::sit));
            assert!(waiting.now_or_never().is_some(), "the others have caught up");
        }
        drop(seats);
        assert!(desks.0.desks.iter().all(|desk| desk.connections.load(Ordering::Relaxed) == 0));
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
