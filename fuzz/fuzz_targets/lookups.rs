//! A whole connection of the auth-master protocol, beside a login process with logins to be claimed.
//!
//! The first two bytes say who is connected and how the rest arrives.
#![no_main]

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, LazyLock},
    time::Instant,
};

use bytes::BytesMut;
use gatepost::{
    config::{Config, Surroundings},
    daemon,
    decision::Engine,
    mechanism::Mechanism,
    session::{
        auth,
        master::{Peer, Role, Session},
        rehearsal::{Lookups, Rehearsal},
        shared::{Offer, Shared},
        token::TokenKey,
    },
};
use gatepost_protocol::{
    dovecot::{Cookie, master::Reply},
    frame::MASTER_REPLY,
};
use libfuzzer_sys::fuzz_target;

/// Of Alice, and of everybody else there is: nobody.
const UID: u32 = 5000;

/// What the login process was given as its cookie, on the wire.
const COOKIE: &[u8] = b"07070707070707070707070707070707";

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let text = "
        [server]
        state_dir = \"/nowhere\"
        runtime_dir = \"/nowhere\"
        [[directory]]
        name = \"one\"
        type = \"static\"
        users = [\"alice@example.org\"]
        password = \"{PLAIN}secret\"
        [directory.fields]
        uid = \"5000\"
        gid = \"5000\"
        home = \"/srv/{user}\"
        [[directory]]
        name = \"away\"
        type = \"passwd-file\"
        file = \"/nowhere/users\"
        domains = [\"away.example\"]";
    let config =
        Config::from_texts(&[(Path::new("fuzz"), text)], &Surroundings::none()).expect("a configuration");
    daemon::engine(&config).expect("directories")
});

static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
    let tokens = TokenKey::ephemeral().expect("random numbers");
    Arc::new(Shared::new(tokens, Instant::now()).expect("random numbers"))
});

fuzz_target!(|data: &[u8]| {
    let [who, chunk, dialogue @ ..] = data else { return };
    let role = if who & 1 == 0 { Role::Master } else { Role::Userdb };
    let restricted_to = match who >> 1 & 3 {
        0 | 1 => None,
        2 => Some(UID),
        _ => Some(1000),
    };
    let pid = (who & 8 != 0).then_some(4711);
    let now = SHARED.started;

    let login = log_in(now);
    let (mut out, mut greeting) = (BytesMut::new(), BytesMut::new());
    let session = Session::new(role, Arc::clone(&SHARED), Peer { pid, uid: restricted_to, restricted_to });
    let mut connection = Lookups::new(session, &ENGINE, &mut greeting);
    for bytes in dialogue.chunks(usize::from(*chunk) * 8 + 1) {
        if connection.receive(bytes, now, &mut out).is_err() {
            break;
        }
    }
    drop(login);
    assert!(SHARED.table.is_empty(), "a login outlived its connection");

    let lines = dialogue.split(|&byte| byte == b'\n').count();
    let mut replies = 0;
    let mut claimed = 0;
    for line in out.split_inclusive(|&byte| byte == b'\n') {
        replies += 1;
        let line = line.strip_suffix(b"\n").expect("a LF at the end");
        assert!(line.len() <= MASTER_REPLY, "no mail process would read this");
        match Reply::parse(line).expect("a reply") {
            Reply::User { user, fields, .. } => {
                assert_eq!(*user, *b"alice@example.org");
                if fields.has(b"auth_mech") {
                    claimed += 1;
                    assert_eq!(role, Role::Master, "a login was claimed at a userdb socket");
                } else {
                    assert_ne!(restricted_to, Some(1000), "a stranger was told of somebody else");
                }
            }
            Reply::Pass { .. } => assert_eq!(restricted_to, None, "a stranger was told what a login is told"),
            Reply::Done { failed, .. } => assert!(failed),
            Reply::NotFound(_) | Reply::Fail { .. } | Reply::Ok { .. } => {}
            other => panic!("unasked: {other:?}"),
        }
    }
    assert!(replies <= lines, "{replies} replies to {lines} lines");
    assert!(claimed <= tickets(dialogue), "a login was claimed without its cookie, or twice");
});

/// A login process of pid 4711 that has let Alice in three times.
fn log_in(now: Instant) -> Rehearsal<'static> {
    let mechanisms = Mechanism::DEFAULT.as_slice().into();
    let offer = Offer { mechanisms, failure_delay: Default::default(), anonymous_user: None };
    let cookie = Cookie::new([7; 16]);
    let session = auth::Session::new(auth::Role::Login, Arc::clone(&SHARED), Arc::new(offer), cookie);
    let mut out = BytesMut::new();
    let mut login = Rehearsal::new(session, &ENGINE, &mut out);
    let auth = |id| format!("AUTH\t{id}\tPLAIN\tservice=imap\tresp=AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\n");
    let lines = format!("VERSION\t1\t2\nCPID\t4711\n{}{}{}", auth(1), auth(2), auth(3));
    login.receive(lines.as_bytes(), now, &mut out).expect("a login process");
    assert_eq!(SHARED.table.len(), 3);
    login
}

/// How many logins can have been claimed, going by the bytes alone: each id once, and with the cookie.
fn tickets(dialogue: &[u8]) -> usize {
    let claims = dialogue.split(|&byte| byte == b'\n').filter_map(|line| {
        let parts: Vec<_> = line.split(|&byte| byte == b'\t').collect();
        let [b"REQUEST", _, _, id, cookie, ..] = *parts else { return None };
        let id: u32 = std::str::from_utf8(id).ok()?.parse().ok()?;
        // A CR may be the end of the line.
        let cookie = cookie.strip_suffix(b"\r").unwrap_or(cookie);
        (cookie == COOKIE && (1..=3).contains(&id)).then_some(id)
    });
    claims.collect::<HashSet<_>>().len()
}
