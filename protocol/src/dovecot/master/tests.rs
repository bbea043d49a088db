use std::borrow::Cow;

use proptest::prelude::*;

use super::{Command, Request};
use crate::dovecot::testing::{any_fields, any_id, any_text, id, nearly_lines, unframed, written};
use crate::dovecot::{Cookie, Fields, Params, Version};
use crate::frame::{Lines, MASTER_LINE};

/// Seen on real sockets or of the same form; all spelt as we would write them.
const LINES: &[&str] = &[
    "VERSION\t1\t1",
    "CPID\t7",
    "USER\t1\talice@example.org\tservice=lmtp\tlip=127.0.0.1\tlport=11024\trip=127.0.0.1\trport=40448",
    "USER\t2\tbob\tprotocol=doveadm",
    "USER\t3\tal\u{1}tice\tprotocol=lmtp\tx\u{1}x=\u{1}",
    "PASS\t1\talice@example.org\tprotocol=doveadm\tdebug",
    "LIST\t1",
    "LIST\t1\tuser=*",
    "LIST\t1\tuser=b*\tprotocol=doveadm\tdebug",
    "LIST\t1\tservice=doveadm\tuser=b?b",
    "REQUEST\t2203582465\t27612\t1\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid=27617\trequest_auth_token",
    "REQUEST\t2032402433\t27788\t1\t8f7e4b45d114fabebb42571e4d4f3d12\tsession_pid=27789",
    "REQUEST\t1\t2\t3\t8f7e4b45d114fabebb42571e4d4f3d12",
    "REQUEST\t1\t2\t3\t8f7e4b45d114fabebb42571e4d4f3d12\tsession_pid_trusted\tnew=thing\tsession_pid=4",
    "CACHE-FLUSH\t1",
    "CACHE-FLUSH\t1\talice@example.org",
    "CACHE-FLUSH\t1\ta=b\t*@example.org\t\tc\u{1}td",
    "CACHE-STATUS\t1",
    "CACHE-STATUS\t1\treset",
];

#[test]
fn lines_as_on_real_sockets_are_read_and_written_the_same() {
    for line in LINES {
        let command = Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(unframed(&encoded(&command)), line.as_bytes(), "{line:?}");
    }
}

#[test]
fn what_the_peer_must_not_do_is_malformed() {
    for line in [
        "",
        "AUTH\t1\tPLAIN\tservice=imap",
        "DICT\t1",
        "VERSION\t1",
        "CPID\t0",
        "USER",
        "USER\t1",
        "USER\t1\talice",
        "USER\t1\talice\t",
        "USER\t1\talice\tdebug\tlip=::1",
        "USER\t1\talice\tservice",
        "USER\t0\talice\tservice=lmtp",
        "USER\tservice=lmtp",
        "PASS\t1\talice",
        "PASS\tx\talice\tservice=lmtp",
        "LIST",
        "LIST\t0",
        "LIST\t1x",
        "REQUEST",
        "REQUEST\t1\t2\t3",
        "REQUEST\t1\t2\t3\t",
        "REQUEST\t0\t2\t3\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t1\tx\t3\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t1\t2\t0\t69e1a8ba17881df894b135f8a8d853f9",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f99",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853fz",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid=",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid=-1",
        "REQUEST\t1\t2\t3\t69e1a8ba17881df894b135f8a8d853f9\tsession_pid=7x",
        "CACHE-FLUSH",
        "CACHE-FLUSH\tx",
        "CACHE-STATUS\t0",
        "CACHE-STATUS\t1\t",
        "CACHE-STATUS\t1\treset\t",
        "CACHE-STATUS\t1\tresets",
        "USER\t1\ta\tservice=lmtp\nUSER\t2\tb\tservice=lmtp",
    ] {
        assert!(Command::parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

#[test]
fn lines_that_end_in_cr_lf_mean_the_same() {
    let stream = &b"USER\t1\tbob\tprotocol=lmtp\r\nLIST\t2\tuser=b*\r\nCACHE-FLUSH\t3\tbob\r\nCACHE-STATUS\t4\treset\r\n"[..];
    let mut crlf = stream;
    let lf = String::from_utf8(stream.to_vec()).unwrap().replace('\r', "");
    for line in lf.lines() {
        let cut = Lines::new(MASTER_LINE).cut(&mut crlf).unwrap().unwrap();
        assert_eq!(Command::parse(cut).unwrap(), Command::parse(line.as_bytes()).unwrap());
    }
    assert!(crlf.is_empty());
}

#[test]
fn a_user_may_be_escaped_or_not() {
    for (text, name) in [("al ice=x", &b"al ice=x"[..]), ("al\u{1}tice", b"al\tice"), ("", b"")] {
        let line = format!("USER\t1\t{text}\tservice=lmtp");
        let Command::User { user, .. } = Command::parse(line.as_bytes()).unwrap() else { panic!() };
        assert_eq!(*user, *name);
    }
}

#[test]
fn a_mask_counts_wherever_it_stands_and_is_not_lost() {
    for (line, mask) in [
        ("LIST\t1", None),
        ("LIST\t1\tservice=x", None),
        ("LIST\t1\tuser=", Some(&b""[..])),
        ("LIST\t1\tuser=*@example.org\tservice=x", Some(b"*@example.org")),
        ("LIST\t1\tservice=x\tuser=a\u{1}tb", Some(b"a\tb")),
    ] {
        let Command::List { mask: found, .. } = Command::parse(line.as_bytes()).unwrap() else { panic!() };
        assert_eq!(found.as_deref(), mask, "{line:?}");
    }
    let list = Command::List { id: id(1), mask: Some(b"b*".into()), params: Params::default() };
    assert_eq!(encoded(&list), b"LIST\t1\tuser=b*\n");
}

#[test]
fn flushing_nobody_is_not_flushing_everybody() {
    let users = |line: &'static str| match Command::parse(line.as_bytes()).unwrap() {
        Command::CacheFlush { users, .. } => users,
        other => panic!("{other:?}"),
    };
    assert!(users("CACHE-FLUSH\t1").is_empty());
    assert_eq!(users("CACHE-FLUSH\t1\t"), [&b""[..]]);
    assert_eq!(users("CACHE-FLUSH\t1\ta\tb=c"), [&b"a"[..], b"b=c"]);
}

#[test]
fn a_request_keeps_what_is_set_beside_its_list() {
    let mut request = Request {
        id: id(1),
        client_pid: 2,
        client_id: id(3),
        cookie: Cookie::new([0xab; 16]),
        session_pid: Some(4),
        request_auth_token: true,
        session_pid_trusted: true,
        fields: Fields::default(),
    };
    let mut line = format!("REQUEST\t1\t2\t3\t{}\tsession_pid=4\trequest_auth_token", "ab".repeat(16));
    line.push_str("\tsession_pid_trusted\n");
    assert_eq!(encoded(&Command::Request(request.clone())), line.as_bytes());
    request.fields = Fields::of_line(b"session_pid=4");
    request.request_auth_token = false;
    request.session_pid_trusted = false;
    assert!(encoded(&Command::Request(request)).ends_with(b"\tsession_pid=4\n"));
}

proptest! {
    #[test]
    fn commands_come_back(
        id in any_id(),
        user in any_text(),
        fields in any_fields(),
        users in prop::collection::vec(any_text(), 0..4),
        reset: bool,
    ) {
        let params = Params::of(fields.as_fields());
        let user = Cow::Borrowed(&user[..]);
        comes_back(&Command::User { id, user: user.clone(), params: params.clone() });
        comes_back(&Command::Pass { id, user: user.clone(), params: params.clone() });
        comes_back(&Command::List { id, mask: None, params });
        let mut fields = fields.clone();
        fields.push("user", &user);
        comes_back(&Command::List { id, mask: Some(user), params: Params::of(fields.as_fields()) });
        comes_back(&Command::CacheFlush { id, users: users.iter().map(Cow::from).collect() });
        comes_back(&Command::CacheStatus { id, reset });
    }

    #[test]
    fn requests_come_back(
        id in any_id(),
        client_pid: u32,
        client_id in any_id(),
        cookie: [u8; 16],
        session_pid: Option<u32>,
        flags: [bool; 2],
        mut fields in any_fields(),
    ) {
        if let Some(pid) = session_pid {
            fields.push("session_pid", pid.to_string());
        }
        for (key, _) in ["request_auth_token", "session_pid_trusted"].iter().zip(flags).filter(|(_, set)| *set) {
            fields.flag(key);
        }
        comes_back(&Command::Request(Request {
            id,
            client_pid,
            client_id,
            cookie: Cookie::new(cookie),
            session_pid,
            request_auth_token: flags[0],
            session_pid_trusted: flags[1],
            fields: fields.as_fields(),
        }));
    }

    #[test]
    fn handshakes_come_back(major: u32, minor: u32, pid in 1_u32..) {
        comes_back(&Command::Version(Version { major, minor }));
        comes_back(&Command::Cpid(pid));
    }

    #[test]
    fn whatever_is_read_is_written_as_one_line_that_means_the_same(
        line in nearly_lines(&["CPID", "USER", "PASS\t7\tbob", "LIST", "LIST\t7", "REQUEST\t1\t2", "CACHE-FLUSH", "CACHE-STATUS"])
    ) {
        if let Ok(command) = Command::parse(&line) {
            comes_back(&command);
        }
    }
}

fn comes_back(command: &Command<'_>) {
    let line = encoded(command);
    assert_eq!(Command::parse(unframed(&line)).as_ref(), Ok(command));
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    written(|out| command.encode(out))
}
