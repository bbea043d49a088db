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
        Ok(Self(name.into()))
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

    use super::{InvalidName, Username};

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

    proptest! {
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
}
