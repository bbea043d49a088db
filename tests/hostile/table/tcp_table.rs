//! One of Postfix's tables, over TCP.

use super::{Row, row};
use crate::peer::To;

const ALICE: &str = "200 alice@example.org\n";
const NOT_FOUND: &str = "500 not%20found\n";
const AWAY: &str = "400 the%20directory%20does%20not%20answer\n";

pub(super) fn rows() -> Vec<Row> {
    let asks = |name, text: &str| row(name, To::Table, text);
    let alice = "get alice@example.org\n";
    let long = |length: usize| format!("get {}\n", "y".repeat(length - "get ".len()));
    vec![
        asks("tcp: a key", alice).hears(ALICE),
        asks("tcp: a key in capitals, of an extension", "get ALICE+x+y@example.ORG\n").hears(ALICE),
        asks("tcp: a key of which everything is coded", "get %61%6cice%40example%2eorg\n").hears(ALICE),
        asks("tcp: a key that is not there", "get x@example.org\n").hears(NOT_FOUND),
        asks("tcp: a directory that does not answer", "get x@away.example.org\n").hears(AWAY),
        asks("tcp: a key without anything", "get \n").hears(NOT_FOUND),
        asks("tcp: a key of an at sign", "get @\n").hears(NOT_FOUND),
        asks("tcp: a key with blanks, quotes and a line end", "get %22a%20b%22%0a@example.org\n")
            .hears(NOT_FOUND),
        asks("tcp: a key with a path", "get ../alice@example.org\n").hears(NOT_FOUND),
        asks("tcp: a key that is no UTF-8", "get %ff%fe\n").hears(NOT_FOUND),
        row("tcp: the same, not coded", To::Table, b"get \xff\xfe\n".as_slice()).hears(NOT_FOUND),
        asks("tcp: something to be kept", "put alice@example.org bob@example.org\n").hears(NOT_FOUND),
        asks("tcp: five thousand keys at once", &alice.repeat(5000)).hears(ALICE.repeat(5000)),
        asks("tcp: the longest request", &long(16_384)).hears(NOT_FOUND),
        asks("tcp: a key, then the end", alice).then_eof().hears(ALICE).closes(),
        asks("tcp: half a request, then the end", "get alice").then_eof().closes(),
        asks("tcp: a byte more", &long(16_385)).closes(),
        asks("tcp: a line without an end", &"x".repeat(20_000)).closes(),
        asks("tcp: a percent sign alone", "get 100%\n").closes(),
        asks("tcp: half a code", "get %4\n").closes(),
        asks("tcp: a code of no hexadecimal digits", "get %zz\n").closes(),
        asks("tcp: a NUL", "get a%00@example.org\n").closes(),
        asks("tcp: a NUL, not coded", "get a\0@example.org\n").closes(),
        asks("tcp: a blank that is not coded", "get a b@example.org\n").closes(),
        asks("tcp: a request in capitals", "GET alice@example.org\n").closes(),
        asks("tcp: a request without a key", "get\n").closes(),
        asks("tcp: nothing at all", "\n").closes(),
        asks("tcp: a line of another protocol", "VERSION\t1\t1\n").closes(),
        asks("tcp: a browser", "GET / HTTP/1.1\r\nHost: gatepost\r\n\r\n").closes(),
        // What was asked before is answered.
        asks("tcp: a key, then nonsense", &format!("{alice}nonsense\n")).hears(ALICE).closes(),
    ]
}
