use std::borrow::Cow;

use bytes::BytesMut;
use proptest::prelude::*;

use super::{REPLY, Reply, Request};

/// As Postfix 3.7 has asked.
#[test]
fn a_request_is_get_and_a_coded_key() {
    for (line, key) in [
        (&b"get bob@example.test"[..], &b"bob@example.test"[..]),
        (b"get a%20b%25c@x.test", b"a b%c@x.test"),
        (b"get user.%C3%A9@virt.test", b"user.\xc3\xa9@virt.test"),
        (b"get *", b"*"),
        (b"get ", b""),
    ] {
        let request = Request::parse(line).unwrap();
        assert_eq!(request, get(key));
        assert_eq!(line_of(|out| request.encode(out)), line);
    }
    assert_eq!(Request::parse(b"get user.%c3%a9\xff"), Ok(get(b"user.\xc3\xa9\xff")));
}

#[test]
fn an_update_is_known_as_such_and_nothing_else_is_asked() {
    for line in [&b"put a b"[..], b"put a", b"put  ", b"put %"] {
        assert_eq!(Request::parse(line), Ok(Request::Put));
    }
    assert_eq!(Request::parse(&line_of(|out| Request::Put.encode(out))), Ok(Request::Put));
    for line in [
        &b""[..],
        b"get",
        b"put",
        b"GET a",
        b"get\ta",
        b" get a",
        b"get a b",
        b"get  a",
        b"get a\r",
        b"get a\nget b",
        b"get %",
        b"get %2",
        b"get %zz",
        b"get a%00b",
        b"get a\0b",
        b"delete a",
    ] {
        assert!(Request::parse(line).is_err(), "{}", line.escape_ascii());
    }
}

#[test]
fn replies_are_those_that_postfix_has_read() {
    let table: [(Reply<'_>, &[u8]); 4] = [
        (ok(b"alice@example.test, bob@example.test"), b"200 alice@example.test,%20bob@example.test"),
        (ok(b"100%"), b"200 100%25"),
        (Reply::NotFound, b"500 not%20found"),
        (temp(b"database down"), b"400 database%20down"),
    ];
    for (reply, line) in table {
        assert_eq!(line_of(|out| reply.encode(out)), line);
        assert_eq!(Reply::parse(line), Ok(reply));
    }
}

#[test]
fn a_value_that_postfix_would_not_read_as_it_is_becomes_a_temporary_failure() {
    for value in [&b""[..], b"a\0", &[b'x'; REPLY - 3], &[b' '; (REPLY - 4) / 3 + 1]] {
        let line = line_of(|out| ok(value).encode(out));
        assert!(line.starts_with(b"400 the%20value%20"), "{}", line.escape_ascii());
        assert_ne!(ok(value).sendable(), ok(value));
    }
    for value in [&[b'x'; REPLY - 4][..], &[b' '; (REPLY - 4) / 3]] {
        let line = line_of(|out| ok(value).encode(out));
        assert!(line.len() <= REPLY && line.len() > REPLY - 3);
        assert_eq!(Reply::parse(&line), Ok(ok(value)));
    }
}

#[test]
fn reasons_are_short_and_printable() {
    let line = line_of(|out| temp(b"down\r\n200 x\0\xff%").encode(out));
    assert_eq!(line, b"400 down??200%20x??%25");
    let line = line_of(|out| temp(&[b' '; 1000]).encode(out));
    assert_eq!(line, [&b"400 "[..], &b"%20".repeat(200)].concat());
}

#[test]
fn a_reply_is_read_as_postfix_reads_it() {
    assert_eq!(Reply::parse(b"299\tnot coded"), Ok(ok(b"not coded")));
    assert_eq!(Reply::parse(b"450 "), Ok(temp(b"")));
    assert_eq!(Reply::parse(b"599 whatever"), Ok(Reply::NotFound));
    for line in [
        &b""[..],
        b"200",
        b"200 ",
        b"200x",
        b"20 x",
        b"2000 x",
        b" 200 x",
        b"100 x",
        b"300 x",
        b"2x0 x",
        b"200 %",
        b"200 a%00",
        b"500 %zz",
        b"400 %2",
        b"NOTFOUND ",
    ] {
        assert!(Reply::parse(line).is_err(), "{}", line.escape_ascii());
    }
}

#[test]
fn debug_shows_keys_and_no_values() {
    let shown = format!("{:?} {:?} {:?}", get(b"bob"), ok(b"hunter2"), temp(b"down"));
    assert_eq!(shown, r#"Get("bob") Ok(7 bytes) Temp("down")"#);
}

proptest! {
    #[test]
    fn a_request_comes_back(key in prop::collection::vec(1_u8.., 0..40)) {
        let line = line_of(|out| get(&key).encode(out));
        prop_assert_eq!(Request::parse(&line), Ok(get(&key)));
    }

    #[test]
    fn a_reply_comes_back_as_what_is_sendable_of_it(which in 0..3, text in prop::collection::vec(any::<u8>(), 0..80)) {
        let printable: Vec<_> = super::printable(&text).collect();
        let reply = match which {
            0 => ok(&text),
            1 => Reply::NotFound,
            _ => temp(&printable),
        };
        let line = line_of(|out| reply.encode(out));
        prop_assert!(line.len() <= REPLY);
        prop_assert_eq!(Reply::parse(&line), Ok(reply.clone().sendable()));
    }

    #[test]
    fn whatever_is_read_is_written_so_that_it_is_read_the_same(line in "(get|put|200|400|500|250) [ -~]{0,9}") {
        if let Ok(request) = Request::parse(line.as_bytes()) {
            let written = line_of(|out| request.encode(out));
            prop_assert_eq!(Request::parse(&written), Ok(request));
        }
        if let Ok(reply) = Reply::parse(line.as_bytes()) {
            let written = line_of(|out| reply.encode(out));
            let printable = match &reply {
                Reply::Temp(reason) => Reply::Temp(super::printable(reason).collect()),
                Reply::Ok(_) | Reply::NotFound => reply,
            };
            prop_assert_eq!(Reply::parse(&written), Ok(printable));
        }
    }
}

fn get(key: &[u8]) -> Request<'_> {
    Request::Get(Cow::Borrowed(key))
}

fn ok(value: &[u8]) -> Reply<'_> {
    Reply::Ok(Cow::Borrowed(value))
}

fn temp(reason: &[u8]) -> Reply<'_> {
    Reply::Temp(Cow::Borrowed(reason))
}

/// The line that is written, without its LF, which is the only one.
fn line_of(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    let (b'\n', line) = out.split_last().unwrap() else { panic!("no LF at the end") };
    assert!(!line.contains(&b'\n'), "a LF inside");
    line.to_vec()
}
