use bytes::BytesMut;
use proptest::prelude::*;

use super::{REPLY, REQUEST, Reply, Request};
use crate::postfix::netstring::Netstrings;

/// As Postfix 3.7 and 3.12 have asked.
#[test]
fn a_request_is_split_at_its_first_blank() {
    for (payload, name, key) in [
        (&b"transport *"[..], &b"transport"[..], &b"*"[..]),
        (b"vdomains example.test", b"vdomains", b"example.test"),
        (b"senders alice+x@example.test", b"senders", b"alice+x@example.test"),
        (b"vmailbox \"a b\"@virt.test", b"vmailbox", b"\"a b\"@virt.test"),
        (b"vmailbox a b@virt.test", b"vmailbox", b"a b@virt.test"),
        (b"transport user.\xc3\xa9@virt.test", b"transport", b"user.\xc3\xa9@virt.test"),
        (b"sender_dependent_relayhost_maps <>", b"sender_dependent_relayhost_maps", b"<>"),
        (b"canonical_maps \"\"", b"canonical_maps", b"\"\""),
        (b"m ", b"m", b""),
        (b"m  x", b"m", b" x"),
        (b" x", b"", b"x"),
        (b" ", b"", b""),
        (b"m \xff\n,1:", b"m", b"\xff\n,1:"),
    ] {
        let request = Request::parse(payload).unwrap();
        assert_eq!(request, Request { name, key }, "{}", payload.escape_ascii());
        assert_eq!(sent(|out| request.encode(out).unwrap()), payload);
    }
}

#[test]
fn without_a_blank_or_with_a_nul_nothing_is_asked() {
    for payload in [&b""[..], b"transport", b"\0", b"m\0 x", b"m a\0b", b"m \0", b"m\tx"] {
        assert!(Request::parse(payload).is_err(), "{}", payload.escape_ascii());
    }
}

#[test]
fn a_request_that_would_be_read_as_another_is_not_written() {
    let long = vec![b'x'; REQUEST - 1];
    for (name, key) in [(&b"a b"[..], &b"x"[..]), (b" ", b""), (b"a\0", b"x"), (b"a", b"x\0"), (b"a", &long)]
    {
        let mut out = BytesMut::new();
        assert!(Request { name, key }.encode(&mut out).is_err(), "{}", name.escape_ascii());
        assert!(out.is_empty());
    }
    let longest = Request { name: b"", key: &long };
    assert_eq!(sent(|out| longest.encode(out).unwrap()).len(), REQUEST);
}

#[test]
fn replies_are_those_that_postfix_has_read() {
    let table: [(Reply<'_>, &[u8]); 8] = [
        (Reply::NotFound, b"9:NOTFOUND ,"),
        (Reply::Ok(b"anything"), b"11:OK anything,"),
        (Reply::Ok(b"example.test/o'neil/"), b"23:OK example.test/o'neil/,"),
        (Reply::Ok(b"alice@example.test, bob@example.test"), b"39:OK alice@example.test, bob@example.test,"),
        (Reply::Ok(b"REJECT bob may not send here"), b"31:OK REJECT bob may not send here,"),
        (Reply::Temp(b"database down"), b"18:TEMP database down,"),
        (Reply::Timeout(b"ldap timeout"), b"20:TIMEOUT ldap timeout,"),
        (Reply::Perm(b"bad config"), b"15:PERM bad config,"),
    ];
    for (reply, written) in table {
        let mut out = BytesMut::from("before");
        reply.encode(&mut out);
        assert_eq!(out.strip_prefix(b"before").unwrap(), written);
        assert_eq!(Reply::parse(unframed(written)).unwrap(), reply);
    }
}

/// R16 and what else Postfix calls an error: it must never come of an answer of ours.
#[test]
fn a_value_that_postfix_would_not_read_as_it_is_becomes_a_temporary_failure() {
    let longest = vec![b'x'; REPLY - 3];
    let too_long = vec![b'x'; REPLY - 2];
    let with_nul = [&b"x".repeat(100)[..], b"\0"].concat();
    for value in [&b""[..], b"\0", b"alice@example.org\0bob@example.org", &with_nul, &too_long] {
        let payload = sent(|out| Reply::Ok(value).encode(out));
        assert!(payload.starts_with(b"TEMP the value "), "{}", payload.escape_ascii());
        assert_ne!(Reply::Ok(value).sendable(), Reply::Ok(value));
    }
    let payload = sent(|out| Reply::Ok(&longest).encode(out));
    assert_eq!(payload.len(), REPLY);
    assert_eq!(Reply::parse(&payload).unwrap(), Reply::Ok(&longest));
}

#[test]
fn reasons_are_short_and_printable() {
    for (reason, written) in [
        (&b""[..], &b""[..]),
        (b"down\r\nOK x", b"down??OK x"),
        (b"caf\xc3\xa9\0\x7f\t", b"caf?????"),
        (&[b'~'; 200], &[b'~'; 200]),
        (&[b' '; 201], &[b' '; 200]),
    ] {
        for (reply, word) in [
            (Reply::Temp(reason), &b"TEMP "[..]),
            (Reply::Timeout(reason), b"TIMEOUT "),
            (Reply::Perm(reason), b"PERM "),
        ] {
            assert_eq!(sent(|out| reply.encode(out)), [word, written].concat());
        }
    }
}

/// What real servers and wrong ones have answered, and what Postfix 3.12 made of it.
#[test]
fn a_reply_is_read_as_postfix_reads_it() {
    assert_eq!(Reply::parse(b"NOTFOUND"), Ok(Reply::NotFound));
    assert_eq!(Reply::parse(b"NOTFOUND whatever"), Ok(Reply::NotFound));
    assert_eq!(Reply::parse(b"OK a, b\nc"), Ok(Reply::Ok(b"a, b\nc")));
    assert_eq!(Reply::parse(b"OK  x"), Ok(Reply::Ok(b" x")));
    assert_eq!(Reply::parse(b"TEMP "), Ok(Reply::Temp(b"")));
    let too_long = [&b"OK "[..], &[b'x'; REPLY]].concat();
    for payload in
        [&b""[..], b"OK", b"OK ", b"ok x", b"OK\tx", b"OKx y", b"HUH x", b"TEMP", b"OK a\0", &too_long]
    {
        assert!(Reply::parse(payload).is_err(), "{}", payload.escape_ascii());
    }
}

#[test]
fn debug_shows_keys_and_no_values() {
    let shown = format!("{:?}", [Reply::Ok(b"user:hunter2"), Reply::Temp(b"do\nwn"), Reply::NotFound]);
    assert_eq!(shown, r#"[Ok(12 bytes), Temp("do\nwn"), NotFound]"#);
    let request = Request { name: b"senders", key: b"\"a\"@b" };
    assert_eq!(format!("{request:?}"), r#"Request { name: "senders", key: "\"a\"@b" }"#);
}

proptest! {
    #[test]
    fn a_request_comes_back(name in "[^ \0]{0,9}", key in "[^\0]{0,40}") {
        let request = Request { name: name.as_bytes(), key: key.as_bytes() };
        let payload = sent(|out| request.encode(out).unwrap());
        prop_assert_eq!(Request::parse(&payload), Ok(request));
    }

    #[test]
    fn whatever_is_asked_is_written_the_same(payload in prop::collection::vec(0_u8..40, 0..9)) {
        if let Ok(request) = Request::parse(&payload) {
            prop_assert_eq!(sent(|out| request.encode(out).unwrap()), payload);
        }
    }

    #[test]
    fn a_reply_comes_back_as_what_is_sendable_of_it(which in 0..5, text in prop::collection::vec(any::<u8>(), 0..80)) {
        let printable: Vec<_> = super::printable(&text).collect();
        let reply = match which {
            0 => Reply::Ok(&text),
            1 => Reply::NotFound,
            2 => Reply::Temp(&printable),
            3 => Reply::Timeout(&printable),
            _ => Reply::Perm(&printable),
        };
        let payload = sent(|out| reply.encode(out));
        prop_assert!(!payload.is_empty() && payload.len() <= REPLY && payload != b"OK ");
        prop_assert_eq!(Reply::parse(&payload), Ok(reply.sendable()));
    }

    #[test]
    fn whatever_is_answered_is_written_so_that_it_is_read_the_same(
        payload in "(OK|NOTFOUND|TEMP|TIMEOUT|PERM|ok|)[ a-z\0]{0,9}",
    ) {
        if let Ok(reply) = Reply::parse(payload.as_bytes()) {
            let written = sent(|out| reply.encode(out));
            let again: Vec<_> = match reply {
                Reply::Ok(_) | Reply::NotFound => payload.bytes().collect(),
                Reply::Temp(_) | Reply::Timeout(_) | Reply::Perm(_) => super::printable(payload.as_bytes()).collect(),
            };
            prop_assert!(written == again || reply == Reply::NotFound);
        }
    }
}

/// The payload of the one netstring that is written.
fn sent(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    unframed(&out).to_vec()
}

fn unframed(mut netstring: &[u8]) -> &[u8] {
    let payload = Netstrings::new(REPLY).cut(&mut netstring).unwrap().unwrap();
    assert!(netstring.is_empty(), "something behind a netstring");
    payload
}
