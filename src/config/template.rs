//! Texts with holes: `/var/vmail/{domain}/{local}`.

use super::problem::Wrong;

/// A text with names in braces. What is put in for a name is never looked at for names again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Literal(String),
    /// `{name}`: a column of the user's row, or `user`, `local` or `domain`.
    Name(String),
    /// `{name:-text}`: the same, and this text where there is no such value, or an empty one.
    NameOr(String, String),
}

impl Template {
    /// Literal text, `{name}` and `{name:-text}`; `{{` and `}}` stand for one brace, but not within that text, which
    /// goes up to the next brace.
    pub(super) fn parse(text: &str) -> Result<Self, Wrong> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(after) = from.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or_else(|| {
                    Wrong::new("has an open brace that is never closed", "write {name}, or {{ for a brace")
                })?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(hole(name)?);
                rest = after;
            } else {
                return Err(Wrong::new("has a closing brace that nothing opens", "write }} for a brace"));
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }

    /// A template of this text, which is one.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| panic!("no template: {text}"))
    }

    /// Its parts in order. No two literals follow each other, and none is empty.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The names in it, as often as they occur.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Name(name) | Part::NameOr(name, _) => Some(name.as_str()),
        })
    }

    /// Puts in a value for each name.
    ///
    /// # Errors
    ///
    /// The first name that `value` has none for, and the template neither.
    pub fn expand<'a, 'v>(
        &'a self,
        mut value: impl FnMut(&str) -> Option<&'v [u8]>,
    ) -> Result<Vec<u8>, &'a str> {
        let mut text = Vec::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.extend_from_slice(literal.as_bytes()),
                Part::Name(name) => text.extend_from_slice(value(name).ok_or(name.as_str())?),
                Part::NameOr(name, default) => {
                    let value = value(name).filter(|value| !value.is_empty());
                    text.extend_from_slice(value.unwrap_or(default.as_bytes()));
                }
            }
        }
        Ok(text)
    }
}

/// What stands between two braces: `name` or `name:-text`.
fn hole(text: &str) -> Result<Part, Wrong> {
    let (name, default) = match text.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (text, None),
    };
    if !is_name(name) {
        return Err(Wrong::new(
            "has something in braces that is no name",
            "write a column's name in them, of letters, digits, _ - . and ; or {{ for a brace",
        ));
    }
    let name = name.to_owned();
    match default {
        None => Ok(Part::Name(name)),
        Some(default) if default.contains('{') => {
            let what = "has a brace in the text that stands in for a missing value";
            Err(Wrong::new(what, "write plain text behind the :-"))
        }
        Some(default) => Ok(Part::NameOr(name, default.to_owned())),
    }
}

/// `1*64(ALPHA / DIGIT / "_" / "-" / "." / ";")`: SQL columns and LDAP attributes with options.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Part {
        Part::Literal(text.to_owned())
    }

    fn name(text: &str) -> Part {
        Part::Name(text.to_owned())
    }

    fn name_or(text: &str, default: &str) -> Part {
        Part::NameOr(text.to_owned(), default.to_owned())
    }

    #[test]
    fn braces_hold_names_and_double_braces_stand_for_one() {
        let known = [
            ("", vec![]),
            ("5000", vec![literal("5000")]),
            ("{user}", vec![name("user")]),
            ("/m/{domain}/{local}", vec![literal("/m/"), name("domain"), literal("/"), name("local")]),
            ("*:bytes={mailQuota;x-a}", vec![literal("*:bytes="), name("mailQuota;x-a")]),
            ("a{{b}}c", vec![literal("a{b}c")]),
            ("{{{user}}}", vec![literal("{"), name("user"), literal("}")]),
            ("{q:-0}B", vec![name_or("q", "0"), literal("B")]),
            ("{q:-}", vec![name_or("q", "")]),
            ("{q:-a:-b c%}", vec![name_or("q", "a:-b c%")]),
        ];
        for (text, parts) in known {
            assert_eq!(Template::parse(text).unwrap().parts(), parts, "{text}");
        }
        for text in [
            "{", "}", "{}", "a{b", "a}b", "{a b}", "{a{b}}", "{user}}", "{%u}", "{ü}", "{:-x}", "{a:-{b}}",
            "{a:-b", "{a:b}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_put_in_as_they_are() {
        let template = Template::parse("/m/{domain}/{local}").unwrap();
        let value = |name: &str| match name {
            "domain" => Some(b"{local}".as_slice()),
            "local" => Some(b"\xff{{".as_slice()),
            _ => None,
        };
        assert_eq!(template.expand(value).unwrap(), b"/m/{local}/\xff{{");
        assert_eq!(template.expand(|name| (name == "domain").then_some(b"d".as_slice())), Err("local"));
        assert_eq!(template.names().collect::<Vec<_>>(), ["domain", "local"]);

        let template = Template::parse("<{quota:-10M}>").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["quota"]);
        for (value, expected) in
            [(Some("5M"), "<5M>"), (Some(""), "<10M>"), (None, "<10M>"), (Some("{x}"), "<{x}>")]
        {
            assert_eq!(template.expand(|_| value.map(str::as_bytes)), Ok(expected.into()));
        }
    }
}
