//! A provider that does not answer, or not as one: nobody is refused for it.

use std::time::Duration;

use crate::{
    ALICE, Bearer, Door, Front, Outcome,
    support::{Place, Provider, Tree, Wire, provider::Mood, wait_until},
    with_each_debian,
};

type Begins = fn(&Provider<'_>);

/// Ways of not answering, and how each begins.
const OUTAGES: [(&str, Begins); 7] = [
    ("nobody listens", |provider| provider.wire().set(Wire::Refused)),
    ("nobody answers", |provider| provider.wire().set(Wire::Silent)),
    ("what answers has no TLS", |provider| {
        provider.wire().set(Wire::Garbage);
        provider.wire().cut();
    }),
    ("it is slower than may be waited for", |provider| provider.feel(Mood::Slow(Duration::from_secs(5)))),
    ("a page is answered", |provider| provider.feel(Mood::Html(200))),
    ("a page is answered that says so", |provider| provider.feel(Mood::Html(502))),
    ("a page is answered that says otherwise", |provider| provider.feel(Mood::Html(404))),
];

/// All is well again.
fn well(provider: &Provider<'_>) {
    provider.feel(Mood::Well);
    provider.wire().set(Wire::Open);
}

#[test]
fn an_outage_of_the_provider_is_never_a_wrong_token() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let known = provider.opaque();
        front.expect("known", &[Door::Imap], ALICE, &known, &Outcome::Enters);
        front.expect("a JWT", &[Door::Imap], ALICE, &provider.jwt(), &Outcome::Enters);
        for (what, begin) in OUTAGES {
            eprintln!("{}: {what}", place.tree().name());
            let [opaque, jwt] = [provider.opaque(), provider.jwt()];
            begin(provider);
            front.expect(what, &Door::USUAL, ALICE, &opaque, &Outcome::Temporary);
            // What needs no answer goes on.
            front.expect(what, &Door::USUAL, ALICE, &jwt, &Outcome::Enters);
            front.expect(what, &Door::USUAL, ALICE, &known, &Outcome::Enters);
            well(provider);
            wait_until("the token that could not be judged enters", || {
                front.imap(&opaque) == Outcome::Enters
            });
        }
    });
}

#[test]
fn every_door_says_of_an_outage_that_it_will_pass() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        let token = provider.opaque();
        provider.wire().set(Wire::Refused);
        front.expect("nobody listens", &Door::ALL, ALICE, &token, &Outcome::Temporary);
    });
}

#[test]
fn a_slow_provider_is_waited_for() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &provider.table(""));
        provider.feel(Mood::Slow(Duration::from_millis(300)));
        for bearer in Bearer::ALL {
            for door in Door::USUAL {
                let seen = front.enter(door, bearer, ALICE, &provider.opaque());
                assert_eq!(seen, Outcome::Enters, "{bearer:?} {door:?}\n{}", front.log());
            }
        }
    });
}

#[test]
fn gatepost_starts_without_its_provider_and_finds_it_later() {
    with_each_debian(|place, provider| {
        let [opaque, jwt] = [provider.opaque(), provider.jwt()];
        provider.wire().set(Wire::Refused);
        let front = Front::open(place, &provider.table(""));
        for token in [&opaque, &jwt] {
            front.expect("nobody to ask", &Door::USUAL, ALICE, token, &Outcome::Temporary);
        }
        let answer = front.dovecot.imap().login(ALICE, "wonder");
        assert!(answer.starts_with("OK"), "passwords are no business of the provider: {answer}");
        well(provider);
        for token in [&opaque, &jwt] {
            wait_until("the provider is found", || front.imap(token) == Outcome::Enters);
        }
    });
}

#[test]
fn while_one_provider_is_away_the_tokens_of_the_other_enter() {
    let elsewhere = Place::new(&Tree::web());
    let elsewhere = Provider::start(&elsewhere);
    with_each_debian(|place, provider| {
        let other = elsewhere.table("name = \"other\"");
        // From the start: with keys that are known, signed tokens go on being verified.
        provider.wire().set(Wire::Silent);
        let front = Front::open(place, &format!("{}{other}", provider.table("")));
        front.expect("a JWT of the other", &Door::USUAL, ALICE, &elsewhere.jwt(), &Outcome::Enters);
        front.expect("a JWT of this one", &Door::USUAL, ALICE, &provider.jwt(), &Outcome::Temporary);
    });
}
