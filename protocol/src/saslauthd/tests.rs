use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use proptest::prelude::*;

use super::{FIELD, REPLY, REQUEST, Reply, Request, remote};
use crate::error::{Broken, TooLong};
use crate::secret::Secret;

/// As Postfix 3.7 with Cyrus SASL 2.1.28 has asked for alice@example.test.
const ASKED: &[u8] = b"\0\x05alice\0\x06wonder\0\x04smtp\0\x0cexample.test";

#[test]
fn a_request_is_four_counted_strings() {
    for (stream, strings, user) in [
        (ASKED, [&b"alice"[..], b"wonder", b"smtp", b"example.test"], &b"alice@example.test"[..]),
        (b"\0\x05alice\0\x06wonder\0\x04smtp\0\0", [b"alice", b"wonder", b"smtp", b""], b"alice"),
        (b"\0\0\0\0\0\0\0\0", [b"", b"", b"", b""], b""),
        (b"\0\x03a@b\0\x01\xff\0\0\0\0", [b"a@b", b"\xff", b"", b""], b"a@b"),
    ] {
        let mut buf = stream;
        let request = Request::cut(&mut buf).unwrap().unwrap();
        assert!(buf.is_empty());
        assert_eq!([request.login, request.password.expose(), request.service, request.realm], strings);
        assert_eq!(&*request.user(), user);
        assert_eq!(request.encode().unwrap().expose(), stream);
    }
}

/// Proof of `a@b`'s password must not make anybody `a@b@c`, which is what the program takes the remote for.
#[test]
fn a_login_with_a_domain_keeps_its_realm() {
    let request = Request { login: b"a@b", password: Secret::new(Vec::new()), service: b"smtp", realm: b"c" };
    assert_eq!(*request.user(), *b"a@b@c");
}

#[test]
fn a_request_is_the_same_however_the_bytes_arrive() {
    let stream = [ASKED, b"more"].concat();
    for at in 0..ASKED.len() {
        let mut buf = &stream[..at];
        assert!(Request::cut(&mut buf).unwrap().is_none(), "{at} bytes");
        assert_eq!(buf, &stream[..at]);
        assert_eq!(Request::length(buf), Ok(None));
    }
    let mut buf = &stream[..];
    assert_eq!(Request::length(buf), Ok(Some(ASKED.len())));
    assert_eq!(&*Request::cut(&mut buf).unwrap().unwrap().user(), b"alice@example.test");
    assert_eq!(buf, b"more");
}

#[test]
fn a_string_above_the_limit_is_refused_as_soon_as_its_length_has_come() {
    for before in [&b""[..], b"\0\x05alice", b"\0\x05alice\0\x06wonder", b"\0\0\0\0\0\0"] {
        for length in [&b"\x20\x01"[..], b"\xff\xff", b"\x80\0"] {
            let stream = [before, length].concat();
            assert_eq!(broken(&stream), TooLong { limit: FIELD }.into(), "{}", stream.escape_ascii());
            assert_eq!(Request::length(&stream), Err(TooLong { limit: FIELD }));
        }
        assert!(Request::cut(&mut &[before, b"\x20"].concat()[..]).unwrap().is_none());
        assert!(Request::cut(&mut &[before, b"\x20\0"].concat()[..]).unwrap().is_none());
    }
    let long = vec![b'x'; FIELD];
    let request = |password| Request { login: &long, password, service: &long, realm: &long };
    let longest = request(Secret::new(long.clone())).encode().unwrap();
    assert_eq!(longest.len(), REQUEST);
    assert!(Request::cut(&mut longest.expose()).unwrap().is_some());
    assert!(request(Secret::new([&long[..], b"x"].concat())).encode().is_err());
    // In 16 bits, this would be one byte long.
    assert!(request(Secret::new(vec![b'x'; 65_537])).encode().is_err());
}

#[test]
fn a_nul_is_in_no_string() {
    for stream in [
        &b"\0\x02a\0\0\0\0\0\0\0"[..],
        b"\0\x01a\0\x03x\0y\0\0\0\0",
        b"\0\x01a\0\x01x\0\x01\0\0\0",
        b"\0\x01a\0\x01x\0\0\0\x01\0",
    ] {
        assert!(matches!(broken(stream), Broken::Malformed(_)), "{}", stream.escape_ascii());
    }
    let request = |login, password: &[u8]| {
        let password = Secret::new(password.to_vec());
        Request { login, password, service: b"", realm: b"" }.encode()
    };
    assert!(request(b"a", b"x\0y").is_err() && request(b"a\0", b"x").is_err() && request(b"a", b"x").is_ok());
}

#[test]
fn the_remote_is_known_to_who_says_it() {
    for (rest, ip) in [
        (&b"\0\x0f192.0.2.1;52488"[..], Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))),
        (b"\0\x06::1;25", Some(IpAddr::V6(Ipv6Addr::LOCALHOST))),
        (b"\0\x06::1;25more", Some(IpAddr::V6(Ipv6Addr::LOCALHOST))),
        (b"", None),
        (b"\0\0", None),
        (b"\0\x0f192.0.2.1;", None),
        (b"\0\x09192.0.2.1", None),
        (b"\0\x02;1", None),
        (b"\0\x05x;y;z", None),
        (b"\xff\xff", None),
    ] {
        assert_eq!(remote(rest), ip, "{}", rest.escape_ascii());
    }
}

#[test]
fn replies_are_those_that_the_library_reads() {
    for (reply, written) in [(Reply::Ok, b"\0\x02OK"), (Reply::No, b"\0\x02NO")] {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        assert_eq!(out, &written[..]);
        assert_eq!(Reply::cut(&mut &out[..]), Ok(Some(reply)));
        for at in 0..written.len() {
            assert_eq!(Reply::cut(&mut &written[..at]), Ok(None));
        }
    }
    let mut buf = &b"\0\x15NO authentication off\0\x02OK"[..];
    assert_eq!(Reply::cut(&mut buf), Ok(Some(Reply::No)));
    assert_eq!(Reply::cut(&mut buf), Ok(Some(Reply::Ok)));
    assert!(buf.is_empty());
    for stream in [&b"\0\0"[..], b"\0\x01O", b"\0\x02ok", b"\0\x02N0", b"\0\x03 OK"] {
        assert!(matches!(Reply::cut(&mut &*stream), Err(Broken::Malformed(_))), "{}", stream.escape_ascii());
    }
    assert_eq!(Reply::cut(&mut &b"\x04\0"[..]), Err(TooLong { limit: REPLY }.into()));
    assert_eq!(Reply::cut(&mut &b"\x03\xff"[..]), Ok(None));
}

#[test]
fn debug_shows_who_and_no_password() {
    let shown = format!("{:?}", Request::cut(&mut &*ASKED).unwrap().unwrap());
    assert!(shown.contains("alice") && !shown.contains("wonder"), "{shown}");
}

proptest! {
    #[test]
    fn a_request_comes_back(
        login in "[^\0]{0,9}",
        password in "[^\0]{0,9}",
        service in "[^\0]{0,9}",
        realm in "[^\0]{0,9}",
        rest: Vec<u8>,
    ) {
        let [login, service, realm] = [&login, &service, &realm].map(|string| string.as_bytes());
        let request = Request { login, password: Secret::new(password.clone().into()), service, realm };
        let stream = [request.encode().unwrap().expose(), &rest].concat();
        let mut buf = &stream[..];
        let read = Request::cut(&mut buf).unwrap().unwrap();
        prop_assert_eq!((read.login, read.service, read.realm), (login, service, realm));
        prop_assert_eq!(read.password.expose(), password.as_bytes());
        prop_assert_eq!(buf, &rest[..]);
    }

    #[test]
    fn whatever_is_read_is_written_the_same(
        stream in prop::collection::vec(prop_oneof![Just(0), Just(0), 0_u8..4, any::<u8>()], 0..24),
    ) {
        let mut buf = &stream[..];
        if let Ok(Some(request)) = Request::cut(&mut buf) {
            let written = request.encode().unwrap();
            prop_assert_eq!([written.expose(), buf].concat(), &stream[..]);
        }
        let _ = (Reply::cut(&mut &stream[..]), remote(&stream));
    }
}

fn broken(stream: &[u8]) -> Broken {
    Request::cut(&mut &*stream).unwrap_err()
}
