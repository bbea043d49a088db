//! What ends a token before its time: the provider tells of a logout, or the operator revokes.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    ALICE, Bearer, Door, Front, Outcome, doors,
    support::{
        Lines, Listener, Place, Provider,
        provider::{Mood, Signer, Wanted},
        wait_until,
    },
    with_each_debian,
};

const BOB: &str = "bob@example.test";

/// Where the provider tells of logouts.
const PORT: u16 = 18086;

/// The event that a logout token is about.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[test]
fn who_has_logged_out_is_out_with_all_their_tokens_and_nobody_else_is() {
    with_each_debian(|place, provider| {
        let (front, desk) = open(place, provider);
        let before = [provider.opaque(), provider.jwt(), provider.jwt()];
        let bobs = ["opaque", "RS256"].map(|format| bobs(provider, format));
        // Of one of the tokens nothing is known when its owner logs out.
        for token in before.iter().take(2) {
            front.expect("before", &Door::USUAL, ALICE, token, &Outcome::Enters);
        }
        for token in &bobs {
            front.expect("Bob's", &Door::USUAL, BOB, token, &Outcome::Enters);
        }
        let logout = logout_token(provider, json!({}));
        assert_eq!(desk.told(&logout), 200, "{}", front.log());
        for token in &before {
            front.expect("after", &Door::USUAL, ALICE, token, &Outcome::invalid(provider));
        }
        for token in &bobs {
            front.expect("Bob's", &Door::USUAL, BOB, token, &Outcome::Enters);
        }
        assert_eq!(front.log().matches("a user has logged out at their provider").count(), 1);

        // Who logs in anew comes in, and is not put out by the same word again. Times of tokens are in whole seconds.
        let mut anew = provider.jwt();
        wait_until("a new token is of later", || {
            anew = provider.jwt();
            front.imap(&anew) == Outcome::Enters
        });
        assert_eq!(desk.told(&logout), 200, "{}", front.log());
        front.expect("told again", &Door::USUAL, ALICE, &anew, &Outcome::Enters);
        assert_eq!(front.imap(&before[1]), Outcome::invalid(provider));
        assert!(!front.log().contains(&logout), "a token is in the log");
    });
}

#[test]
fn what_is_no_word_of_the_provider_ends_nothing() {
    with_each_debian(|place, provider| {
        let (front, desk) = open(place, provider);
        let tokens = [provider.opaque(), provider.jwt()];
        let forge = |claims| logout_token(provider, claims);
        let with = |header, signer| provider.forge(header, logout_claims(json!({})), signer);
        let header = || json!({ "typ": "logout+jwt" });
        for (what, token) in [
            ("of a stranger's key", with(header(), Signer::Stranger)),
            ("by the public key", with(json!({ "typ": "logout+jwt", "alg": "HS256" }), Signer::Public)),
            ("not signed", with(json!({ "typ": "logout+jwt", "alg": "none" }), Signer::Nobody)),
            ("an access token by its type", with(json!({}), Signer::Provider)),
            ("for another program", forge(json!({ "aud": "elsewhere" }))),
            ("of another issuer", forge(json!({ "iss": "https://elsewhere.test" }))),
            ("with a nonce", forge(json!({ "nonce": "n" }))),
            ("without an event", forge(json!({ "events": null }))),
            ("with another event", forge(json!({ "events": { "http://elsewhere.test": {} } }))),
            ("of nobody", forge(json!({ "sub": null }))),
            ("of long ago", forge(json!({ "iat": 1_700_000_000, "exp": 1_700_000_120 }))),
            ("an access token", provider.jwt()),
            ("nonsense", "nonsense".to_owned()),
        ] {
            assert_eq!(desk.told(&token), 400, "{what}\n{}", front.log());
        }
        // Of somebody whom nobody knows it is the provider's word all the same.
        assert_eq!(desk.told(&forge(json!({ "sub": "id-99" }))), 200);
        assert_eq!(desk.told(&forge(json!({ "sub": null, "sid": "unheard of" }))), 200);
        for token in &tokens {
            front.expect("after all that", &Door::USUAL, ALICE, token, &Outcome::Enters);
        }
    });
}

#[test]
fn a_logout_that_cannot_be_checked_is_to_be_told_again() {
    with_each_debian(|place, provider| {
        provider.feel(Mood::Html(502));
        let (front, desk) = open(place, provider);
        let logout = logout_token(provider, json!({}));
        assert_eq!(desk.told(&logout), 503, "{}", front.log());
        provider.feel(Mood::Well);
        let token = provider.jwt();
        wait_until("the provider is asked again", || desk.told(&logout) == 200);
        assert_eq!(front.imap(&token), Outcome::invalid(provider), "{}", front.log());
    });
}

#[test]
fn whose_tokens_the_operator_revokes_is_out_and_their_connections_end() {
    with_each_debian(|place, provider| {
        let (front, desk) = open(place, provider);
        let tokens = ["opaque", "RS256"].map(|format| provider.issue(Wanted { format, ..Wanted::default() }));
        let bobs = bobs(provider, "opaque");
        let mut alices = logged_in(&front, ALICE, &tokens[0]);
        let mut his = logged_in(&front, BOB, &bobs);
        revoke(&front, ALICE);
        for token in &tokens {
            front.expect("revoked", &Door::USUAL, ALICE, token, &Outcome::invalid(provider));
        }
        front.expect("Bob's", &Door::USUAL, BOB, &bobs, &Outcome::Enters);
        alices.ask("b NOOP", "b OK");

        // With a way to do so, it ends what goes on as well. What was revoked stays so when the configuration changes.
        kick_from_now_on(place, &front);
        assert_eq!(front.imap(&tokens[1]), Outcome::invalid(provider), "{}", front.log());
        revoke(&front, ALICE);
        ends(&mut alices);
        // A connection outlives what is known of its token.
        his.ask("b NOOP", "b OK");
        let mut his = logged_in(&front, BOB, &bobs);
        front.gatepost().forget();
        assert_eq!(desk.told(&logout_token(provider, json!({ "sub": "id-2" }))), 200);
        ends(&mut his);
        wait_until("both are in the log", || front.log().matches("a user was kicked").count() == 2);
        // Nobody is there any more, and that is no failure.
        revoke(&front, ALICE);
        assert!(!front.log().contains("a user was not kicked"), "{}", front.log());
    });
}

#[test]
fn a_restart_makes_nothing_good_again() {
    with_each_debian(|place, provider| {
        let (mut front, desk) = open(place, provider);
        let alices = provider.jwt();
        let bobs = bobs(provider, "RS256");
        front.expect("before", &Door::USUAL, ALICE, &alices, &Outcome::Enters);
        revoke(&front, ALICE);
        front.restart();
        wait_until("Dovecot has gatepost again", || {
            front.enter(Door::Imap, Bearer::OAuthBearer, BOB, &bobs) == Outcome::Enters
        });
        assert_eq!(front.imap(&alices), Outcome::invalid(provider), "{}", front.log());
        assert_eq!(desk.told(&logout_token(provider, json!({ "sub": "id-2" }))), 200);
        front.restart();
        wait_until("a new token is of later", || front.imap(&provider.jwt()) == Outcome::Enters);
        front.expect("Bob's", &Door::USUAL, BOB, &bobs, &Outcome::invalid(provider));
    });
}

fn open<'a>(place: &'a Place, provider: &Provider<'_>) -> (Front<'a>, Desk) {
    let address = place.port(PORT);
    let listener = Listener::inet("http", address).config();
    (Front::open(place, &format!("{}{listener}", provider.table(""))), Desk(address.into()))
}

/// Where the provider tells of logouts.
struct Desk(SocketAddr);

impl Desk {
    /// What comes of a logout token, by the status of the answer.
    fn told(&self, token: &str) -> u16 {
        let form = format!("logout_token={token}");
        let mut stream = TcpStream::connect(self.0).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(
            stream,
            "POST /oidc/backchannel-logout HTTP/1.1\r\nHost: mail.example.test\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len(),
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
    }
}

/// What the provider sends when Alice has logged out everywhere, with other claims.
fn logout_token(provider: &Provider<'_>, claims: Value) -> String {
    provider.forge(json!({ "typ": "logout+jwt" }), logout_claims(claims), Signer::Provider)
}

fn logout_claims(claims: Value) -> Value {
    let mut all = json!({ "events": { EVENT: {} }, "email": null, "scope": null, "client_id": null });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

fn bobs(provider: &Provider<'_>, format: &str) -> String {
    provider.issue(Wanted { user: "bob", password: "builder", format, ..Wanted::default() })
}

/// Somebody who is in by IMAP and stays there.
fn logged_in(front: &Front<'_>, user: &str, token: &str) -> Lines {
    let mut lines = front.dovecot.imap_lines();
    let told = doors::imap(Bearer::OAuthBearer.imap(&mut lines, user, token, true));
    assert_eq!(told, Outcome::Enters, "{}", front.log());
    lines
}

/// Hears that the server has ended the connection, whatever it says at that.
fn ends(lines: &mut Lines) {
    let said = lines.hear();
    assert!(said.starts_with("* BYE"), "{said}");
    lines.closed();
}

fn revoke(front: &Front<'_>, user: &str) {
    let output = front.gatepost().command(&["revoke", user]).output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", front.log());
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("revoked: {user}")), "{output:?}");
}

/// Has the daemon read its configuration again, with Dovecot's own command in it.
fn kick_from_now_on(place: &Place, front: &Front<'_>) {
    let (root, config) = (place.tree().root(), place.inside("dovecot/dovecot.conf"));
    let command = format!(
        "kick_command = [\"chroot\", {root:?}, \"doveadm\", \"-c\", {config:?}, \"kick\", \"{{user}}\"]"
    );
    let text = place.read("gatepost.toml").replace("[server]\n", &format!("[server]\n{command}\n"));
    place.write("gatepost.toml", &text);
    let pid = i32::try_from(front.gatepost().pid()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    wait_until("the configuration was read", || front.log().contains("the configuration was read again"));
}
