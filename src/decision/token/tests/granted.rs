use std::sync::Arc;

use gatepost_protocol::secret::Secret;
use serde_json::json;

use super::{DIRECTORIES, House, PEOPLE, attempt, of, rejected, unavailable};
use crate::{
    config::Template,
    decision::{Attempt, Decision, Knock},
    mechanism::{Claim, Credential},
    oidc::{Claims, FromClaims, How, Join, TokenFault, Vouched},
};

const PASSWORDS: &str = "
[[directory]]
name = 'people'
type = 'passwd-file'
file = '@DIR@/users'
[[directory]]
name = 'apps'
type = 'static'
users = ['nopass']
primary_password_services = ['sieve']
";

fn login(name: &str, password: &str) -> Attempt {
    let attempt = attempt(name, "");
    let credential = Credential::Password(Secret::new(password.as_bytes().to_vec()));
    Attempt { claim: Claim { credential, ..attempt.claim }, ..attempt }
}

/// What a provider says of a password of this user: for as long as a token of so many seconds.
fn granted(user: &str, seconds: u64) -> Vouched {
    Vouched { how: How::PasswordGrant, ..of(user, seconds) }
}

fn made(user: &str) -> Vouched {
    let fields = vec![("home".to_owned(), Template::of("/m/{local}"))];
    let (recipe, claims) = (Arc::new(FromClaims { fields }), Arc::new(Claims::of(json!({}))));
    Vouched { account: Join::FromClaims(recipe), claims, ..granted(user, 3600) }
}

fn key(user: &str, password: &str) -> String {
    format!("{user}@x.test\0{password}")
}

#[tokio::test]
async fn a_provider_is_shown_passwords_of_whom_no_directory_can_check() {
    let house = House::granting(PASSWORDS, PEOPLE);
    house.say(&key("shared", "idp"), Ok(granted("shared", 3600)));
    house.say(&key("alice", "idp"), Ok(granted("alice", 3600)));
    house.say(&key("locked", "idp"), Ok(granted("locked", 3600)));
    house.say(&key("out", "idp"), Ok(granted("out", 3600)));
    house.say(&key("pop", "idp"), Ok(granted("bob", 3600)));
    house.say(&key("nobody", "idp"), Ok(granted("nobody", 3600)));
    house.say(&key("carol", "idp"), Ok(made("carol")));
    house.say(&key("nopass", "idp"), Ok(granted("nopass", 3600)));
    house.say(&key("net", "scope"), rejected(TokenFault::Malformed));
    house.say(&key("net", "away"), unavailable());
    for (name, password, outcome, asked) in [
        ("shared", "idp", "verified", 1),
        ("shared", "wrong", "rejected", 1),
        ("shared", "", "rejected", 0),
        ("shared", "idp\0", "rejected", 0),
        // Those of whom a directory has a password are the directory's.
        ("alice", "idp", "rejected", 0),
        ("alice", "alice", "verified", 0),
        // Whoever locks a password means all of them.
        ("locked", "idp", "rejected", 0),
        ("bob", "wrong", "rejected", 0),
        ("out", "idp", "expired", 1),
        // It is the password of somebody else, by another name of whom this is none.
        ("pop", "idp", "rejected", 1),
        ("net", "scope", "token_rejected", 1),
        ("net", "away", "unavailable", 1),
        ("nobody", "idp", "no_such_user", 1),
        ("nobody", "wrong", "no_such_user", 1),
        ("carol", "idp", "verified", 1),
        ("carol", "wrong", "no_such_user", 1),
        ("nopass", "idp", "primary_password_denied", 0),
        // It takes those of another domain only.
        ("shared@y.test", "idp", "no_such_user", 0),
        ("left", "staff", "unavailable", 0),
    ] {
        let before = house.providers.asked();
        let (decision, _) = house.engine.judge(&login(name, password), house.at(1)).await;
        assert_eq!(decision.outcome(), outcome, "{name} {password:?}");
        assert_eq!(house.providers.asked() - before, asked, "{name} {password:?}");
        if let Decision::Accept(verified) = &decision {
            assert_eq!(verified.by().provider().is_some(), asked == 1, "{name}");
        }
    }
}

#[test]
fn what_a_provider_says_of_a_password_is_remembered_of_that_password() {
    let house =
        House::granting(DIRECTORIES.replace("primary_password_services = ['sieve']", "").as_str(), PEOPLE);
    house.say(&key("shared", "idp"), Ok(granted("shared", 100)));
    house.say(&key("carol", "idp"), Ok(made("carol")));
    for (name, password, seconds, outcome, asked) in [
        ("shared", "wrong", 0, "rejected", 1),
        ("shared", "wrong", 1, "rejected", 0),
        ("shared", "idp", 1, "verified", 1),
        ("shared", "idp", 99, "verified", 0),
        ("shared", "wrong", 1, "rejected", 0),
        ("carol", "wrong", 1, "no_such_user", 1),
        ("carol", "idp", 1, "verified", 1),
        ("carol", "idp", 250, "verified", 0),
        ("carol", "wrong", 2, "no_such_user", 0),
    ] {
        let before = house.providers.asked();
        assert_eq!(house.judge(&login(name, password), seconds).0, outcome, "{name} {password} at {seconds}");
        assert_eq!(house.providers.asked() - before, asked, "{name} {password} at {seconds}");
    }
    // Nobody is refused in passing who may have a password there.
    for (name, password) in [("shared@x.test", "wrong"), ("carol@x.test", "wrong"), ("carol@x.test", "idp")] {
        let proof = [name, password].join("\0");
        let knock = Knock {
            authcid: name.as_bytes(),
            authzid: None,
            password: password.as_bytes(),
            proof: proof.as_bytes(),
            service: "imap",
            keeps: false,
        };
        assert!(house.engine.recall(&knock, || None, house.begun).is_none(), "{name}");
    }
    // A password is not over with the token that was given for it, and not revoked with the tokens of its owner.
    house.say(&key("shared", "idp"), Ok(granted("shared", 3600)));
    assert_eq!(house.judge(&login("shared", "idp"), 101), ("verified", "asked"));
    house.say(&key("shared", "idp"), unavailable());
    assert_eq!(house.judge(&login("shared", "idp"), 402), ("verified", "stale"));
    house.say(&key("shared", "idp"), Ok(granted("shared", 3600)));
    let revoking = house.engine.revoke(b"shared", house.at(403));
    futures_util::FutureExt::now_or_never(revoking).unwrap().unwrap();
    assert_eq!(house.judge(&login("shared", "idp"), 404), ("verified", "asked"));
}
