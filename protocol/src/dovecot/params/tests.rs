use std::borrow::Cow;

use proptest::prelude::*;

use super::{Params, Secured};
use crate::dovecot::Fields;
use crate::dovecot::testing::any_fields;

#[test]
fn each_parameter_has_its_place() {
    let params = of(b"service=imap\tsecured=tls\tvalid-client-cert\tno-penalty\tfinal-resp-ok\tnologin\tdebug\
        \tsession=e1\tcert_username=carl\tclient_id=\"name\" \"x\"\tlocal_name=imap.example.org\tforward_fields=a=b\
        \tssl_ja3_hash=8a\tssl_client_cert_fp=fp\tssl_client_cert_pubkey_fp=pub\ttransport=TLS\ttls_cipher=AES\
        \ttls_cipher_bits=256\ttls_pfs=KxEC\ttls_protocol=TLSv1.3\
        \tlip=198.51.100.1\trip=203.0.113.9\tlport=993\trport=4242\
        \treal_lip=2001:db8::1\treal_rip=::ffff:192.0.2.1\treal_lport=11143\treal_rport=65535\tnew=thing");
    for (value, expected) in [
        (&params.service, "imap"),
        (&params.session, "e1"),
        (&params.cert_username, "carl"),
        (&params.client_id, "\"name\" \"x\""),
        (&params.local_name, "imap.example.org"),
        (&params.forward_fields, "a=b"),
        (&params.ssl_ja3_hash, "8a"),
        (&params.ssl_client_cert_fp, "fp"),
        (&params.ssl_client_cert_pubkey_fp, "pub"),
        (&params.transport, "TLS"),
        (&params.tls_cipher, "AES"),
        (&params.tls_cipher_bits, "256"),
        (&params.tls_pfs, "KxEC"),
        (&params.tls_protocol, "TLSv1.3"),
    ] {
        assert!(matches!(value, Some(Cow::Borrowed(value)) if *value == expected.as_bytes()), "{expected}");
    }
    assert_eq!(params.secured, Secured::Tls);
    assert!(
        params.valid_client_cert
            && params.no_penalty
            && params.final_resp_ok
            && params.nologin
            && params.debug
    );
    let [lip, rip, real_lip, real_rip] = ["198.51.100.1", "203.0.113.9", "2001:db8::1", "::ffff:192.0.2.1"]
        .map(|ip| Some(ip.parse().unwrap()));
    assert_eq!([params.lip, params.rip, params.real_lip, params.real_rip], [lip, rip, real_lip, real_rip]);
    assert_eq!([params.lport, params.rport], [Some(993), Some(4242)]);
    assert_eq!([params.real_lport, params.real_rport], [Some(11143), Some(65535)]);
    assert_eq!(params.fields.find(b"new").unwrap().value.as_deref(), Some(&b"thing"[..]));
}

#[test]
fn nothing_is_assumed() {
    let params = of(b"protocol=lmtp");
    assert_eq!(params.service.as_deref(), Some(&b"lmtp"[..]));
    assert_eq!(
        params,
        Params { service: params.service.clone(), fields: params.fields, ..Params::default() }
    );
    assert_eq!(Params::default().secured, Secured::No);
}

#[test]
fn secured_by_anything_but_tls_is_secured() {
    for (text, secured) in
        [("secured", Secured::Yes), ("secured=", Secured::Yes), ("secured=x", Secured::Yes)]
    {
        assert_eq!(of(text.as_bytes()).secured, secured);
    }
    assert_eq!(of(b"unsecured\tsecured_by=tls\tSECURED").secured, Secured::No);
}

#[test]
fn an_address_or_port_that_is_none_is_not_there() {
    for ip in ["", "localhost", "192.0.2", "192.0.2.1:25", "fe80::1%eth0", "[::1]", " ::1", "010.0.0.1"] {
        assert_eq!(of(format!("rip={ip}").as_bytes()).rip, None, "{ip:?}");
    }
    for port in ["", "x", "-1", "65536", "1 "] {
        assert_eq!(of(format!("rport={port}").as_bytes()).rport, None, "{port:?}");
    }
    assert_eq!(of(b"rip\trport").fields.raw(), b"rip\trport");
}

#[test]
fn of_several_the_last_one_counts() {
    let params = of(b"service=imap\trip=192.0.2.1\tprotocol=pop3\trip=");
    assert_eq!(params.service.as_deref(), Some(&b"pop3"[..]));
    assert_eq!(params.rip, None);
}

#[test]
fn a_key_or_value_may_be_escaped() {
    let params = of(b"serv\x01ice=im\x01tap\t\x01lip=\x01192.0.2.1");
    assert_eq!(params.service.as_deref(), Some(&b"im\tap"[..]));
    assert_eq!(params.lip, None, "0x01 1 is no 1");
    assert_eq!(of(b"serv\x01tice=imap").service, None);
    assert_eq!(of(b"serv\x011ice=imap").service, None, "unescaped once and not twice");
}

#[test]
fn what_a_proxy_forwards_is_a_list_of_its_own() {
    let params = of(b"service=imap\tforward_fields=foo=b=ar\x01tsecured=tls\x01tlf=a\x011nb");
    let forwarded: Vec<_> = params.forwarded().map(|field| (field.key, field.value.unwrap())).collect();
    let expected: [(&[u8], &[u8]); 3] = [(b"foo", b"b=ar"), (b"secured", b"tls"), (b"lf", b"a\nb")];
    assert_eq!(forwarded, expected.map(|(key, value)| (key.into(), value.into())));
    assert_eq!(params.secured, Secured::No, "what is forwarded says nothing of this connection");
    assert_eq!(of(b"service=imap").forwarded().count(), 0);
}

proptest! {
    #[test]
    fn the_list_is_kept_as_it_came(fields in any_fields()) {
        let params = Params::of(fields.as_fields());
        prop_assert_eq!(params.fields, fields.as_fields());
        prop_assert_eq!(params.service.as_deref(), Some(&b"imap"[..]));
    }
}

fn of(text: &[u8]) -> Params<'_> {
    Params::of(Fields::of_line(text))
}
