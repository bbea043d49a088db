//! What the tests of all the protocols here need: values to try, and shorter ways to say things.

use bytes::BytesMut;
use proptest::prelude::*;

use super::{FieldsBuf, RequestId};

/// What `encode` appends, as bytes.
pub(super) fn written(encode: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(&mut out);
    out.to_vec()
}

/// `line` without its LF, of which it must have exactly one, at its end.
pub(super) fn unframed(line: &[u8]) -> &[u8] {
    let (b'\n', line) = line.split_last().unwrap() else {
        panic!("no LF at the end of {}", line.escape_ascii());
    };
    assert!(!line.contains(&b'\n'), "LF inside of {}", line.escape_ascii());
    line
}

pub(super) fn id(id: u32) -> RequestId {
    RequestId::new(id).unwrap()
}

pub(super) fn any_id() -> impl Strategy<Value = RequestId> {
    (1..=u32::MAX).prop_map(id)
}

/// Bytes of all kinds, those that mean something on the wire more often than others.
pub(super) fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(&b"\0\x01\t\r\n= 01trn#"[..]);
    prop::collection::vec(prop_oneof![special, any::<u8>()], 0..12)
}

/// A list of `service=` and fields that mean nothing to any parser, with and without values.
pub(super) fn any_fields() -> impl Strategy<Value = FieldsBuf> {
    let field = ("x_[a-z\t\n\r\x01\0]{0,5}", proptest::option::of(any_text()));
    prop::collection::vec(field, 0..6).prop_map(|fields| {
        let mut list = FieldsBuf::default();
        list.push("service", "imap");
        for (key, value) in fields {
            match value {
                Some(value) => list.push(&key, value),
                None => list.flag(&key),
            }
        }
        list
    })
}

/// Lines that are nearly right: a word, and pieces of parameters in any order.
pub(super) fn nearly_lines(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(
        &[
            "1",
            "7",
            "0",
            "01",
            "4294967295",
            "4294967296",
            "-1",
            "+1",
            " 1",
            "1x",
            "PLAIN",
            "plain",
            "alice",
            "",
            "=",
            "#",
            "AGEAYg==",
            "!!!",
            "resp=",
            "resp",
            "resp==",
            "resp=AGEAYg==",
            "re\u{1}sp=x",
            "service=imap",
            "service",
            "protocol=lmtp",
            "user=b*",
            "user",
            "secured",
            "secured=tls",
            "nologin",
            "rip=::1",
            "rip=",
            "lport=993",
            "lport=x",
            "reset",
            "fail",
            "reason=x",
            "channel_binding=AA==",
            "channel_binding",
            "session_pid=7",
            "session_pid=x",
            "request_auth_token",
            "69e1a8ba17881df894b135f8a8d853f9",
            "\u{1}",
            "a\u{1}=b",
            "a\u{1}tb=\u{1}n",
            "plaintext",
            "mutual-auth",
            "new-flag",
            "12",
            "\r",
            "\0",
        ][..],
    );
    (prop::sample::select(words), prop::collection::vec(piece, 0..7))
        .prop_map(|(word, pieces)| [&[word], &pieces[..]].concat().join("\t").into_bytes())
}
