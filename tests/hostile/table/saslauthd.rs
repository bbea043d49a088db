//! Whether a password is right, for Cyrus SASL.

use super::{Row, row};
use crate::peer::To;

const SASL: To = To::Once("sasl");
const OK: &str = "\0\u{2}OK";
const NO: &str = "\0\u{2}NO";

/// Four counted strings.
pub(crate) fn asks(login: &str, password: &str, service: &str, realm: &str) -> Vec<u8> {
    let counted =
        |string: &str| [&u16::try_from(string.len()).unwrap().to_be_bytes(), string.as_bytes()].concat();
    [login, password, service, realm].map(counted).concat()
}

pub(super) fn rows() -> Vec<Row> {
    let says = |name, bytes: Vec<u8>| row(name, SASL, bytes).closes();
    let alice = || asks("alice", "wonder", "smtp", "example.org");
    let long = "y".repeat(8192);
    let and = |bytes: &[u8]| [alice(), bytes.to_vec()].concat();
    vec![
        says("saslauthd: a login", alice()).hears(OK),
        says("saslauthd: a whole name and no realm", asks("alice@example.org", "wonder", "smtp", ""))
            .hears(OK),
        says("saslauthd: without a service", asks("alice", "wonder", "", "example.org")).hears(OK),
        says("saslauthd: a wrong password", asks("alice", "wrong", "smtp", "example.org")).hears(NO),
        says("saslauthd: no password", asks("alice", "", "smtp", "example.org")).hears(NO),
        says("saslauthd: nobody", asks("nobody", "wonder", "smtp", "example.org")).hears(NO),
        says("saslauthd: no name", asks("", "wonder", "smtp", "example.org")).hears(NO),
        says("saslauthd: four strings of nothing", vec![0; 8]).hears(NO),
        says(
            "saslauthd: a whole name and a realm",
            asks("alice@example.org", "wonder", "smtp", "example.org"),
        )
        .hears(NO),
        says("saslauthd: a realm with a name in it", asks("bob", "wonder", "smtp", "x@example.org"))
            .hears(NO),
        says("saslauthd: a name with a line in it", asks("alice\nbob", "wonder", "smtp", "example.org"))
            .hears(NO),
        says("saslauthd: a name with a path", asks("../alice", "wonder", "smtp", "example.org")).hears(NO),
        says("saslauthd: nobody logs in there", asks("closed", "closed", "smtp", "example.org")).hears(NO),
        says(
            "saslauthd: a password that is no UTF-8",
            b"\0\x11alice@example.org\0\x02\xff\xfe\0\x04smtp\0\0".into(),
        )
        .hears(NO),
        says("saslauthd: a name that is no UTF-8", b"\0\x02\xff\xfe\0\x01x\0\x04smtp\0\0".into()).hears(NO),
        says("saslauthd: the longest strings", asks(&long, &long, &long, &long)).hears(NO),
        says("saslauthd: a directory that does not answer", asks("x", "wonder", "smtp", "away.example.org")),
        // What comes behind is nobody's.
        says("saslauthd: an address behind it", and(b"\0\x0f192.0.2.1;52488")).hears(OK),
        says("saslauthd: bytes behind it", and(b"more")).hears(OK),
        says("saslauthd: a length behind it that nobody has memory for", and(b"\xff\xff")).hears(OK),
        says("saslauthd: a wrong one, and the right one behind it", {
            let wrong = asks("alice", "wrong", "smtp", "example.org");
            [wrong, alice()].concat()
        })
        .hears(NO),
        says("saslauthd: a hundred at once", alice().repeat(100)).hears(OK),
        row("saslauthd: a login, then the end", SASL, alice()).then_eof().hears(OK).closes(),
        row("saslauthd: nothing, then the end", SASL, "").then_eof().closes(),
        row("saslauthd: half a length, then the end", SASL, "\0").then_eof().closes(),
        row("saslauthd: three strings, then the end", SASL, b"\0\x05alice\0\x06wonder\0\x04smtp".as_slice())
            .then_eof()
            .closes(),
        row("saslauthd: all but a byte, then the end", SASL, alice().split_last().unwrap().1)
            .then_eof()
            .closes(),
        says("saslauthd: nothing, and no end", Vec::new()),
        says("saslauthd: all but a byte, and no end", alice().split_last().unwrap().1.to_vec()),
        says("saslauthd: a byte too long a name", b"\x20\x01".into()),
        says("saslauthd: the longest length there is", [&b"\xff\xff"[..], &[b'x'; 70_000]].concat()),
        says("saslauthd: a byte too long a password", b"\0\x05alice\x20\x01".into()),
        says("saslauthd: a byte too long a service", b"\0\x01a\0\x01x\x20\x01".into()),
        says("saslauthd: a byte too long a realm", b"\0\x01a\0\x01x\0\0\x20\x01".into()),
        says("saslauthd: a NUL in the name", asks("alice\0x", "wonder", "smtp", "example.org")),
        says("saslauthd: a NUL behind the password", asks("alice", "wonder\0", "smtp", "example.org")),
        says("saslauthd: lengths of the other end", b"\x05\0alice\x06\0wonder\x04\0smtp\0\0".into()),
        says("saslauthd: a line of another protocol", b"AUTH\t1\tPLAIN\tservice=imap\tresp=AAAA\n".into()),
        says("saslauthd: a browser", b"GET / HTTP/1.1\r\nHost: gatepost\r\n\r\n".into()),
    ]
}
