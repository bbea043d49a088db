//! Postfix's policy requests.

use super::{Row, row};
use crate::peer::To;

const POLICY: To = To::Policy("policy");
const DUNNO: &str = "action=DUNNO\n\n";
const NOT_OWNED: &str =
    "action=553 5.7.1 <bob@example.org>: Sender address rejected: not owned by user alice@example.org\n\n";
const AWAY: &str = "action=451 4.3.0 Temporary lookup failure\n\n";
const OVER: &str = "action=DEFER 4.7.1 sending limit reached, try again later\n\n";

fn request(state: &str, attributes: &str) -> String {
    format!("request=smtpd_access_policy\nprotocol_state={state}\n{attributes}\n")
}

pub(super) fn rows() -> Vec<Row> {
    let asks = |name, text: &str| row(name, POLICY, text).then_eof().closes();
    let rcpt = |attributes: &str| request("RCPT", attributes);
    let own = rcpt("sasl_username=alice@example.org\nsender=ALICE+x@example.org\n");
    let others = rcpt("sasl_username=alice@example.org\nsender=bob@example.org\n");
    let end = |login: &str, instance: &str| {
        let attributes = format!("sasl_username={login}\nsender=\ninstance={instance}\nrecipient_count=1\n");
        request("END-OF-MESSAGE", &attributes)
    };
    let long = |length: usize| {
        let start = "request=smtpd_access_policy\nprotocol_state=RCPT\nx=";
        format!("{start}{}\n\n", "y".repeat(length - start.len() - 1))
    };
    vec![
        asks("a mail of one's own", &own).hears(DUNNO),
        asks("a mail of somebody else", &others).hears(NOT_OWNED),
        asks("the same for a later version", &others.replace("\n\n", "\nnew_in_4=yes\nnew_in_4=no\n\n"))
            .hears(NOT_OWNED),
        asks("a sender whose directory does not answer", &others.replace("bob@", "bob@away.")).hears(AWAY),
        asks("nobody's sender of nobody", &rcpt("sender=x@elsewhere.test\n")).hears(DUNNO),
        asks("a login that nobody can have", &others.replace("alice@example.org", "../a b"))
            .hears(NOT_OWNED.replace("alice@example.org", "../a b")),
        asks("a sender with control characters", &others.replace("bob@", "b\r\u{1b}ob@"))
            .hears(NOT_OWNED.replace("bob@", "b??ob@")),
        asks("a state of another time", &others.replace("RCPT", "TEA-TIME")).hears(DUNNO),
        asks("no state", &others.replace("RCPT", "")).hears(DUNNO),
        asks("a request of another kind", "request=junk\nsender=bob@example.org\n\n").hears(DUNNO),
        asks("nothing but a request", "request=smtpd_access_policy\n\n").hears(DUNNO),
        asks("a mail that is asked about twice", &end("once@example.org", "1").repeat(2)).hears(DUNNO.repeat(2)),
        asks("another one, which is too much", &(end("twice@example.org", "2") + &end("twice@example.org", "3")))
            .hears(format!("{DUNNO}{OVER}")),
        asks("a mail without an instance", &end("none@example.org", "").repeat(2))
            .hears(format!("{DUNNO}{OVER}")),
        row("a sender that is no UTF-8", POLICY, [
            b"request=smtpd_access_policy\nprotocol_state=RCPT\nsasl_username=alice@example.org\nsender=\xff\xfe@x\n\n"
                .as_slice(),
        ]
        .concat())
        .then_eof()
        .hears(NOT_OWNED.replace("bob@example.org", "\u{fffd}\u{fffd}@x"))
        .closes(),
        asks("three thousand questions at once", &own.repeat(3000)).hears(DUNNO.repeat(3000)),
        asks("the longest question", &long(65_536)).hears(DUNNO),
        asks("half a question, then the end", "request=smtpd_access_policy\nprotocol_state=RCPT\n"),
        row("one of a byte more", POLICY, long(65_537)).closes(),
        row("one without an end", POLICY, "x=".to_owned() + &"y".repeat(70_000)).closes(),
        row("a question that asks nothing", POLICY, "sender=a\n\n").closes(),
        row("an empty line", POLICY, "\n").closes(),
        row("a line without a sign", POLICY, "request=smtpd_access_policy\nnonsense\n\n").closes(),
        row("a size that is none", POLICY, rcpt("size=many\n")).closes(),
        row("a NUL in it", POLICY, rcpt("sender=a\0b\n")).closes(),
        row("a line of a mail program", POLICY, "EHLO example.org\r\n\n").closes(),
        // What was asked before is answered.
        row("a question, then nonsense", POLICY, format!("{others}nonsense\n\n")).hears(NOT_OWNED).closes(),
    ]
}
