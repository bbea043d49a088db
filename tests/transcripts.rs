//! What Dovecot's login and mail processes, Postfix, Exim and others have said to an auth service, and what it has to
//! answer: `tests/transcripts`, said again to the real daemon on real sockets, and compared byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod support;

use bytes::BytesMut;
use gatepost_protocol::dovecot::{auth, master, reply};
use support::{
    Alone, Bindings, DovecotAuth, Line, Place, Rehearsed, Replay, Subject, Transcript, Tree, What, Writes,
    socket,
};

/// The sockets by the names that connections have in transcripts.
const CONFIG: &str = r#"
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

[sasl]
failure_delay = "0s"
master_user_separator = "*"

[[directory]]
name = "people"
type = "passwd-file"
file = "@DIR@/users"

[[directory]]
name = "masters"
type = "passwd-file"
file = "@DIR@/masters"
master = true
"#;

const USERS: &str = include_str!("transcripts/users");
const MASTERS: &str = include_str!("transcripts/masters");

#[test]
fn gatepost_says_what_the_transcripts_say_however_the_bytes_arrive() {
    let gatepost = Alone::new(CONFIG, USERS);
    std::fs::write(gatepost.path("masters"), MASTERS).unwrap();
    let gatepost = gatepost.started();
    let sockets = ["login", "client", "master", "userdb"].map(|name| (name, gatepost.path(name)));
    let subject = Subject { is_dovecot: false, sockets: sockets.into() };
    let transcripts: Vec<_> = Transcript::all().into_iter().filter(|transcript| !transcript.tokens).collect();
    for writes in [Writes::AsRecorded, Writes::InFlights, Writes::ByteByByte] {
        let replays = transcripts.iter().map(|transcript| Replay { transcript, subject: &subject, writes });
        let replayed = replays.map(|replay| {
            // Of what was asked in the one before.
            assert_eq!(gatepost.run(&["cache", "flush"], "").status.code(), Some(0));
            replay.run()
        });
        let differences: Vec<String> = replayed.filter_map(Result::err).collect();
        assert!(differences.is_empty(), "{}\n{}", differences.join("\n"), gatepost.log());
    }
}

/// Whoever takes them: these are of the rounds that come after.
#[test]
fn what_is_told_of_tokens_is_what_the_transcripts_say() {
    let rehearsed = Rehearsed::new();
    let transcripts = Transcript::all();
    let with_tokens: Vec<_> = transcripts.iter().filter(|transcript| transcript.tokens).collect();
    assert!(!with_tokens.is_empty());
    let differences: Vec<_> =
        with_tokens.into_iter().filter_map(|transcript| rehearsed.run(transcript).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Where it does not, the transcript says so.
#[test]
fn dovecot_says_what_the_transcripts_say() {
    let transcripts = Transcript::all();
    let mut differences = Vec::new();
    for (tree, version) in [(Tree::bookworm(), "2.3"), (Tree::trixie(), "2.4")] {
        let place = Place::new(&tree);
        let dovecot = DovecotAuth::start(&place, USERS, MASTERS);
        let subject = dovecot.subject();
        let said = transcripts.iter().filter(|transcript| transcript.dovecot.as_deref() == Some(version));
        let replays =
            said.map(|transcript| Replay { transcript, subject: &subject, writes: Writes::AsRecorded });
        differences.extend(replays.filter_map(|replay| replay.run().err()));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_line_is_in_the_grammar_and_comes_back_the_same() {
    let bindings = Bindings::any();
    let mut differences = Vec::new();
    for transcript in Transcript::all() {
        for step in &transcript.steps {
            let is_auth = matches!(socket(&step.connection), "login" | "client");
            let came_back = match &step.what {
                What::Say { line, .. } if is_auth => back(line, &bindings, |line, out| {
                    auth::Command::parse(line)
                        .map(|command| command.encode(out))
                        .map_err(|error| error.to_string())
                }),
                What::Say { line, .. } => back(line, &bindings, |line, out| {
                    master::Command::parse(line)
                        .map(|command| command.encode(out))
                        .map_err(|error| error.to_string())
                }),
                What::Hear { line, .. }
                | What::HearSometime(line)
                | What::DovecotSometime(line)
                | What::Dovecot(line)
                | What::Recorded(line) => back(line, &bindings, |line, out| {
                    if is_auth {
                        let reply = reply::Reply::parse(line).map_err(|error| error.to_string())?;
                        reply.encode(out);
                        return Ok(());
                    }
                    let reply = master::Reply::parse(line).map_err(|error| error.to_string())?;
                    reply.encode(out).map_err(|error| error.to_string())
                }),
                What::Close | What::Closed => Ok(()),
            };
            if let Err(why) = came_back {
                differences.push(format!("tests/transcripts/{}:{}: {why}", transcript.name, step.number));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Reads a line and writes it again. Dovecot 2.4.2 and later end some in CR LF, which is no part of them.
fn back(
    line: &Line,
    bindings: &Bindings,
    through: impl Fn(&[u8], &mut BytesMut) -> Result<(), String>,
) -> Result<(), String> {
    let bytes = line.filled(bindings)?;
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
    let mut out = BytesMut::new();
    through(bytes, &mut out)?;
    if out.strip_suffix(b"\n") == Some(bytes) {
        Ok(())
    } else {
        Err(format!("{} came back as {}", bytes.escape_ascii(), out.escape_ascii()))
    }
}
