//! The `gatepost` command. Everything is in the library, where tests can reach it.

use std::process::ExitCode;

use clap::Parser as _;
use gatepost::command::Cli;

fn main() -> ExitCode {
    Cli::parse().run().code()
}
