//! Lists of `key` and `key=value`, as they stand at the end of most lines.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use zeroize::Zeroize as _;

use crate::scan::find;
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
///
/// It may hold a password (`pass`), so it is wiped on drop, and growing wipes what it leaves.
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
            let value = value.as_ref();
            self.room(1 + 2 * value.len());
            self.0.put_u8(b'=');
            escape_into(value, &mut self.0);
        }
    }

    /// Appends a bare word.
    pub fn flag(&mut self, key: &str) {
        self.room(1 + 2 * key.len());
        self.separate();
        escape_into(key.as_bytes(), &mut self.0);
    }

    /// A list that was kept as [`Fields::raw`] gave it. A LF cannot have been in it; one that is there all the same is
    /// left out with everything behind it.
    pub fn of_wire(raw: &[u8]) -> Self {
        let clean = raw.split(|&byte| byte == b'\n').next().unwrap_or_default();
        Self(BytesMut::from(clean))
    }

    /// Appends all of `fields` as they stand.
    pub fn extend(&mut self, fields: Fields<'_>) {
        if !fields.is_empty() {
            self.room(1 + fields.raw().len());
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

    /// Makes room for so many bytes. Not `reserve`, which would leave a copy in freed memory.
    fn room(&mut self, more: usize) {
        if self.0.capacity() - self.0.len() < more {
            let mut larger = BytesMut::with_capacity((self.0.len() + more).max(2 * self.0.len()));
            larger.put_slice(&self.0);
            self.0.as_mut().zeroize();
            self.0 = larger;
        }
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.put_u8(b'\t');
        }
    }
}

impl Drop for FieldsBuf {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
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
    match find(at, bytes) {
        Some(end) => {
            let (before, after) = bytes.split_at(end);
            (before, after.get(1..))
        }
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests;
