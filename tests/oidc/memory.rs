//! What a token costs the provider that is shown again and again, and how soon a change there counts.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    ALICE, Bearer, Door, Front, Outcome,
    support::{
        Provider,
        provider::{Signer, Wanted},
        wait_until,
    },
    with_each_debian,
};

#[test]
fn a_token_is_asked_about_once_however_many_doors_it_is_shown_at() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let token = provider.opaque();
        front.expect("opaque", &Door::ALL, ALICE, &token, &Outcome::Enters);
        assert_eq!(provider.asked("introspection"), 1);

        let token = provider.jwt();
        front.expect("a JWT", &Door::ALL, ALICE, &token, &Outcome::Enters);
        assert_eq!(provider.asked("introspection"), 1, "a JWT is asked about nowhere");
        assert_eq!(provider.asked("jwks"), 1);
    });
}

/// As webmail repeats a token that has died, three times a page.
#[test]
fn a_dead_token_is_asked_about_once_and_makes_nobody_wait() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let dead = provider.opaque();
        provider.revoke(&dead);
        for _ in 0..5 {
            assert_eq!(front.imap(&dead), Outcome::invalid(provider), "{}", front.log());
        }
        assert_eq!(provider.asked("introspection"), 1);
        // Neither their address nor the user has earned a penalty.
        let token = provider.opaque();
        let begun = Instant::now();
        assert_eq!(front.imap(&token), Outcome::Enters, "{}", front.log());
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_revoked_token_is_refused_once_it_is_forgotten() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let token = provider.opaque();
        assert_eq!(front.imap(&token), Outcome::Enters, "{}", front.log());
        provider.revoke(&token);
        front.gatepost().forget();
        front.expect("revoked", &Door::USUAL, ALICE, &token, &Outcome::invalid(provider));
    });
}

#[test]
fn a_token_is_not_remembered_for_longer_than_it_lives() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table("clock_skew = \"0s\""));
        let short =
            |format| provider.issue(Wanted { format, lifetime: Duration::from_secs(3), ..Wanted::default() });
        let (opaque, jwt) = (short("opaque"), short("RS256"));
        for token in [&opaque, &jwt] {
            assert_eq!(front.imap(token), Outcome::Enters, "{}", front.log());
        }
        let begun = Instant::now();
        for token in [&opaque, &jwt] {
            while front.imap(token) == Outcome::Enters {
                assert!(begun.elapsed() < Duration::from_secs(5), "{:?}\n{}", begun.elapsed(), front.log());
            }
            assert_eq!(front.imap(token), Outcome::invalid(provider), "{}", front.log());
        }
    });
}

#[test]
fn a_new_key_counts_as_soon_as_it_signs_and_a_withdrawn_one_no_more() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let (before, unseen) = (provider.jwt(), provider.jwt());
        assert_eq!(front.imap(&before), Outcome::Enters, "{}", front.log());
        provider.rotate(false);
        let after = provider.jwt();
        wait_until("the new key is known", || front.imap(&after) == Outcome::Enters);
        front.expect("of the new key", &Door::USUAL, ALICE, &provider.jwt(), &Outcome::Enters);
        wait_until("the old key is forgotten", || front.imap(&unseen) == Outcome::invalid(provider));
    });
}

#[test]
fn the_old_key_counts_for_as_long_as_it_is_published() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let old = [(); 2].map(|()| provider.jwt());
        assert_eq!(front.imap(&old[0]), Outcome::Enters, "{}", front.log());
        provider.rotate(true);
        let after = provider.jwt();
        wait_until("the new key is known", || front.imap(&after) == Outcome::Enters);
        assert_eq!(front.imap(&old[1]), Outcome::Enters, "{}", front.log());
    });
}

#[test]
fn tokens_of_keys_that_nobody_has_make_the_provider_no_work() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        for number in 0..10 {
            let token = unheard_of(provider, number);
            let seen = front.enter(Door::Imap, Bearer::XOAuth2, ALICE, &token);
            assert_ne!(seen, Outcome::Enters, "{}", front.log());
        }
        let asked = provider.asked("jwks");
        assert!(asked <= 3, "the keys were fetched {asked} times");
    });
}

fn unheard_of(provider: &Provider<'_>, number: u32) -> String {
    provider.forge(json!({ "kid": format!("unheard-of-{number}") }), json!({}), Signer::Stranger)
}
