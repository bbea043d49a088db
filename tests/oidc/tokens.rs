//! Which tokens enter and which do not, one by one, through IMAP and SMTP; and one of each through the other doors.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    ALICE, Bearer, Door, Front, Outcome,
    support::{
        Place, Provider, Tree,
        provider::{Signer, Wanted},
        wait_until,
    },
    with_each_debian,
};

#[test]
fn the_right_token_enters_and_no_other_does() {
    let elsewhere = Place::new(&Tree::web());
    let elsewhere = Provider::start(&elsewhere);
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        for (what, token) in right(provider) {
            front.expect(what, &Door::USUAL, ALICE, &token, &Outcome::Enters);
        }
        let invalid = Outcome::invalid(provider);
        for (what, token) in wrong(provider, &elsewhere) {
            front.expect(what, &Door::USUAL, ALICE, &token, &invalid);
        }
        for (what, user, token) in of_another(provider) {
            front.expect(what, &Door::USUAL, user, &token, &invalid);
        }
        let token = provider.opaque();
        front.expect("one that never failed", &Door::USUAL, ALICE, &token, &Outcome::Enters);
    });
}

#[test]
fn every_door_takes_the_right_token_and_says_of_a_wrong_one_what_is_wrong() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        for format in ["opaque", "RS256"] {
            let wanted = Wanted { format, ..Wanted::default() };
            front.expect(format, &Door::ALL, ALICE, &provider.issue(wanted), &Outcome::Enters);
            let other = provider.issue(Wanted { audience: Some("elsewhere"), ..wanted });
            front.expect(format, &Door::ALL, ALICE, &other, &Outcome::invalid(provider));
        }
    });
}

/// The provider vouches for Carol, and the directory has her switched off; it vouches for somebody who has no mailbox.
#[test]
fn a_token_makes_nobody_of_whom_the_directories_do_not_let_in() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        for user in ["carol", "newcomer"] {
            let token = provider.issue(Wanted { user, password: user, ..Wanted::default() });
            let address = format!("{user}@example.test");
            for door in Door::USUAL {
                for bearer in Bearer::ALL {
                    let seen = front.enter(door, bearer, &address, &token);
                    let is_refused = matches!(seen, Outcome::Refused(_));
                    assert!(is_refused, "{user} by {bearer:?} through {door:?}: {seen:?}\n{}", front.log());
                }
            }
        }
    });
}

/// As one is that the same person gave to any other program of the house.
#[test]
fn a_token_that_was_given_to_another_program_is_refused_where_only_some_may_have_them() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table("clients = [\"webmail\"]"));
        let invalid = Outcome::invalid(provider);
        front.expect("opaque", &Door::USUAL, ALICE, &provider.opaque(), &invalid);
        front.expect("a JWT", &Door::USUAL, ALICE, &provider.jwt(), &invalid);
        let webmails = provider.forge(json!({}), json!({ "client_id": "webmail" }), Signer::Provider);
        front.expect("webmail's JWT", &Door::USUAL, ALICE, &webmails, &Outcome::Enters);
    });
}

#[test]
fn no_token_is_in_the_log_at_its_finest() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &format!("{}[log]\nfilter = \"trace\"\n", provider.table("")));
        let usual = Wanted::default();
        let other = Wanted { audience: Some("elsewhere"), ..usual };
        let mut secrets = vec!["gatepost-secret".to_owned(), BASE64.encode("gatepost:gatepost-secret")];
        for wanted in [usual, other, Wanted { format: "RS256", ..usual }, Wanted { format: "RS256", ..other }]
        {
            let token = provider.issue(wanted);
            for door in Door::USUAL {
                for bearer in Bearer::ALL {
                    front.enter(door, bearer, ALICE, &token);
                    secrets.push(bearer.response(ALICE, &token));
                }
            }
            secrets.push(token);
        }
        let log = front.log();
        assert!(log.contains("auth decided"), "{log}");
        for secret in secrets {
            assert!(!log.contains(&secret), "{secret} is in the log");
        }
    });
}

fn right(provider: &Provider<'_>) -> Vec<(&'static str, String)> {
    let issue = |format| provider.issue(Wanted { format, ..Wanted::default() });
    let forge = |claims| provider.forge(json!({}), claims, Signer::Provider);
    vec![
        ("opaque", issue("opaque")),
        ("a JWT by RSA", issue("RS256")),
        ("a JWT by ECDSA", issue("ES256")),
        ("a JWT by Ed25519", issue("EdDSA")),
        (
            "more scopes than are asked for",
            provider.issue(Wanted { scope: "mail email", ..Wanted::default() }),
        ),
        ("one of several audiences", forge(json!({ "aud": ["elsewhere", "gatepost"] }))),
    ]
}

fn wrong(provider: &Provider<'_>, elsewhere: &Provider<'_>) -> Vec<(&'static str, String)> {
    let issue = |wanted: Wanted<'_>| provider.issue(wanted);
    let usual = Wanted::default();
    let jwt = Wanted { format: "RS256", ..usual };
    let forge = |claims: Value| provider.forge(json!({}), claims, Signer::Provider);
    let with = |header: Value, signer| provider.forge(header, json!({}), signer);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let hour = 3600;
    let revoked = provider.opaque();
    provider.revoke(&revoked);
    let out = issue(Wanted { lifetime: Duration::from_secs(1), ..usual });
    wait_until("the token has run out", || provider.introspect(&out)["active"] == false);

    vec![
        ("no token of anybody", "nonsense".to_owned()),
        ("revoked", revoked),
        ("opaque, and run out", out),
        ("opaque, for another audience", issue(Wanted { audience: Some("elsewhere"), ..usual })),
        ("opaque, for no audience", issue(Wanted { audience: None, ..usual })),
        ("opaque, without the scope", issue(Wanted { scope: "mail", ..usual })),
        ("opaque, of another provider", elsewhere.opaque()),
        ("a JWT for another audience", issue(Wanted { audience: Some("elsewhere"), ..jwt })),
        ("a JWT without the scope", issue(Wanted { scope: "mail", ..jwt })),
        ("a JWT of another provider", elsewhere.jwt()),
        ("a JWT in the name of another provider", forge(json!({ "iss": elsewhere.issuer() }))),
        ("a JWT of another provider in the name of this one", {
            elsewhere.forge(json!({}), json!({ "iss": provider.issuer() }), Signer::Provider)
        }),
        ("a JWT that has run out", forge(json!({ "iat": now - 2 * hour, "exp": now - hour }))),
        ("a JWT that is not valid yet", forge(json!({ "nbf": now + hour }))),
        ("a JWT from the future", forge(json!({ "iat": now + hour, "exp": now + 2 * hour }))),
        ("a JWT that never runs out", forge(json!({ "exp": null }))),
        ("a JWT whose end is a text", forge(json!({ "exp": (now + hour).to_string() }))),
        ("a JWT whose start is a text", forge(json!({ "nbf": (now - hour).to_string() }))),
        ("a JWT without an audience", forge(json!({ "aud": null }))),
        ("a JWT of nobody", forge(json!({ "email": null }))),
        ("a JWT whose address nobody has verified", forge(json!({ "email_verified": false }))),
        ("a JWT that nobody has signed", with(json!({ "alg": "none" }), Signer::Nobody)),
        ("a JWT without its signature", with(json!({}), Signer::Nobody)),
        ("a JWT signed by the public key as a secret", with(json!({ "alg": "HS256" }), Signer::Public)),
        ("a JWT signed by a stranger", with(json!({}), Signer::Stranger)),
        ("a JWT that tells of a logout", with(json!({ "typ": "logout+jwt" }), Signer::Provider)),
    ]
}

/// Tokens that are right, but not of who says so.
fn of_another(provider: &Provider<'_>) -> Vec<(&'static str, &'static str, String)> {
    let mallory = Wanted { user: "mallory", password: "mallory", ..Wanted::default() };
    vec![
        ("Alice's opaque token", "bob@example.test", provider.opaque()),
        ("Alice's JWT", "bob@example.test", provider.jwt()),
        ("Alice's token, of nobody", "nobody@example.test", provider.opaque()),
        ("an address that nobody has verified", "mallory@example.test", provider.issue(mallory)),
    ]
}
