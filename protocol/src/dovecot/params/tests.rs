use std::borrow::Cow;
use std::net::IpAddr;

use proptest::prelude::*;

use super::{Params, Secured, address};
use crate::dovecot::testing::any_fields;
use crate::dovecot::{Field, Fields};

#[test]
fn each_parameter_has_its_place() {
    let params = of(b"service=imap\tsecured=tls\tvalid-client-cert\tno-penalty\tfinal-resp-ok\tnologin\tdebug\
        \tsession=e1\tcert_username=carl\tclient_id=\"name\" \"x\"\tlocal_name=imap.example.org\tforward_fields=a=b\
        \tssl_ja3_hash=8a\tssl_client_cert_fp=fp\tssl_client_cert_pubkey_fp=pub\ttransport=TLS\ttls_cipher=AES\
        \ttls_cipher_bits=256\ttls_pfs=KxEC\ttls_protocol=TLSv1.3\
        \tlip=198.51.100.1\trip=203.0.113.9\tlport=993\trport=4242\
        \treal_lip=2001:db8::1\treal_rip=::ffff:192.0.2.1\treal_lport=11143\treal_rport=65535\tnew=thing");
    for (value, expected) in [
        (params.service(), "imap"),
        (params.session(), "e1"),
        (params.cert_username(), "carl"),
        (params.client_id(), "\"name\" \"x\""),
        (params.local_name(), "imap.example.org"),
        (params.forward_fields(), "a=b"),
        (params.ssl_ja3_hash(), "8a"),
        (params.ssl_client_cert_fp(), "fp"),
        (params.ssl_client_cert_pubkey_fp(), "pub"),
        (params.transport(), "TLS"),
        (params.tls_cipher(), "AES"),
        (params.tls_cipher_bits(), "256"),
        (params.tls_pfs(), "KxEC"),
        (params.tls_protocol(), "TLSv1.3"),
    ] {
        assert!(matches!(value, Some(Cow::Borrowed(value)) if value == expected.as_bytes()), "{expected}");
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
    assert_eq!(
        [params.lip(), params.rip(), params.real_lip(), params.real_rip()],
        [lip, rip, real_lip, real_rip]
    );
    assert_eq!([params.lport(), params.rport()], [Some(993), Some(4242)]);
    assert_eq!([params.real_lport(), params.real_rport()], [Some(11143), Some(65535)]);
    assert_eq!(params.fields.find(b"new").unwrap().value.as_deref(), Some(&b"thing"[..]));
}

#[test]
fn nothing_is_assumed() {
    let params = of(b"protocol=lmtp");
    assert_eq!(params.service().as_deref(), Some(&b"lmtp"[..]));
    assert_eq!(params, Params { service: params.service, fields: params.fields, ..Params::default() });
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
        assert_eq!(of(format!("rip={ip}").as_bytes()).rip(), None, "{ip:?}");
    }
    for port in ["", "x", "-1", "65536", "1 "] {
        assert_eq!(of(format!("rport={port}").as_bytes()).rport(), None, "{port:?}");
    }
    assert_eq!(of(b"rip\trport").fields.raw(), b"rip\trport");
}

#[test]
fn of_several_the_last_one_counts() {
    let params = of(b"service=imap\trip=192.0.2.1\tprotocol=pop3\trip=");
    assert_eq!(params.service().as_deref(), Some(&b"pop3"[..]));
    assert_eq!(params.rip(), None);
}

#[test]
fn a_key_or_value_may_be_escaped() {
    let params = of(b"serv\x01ice=im\x01tap\t\x01lip=\x01192.0.2.1");
    assert_eq!(params.service().as_deref(), Some(&b"im\tap"[..]));
    assert_eq!(params.lip(), None, "0x01 1 is no 1");
    assert_eq!(of(b"serv\x01tice=imap").service(), None);
    assert_eq!(of(b"serv\x011ice=imap").service(), None, "unescaped once and not twice");
}

#[test]
fn what_a_proxy_forwards_is_a_list_of_its_own() {
    let params = of(b"service=imap\tforward_fields=foo=b=ar\x01tsecured=tls\x01tlf=a\x011nb");
    let expected: [(&[u8], &[u8]); 3] = [(b"foo", b"b=ar"), (b"secured", b"tls"), (b"lf", b"a\nb")];
    let expected = expected.map(|(key, value)| (key.to_vec(), value.to_vec()));
    assert_eq!(forwarded(&params), expected);
    assert_eq!(params.secured, Secured::No, "what is forwarded says nothing of this connection");
    assert_eq!(forwarded(&of(b"service=imap")), []);
}

proptest! {
    #[test]
    fn the_list_is_kept_as_it_came(fields in any_fields()) {
        let params = Params::of(fields.as_fields());
        prop_assert_eq!(params.fields, fields.as_fields());
        prop_assert_eq!(params.service(), Some(Cow::Borrowed(&b"imap"[..])));
    }
}

#[test]
fn a_name_is_known_by_all_its_letters() {
    for name in KEPT {
        let text = format!("{name}=1");
        let known = of(text.as_bytes());
        assert_ne!(Params { fields: Fields::default(), ..known }, Params::default(), "{name}");
        for at in 0..name.len() {
            for other in [b'#', b'\0', name.as_bytes()[at] ^ 0x20, name.as_bytes()[at] ^ 0x80] {
                let mut text = name.as_bytes().to_vec();
                text[at] = other;
                for tail in [&b""[..], b"=1", b"\trport=1"] {
                    let text = [&text, tail].concat();
                    let params = of(&text);
                    assert_eq!(Params { fields: Fields::default(), ..params }, Params::default(), "{text:?}");
                }
            }
        }
        for text in [
            name.get(1..).unwrap(),
            name.get(..name.len() - 1).unwrap(),
            &format!("{name}x"),
            &format!("{name}\0"),
            &format!("x{name}"),
        ] {
            let params = of(text.as_bytes());
            assert_eq!(Params { fields: Fields::default(), ..params }, Params::default(), "{text:?}");
        }
    }
}

proptest! {
    /// The list itself, searched from end to end, is what everything is held against.
    #[test]
    fn what_is_kept_is_what_stands_last_in_the_list(text in any_list()) {
        let fields = Fields::of_line(&text);
        let params = Params::of(fields);
        let said = |keys: &[&str]| {
            let ours = |field: &Field<'_>| keys.iter().any(|key| *field.key == *key.as_bytes());
            fields.iter().filter(ours).last().and_then(|field| field.value)
        };
        let read = |key| said(&[key]).and_then(|value| String::from_utf8(value.into_owned()).ok());
        let ip = |key| read(key).and_then(|text| text.parse::<IpAddr>().ok());
        let port = |key| read(key).and_then(|text| text.parse::<u16>().ok());
        prop_assert_eq!(params.service(), said(&["service", "protocol"]));
        prop_assert_eq!(params.session(), said(&["session"]));
        prop_assert_eq!(params.cert_username(), said(&["cert_username"]));
        prop_assert_eq!(params.forward_fields(), said(&["forward_fields"]));
        prop_assert_eq!(params.local_name(), said(&["local_name"]));
        prop_assert_eq!(params.rip_text(), said(&["rip"]));
        prop_assert_eq!([params.rip(), params.lip(), params.real_lip()], ["rip", "lip", "real_lip"].map(ip));
        prop_assert_eq!([params.lport(), params.rport()], ["lport", "rport"].map(port));
        let flags = [params.valid_client_cert, params.no_penalty, params.final_resp_ok, params.nologin, params.debug];
        let names = ["valid-client-cert", "no-penalty", "final-resp-ok", "nologin", "debug"];
        prop_assert_eq!(flags, names.map(|name| fields.has(name.as_bytes())));
        prop_assert_eq!(params.secured == Secured::No, !fields.has(b"secured"));
    }

    /// Lists without escapes are read in another way than those with them, and those of many parameters.
    #[test]
    fn the_quick_way_of_auth_reads_the_same(
        list in prop::collection::vec(any_list(), 1..6),
        response in prop::option::of("[a-z=]{0,9}"),
    ) {
        let list = [&list.join(&b'\t'), &b"\tservice=imap"[..]].concat();
        prop_assume!(!Fields::of_line(&list).has(b"resp"));
        let mut params = Params::default();
        let tail = response.as_ref().map(|text| format!("\tresp={text}")).unwrap_or_default();
        let line = [&list, tail.as_bytes()].concat();
        let read = params.read(&line).unwrap();
        prop_assert_eq!(read.map(|text| text.expose()), response.as_ref().map(|text| text.as_bytes()));
        prop_assert_eq!(params, Params::of(Fields::of_line(&list)));
    }

    #[test]
    fn an_address_is_what_the_standard_library_takes_for_one(text in "[0-9]{0,4}(\\.[0-9]{0,3}){2,5}|[0-9.:a]{0,16}") {
        prop_assert_eq!(address(text.as_bytes()), text.parse().ok(), "{}", text);
    }

    #[test]
    fn every_address_is_read(v4: [u8; 4], v6: [u8; 16]) {
        for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
            prop_assert_eq!(address(ip.to_string().as_bytes()), Some(ip));
        }
    }
}

/// Names of parameters of which something is kept.
const KEPT: [&str; 15] = [
    "service",
    "protocol",
    "session",
    "cert_username",
    "forward_fields",
    "lip",
    "rip",
    "real_lip",
    "lport",
    "secured",
    "valid-client-cert",
    "no-penalty",
    "final-resp-ok",
    "nologin",
    "debug",
];

/// Lists of names that are known, nearly known or unknown, in any order, of any length and with escapes.
fn any_list() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        prop::sample::select(&KEPT[..]).prop_map(str::to_owned),
        prop::sample::select(
            &["rport", "local_name", "", "ri\u{1}p", "serv\u{1}ice", "rip\u{1}0", "rip\0", "x"][..]
        )
        .prop_map(str::to_owned),
        "[a-z_\u{1}]{0,9}",
    ];
    let value = prop_oneof![
        prop::sample::select(
            &["tls", "192.0.2.1", "::1", "993", "t\u{1}ls", "a\u{1}tb", "im\u{1}ap", "=", "65536"][..]
        )
        .prop_map(str::to_owned),
        "[0-9a-z=\u{1}\0]{0,20}",
    ];
    let segment = (name, proptest::option::of(value)).prop_map(|(name, value)| match value {
        Some(value) => format!("{name}={value}"),
        None => name,
    });
    prop::collection::vec(segment, 0..8).prop_map(|segments| segments.join("\t").into_bytes())
}

fn forwarded(params: &Params<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let list = params.forward_fields().unwrap_or_default();
    Params::forward(&list).map(|field| (field.key.to_vec(), field.value.unwrap().to_vec())).collect()
}

fn of(text: &[u8]) -> Params<'_> {
    Params::of(Fields::of_line(text))
}
