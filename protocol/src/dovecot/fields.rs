//! Lists of `key` and `key=value`, as they stand at the end of most lines.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use memchr::memchr;

use crate::text::{Shown, escape_into, unescape};

/// Keys that count by being there. Dovecot 2.3's login processes compare the whole field with the bare word, so
/// that `nologin=yes` would let the user in.
const BARE: [&str; 4] = ["anonymous", "nodelay", "nologin", "proxy"];

/// `key[=value] [TAB key[=value]]*`: a list inside a line, not looked at yet.
///
/// Holds no LF: it is a part of a line or of a [`FieldsBuf`]. Debug shows the keys only, for values may be
/// secret (`pass`, `resp`).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Takes over the rest of a line behind a TAB.
    pub(super) const fn of_line(raw: &'a [u8]) -> Self {
        Self(raw)
    }

    /// The fields in their order. Empty ones, as in `TAB TAB` or after a last TAB, say nothing and are left out.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        Segments::of(self.0).filter(|segment| !segment.is_empty()).map(Field::parse)
    }

    /// The field of this key. Of several the last one counts, as it does for Dovecot.
    pub fn find(&self, key: &[u8]) -> Option<Field<'a>> {
        self.iter().filter(|field| *field.key == *key).last()
    }

    /// Whether there is a field of this key, with or without a value.
    pub fn has(&self, key: &[u8]) -> bool {
        self.iter().any(|field| *field.key == *key)
    }

    /// The values of all fields of this key, escapes still in; a bare word's is empty.
    pub(super) fn values(&self, key: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        Segments::of(self.0)
            .map(halves)
            .filter(move |(name, _)| *unescape(name) == *key)
            .map(|(_, value)| value.unwrap_or_default())
    }

    /// The list as it stands on the wire, without a TAB in front.
    pub const fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// `key[=value]`, both without escapes. Debug shows the key only.
#[derive(Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// What stands before the first `=`.
    pub key: Cow<'a, [u8]>,
    /// What stands after it; `None` for a bare word.
    pub value: Option<Cow<'a, [u8]>>,
}

impl<'a> Field<'a> {
    /// Splits at the first `=`, then takes the escapes off.
    fn parse(segment: &'a [u8]) -> Self {
        let (key, value) = halves(segment);
        Self { key: unescape(key), value: value.map(unescape) }
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.key).fmt(f)?;
        f.write_str(if self.value.is_some() { "=.." } else { "" })
    }
}

/// A list being put together; always escaped already, so that sending it is a copy. Debug shows the keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldsBuf(BytesMut);

impl FieldsBuf {
    /// Appends `key=value`, escaped. A `=` inside of `key` would end the key there for whoever reads it.
    ///
    /// `anonymous`, `nodelay`, `nologin` and `proxy` are written without their value, whatever it is: that is how
    /// Dovecot means them, and its login processes ignore `nologin=yes` and go on with the login.
    pub fn push(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.flag(key);
        if !BARE.contains(&key) {
            self.0.put_u8(b'=');
            escape_into(value.as_ref(), &mut self.0);
        }
    }

    /// Appends a bare word.
    pub fn flag(&mut self, key: &str) {
        self.separate();
        escape_into(key.as_bytes(), &mut self.0);
    }

    /// Appends all of `fields` as they stand.
    pub fn extend(&mut self, fields: Fields<'_>) {
        if !fields.is_empty() {
            self.separate();
            self.0.put_slice(fields.raw());
        }
    }

    /// The list so far.
    pub fn as_fields(&self) -> Fields<'_> {
        Fields(&self.0)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.put_u8(b'\t');
        }
    }
}

impl fmt::Debug for FieldsBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_fields().fmt(f)
    }
}

/// The parts of a list between its TABs, empty ones too.
pub(super) struct Segments<'a>(Option<&'a [u8]>);

impl<'a> Segments<'a> {
    /// The parts of `raw`.
    pub(super) const fn of(raw: &'a [u8]) -> Self {
        Self(Some(raw))
    }

    /// What the next call of `next` would start with; `None` after the last part.
    pub(super) const fn rest(&self) -> Option<&'a [u8]> {
        self.0
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (segment, rest) = cut(self.0?, b'\t');
        self.0 = rest;
        Some(segment)
    }
}

/// Key and value of one part, escapes still in: split at the first `=`.
pub(super) fn halves(segment: &[u8]) -> (&[u8], Option<&[u8]>) {
    cut(segment, b'=')
}

/// What stands before the first `at`, and what stands after it.
fn cut(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(at, bytes) {
        Some(end) => {
            let (before, after) = bytes.split_at(end);
            (before, after.get(1..))
        }
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{Field, Fields, FieldsBuf};
    use crate::dovecot::testing::any_text;
    use crate::text::unescape;

    #[test]
    fn a_field_is_split_at_its_first_equals_sign() {
        let table: [(&[u8], &[u8], Option<&[u8]>); 8] = [
            (b"nologin", b"nologin", None),
            (b"rip=", b"rip", Some(b"")),
            (b"home=/srv/lab/mail/alice", b"home", Some(b"/srv/lab/mail/alice")),
            (b"forward_fields=foo=b=ar", b"forward_fields", Some(b"foo=b=ar")),
            (b"reason=Come back\x01tlater", b"reason", Some(b"Come back\tlater")),
            (b"x\x01ty\x01n=\x01t=", b"x\ty\n", Some(b"\t=")),
            (b"=x", b"", Some(b"x")),
            (b"==", b"", Some(b"=")),
        ];
        for (text, key, value) in table {
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
}
