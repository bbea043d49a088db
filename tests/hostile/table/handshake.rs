//! Bytes that are no line, lines that are no command, and commands that may not come now.

use super::{Row, row};
use crate::{good, peer::To};

const LOGIN: To = To::Bare("login");
const READY: To = To::Auth("login", 2);

pub(super) fn rows() -> Vec<Row> {
    [bytes(), handshake(), ids(), commands()].into_iter().flatten().collect()
}

fn bytes() -> Vec<Row> {
    let padded = |length: usize| {
        let (head, tail) =
            ("AUTH\t1\tPLAIN\tservice=imap\tx=", "\tresp=AGFsaWNlQGV4YW1wbGUub3JnAHdvbmRlcg==");
        format!("{head}{}{tail}\n", "y".repeat(length - head.len() - tail.len()))
    };
    vec![
        row("an empty line", READY, "\n").closes(),
        row("ten thousand empty lines", READY, "\n".repeat(10_000)).closes(),
        row("CR LF and nothing else", READY, "\r\n").closes(),
        row("a line that ends in CR only", READY, "CANCEL\t1\rCANCEL\t2\n").closes(),
        row("CRs without end", READY, "\r".repeat(20_000)).closes(),
        row("two CRs before the LF", READY, "CANCEL\t1\r\r\n").closes(),
        row("NULs", READY, "\0\0\0\n").closes(),
        row("a NUL behind a command", READY, "CANCEL\0\t1\n").closes(),
        row(
            "all bytes but LF",
            READY,
            (0..=255).filter(|&byte| byte != b'\n').chain(*b"\n").collect::<Vec<u8>>(),
        )
        .closes(),
        row("a TLS handshake", LOGIN, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n".as_slice()).closes(),
        row("HTTP", LOGIN, "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").closes(),
        row("SMTP", LOGIN, "EHLO example.org\r\n").closes(),
        row("the longest line that may be", READY, padded(16_384)).hears("OK\t1\tuser=alice@example.org\n"),
        row("a byte more", READY, padded(16_385)).closes(),
        row("a byte more and no end of the line", READY, "A".repeat(16_385)).closes(),
        row("a line of a million bytes", READY, "A".repeat(1 << 20)).closes(),
        row("half a line, then the end", READY, "AUTH\t1\tPLAIN\tservice=imap").then_eof().closes(),
        row("a whole login but its LF, then the end", READY, good(1).trim_end()).then_eof().closes(),
        row("half a handshake, then the end", LOGIN, "VERSION\t1").then_eof().closes(),
        row("nothing, then the end", LOGIN, "").then_eof().closes(),
        row("a login, then the end", READY, good(1))
            .then_eof()
            .closes()
            .hears("OK\t1\tuser=alice@example.org\n"),
    ]
}

fn handshake() -> Vec<Row> {
    vec![
        row("another major version", LOGIN, "VERSION\t2\t0\n").closes(),
        row("major version 0", LOGIN, "VERSION\t0\t2\n").closes(),
        row("a version without minor", LOGIN, "VERSION\t1\nCPID\t7\n").closes(),
        row("a version of three numbers", LOGIN, "VERSION\t1\t2\t3\nCPID\t7\n").closes(),
        row("a version that is no number", LOGIN, "VERSION\tone\ttwo\n").closes(),
        row("a minor version above 32 bits", LOGIN, "VERSION\t1\t4294967296\n").closes(),
        row("the highest minor version", To::Auth("login", u32::MAX), "CANCEL\t1\n").hears("CANCELLED\t1\n"),
        row("VERSION twice", LOGIN, "VERSION\t1\t2\nVERSION\t1\t2\n").closes(),
        row("VERSION after the handshake", READY, "VERSION\t1\t2\n").closes(),
        row("CPID before VERSION", LOGIN, "CPID\t7\n").closes(),
        row("CPID 0", LOGIN, "VERSION\t1\t2\nCPID\t0\n").closes(),
        row("CPID above 32 bits", LOGIN, "VERSION\t1\t2\nCPID\t4294967296\n").closes(),
        row("a negative CPID", LOGIN, "VERSION\t1\t2\nCPID\t-7\n").closes(),
        row("CPID twice", READY, "CPID\t8\n").closes(),
        row("AUTH before VERSION", LOGIN, good(1)).closes(),
        row("AUTH before CPID", LOGIN, format!("VERSION\t1\t2\n{}", good(1))).closes(),
        row("CONT before CPID", LOGIN, "VERSION\t1\t2\nCONT\t1\tAAAA\n").closes(),
        row("CANCEL before CPID", LOGIN, "VERSION\t1\t2\nCANCEL\t1\n").closes(),
    ]
}

fn ids() -> Vec<Row> {
    let auth = |id: &str| format!("AUTH\t{id}\tPLAIN\tservice=imap\n");
    vec![
        row("id 0", READY, auth("0")).closes(),
        row("an id above 32 bits", READY, auth("4294967296")).closes(),
        row("an id above 64 bits", READY, auth("18446744073709551617")).closes(),
        row("a negative id", READY, auth("-1")).closes(),
        row("an id with a sign", READY, auth("+1")).closes(),
        row("an id with a blank", READY, auth(" 1")).closes(),
        row("a hexadecimal id", READY, auth("0x1")).closes(),
        row("an empty id", READY, auth("")).closes(),
        row("an id with zeros in front", READY, auth("0007")).hears("CONT\t7\t\n"),
        row("a duplicate id", READY, auth("1").repeat(2)).hears("CONT\t1\t\n").closes(),
        row(
            "a duplicate id while the first is delayed",
            READY,
            format!("{}{}", crate::auth(1, "AAAA"), good(1)),
        )
        .closes(),
        row("the id of a login that nobody claimed", READY, good(1).repeat(2))
            .hears("OK\t1\tuser=alice@example.org\n")
            .closes(),
        row("CANCEL of id 0", READY, "CANCEL\t0\n").closes(),
        row("CANCEL of an unknown id", READY, "CANCEL\t77\n"),
        row("CANCEL of an unknown id by a newer client", To::Auth("login", 4), "CANCEL\t77\n")
            .hears("CANCELLED\t77\n"),
        row("CANCEL of two ids", READY, "CANCEL\t1\t2\n").closes(),
        row("CONT of id 0", READY, "CONT\t0\tAAAA\n").closes(),
    ]
}

fn commands() -> Vec<Row> {
    vec![
        row("a command that does not exist", READY, "XAUTH\t1\tPLAIN\tservice=imap\n").closes(),
        row("a command in lower case", READY, "auth\t1\tPLAIN\tservice=imap\n").closes(),
        row("a command with a blank for its TAB", READY, "AUTH 1 PLAIN service=imap\n").closes(),
        row("a reply", READY, "OK\t1\tuser=alice@example.org\n").closes(),
        row("USER on an auth-client socket", READY, "USER\t1\talice@example.org\tservice=imap\n").closes(),
        row("LIST on an auth-client socket", READY, "LIST\t1\tservice=imap\n").closes(),
        row(
            "REQUEST on an auth-client socket",
            READY,
            "REQUEST\t1\t7\t1\t69e1a8ba17881df894b135f8a8d853f9\n",
        )
        .closes(),
        row("good, then bad", READY, format!("{}BAD\n{}", good(1), good(2)))
            .hears("OK\t1\tuser=alice@example.org\n")
            .closes(),
    ]
}
