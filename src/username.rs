//! Login names: the one form in which a name is looked up, compared, counted and logged.
//!
//! A peer hands on what a person typed. `Username` is what remains of it after normalisation, so that ` Alice`,
//! `ALICE@Example.org` and a decomposed `é` cannot be three keys for one account (a lockout that counts one
//! spelling while the directory knows another has been a CVE more than once).

use std::{fmt, sync::Arc};

use unicode_normalization::UnicodeNormalization as _;

/// Longest login name, in bytes of UTF-8 after normalisation. RFC 5321 allows 64 + 1 + 255; a directory key of
/// 255 bytes is what the usual schemas hold.
pub const LONGEST: usize = 255;

/// A login name in normal form: NFC, lower case, at most one `@` with something on both sides of it.
///
/// It never holds white space, control characters, path separators or quoting characters, so it may stand in a
/// path template and on a TAB-separated line as it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(Arc<str>);

/// Not a name that anybody can have. Answered like an unknown user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidName {
    /// Nothing was given, or nothing on one side of the `@`.
    Empty,
    /// Longer than [`LONGEST`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// A character that no login name may hold.
    Character,
    /// More than one `@`.
    TwoDomains,
    /// `.` or `..` as the local part or the domain: a path, not a name.
    Dots,
}

impl Username {
    /// Brings what a person typed into normal form; `default_domain` is appended to a bare name.
    pub fn normalise(raw: &[u8], default_domain: Option<&str>) -> Result<Self, InvalidName> {
        Self::normalised(raw, default_domain, &mut NameRoom::new()).map(|name| Self(name.into()))
    }

    /// The same for a name that is only looked up: its normal form is written into `room`, without an allocation as long
    /// as it is of ASCII.
    pub fn normalised<'room>(
        raw: &[u8],
        default_domain: Option<&str>,
        room: &'room mut NameRoom,
    ) -> Result<&'room str, InvalidName> {
        let written = match usual(raw, default_domain, &mut room.0) {
            Some(len) => room.0.get(..len),
            None => {
                let name = spelt_out(raw, default_domain)?;
                let written = room.0.get_mut(..name.len()).ok_or(InvalidName::TooLong)?;
                written.copy_from_slice(name.as_bytes());
                Some(&*written)
            }
        };
        std::str::from_utf8(written.unwrap_or_default()).map_err(|_| InvalidName::NotUtf8)
    }

    /// One that was in normal form when it was put away as text.
    pub(crate) fn of_normal_form(name: &str) -> Self {
        Self(name.into())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`, or the whole name.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// What stands after the `@`; `None` for a bare name.
    pub fn domain(&self) -> Option<&str> {
        self.0.split_once('@').map(|(_, domain)| domain)
    }
}

/// Room for the normal form of one name.
#[derive(Debug, Clone)]
pub struct NameRoom([u8; LONGEST]);

impl NameRoom {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self([0; LONGEST])
    }
}

impl Default for NameRoom {
    fn default() -> Self {
        Self::new()
    }
}

/// The normal form of most names, in one pass: gives its length in `room`. `None` where the name is not of ASCII, or where
/// there is anything wrong with it.
fn usual(raw: &[u8], default_domain: Option<&str>, room: &mut [u8; LONGEST]) -> Option<usize> {
    let mut seen = 0;
    for (place, &byte) in room.get_mut(..raw.len())?.iter_mut().zip(raw) {
        *place = normal(byte);
        seen |= *place;
    }
    let mut len = raw.len();
    let (local, domain) = match (raw.iter().position(|&byte| byte == b'@'), default_domain) {
        (Some(at), _) => (raw.get(..at)?, raw.get(at + 1..)),
        (None, None) => (raw, None),
        (None, Some(domain)) => {
            let domain = domain.as_bytes();
            let (at, behind) = room.get_mut(len..)?.split_first_mut()?;
            *at = b'@';
            behind.get_mut(..domain.len())?.copy_from_slice(domain);
            seen |= domain.iter().fold(0, |seen, &byte| seen | normal(byte));
            len += 1 + domain.len();
            (raw, Some(domain))
        }
    };
    let fine = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    let both = fine(local) && domain.is_none_or(|domain| fine(domain) && !domain.contains(&b'@'));
    (both && seen & REFUSED == 0).then_some(len)
}

/// In the place of a byte that is not of ASCII, or that no name may hold.
const REFUSED: u8 = 0x80;

/// What becomes of a byte of ASCII.
fn normal(byte: u8) -> u8 {
    #[expect(clippy::indexing_slicing, reason = "a table of all bytes, made while compiling")]
    const NORMAL: [u8; 256] = {
        let mut table = [REFUSED; 256];
        let mut rest: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789@.-_+='~!#$&^";
        while let [byte, after @ ..] = rest {
            table[*byte as usize] = *byte;
            table[byte.to_ascii_uppercase() as usize] = *byte;
            rest = after;
        }
        table
    };
    NORMAL.get(usize::from(byte)).copied().unwrap_or(REFUSED)
}

/// The normal form of any name.
fn spelt_out(raw: &[u8], default_domain: Option<&str>) -> Result<String, InvalidName> {
    let typed = std::str::from_utf8(raw).map_err(|_| InvalidName::NotUtf8)?;
    // Before the work of normalising, which can make text longer but not shorter than a third.
    if typed.len() > LONGEST * 3 {
        return Err(InvalidName::TooLong);
    }
    let mut name = if typed.is_ascii() {
        typed.to_ascii_lowercase()
    } else {
        // Lower case first: some capitals decompose on the way (Turkish dotted I).
        typed.to_lowercase().nfc().collect()
    };
    if let (false, Some(domain)) = (name.contains('@'), default_domain) {
        name.push('@');
        name.push_str(domain);
    }
    check(&name)?;
    Ok(name)
}

fn check(name: &str) -> Result<(), InvalidName> {
    if name.len() > LONGEST {
        return Err(InvalidName::TooLong);
    }
    let mut parts = name.split('@');
    for part in [parts.next(), parts.next()].into_iter().flatten() {
        match part {
            "" => return Err(InvalidName::Empty),
            "." | ".." => return Err(InvalidName::Dots),
            _ => {}
        }
    }
    if parts.next().is_some() {
        return Err(InvalidName::TwoDomains);
    }
    if name.chars().all(allowed) { Ok(()) } else { Err(InvalidName::Character) }
}

/// Letters and digits of any script, and the marks of RFC 5322 atoms that mean nothing to a path, a shell, a
/// wildcard mask or a master-user separator.
fn allowed(character: char) -> bool {
    match character {
        '@' | '.' | '-' | '_' | '+' | '=' | '\'' | '~' | '!' | '#' | '$' | '&' | '^' => true,
        _ => character.is_alphanumeric() || (!character.is_ascii() && combining(character)),
    }
}

/// Marks that remain after NFC because no composed character exists (Devanagari vowel signs and their like).
fn combining(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<[u8]> for Username {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::TooLong => "longer than 255 bytes",
            Self::NotUtf8 => "not UTF-8",
            Self::Character => "holds a character that no login name may have",
            Self::TwoDomains => "holds more than one @",
            Self::Dots => "a path, not a name",
        })
    }
}

impl std::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidName, LONGEST, NameRoom, REFUSED, Username, allowed, normal, spelt_out, usual};

    #[test]
    fn spellings_of_one_name_are_one_name() {
        let table: &[(&str, Option<&str>, &str)] = &[
            ("alice@example.org", None, "alice@example.org"),
            ("ALICE@Example.ORG", None, "alice@example.org"),
            ("alice", Some("example.org"), "alice@example.org"),
            ("alice", None, "alice"),
            ("bob@other.test", Some("example.org"), "bob@other.test"),
            ("rene\u{301}@example.org", None, "ren\u{e9}@example.org"),
            ("REN\u{c9}@example.org", None, "ren\u{e9}@example.org"),
            ("o'brien+lists@example.org", None, "o'brien+lists@example.org"),
        ];
        for (typed, domain, expected) in table {
            let name = Username::normalise(typed.as_bytes(), *domain).unwrap();
            assert_eq!(name.as_str(), *expected, "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(256);
        let table: &[(&[u8], InvalidName)] = &[
            (b"", InvalidName::Empty),
            (b"@example.org", InvalidName::Empty),
            (b"alice@", InvalidName::Empty),
            (b"a@b@c", InvalidName::TwoDomains),
            (b"alice @example.org", InvalidName::Character),
            (b"alice\t@example.org", InvalidName::Character),
            (b"alice\nx", InvalidName::Character),
            (b"alice\0", InvalidName::Character),
            (b"../etc/passwd", InvalidName::Character),
            (b"..@example.org", InvalidName::Dots),
            (b"alice@..", InvalidName::Dots),
            (b"alice*master", InvalidName::Character),
            (b"a\\b", InvalidName::Character),
            (b"a\"b", InvalidName::Character),
            (b"%u", InvalidName::Character),
            (b"\xff\xfe", InvalidName::NotUtf8),
            (long.as_bytes(), InvalidName::TooLong),
        ];
        for (typed, expected) in table {
            assert_eq!(Username::normalise(typed, None), Err(*expected), "{}", typed.escape_ascii());
        }
    }

    #[test]
    fn parts_of_a_name() {
        let full = Username::normalise(b"alice@example.org", None).unwrap();
        assert_eq!((full.local(), full.domain()), ("alice", Some("example.org")));
        let bare = Username::normalise(b"alice", None).unwrap();
        assert_eq!((bare.local(), bare.domain()), ("alice", None));
    }

    #[test]
    fn a_byte_is_what_its_character_is() {
        for byte in u8::MIN..=u8::MAX {
            let character = char::from(byte);
            let expected =
                if byte.is_ascii() && allowed(character) { byte.to_ascii_lowercase() } else { REFUSED };
            assert_eq!(normal(byte), expected, "{character:?}");
        }
    }

    #[test]
    fn names_of_all_lengths_are_the_same_in_both_ways() {
        for length in 0..2 * LONGEST {
            for name in ["a".repeat(length), format!("{}@x", "a".repeat(length))] {
                for domain in [None, Some("x"), Some("mail.example.org")] {
                    assert_same(name.as_bytes(), domain);
                }
            }
        }
    }

    #[test]
    fn usual_names_take_the_short_way() {
        let mut room = [0; LONGEST];
        for name in ["alice@example.org", "Alice@Example.ORG", "o'brien+lists", "a.b-c_d=e~!#$&^@x"] {
            assert!(usual(name.as_bytes(), Some("example.org"), &mut room).is_some(), "{name}");
        }
        assert_eq!(usual("ren\u{e9}@example.org".as_bytes(), None, &mut room), None);
    }

    proptest! {
        #[test]
        fn both_ways_come_to_the_same(
            name in "[A-Za-z0-9.@+%/ ]{0,40}|[.@a]{0,5}|[a.@]{240,270}|\\PC{0,40}",
            domain in prop::option::of("|[.@a]{0,3}|Example\\.org|[a-z]{1,20}\\.org|\\PC{0,10}"),
        ) {
            assert_same(name.as_bytes(), domain.as_deref());
        }

        #[test]
        fn both_ways_come_to_the_same_for_any_bytes(name in any::<Vec<u8>>()) {
            assert_same(&name, None);
            assert_same(&name, Some("example.org"));
        }

        #[test]
        fn a_normal_form_is_its_own_normal_form(typed in any::<Vec<u8>>()) {
            if let Ok(name) = Username::normalise(&typed, None) {
                let again = Username::normalise(name.as_str().as_bytes(), None).unwrap();
                prop_assert_eq!(&again, &name);
                let marks = ['/', '\t', '\n', '\r', '\0', '\u{1}', ' '];
                prop_assert!(!name.as_str().contains(marks));
            }
        }

        #[test]
        fn text_of_any_script_has_one_normal_form(typed in "\\PC{0,40}") {
            if let Ok(name) = Username::normalise(typed.as_bytes(), None) {
                let again = Username::normalise(name.as_str().as_bytes(), None).unwrap();
                prop_assert_eq!(again, name);
            }
        }
    }

    fn assert_same(name: &[u8], domain: Option<&str>) {
        let mut room = NameRoom::new();
        let short = Username::normalised(name, domain, &mut room).map(str::to_owned);
        assert_eq!(short, spelt_out(name, domain), "{} {domain:?}", name.escape_ascii());
    }
}
