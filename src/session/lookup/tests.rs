use bytes::BytesMut;

use super::{Protocol, Told};
use crate::{
    directory::Mapped,
    session::{
        rehearsal::Keys,
        testing::{engine, text},
    },
};

const ALICE: &str = "200 alice@example.org\n";
const NOT_FOUND: &str = "500 not%20found\n";

/// What the table of mailboxes says to bytes that arrive in these pieces, and whether the connection stays.
fn says(pieces: &[&[u8]]) -> (String, bool) {
    let (engine, mut out) = (engine(), BytesMut::new());
    let mut table = Keys::new(Protocol::TcpTable("mailboxes".into()), &engine);
    let stays = pieces.iter().all(|bytes| table.receive(bytes, &mut out).is_ok());
    (text(&out), stays)
}

#[test]
fn a_tcp_table_answers_each_line_in_its_turn() {
    for (lines, said, stays) in [
        ("get alice@example.org\n", ALICE, true),
        ("get alice@example.org\r\n", ALICE, true),
        ("get ALICE+x%40y@example.ORG\n", ALICE, true),
        ("get %61lice%40example.org\n", ALICE, true),
        ("get stranger@example.org\n", NOT_FOUND, true),
        ("get \n", NOT_FOUND, true),
        ("get a%20b@example.org\n", NOT_FOUND, true),
        ("get %ff%fe\n", NOT_FOUND, true),
        ("put alice@example.org x\n", NOT_FOUND, true),
        ("get alice@example.org", "", true),
        ("get a b\n", "", false),
        ("get %4\n", "", false),
        ("get %00\n", "", false),
        ("GET alice@example.org\n", "", false),
        ("\n", "", false),
    ] {
        assert_eq!(says(&[lines.as_bytes()]), (said.to_owned(), stays), "{lines:?}");
        // What was asked before is answered.
        let (both, expected) = (format!("get alice@example.org\n{lines}"), format!("{ALICE}{said}"));
        assert_eq!(says(&[both.as_bytes()]), (expected, stays), "{both:?}");
    }
}

#[test]
fn what_a_tcp_table_says_is_the_same_however_the_bytes_arrive() {
    let lines = b"get alice@example.org\nget x%20y\nput a b\nget bob@example.org\n";
    let whole = says(&[lines]);
    assert_eq!(whole.0.lines().count(), 4);
    for at in 0..=lines.len() {
        let (head, tail) = lines.split_at(at);
        assert_eq!(says(&[head, tail]), whole, "split at byte {at}");
    }
}

fn found(value: String) -> Told {
    Told::Found(Mapped::new(value).unwrap())
}

#[test]
fn what_nobody_can_tell_or_send_is_a_failure_for_now_and_never_not_there() {
    let tells = |protocol: &Protocol, told: &Told| {
        let mut out = BytesMut::new();
        protocol.tell(told, &mut out);
        text(&out)
    };
    let (tcp, socketmap) = (Protocol::TcpTable("mailboxes".into()), Protocol::Socketmap);
    for (told, by_tcp, by_socketmap) in [
        (Told::Unavailable, "400 the%20directory%20does%20not%20answer\n", "TEMP "),
        (Told::NoSuchMap, "400 there%20is%20no%20such%20map\n", "PERM "),
        (Told::NotForYou, "400 the%20map%20is%20for%20others\n", "PERM "),
        // With its LF it would have 4097 bytes.
        (found("x".repeat(4092)), "400 the%20value%20is%20too%20long\n", "OK x"),
        (found(" ".repeat(1364)), "400 the%20value%20is%20too%20long\n", "OK  "),
        (found("x".repeat(100_000)), "400 the%20value%20is%20too%20long\n", "TEMP "),
    ] {
        assert_eq!(tells(&tcp, &told), by_tcp);
        let said = tells(&socketmap, &told);
        assert!(said.split_once(':').unwrap().1.starts_with(by_socketmap), "{said}");
    }
    let longest = tells(&tcp, &found("x".repeat(4091)));
    assert_eq!((longest.len(), longest.get(..6)), (4096, Some("200 xx")));
}
