use std::borrow::Cow;

use bytes::BytesMut;
use proptest::prelude::*;

use super::Reply;
use crate::dovecot::testing::{any_fields, any_id, any_text, id, nearly_lines, unframed, written};
use crate::dovecot::{Fields, FieldsBuf, Version};
use crate::error::TooLong;
use crate::frame::MASTER_REPLY;

/// Seen on real sockets or of the same form; all spelt as we would write them.
const LINES: &[&str] = &[
    "VERSION\t1\t4",
    "SPID\t14433",
    "USER\t1\talice@example.org\tuid=5000\tgid=5000\thome=/srv/example/mail/alice\tquota_rule=*:bytes=10M",
    "USER\t2203582465\talice@example.org\tuid=5000\tgid=5000\tauth_mech=PLAIN\
     \tauth_token=5fadad0ebc07c0f49ba5a232efeaf9fa422db80c",
    "USER\t1\tbob",
    "PASS\t1\tuser=alice@example.org",
    "PASS\t1\tuser=prox\tproxy\thost=127.0.0.1\tpass=secret",
    "NOTFOUND\t2",
    "FAIL\t2122448897",
    "FAIL\t1\treason=proof tempfail",
    "FAIL\t1\tx\treason=a\u{1}tb",
    "LIST\t1\talice@example.org",
    "LIST\t1\ta\u{1}nb",
    "DONE\t1\t",
    "DONE\t1\tfail",
    "OK\t1",
    "OK\t1\t8",
    "OK\t1\thits=1\tmisses=2\tpos_entries=0\tneg_entries=0",
];

#[test]
fn lines_as_on_real_sockets_are_read_and_written_the_same() {
    for line in LINES {
        let reply = Reply::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(unframed(&encoded(&reply)), line.as_bytes(), "{line:?}");
    }
}

#[test]
fn what_a_server_must_not_say_is_malformed() {
    for line in [
        "",
        "MECH\tPLAIN",
        "SPID\t0",
        "CUID\t1",
        "USER\t1",
        "USER\t0\talice",
        "PASS\t1",
        "PASS\t1\talice",
        "PASS\t1\tproxy\tuser=alice",
        "NOTFOUND",
        "NOTFOUND\t1\tx",
        "FAIL",
        "FAIL\t0",
        "LIST\t1",
        "LIST\t1\ta\tb",
        "DONE",
        "DONE\t1fail",
        "DONE\t1\tfailed",
        "DONE\t1\t\tfail",
        "DONE\t0\t",
        "OK",
        "OK\t0",
    ] {
        assert!(Reply::parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

#[test]
fn a_reason_is_not_lost() {
    let fail = Reply::Fail { id: id(1), reason: Some(b"try\tlater".into()), fields: Fields::default() };
    assert_eq!(encoded(&fail), b"FAIL\t1\treason=try\x01tlater\n");
}

#[test]
fn the_number_of_a_flush_can_be_read() {
    for (line, number) in
        [("OK\t1\t8", Some(8)), ("OK\t1", None), ("OK\t1\thits=1", None), ("NOTFOUND\t1", None)]
    {
        assert_eq!(Reply::parse(line.as_bytes()).unwrap().flushed(), number, "{line:?}");
    }
}

/// Dovecot's clients take 8191 bytes with the LF, and give up the connection over more.
#[test]
fn a_reply_that_no_client_would_read_is_not_written() {
    let before = "SPID\t7\n";
    for (size, fits) in [(MASTER_REPLY, true), (MASTER_REPLY + 1, false), (100_000, false)] {
        let mut fields = FieldsBuf::default();
        fields.push("home", vec![b'x'; size - "USER\t1\tbob\thome=".len()]);
        let mut out = BytesMut::from(before);
        let user = Reply::User { id: id(1), user: b"bob".into(), fields: fields.as_fields() };
        if fits {
            assert_eq!(user.encode(&mut out), Ok(()));
            assert_eq!(out.len() - before.len(), 8191);
        } else {
            assert_eq!(user.encode(&mut out), Err(TooLong { limit: MASTER_REPLY }));
            assert_eq!(out, before, "nothing of it may stay behind");
        }
    }
    let list = Reply::List { id: id(1), user: vec![b'\n'; 5000].into() };
    assert!(list.encode(&mut BytesMut::new()).is_err(), "it is the escaped size that counts");
}

proptest! {
    #[test]
    fn replies_come_back(id in any_id(), user in any_text(), fields in any_fields(), failed: bool) {
        let user = Cow::Borrowed(&user[..]);
        for fields in [fields.as_fields(), Fields::default()] {
            comes_back(&Reply::User { id, user: user.clone(), fields });
            comes_back(&Reply::Pass { id, user: user.clone(), fields });
            comes_back(&Reply::Fail { id, reason: None, fields });
            comes_back(&Reply::Ok { id, fields });
        }
        let mut fields = fields.clone();
        fields.push("reason", &user);
        comes_back(&Reply::Fail { id, reason: Some(user.clone()), fields: fields.as_fields() });
        comes_back(&Reply::List { id, user });
        comes_back(&Reply::Done { id, failed });
        comes_back(&Reply::NotFound(id));
    }

    #[test]
    fn handshakes_come_back(major: u32, minor: u32, spid in 1_u32..) {
        comes_back(&Reply::Version(Version { major, minor }));
        comes_back(&Reply::Spid(spid));
    }

    #[test]
    fn whatever_is_read_is_written_as_one_line_that_means_the_same(
        line in nearly_lines(&["VERSION", "SPID", "USER", "PASS", "PASS\t1\tuser=bob", "NOTFOUND", "FAIL", "LIST", "DONE", "OK"])
    ) {
        if let Ok(reply) = Reply::parse(&line) {
            comes_back(&reply);
        }
    }
}

fn comes_back(reply: &Reply<'_>) {
    let line = encoded(reply);
    assert_eq!(Reply::parse(unframed(&line)).as_ref(), Ok(reply));
}

fn encoded(reply: &Reply<'_>) -> Vec<u8> {
    written(|out| reply.encode(out).unwrap())
}
