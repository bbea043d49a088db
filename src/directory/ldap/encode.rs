//! The one way of a value into a filter or a DN. Values are never pasted: each byte that could mean something where the
//! value is put becomes a pair of hexadecimal digits, which means that byte and nothing else.
//!
//! Where a value may be put, `config` has made sure of: inside an assertion value or an attribute value.

use crate::{
    config::{Expansion, Part, Subject, Template},
    username::Username,
};

/// A filter (RFC 4515) for one user. `None`: it needs a domain, and the name has none.
pub(super) fn filter(template: &Template, user: &Username) -> Option<String> {
    render(template, user, filter_value)
}

/// A DN (RFC 4514) of one user. `None`: it needs a domain, and the name has none.
pub(super) fn dn(template: &Template, user: &Username) -> Option<String> {
    render(template, user, dn_value)
}

/// A filter for a key of a table. `None`: the key has not all that it needs.
pub(super) fn map_filter(expansion: &Expansion, key: &str) -> Option<String> {
    expansion.expand(&Subject::key(key), |part, text| filter_value(part.as_bytes(), text))
}

/// A DN for a key of a table. `None`: the key has not all that it needs.
pub(super) fn map_base(expansion: &Expansion, key: &str) -> Option<String> {
    expansion.expand(&Subject::key(key), |part, text| dn_value(part.as_bytes(), text))
}

/// `valueencoding` of RFC 4515, for any bytes: letters, digits and `@ . - _` as they are, everything else as `\xx`.
pub(super) fn filter_value(value: &[u8], into: &mut String) {
    for &byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'.' | b'-' | b'_') {
            into.push(char::from(byte));
        } else {
            hex(byte, into);
        }
    }
}

/// `string` of RFC 4514, for any bytes, in the same manner.
fn dn_value(value: &[u8], into: &mut String) {
    // The same bytes mean nothing in a DN either, wherever they stand, and a pair of digits is a byte there too.
    filter_value(value, into);
}

fn render(template: &Template, user: &Username, encode: fn(&[u8], &mut String)) -> Option<String> {
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Name(name) => encode(value(name, user)?.as_bytes(), &mut text),
            // What stands in is a value as well, and no part of the filter or the DN.
            Part::NameOr(name, other) => encode(value(name, user).unwrap_or(other).as_bytes(), &mut text),
        }
    }
    Some(text)
}

fn value<'u>(name: &str, user: &'u Username) -> Option<&'u str> {
    match name {
        "user" => Some(user.as_str()),
        "local" => Some(user.local()),
        // The configuration lets no other name pass.
        _ => user.domain(),
    }
}

fn hex(byte: u8, into: &mut String) {
    into.push('\\');
    for digit in [byte >> 4, byte & 15] {
        into.extend(char::from_digit(u32::from(digit), 16));
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::{ASNTag as _, PL, StructureTag};
    use proptest::prelude::*;

    use super::{Expansion, dn_value, filter_value, map_filter};

    fn encoded(value: &[u8], encode: fn(&[u8], &mut String)) -> String {
        let mut text = String::new();
        encode(value, &mut text);
        text
    }

    /// Attribute and value of `(uid=value)`, as they are sent.
    fn sent(filter: &str) -> (u64, Vec<Vec<u8>>) {
        let tag: StructureTag = ldap3::parse_filter(filter).unwrap().into_structure();
        let PL::C(parts) = tag.payload else { panic!("{filter}") };
        let values = parts.into_iter().map(|part| part.expect_primitive().expect("a value")).collect();
        (tag.id, values)
    }

    /// What RFC 4514 2.4 says that the value of an attribute in a DN stands for; `None` where it ends before.
    fn read_dn_value(text: &str) -> Option<Vec<u8>> {
        let mut bytes = text.bytes();
        let mut value = Vec::new();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    let digits = [bytes.next()?, bytes.next()?];
                    value.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                }
                b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'=' | b'#' | b' ' | 0 => return None,
                _ => value.push(byte),
            }
        }
        Some(value)
    }

    #[test]
    fn known_values_are_encoded() {
        for (value, text) in [
            ("alice@example.org", "alice@example.org"),
            ("*)(uid=*", "\\2a\\29\\28uid\\3d\\2a"),
            ("\\00", "\\5c00"),
            ("a b", "a\\20b"),
            ("rené", "ren\\c3\\a9"),
            ("\0", "\\00"),
            ("#a,b+c", "\\23a\\2cb\\2bc"),
        ] {
            assert_eq!(encoded(value.as_bytes(), filter_value), text);
            assert_eq!(encoded(value.as_bytes(), dn_value), text);
        }
    }

    #[test]
    fn each_of_the_256_bytes_stays_a_byte_of_its_value() {
        for byte in 0..=u8::MAX {
            for value in
                [vec![byte], vec![b'a', byte], vec![byte, b'a'], vec![b'a', byte, b'a'], vec![byte; 3]]
            {
                let filter = format!("(uid={})", encoded(&value, filter_value));
                assert_eq!(sent(&filter), (3, vec![b"uid".to_vec(), value.clone()]), "{filter}");
                assert_eq!(read_dn_value(&encoded(&value, dn_value)), Some(value));
            }
        }
    }

    proptest! {
        #[test]
        fn any_value_stays_one_value(value: Vec<u8>) {
            prop_assume!(!value.is_empty());
            let filter = format!("(uid={})", encoded(&value, filter_value));
            prop_assert_eq!(sent(&filter), (3, vec![b"uid".to_vec(), value.clone()]));
            prop_assert_eq!(read_dn_value(&encoded(&value, dn_value)), Some(value));
        }

        #[test]
        fn any_key_of_a_table_stays_a_value(key in "[^@]{1,12}(@[^@.]{1,8}(\\.[^@.]{1,8})?)?") {
            let expansion = Expansion::of("(&(mail=%s)(uid=%u))");
            let filter = map_filter(&expansion, &key).unwrap();
            let local = key.split('@').next().unwrap();
            let parts = ldap3::parse_filter(&filter).unwrap().into_structure();
            let PL::C(parts) = parts.payload else { panic!("{filter}") };
            let value = |part: &StructureTag| match &part.payload {
                PL::C(sides) => match &sides[1].payload {
                    PL::P(bytes) => bytes.clone(),
                    PL::C(_) => panic!("{filter}"),
                },
                PL::P(_) => panic!("{filter}"),
            };
            let values: Vec<_> = parts.iter().map(value).collect();
            prop_assert_eq!(values, [key.as_bytes(), local.as_bytes()]);
        }

        #[test]
        fn the_filter_around_it_stays_as_it_is(value: Vec<u8>) {
            let around = |value: &str| format!("(&(objectClass=person)(|(mail={value})(uid={value}x*)))");
            let shape = |filter: &str| {
                fn count(tag: &StructureTag) -> Vec<u64> {
                    let mut ids = vec![tag.id];
                    if let PL::C(parts) = &tag.payload {
                        ids.extend(parts.iter().flat_map(count));
                    }
                    ids
                }
                count(&ldap3::parse_filter(filter).unwrap().into_structure())
            };
            prop_assert_eq!(shape(&around(&encoded(&value, filter_value))), shape(&around("a")));
        }
    }
}
