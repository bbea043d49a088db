use bytes::BytesMut;
use proptest::prelude::*;

use super::{Action, Hangup};
use crate::error::Malformed;
use crate::postfix::policy::{
    Address, Blocks, Code, Destination, Enhanced, Header, REPLY, Restriction, Text,
};

/// What Postfix 3.7 was told in earnest, and did.
#[test]
fn actions_are_those_that_postfix_has_obeyed() {
    let enhanced = Enhanced::default();
    let table = [
        ("DUNNO", Action::Dunno),
        ("REJECT 5.7.1 policy says no", reject(None, enhanced, "policy says no")),
        ("550 5.7.60 custom code", reject(Code::new(550), Enhanced::new(7, 60).unwrap(), "custom code")),
        (
            "DEFER 4.7.1 come back later",
            Action::Defer { code: None, enhanced, text: text("come back later") },
        ),
        ("451 4.7.1 later", Action::Defer { code: Code::new(451), enhanced, text: text("later") }),
        ("DEFER_IF_PERMIT 4.7.1 greylisted", Action::DeferIfPermit { enhanced, text: text("greylisted") }),
        ("DEFER_IF_REJECT 4.7.1", Action::DeferIfReject { enhanced, text: text("") }),
        (
            "421 4.7.0 too many failures",
            Action::Hangup {
                code: Hangup::ForNow,
                enhanced: Enhanced::new(7, 0).unwrap(),
                text: text("too many failures"),
            },
        ),
        ("521 5.7.1 go away", Action::Hangup { code: Hangup::ForGood, enhanced, text: text("go away") }),
        ("HOLD quota", Action::Hold(text("quota"))),
        ("HOLD", Action::Hold(text(""))),
        ("PREPEND X-Gatepost: user=", Action::Prepend(Header::new("X-Gatepost", "user=").unwrap())),
        ("WARN odd", Action::Warn(text("odd"))),
        ("INFO even", Action::Info(text("even"))),
        ("BCC bob@example.test", Action::Bcc(Address::new("bob@example.test").unwrap())),
        ("REDIRECT bob@example.test", Action::Redirect(Address::new("bob@example.test").unwrap())),
        ("FILTER smtp:[::1]:25", Action::Filter(Destination::new("smtp", "[::1]:25").unwrap())),
        ("FILTER scan:", Action::Filter(Destination::new("scan", "").unwrap())),
        ("DISCARD spam", Action::Discard(text("spam"))),
        (
            "reject_unverified_sender",
            Action::Restriction(Restriction::new("reject_unverified_sender").unwrap()),
        ),
    ];
    for (written, action) in table {
        assert_eq!(reply(&action), format!("action={written}\n\n").as_bytes());
        let digits = written.starts_with(|first: char| first.is_ascii_digit());
        let refuses =
            digits || ["REJECT ", "DEFER ", "DEFER_IF_PERMIT "].iter().any(|word| written.starts_with(word));
        assert_eq!(action.refuses(), refuses, "{written}");
        assert_eq!(parsed(written).map(Action::into_owned), Ok(action));
    }
}

#[test]
fn a_reply_is_read_as_postfix_reads_it() {
    let enhanced = Enhanced::default();
    for (written, action) in [
        ("reject lower case works", reject(None, enhanced, "lower case works")),
        ("REJECT", reject(None, enhanced, "")),
        ("REJECT \t two  blanks ", reject(None, enhanced, "two  blanks")),
        ("REJECT 4.3.0 of the wrong class", reject(None, Enhanced::new(3, 0).unwrap(), "of the wrong class")),
        ("REJECT caf\u{e9}", reject(None, enhanced, "caf\u{e9}")),
        ("554 no", reject(Code::new(554), enhanced, "no")),
        ("550 5.1.1", reject(Code::new(550), Enhanced::new(1, 1).unwrap(), "")),
        ("Dunno whatever", Action::Dunno),
    ] {
        assert_eq!(parsed(written), Ok(action), "{written}");
    }
    let block = b"foo=bar\naction=DUNNO\naction=REJECT second\n";
    assert_eq!(Action::parse(block), Ok(Action::Dunno));
    for block in
        [&b""[..], b"hello=world\n", b"Action=DUNNO\n", b"DUNNO\n", b"action=REJECT caf\xe9\n", b"action"]
    {
        assert!(Action::parse(block).is_err(), "{}", block.escape_ascii());
    }
}

/// R20, proved: each of these lets the mail in, or would.
#[test]
fn what_permits_is_no_action() {
    for written in [
        "",
        " ",
        "OK",
        "ok then",
        "Relay",
        "1234567",
        "550",
        "421",
        "550 ",
        "permit",
        "PERMIT_MYNETWORKS",
        "permit_sasl_authenticated",
        "reject_unauth_pipelining, permit",
        "reject_unauth_pipelining permit",
        ", ,",
        "{ permit }",
        "hash:/etc/passwd",
        "check_client_access hash:x",
        "HANGUP",
        "600 x",
        "250 x",
        "580 x",
        "BCC nobody",
        "FILTER smtp",
        "PREPEND none",
    ] {
        assert!(parsed(written).is_err(), "{written:?}");
    }
}

#[test]
fn a_text_is_never_taken_for_a_code_nor_for_more() {
    let action = reject(None, Enhanced::default(), "4.2.2 is no code here");
    assert_eq!(reply(&action), b"action=REJECT 5.7.1 4.2.2 is no code here\n\n");
    assert_eq!(Action::parse(b"action=REJECT 5.7.1 4.2.2 is no code here\n"), Ok(action));
    let action = Action::Hold(Text::cleaned("quota\n\naction=OK\n\n"));
    assert_eq!(reply(&action), b"action=HOLD quota??action=OK??\n\n");
    // Digits alone would permit.
    let action = reject(Code::new(550), Enhanced::default(), "");
    assert_eq!(reply(&action), b"action=550 5.7.1\n\n");
}

proptest! {
    #[test]
    fn an_action_comes_back_and_permits_nothing(action in any_action()) {
        let reply = reply(&action);
        let mut buf = &reply[..];
        let block = Blocks::new(REPLY).cut(&mut buf).unwrap().unwrap();
        prop_assert!(buf.is_empty() && std::str::from_utf8(block).is_ok());
        prop_assert_eq!(Action::parse(block), Ok(action));
        let value = block.strip_prefix(b"action=").unwrap();
        let word = value.split(|byte| b" \n".contains(byte)).next().unwrap().to_ascii_lowercase();
        prop_assert!(!word.is_empty() && word != b"ok" && word != b"relay" && !word.starts_with(b"permit"));
        prop_assert!(!value.trim_ascii_end().iter().all(u8::is_ascii_digit));
    }

    #[test]
    fn whatever_is_read_is_written_so_that_it_is_read_the_same(
        value in "(REJECT|defer|HOLD|550|4[0-9]{2}|BCC|FILTER|PREPEND|permit|[a-z0-9]{0,3})( [0-9.]{0,6})?[ -~\u{e9}]{0,9}",
    ) {
        if let Ok(action) = parsed(&value) {
            let again = reply(&action);
            prop_assert_eq!(Action::parse(again.strip_suffix(b"\n").unwrap()), Ok(action));
        }
    }

    #[test]
    fn any_block_can_be_looked_at(block: Vec<u8>) {
        let _ = Action::parse(&block);
        let _ = Action::parse(&[b"action=", &block[..]].concat());
    }
}

fn any_action() -> impl Strategy<Value = Action<'static>> {
    let text = any::<String>().prop_map(Text::cleaned);
    let refusal = (500_u16..600, 0_u16..1000, 0_u16..1000);
    (0..16, text, refusal, "[!-9;-~]{1,9}", "[a-z]{1,9}").prop_filter_map("one is taken", |parts| {
        let (which, text, (code, subject, detail), name, word) = parts;
        let enhanced = Enhanced::new(subject, detail)?;
        let address = Address::new(format!("{word}@{word}")).ok()?;
        Some(match which {
            0 => Action::Dunno,
            1 => Action::Reject { code: None, enhanced, text },
            2 => Action::Reject { code: Some(Code::new(code)?), enhanced, text },
            3 => Action::Defer { code: None, enhanced, text },
            4 => Action::Defer { code: Some(Code::new(code - 100)?), enhanced, text },
            5 => Action::DeferIfPermit { enhanced, text },
            6 => Action::DeferIfReject { enhanced, text },
            7 => Action::Hangup { code: Hangup::ForNow, enhanced, text },
            8 => Action::Hangup { code: Hangup::ForGood, enhanced, text },
            9 => Action::Hold(text),
            10 => Action::Prepend(Header::new(name, text.as_str().to_owned()).ok()?),
            11 => Action::Warn(text),
            12 => Action::Info(text),
            13 => Action::Bcc(address),
            14 => Action::Discard(text),
            _ => Action::Restriction(Restriction::new(word).ok()?),
        })
    })
}

fn text(text: &'static str) -> Text<'static> {
    Text::new(text).unwrap()
}

fn reject(code: Option<Code<5>>, enhanced: Enhanced, said: &'static str) -> Action<'static> {
    Action::Reject { code, enhanced, text: text(said) }
}

fn parsed(value: &str) -> Result<Action<'static>, Malformed> {
    // Leaked, so that tables can hold what was read.
    let block = Box::leak(format!("action={value}\n").into_boxed_str());
    Action::parse(block.as_bytes())
}

fn reply(action: &Action<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    action.encode(&mut out);
    out.to_vec()
}
