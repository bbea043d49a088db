//! `gatepost bench`: how fast a server answers, what that costs it, and whether its answers are right.

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum, value_parser};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{Answer, Exit, serve::enough_descriptors, small_runtime};
use crate::bench::{self, Length, MOST_CONNECTIONS, Outcome, Plan, Target, cpu, load, tally::Times};

/// A load on the auth-client socket of any server, gatepost's or Dovecot's
#[derive(Debug, Args)]
pub struct Bench {
    /// The server's socket
    #[arg(long, value_name = "PATH|HOST:PORT", value_parser = |text: &str| Ok::<_, String>(Target::parse(text)))]
    socket: Target,
    /// A file of users that the server knows, a line user:password for each, or user:token for a mechanism that takes those
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
    /// How many connections
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=i64::from(MOST_CONNECTIONS)))]
    connections: u32,
    /// Requests in flight on each connection
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=65_536))]
    depth: u32,
    /// A new connection, greeting and all, for each request, as login processes make them; --connections at a time
    #[arg(long, conflicts_with = "depth")]
    reconnect: bool,
    /// So many requests a second, whether or not answers come; latency counts from when a request was due
    #[arg(long, value_name = "A_SECOND", value_parser = value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// End after every user has come up once
    #[arg(long, conflicts_with_all = ["requests", "duration", "warm_up"])]
    once: bool,
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
    /// Make every wrong password and every unknown name up anew; otherwise each user has one of either
    #[arg(long)]
    fresh: bool,
    /// Which user is next
    #[arg(long, value_enum, default_value = "random")]
    order: Order,
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
    /// A password
    #[value(name = "PLAIN")]
    Plain,
    /// A token of an OAuth provider in the place of the password
    #[value(name = "OAUTHBEARER")]
    OAuthBearer,
    /// The same as most programs send it
    #[value(name = "XOAUTH2")]
    XOAuth2,
}

/// Which user is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Order {
    /// Any
    Random,
    /// The next one of the file
    Sequence,
}

impl Bench {
    pub(super) fn run(self) -> Answer {
        let mechanism = match self.mechanism {
            Mechanism::Plain => load::Mechanism::Plain,
            Mechanism::OAuthBearer => load::Mechanism::OAuthBearer,
            Mechanism::XOAuth2 => load::Mechanism::XOAuth2,
        };
        if self.bad + self.unknown > 100 {
            return unfit("--bad and --unknown are more than 100 together");
        }
        let order = match (self.order, self.once) {
            (Order::Sequence, _) => load::Order::Sequence,
            (Order::Random, true) => load::Order::Shuffled,
            (Order::Random, false) => load::Order::Random,
        };
        let service = self.service.clone();
        let mix =
            load::Mix { mechanism, service, bad: self.bad, unknown: self.unknown, fresh: self.fresh, order };
        let users = match fs::read_to_string(&self.users).map(Zeroizing::new) {
            Ok(users) => users,
            Err(error) => return unfit(&format!("{}: {error}", self.users.display())),
        };
        let load = match load::Load::read(&users, &mix) {
            Ok(load) => load,
            Err(bad) => return unfit(&format!("{}: {bad}", self.users.display())),
        };
        drop(users);
        enough_descriptors();
        let plan = self.plan(&load);
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

    fn plan(&self, load: &load::Load) -> Plan {
        let length = match self.requests {
            _ if self.once => Length::Requests(load.users() as u64),
            Some(requests) => Length::Requests(requests),
            None => Length::Time(self.duration),
        };
        Plan {
            target: self.socket.clone(),
            connections: self.connections,
            depth: if self.reconnect { 1 } else { self.depth },
            reconnect: self.reconnect,
            rate: self.rate,
            warm_up: self.warm_up,
            length,
        }
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
    let cpu = outcome.cpu.map(|cpu| micros(cpu) / requests.max(1) as f64);

    let (exit, word) = match (tally.wrong(), tally.other) {
        (0, 0) => (Exit::Yes, "right"),
        (0, _) => (Exit::Temporary, "incomplete"),
        _ => (Exit::No, "wrong"),
    };
    let mut text = format!(
        "requests     {requests} in {seconds:.2} s, {rate:.0} a second\n\
         latency      {}\n",
        in_words(&tally.times)
    );
    // One line says it all where there is but one kind.
    let kinds = || load::Kind::ALL.into_iter().filter(|&kind| tally.of(kind).count() > 0);
    for kind in kinds().filter(|_| kinds().count() > 1) {
        let _ = writeln!(text, "  {:<10} {}", kind.name(), in_words(tally.of(kind)));
    }
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
        "reconnect": plan.reconnect, "rate": plan.rate,
        "latency_us": in_figures(&tally.times),
        "kinds": kinds().map(|kind| (kind.name().to_owned(), in_figures(tally.of(kind)))).collect::<Map<_, _>>(),
        "server_cpu_us_per_request": cpu,
        "ok": tally.ok, "fail": tally.fail, "other": tally.other,
        "wrong": { "let_in": tally.let_in, "shut_out": tally.shut_out },
    });
    Answer { exit, text, json }
}

const PERCENTILES: [(&str, f64); 4] = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p999", 99.9)];

fn in_words(times: &Times) -> String {
    let mut text = String::new();
    for (name, percent) in PERCENTILES {
        let _ = write!(text, "{name} {:.0}, ", micros(times.percentile(percent)));
    }
    let _ = write!(text, "max {:.0} us", micros(times.slowest()));
    text
}

fn in_figures(times: &Times) -> Value {
    let percentiles = PERCENTILES.map(|(name, percent)| (name, micros(times.percentile(percent))));
    let mut figures: Map<_, _> =
        percentiles.into_iter().map(|(name, time)| (name.to_owned(), time.into())).collect();
    figures.insert("max".to_owned(), micros(times.slowest()).into());
    figures.insert("requests".to_owned(), times.count().into());
    Value::Object(figures)
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn a_second(requests: u64, time: Duration) -> f64 {
    requests as f64 / time.as_secs_f64().max(1e-9)
}
