//! What the tests of several rooms of this one need.

use std::{fs, path::Path};

use tempfile::TempDir;

use crate::config::{Config, Surroundings};

/// A configuration of this text, where `@DIR@` is a directory of its own with a file `users` of these lines.
pub(super) fn configured(text: &str, users: &str) -> (TempDir, Config) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("users"), users).unwrap();
    let mut around = Surroundings::of_this_process(false);
    around.state_dir = Some(dir.path().join("state"));
    around.runtime_dir = Some(dir.path().join("run"));
    let text = text.replace("@DIR@", dir.path().to_str().unwrap());
    let config = Config::from_texts(&[(Path::new("test.toml"), &text)], &around).unwrap();
    (dir, config)
}

/// Anna and Bob in one directory, and another one that does not answer. Nothing is remembered.
pub(super) const PEOPLE: &str = r#"
[server]
default_domain = "example.org"
[cache]
ttl = "0s"
[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
domains = ["example.org"]
[[directory]]
name = "away"
type = "passwd-file"
file = "@DIR@/away"
domains = ["away.test"]
"#;
