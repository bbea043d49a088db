//! Answers that are none. None of them says anything of the token.

use std::time::Instant;

use super::*;
use crate::oidc::testing::{Answer, Server, provider};

const OPAQUE: &str = "2YotnFZFEjr1zCsicMWpAA";

async fn outage(providers: &Providers) -> Outage {
    match providers.check(&secret(OPAQUE), None, now()).await {
        Err(NotVouched::Unavailable(unavailable)) => unavailable.why,
        other => panic!("{other:?}"),
    }
}

/// What a provider is taken for that answers introspection like this.
async fn taken_for(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Outage {
    let server = Server::start(move |port, question| provider(port, question, "{}", |_| answer())).await;
    outage(&Providers::new(&[server.oidc("timeout = '500ms'")], None).unwrap()).await
}

#[tokio::test]
async fn an_answer_that_is_none_says_nothing_of_the_token() {
    let whole = |status, kind, body: &str| {
        let body = body.to_owned();
        move || Answer::Whole(status, kind, body.clone())
    };
    let page = "<!doctype html><title>Maintenance</title>";
    assert_eq!(taken_for(whole(200, "text/html", page)).await, Outage::Garbled);
    assert_eq!(taken_for(whole(200, "application/json", page)).await, Outage::Garbled);
    assert_eq!(taken_for(whole(200, "application/json", "")).await, Outage::Garbled);
    assert_eq!(taken_for(whole(200, "application/json", "[true]")).await, Outage::Garbled);
    assert_eq!(taken_for(whole(200, "text/html", r#"{"active":true}"#)).await, Outage::Garbled);
    assert_eq!(
        taken_for(whole(500, "application/json", r#"{"error":"server_error"}"#)).await,
        Outage::Status(500)
    );
    assert_eq!(taken_for(whole(503, "text/html", page)).await, Outage::Status(503));
    assert_eq!(taken_for(whole(204, "text/html", "")).await, Outage::Status(204));
    assert_eq!(taken_for(whole(302, "text/html", "")).await, Outage::Redirected);
    assert_eq!(taken_for(whole(307, "text/html", "")).await, Outage::Redirected);
    for (status, body) in [
        (401, page),
        (403, ""),
        (400, r#"{"error":"invalid_client"}"#),
        (401, r#"{"error":"invalid_token"}"#),
    ] {
        assert_eq!(
            taken_for(whole(status, "application/json", body)).await,
            Outage::Refused,
            "{status} {body}"
        );
    }
    assert_eq!(
        taken_for(whole(400, "application/json", r#"{"error":"unsupported_token_type"}"#)).await,
        Outage::Unsupported
    );
    assert_eq!(taken_for(whole(404, "text/html", page)).await, Outage::Status(404));
    assert_eq!(taken_for(whole(200, "application/json", &"[".repeat(2 << 20))).await, Outage::TooLarge);
    assert_eq!(taken_for(|| Answer::Raw(b"220 mx.example.org ESMTP\r\n".to_vec())).await, Outage::Garbled);
    assert_eq!(taken_for(|| Answer::Raw(Vec::new())).await, Outage::Lost);
    let half =
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{\"active\":true,";
    assert_eq!(taken_for(|| Answer::Raw(half.to_vec())).await, Outage::Lost);
    assert_eq!(taken_for(|| Answer::Silence).await, Outage::TimedOut);
}

#[tokio::test]
async fn a_discovery_document_of_somebody_else_is_not_believed() {
    let document = |issuer: &str, keys: &str| {
        json!({
            "issuer": issuer, "authorization_endpoint": "https://localhost/a", "jwks_uri": keys,
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"], "introspection_endpoint": "http://localhost/i",
        })
    };
    for (of, expected) in [
        ("https://localhost:PORT", Outage::NoEndpoint),
        ("https://localhost:PORT/", Outage::OtherIssuer),
        ("https://LOCALHOST:PORT", Outage::OtherIssuer),
        ("https://evil.example", Outage::OtherIssuer),
    ] {
        let server = Server::start(move |port, _| {
            Answer::json(&document(&of.replace("PORT", &port.to_string()), "https://localhost/k"))
        })
        .await;
        let providers = Providers::new(&[server.oidc("")], None).unwrap();
        assert_eq!(outage(&providers).await, expected, "{of}: and nothing is asked without TLS");
    }
}

#[tokio::test]
async fn nobody_is_believed_who_cannot_prove_who_they_are() {
    let server = Server::start(|_, _| Answer::Silence).await;
    let ca = some_ca();
    let config = oidc(ca.path(), &format!("issuer = 'https://localhost:{}'", server.port));
    assert_eq!(outage(&Providers::new(&[config], None).unwrap()).await, Outage::Tls);
    // The right authority, and another name.
    let more = format!("issuer = 'https://127.0.0.1:{}'", server.port);
    assert_eq!(outage(&Providers::new(&[server.oidc(&more)], None).unwrap()).await, Outage::Tls);
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_is_down_costs_one_wait_and_not_one_a_login() {
    let server = Server::start(|_, _| Answer::Silence).await;
    let providers = Providers::new(&[server.oidc("timeout = '300ms'")], None).unwrap();
    assert_eq!(outage(&providers).await, Outage::TimedOut);
    let start = Instant::now();
    for _ in 0..100 {
        assert!(matches!(outage(&providers).await, Outage::TimedOut | Outage::Resting));
    }
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());

    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let more = format!("issuer = 'https://localhost:{closed}'");
    assert_eq!(outage(&Providers::new(&[server.oidc(&more)], None).unwrap()).await, Outage::Unreachable);
}

#[tokio::test]
async fn signed_tokens_are_good_while_the_provider_is_down() {
    let signer = Signer::new(Algorithm::ES256, "k");
    let keys = key_set(&[&signer]);
    let up = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let server = Server::start(move |port, question| {
        if !is_up.load(Ordering::Relaxed) {
            return Answer::Whole(503, "text/html", String::new());
        }
        provider(port, question, &keys, |_| panic!("{}", question.line))
    })
    .await;
    let providers = Providers::new(&[server.oidc("")], None).unwrap();
    let token = |signer: &Signer| secret(signer.token(&good(json!({"iss": server.issuer()}))));
    assert!(providers.check(&token(&signer), None, now()).await.is_ok());
    up.store(false, Ordering::Relaxed);
    assert_eq!(providers.all[0].refresh().await, Err(Outage::Status(503)));
    assert!(providers.check(&token(&signer), None, now()).await.is_ok());
    assert_eq!(outage(&providers).await, Outage::Status(503), "of others nobody can tell");
    tokio::time::pause();
    tokio::time::advance(AGAIN).await;
    tokio::time::resume();
    let unknown = Signer::new(Algorithm::ES256, "new");
    let told = providers.check(&token(&unknown), None, now()).await.unwrap_err();
    assert!(matches!(told, NotVouched::Unavailable(_)), "it may be a key that it has begun to use: {told:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_outage() {
    let server = Server::start(|port, question| {
        let told = json!({"active": true}).to_string();
        let raw = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{told}",
            told.len()
        );
        // Says that it stays, and goes.
        provider(port, question, "{}", |_| Answer::Raw(raw.into_bytes()))
    })
    .await;
    let providers = Providers::new(&[server.oidc("")], None).unwrap();
    for _ in 0..10 {
        assert_eq!(fault(&providers, OPAQUE).await, TokenFault::Audience);
    }
}

#[tokio::test]
async fn whoever_comes_with_many_others_waits_for_them() {
    let server = Server::start(|port, question| {
        provider(port, question, "{}", |_| Answer::json(&json!({"active": false})))
    })
    .await;
    let providers = Providers::new(&[server.oidc("timeout = '20s'")], None).unwrap();
    let faults = futures_util::future::join_all((0..200).map(|_| fault(&providers, OPAQUE))).await;
    assert!(faults.iter().all(|fault| *fault == TokenFault::Inactive), "{faults:?}");
}

#[tokio::test]
async fn only_so_many_wait_for_a_provider_that_says_nothing() {
    let server = Server::start(|port, question| provider(port, question, "{}", |_| Answer::Silence)).await;
    let providers = Providers::new(&[server.oidc("timeout = '800ms'")], None).unwrap();
    // So that all of them get as far as the token.
    providers.all[0].endpoints.refresh(providers.all[0].discover()).await.unwrap();
    let outages = futures_util::future::join_all((0..1100).map(|_| outage(&providers))).await;
    let busy = outages.iter().filter(|outage| **outage == Outage::Busy).count();
    assert_eq!((busy, outages.len() - busy), (76, 1024));
}

#[tokio::test]
async fn a_proxy_makes_a_way_and_cannot_look_into_it() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let server = Server::start(|port, question| {
        provider(port, question, "{}", |_| Answer::json(&json!({"active": false})))
    })
    .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = server.port;
    tokio::spawn(async move {
        for refuse in [false, true] {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(near.read_u8().await.unwrap());
            }
            let place = format!("localhost:{target}");
            let expected = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n");
            assert_eq!(String::from_utf8(head).unwrap(), expected);
            if refuse {
                near.write_all(b"HTTP/1.1 407 Who are you\r\n\r\n").await.unwrap();
                continue;
            }
            near.write_all(b"HTTP/1.1 200 Go on\r\nVia: x\r\n\r\n").await.unwrap();
            let mut far = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let more = format!("proxy = 'http://127.0.0.1:{port}'");
    let providers = Providers::new(&[server.oidc(&more)], None).unwrap();
    assert_eq!(fault(&providers, OPAQUE).await, TokenFault::Inactive);
    let refused = Providers::new(&[server.oidc(&more)], None).unwrap();
    assert_eq!(outage(&refused).await, Outage::Proxy);
}
