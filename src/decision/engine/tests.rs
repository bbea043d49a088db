use std::{fs, sync::Arc};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;

use super::{Engine, Limits};
use crate::{
    config,
    decision::{Attempt, Decision, Refusal, TempFail},
    directory::Chain,
    mechanism::{Claim, Credential, Mechanism},
    password::Pool,
};

/// Judges over a passwd-file of these lines; `None`: over one that is not there.
fn engine(lines: Option<&[u8]>) -> Engine {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    if let Some(lines) = lines {
        fs::write(&file, lines).unwrap();
    }
    let people = config::Directory {
        name: "people".into(),
        domains: Vec::new(),
        fields: Vec::new(),
        primary_password_services: None,
        kind: config::Kind::PasswdFile { file, default_scheme: None },
        place: None,
    };
    let chain = Chain::open(&[people], None).unwrap();
    Engine::new(chain, Arc::new(Pool::with_queue(1, 1 << 30, 16)), Limits::default(), None)
}

fn attempt(name: &[u8], password: &[u8]) -> Attempt {
    let claim = Claim {
        authzid: None,
        authcid: name.to_vec(),
        credential: Credential::Password(Secret::new(password.to_vec())),
    };
    Attempt { claim, mechanism: Mechanism::Plain, service: "imap".into(), remote: None, session: None }
}

fn outcome(engine: &Engine, name: &[u8], password: &[u8]) -> &'static str {
    engine.decide(&attempt(name, password)).now_or_never().unwrap().outcome()
}

/// RFC 4513 5.1.2: an empty password proves nothing. Programs that asked an LDAP server all the same let everybody in.
#[test]
fn an_empty_password_lets_nobody_in_even_where_it_is_the_stored_one() {
    let engine = engine(Some(b"open:{PLAIN}\nlate:{PLAIN}x\nnone:\nstar:*\n"));
    for name in ["open", "late", "none", "star"] {
        assert_eq!(outcome(&engine, name.as_bytes(), b""), "rejected", "{name}");
    }
    assert_eq!(outcome(&engine, b"late", b"x"), "verified");
}

/// Dovecot's NEWS 2.3.11: what stood behind a NUL went unchecked.
#[test]
fn a_password_with_a_nul_lets_nobody_in_even_where_it_is_the_stored_one() {
    let engine = engine(Some(b"alice:{PLAIN}good\nnul:{PLAIN}good\0junk\n"));
    for (name, password) in
        [("alice", &b"good\0junk"[..]), ("alice", b"good\0"), ("alice", b"\0good"), ("nul", b"good\0junk")]
    {
        assert_eq!(outcome(&engine, name.as_bytes(), password), "rejected", "{}", password.escape_ascii());
    }
    assert_eq!(outcome(&engine, b"alice", b"good"), "verified");
}

#[test]
fn no_answer_is_neither_a_wrong_password_nor_an_unknown_user() {
    let engine = engine(None);
    let decision = engine.decide(&attempt(b"alice", b"good")).now_or_never().unwrap();
    assert!(matches!(decision, Decision::Refuse(Refusal::TempFail(TempFail::Directory(_)))), "{decision:?}");
    // Whom nobody can be called, no directory needs to be asked about.
    assert_eq!(outcome(&engine, b"a b", b"x"), "invalid_name");
}

#[test]
fn an_invalid_name_is_refused_whatever_the_password() {
    let engine = engine(Some(b"alice:{PLAIN}good\n"));
    let table: &[&[u8]] = &[
        b"",
        b"alice ",
        b" alice",
        b"alice\n",
        b"alice\t",
        b"alice\0",
        b"\xff",
        b"alice*bob",
        b"../alice",
        b"@",
        b"a@b@c",
    ];
    for name in table {
        assert_eq!(outcome(&engine, name, b"good"), "invalid_name", "{}", name.escape_ascii());
    }
    assert_eq!(outcome(&engine, b"ALICE", b"good"), "verified");
}
