use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{DRAINED, FORM, PATIENCE, serve};
use crate::{
    decision::{Engine, Limits},
    directory::Chain,
    listener::Stream,
    oidc::Providers,
    password::Pool,
};

/// Over providers of whom [`Providers::scripted`] says how they take logouts.
fn engine() -> Engine {
    let never = |_: &[u8], _: Option<&str>, _| panic!("nobody shows a token");
    let pool = Pool::with_queue(1, 1 << 26, 1);
    let engine = Engine::new(Chain::open(&[], None).unwrap(), Arc::new(pool), Limits::default(), None);
    engine.with_providers(Providers::scripted(Duration::ZERO, never))
}

/// A connection that is served, and what ends the daemon.
fn connect() -> (UnixStream, CancellationToken) {
    let (here, there) = UnixStream::pair().unwrap();
    let stop = CancellationToken::new();
    let engines = Arc::new(ArcSwap::from_pointee(engine()));
    tokio::spawn(serve(Stream::Unix(there), engines, stop.clone()));
    (here, stop)
}

/// What comes back before the connection ends.
async fn rest(connection: &mut UnixStream) -> String {
    let mut answer = String::new();
    timeout(Duration::from_secs(60), connection.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

async fn asked(request: &str) -> String {
    let (mut connection, _stop) = connect();
    connection.write_all(request.as_bytes()).await.unwrap();
    rest(&mut connection).await
}

fn post(form: &str) -> String {
    let (kind, length) = ("application/x-www-form-urlencoded", form.len());
    format!(
        "POST /oidc/backchannel-logout HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{form}"
    )
}

#[tokio::test]
async fn each_request_has_the_answer_that_providers_understand() {
    let form = |form: &str| post(form);
    let long = "x".repeat(FORM);
    for (request, status) in [
        (form("logout_token=alice"), "200 OK"),
        (form("state=1&logout_token=ali%63e"), "200 OK"),
        (form("logout_token=forged"), "400 Bad Request"),
        (form("logout_token="), "400 Bad Request"),
        (form("token=alice"), "400 Bad Request"),
        (form("logout_token=alice&logout_token=bob"), "400 Bad Request"),
        (form("logout_token=away"), "503 Service Unavailable"),
        (form(&format!("logout_token={long}")), "413 Payload Too Large"),
        (form("x").replace("/oidc/", "/"), "404 Not Found"),
        (form("x").replace("/backchannel-logout", "/backchannel-logout/"), "404 Not Found"),
        (
            form("x").replace("application/x-www-form-urlencoded", "application/jwt"),
            "415 Unsupported Media Type",
        ),
        ("GET /oidc/backchannel-logout HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405 Method Not Allowed"),
        ("EHLO x\r\n\r\n".to_owned(), "400 Bad Request"),
    ] {
        let answer = asked(&request).await;
        let shown = request.get(..request.len().min(300)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{shown}\n{answer}");
        let ours = !request.starts_with("EHLO");
        assert_eq!(answer.contains("cache-control: no-store\r\n"), ours, "{shown}\n{answer}");
        assert_eq!(answer.contains("retry-after: "), status.starts_with("503"), "{answer}");
        assert_eq!(answer.contains("allow: POST\r\n"), status.starts_with("405"), "{answer}");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_not_read_for_ever() {
    let (mut connection, _stop) = connect();
    connection.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    let mut written = 0;
    while connection.write_all(&[b'x'; 4096]).await.is_ok() {
        written += 4096;
        assert!(written < DRAINED, "it reads on and on");
    }
}

#[tokio::test]
async fn a_form_without_an_end_is_not_read_for_ever() {
    let (mut connection, _stop) = connect();
    let request = post("x").replace("Length: 1\r\n", &format!("Length: {}\r\n", 1_u64 << 40));
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut written = 0;
    let piece = vec![b'x'; 64 * 1024];
    while connection.write_all(&piece).await.is_ok() {
        written += piece.len();
        assert!(written < 4 * DRAINED, "it reads on and on");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_not_enough_is_hung_up_on() {
    let begun = Instant::now();
    for said in ["", "POST /oidc/back", &post("x").replace("Length: 1", "Length: 2")] {
        let (mut connection, _stop) = connect();
        connection.write_all(said.as_bytes()).await.unwrap();
        let answer = rest(&mut connection).await;
        let late = answer.starts_with("HTTP/1.1 408 ");
        assert_eq!(late, said.contains("Length: 2"), "{said}\n{answer}");
    }
    assert!(begun.elapsed() < PATIENCE, "by the clock of the test");
}

#[tokio::test]
async fn the_end_of_the_daemon_waits_for_nobody_who_says_nothing() {
    let (mut silent, stop) = connect();
    tokio::task::yield_now().await;
    stop.cancel();
    assert_eq!(timeout(Duration::from_secs(10), rest(&mut silent)).await.unwrap(), "");
}
