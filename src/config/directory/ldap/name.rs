//! Distinguished names (RFC 4514) of the configuration.

use super::holes;
use crate::config::{
    expansion::{Expansion, Piece},
    problem::Wrong,
    template::{Part, Template},
};

/// Stands in a hole. No character of it means anything in a DN, and no text of a configuration has it.
const HOLE: char = '\u{1}';

/// A DN with holes for a user. Each must be within the value of an attribute.
pub(super) fn template(text: &str) -> Result<Template, Wrong> {
    let template = Template::parse(text)?;
    holes(&template)?;
    let mut filled = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(literal) => filled.push_str(literal),
            Part::Name(_) | Part::NameOr(..) => filled.push(HOLE),
        }
    }
    // A control character of the text itself would pass for a hole.
    if text.contains(HOLE) || !is_dn(&filled) {
        return Err(wrong("as in \"uid={local},ou=people,dc=example,dc=org\""));
    }
    Ok(template)
}

/// A DN with expansions of Postfix's, or without. Each must be within the value of an attribute.
pub(in crate::config::directory) fn expansion(text: &str) -> Result<Expansion, Wrong> {
    let expansion = Expansion::parse(text)?;
    let mut filled = String::new();
    for piece in expansion.pieces() {
        match piece {
            Piece::Text(literal) => filled.push_str(literal),
            Piece::Of(_) => filled.push(HOLE),
        }
    }
    if text.contains(HOLE) || !is_dn(&filled) {
        return Err(wrong("as in \"ou=%d,dc=example,dc=org\""));
    }
    Ok(expansion)
}

/// A DN without holes.
pub(super) fn dn(text: &str) -> Result<(), Wrong> {
    if is_dn(text) && !text.contains(HOLE) {
        return Ok(());
    }
    Err(wrong("as in \"ou=people,dc=example,dc=org\""))
}

fn wrong(example: &str) -> Wrong {
    Wrong::new("is no distinguished name", format!("write attributes and values, {example}"))
}

/// `type=value`, joined by `,` and `+`; spaces around them do not matter.
fn is_dn(text: &str) -> bool {
    let mut letters = text.chars().peekable();
    loop {
        let mut kind = String::new();
        loop {
            match letters.next() {
                Some('=') => break,
                Some(letter) => kind.push(letter),
                None => return false,
            }
        }
        let kind = kind.trim_matches(' ');
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
        if kind.is_empty() || !kind.chars().all(fits) {
            return false;
        }
        let mut length = 0;
        let more = loop {
            match letters.next() {
                None => break false,
                Some(',' | '+') => break true,
                // A value in hexadecimal could not have a hole.
                Some('#') if length == 0 => return false,
                Some('"' | ';' | '<' | '>' | '\0') => return false,
                Some('\\') => match (letters.next(), letters.peek()) {
                    (Some(' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\'), _) => length += 1,
                    (Some(high), Some(low)) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                        letters.next();
                        length += 1;
                    }
                    _ => return false,
                },
                Some(' ') => {}
                Some(_) => length += 1,
            }
        };
        if length == 0 {
            return false;
        }
        if !more {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{dn, template};

    #[test]
    fn a_hole_is_where_a_value_is() {
        for text in [
            "uid={local},ou=people,dc=example,dc=org",
            "cn={user},cn=Users,dc=ad",
            "uid={local}, ou={domain}, dc=x",
            "uid={local}+l=x,dc=y",
            "0.9.2342.19200300.100.1.1={user}",
            "cn=a\\,b{local}\\2c,dc=x",
        ] {
            assert!(template(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "{user}",
            "{user}@example.org",
            "{local}=x,dc=y",
            "uid={local},{domain}",
            "uid=\\{local},dc=x",
            "uid=\\2{local},dc=x",
            "uid=#{local},dc=x",
            "uid=\"{local}\",dc=x",
            "uid={local},",
            "uid=alice,dc=x",
            "uid={mail},dc=x",
            "uid=\u{1}{local},dc=x",
        ] {
            assert!(template(text).is_err(), "{text}");
        }
        for text in ["dc=org", "ou=people,dc=example,dc=org", "o=Example\\, Inc."] {
            assert!(dn(text).is_ok(), "{text}");
        }
        for text in ["", "org", "dc=", "dc=a,,dc=b", "example.org"] {
            assert!(dn(text).is_err(), "{text}");
        }
    }
}
