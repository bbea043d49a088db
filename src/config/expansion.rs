//! Postfix's own way of putting a key into a query: `%s`, `%u`, `%d` and the others.
//!
//! What belongs to a part that the key does not have is no query at all: `%d` for a name without a domain. Postfix does
//! the same (`mysql_table(5)`, `ldap_table(5)`).

use gatepost_protocol::postfix::address::halves;

use super::problem::{Wrong, quoted};

/// A text with expansions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion(Vec<Piece>);

/// One piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text that stands for itself.
    Text(String),
    /// What is put in.
    Of(Of),
}

/// What is put in. In a query the value is the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// `%s`: the value.
    Value,
    /// `%u`: what stands before its `@`; all of it, where it has none.
    ValueLocal,
    /// `%d`: what stands behind it.
    ValueDomain,
    /// `%S`: the key.
    Key,
    /// `%U`: what stands before its `@`; all of it, where it has none.
    KeyLocal,
    /// `%D`: what stands behind it.
    KeyDomain,
    /// `%1` to `%9`: a label of the key's domain, counted from the right.
    KeyLabel(u8),
}

/// What expansions are about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What is looked up. Not empty.
    pub key: &'a str,
    /// What was found; in a query the key. Not empty.
    pub value: &'a str,
}

impl<'a> Subject<'a> {
    /// A key that is looked up.
    pub const fn key(key: &'a str) -> Self {
        Self { key, value: key }
    }

    /// The part of it. `None`: it has no such part.
    pub fn part(&self, of: Of) -> Option<&'a str> {
        let part = match of {
            Of::Value => self.value,
            Of::Key => self.key,
            Of::ValueLocal => halves(self.value).0,
            Of::KeyLocal => halves(self.key).0,
            Of::ValueDomain => halves(self.value).1?,
            Of::KeyDomain => halves(self.key).1?,
            Of::KeyLabel(number) => {
                let mut labels = halves(self.key).1?.rsplit('.').filter(|label| !label.is_empty());
                labels.nth(usize::from(number).checked_sub(1)?)?
            }
        };
        Some(part).filter(|part| !part.is_empty())
    }
}

impl Expansion {
    /// Text, the expansions and `%%` for a percent sign.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut signs = text.chars();
        while let Some(sign) = signs.next() {
            let of = match (sign, (sign == '%').then(|| signs.next()).flatten()) {
                ('%', Some('%')) => {
                    literal.push('%');
                    continue;
                }
                ('%', Some('s')) => Of::Value,
                ('%', Some('u')) => Of::ValueLocal,
                ('%', Some('d')) => Of::ValueDomain,
                ('%', Some('S')) => Of::Key,
                ('%', Some('U')) => Of::KeyLocal,
                ('%', Some('D')) => Of::KeyDomain,
                ('%', Some(digit @ '1'..='9')) => {
                    Of::KeyLabel(digit.to_digit(10).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(1))
                }
                ('%', other) => {
                    let seen = other.map_or_else(|| "%".to_owned(), |other| format!("%{other}"));
                    let remedy = "known are %s %u %d %S %U %D and %1 to %9; write %% for a percent sign";
                    return Err(Wrong::new(
                        format!("holds {}, which stands for nothing", quoted(&seen)),
                        remedy,
                    ));
                }
                _ => {
                    literal.push(sign);
                    continue;
                }
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Of(of));
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// One of this text, which is one.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| panic!("no expansion: {text}"))
    }

    /// Its pieces in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether there is anything to put in.
    pub fn is_dynamic(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Of(_)))
    }

    /// Puts the parts in, each by `put`. `None`: there is no such part.
    pub fn expand(&self, subject: &Subject<'_>, put: impl Fn(&str, &mut String)) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Of(of) => put(subject.part(*of)?, &mut text),
            }
        }
        Some(text)
    }

    /// Puts the parts in as they are.
    pub fn plain(&self, subject: &Subject<'_>) -> Option<String> {
        self.expand(subject, |part, text| text.push_str(part))
    }
}

#[cfg(test)]
mod tests {
    use super::{Expansion, Subject};

    /// As `db_common(3)` of Postfix has it.
    #[test]
    fn expansions_are_those_of_postfix() {
        for (text, key, expected) in [
            ("%s", "anna@mail.example.org", Some("anna@mail.example.org")),
            ("%u at %d", "anna@mail.example.org", Some("anna at mail.example.org")),
            ("%U at %D %S", "anna@example.org", Some("anna at example.org anna@example.org")),
            ("%1 %2 %3", "anna@mail.example.org", Some("org example mail")),
            ("%4", "anna@mail.example.org", None),
            ("%2", "anna@example..org", Some("example")),
            ("%u", "anna", Some("anna")),
            ("%d", "anna", None),
            ("%1", "example.org", None),
            ("%s", "@example.org", Some("@example.org")),
            ("%d", "@example.org", Some("example.org")),
            ("%u", "@example.org", None),
            ("%u", "anna@", Some("anna")),
            ("%d", "anna@", None),
            ("%d", "a@b@example.org", Some("example.org")),
            ("%u", "a@b@example.org", Some("a@b")),
            ("100%%s %%", "anna", Some("100%s %")),
            ("", "anna", Some("")),
        ] {
            assert_eq!(Expansion::of(text).plain(&Subject::key(key)).as_deref(), expected, "{text} of {key}");
        }
        for text in ["%", "%x", "%0", "a % b", "%%%"] {
            assert!(Expansion::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn in_a_result_small_letters_are_of_the_value_and_capitals_of_the_key() {
        let subject = Subject { key: "sales@example.org", value: "anna@example.net" };
        let plain = |text| Expansion::of(text).plain(&subject);
        assert_eq!(plain("%u+%U@%d").as_deref(), Some("anna+sales@example.net"));
        assert_eq!(plain("smtp:[%s] %D %2").as_deref(), Some("smtp:[anna@example.net] example.org example"));
        assert!(Expansion::of("%d").plain(&Subject { value: "anna", ..subject }).is_none());
        assert!(Expansion::of("x%S").is_dynamic() && !Expansion::of("x%%").is_dynamic());
    }
}
