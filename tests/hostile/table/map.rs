//! Postfix's tables.

use super::{Row, row};
use crate::peer::To;

const MAP: To = To::Map("map");
const ALICE: &str = "20:OK alice@example.org,";
const NOT_FOUND: &str = "9:NOTFOUND ,";
const AWAY: &str = "34:TEMP the directory does not answer,";

pub(super) fn rows() -> Vec<Row> {
    let asks = |name, text: &str| row(name, MAP, text).then_eof().closes();
    let alice = "27:mailboxes alice@example.org,";
    let long = |length: usize| {
        let key = "y".repeat(length - "mailboxes ".len());
        format!("{length}:mailboxes {key},")
    };
    vec![
        asks("a table's key", alice).hears(ALICE),
        asks("a key in capitals, of an extension", "31:mailboxes ALICE+x+y@example.ORG,").hears(ALICE),
        asks("a key that is not there", "23:senders x@example.org.x,").hears(NOT_FOUND),
        asks("a directory that does not answer", "28:mailboxes x@away.example.org,").hears(AWAY),
        asks("the domain of that, which is known", "24:domains away.example.org,")
            .hears("19:OK away.example.org,"),
        asks("a domain that no directory names", "19:domains example.org,").hears(NOT_FOUND),
        asks("a key without anything", "10:mailboxes ,").hears(NOT_FOUND),
        asks("a key of an at sign", "11:mailboxes @,").hears(NOT_FOUND),
        asks("a key with blanks and quotes", "23:mailboxes \"a b\"@example,").hears(NOT_FOUND),
        asks("a key with a path", "30:mailboxes ../alice@example.org,").hears(NOT_FOUND),
        asks("a table that there is none of", "9:nothing x,").hears("25:PERM there is no such map,"),
        asks("a table without a name", "2: x,").hears("25:PERM there is no such map,"),
        row("a key that is no UTF-8", MAP, b"12:mailboxes \xff\xfe,".as_slice())
            .then_eof()
            .hears(NOT_FOUND)
            .closes(),
        asks("a length with zeros before it", "00027:mailboxes alice@example.org,").hears(ALICE),
        asks("five thousand keys at once", &alice.repeat(5000)).hears(ALICE.repeat(5000)),
        asks("the longest request", &long(65_536)).hears(NOT_FOUND),
        asks("half a request, then the end", "27:mailboxes alice"),
        row("a byte more", MAP, long(65_537)).closes(),
        row("a length that nobody has memory for", MAP, "99999999999999999999").closes(),
        row("a length below nothing", MAP, "-1:").closes(),
        row("no length", MAP, ":,").closes(),
        row("no comma", MAP, "27:mailboxes alice@example.org;").closes(),
        row("a request without a table", MAP, "9:mailboxes,").closes(),
        row("nothing at all", MAP, "0:,").closes(),
        row("a NUL", MAP, "11:mailboxes \0,").closes(),
        row("a line of another protocol", MAP, "VERSION\t1\t1\n").closes(),
        // What was asked before is answered.
        row("a key, then nonsense", MAP, format!("{alice}nonsense")).hears(ALICE).closes(),
    ]
}
