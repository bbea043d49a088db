use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;
use serde_json::json;

use super::{House, attempt, house, of, start, unavailable};
use crate::{
    config::KickCommand,
    decision::{Ended, Kick, Logout, Revoked},
    oidc::{How, Vouched, scripted::vouched},
    username::Username,
};

const REVOKED: &str = "token_rejected";

fn revoke(house: &House, name: &str, seconds: u64) -> Vec<String> {
    let revoked = house.engine.revoke(name.as_bytes(), house.at(seconds)).now_or_never().unwrap();
    let Revoked { users, unavailable, .. } = revoked.unwrap();
    assert_eq!(unavailable, None);
    users.iter().map(|user| user.as_str().to_owned()).collect()
}

/// A token that was issued so many seconds after the start, or does not say when.
fn issued(user: &str, at: Option<u64>, how: How) -> Vouched {
    let claims = at.map_or(json!({}), |at| json!({ "iat": 1_800_000_000 + at }));
    Vouched { how, ..vouched(user, start() + Duration::from_secs(3600), claims) }
}

#[test]
fn tokens_of_before_are_good_no_longer_and_those_that_come_later_are() {
    let house = house();
    house.say("signed", Ok(issued("alice", Some(0), How::Jwt)));
    house.say("unseen", Ok(issued("alice", Some(5), How::Jwt)));
    house.say("opaque", Ok(issued("alice", None, How::Introspection)));
    house.say("ahead", Ok(issued("alice", Some(40), How::Introspection)));
    house.say("later", Ok(issued("alice", Some(31), How::Jwt)));
    house.say("fresh", Ok(issued("alice", None, How::Introspection)));
    house.say("undated", Ok(issued("alice", None, How::Jwt)));
    house.say("bob", Ok(issued("bob", Some(0), How::Jwt)));
    for token in ["signed", "opaque", "ahead", "bob"] {
        assert_eq!(house.judge(&attempt("", token), 10).0, "verified", "{token}");
    }
    assert_eq!(revoke(&house, "Alice", 30), ["alice@x.test"]);
    for (token, outcome) in [
        ("signed", REVOKED),
        ("unseen", REVOKED),
        // Seen before: whatever the clock of the provider says, or if it does not say.
        ("opaque", REVOKED),
        ("ahead", REVOKED),
        ("later", "verified"),
        // The provider has just said that it is good.
        ("fresh", "verified"),
        // It may be of any time.
        ("undated", REVOKED),
        ("bob", "verified"),
    ] {
        for seconds in [30, 32, 400] {
            assert_eq!(house.judge(&attempt("", token), seconds).0, outcome, "{token} at {seconds}");
        }
    }
}

#[test]
fn all_names_of_somebody_are_revoked_together() {
    for (revoked, users) in [("al", &["al@x.test", "alice@x.test"][..]), ("alice", &["alice@x.test"])] {
        let house = house();
        for (token, user) in [("a", "alice"), ("al", "al"), ("b", "bob")] {
            house.good(token, user, 3600);
            assert_eq!(house.judge(&attempt("", token), 1).0, "verified");
        }
        assert_eq!(revoke(&house, revoked, 2), users);
        for (token, outcome) in [("a", REVOKED), ("al", REVOKED), ("b", "verified")] {
            assert_eq!(house.judge(&attempt("", token), 3).0, outcome, "{token} after {revoked}");
        }
    }
    let house = house();
    assert!(house.engine.revoke(b"a b", house.at(0)).now_or_never().unwrap().is_err());
    assert_eq!(revoke(&house, "nobody", 0), ["nobody@x.test"]);
}

#[test]
fn what_was_revoked_stays_so_without_memory_and_with_another_engine() {
    let house = house();
    house.good("t", "alice", 3600);
    house.say("opaque", Ok(issued("alice", None, How::Introspection)));
    house.judge(&attempt("", "t"), 1);
    house.judge(&attempt("", "opaque"), 1);
    revoke(&house, "alice", 2);
    house.engine.flush(|_| true);
    for token in ["t", "opaque"] {
        assert_eq!(house.judge(&attempt("", token), 3).0, REVOKED);
    }
    let other = super::house();
    let providers = Arc::clone(&house.providers);
    let engine =
        other.engine.with_providers(providers).with_revocations(Arc::clone(&house.engine.revocations));
    for token in ["t", "opaque"] {
        let attempt = attempt("", token);
        let (decision, _) = engine.judge(&attempt, house.at(4)).now_or_never().unwrap();
        assert_eq!(decision.outcome(), REVOKED, "{token} after a reload");
    }
}

#[tokio::test]
async fn what_is_being_asked_about_while_it_is_revoked_is_revoked() {
    let house = House::slow(super::DIRECTORIES, super::PEOPLE, Duration::from_millis(20));
    for how in [How::Jwt, How::Introspection] {
        for at in [Some(0), None] {
            let token = format!("{how:?} {at:?}");
            house.say(&token, Ok(issued("alice", at, how)));
            let attempt = attempt("", &token);
            let mut judged = Box::pin(house.engine.judge(&attempt, house.at(1)));
            assert!(futures_util::poll!(&mut judged).is_pending());
            let revoked = house.engine.revoke(b"alice", house.at(2)).await.unwrap();
            assert_eq!(revoked.users.len(), 1);
            assert_eq!(judged.await.0.outcome(), REVOKED, "{token}");
            assert_eq!(house.engine.judge(&attempt, house.at(3)).await.0.outcome(), REVOKED, "{token}");
        }
    }
}

#[test]
fn an_outage_makes_no_revoked_token_good_again() {
    let house = house();
    house.good("t", "alice", 3600);
    house.judge(&attempt("", "t"), 1);
    revoke(&house, "alice", 2);
    house.say("t", unavailable());
    assert_eq!(house.judge(&attempt("", "t"), 3).0, "unavailable");
    assert_eq!(house.judge(&attempt("", "t"), 310).0, "unavailable");
}

#[test]
fn a_logout_ends_the_tokens_of_its_session_and_of_no_other() {
    let issuer = "https://id.example.org";
    let house = house();
    let of = |session: Option<&str>| Vouched {
        session: session.map(Into::into),
        how: How::Jwt,
        ..of("alice", 3600)
    };
    house.say("one", Ok(of(Some("s1"))));
    house.say("two", Ok(of(Some("s2"))));
    house.say("none", Ok(of(None)));
    house.good("bob", "bob", 3600);
    for token in ["one", "two", "none", "bob"] {
        assert_eq!(house.judge(&attempt("", token), 1).0, "verified");
    }
    let logout = Logout { issuer, subject: None, session: Some("s1") };
    let other = Logout { issuer: "https://other.test", ..logout };
    assert_eq!(house.engine.logged_out(&other, house.at(2)), Ended::default());
    assert_eq!(house.judge(&attempt("", "one"), 2).0, "verified");
    let ended = |tokens| {
        let user = Username::normalise(b"alice@x.test", None).unwrap();
        Ended { tokens, users: vec![user] }
    };
    assert_eq!(house.engine.logged_out(&logout, house.at(2)), ended(1));
    let outcomes =
        |seconds| ["one", "two", "none", "bob"].map(|token| house.judge(&attempt("", token), seconds).0);
    assert_eq!(outcomes(3), [REVOKED, "verified", "verified", "verified"]);
    // One that does not say which session it is of may be of this one.
    let logout = Logout { subject: Some("alice"), ..logout };
    assert_eq!(house.engine.logged_out(&logout, house.at(4)), ended(2));
    assert_eq!(outcomes(5), [REVOKED, "verified", REVOKED, "verified"]);
    let everywhere = Logout { session: None, ..logout };
    house.engine.logged_out(&everywhere, house.at(6));
    assert_eq!(outcomes(7), [REVOKED, REVOKED, REVOKED, "verified"]);
}

/// Who has got hold of a logout token ends nothing with it that has begun since.
#[test]
fn a_logout_that_is_told_again_changes_nothing() {
    let house = house();
    house.good("t", "alice", 3600);
    house.say("later", Ok(issued("alice", Some(3), How::Jwt)));
    house.judge(&attempt("", "t"), 1);
    let told = |seconds| {
        let token = Secret::new(b"alice".to_vec());
        house.engine.logout(&token, house.at(seconds)).now_or_never().unwrap().unwrap().1
    };
    assert_eq!(told(2).map(|ended| ended.tokens), Some(1));
    assert_eq!(house.judge(&attempt("", "t"), 3).0, REVOKED);
    assert_eq!(house.judge(&attempt("", "later"), 4).0, "verified");
    assert_eq!(told(5), None);
    assert_eq!(house.judge(&attempt("", "later"), 6).0, "verified");
    assert_eq!(house.judge(&attempt("", "t"), 6).0, REVOKED);
    let forged = Secret::new(b"forged".to_vec());
    assert!(house.engine.logout(&forged, house.at(7)).now_or_never().unwrap().is_err());
}

/// Connections outlive what is known of the tokens that they were opened with.
#[test]
fn a_logout_finds_who_is_in_by_a_token_that_was_forgotten() {
    let house = house();
    let command = KickCommand { program: "true".to_owned(), arguments: Vec::new() };
    let engine = house.engine.with_kick(Some(Kick::new(command)));
    let house = House { engine, ..house };
    let of =
        |user: &str, session: Option<&str>| Vouched { session: session.map(Into::into), ..of(user, 3600) };
    house.say("s1", Ok(of("alice", Some("s1"))));
    house.say("al", Ok(of("al", None)));
    house.good("bob", "bob", 3600);
    for token in ["s1", "al", "bob"] {
        assert_eq!(house.judge(&attempt("", token), 1).0, "verified");
    }
    house.engine.flush(|_| true);
    let gone = |subject, session| {
        let logout = Logout { issuer: "https://id.example.org", subject, session };
        let ended = house.engine.logged_out(&logout, house.at(2));
        let users = ended.users.iter().map(|user| user.as_str().to_owned());
        (ended.tokens, users.collect::<Vec<_>>())
    };
    assert_eq!(gone(None, Some("s1")), (0, vec!["alice@x.test".to_owned()]));
    assert_eq!(gone(Some("alice"), Some("s2")), (0, vec![]), "another session of hers");
    assert_eq!(gone(Some("alice"), None).1, ["alice@x.test"]);
    assert_eq!(gone(Some("al"), Some("s2")).1, ["alice@x.test"], "whatever session it was, by her own name");
    assert_eq!(gone(Some("carol"), None).1, [""; 0]);
}
