use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{READ, serve};
use crate::{
    decision::{Attempt, Engine},
    listener::Stream,
    mechanism::Mechanism,
    session::{
        Close,
        rehearsal::Check,
        shared::Offer,
        testing::{DELAY, engine, shared, text},
    },
};

const OK: &str = "\0\u{2}OK";
const NO: &str = "\0\u{2}NO";

/// Counted strings.
fn asks(strings: &[&str]) -> Vec<u8> {
    let counted =
        |string: &&str| [&u16::try_from(string.len()).unwrap().to_be_bytes(), string.as_bytes()].concat();
    strings.iter().flat_map(counted).collect()
}

/// What is said to bytes that arrive in these pieces. `None`: nothing, and there is more to come.
fn says(engine: &Engine, pieces: &[&[u8]]) -> Option<Result<String, Close>> {
    let mut check = Check::new(engine);
    for bytes in pieces {
        let mut out = BytesMut::new();
        match check.receive(bytes, &mut out) {
            Ok(true) => assert!(out.is_empty()),
            Ok(false) => return Some(Ok(text(&out))),
            Err(close) => return Some(Err(close)),
        }
    }
    None
}

#[test]
fn who_has_the_password_and_may_log_in_is_ok_and_nobody_else() {
    let engine = engine();
    for (strings, said) in [
        (["alice", "alice", "smtp", "example.org"], OK),
        (["alice@example.org", "alice", "smtp", ""], OK),
        (["ALICE", "alice", "", "Example.ORG"], OK),
        (["alice", "wrong", "smtp", "example.org"], NO),
        (["alice", "", "smtp", "example.org"], NO),
        (["stranger", "stranger", "smtp", "example.org"], NO),
        (["", "", "", ""], NO),
        // That is `alice@example.org@example.org`, and nobody is called that.
        (["alice@example.org", "alice", "smtp", "example.org"], NO),
        (["alice\n", "alice", "smtp", "example.org"], NO),
        (["disabled", "disabled", "smtp", "example.org"], NO),
        (["expired", "expired", "smtp", "example.org"], NO),
        // R8: nobody knows the word for it.
        (["closed", "closed", "smtp", "example.org"], NO),
        (["reader", "reader", "imap", "example.org"], OK),
        (["reader", "reader", "smtp", "example.org"], NO),
        // S5: the remote has an address, and nobody knows which.
        (["home", "home", "smtp", "example.org"], NO),
        (["inside", "inside", "smtp", "example.org"], NO),
        (["root", "root", "smtp", "example.org"], NO),
    ] {
        assert_eq!(says(&engine, &[&asks(&strings)]), Some(Ok(said.to_owned())), "{strings:?}");
    }
}

#[test]
fn an_address_behind_the_request_is_that_of_the_remote() {
    let engine = engine();
    for (behind, said) in [
        (&b"\0\x0f192.0.2.9;52488"[..], OK),
        (b"\0\x0f198.51.100.9;25", NO),
        (b"\0\x0f198.51.100.9;254", NO),
        (b"\0\x09192.0.2.9", NO),
        (b"\xff\xff", NO),
        (b"more", NO),
    ] {
        let bytes = [asks(&["home", "home", "smtp", "example.org"]), behind.to_vec()].concat();
        assert_eq!(says(&engine, &[&bytes]), Some(Ok(said.to_owned())), "{}", behind.escape_ascii());
    }
}

#[test]
fn a_request_is_the_same_however_the_bytes_arrive() {
    let (engine, bytes) = (engine(), asks(&["alice", "alice", "smtp", "example.org"]));
    let (said, drops): (_, Vec<_>) = (Some(Ok(OK.to_owned())), bytes.chunks(1).collect());
    assert_eq!(says(&engine, &drops), said);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(says(&engine, &[head]), None, "cut at byte {at}");
        assert_eq!(says(&engine, &[head, tail]), said, "split at byte {at}");
    }
}

#[test]
fn what_is_no_request_has_no_reply() {
    let engine = engine();
    for bytes in [&b"\x20\x01"[..], b"\xff\xffx", b"\0\x05al\0ce\0\0\0\0\0\0", b"AUTH\tPLAIN\n"] {
        assert!(matches!(says(&engine, &[bytes]), Some(Err(Close::TooLong(_) | Close::Malformed(_)))));
    }
}

#[test]
fn what_is_asked_is_judged_by_its_service_and_without_an_address_that_anybody_has() {
    let bytes = asks(&["a", "x", &"s".repeat(100), "b"]);
    let attempt = super::attempt(&bytes).unwrap().unwrap();
    assert_eq!((&*attempt.claim.authcid, &*attempt.service), (&b"a@b"[..], &*"s".repeat(64)));
    assert_eq!((attempt.remote, attempt.mechanism), (Some(Attempt::UNKNOWN_REMOTE), Mechanism::Plain));
    assert!(attempt.claim.authzid.is_none() && attempt.session.is_none());
    assert!(!format!("{attempt:?}").contains('x'), "the password");
}

/// A connection that is served, and what ends the daemon.
fn connect(failure_delay: Duration) -> (UnixStream, CancellationToken) {
    let (here, there) = UnixStream::pair().unwrap();
    let stop = CancellationToken::new();
    let engines = Arc::new(ArcSwap::from_pointee(engine()));
    let offer =
        Offer { mechanisms: Mechanism::DEFAULT.as_slice().into(), failure_delay, anonymous_user: None };
    tokio::spawn(serve(Stream::Unix(there), shared(), Arc::new(offer), engines, stop.clone()));
    (here, stop)
}

/// What comes back before the connection ends, and when.
async fn rest(connection: &mut UnixStream) -> (String, Duration) {
    let (begun, mut answer) = (Instant::now(), String::new());
    timeout(Duration::from_secs(60), connection.read_to_string(&mut answer)).await.unwrap().unwrap();
    (answer, begun.elapsed())
}

#[tokio::test]
async fn a_refusal_waits_and_an_answer_does_not() {
    for (password, said, waits) in [("alice", OK, false), ("wrong", NO, true)] {
        let delay = Duration::from_secs(1);
        let (mut connection, _stop) = connect(delay);
        connection.write_all(&asks(&["alice", password, "smtp", "example.org"])).await.unwrap();
        let (answer, took) = rest(&mut connection).await;
        assert_eq!((&*answer, took >= delay), (said, waits), "{took:?}");
    }
}

#[tokio::test]
async fn what_was_asked_is_answered_before_the_end() {
    let (mut connection, stop) = connect(Duration::from_secs(3600));
    connection.write_all(&asks(&["alice", "wrong", "smtp", "example.org"])).await.unwrap();
    stop.cancel();
    assert_eq!(rest(&mut connection).await.0, NO, "at once");
    // And nobody is waited for who has asked nothing.
    let (mut connection, stop) = connect(DELAY);
    connection.write_all(b"\0\x05al").await.unwrap();
    stop.cancel();
    let (answer, took) = rest(&mut connection).await;
    assert!(answer.is_empty() && took < READ, "{answer:?} after {took:?}");
}

#[tokio::test]
async fn who_asks_nothing_is_not_waited_for_any_longer_than_that() {
    let asked = |bytes: &'static [u8]| async move {
        let (mut connection, _stop) = connect(DELAY);
        connection.write_all(bytes).await.unwrap();
        rest(&mut connection).await
    };
    let (nothing, half) = tokio::join!(asked(b""), asked(b"\0\x05alice\0"));
    for (answer, took) in [nothing, half] {
        assert!(answer.is_empty() && took >= READ, "{answer:?} after {took:?}");
    }
}
