//! The command line. Every command says its outcome on standard output, as text or (`--json`) as one JSON value, and
//! with its exit code; passwords come from a prompt or standard input, never from an argument, where every process
//! on the machine could read them.

mod alias;
mod app_password;
mod ask;
mod bench;
mod cache;
mod check;
mod output;
mod password;
mod policy;
mod revoke;
mod serve;
mod target;
mod user;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::output::Output;
use crate::{
    config::{Config, Problems},
    daemon::Failure,
};

/// One daemon that answers every question a mail stack asks about people.
#[derive(Debug, Parser)]
#[command(name = "gatepost", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What all commands take.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands take.
#[derive(Debug, Args)]
pub struct Common {
    /// Read this file or directory instead of /etc/gatepost
    #[arg(long, global = true, value_name = "FILE_OR_DIR", env = "GATEPOST_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve,
    /// Say what is wrong with the configuration, without starting
    Check,
    /// Try logins
    #[command(subcommand)]
    Auth(Auth),
    /// Say what mail processes learn of a user
    Lookup(ask::Lookup),
    /// Ask the tables that Postfix looks things up in
    #[command(subcommand)]
    Map(Map),
    /// Ask the rules for mail, and let somebody send again
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Keep the users of the embedded store
    #[command(subcommand)]
    User(user::User),
    /// Keep the aliases of the embedded store: where mail goes on to
    #[command(subcommand)]
    Alias(alias::Alias),
    /// Keep app passwords: a password for one program each, for users of any directory
    #[command(subcommand)]
    AppPassword(app_password::AppPassword),
    /// See to what the running daemon remembers
    #[command(subcommand)]
    Cache(cache::Cache),
    /// Revoke the tokens of a user, for a running daemon: those that were issued until now are good no longer
    Revoke(revoke::Revoke),
    /// Measure how fast a server answers logins, gatepost or Dovecot's own, and whether it answers rightly
    Bench(bench::Bench),
}

/// What can be done with logins.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Try a login; the password is asked for, or read from standard input
    Test(ask::Test),
}

/// What can be done with the tables of Postfix.
#[derive(Debug, Subcommand)]
pub enum Map {
    /// Say what a table has under a key, as postmap -q does
    Query(ask::Query),
}

/// How a command ends. The numbers are those of sysexits(3) where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: yes.
    Yes,
    /// 1: no: rejected, or not found.
    No,
    /// 75: it could not be found out now.
    Temporary,
    /// 78: the configuration is wrong.
    Config,
}

/// What a command has to say.
#[derive(Debug)]
pub struct Answer {
    /// How it ends.
    pub exit: Exit,
    /// For people.
    pub text: String,
    /// For programs.
    pub json: serde_json::Value,
}

impl Exit {
    /// As the process's exit code.
    pub fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::Temporary => 75,
            Self::Config => 78,
        })
    }
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Exit {
        let answer = match self.command {
            Command::Serve => return serve::serve(&self.common),
            Command::Check => check::check(&self.common),
            Command::Auth(Auth::Test(test)) => test.run(&self.common),
            Command::Map(Map::Query(query)) => query.run(&self.common),
            Command::Policy(policy) => policy.run(&self.common),
            Command::Lookup(lookup) => lookup.run(&self.common),
            Command::User(user) => return user.run(&self.common),
            Command::Alias(alias) => return alias.run(&self.common),
            Command::AppPassword(app_password) => return app_password.run(&self.common),
            Command::Cache(cache) => cache.run(&self.common),
            Command::Revoke(revoke) => revoke.run(&self.common),
            Command::Bench(bench) => bench.run(),
        };
        answer.print(self.common.json)
    }
}

impl Common {
    /// The configuration. What is wrong with it is the answer to every command.
    fn configuration(&self) -> Result<Config, Answer> {
        let loaded = Config::load(self.config.as_deref());
        loaded.map(|loaded| loaded.config).map_err(|problems| Answer::problems(&problems))
    }

    /// Does something with the configuration that prints for itself, or prints why it was not done.
    fn with_configuration(&self, act: impl FnOnce(&Config) -> Result<Exit, Answer>) -> Exit {
        let done = self.configuration().and_then(|config| act(&config));
        done.unwrap_or_else(|no| no.print(self.json))
    }
}

impl Answer {
    /// Prints it.
    fn print(self, json: bool) -> Exit {
        let text = if json { self.json.to_string() } else { self.text };
        let mut output = Output::of_this_process();
        output.say(format_args!("{text}\n"));
        output.end(self.exit)
    }

    /// The configuration is wrong.
    fn problems(problems: &Problems) -> Self {
        let json = serde_json::json!({ "outcome": "invalid", "problems": problems });
        Self { exit: Exit::Config, text: problems.to_string(), json }
    }

    /// The daemon's rooms could not be put together.
    fn failure(failure: &Failure) -> Self {
        let exit = exit_of(failure);
        let outcome = if exit == Exit::Config { "invalid" } else { "unavailable" };
        let text = failure.to_string();
        Self { exit, json: serde_json::json!({ "outcome": outcome, "reason": text }), text }
    }
}

const fn exit_of(failure: &Failure) -> Exit {
    match failure {
        Failure::Config(_) | Failure::Misfits(_) => Exit::Config,
        Failure::Bind(_) | Failure::Io(..) => Exit::Temporary,
    }
}

/// A runtime for a command that asks one thing.
fn small_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
