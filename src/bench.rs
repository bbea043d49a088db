//! A load on a server of the auth-client protocol: gatepost, Dovecot's own `auth`, or any other.
//!
//! One thread drives all connections and keeps a fixed number of requests in flight on each. Lines are made
//! beforehand and replies are read no further than is needed to tell them apart, so that on a machine with few cores
//! most of the time is the server's. Every answer is held against the one that is right: a server that is fast and
//! lets the wrong people in is not fast.
//!
//! - [`load`]: the requests, and the answer that each must get.
//! - `connection`: one connection from its greeting on.
//! - [`tally`]: what came back, and how long it took.
//! - [`cpu`]: what it cost the server, as the kernel counts it.

mod connection;
pub mod cpu;
pub mod load;
pub mod tally;

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

use self::{connection::Connection, load::Load, tally::Tally};

/// Most connections of one run: the number is the lower half of the `CPID` that each shows.
pub const MOST_CONNECTIONS: u32 = 65_536;

/// Between two looks at how far it has got.
const LOOK: Duration = Duration::from_millis(500);

/// How long nothing at all may be answered: longer than any failure delay or penalty, of Dovecot's too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// `host:port`
    Tcp(String),
}

/// How it is driven.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server's socket.
    pub target: Target,
    /// How many connections, 1 to [`MOST_CONNECTIONS`].
    pub connections: u32,
    /// Requests in flight on each of them, at least 1.
    pub depth: u32,
    /// So many requests first that do not count.
    pub warm_up: u64,
    /// When it ends.
    pub length: Length,
}

/// When a run ends. What is in flight then is still waited for, and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// After so many requests.
    Requests(u64),
    /// After this time.
    Time(Duration),
}

/// What it came to.
#[derive(Debug)]
pub struct Outcome {
    /// The answers.
    pub tally: Tally,
    /// From the first request to the last answer.
    pub took: Duration,
    /// What the server's processes used meanwhile, if they were named.
    pub cpu: Option<Duration>,
}

/// A run that did not come to its end.
#[derive(Debug)]
pub struct Failure {
    /// What was being done.
    pub at: &'static str,
    /// Why it failed.
    pub error: io::Error,
}

/// One part of a run: who draws requests, how long, and what came of it.
struct Phase<'a> {
    load: &'a Load,
    /// Requests that may still be sent.
    left: Cell<u64>,
    ends: Option<Instant>,
    drawn: Cell<u64>,
    tally: RefCell<Tally>,
}

/// Drives a server with `load`. `server` tells the CPU time that it has used so far, `progress` how far it has got.
///
/// All connections are made before the first request, so their making is in none of the figures.
pub async fn run(
    plan: &Plan,
    load: &Load,
    server: Option<&cpu::Processes>,
    mut progress: impl FnMut(u64, Duration),
) -> Result<Outcome, Failure> {
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        let connection = tokio::time::timeout(PATIENCE, Connection::open(&plan.target, number, plan.depth));
        let connection = connection.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connections.push(connection.map_err(|error| Failure { at: "connecting", error })?);
    }
    let warm_up = Phase::new(load, Length::Requests(plan.warm_up))?;
    warm_up.drive(&mut connections, |_, _| {}).await.map_err(|error| Failure { at: "warming up", error })?;

    let used = || server.map(cpu::Processes::used).transpose();
    let used = || used().map_err(|error| Failure { at: "reading the server's CPU time", error });
    let (used_before, started) = (used()?, Instant::now());
    let phase = Phase::new(load, plan.length)?;
    let driven = phase.drive(&mut connections, &mut progress).await;
    let took = started.elapsed();
    driven.map_err(|error| Failure { at: "driving the server", error })?;
    let cpu = used()?.zip(used_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Outcome { tally: phase.tally.into_inner(), took, cpu })
}

impl<'a> Phase<'a> {
    fn new(load: &'a Load, length: Length) -> Result<Self, Failure> {
        let tally = Tally::new()
            .map_err(|error| Failure { at: "making a histogram", error: io::Error::other(error) })?;
        let (left, ends) = match length {
            Length::Requests(requests) => (requests, None),
            Length::Time(time) => (u64::MAX, Some(Instant::now() + time)),
        };
        Ok(Self { load, left: Cell::new(left), ends, drawn: Cell::new(0), tally: RefCell::new(tally) })
    }

    /// Runs all connections until nothing is left to send and everything is answered.
    async fn drive(
        &self,
        connections: &mut [Connection],
        mut progress: impl FnMut(u64, Duration),
    ) -> io::Result<()> {
        let started = Instant::now();
        let mut running: FuturesUnordered<_> =
            connections.iter_mut().map(|connection| connection.run(self)).collect();
        let mut looks = tokio::time::interval(LOOK);
        let (mut seen, mut seen_at) = (0, started);
        loop {
            tokio::select! {
                ended = running.next() => match ended {
                    Some(ended) => ended?,
                    None => return Ok(()),
                },
                _ = looks.tick() => {
                    let (answered, now) = (self.tally.borrow().answered(), Instant::now());
                    if answered > seen {
                        (seen, seen_at) = (answered, now);
                    } else if now.duration_since(seen_at) > PATIENCE {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer for 30 s"));
                    }
                    progress(answered, now.duration_since(started));
                }
            }
        }
    }

    /// The next request to send at `now`, if there is one.
    fn draw(&self, now: Instant) -> Option<load::Request<'a>> {
        if self.left.get() == 0 || self.ends.is_some_and(|ends| now >= ends) {
            return None;
        }
        self.left.set(self.left.get() - 1);
        let number = self.drawn.get();
        self.drawn.set(number + 1);
        Some(self.load.request(number))
    }
}

impl Target {
    /// `host:port` if it looks like that and holds no `/`, otherwise the path of a Unix socket.
    pub fn parse(text: &str) -> Self {
        let tcp = !text.contains('/')
            && text
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if tcp { Self::Tcp(text.to_owned()) } else { Self::Unix(text.into()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.error)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
