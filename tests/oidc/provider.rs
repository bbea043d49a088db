//! The provider itself, without gatepost: what the other tests take for granted.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    Place, Provider, Tree,
    provider::{Mood, Signer, Wanted},
    wait_until,
};

#[test]
fn an_opaque_token_is_vouched_for_until_it_is_revoked_or_runs_out() {
    let place = Place::new(&Tree::web());
    let provider = Provider::start(&place);
    let token = provider.opaque();
    let said = provider.introspect(&token);
    assert_eq!(said["active"], true, "{said}");
    assert_eq!(said["email"], "alice@example.test", "{said}");
    assert_eq!(said["aud"], "gatepost", "{said}");
    assert_eq!(said["scope"], "email", "{said}");
    assert_eq!(said["iss"], provider.issuer(), "{said}");
    provider.revoke(&token);
    assert_eq!(provider.introspect(&token), json!({ "active": false }));

    let short = provider.issue(Wanted { lifetime: Duration::from_secs(1), ..Wanted::default() });
    wait_until("the token has run out", || provider.introspect(&short)["active"] == false);
    assert_eq!(provider.introspect("never heard of"), json!({ "active": false }));
    assert!(provider.asked("introspection") >= 4);
}

#[test]
fn a_token_is_for_whom_and_what_was_asked_for() {
    let place = Place::new(&Tree::web());
    let provider = Provider::start(&place);
    let said = |wanted| provider.introspect(&provider.issue(wanted));
    assert_eq!(said(Wanted { audience: Some("elsewhere"), ..Wanted::default() })["aud"], "elsewhere");
    assert!(said(Wanted { audience: None, ..Wanted::default() }).get("aud").is_none());
    assert_eq!(said(Wanted { scope: "mail", ..Wanted::default() })["scope"], "mail");
    let mallory = said(Wanted { user: "mallory", password: "mallory", ..Wanted::default() });
    assert_eq!(mallory["email_verified"], false);
}

#[test]
fn keys_are_published_and_rotated_and_survive_a_restart() {
    let place = Place::new(&Tree::web());
    let mut provider = Provider::start(&place);
    let names = |provider: &Provider<'_>| {
        let keys = provider.get("/jwks").json();
        let mut names: Vec<_> = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&provider), ["ec-1", "ec384-1", "ed-1", "rsa-1"]);
    let opaque = provider.opaque();
    provider.rotate(true);
    assert_eq!(names(&provider), ["ec-1", "ec-2", "ec384-1", "ec384-2", "ed-1", "ed-2", "rsa-1", "rsa-2"]);
    assert_eq!(provider.introspect(&opaque)["active"], true, "keys are nothing to an opaque token");
    provider.rotate(false);
    assert_eq!(names(&provider), ["ec-3", "ec384-3", "ed-3", "rsa-3"]);
    provider.stop();
    provider.start_again();
    assert_eq!(names(&provider), ["ec-3", "ec384-3", "ed-3", "rsa-3"]);
    for (format, name) in [("RS256", "rsa-3"), ("ES256", "ec-3"), ("ES384", "ec384-3"), ("EdDSA", "ed-3")] {
        let (header, claims) = parts(&provider.issue(Wanted { format, ..Wanted::default() }));
        assert_eq!(header, json!({ "alg": format, "typ": "at+jwt", "kid": name }));
        assert_eq!((&claims["aud"], &claims["sub"]), (&json!("gatepost"), &json!("id-1")), "{claims}");
    }
}

#[test]
fn it_forges_what_it_would_not_give_and_feels_as_it_is_told() {
    let place = Place::new(&Tree::web());
    let provider = Provider::start(&place);
    let token =
        provider.forge(json!({ "alg": "none" }), json!({ "exp": "soon", "sub": null }), Signer::Nobody);
    let (header, claims) = parts(&token);
    assert_eq!((&header["alg"], &claims["exp"]), (&json!("none"), &json!("soon")));
    assert!(claims.get("sub").is_none() && token.ends_with('.'));

    provider.feel(Mood::Html(502));
    let answer = provider.get("/jwks");
    assert!(answer.status == 502 && answer.body.contains("Maintenance"), "{answer:?}");
    provider.feel(Mood::Slow(Duration::from_millis(300)));
    let begun = std::time::Instant::now();
    assert_eq!(provider.get("/jwks").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    provider.feel(Mood::Well);
    assert_eq!(provider.asked("jwks"), 2, "each question is counted, whatever the answer");
}

/// Header and claims of a JWT.
fn parts(token: &str) -> (serde_json::Value, serde_json::Value) {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let mut parts = token.split('.').map(|part| serde_json::from_slice(&BASE64.decode(part).unwrap()));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}
