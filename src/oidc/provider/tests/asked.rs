//! What is asked of a provider, and what its answers mean.

use super::*;
use crate::oidc::testing::{Answer, Question, Server, provider};

/// A provider that says this of every token.
async fn saying(told: Value) -> Server {
    Server::start(move |port, question| {
        provider(port, question, "{\"keys\":[]}", |_| {
            let mut told = told.clone();
            if told.get("iss") == Some(&json!("ours")) {
                told["iss"] = json!(format!("https://localhost:{port}"));
            }
            Answer::json(&told)
        })
    })
    .await
}

fn active(changes: Value) -> Value {
    let mut claims = good(json!({"active": true, "iss": "ours", "token_type": "Bearer"}));
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

const OPAQUE: &str = "2YotnFZFEjr1zCsicMWpAA";

#[tokio::test]
async fn what_the_provider_says_of_a_token_is_held_against_every_rule() {
    use TokenFault::{Audience, Claim, EmailUnverified, Expired, Inactive, Issuer, Scope, Type, Username};

    for (changes, expected) in [
        (json!({}), Ok(())),
        (json!({"iss": null}), Ok(())),
        (json!({"active": false}), Err(Inactive)),
        (json!({"active": "true"}), Err(Inactive)),
        (json!({"active": 1}), Err(Inactive)),
        (json!({"active": null}), Err(Inactive)),
        (json!({"iss": "https://evil.example"}), Err(Issuer)),
        (json!({"iss": 5}), Err(Issuer)),
        (json!({"aud": null}), Err(Audience)),
        (json!({"aud": "todo"}), Err(Audience)),
        (json!({"scope": "openid"}), Err(Scope)),
        (json!({"exp": NOW - 60}), Err(Expired)),
        (json!({"exp": null}), Err(Claim("exp"))),
        (json!({"exp": (NOW + 60).to_string()}), Err(Claim("exp"))),
        (json!({"token_type": "DPoP"}), Err(Type)),
        (json!({"email": null}), Err(Username)),
        (json!({"email_verified": false}), Err(EmailUnverified)),
    ] {
        let server = saying(active(changes.clone())).await;
        let providers = Providers::new(&[server.oidc("")], None).unwrap();
        let checked = providers.check(&secret(OPAQUE), None, now()).await;
        let checked =
            checked.map(|vouched| assert_eq!(vouched.how, How::Introspection)).map_err(|not| match not {
                NotVouched::Rejected { why, .. } => why,
                NotVouched::Unavailable(unavailable) => panic!("{changes} {unavailable}"),
            });
        assert_eq!(checked, expected, "{changes}");
    }
}

#[tokio::test]
async fn a_question_says_who_asks_in_the_way_that_is_configured() {
    let key = Signer::new(Algorithm::ES256, "k");
    let pem = format!("client_auth = 'private_key_jwt'\nprivate_key = '''{}'''", key.pem);
    for (more, head, body) in [
        // RFC 6749 2.3.1: encoded as in a form, and then in base64.
        (
            "",
            "authorization: Basic Z2F0ZXBvc3Q6cyUzQWUlMkZjJTJCciUyNWV0",
            "token=2YotnFZFEjr1zCsicMWpAA&token_type_hint=access_token",
        ),
        ("client_auth = 'post'", "", "&client_id=gatepost&client_secret=s%3Ae%2Fc%2Br%25et"),
        (
            &pem,
            "",
            "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=ey",
        ),
    ] {
        let server = saying(active(json!({}))).await;
        let providers = Providers::new(&[server.oidc(more)], None).unwrap();
        providers.check(&secret(OPAQUE), None, now()).await.unwrap();
        let asked = server.asked.lock().unwrap();
        let question = asked.iter().find(|question| question.line == "POST /introspect").unwrap();
        assert!(
            question.head.contains(head) && question.body.contains(body),
            "{} {}",
            question.head,
            question.body
        );
        assert!(question.head.contains(&format!("host: localhost:{}", server.port)), "{}", question.head);
        assert_eq!(question.head.contains("authorization"), more.is_empty());
    }
}

#[tokio::test]
async fn questions_share_connections_and_are_counted() {
    let server = saying(active(json!({}))).await;
    let providers = Providers::new(&[server.oidc("")], None).unwrap();
    for _ in 0..5 {
        providers.check(&secret(OPAQUE), None, now()).await.unwrap();
    }
    assert_eq!(*server.connections.lock().unwrap(), 1);
    let counts = providers.counts();
    assert_eq!((counts[0].introspections, counts[0].discoveries, counts[0].key_sets), (5, 1, 0));
}

#[tokio::test]
async fn a_new_key_is_fetched_once_and_a_key_that_is_made_up_does_not_have_it_fetched_again() {
    let (old, new) = (Signer::new(Algorithm::ES256, "old"), Signer::new(Algorithm::ES256, "new"));
    let made_up = Signer::new(Algorithm::ES256, "made up");
    let (before, after) = (key_set(&[&old]), key_set(&[&old, &new]));
    let rotated = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let keys = Arc::clone(&rotated);
    let server = Server::start(move |port, question| {
        let keys = if keys.load(Ordering::Relaxed) { &after } else { &before };
        provider(port, question, keys, |_| panic!("{}", question.line))
    })
    .await;
    let providers = Providers::new(&[server.oidc("")], None).unwrap();
    let token = |signer: &Signer| secret(signer.token(&good(json!({"iss": server.issuer()}))));
    let fetched = || server.times("GET /keys");
    let (first, second, third) = (token(&old), token(&old), token(&made_up));
    let both = tokio::join!(providers.check(&first, None, now()), providers.check(&second, None, now()));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(fetched(), 1, "those who wait for the same keys have them fetched once");
    let refused = providers.check(&third, None, now()).await.unwrap_err();
    let until = Some(now() + AGAIN);
    assert_eq!(
        refused,
        NotVouched::Rejected { provider: Some("id".into()), why: TokenFault::UnknownKey, until }
    );
    assert_eq!(fetched(), 1, "they were fetched just now");

    rotated.store(true, Ordering::Relaxed);
    tokio::time::pause();
    tokio::time::advance(AGAIN).await;
    tokio::time::resume();
    assert!(providers.check(&token(&new), None, now()).await.is_ok());
    assert!(providers.check(&token(&old), None, now()).await.is_ok());
    for _ in 0..20 {
        assert!(providers.check(&token(&made_up), None, now()).await.is_err());
    }
    assert_eq!(fetched(), 2);
}

#[tokio::test]
async fn a_key_that_takes_the_name_of_another_is_found_too() {
    let (old, new) = (Signer::new(Algorithm::ES256, "k"), Signer::new(Algorithm::ES256, "k"));
    let (before, after) = (key_set(&[&old]), key_set(&[&new]));
    let server =
        Server::start(move |port, question| provider(port, question, &after, |_| Answer::Silence)).await;
    let providers = knowing(&[server.oidc("")], &before).await;
    let token = |signer: &Signer| secret(signer.token(&good(json!({"iss": server.issuer()}))));
    tokio::time::pause();
    tokio::time::advance(AGAIN).await;
    tokio::time::resume();
    assert!(providers.check(&token(&new), None, now()).await.is_ok());
    assert!(providers.check(&token(&old), None, now()).await.is_err());
    assert_eq!(server.times("GET /keys"), 1);
}

#[tokio::test]
async fn a_signed_token_of_somebody_else_is_refused_whatever_the_provider_makes_of_it() {
    let signer = Signer::new(Algorithm::ES256, "k");
    let token = signer.token(&good(json!({"iss": "https://evil.example"})));
    for answer in [
        Answer::json(&json!({"active": false})),
        Answer::Whole(400, "application/json", r#"{"error":"unsupported_token_type"}"#.to_owned()),
    ] {
        let answer = Mutex::new(Some(answer));
        let keys = key_set(&[&signer]);
        let server = Server::start(move |port, question| {
            provider(port, question, &keys, |_| answer.lock().unwrap().take().unwrap())
        })
        .await;
        let providers = Providers::new(&[server.oidc("")], None).unwrap();
        assert!(matches!(fault(&providers, &token).await, TokenFault::Issuer | TokenFault::Inactive));
    }
}

#[tokio::test]
async fn a_signed_token_is_shown_to_its_issuer_whatever_name_goes_with_it() {
    let (own, other) = (saying(active(json!({}))).await, saying(active(json!({}))).await);
    let configs = [
        other.oidc("name = 'other'\ndomains = ['example.com']"),
        own.oidc("validation = 'introspection'\ndomains = ['example.org']"),
    ];
    let providers = Providers::new(&configs, None).unwrap();
    let token = Signer::new(Algorithm::ES256, "k").token(&good(json!({"iss": own.issuer()})));
    let vouched = providers.check(&secret(token), Some("example.com"), now()).await.unwrap();
    assert_eq!((&*vouched.provider, vouched.how), ("id", How::Introspection));
    providers.check(&secret(OPAQUE), Some("example.org"), now()).await.unwrap();
    assert_eq!((own.times("POST /introspect"), other.times("POST /introspect")), (2, 0));
    let unrouted = providers.check(&secret(OPAQUE), None, now()).await.unwrap_err();
    assert_eq!(unrouted, NotVouched::Rejected { provider: None, why: TokenFault::Unrouted, until: None });
}

/// A provider with one user, whose password is `right`.
fn with_passwords(port: u16, question: &Question, keys: &str, signer: &Signer, id_claims: &Value) -> Answer {
    provider(port, question, keys, |question| match question.line.as_str() {
        "POST /token" if question.body.contains("password=right") => {
            let mut claims = id_claims.clone();
            claims["iss"] = json!(format!("https://localhost:{port}"));
            let token = signer.token_with(|header| header.typ = None, &claims);
            let mut told = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60});
            if id_claims.get("sub").is_some() {
                told["id_token"] = json!(token);
            }
            Answer::json(&told)
        }
        "POST /token" if question.body.contains("password=odd") => {
            Answer::Whole(401, "application/json", r#"{"error":"invalid_client"}"#.to_owned())
        }
        // Keycloak says 401.
        "POST /token" => Answer::Whole(401, "application/json", r#"{"error":"invalid_grant"}"#.to_owned()),
        "GET /me" => {
            assert!(question.head.contains("authorization: Bearer at"), "{}", question.head);
            Answer::json(&json!({"sub": "4711", "email": "anna@example.org", "email_verified": true}))
        }
        line => panic!("{line}"),
    })
}

#[tokio::test]
async fn a_password_is_taken_to_the_provider_once() {
    for (id_claims, expected) in [
        (good(json!({"aud": "gatepost"})), Ok(60)),
        (good(json!({"aud": "gatepost", "exp": NOW + 20})), Ok(20)),
        (json!({}), Ok(60)),
        (json!({"sub": "4711", "aud": "gatepost", "exp": NOW + 300, "iat": NOW}), Ok(60)),
        (json!({"sub": "other", "aud": "gatepost", "exp": NOW + 300, "iat": NOW}), Err(Outage::NoClaims)),
        (good(json!({"aud": "todo"})), Err(Outage::NoClaims)),
    ] {
        let signer = Signer::new(Algorithm::ES256, "k");
        let (keys, claims) = (key_set(&[&signer]), id_claims.clone());
        let server =
            Server::start(move |port, question| with_passwords(port, question, &keys, &signer, &claims))
                .await;
        let providers = Providers::new(&[server.oidc("password_grant = true")], None).unwrap();
        let ask = |password: &'static str| {
            let providers = &providers;
            async move { providers.password("anna", &secret(password), None, now()).await.unwrap() }
        };
        match (ask("right").await, expected) {
            (Ok(vouched), Ok(seconds)) => {
                assert_eq!(
                    (vouched.username.as_str(), vouched.how),
                    ("anna@example.org", How::PasswordGrant)
                );
                assert_eq!(vouched.expires_at, now() + Duration::from_secs(seconds), "{id_claims}");
            }
            (Err(NotVouched::Unavailable(unavailable)), Err(outage)) => assert_eq!(unavailable.why, outage),
            other => panic!("{id_claims} {other:?}"),
        }
        for password in ["wrong", "", "\u{e9}"] {
            let refused = ask(password).await.unwrap_err();
            let NotVouched::Rejected { why: TokenFault::WrongPassword, .. } = refused else {
                panic!("{refused:?}")
            };
        }
        let unavailable = ask("odd").await.unwrap_err();
        let NotVouched::Unavailable(Unavailable { why: Outage::Refused, .. }) = unavailable else {
            panic!("{unavailable:?}")
        };
        assert_eq!(server.times("POST /token"), 4, "an empty password is not worth a question");
        let asked = server.asked.lock().unwrap();
        let question = asked.iter().find(|question| question.line == "POST /token").unwrap();
        assert!(
            question.body.starts_with("grant_type=password&username=anna&password=right"),
            "{}",
            question.body
        );
        assert!(question.body.contains("scope=openid+mail"), "{}", question.body);
    }
    let ca = some_ca();
    let off = Providers::new(&[oidc(ca.path(), "")], None).unwrap();
    assert!(off.password("anna", &secret("right"), None, now()).await.is_none());
}
