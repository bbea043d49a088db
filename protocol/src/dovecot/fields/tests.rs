use std::borrow::Cow;

use proptest::prelude::*;

use super::{Field, Fields, FieldsBuf};
use crate::dovecot::testing::any_text;
use crate::text::unescape;

#[test]
fn a_field_is_split_at_its_first_equals_sign() {
    for (text, key, value) in [
        (&b"nologin"[..], &b"nologin"[..], None),
        (b"rip=", b"rip", Some(&b""[..])),
        (b"home=/srv/lab/mail/alice", b"home", Some(b"/srv/lab/mail/alice")),
        (b"forward_fields=foo=b=ar", b"forward_fields", Some(b"foo=b=ar")),
        (b"reason=Come back\x01tlater", b"reason", Some(b"Come back\tlater")),
        (b"x\x01ty\x01n=\x01t=", b"x\ty\n", Some(b"\t=")),
        (b"=x", b"", Some(b"x")),
        (b"==", b"", Some(b"=")),
    ] {
        let expected = Field { key: key.into(), value: value.map(Cow::from) };
        assert_eq!(list(Fields(text)), [expected], "{}", text.escape_ascii());
    }
}

#[test]
fn empty_fields_say_nothing() {
    for text in [&b""[..], b"\t", b"\t\t"] {
        assert_eq!(list(Fields(text)), []);
    }
    assert_eq!(list(Fields(b"\ta\t\tb=\t")).len(), 2);
}

#[test]
fn of_several_fields_the_last_one_counts() {
    let fields = Fields(b"uid=1\tgid\tuid=2\tgid=3\tgid");
    assert_eq!(fields.find(b"uid").unwrap().value.as_deref(), Some(&b"2"[..]));
    assert_eq!(fields.find(b"gid").unwrap().value, None);
    assert_eq!(fields.find(b"home"), None);
    assert!(fields.has(b"uid") && !fields.has(b"home"));
}

#[test]
fn a_list_without_escapes_is_not_copied() {
    for Field { key, value } in Fields(b"uid=5000\tgid=5000\tnologin").iter() {
        assert!(matches!(key, Cow::Borrowed(_)) && !matches!(value, Some(Cow::Owned(_))));
    }
}

/// CVE-2008-1218: a TAB in a password became a field that switched the check of the password off.
#[test]
fn no_byte_of_a_value_makes_another_field_or_line() {
    for byte in u8::MIN..=u8::MAX {
        let value = [b'x', byte, b's', b'k', b'i', b'p', b'=', b'1'];
        let mut fields = FieldsBuf::default();
        fields.push("pass", value);
        fields.push("uid", "5000");
        assert!(!fields.as_fields().raw().contains(&b'\n'));
        assert_eq!(list(fields.as_fields()).len(), 2, "byte {byte:#04x}");
        assert_eq!(fields.as_fields().find(b"pass").unwrap().value.as_deref(), Some(&value[..]));
    }
}

/// Login processes of Dovecot 2.3 do not see `nologin=yes`, and let the user in.
#[test]
fn nologin_and_its_like_are_always_bare() {
    for key in ["anonymous", "nodelay", "nologin", "proxy"] {
        let mut fields = FieldsBuf::default();
        fields.push("user", "alice");
        fields.push(key, "yes");
        fields.push("reason", "Account suspended");
        let expected = format!("user=alice\t{key}\treason=Account suspended");
        assert_eq!(fields.as_fields().raw(), expected.as_bytes());
    }
    let mut fields = FieldsBuf::default();
    fields.push("proxy_mech", "PLAIN");
    assert_eq!(fields.as_fields().raw(), b"proxy_mech=PLAIN");
}

#[test]
fn lists_are_appended_with_one_tab_between() {
    let mut fields = FieldsBuf::default();
    fields.extend(Fields::default());
    assert!(fields.is_empty());
    fields.extend(Fields(b"uid=1\tgid=2"));
    fields.extend(Fields::default());
    fields.flag("anonymous");
    fields.extend(Fields(b"home=/\x01n"));
    assert_eq!(fields.as_fields(), Fields(b"uid=1\tgid=2\tanonymous\thome=/\x01n"));
}

#[test]
fn debug_shows_keys_only() {
    let mut fields = FieldsBuf::default();
    fields.push("pass", "hunter2");
    fields.flag("proxy");
    assert_eq!(
        format!("{fields:?} {:?}", fields.as_fields()),
        r#"["pass"=.., "proxy"] ["pass"=.., "proxy"]"#
    );
}

proptest! {
    #[test]
    fn what_is_put_in_comes_out(
        fields in prop::collection::vec(("[^=]{1,5}", proptest::option::of(any_text())), 0..6)
    ) {
        let mut buf = FieldsBuf::default();
        for (key, value) in &fields {
            match value {
                Some(value) => buf.push(key, value),
                None => buf.flag(key),
            }
        }
        let expected: Vec<_> = fields
            .iter()
            .map(|(key, value)| Field {
                key: key.as_bytes().into(),
                value: value.as_deref().map(Cow::from),
            })
            .collect();
        prop_assert_eq!(list(buf.as_fields()), expected);
    }

    /// Dovecot takes the escapes off first and splits then; nobody can make use of the difference.
    #[test]
    fn splitting_before_or_after_unescaping_is_the_same(
        text in prop::collection::vec(prop::sample::select(&b"\x01=tn0a"[..]), 1..12)
    ) {
        let whole = unescape(&text).into_owned();
        let mut halves = whole.splitn(2, |&byte| byte == b'=');
        let (key, value) = (halves.next().unwrap(), halves.next());
        let field = Field::parse(&text);
        prop_assert_eq!((&*field.key, field.value.as_deref()), (key, value));
    }
}

fn list(fields: Fields<'_>) -> Vec<Field<'_>> {
    fields.iter().collect()
}

#[test]
fn growing_and_adding_keep_everything_in_order() {
    let mut fields = FieldsBuf::default();
    let mut expected = String::new();
    for round in 0..200 {
        let value = format!("{}\t", "x".repeat(round % 17));
        fields.push("pass", &value);
        expected.push_str(&format!(
            "{}pass={}\x01t",
            if round == 0 { "" } else { "\t" },
            "x".repeat(round % 17)
        ));
    }
    assert_eq!(fields.as_fields().raw(), expected.as_bytes());
    let mut more = FieldsBuf::default();
    more.extend(fields.as_fields());
    assert_eq!(more, fields);
}
