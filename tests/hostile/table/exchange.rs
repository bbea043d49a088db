//! AUTH, CONT and what the remote behind the peer may have made of them.

use super::{Row, row};
use crate::{auth, base64, good, peer::To, plain};

const READY: To = To::Auth("login", 2);
/// Postfix.
const SERIAL: To = To::Auth("client", 0);

const OK: &str = "OK\t1\tuser=alice@example.org\n";
const REFUSED: &str = "FAIL\t1\n";
const BAD_INITIAL: &str = "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in initial response\n";
const BAD_RESPONSE: &str = "FAIL\t1\tcode=invalid_base64\treason=Invalid base64 data in continued response\n";

pub(super) fn rows() -> Vec<Row> {
    [parameters(), encodings(), continuations(), names(), passwords(), serial()]
        .into_iter()
        .flatten()
        .collect()
}

fn parameters() -> Vec<Row> {
    let resp = plain("alice@example.org", "wonder");
    let with = |params: &str| format!("AUTH\t1\tPLAIN\t{params}\tresp={resp}\n");
    vec![
        row("no service", READY, format!("AUTH\t1\tPLAIN\tresp={resp}\n")).closes(),
        row("service without a value", READY, with("service")).closes(),
        row("nothing but an id", READY, "AUTH\t1\n").closes(),
        row("a mechanism that is not offered", READY, "AUTH\t1\tEXTERNAL\tservice=imap\tresp=\n").closes(),
        row("an anonymous login", READY, "AUTH\t1\tANONYMOUS\tservice=imap\tresp=\n").closes(),
        row("an empty mechanism", READY, "AUTH\t1\t\tservice=imap\n").closes(),
        row("a mechanism of 4000 bytes", READY, format!("AUTH\t1\t{}\tservice=imap\n", "A".repeat(4000)))
            .closes(),
        row(
            "resp before another parameter",
            READY,
            format!("{}\tsecured\n", with("service=imap").trim_end()),
        )
        .closes(),
        row("resp before nothing", READY, format!("{}\t\n", with("service=imap").trim_end())).closes(),
        row("two resp", READY, format!("AUTH\t1\tPLAIN\tservice=imap\tresp=AAAA\tresp={resp}\n")).closes(),
        row("resp without a value", READY, "AUTH\t1\tPLAIN\tservice=imap\tresp\n").closes(),
        row("an escaped resp before the other", READY, with("service=imap\tre\u{1}sp=AAAA")).closes(),
        row("a parameter that is escaped into two", READY, with("service=imap\tx=y\u{1}tresp=AAAA"))
            .hears(OK),
        row("five thousand parameters", READY, with(&format!("service=imap{}", "\tx".repeat(5000))))
            .hears(OK),
        row("empty parameters", READY, with("\t\tservice=imap\t\t\t")).hears(OK),
        row(
            "parameters that make no sense",
            READY,
            with("service=imap\trip=999.1.1.1\tlport=99999\tsecured=maybe\t=\t=x"),
        )
        .hears(OK),
        row(
            "the certificate of somebody else",
            READY,
            with("service=imap\tvalid-client-cert\tcert_username=bob@example.org"),
        )
        .hears(OK),
        row(
            "a proxy that forwards another name",
            READY,
            with("service=imap\tforward_fields=user=bob@example.org\u{1}tnologin\tuser=bob@example.org"),
        )
        // What a proxy passed on is passed on, and means nothing under its other names.
        .hears("OK\t1\tuser=alice@example.org\tforward_user=bob@example.org\tforward_nologin\n"),
        row("escapes that nobody writes", READY, with("service=im\u{1}ap\tx=\u{1}\tsession=\u{1}\u{1}"))
            .hears(OK),
        row("bytes that are no UTF-8 in the service", READY, {
            let mut line = with("service=????").into_bytes();
            line.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = 0xff);
            line
        })
        .hears(OK),
    ]
}

fn encodings() -> Vec<Row> {
    vec![
        row("base64 that is none", READY, auth(1, "!!!!")).hears(BAD_INITIAL),
        row("base64 without its padding", READY, auth(1, "AGEAYg")).hears(BAD_INITIAL),
        row("base64 with too much padding", READY, auth(1, "AGEAYg====")).hears(BAD_INITIAL),
        row("base64 with other bits in its end", READY, auth(1, "AGEAYh==")).hears(BAD_INITIAL),
        row("base64 for URLs", READY, auth(1, "-_-_")).hears(BAD_INITIAL),
        row("base64 with a NUL", READY, auth(1, "AGEA\0g==")).hears(BAD_INITIAL),
        row("base64 with a blank", READY, auth(1, "AGEA Yg=")).hears(BAD_INITIAL),
        row("base64 with escapes", READY, auth(1, "AGEA\u{1}tYg=")).hears(BAD_INITIAL),
        row("an out-of-band mark", READY, auth(1, "#")).hears(BAD_INITIAL),
        row("no initial response", READY, "AUTH\t1\tPLAIN\tservice=imap\n").hears("CONT\t1\t\n"),
        row("an empty initial response", READY, auth(1, "")).hears(REFUSED),
        row("an empty initial response of Postfix", SERIAL, auth(1, "=")).hears(REFUSED),
        row("no initial response of Exim", SERIAL, auth(1, "")).hears("CONT\t1\t\n"),
        row("99 good logins and a bad one", READY, {
            let mut lines: Vec<_> = (1..100).map(good).collect();
            lines.insert(50, auth(100, "!!!!"));
            lines.concat()
        })
        .hears({
            let mut lines: Vec<_> =
                (1..100).map(|id| format!("OK\t{id}\tuser=alice@example.org\n")).collect();
            lines.push(BAD_INITIAL.replace("\t1\t", "\t100\t"));
            lines.concat()
        })
        .in_any_order(),
    ]
}

fn continuations() -> Vec<Row> {
    let begin = "AUTH\t1\tPLAIN\tservice=imap\n";
    let resp = plain("alice@example.org", "wonder");
    let cont = |more: &str| format!("{begin}CONT\t1\t{more}\n");
    let after = |lines: &str| format!("CONT\t1\t\n{lines}");
    vec![
        row("CONT without AUTH", READY, "CONT\t1\tAAAA\n")
            .hears("FAIL\t1\treason=Authentication request timed out\n"),
        row("CONT of another id", READY, format!("{begin}CONT\t2\t{resp}\nCONT\t1\t{resp}\n"))
            .hears(after(&format!("FAIL\t2\treason=Authentication request timed out\n{OK}"))),
        row("CONT without data", READY, format!("{begin}CONT\t1\n")).hears("CONT\t1\t\n").closes(),
        row("CONT with data that is no base64", READY, cont("????")).hears(after(BAD_RESPONSE)),
        row("CONT with a third argument", READY, cont(&format!("{resp}\tx"))).hears(after(BAD_RESPONSE)),
        row(
            "CONT with channel binding that nobody asked for",
            To::Auth("login", 4),
            cont(&format!("{resp}\tchannel_binding=AAAA")),
        )
        .hears(after(BAD_RESPONSE)),
        row(
            "CONT with channel binding twice",
            To::Auth("login", 4),
            cont(&format!("{resp}\tchannel_binding=AA==\tchannel_binding=AQ==")),
        )
        .hears("CONT\t1\t\n")
        .closes(),
        row("CONT twice", READY, cont(&format!("{resp}\nCONT\t1\t{resp}")))
            .hears(after("FAIL\t1\treason=Unexpected continuation\n")),
        row("CONT after the end", READY, format!("{}CANCEL\t2\n", auth(1, "!!!!")) + "CONT\t1\tAAAA\n")
            .hears(format!("{BAD_INITIAL}FAIL\t1\treason=Authentication request timed out\n")),
        row("CONT after CANCEL", READY, format!("{begin}CANCEL\t1\nCONT\t1\t{resp}\n"))
            .hears(after("FAIL\t1\treason=Authentication request timed out\n")),
        row(
            "a LOGIN that answers with everything at once",
            READY,
            format!("AUTH\t1\tLOGIN\tservice=imap\nCONT\t1\t{resp}\n"),
        )
        .hears("CONT\t1\tVXNlcm5hbWU6\nFAIL\t1\n"),
        row("a response of 12 KiB", READY, cont(&"A".repeat(16_000))).hears(after(REFUSED)),
        row("a response of more than a line", READY, cont(&"A".repeat(16_400))).hears("CONT\t1\t\n").closes(),
        row(
            "a response of 8 KiB in AUTH",
            READY,
            auth(1, &plain("alice@example.org", "x".repeat(8192 - 19))),
        )
        .hears("FAIL\t1\tuser=alice@example.org\n"),
        row(
            "a response of 8 KiB and a byte in AUTH",
            READY,
            auth(1, &plain("alice@example.org", "x".repeat(8192 - 18))),
        )
        .hears(REFUSED),
        row("ten thousand exchanges at once", READY, exchanges(10_000)).hears(prompts(1024, 10_000)),
        row("ten thousand exchanges begun and cancelled", READY, begun_and_cancelled(10_000))
            .hears(same_prompt(10_000)),
        row("ten thousand answers to nothing", READY, "CONT\t9\tAAAA\n".repeat(10_000))
            .hears("FAIL\t9\treason=Authentication request timed out\n".repeat(10_000)),
    ]
}

fn exchanges(count: u32) -> String {
    (1..=count).map(|id| format!("AUTH\t{id}\tLOGIN\tservice=imap\n")).collect()
}

/// So many are let in, the rest is told to come back.
fn prompts(taken: u32, count: u32) -> String {
    let taken_up = (1..=taken).map(|id| format!("CONT\t{id}\tVXNlcm5hbWU6\n"));
    taken_up.chain((taken + 1..=count).map(|id| format!("FAIL\t{id}\tcode=temp_fail\ttemp\n"))).collect()
}

fn begun_and_cancelled(count: usize) -> String {
    "AUTH\t7\tLOGIN\tservice=imap\nCANCEL\t7\n".repeat(count)
}

fn same_prompt(count: usize) -> String {
    "CONT\t7\tVXNlcm5hbWU6\n".repeat(count)
}

fn names() -> Vec<Row> {
    let refused = |name: &'static str, typed: &[u8], shown: &str| {
        row(name, READY, auth(1, &plain(typed, "wonder"))).hears(format!("FAIL\t1\tuser={shown}\n"))
    };
    vec![
        refused("a TAB in the name", b"alice@example.org\tnologin", "alice@example.org?nologin"),
        refused("a LF in the name", b"alice@example.org\nOK\t1", "alice@example.org?OK?1"),
        refused("a CR in the name", b"alice@example.org\r", "alice@example.org?"),
        refused("an escape in the name", b"alice@example.org\x01t", "alice@example.org?t"),
        refused("a blank before the name", b" alice@example.org", "?alice@example.org"),
        refused("a blank behind the name", b"alice@example.org ", "alice@example.org?"),
        refused("a name that is no UTF-8", b"\xff\xfe@example.org", "\u{fffd}\u{fffd}@example.org"),
        refused("half a character in the name", b"alice\xc3@example.org", "alice\u{fffd}@example.org"),
        refused("a name of 6000 bytes", &[b'x'; 6000], &"x".repeat(255)),
        refused("a path for a name", b"../../etc/passwd", "../../etc/passwd"),
        refused(
            "a line of a passwd-file for a name",
            b"alice@example.org:{PLAIN}x",
            "alice@example.org:{PLAIN}x",
        ),
        refused("variables of Dovecot in the name", b"%u%w{user}@example.org", "%u%w{user}@example.org"),
        refused("SQL in the name", b"x' OR '1'='1", "x'?OR?'1'='1"),
        refused("a filter of LDAP in the name", b"*)(uid=*", "*)(uid=*"),
        refused(
            "a login as a master user",
            b"bob@example.org*alice@example.org",
            "bob@example.org*alice@example.org",
        ),
        refused("two @ in the name", b"alice@example.org@example.net", "alice@example.org@example.net"),
        refused("a name without a domain", b"alice", "alice"),
        refused("nothing before the @", b"@example.org", "@example.org"),
        refused(
            "a mark that turns the text around",
            "alice\u{202e}@example.org".as_bytes(),
            "alice\u{202e}@example.org",
        ),
        row("a name in capitals", READY, auth(1, &plain("ALICE@Example.ORG", "wonder")))
            .hears("OK\t1\tuser=alice@example.org\toriginal_user=ALICE@Example.ORG\n"),
        row("an empty name", READY, auth(1, &plain("", "wonder"))).hears(REFUSED),
        row(
            "the wish to be somebody else",
            READY,
            auth(1, &base64("bob@example.org\0alice@example.org\0wonder")),
        )
        .hears("FAIL\t1\tuser=alice@example.org\tcode=authz_fail\n"),
        row("the wish to be nobody", READY, auth(1, &base64(" \0alice@example.org\0wonder")))
            .hears("FAIL\t1\tuser=alice@example.org\tcode=authz_fail\n"),
        row(
            "the wish to be oneself",
            READY,
            auth(1, &base64("Alice@example.org\0alice@example.org\0wonder")),
        )
        .hears(OK),
    ]
}

fn passwords() -> Vec<Row> {
    let refused = |name: &'static str, password: &[u8]| {
        row(name, READY, auth(1, &plain("alice@example.org", password)))
            .hears("FAIL\t1\tuser=alice@example.org\n")
    };
    vec![
        refused("an empty password", b""),
        refused("a password with a LF behind it", b"wonder\n"),
        refused("a password with a blank behind it", b"wonder "),
        refused("a password in capitals", b"WONDER"),
        refused("the stored password with its scheme", b"{PLAIN}wonder"),
        refused("a password with TABs", b"wonder\tskip_password_check"),
        refused("a password that is no UTF-8", b"wonder\xff"),
        row("a NUL behind the password", READY, auth(1, &plain("alice@example.org", "wonder\0")))
            .hears(REFUSED),
        row(
            "a NUL and junk behind the password",
            READY,
            auth(1, &plain("alice@example.org", "wonder\0junk")),
        )
        .hears(REFUSED),
        row(
            "a NUL and junk behind the password of LOGIN",
            READY,
            format!(
                "AUTH\t1\tLOGIN\tservice=imap\tresp={}\nCONT\t1\t{}\n",
                base64("alice@example.org"),
                base64("wonder\0junk")
            ),
        )
        .hears("CONT\t1\tUGFzc3dvcmQ6\nFAIL\t1\n"),
        row(
            "a NUL in the name of LOGIN",
            READY,
            format!("AUTH\t1\tLOGIN\tservice=imap\tresp={}\n", base64("alice@example.org\0x")),
        )
        .hears(REFUSED),
        row("a password and no name", READY, auth(1, &base64("wonder"))).hears(REFUSED),
        row("NULs and nothing else", READY, auth(1, &base64("\0\0\0\0"))).hears(REFUSED),
        row(
            "the same wrong password two hundred times",
            READY,
            (1..=200).map(|id| auth(id, &plain("alice@example.org", "x"))).collect::<String>(),
        )
        .hears((1..=200).map(|id| format!("FAIL\t{id}\tuser=alice@example.org\n")).collect::<String>())
        .in_any_order(),
    ]
}

fn serial() -> Vec<Row> {
    let away = |id: u32| auth(id, &plain("x@away.example.org", "x"));
    let temporary = "FAIL\t1\tuser=x@away.example.org\tcode=temp_fail\ttemp\n";
    vec![
        row("a directory that does not answer, for Postfix", SERIAL, away(1)).closes(),
        row("a directory that does not answer, for chasquid", To::Auth("client", 1), away(1)).closes(),
        row("a directory that does not answer, for doveadm", To::Auth("client", 2), away(1)).hears(temporary),
        row("a directory that does not answer, for a login process", READY, away(1)).hears(temporary),
        row("a directory that does not answer, for one of several", SERIAL, format!("{}{}", away(1), auth(2, &plain("alice@example.org", "never heard of"))))
            .hears(format!("{temporary}FAIL\t2\tuser=alice@example.org\n"))
            .in_any_order(),
        // From memory, the first has been answered by then: nobody is in flight who would lose anything.
        row("a directory that does not answer, after one who is known", SERIAL, format!("{}{}", good(1), away(2)))
            .hears("OK\t1\tuser=alice@example.org\n")
            .closes(),
        row("who may not log in, for Postfix", SERIAL, auth(1, &plain("closed@example.org", "closed")))
            .hears("FAIL\t1\tuser=closed@example.org\treason=Closed\n"),
        row("who may not log in, for a login process", READY, auth(1, &plain("closed@example.org", "closed")))
            .hears("OK\t1\tuser=closed@example.org\tnologin\treason=Closed\n"),
        row("an exchange that Postfix gives up without a word", SERIAL, format!("AUTH\t1\tLOGIN\tservice=smtp\n{}CONT\t1\tAAAA\n", good(2)))
            .hears("CONT\t1\tVXNlcm5hbWU6\nFAIL\t1\treason=Authentication request timed out\nOK\t2\tuser=alice@example.org\n")
            .in_any_order(),
    ]
}
