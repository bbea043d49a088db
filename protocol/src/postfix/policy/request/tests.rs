use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use proptest::prelude::*;

use super::{ATTRIBUTES, Kind, Request, State};
use crate::postfix::policy::{Attributes, Blocks, REQUEST};

/// As Postfix 3.12 sends it.
const WITH_TLS: &str = "request=smtpd_access_policy
protocol_state=RCPT
protocol_name=ESMTP
client_address=127.0.0.1
client_name=unknown
client_port=32816
reverse_client_name=unknown
server_address=127.0.0.1
server_port=25991
helo_name=c.test
sender=alice@example.test
recipient=bob@example.test
recipient_count=0
queue_id=
instance=67bf.6b045ae5.813a5.0
size=0
etrn_domain=
stress=
sasl_method=PLAIN
sasl_username=alice@example.test
sasl_sender=
ccert_subject=Client+20+C3+9Cn+C3+AFcode
ccert_issuer=
ccert_fingerprint=D6:84:6F:64
ccert_pubkey_fingerprint=08:E1:5E:68
encryption_protocol=TLSv1.3
encryption_cipher=TLS_AES_256_GCM_SHA384
encryption_keysize=256
tls_sni=
policy_context=
compatibility_level=3.6
mail_version=3.12-20260821
";

/// As Postfix 3.7 sends it, at the end of a message to two recipients.
const AT_THE_END: &str = "request=smtpd_access_policy
protocol_state=END-OF-MESSAGE
protocol_name=ESMTP
client_address=2001:db8::1
client_name=client.test
client_port=unknown
reverse_client_name=unknown
server_address=unknown
server_port=25942
helo_name=c.test
sender=
recipient=
recipient_count=2
queue_id=1E1C59D4011
instance=56c5.6b0456aa.1de70.0
size=1234
etrn_domain=
stress=yes
sasl_method=
sasl_username=
sasl_sender=<al+2Bx@example.test>
ccert_subject=
ccert_issuer=
ccert_fingerprint=
ccert_pubkey_fingerprint=
encryption_protocol=
encryption_cipher=
encryption_keysize=0
policy_context=eod
";

#[test]
fn a_request_is_read_as_postfix_means_it() {
    let request = Request::parse(WITH_TLS.as_bytes()).unwrap();
    let expected = Request {
        request: Kind::AccessPolicy,
        protocol_state: Some(State::Rcpt),
        protocol_name: Some(b"ESMTP"),
        client_address: Some(b"127.0.0.1"),
        client_name: Some(b"unknown"),
        client_port: Some(32816),
        reverse_client_name: Some(b"unknown"),
        server_address: Some(b"127.0.0.1"),
        server_port: Some(25991),
        helo_name: Some(b"c.test"),
        sender: Some(b"alice@example.test"),
        recipient: Some(b"bob@example.test"),
        recipient_count: Some(0),
        instance: Some(b"67bf.6b045ae5.813a5.0"),
        size: Some(0),
        sasl_method: Some(b"PLAIN"),
        sasl_username: Some(b"alice@example.test"),
        ccert_subject: Some(b"Client+20+C3+9Cn+C3+AFcode"),
        ccert_fingerprint: Some(b"D6:84:6F:64"),
        ccert_pubkey_fingerprint: Some(b"08:E1:5E:68"),
        encryption_protocol: Some(b"TLSv1.3"),
        encryption_cipher: Some(b"TLS_AES_256_GCM_SHA384"),
        encryption_keysize: Some(256),
        compatibility_level: Some(b"3.6"),
        mail_version: Some(b"3.12-20260821"),
        attributes: request.attributes,
        ..Request::default()
    };
    assert_eq!(request, expected);
    assert_eq!(request.client_ip(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!(request.others().next(), None);
    // In Postfix's own order, to the byte.
    assert_eq!(written(&request), format!("{WITH_TLS}\n").as_bytes());
}

#[test]
fn what_is_empty_or_unknown_is_none() {
    let request = Request::parse(AT_THE_END.as_bytes()).unwrap();
    assert_eq!(request.protocol_state, Some(State::EndOfMessage));
    assert_eq!((request.sender, request.recipient, request.sasl_username), (None, None, None));
    assert_eq!((request.recipient_count, request.size), (Some(2), Some(1234)));
    assert_eq!((request.client_port, request.server_port), (None, Some(25942)));
    assert_eq!(request.client_ip(), Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))));
    assert_eq!((request.server_ip(), request.server_address), (None, Some(&b"unknown"[..])));
    assert_eq!(request.policy_context, Some(&b"eod"[..]));
    assert_eq!((request.tls_sni, request.mail_version), (None, None));
}

#[test]
fn every_state_is_known_by_its_name() {
    let names =
        ["CONNECT", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN", "rcpt", "BDAT"];
    for (name, known) in names.into_iter().zip(State::KNOWN.map(Some).into_iter().chain([None, None])) {
        let block = format!("request=smtpd_access_policy\nprotocol_state={name}\n");
        let state = Request::parse(block.as_bytes()).unwrap().protocol_state;
        assert_eq!(state, Some(known.unwrap_or(State::Other(name.as_bytes()))));
    }
}

#[test]
fn another_kind_of_request_is_for_the_caller_to_see() {
    for kind in [&b"smtpd_greylist"[..], b"", b"SMTPD_ACCESS_POLICY"] {
        let block = [b"request=", kind, b"\n"].concat();
        assert_eq!(Request::parse(&block).unwrap().request, Kind::Other(kind));
    }
    for block in [&b""[..], b"protocol_state=RCPT\n", b"Request=smtpd_access_policy\n"] {
        assert!(Request::parse(block).is_err(), "{}", block.escape_ascii());
    }
}

#[test]
fn attributes_may_come_in_any_order_and_unknown_ones_are_kept_in_theirs() {
    let request =
        Request::parse(b"z=1\nsize=7\nsender=a b=c\nnew==\nz=2\nrequest=smtpd_access_policy\n=\n").unwrap();
    assert_eq!((request.size, request.sender), (Some(7), Some(&b"a b=c"[..])));
    let others: Vec<_> = request.others().collect();
    let expected: [(&[u8], &[u8]); 4] = [(b"z", b"1"), (b"new", b"="), (b"z", b"2"), (b"", b"")];
    assert_eq!(others, expected);
    assert_eq!(request.attributes.find(b"z"), Some(&b"1"[..]));
}

/// As in Postfix's `attr_scan_plain(3)`: "existing hash table entries are not replaced".
#[test]
fn of_several_the_first_one_counts_even_if_it_is_empty() {
    let block = b"request=smtpd_access_policy\nsender=a\nsasl_username=\nsender=b\nsasl_username=eve\nrequest=x\nsize=1\nsize=x\n";
    let request = Request::parse(block).unwrap();
    assert_eq!((request.sender, request.sasl_username), (Some(&b"a"[..]), None));
    assert_eq!((request.size, request.request), (Some(1), Kind::AccessPolicy));
}

#[test]
fn a_number_that_is_none_is_malformed() {
    for line in [
        "size=x",
        "size=-1",
        "size=+1",
        "size= 1",
        "size=1 ",
        "size=0x1",
        "size=18446744073709551616",
        "size=unknown",
        "recipient_count=1.0",
        "encryption_keysize=a",
        "client_port=65536",
        "client_port=-1",
        "server_port=smtp",
        "sender",
        "sender=a\0",
        "",
    ] {
        let block = format!("request=smtpd_access_policy\n{line}\n");
        assert!(Request::parse(block.as_bytes()).is_err(), "{line:?}");
    }
    let block = b"request=x\nsize=18446744073709551615\nclient_port=65535\nserver_port=\n";
    let request = Request::parse(block).unwrap();
    assert_eq!((request.size, request.client_port, request.server_port), (Some(u64::MAX), Some(65535), None));
}

#[test]
fn what_would_be_read_as_something_else_is_not_written() {
    let long = vec![b'x'; REQUEST];
    for request in [
        Request { sender: Some(b"a\nsasl_username=eve"), ..Request::default() },
        Request { sender: Some(b"a\n\n"), ..Request::default() },
        Request { sender: Some(b"a\0"), ..Request::default() },
        Request { sender: Some(b""), ..Request::default() },
        Request { sender: Some(&long), ..Request::default() },
        Request { protocol_state: Some(State::Other(b"RCPT")), ..Request::default() },
        Request { protocol_state: Some(State::Other(b"")), ..Request::default() },
        Request { request: Kind::Other(b"smtpd_access_policy"), ..Request::default() },
        Request { request: Kind::Other(b"x\ny=z"), ..Request::default() },
    ] {
        let mut out = BytesMut::from("before");
        assert!(request.encode(&mut out).is_err(), "{request:?}");
        assert_eq!(out, "before");
    }
}

#[test]
fn debug_shows_what_was_said() {
    let request = Request::parse(b"request=smtpd_access_policy\nsender=a\xff\nsize=1\nz=\n").unwrap();
    let shown = r#"{"request": "smtpd_access_policy", "sender": "a\xff", "size": "1", "z": ""}"#;
    assert_eq!(format!("{request:?}"), shown);
}

proptest! {
    #[test]
    fn a_request_comes_back(
        values in prop::collection::vec("[^\0\n]{0,9}", ATTRIBUTES.len()),
        numbers in prop::collection::vec(prop::option::of(any::<u64>()), 3),
        ports: (Option<u16>, Option<u16>),
        others in "([a-z]{0,3}_[a-z]{0,3}=[ -~]{0,9}\n){0,4}",
    ) {
        let others = Attributes::of_block(others.as_bytes()).unwrap();
        let mut request = Request { attributes: others, ..Request::default() };
        for ((what, access), value) in ATTRIBUTES.into_iter().zip(&values) {
            // Not every value is a number.
            let _ = access(&mut request).fill(what, value.as_bytes());
        }
        request.recipient_count = numbers[0];
        request.size = numbers[1];
        request.encryption_keysize = numbers[2];
        (request.client_port, request.server_port) = ports;
        let block = written(&request);
        let mut buf = &block[..];
        let read = Request::parse(Blocks::new(REQUEST).cut(&mut buf).unwrap().unwrap()).unwrap();
        prop_assert!(buf.is_empty());
        prop_assert!(read.same_but_for_attributes(&request), "{:?}", read);
        prop_assert_eq!(written(&read), block);
    }

    #[test]
    fn any_block_can_be_looked_at(block in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "((request|size|sender|client_port|x)?=?[0-9x]{0,3}\n?){0,6}".prop_map(String::into_bytes),
    ]) {
        if let Ok(request) = Request::parse(&block) {
            let again = written(&request);
            let read = Request::parse(again.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert!(read.same_but_for_attributes(&request));
        }
    }
}

fn written(request: &Request<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    request.encode(&mut out).unwrap();
    out.to_vec()
}
