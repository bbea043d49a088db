//! Real Exim, which reads gatepost's whole greeting before it says a word, and real chasquid, which also asks
//! about who exists.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Chasquid, Exim, Gatepost, People, Place, Smtp, Tree};

#[test]
fn exim_tells_right_wrong_and_not_now_apart() {
    let place = Place::new(&Tree::bookworm());
    let people = People::settle(&place);
    let mut gatepost = Gatepost::start(&place, &Exim::listeners(&place));
    let exim = Exim::start(&place);

    for log_in in [Smtp::auth_plain, Smtp::auth_plain_asked, Smtp::auth_login] {
        let mut smtp = exim.connect();
        for (user, password) in [
            ("alice@example.test", "wrong"),
            ("nobody@example.test", "wonder"),
            ("carol@example.test", "carol"),
        ] {
            let reply = log_in(&mut smtp, user, password);
            assert_eq!(reply.code, 535, "{user}: {}", reply.text);
        }
        let reply = log_in(&mut smtp, "alice@example.test", "wonder");
        assert_eq!(reply.code, 235, "{}", reply.text);
        let reply = smtp.send("alice@example.test", "bob@example.test", "hello");
        assert_eq!(reply.code, 250, "{}", reply.text);

        people.hide();
        let reply = log_in(&mut exim.connect(), "alice@example.test", "wonder");
        assert_eq!(reply.code, 435, "{}", reply.text);
        people.show();
    }

    gatepost.restart();
    assert_eq!(exim.connect().auth_plain("alice@example.test", "wonder").code, 235);
}

#[test]
fn chasquid_tells_right_wrong_and_not_now_apart_and_knows_who_exists() {
    let place = Place::new(&Tree::bookworm());
    let people = People::settle(&place);
    let _gatepost = Gatepost::start(&place, &Chasquid::listeners(&place));
    let chasquid = Chasquid::start(&place);

    let mut session = chasquid.connect();
    let reply = session.smtp.auth_plain("alice@example.test", "wrong");
    assert_eq!(reply.code, 535, "{}", reply.text);
    people.hide();
    let reply = session.smtp.auth_plain("alice@example.test", "wonder");
    assert_eq!(reply.code, 454, "{}", reply.text);
    people.show();

    // It bears three errors in a session.
    let mut session = chasquid.connect();
    let reply = session.smtp.auth_plain("alice@example.test", "wonder");
    assert_eq!(reply.code, 235, "{}", reply.text);
    let reply = session.smtp.send("alice@example.test", "nobody@example.test", "hello?");
    assert_eq!(reply.code, 550, "{}", reply.text);
    let reply = session.smtp.send("alice@example.test", "bob@example.test", "hello");
    assert_eq!(reply.code, 250, "{}", reply.text);
}
