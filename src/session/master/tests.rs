//! The state machine of the auth-master protocol, without a socket.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use gatepost_protocol::dovecot::master::Reply;

use super::{Peer, Question, Role, Session};
use crate::{
    decision::Engine,
    directory::Unavailable,
    session::{
        Close,
        auth::{self, RESPONSE_TIMEOUT},
        shared::Shared,
        testing::{COOKIE, Desk, base64, engine, id, login, shared, text},
    },
    username::Username,
};

/// A connection of the auth-master protocol, and the time on it.
struct Master<'e> {
    session: Session,
    engine: &'e Engine,
    now: Instant,
}

impl<'e> Master<'e> {
    fn accepted(role: Role, peer: Peer, shared: &Arc<Shared>, engine: &'e Engine) -> Self {
        Self { session: Session::new(role, Arc::clone(shared), peer), engine, now: shared.started }
    }

    /// One that has said VERSION.
    fn ready(role: Role, peer: Peer, shared: &Arc<Shared>, engine: &'e Engine) -> Self {
        let mut master = Self::accepted(role, peer, shared, engine);
        assert_eq!(master.say("VERSION\t1\t1"), "");
        master
    }

    /// Says one line and gives the whole answer.
    fn say(&mut self, line: &str) -> String {
        let mut out = BytesMut::new();
        if let Some(question) = self.session.line(line.as_bytes(), self.now, &mut out).unwrap() {
            self.answer(question, &mut out);
        }
        for line in text(&out).lines() {
            Reply::parse(line.as_bytes()).unwrap();
        }
        text(&out)
    }

    fn breaks(&mut self, line: &str) -> Close {
        let mut out = BytesMut::new();
        let ended = self.session.line(line.as_bytes(), self.now, &mut out);
        assert_eq!(out, "", "after {line:?}");
        ended.unwrap_err()
    }

    fn answer(&self, question: Question, out: &mut BytesMut) {
        let look_up = |name: &[u8], service: &str| self.engine.lookup(name, service).now_or_never().unwrap();
        match question {
            Question::User { id, name, service } => self.session.user(id, &look_up(&name, &service), out),
            Question::Pass { id, name, service, hop } => {
                let found = self.engine.preview(&name, &service, &hop, SystemTime::now());
                self.session.pass(id, &found.now_or_never().unwrap(), out);
            }
            Question::List { id, mask } => {
                for name in ["alice@example.org", "bob@example.org"] {
                    let name = Username::normalise(name.as_bytes(), None).unwrap();
                    if mask.fits(name.as_str()) {
                        self.session.listed(id, &name, out);
                    }
                }
                self.session.list_done(id, false, out);
            }
            Question::Flush { id, users } => {
                self.session.flushed(id, users.len().try_into().unwrap(), out);
            }
        }
    }
}

fn nobody_special() -> Peer {
    Peer::default()
}

/// What a process of this pid is, to the kernel.
fn process(pid: u32) -> Peer {
    Peer { pid: Some(pid), uid: None, restricted_to: None }
}

/// Who came in through a socket of mode 0666 and is neither its owner nor of its group.
fn stranger(uid: u32) -> Peer {
    Peer { pid: Some(99), uid: Some(uid), restricted_to: Some(uid) }
}

const REQUEST: &str = "REQUEST\t3\t7\t1\t69e1a8ba17881df894b135f8a8d853f9";
const ALICE: &str = "USER\t3\talice@example.org\tuid=5000\tgid=5000\thome=/srv/alice\tquota_rule=*:bytes=10M\tauth_mech=PLAIN\n";

/// A login process of pid 7 that has logged Alice in with request 1.
fn logged_in<'e>(shared: &Arc<Shared>, engine: &'e Engine) -> Desk<'e> {
    let mut desk = Desk::ready(auth::Role::Login, 2, shared, engine);
    assert_eq!(desk.say(&login(1, "alice", "alice")), "OK\t1\tuser=alice@example.org\n");
    desk
}

#[test]
fn the_greeting_is_version_and_spid_and_the_spid_is_that_of_the_login_sockets() {
    let (shared, engine) = (shared(), engine());
    let mut out = BytesMut::new();
    Master::accepted(Role::Master, nobody_special(), &shared, &engine).session.greet(&mut out);
    assert_eq!(text(&out), format!("VERSION\t1\t1\nSPID\t{}\n", shared.spid));
    let desk = Desk::accepted(auth::Role::Login, &shared, &engine);
    assert!(desk.greeting.contains(&format!("\nSPID\t{}\n", shared.spid)));
    assert_ne!(shared.spid, 0);
}

#[test]
fn what_may_not_come_ends_the_connection() {
    let (shared, engine) = (shared(), engine());
    for line in [
        "USER\t1\talice@example.org\tservice=lmtp",
        REQUEST,
        "LIST\t1",
        "CPID\t7",
        "VERSION\t2\t0",
        "VERSION\t1",
        "",
    ] {
        Master::accepted(Role::Master, nobody_special(), &shared, &engine).breaks(line);
    }
    for line in [
        "VERSION\t1\t1",
        "CPID\t7",
        "AUTH\t1\tPLAIN\tservice=imap",
        "USER\t0\talice@example.org\tservice=lmtp",
        "USER\t4294967296\talice@example.org\tservice=lmtp",
        "USER\t1\talice@example.org",
        "USER\t1\talice@example.org\tservice",
        "USER\t1",
        "PASS\t1\talice@example.org",
        "LIST",
        "LIST\t0",
        "LIST\t1x",
        "CACHE-FLUSH",
        "CACHE-STATUS\t1\tx",
        "REQUEST\t1\t7\t1",
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f",
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f91",
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853fg",
        "REQUEST\t1\t7\t0\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t0\t7\t1\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t1\tx\t1\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid=x",
        "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid",
    ] {
        Master::ready(Role::Master, nobody_special(), &shared, &engine).breaks(line);
    }
}

#[test]
fn a_userdb_socket_takes_no_login_over_and_leaves_caches_alone() {
    let (shared, engine) = (shared(), engine());
    let _login = logged_in(&shared, &engine);
    for line in [REQUEST, "CACHE-FLUSH\t1", "CACHE-STATUS\t1"] {
        let mut userdb = Master::ready(Role::Userdb, nobody_special(), &shared, &engine);
        assert!(matches!(userdb.breaks(line), Close::OutOfOrder(_)), "{line}");
    }
    assert_eq!(shared.table.len(), 1, "still to be claimed");
}

#[test]
fn a_login_is_claimed_once() {
    let (shared, engine) = (shared(), engine());
    let _login = logged_in(&shared, &engine);
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    assert_eq!(master.say(REQUEST), ALICE);
    assert_eq!(master.say(REQUEST), "FAIL\t3\n");
    let mut other = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    assert_eq!(other.say(REQUEST), "FAIL\t3\n");
}

#[test]
fn a_login_is_claimed_with_its_whole_ticket_or_not_at_all() {
    let (shared, engine) = (shared(), engine());
    let _login = logged_in(&shared, &engine);
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    for wrong in [
        "REQUEST\t3\t8\t1\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t3\t0\t1\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t3\t7\t2\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t3\t7\t1\t69e1a8ba17881df894b135f8a8d853f8",
        "REQUEST\t3\t7\t1\t00000000000000000000000000000000",
        "REQUEST\t3\t1\t7\t69e1a8ba17881df894b135f8a8d853f9",
    ] {
        assert_eq!(master.say(wrong), "FAIL\t3\n", "{wrong:?}");
    }
    assert_eq!(master.say(&REQUEST.replace(COOKIE, &COOKIE.to_uppercase())), ALICE, "still there");
}

#[test]
fn what_is_not_decided_refused_cancelled_or_too_old_cannot_be_claimed() {
    let (shared, engine) = (shared(), engine());
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);

    let mut undecided = Desk::ready(auth::Role::Login, 2, &shared, &engine);
    let question = undecided.ask(&login(1, "alice", "alice"));
    assert_eq!(master.say(REQUEST), "FAIL\t3\n");
    undecided.judge(question);
    assert_eq!(master.say(REQUEST), ALICE);
    drop(undecided);

    let mut refused = Desk::ready(auth::Role::Login, 2, &shared, &engine);
    refused.say(&login(1, "alice", "wrong"));
    assert_eq!(master.say(REQUEST), "FAIL\t3\n");
    drop(refused);

    let mut cancelled = logged_in(&shared, &engine);
    cancelled.say("CANCEL\t1\n");
    assert_eq!(master.say(REQUEST), "FAIL\t3\n");
    drop(cancelled);

    drop(logged_in(&shared, &engine));
    assert_eq!(master.say(REQUEST), "FAIL\t3\n", "its connection is closed");

    let _old = logged_in(&shared, &engine);
    master.now += RESPONSE_TIMEOUT;
    assert_eq!(master.say(REQUEST), "FAIL\t3\n", "too old");
    assert!(shared.table.is_empty());
}

#[test]
fn only_the_process_that_it_was_handed_to_claims_a_login() {
    let (shared, engine) = (shared(), engine());
    let _login = logged_in(&shared, &engine);
    for (peer, params) in [
        (process(99), "\tsession_pid=98"),
        (process(99), "\tsession_pid=0"),
        (stranger(1000), "\tsession_pid=98"),
        (stranger(1000), ""),
        // Only where nobody but Dovecot can connect may it be said on behalf of another.
        (stranger(1000), "\tsession_pid=98\tsession_pid_trusted"),
    ] {
        let mut master = Master::ready(Role::Master, peer, &shared, &engine);
        assert_eq!(master.say(&format!("{REQUEST}{params}")), "FAIL\t3\n", "{peer:?}{params}");
        assert_eq!(shared.table.len(), 1, "a stranger's try uses nothing up");
    }
    for (peer, params) in [
        (process(99), "\tsession_pid=99"),
        (process(99), "\tsession_pid=98\tsession_pid_trusted"),
        (process(99), ""),
        // A pid of another namespace is not visible.
        (nobody_special(), "\tsession_pid=98"),
    ] {
        let mut desk = logged_in_again(&shared, &engine);
        let mut master = Master::ready(Role::Master, peer, &shared, &engine);
        let request = REQUEST.replace("\t7\t1\t", "\t7\t2\t");
        assert_eq!(master.say(&format!("{request}{params}")), ALICE, "{peer:?}{params}");
        desk.say("CANCEL\t2\n");
    }
}

/// The same with request 2, on a connection of its own.
fn logged_in_again<'e>(shared: &Arc<Shared>, engine: &'e Engine) -> Desk<'e> {
    let mut desk = Desk::ready(auth::Role::Login, 2, shared, engine);
    desk.say(&login(2, "alice", "alice"));
    desk
}

#[test]
fn an_auth_token_is_given_to_who_asks_and_says_for_which_process() {
    let (shared, engine) = (shared(), engine());
    let table = [
        ("\tsession_pid=99\trequest_auth_token", true),
        ("\trequest_auth_token\tsession_pid=99", true),
        ("\tsession_pid=99", false),
        ("\trequest_auth_token", false),
    ];
    for (params, given) in table {
        let mut desk = Desk::ready(auth::Role::Login, 2, &shared, &engine);
        let resp = crate::session::testing::plain("alice", "alice");
        desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\tsession=s1\tresp={resp}\n"));
        let mut master = Master::ready(Role::Master, process(99), &shared, &engine);
        let token = shared.tokens.token("alice@example.org", 99, Some("s1"), "imap").unwrap();
        let more = if given { format!("\tauth_token={token}") } else { String::new() };
        let expected = format!("{}{more}\n", ALICE.trim_end());
        assert_eq!(master.say(&format!("{REQUEST}{params}")), expected, "{params:?}");
    }
}

#[test]
fn user_and_pass_find_who_is_there() {
    let (shared, engine) = (shared(), engine());
    let table = [
        ("USER", "bob@example.org", "USER\t3\tbob@example.org\tuid=5001\tgid=5001\thome=/srv/bob\n"),
        ("USER", "BOB@Example.ORG", "USER\t3\tbob@example.org\tuid=5001\tgid=5001\thome=/srv/bob\n"),
        // Mail for somebody who may not log in is delivered all the same.
        (
            "USER",
            "disabled@example.org",
            "USER\t3\tdisabled@example.org\tuid=5004\tgid=5004\thome=/srv/disabled\n",
        ),
        ("USER", "stranger@example.org", "NOTFOUND\t3\n"),
        ("USER", "", "NOTFOUND\t3\n"),
        ("USER", "a\u{1}tb", "NOTFOUND\t3\n"),
        ("USER", "bob@example.org\u{1}0", "NOTFOUND\t3\n"),
        ("USER", "bob@example.org\u{1}n", "NOTFOUND\t3\n"),
        ("USER", "bob@example.org*alice@example.org", "NOTFOUND\t3\n"),
        ("USER", "../bob@example.org", "NOTFOUND\t3\n"),
        ("PASS", "bob@example.org", "PASS\t3\tuser=bob@example.org\n"),
        ("PASS", "prox@example.org", "PASS\t3\tuser=prox@example.org\tproxy\thost=192.0.2.7\tport=143\n"),
        ("PASS", "closed@example.org", "PASS\t3\tuser=closed@example.org\tnologin\treason=Closed\n"),
        ("PASS", "disabled@example.org", "PASS\t3\tuser=disabled@example.org\n"),
        ("PASS", "stranger@example.org", "NOTFOUND\t3\n"),
    ];
    for role in [Role::Master, Role::Userdb] {
        let mut master = Master::ready(role, nobody_special(), &shared, &engine);
        for (word, name, expected) in table {
            assert_eq!(master.say(&format!("{word}\t3\t{name}\tservice=lmtp")), expected, "{word} {name:?}");
        }
    }
}

#[test]
fn who_could_not_log_in_is_not_found_by_what_would_log_them_in() {
    let (shared, engine) = (shared(), engine());
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    for (service, expected) in [
        ("imap", "NOTFOUND\t3\n"),
        ("doveadm", "NOTFOUND\t3\n"),
        ("lmtp", "PASS\t3\tuser=expired@example.org\n"),
    ] {
        let line = format!("PASS\t3\texpired@example.org\tservice={service}");
        assert_eq!(master.say(&line), expected, "{service}");
    }
    for (params, expected) in [
        ("", "\tproxy\thost=192.0.2.7\tport=143"),
        ("\tlip=192.0.2.7\tlport=143", ""),
        ("\tlip=192.0.2.7\tlport=24", "\tproxy\thost=192.0.2.7\tport=143"),
    ] {
        let line = format!("PASS\t3\tmaybe@example.org\tservice=imap{params}");
        assert_eq!(master.say(&line), format!("PASS\t3\tuser=maybe@example.org{expected}\n"), "{params:?}");
    }
}

#[test]
fn a_login_by_a_master_user_is_handed_out_with_both_names() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready(auth::Role::Login, 2, &shared, &engine);
    desk.say(&login(1, "ALICE", "alice"));
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    let alice = ALICE.trim_end();
    assert_eq!(master.say(REQUEST), format!("{alice}\tauth_user=ALICE@example.org\n"));

    let response = base64(b"alice@example.org\0Root@example.org\0root");
    let said = desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\tresp={response}\n"));
    let names = "original_user=Root@example.org\tauth_user=root@example.org";
    assert_eq!(said, format!("OK\t1\tuser=alice@example.org\t{names}\n"));
    let (before, mech) = alice.rsplit_once('\t').unwrap();
    let expected = format!("{before}\tmaster_user=root@example.org\t{mech}\tauth_user=root@example.org\n");
    assert_eq!(master.say(REQUEST), expected);

    // On to the next hop, which has master users of its own.
    let response = base64(b"prox@example.org\0root@example.org\0root");
    let said = desk.say(&format!("AUTH\t1\tPLAIN\tservice=imap\tresp={response}\n"));
    let to = "proxy\thost=192.0.2.7\tport=143";
    let by = "original_user=root@example.org\tauth_user=root@example.org\tpass=root\tmaster=root@example.org";
    assert_eq!(said, format!("OK\t1\tuser=prox@example.org\t{to}\t{by}\n"));
}

#[test]
fn an_outage_is_a_failure_with_a_reason_and_not_an_unknown_user() {
    let (shared, engine) = (shared(), engine());
    let master = Master::ready(Role::Userdb, nobody_special(), &shared, &engine);
    let (mut out, away) = (BytesMut::new(), Err(Unavailable::new("people", "secret path")));
    master.session.user(id(1), &away, &mut out);
    master.session.pass(id(2), &away, &mut out);
    master.session.busy(id(3), &mut out);
    let lines: Vec<_> = (1..=3).map(|id| format!("FAIL\t{id}\treason=Temporary internal error\n")).collect();
    assert_eq!(text(&out), lines.concat());
}

/// Dovecot's rule for a socket that anybody may connect to.
#[test]
fn a_stranger_sees_themselves_and_nobody_else() {
    let (shared, engine) = (shared(), engine());
    let bob = "USER\t3\tbob@example.org\tuid=5001\tgid=5001\thome=/srv/bob\n";
    let refused = "FAIL\t3\treason=Not allowed on this socket\n";
    let table = [
        ("USER\t3\tbob@example.org\tservice=x", bob),
        ("USER\t3\talice@example.org\tservice=x", refused),
        // No uid is not their uid.
        ("USER\t3\tnobody@example.org\tservice=x", refused),
        ("USER\t3\tstranger@example.org\tservice=x", "NOTFOUND\t3\n"),
        ("PASS\t3\tbob@example.org\tservice=x", refused),
        ("PASS\t3\tstranger@example.org\tservice=x", refused),
        ("LIST\t3\tservice=x", "DONE\t3\tfail\n"),
        ("LIST\t3\tuser=bob*\tservice=x", "DONE\t3\tfail\n"),
    ];
    for role in [Role::Master, Role::Userdb] {
        let mut userdb = Master::ready(role, stranger(5001), &shared, &engine);
        for (line, expected) in table {
            assert_eq!(userdb.say(line), expected, "{line:?}");
        }
    }
    // 500 is not 5001, nor 50010.
    for uid in [0, 1, 500, 50010] {
        let mut userdb = Master::ready(Role::Userdb, stranger(uid), &shared, &engine);
        assert_eq!(userdb.say("USER\t3\tbob@example.org\tservice=x"), refused, "uid {uid}");
    }
}

#[test]
fn lists_hold_what_the_mask_fits() {
    let (shared, engine) = (shared(), engine());
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    let (alice, bob) = ("LIST\t3\talice@example.org\n", "LIST\t3\tbob@example.org\n");
    for (params, names) in [
        ("", format!("{alice}{bob}")),
        ("\tservice=doveadm", format!("{alice}{bob}")),
        ("\tuser=*\tservice=doveadm", format!("{alice}{bob}")),
        ("\tuser=B?B@*", bob.to_owned()),
        ("\tuser=bob", String::new()),
        ("\tuser=", String::new()),
        ("\tuser=a\u{1}tb*", String::new()),
        ("\tuser=[a-z]*", String::new()),
    ] {
        assert_eq!(master.say(&format!("LIST\t3{params}")), format!("{names}DONE\t3\t\n"), "{params:?}");
    }
}

#[test]
fn caches_are_flushed_and_their_status_is_empty() {
    let (shared, engine) = (shared(), engine());
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    assert_eq!(master.say("CACHE-FLUSH\t3"), "OK\t3\t0\n");
    assert_eq!(master.say("CACHE-FLUSH\t3\talice\t*@example.org"), "OK\t3\t2\n");
    assert_eq!(master.say("CACHE-STATUS\t3"), "OK\t3\n");
    assert_eq!(master.say("CACHE-STATUS\t3\treset"), "OK\t3\n");
}

/// Mail processes read no longer lines, and hang up instead.
#[test]
fn an_answer_of_more_than_8191_bytes_is_a_failure() {
    let (shared, engine) = (shared(), engine());
    let mut master = Master::ready(Role::Master, nobody_special(), &shared, &engine);
    let failed = "FAIL\t3\treason=Temporary internal error\n";
    assert_eq!(master.say("USER\t3\thuge@example.org\tservice=lmtp"), failed);
    let mut desk = Desk::ready(auth::Role::Login, 2, &shared, &engine);
    assert_eq!(desk.say(&login(1, "huge", "huge")), "OK\t1\tuser=huge@example.org\n");
    assert_eq!(master.say(REQUEST), failed);
}
