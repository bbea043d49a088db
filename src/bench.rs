//! A load on a server of the auth-client protocol: gatepost, Dovecot's own `auth`, or any other.
//!
//! One thread drives all connections and keeps a fixed number of requests in flight on each. Lines are made
//! beforehand and replies are read no further than is needed to tell them apart, so that on a machine with few cores
//! most of the time is the server's. Every answer is held against the one that is right: a server that is fast and
//! lets the wrong people in is not fast.
//!
//! With a rate, requests are sent when they are due, whether or not those before are answered, and the time of an answer
//! counts from when its request was due. Otherwise a server that stops for a second would be asked less in that second,
//! and the figures would not show it.
//!
//! - [`load`]: the requests, and the answer that each must get.
//! - `connection`: one connection from its greeting on.
//! - [`tally`]: what came back, and how long it took.
//! - [`cpu`]: what it cost the server, as the kernel counts it.
//! - `alarm`: a clock for rates.

mod alarm;
mod connection;
pub mod cpu;
pub mod load;
pub mod tally;

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    io,
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
    /// Whether each request has a connection of its own, made for it and closed after its answer, as many at a time as
    /// there are connections. Making it is part of the time that an answer takes.
    pub reconnect: bool,
    /// So many requests a second, each at its time, shared evenly among the connections; `None`: as fast as answers
    /// come. The warm-up is always as fast as that.
    pub rate: Option<u32>,
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
    /// How many requests there may be.
    most: u64,
    ends: Option<Instant>,
    pace: Option<Pace>,
    drawn: Cell<u64>,
    tally: RefCell<Tally>,
}

/// When requests are due.
struct Pace {
    started: Instant,
    rate: u32,
}

/// What a connection may send now.
enum Draw<'a> {
    Now {
        request: load::Request<'a>,
        due: Instant,
    },
    /// Nothing until then.
    Wait(Instant),
    /// Nothing any more.
    End,
}

/// Whose turn it is where requests have their times: the first connection's, the second one's, and so on.
struct Turn {
    next: u64,
    step: u64,
}

/// Drives a server with `load`. `server` tells the CPU time that it has used so far, `progress` how far it has got.
///
/// All connections are made before the first request, so their making is in none of the figures, unless each request
/// has one of its own.
pub async fn run(
    plan: &Plan,
    load: &Load,
    server: Option<&cpu::Processes>,
    mut progress: impl FnMut(u64, Duration),
) -> Result<Outcome, Failure> {
    let mut connections = Vec::new();
    let kept = if plan.reconnect { 0 } else { plan.connections };
    for number in 0..kept {
        let connection = tokio::time::timeout(
            PATIENCE,
            Connection::open(&plan.target, load.mechanism(), number, plan.depth),
        );
        let connection = connection.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        connections.push(connection.map_err(|error| Failure { at: "connecting", error })?);
    }
    let opened = Cell::new(kept);
    let warm_up = Phase::new(load, Length::Requests(plan.warm_up), None)?;
    let driven = warm_up.drive(plan, &mut connections, &opened, &mut |_, _| {}).await;
    driven.map_err(|error| Failure { at: "warming up", error })?;

    let used = || server.map(cpu::Processes::used).transpose();
    let used = || used().map_err(|error| Failure { at: "reading the server's CPU time", error });
    let (used_before, started) = (used()?, Instant::now());
    let phase = Phase::new(load, plan.length, plan.rate)?;
    let driven = phase.drive(plan, &mut connections, &opened, &mut progress).await;
    let took = started.elapsed();
    driven.map_err(|error| Failure { at: "driving the server", error })?;
    let cpu = used()?.zip(used_before).map(|(after, before)| after.saturating_sub(before));
    Ok(Outcome { tally: phase.tally.into_inner(), took, cpu })
}

impl<'a> Phase<'a> {
    fn new(load: &'a Load, length: Length, rate: Option<u32>) -> Result<Self, Failure> {
        let tally = Tally::new()
            .map_err(|error| Failure { at: "making a histogram", error: io::Error::other(error) })?;
        let started = Instant::now();
        let (most, ends) = match length {
            Length::Requests(requests) => (requests, None),
            Length::Time(time) => (u64::MAX, Some(started + time)),
        };
        let pace = rate.map(|rate| Pace { started, rate });
        Ok(Self { load, most, ends, pace, drawn: Cell::new(0), tally: RefCell::new(tally) })
    }

    /// Has all connections send until nothing is left and everything is answered. `opened` counts connections.
    async fn drive(
        &self,
        plan: &Plan,
        kept: &mut [Connection],
        opened: &Cell<u32>,
        progress: &mut impl FnMut(u64, Duration),
    ) -> io::Result<()> {
        let turns = (0..plan.connections).map(|at| Turn { next: at.into(), step: plan.connections.into() });
        if plan.reconnect {
            let running = turns.map(|turn| connection::one_each(self, turn, &plan.target, opened));
            self.watch(running.collect(), progress).await
        } else {
            let running = kept.iter_mut().zip(turns).map(|(connection, turn)| connection.run(self, turn));
            self.watch(running.collect(), progress).await
        }
    }

    /// Waits for all that is `running`, for as long as there are answers.
    async fn watch(
        &self,
        mut running: FuturesUnordered<impl Future<Output = io::Result<()>>>,
        progress: &mut impl FnMut(u64, Duration),
    ) -> io::Result<()> {
        let started = Instant::now();
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

    /// What is to be sent at `now` by the connection whose `turn` this is.
    fn draw(&self, turn: &mut Turn, now: Instant) -> Draw<'a> {
        let (number, due) = match &self.pace {
            None => (self.drawn.get(), now),
            Some(pace) => (turn.next, pace.due(turn.next)),
        };
        if number >= self.most || self.ends.is_some_and(|ends| due >= ends) {
            return Draw::End;
        }
        if due > now {
            return Draw::Wait(due);
        }
        self.drawn.set(self.drawn.get() + 1);
        turn.next += turn.step;
        Draw::Now { request: self.load.request(number), due }
    }
}

impl Pace {
    fn due(&self, number: u64) -> Instant {
        let (rate, number) = (u64::from(self.rate.max(1)), u128::from(number));
        let nanos = number * 1_000_000_000 / u128::from(rate);
        self.started + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
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
