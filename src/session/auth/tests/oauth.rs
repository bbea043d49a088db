//! Tokens that are not taken: R14, and that nothing told in it differs by the reason. Who takes them is not asked here.

mod round;

use std::time::{Duration, Instant, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use gatepost_protocol::{dovecot::reply::Reply, secret::Secret};
use serde_json::json;

use crate::{
    cache::Limits,
    decision::{Attempt, Engine, Hop, Refusal},
    mechanism::{Claim, Credential, Mechanism},
    oidc::{Providers, TokenFault, scripted::vouched},
    session::{
        Close,
        auth::{MAX_REQUESTS, Question, RESPONSE_TIMEOUT, Role},
        shared::Offer,
        testing::{DELAY, Desk, base64, engine, shared},
    },
};

const OFFERED: [Mechanism; 3] = [Mechanism::Plain, Mechanism::OAuthBearer, Mechanism::XOAuth2];

/// What is told of the provider of example.org.
const JSON: &str = r#"{"status":"invalid_token","schemes":"bearer","scope":"openid email","openid-configuration":"https://id.example.org/.well-known/openid-configuration"}"#;

/// Peers that hear it before the end, and what they say in `AUTH`.
const BEFORE: [(Role, u32, &str); 4] = [
    (Role::Login, 2, "service=imap\tsecured"),
    (Role::Login, 4, "protocol=imap\tsecured"),
    (Role::Client, 0, "service=smtp\tnologin\tsecured"),
    (Role::Client, 1, "service=smtp\tnologin\trip=192.0.2.7"),
];

/// Peers that hear it with the end.
const WITH: [(Role, u32, &str); 3] = [
    (Role::Login, 3, "protocol=imap\tfinal-resp-ok\tsecured"),
    (Role::Login, 4, "protocol=imap\tfinal-resp-ok\tsecured"),
    (Role::Client, 3, "protocol=doveadm\tfinal-resp-ok"),
];

/// Why somebody of that name may not come in. Nobody may see which it was.
fn refusals() -> Vec<Refusal> {
    vec![Refusal::TokenRejected(TokenFault::Inactive), Refusal::TokenOfAnother, Refusal::UserUnknown]
}

fn bearer(name: &str) -> String {
    base64(format!("n,a={name},\x01host=mail.example.org\x01port=993\x01auth=Bearer tok\x01\x01").as_bytes())
}

fn xoauth2(name: &str) -> String {
    base64(format!("user={name}\x01auth=Bearer tok\x01\x01").as_bytes())
}

/// The line that logs in alice with a token.
fn auth(id: u32, params: &str) -> String {
    format!("AUTH\t{id}\tOAUTHBEARER\t{params}\tresp={}\n", bearer("alice@example.org"))
}

fn fail(id: u32) -> String {
    format!("FAIL\t{id}\tuser=alice@example.org\n")
}

fn told(id: u32) -> String {
    format!("CONT\t{id}\t{}\n", base64(JSON.as_bytes()))
}

/// Waits until what is due is told.
fn wait(desk: &mut Desk<'_>) -> String {
    desk.pass(DELAY + Duration::from_millis(250))
}

/// Up to where the remote has been told that its token is not taken.
fn refused(desk: &mut Desk<'_>, id: u32, params: &str) {
    let question = desk.ask(&auth(id, params));
    assert_eq!(desk.refuse(question, Refusal::TokenOfAnother), "");
    assert_eq!(wait(desk), told(id));
}

#[test]
fn a_token_that_is_not_taken_is_told_so_in_one_more_round() {
    let (shared, engine) = (shared(), engine());
    for (role, minor, params) in BEFORE {
        for refusal in refusals() {
            for dummy in ["AQ==", "", "="] {
                let mut desk = Desk::ready_for(&OFFERED, role, minor, &shared, &engine);
                let question = desk.ask(&auth(1, params));
                assert_eq!(desk.refuse(question, refusal.clone()), "");
                assert_eq!(desk.pass(DELAY / 2), "", "not before it is due");
                assert_eq!(wait(&mut desk), told(1), "{role:?} {minor} {refusal}");
                assert!(!desk.session().is_idle() && desk.session().wants_response());
                // It was late enough.
                assert_eq!(desk.say(&format!("CONT\t1\t{dummy}\n")), fail(1), "{role:?} {minor} {refusal}");
                assert!(desk.session().is_idle());
                assert_eq!(desk.pass(RESPONSE_TIMEOUT * 2), "");
            }
        }
    }
}

#[test]
fn a_peer_that_can_take_it_is_told_along_with_the_refusal() {
    let (shared, engine) = (shared(), engine());
    for (role, minor, params) in WITH {
        for refusal in refusals() {
            let mut desk = Desk::ready_for(&OFFERED, role, minor, &shared, &engine);
            let question = desk.ask(&auth(1, params));
            assert_eq!(desk.refuse(question, refusal), "");
            let expected = format!("FAIL\t1\tuser=alice@example.org\tresp={}\n", base64(JSON.as_bytes()));
            assert_eq!(wait(&mut desk), expected, "{role:?} {minor}");
            assert!(desk.session().is_idle());
        }
    }
}

#[test]
fn both_mechanisms_say_the_same_with_and_without_an_initial_response() {
    let (shared, engine) = (shared(), engine());
    for (mechanism, response) in
        [("OAUTHBEARER", bearer("bob@example.org")), ("xoauth2", xoauth2("bob@example.org"))]
    {
        let params = "service=imap";
        let lines = [
            format!("AUTH\t1\t{mechanism}\t{params}\tresp={response}\n"),
            format!("AUTH\t1\t{mechanism}\t{params}\n"),
        ];
        for line in lines {
            let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
            let question = if line.contains("resp=") {
                desk.ask(&line)
            } else {
                assert_eq!(desk.say(&line), "CONT\t1\t\n");
                desk.ask(&format!("CONT\t1\t{response}\n"))
            };
            assert!(!format!("{question:?}").contains("tok"));
            desk.refuse(question, Refusal::TokenOfAnother);
            assert_eq!(wait(&mut desk), told(1), "{mechanism}");
            assert_eq!(desk.say("CONT\t1\tAQ==\n"), "FAIL\t1\tuser=bob@example.org\n", "{mechanism}");
        }
    }
}

/// Exim writes `resp=` where there is none.
#[test]
fn a_blank_response_of_an_old_client_is_no_token() {
    let (shared, engine) = (shared(), engine());
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        let line = format!("AUTH\t1\t{mechanism}\tservice=smtp\tresp=\n");
        let mut desk = Desk::ready_for(&OFFERED, Role::Client, 0, &shared, &engine);
        assert_eq!(desk.say(&line), "CONT\t1\t\n");
        let mut desk = Desk::ready_for(&OFFERED, Role::Client, 2, &shared, &engine);
        assert_eq!(desk.say(&line), "");
        assert_eq!(wait(&mut desk), "FAIL\t1\n");
    }
}

/// Whoever's name it is, and whether there is one: nobody learns it from what they are told.
#[test]
fn what_is_told_depends_on_the_domain_alone_and_never_on_the_user() {
    let (shared, engine) = (shared(), engine());
    let tell = |name: &str| {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        let question = desk.ask(&format!("AUTH\t1\tXOAUTH2\tservice=imap\tresp={}\n", xoauth2(name)));
        desk.refuse(question, Refusal::TokenOfAnother);
        let said = wait(&mut desk);
        (said, desk.say("CONT\t1\tAQ==\n"))
    };
    for name in ["alice@example.org", "nobody@example.org", "disabled@example.org"] {
        assert_eq!(tell(name), (told(1), format!("FAIL\t1\tuser={name}\n")));
    }
    let (said, _) = tell("alice@example.net");
    let Reply::Cont { challenge, .. } = Reply::parse(said.trim_end().as_bytes()).unwrap() else {
        panic!("{said}")
    };
    assert_eq!(String::from_utf8_lossy(&challenge), JSON.replace("example.org", "example.net"));
    // Nobody is there to tell of, and no name.
    let bare = base64(br#"{"status":"invalid_token","schemes":"bearer"}"#);
    assert_eq!(tell(""), (format!("CONT\t1\t{bare}\n"), "FAIL\t1\n".to_owned()));
}

/// Their token was right: what is wrong with their account they may know, as with a password.
#[test]
fn who_is_known_is_told_what_is_the_matter_at_the_end() {
    let (shared, engine) = (shared(), engine());
    let table = [
        (Refusal::UserDisabled, "\tcode=user_disabled"),
        (Refusal::PassExpired, "\tcode=pass_expired\treason=Password expired"),
        (Refusal::ServiceDenied, ""),
    ];
    for (refusal, more) in table {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        let question = desk.ask(&auth(1, "service=imap"));
        desk.refuse(question, refusal);
        assert_eq!(wait(&mut desk), told(1));
        assert_eq!(desk.say("CONT\t1\tAQ==\n"), format!("FAIL\t1\tuser=alice@example.org{more}\n"));
    }
}

#[test]
fn an_outage_is_told_as_always_and_in_no_json() {
    let (shared, engine) = (shared(), engine());
    for (role, minor, params) in BEFORE.into_iter().chain(WITH) {
        let mut desk = Desk::ready_for(&OFFERED, role, minor, &shared, &engine);
        let question = desk.ask(&auth(1, params));
        // R5
        let expected = if role == Role::Client && minor < 2 {
            (String::new(), Err(Close::TempFail))
        } else {
            ("FAIL\t1\tuser=alice@example.org\tcode=temp_fail\ttemp\n".to_owned(), Ok(()))
        };
        assert_eq!(desk.fail(question), expected, "{role:?} {minor}");
        assert!(desk.session().is_idle());
    }
    // Who has said no name.
    let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
    let question = desk.ask(&format!("AUTH\t1\tXOAUTH2\tservice=imap\tresp={}\n", xoauth2("")));
    assert_eq!(desk.fail(question), ("FAIL\t1\tcode=temp_fail\ttemp\n".to_owned(), Ok(())));
}

/// Lets somebody in who has asked to be with a token, as `name` would be with their password.
fn accept(desk: &mut Desk<'_>, question: Question, name: &str, engine: &Engine) -> String {
    let Question::Judge { handle, attempt } = question else { panic!("{question:?}") };
    let credential = Credential::Password(Secret::new(name.into()));
    let claim = Claim { authzid: None, authcid: format!("{name}@example.org").into_bytes(), credential };
    let (mechanism, service, hop) = (Mechanism::Plain, attempt.service.clone(), Hop::default());
    let known = Attempt { claim, mechanism, service, remote: None, session: None, hop };
    let decision = engine.decide(&known, SystemTime::now()).now_or_never().unwrap();
    let (mut out, now) = (BytesMut::new(), desk.now);
    let ended = desk.session().decided(handle, attempt, decision, |_| panic!("let in"), now, &mut out);
    assert_eq!(ended, Ok(()));
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn whose_token_is_taken_is_let_in_and_told_no_more() {
    let (shared, engine) = (shared(), engine());
    for (role, minor, params) in BEFORE.into_iter().chain(WITH) {
        let mut desk = Desk::ready_for(&OFFERED, role, minor, &shared, &engine);
        let question = desk.ask(&auth(1, params));
        let said = accept(&mut desk, question, "alice", &engine);
        assert_eq!(said, "OK\t1\tuser=alice@example.org\n", "{role:?} {minor}");
        assert!(desk.session().is_idle());
    }
}

/// An engine that remembers, with a provider to which each token is one of Alice.
fn remembering() -> Engine {
    let (expires, minute) = (SystemTime::now() + Duration::from_secs(3600), Duration::from_secs(60));
    let providers = Providers::scripted(Duration::ZERO, move |_token, _domain, _now| {
        Ok(vouched("alice@example.org", expires, json!({})))
    });
    let limits = Limits { ttl: 5 * minute, negative_ttl: minute, max_stale: minute, max_memory: 1 << 24 };
    engine().with_providers(providers).with_memory(limits, Instant::now()).unwrap()
}

#[test]
fn whose_token_is_known_is_let_in_on_the_spot() {
    let shared = shared();
    for (role, minor, params) in BEFORE.into_iter().chain(WITH) {
        let engine = remembering();
        let mut desk = Desk::ready_for(&OFFERED, role, minor, &shared, &engine);
        let mut say = |id, mechanism, response: String| {
            let line = format!("AUTH\t{id}\t{mechanism}\t{params}\tresp={response}");
            let (mut out, now) = (BytesMut::new(), desk.now);
            let asked = desk.session().line(line.as_bytes(), now, &engine, &mut out);
            let said = String::from_utf8(out.to_vec()).unwrap();
            match asked {
                Ok(None) => Ok(said),
                Ok(Some(question)) => Ok(format!("asked: {}", desk.judge(question))),
                Err(close) => Err(close),
            }
        };
        let ok = |id| format!("OK\t{id}\tuser=alice@example.org\n");
        assert_eq!(say(1, "OAUTHBEARER", bearer("alice@example.org")), Ok(format!("asked: {}", ok(1))));
        assert_eq!(say(2, "OAUTHBEARER", bearer("alice@example.org")), Ok(ok(2)), "{role:?} {minor}");
        assert_eq!(say(3, "xoauth2", xoauth2("alice@example.org")), Ok(ok(3)));
        // With another spelling there is more to say, and with another name nothing good.
        for name in ["Alice@example.org", "bob@example.org"] {
            let said = say(4, "XOAUTH2", xoauth2(name)).unwrap();
            assert!(said.starts_with("asked: "), "{name}: {said}");
        }
        let twice = say(2, "XOAUTH2", xoauth2("alice@example.org"));
        assert_eq!(twice.is_err(), role == Role::Login, "the first one was not claimed yet: {twice:?}");
    }
}

/// The login process logs in to the next host by the mechanism that it is told, and would send the token as a password
/// otherwise.
#[test]
fn a_token_goes_on_to_the_next_host_by_its_mechanism() {
    let (shared, engine) = (shared(), engine());
    let host = "proxy\thost=192.0.2.7";
    for (name, expected) in [
        ("prox", format!("{host}\tport=143\tproxy_mech=XOAUTH2\tpass=tok")),
        ("through", format!("{host}\tproxy_mech=OAUTHBEARER\tpass=tok")),
        ("pinned", format!("{host}\tpass=other")),
    ] {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        let response = xoauth2(&format!("{name}@example.org"));
        let question = desk.ask(&format!("AUTH\t1\tXOAUTH2\tservice=imap\tresp={response}\n"));
        let said = accept(&mut desk, question, name, &engine);
        assert_eq!(said, format!("OK\t1\tuser={name}@example.org\t{expected}\n"));
    }
}

#[test]
fn what_is_no_token_is_a_failed_login_and_as_late() {
    let (shared, engine) = (shared(), engine());
    let long = "x".repeat(9217);
    for (mechanism, response) in [
        ("OAUTHBEARER", "n,a=alice@example.org,\x01auth=Bearer tok\x01"),
        ("OAUTHBEARER", "p=tls-exporter,a=alice@example.org,\x01auth=Bearer tok\x01\x01"),
        ("OAUTHBEARER", "n,a=alice@example.org,\x01auth=Bearer t o k\x01\x01"),
        ("OAUTHBEARER", "\x01"),
        ("OAUTHBEARER", "\0alice@example.org\0alice"),
        ("XOAUTH2", "user=alice@example.org\x01auth=Basic tok\x01\x01"),
        ("XOAUTH2", "\0alice@example.org\0alice"),
        ("XOAUTH2", &long),
    ] {
        for params in ["service=imap", "protocol=imap\tfinal-resp-ok"] {
            let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
            let line = format!("AUTH\t1\t{mechanism}\t{params}\tresp={}\n", base64(response.as_bytes()));
            assert_eq!(desk.say(&line), "");
            assert_eq!(wait(&mut desk), "FAIL\t1\n", "{mechanism} {}", response.escape_default());
        }
    }
}

/// Postfix hands on 12288 bytes of base64. With all that may stand before them they fit into a line.
#[test]
fn the_longest_response_that_a_peer_hands_on_is_judged() {
    let (shared, engine) = (shared(), engine());
    let mut response = b"user=alice@example.org\x01auth=Bearer ".to_vec();
    response.resize(9214, b'x');
    response.extend_from_slice(b"\x01\x01");
    let response = base64(&response);
    assert_eq!((response.len(), STANDARD.decode(&response).unwrap().len()), (12288, 9216));
    let forward = "x".repeat(2000);
    let params = format!(
        "service=imap\tsecured=tls\tsession={}\tlip=2001:db8::1\trip=2001:db8::2\tforward_fields=a={forward}",
        "s".repeat(64)
    );
    let lines = [
        format!("AUTH\t1\tXOAUTH2\t{params}\tresp={response}\n"),
        format!("AUTH\t1\tXOAUTH2\tservice=smtp\nCONT\t1\t{response}\n"),
    ];
    for line in lines {
        let mut desk = Desk::ready_for(&OFFERED, Role::Login, 2, &shared, &engine);
        let (said, ended) = desk.try_say(line.as_bytes());
        assert_eq!(ended, Ok(()));
        assert!(!said.contains("invalid_base64"), "{said}");
    }
}
