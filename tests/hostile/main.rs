//! Peers that break the rules, against the running daemon: each gets what the protocol has for it, everybody else is
//! served as if nothing was, and memory stays bounded.
//!
//! `table` holds what one connection can say and hear, in rows; `floods` what takes many bytes, many connections or
//! a peer that does not read. During each of them another peer logs in over and over: see `watch`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod floods;
mod peer;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod watch;

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddrV4},
    process::{self, Command},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use support::{Alone, FORGETFUL};

const CONFIG: &str = r#"
[sasl]
failure_delay = "100ms"

[hashing]
threads = 1

[log]
filter = "debug"

[[listener]]
protocol = "dovecot-login"
path = "@DIR@/login"

[[listener]]
protocol = "dovecot-client"
path = "@DIR@/client"

[[listener]]
protocol = "dovecot-master"
path = "@DIR@/master"

[[listener]]
protocol = "dovecot-userdb"
path = "@DIR@/userdb"

[[listener]]
protocol = "postfix-socketmap"
path = "@DIR@/map"

[[listener]]
protocol = "postfix-tcp-table"
address = "@TABLE@"
allow_from = ["127.0.0.1/32"]
map = "mailboxes"

[[listener]]
protocol = "saslauthd"
path = "@DIR@/sasl"

[[listener]]
protocol = "postfix-policy"
path = "@DIR@/policy"

[[policy.rule]]
name = "own"
sender_authorisation = true

[[policy.rule]]
name = "one"
sender = [""]
limit = { per = "user", window = "1h", messages = 1 }

# Does not exist: whoever is looked for there is looked for in vain.
[[directory]]
name = "away"
type = "passwd-file"
file = "@DIR@/missing"
domains = ["away.example.org"]

[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"
"#;

/// How many users there are besides those of the rows, for listings.
const CROWD: usize = 5000;

/// {ARGON2ID} of `slow`, 64 MiB and three passes: some tenths of a second.
const SLOW: &str = "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c29tZSBvbGQgc2FsdCE$";

/// The daemon, with nobody else beside it: what is measured is not to be another test's work.
struct Daemon {
    gatepost: Alone,
    _alone: MutexGuard<'static, ()>,
}

impl Daemon {
    fn start() -> Self {
        let mut daemon = Self::prepare();
        daemon.gatepost.start();
        daemon
    }

    /// One that remembers nobody, so that every password of a user has to be hashed.
    fn forgetful() -> Self {
        let mut daemon = Self::prepare();
        daemon.gatepost.configure(&format!("{}{FORGETFUL}", config()));
        daemon.gatepost.start();
        daemon
    }

    /// One that may have so many files and connections open.
    fn with_descriptors(count: u32) -> Self {
        let mut daemon = Self::prepare();
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("ulimit -n {count}; exec \"$@\""),
            "sh",
            env!("CARGO_BIN_EXE_gatepost"),
        ]);
        command.args(["serve", "--config"]).arg(daemon.gatepost.path("gatepost.toml"));
        daemon.gatepost.start_with(command);
        daemon
    }

    fn prepare() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut users = "alice@example.org:{PLAIN}wonder:5000:5000::/srv/alice::\n\
             bob@example.org:{PLAIN}builder:5001:5001::/srv/bob::\n\
             closed@example.org:{PLAIN}closed:5002:5002::/srv/closed::nologin reason=Closed\n\
             watch@example.org:{PLAIN}watchword:5003:5003::/srv/watch::\n"
            .to_owned();
        writeln!(users, "slow@example.org:{}:5004:5004::/srv/slow::", slow()).unwrap();
        for number in 0..CROWD {
            writeln!(users, "user{number:05}@crowd.example.org:{{PLAIN}}x:6000:6000::/srv/crowd::").unwrap();
        }
        Self { gatepost: Alone::new(&config(), &users), _alone: alone }
    }

    /// Ends it in order, and looks at what it has left in the log.
    fn end(mut self) {
        self.gatepost.stop();
        let log = self.gatepost.log();
        for secret in ["wonder", "builder", "watchword", "d29uZGVy"] {
            assert!(!log.contains(secret), "{secret} is in the log");
        }
        // The directory that is not there, and more to hash than can be hashed in time, are told to the operator.
        let expected = ["away", "too many passwords", "within the deadline"];
        let unexpected = |line: &&str| {
            ["panicked", " ERROR "].iter().any(|bad| line.contains(bad))
                && !expected.iter().any(|text| line.contains(text))
        };
        assert_eq!(log.lines().find(unexpected), None);
    }
}

/// Where the table is that is asked over TCP: at a loopback address of this process's own.
fn table_address() -> SocketAddrV4 {
    let [_, _, high, low] = process::id().to_be_bytes();
    // No place has this one.
    SocketAddrV4::new(Ipv4Addr::new(127, high | 1, low, 255), 10902)
}

fn config() -> String {
    CONFIG.replace("@TABLE@", &table_address().to_string())
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// The response of PLAIN.
fn plain(name: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> String {
    base64([b"\0", name.as_ref(), b"\0", password.as_ref()].concat())
}

/// AUTH with an initial response, and its LF.
fn auth(id: impl std::fmt::Display, response: &str) -> String {
    format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp={response}\n")
}

/// The right AUTH of Alice.
fn good(id: u32) -> String {
    auth(id, &plain("alice@example.org", "wonder"))
}

fn slow() -> String {
    use argon2::{Algorithm, Argon2, Params, Version};
    let params = Params::new(65536, 3, 1, Some(32)).unwrap();
    let mut digest = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(b"slow", b"some old salt!", &mut digest).unwrap();
    format!("{SLOW}{}", STANDARD.encode(digest).trim_end_matches('='))
}
