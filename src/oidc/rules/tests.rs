use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::oidc::testing::{NOW, good, oidc};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn claims(changes: Value) -> Claims {
    Claims::parse(good(changes).to_string().as_bytes()).unwrap()
}

fn judged(config: &Oidc, changes: Value) -> Result<SystemTime, TokenFault> {
    access(config, &claims(changes), at(NOW)).map_err(|fault| fault.why)
}

#[test]
fn a_token_must_be_for_us_in_time_and_of_the_right_kind() {
    use TokenFault::{Audience, Bound, Claim, Expired, NotYet, Scope, Type};

    let config = oidc(Path::new("/ca.pem"), "");
    for (changes, expected) in [
        (json!({}), Ok(())),
        // For whom.
        (json!({"aud": ["other", "gatepost"]}), Ok(())),
        (json!({"aud": null}), Err(Audience)),
        (json!({"aud": ""}), Err(Audience)),
        (json!({"aud": []}), Err(Audience)),
        (json!({"aud": "gatepost "}), Err(Audience)),
        (json!({"aud": "GATEPOST"}), Err(Audience)),
        (json!({"aud": "other gatepost"}), Err(Audience)),
        (json!({"aud": ["other"]}), Err(Audience)),
        (json!({"aud": ["gatepost", 1]}), Err(Audience)),
        (json!({"aud": {"gatepost": true}}), Err(Audience)),
        (json!({"aud": [["gatepost"]]}), Err(Audience)),
        // When.
        (json!({"exp": NOW + 1}), Ok(())),
        (json!({"exp": NOW - 29}), Ok(())),
        (json!({"exp": NOW - 30}), Err(Expired)),
        (json!({"exp": 0}), Err(Expired)),
        (json!({"exp": null}), Err(Claim("exp"))),
        (json!({"exp": (NOW + 300).to_string()}), Err(Claim("exp"))),
        (json!({"exp": [NOW + 300]}), Err(Claim("exp"))),
        (json!({"exp": true}), Err(Claim("exp"))),
        (json!({"exp": -1}), Err(Claim("exp"))),
        (json!({"exp": 1e300}), Err(Claim("exp"))),
        (json!({"exp": u64::MAX}), Err(Claim("exp"))),
        (json!({"nbf": NOW + 30}), Ok(())),
        (json!({"nbf": NOW + 31}), Err(NotYet)),
        (json!({"nbf": NOW.to_string()}), Err(Claim("nbf"))),
        (json!({"iat": NOW + 31}), Err(NotYet)),
        (json!({"iat": "now"}), Err(Claim("iat"))),
        (json!({"iat": null}), Ok(())),
        // What for.
        (json!({"scope": "mail"}), Ok(())),
        (json!({"scope": "email"}), Err(Scope)),
        (json!({"scope": "mailbox mail2"}), Err(Scope)),
        (json!({"scope": null}), Err(Scope)),
        (json!({"scope": 5}), Err(Scope)),
        (json!({"scope": null, "scp": "openid mail"}), Ok(())),
        (json!({"scope": null, "scp": ["openid", "mail"]}), Ok(())),
        (json!({"scope": "openid", "scp": ["mail"]}), Err(Scope)),
        // Another kind of token.
        (json!({"typ": "Bearer", "token_type": "Bearer"}), Ok(())),
        (json!({"typ": "Refresh"}), Err(Type)),
        (json!({"typ": "ID"}), Err(Type)),
        (json!({"token_type": "refresh_token"}), Err(Type)),
        (json!({"token_type": "DPoP"}), Err(Type)),
        (json!({"at_hash": "x"}), Err(Type)),
        (json!({"events": {LOGOUT: {}}}), Err(Type)),
        (json!({"cnf": {"jkt": "x"}}), Err(Bound)),
        (json!({"client_id": 5}), Err(Claim("client_id"))),
    ] {
        assert_eq!(judged(&config, changes.clone()).map(drop), expected, "{changes}");
    }
}

#[test]
fn the_end_of_a_token_is_its_own_and_not_the_end_of_our_patience() {
    let config = oidc(Path::new("/ca.pem"), "");
    assert_eq!(judged(&config, json!({"exp": NOW - 5})), Ok(at(NOW - 5)));
    let early = access(&config, &claims(json!({"nbf": NOW + 100})), at(NOW));
    assert_eq!(early, Err(Fault { why: TokenFault::NotYet, until: Some(at(NOW + 70)) }));
    let exact = oidc(Path::new("/ca.pem"), "clock_skew = '0s'");
    assert_eq!(judged(&exact, json!({"exp": NOW})), Err(TokenFault::Expired));
    assert_eq!(judged(&exact, json!({"nbf": NOW, "iat": NOW})), Ok(at(NOW + 300)));
}

#[test]
fn all_scopes_are_needed() {
    let config = oidc(Path::new("/ca.pem"), "scopes = ['mail', 'email']");
    assert!(judged(&config, json!({})).is_ok());
    for scope in ["mail", "email", "mail,email"] {
        assert_eq!(judged(&config, json!({"scope": scope})), Err(TokenFault::Scope), "{scope}");
    }
    assert!(judged(&oidc(Path::new("/ca.pem"), "scopes = []"), json!({"scope": null})).is_ok());
}

#[test]
fn a_token_of_a_client_that_is_not_listed_lets_nobody_in() {
    let config = oidc(Path::new("/ca.pem"), "clients = ['roundcube', 'thunderbird']");
    for (changes, expected) in [
        (json!({}), Ok(())),
        (json!({"client_id": null, "azp": "thunderbird"}), Ok(())),
        (json!({"client_id": "todo"}), Err(TokenFault::Client)),
        (json!({"azp": "todo"}), Err(TokenFault::Client)),
        (json!({"client_id": null}), Err(TokenFault::Client)),
        (json!({"client_id": ["roundcube"]}), Err(TokenFault::Claim("client_id"))),
    ] {
        assert_eq!(judged(&config, changes.clone()).map(drop), expected, "{changes}");
    }
}

#[test]
fn a_provider_vouches_for_its_own_people_only() {
    use TokenFault::{Domain, EmailUnverified, Username};

    let whose = |more: &str, changes: Value, default| {
        let owner = owner(&oidc(Path::new("/ca.pem"), more), &claims(changes), default);
        owner.map(|(name, delegates)| [vec![name], delegates].concat().join(" "))
    };
    let anna = || Ok("anna@example.org".to_owned());
    let domains = "domains = ['example.org', '*.example.net']";
    for (more, changes, default, expected) in [
        ("", json!({}), None, anna()),
        ("", json!({"email": null}), None, Err(Username)),
        ("", json!({"email": " "}), None, Err(Username)),
        ("", json!({"email": ["anna@example.org"]}), None, Err(Username)),
        ("", json!({"email_verified": false}), None, Err(EmailUnverified)),
        ("", json!({"email_verified": null}), None, Err(EmailUnverified)),
        ("", json!({"email_verified": "true"}), None, Err(EmailUnverified)),
        ("require_email_verified = false", json!({"email_verified": null}), None, anna()),
        ("username_claim = 'sub'", json!({"email_verified": null}), None, Ok("4711".to_owned())),
        (domains, json!({}), None, anna()),
        (domains, json!({"email": "x@A.Example.NET"}), None, Ok("x@A.Example.NET".to_owned())),
        (domains, json!({"email": "boss@example.com"}), None, Err(Domain)),
        (
            domains,
            json!({"email": "boss@example.com@example.org"}),
            None,
            anna().map(|_| "boss@example.com@example.org".to_owned()),
        ),
        (domains, json!({"email": "anna"}), None, Err(Domain)),
        (domains, json!({"email": "anna"}), Some("example.org"), Ok("anna".to_owned())),
        (domains, json!({"email": "anna"}), Some("example.com"), Err(Domain)),
        (
            "delegates = ['boxes', 'more.box']\ndomains = ['example.org']",
            json!({"boxes": ["info@example.org", "boss@example.com"], "more": {"box": "sales@example.org"}}),
            None,
            Ok("anna@example.org info@example.org sales@example.org".to_owned()),
        ),
    ] {
        assert_eq!(whose(more, changes.clone(), default), expected, "{more} {changes}");
    }
}
