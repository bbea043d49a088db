//! `gatepost bench`: how fast a server answers, what that costs it, and whether its answers are right.

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum, value_parser};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Answer, Exit, serve::enough_descriptors, small_runtime};
use crate::bench::{self, Length, MOST_CONNECTIONS, Outcome, Plan, Target, cpu, load};

/// A load on the auth-client socket of any server, gatepost's or Dovecot's
#[derive(Debug, Args)]
pub struct Bench {
    /// The server's socket
    #[arg(long, value_name = "PATH|HOST:PORT", value_parser = |text: &str| Ok::<_, String>(Target::parse(text)))]
    socket: Target,
    /// A file of users that the server knows, a line user:password for each
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
    /// How many connections
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=i64::from(MOST_CONNECTIONS)))]
    connections: u32,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=65_536))]
    depth: u32,
    /// End after so many requests
    #[arg(long, conflicts_with = "duration", value_parser = value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    duration: Duration,
    /// So many requests first that do not count
    #[arg(long, value_name = "REQUESTS", default_value_t = 0)]
    warm_up: u64,
    /// How many of a hundred requests have a wrong password
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(0..=100))]
    bad: u8,
    /// How many of a hundred requests name an unknown user
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = value_parser!(u8).range(0..=100))]
    unknown: u8,
    /// The service to log in to
    #[arg(long, default_value = "imap")]
    service: String,
    /// The mechanism to log in with
    #[arg(long, value_enum, ignore_case = true, default_value = "PLAIN")]
    mechanism: Mechanism,
    /// A process of the server, whose CPU time is to be told; may be given several times
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// Count the CPU time of the child processes of --pid too
    #[arg(long, requires = "pid")]
    children: bool,
}

/// What the load can log in with: one round trip a request, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mechanism {
    /// With an initial response
    #[value(name = "PLAIN")]
    Plain,
}

impl Bench {
    pub(super) fn run(self) -> Answer {
        let Mechanism::Plain = self.mechanism;
        if self.bad + self.unknown > 100 {
            return unfit("--bad and --unknown are more than 100 together");
        }
        let mix = load::Mix { service: self.service.clone(), bad: self.bad, unknown: self.unknown };
        let users = match fs::read_to_string(&self.users).map(Zeroizing::new) {
            Ok(users) => users,
            Err(error) => return unfit(&format!("{}: {error}", self.users.display())),
        };
        let load = match load::Load::read(&users, &mix) {
            Ok(load) => load,
            Err(bad) => return unfit(&format!("{}: {bad}", self.users.display())),
        };
        enough_descriptors();
        let plan = self.plan();
        let server =
            (!self.pid.is_empty()).then_some(cpu::Processes { pids: self.pid, children: self.children });
        let ran = small_runtime().map_err(|error| bench::Failure { at: "the runtime", error }).and_then(
            |runtime| {
                runtime.block_on(bench::run(
                    &plan,
                    &load,
                    server.as_ref(),
                    progress(io::stderr().is_terminal()),
                ))
            },
        );
        match ran {
            Ok(outcome) => say(&plan, &outcome),
            Err(failure) => {
                let text = failure.to_string();
                Answer {
                    exit: Exit::Temporary,
                    json: json!({ "outcome": "unavailable", "reason": text }),
                    text,
                }
            }
        }
    }

    fn plan(&self) -> Plan {
        let length = match self.requests {
            Some(requests) => Length::Requests(requests),
            None => Length::Time(self.duration),
        };
        let (target, warm_up) = (self.socket.clone(), self.warm_up);
        Plan { target, connections: self.connections, depth: self.depth, warm_up, length }
    }
}

/// Says how far it has got where somebody looks at a terminal; the line is wiped when there is nothing more to say.
fn progress(shown: bool) -> impl FnMut(u64, Duration) {
    struct Line {
        shown: bool,
    }
    impl Drop for Line {
        fn drop(&mut self) {
            if self.shown {
                let _ = io::stderr().write_all(b"\r\x1b[K");
            }
        }
    }
    let line = Line { shown };
    move |answered, since| {
        if line.shown {
            let rate = a_second(answered, since);
            let _ = write!(io::stderr(), "\r\x1b[K{answered} requests, {rate:.0} a second");
        }
    }
}

/// More than nothing and at most a day, fractions too.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|time| !time.is_zero() && time.as_secs() <= 86_400).ok_or("write seconds, as in 5 or 0.5")
}

fn unfit(what: &str) -> Answer {
    Answer {
        exit: Exit::Config,
        json: json!({ "outcome": "invalid", "reason": what }),
        text: what.to_owned(),
    }
}

fn say(plan: &Plan, outcome: &Outcome) -> Answer {
    let (tally, seconds) = (&outcome.tally, outcome.took.as_secs_f64());
    let requests = tally.answered();
    let rate = a_second(requests, outcome.took);
    let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|percent| micros(tally.percentile(percent)));
    let max = micros(tally.slowest());
    let cpu = outcome.cpu.map(|cpu| micros(cpu) / requests.max(1) as f64);

    let (exit, word) = match (tally.wrong(), tally.other) {
        (0, 0) => (Exit::Yes, "right"),
        (0, _) => (Exit::Temporary, "incomplete"),
        _ => (Exit::No, "wrong"),
    };
    let mut text = format!(
        "requests     {requests} in {seconds:.2} s, {rate:.0} a second\n\
         latency      p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, max {max:.0} us\n"
    );
    if let Some(cpu) = cpu {
        let _ = writeln!(text, "server CPU   {cpu:.2} us a request");
    }
    let _ = write!(text, "answers      {} OK, {} FAIL, {} other", tally.ok, tally.fail, tally.other);
    if tally.wrong() > 0 {
        let _ = write!(
            text,
            "\nWRONG        {} OK to a wrong password or an unknown user, {} FAIL to a right password",
            tally.let_in, tally.shut_out,
        );
    }
    let json = json!({
        "outcome": word, "connections": plan.connections, "depth": plan.depth,
        "requests": requests, "seconds": seconds, "requests_per_second": rate,
        "latency_us": { "p50": p50, "p90": p90, "p99": p99, "max": max },
        "server_cpu_us_per_request": cpu,
        "ok": tally.ok, "fail": tally.fail, "other": tally.other,
        "wrong": { "let_in": tally.let_in, "shut_out": tally.shut_out },
    });
    Answer { exit, text, json }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn a_second(requests: u64, time: Duration) -> f64 {
    requests as f64 / time.as_secs_f64().max(1e-9)
}
