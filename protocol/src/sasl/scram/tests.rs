//! The messages of the RFCs, what is almost one, and properties.

use proptest::prelude::*;

use super::{Binding, ClientFinal, ClientFirst, ServerFinal, ServerFirst};
use crate::sasl::RESPONSE;

/// RFC 5802 section 5, and RFC 7677 section 3.
#[test]
fn the_messages_of_the_rfcs_are_read_and_written_the_same() {
    for (first, bare) in [
        (&b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"[..], &b"n=user,r=fyko+d2lbbFgONRv9qkxdawL"[..]),
        (b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", b"n=user,r=rOprNGfwEbeRWgbNEkqO"),
    ] {
        let read = ClientFirst::parse(first).unwrap();
        assert_eq!(
            (read.binding, &read.authzid, read.authcid.as_slice()),
            (Binding::Unsupported, &None, &b"user"[..])
        );
        assert_eq!((read.header, read.bare), (&b"n,,"[..], bare));
        assert_eq!(read.encode().unwrap(), first);
    }
    let challenge = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let read = ServerFirst::parse(challenge).unwrap();
    assert_eq!((read.iterations, read.salt.len()), (4096, 12));
    assert_eq!(read.encode(), challenge);
    let last = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    let read = ClientFinal::parse(last).unwrap();
    assert_eq!((read.binding.as_slice(), read.proof.len()), (&b"n,,"[..], 20));
    assert_eq!(read.without_proof, b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j");
    assert_eq!(read.encode().as_slice(), last);
    let answer = b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    assert_eq!(ServerFinal::parse(answer).unwrap().encode(), answer);
}

#[test]
fn a_first_message_says_who_and_how_it_is_bound() {
    type Row<'a> = (&'a [u8], Binding<'a>, Option<&'a [u8]>, &'a [u8]);
    let table: &[Row<'_>] = &[
        (b"y,,n=u,r=x", Binding::Unused, None, b"u"),
        (b"p=tls-exporter,,n=u,r=x", Binding::Used("tls-exporter"), None, b"u"),
        (b"n,a=boss,n=u,r=x", Binding::Unsupported, Some(b"boss"), b"u"),
        (b"n,a=a=2Cb,n==3D=2C=3D,r=x", Binding::Unsupported, Some(b"a,b"), b"=,="),
        ("n,,n=\u{e9},r=x".as_bytes(), Binding::Unsupported, None, "\u{e9}".as_bytes()),
    ];
    for (message, binding, authzid, authcid) in table {
        let read = ClientFirst::parse(message).unwrap();
        assert_eq!(
            (read.binding, read.authzid.as_deref(), read.authcid.as_slice()),
            (*binding, *authzid, *authcid)
        );
        assert_eq!([read.header, read.bare].concat(), *message);
        assert_eq!(read.encode().unwrap(), *message);
    }
}

/// CVE-2026-33603: what two readers read differently can be signed for one and used for the other.
#[test]
fn what_is_missing_doubled_or_added_is_malformed() {
    for message in [
        &b""[..],
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=u",
        b"n,,n=u,",
        b"n,,n=u,r=",
        b"n,,n=,r=x",
        b"n,,r=x,n=u",
        b"n,,n=u,n=v,r=x",
        b"n,,n=u,r=x,r=y",
        b"n,,n=u,r=x,",
        b"n,,n=u,r=x,e=y",
        b"n,,m=x,n=u,r=x",
        b"n,,n=u,r=x y",
        b"n,,n=u,r=x\0",
        b"n,,n=u\0v,r=x",
        b"n,,n=u=2c,r=x",
        b"n,,n=u=,r=x",
        b"n,,n=u=2,r=x",
        b"n,a=,n=u,r=x",
        b"n,b=x,n=u,r=x",
        b"n,a=x,a=y,n=u,r=x",
        b"N,,n=u,r=x",
        b"z,,n=u,r=x",
        b"p,,n=u,r=x",
        b"p=,,n=u,r=x",
        b"p=tls_exporter,,n=u,r=x",
        b"nn,,n=u,r=x",
        b" n,,n=u,r=x",
    ] {
        assert!(ClientFirst::parse(message).is_err(), "{}", message.escape_ascii());
    }
    for message in [
        &b""[..],
        b"c=biws",
        b"c=biws,r=x",
        b"c=biws,r=x,p=",
        b"c=,r=x,p=AAAA",
        b"c=biws,r=x,p=AAAA,",
        b"c=biws,r=x,p=AAAA,p=AAAA",
        b"c=biws,c=biws,r=x,p=AAAA",
        b"c=biws,r=x,e=y,p=AAAA",
        b"r=x,c=biws,p=AAAA",
        b"c=biws,r=,p=AAAA",
        b"c=biw,r=x,p=AAAA",
        b"c=biws=,r=x,p=AAAA",
        b"c=bi ws,r=x,p=AAAA",
        b"c=biws,r=x,p=AAA",
        b"c=biws,r=x,p=AAB=",
        b"c=biws,r=x,p=A-A_",
        b"c=biws\n,r=x,p=AAAA",
    ] {
        assert!(ClientFinal::parse(message).is_err(), "{}", message.escape_ascii());
    }
    for message in
        ["", "r=x,s=AAAA,i=0", "r=x,s=AAAA,i=01", "r=x,s=,i=1", "r=x,s=AAAA,i=1,", "s=AAAA,r=x,i=1"]
    {
        assert!(ServerFirst::parse(message.as_bytes()).is_err(), "{message}");
    }
    for message in ["", "v=AAAA,", "e=invalid-proof", "v=A"] {
        assert!(ServerFinal::parse(message.as_bytes()).is_err(), "{message}");
    }
}

#[test]
fn a_response_of_8_kib_is_the_longest() {
    let mut message = b"n,,n=u,r=".to_vec();
    message.resize(RESPONSE, b'x');
    assert!(ClientFirst::parse(&message).is_ok());
    message.push(b'x');
    assert!(ClientFirst::parse(&message).is_err());
    let mut message = b"c=biws,r=".to_vec();
    message.resize(RESPONSE - 7, b'x');
    message.extend_from_slice(b",p=AAAA");
    assert!(ClientFinal::parse(&message).is_ok());
    message.extend_from_slice(b"AAAA");
    assert!(ClientFinal::parse(&message).is_err());
}

#[test]
fn nothing_of_a_proof_is_shown() {
    let last = ClientFinal::parse(b"c=biws,r=x,p=AAAA").unwrap();
    assert_eq!(format!("{last:?}"), "ClientFinal(..)");
}

proptest! {
    #[test]
    fn a_first_message_comes_back(
        flag in 0_usize..3,
        authzid in prop::option::of("[^\0]{1,9}"),
        authcid in "[^\0]{1,9}",
        nonce in "[!-+\\--~]{1,9}",
    ) {
        let binding = [Binding::Unsupported, Binding::Unused, Binding::Used("tls-exporter")][flag];
        let first = ClientFirst {
            binding,
            authzid: authzid.map(String::into_bytes),
            authcid: authcid.into_bytes(),
            nonce: nonce.as_bytes(),
            header: b"",
            bare: b"",
        };
        let message = first.encode().unwrap();
        let read = ClientFirst::parse(&message).unwrap();
        prop_assert_eq!([read.header, read.bare].concat(), message.clone());
        let read = ClientFirst { header: b"", bare: b"", ..read };
        prop_assert_eq!(read, first);
    }

    #[test]
    fn the_others_come_back(
        nonce in "[!-+\\--~]{1,9}",
        bytes in prop::collection::vec(any::<u8>(), 1..40),
        iterations in 1_u32..,
    ) {
        let nonce = nonce.as_bytes();
        let first = ServerFirst { nonce, salt: bytes.clone(), iterations };
        let written = first.encode();
        prop_assert_eq!(ServerFirst::parse(&written).unwrap(), first);
        let last = ClientFinal { binding: bytes.clone(), nonce, proof: bytes.clone().into(), without_proof: b"" };
        let written = last.encode();
        let read = ClientFinal::parse(&written).unwrap();
        prop_assert!(written.starts_with(read.without_proof));
        prop_assert_eq!(ClientFinal { without_proof: b"", ..read }, last);
        let answer = ServerFinal { verifier: bytes };
        prop_assert_eq!(ServerFinal::parse(&answer.encode()).unwrap(), answer);
    }

    #[test]
    fn whatever_is_read_is_written_the_same(message in "[npya=,rcsv23CDm]{0,24}") {
        let message = message.as_bytes();
        if let Ok(first) = ClientFirst::parse(message) {
            prop_assert_eq!(first.encode().unwrap(), message);
        }
        if let Ok(last) = ClientFinal::parse(message) {
            let written = last.encode();
            prop_assert_eq!(written.as_slice(), message);
        }
        if let Ok(challenge) = ServerFirst::parse(message) {
            prop_assert_eq!(challenge.encode(), message);
        }
    }

    #[test]
    fn no_bytes_upset_the_parsers(message in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = (ClientFirst::parse(&message).is_ok(), ClientFinal::parse(&message).is_ok());
        let _ = (ServerFirst::parse(&message).is_ok(), ServerFinal::parse(&message).is_ok());
    }
}
