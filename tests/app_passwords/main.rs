//! App passwords as people have them: made by an administrator, used by mail programs through real Dovecot 2.3 and 2.4
//! and Postfix, and taken away again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod bind;
mod command;
mod listed;
mod mail;

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use support::Place;

const ALICE: &str = "alice@example.test";

/// What an administrator types.
struct Admin {
    config: PathBuf,
}

impl Admin {
    fn of(place: &Place) -> Self {
        Self { config: place.outside("gatepost.toml") }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("--config").arg(&self.config).arg("app-password").args(args).output().unwrap()
    }

    /// The exit code, and the JSON on standard output.
    fn json(&self, args: &[&str]) -> (i32, Value) {
        let output = self.run(&[args, &["--json"]].concat());
        let value = serde_json::from_slice(&output.stdout);
        (output.status.code().unwrap(), value.unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}")))
    }

    /// The id and the password of a new one.
    fn create(&self, args: &[&str]) -> (String, String) {
        self.create_for(ALICE, args)
    }

    fn create_for(&self, user: &str, args: &[&str]) -> (String, String) {
        let (code, said) = self.json(&[&["create", user, "--label"], args].concat());
        assert_eq!(code, 0, "{said}");
        (said["id"].as_str().unwrap().to_owned(), said["password"].as_str().unwrap().to_owned())
    }

    fn of_alice(&self, id: &str) -> Value {
        let (code, said) = self.json(&["list", ALICE]);
        assert_eq!(code, 0, "{said}");
        let all = said["app_passwords"].as_array().unwrap();
        all.iter().find(|one| one["id"] == id).unwrap_or(&Value::Null).clone()
    }
}
