//! `saslname` (RFC 5801 section 4): a name between commas.
//!
//! In it `=2C` is a comma and `=3D` an equals sign; neither stands there by itself, nor does NUL, nor nothing at all.

use std::borrow::Cow;

/// The name as it was meant. `None` if it was not written as it must be: each has one spelling only.
pub(super) fn unescape(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !name.iter().any(|byte| matches!(byte, b'=' | b',' | 0)) {
        return (!name.is_empty()).then_some(Cow::Borrowed(name));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'=', [b'2', b'C', after @ ..]) => {
                plain.push(b',');
                after
            }
            (b'=', [b'3', b'D', after @ ..]) => {
                plain.push(b'=');
                after
            }
            (b'=' | b',' | 0, _) => return None,
            (byte, after) => {
                plain.push(byte);
                after
            }
        };
    }
    Some(Cow::Owned(plain))
}

/// Appends the name as it is written.
pub(super) fn escape(name: &[u8], out: &mut Vec<u8>) {
    for &byte in name {
        match byte {
            b',' => out.extend_from_slice(b"=2C"),
            b'=' => out.extend_from_slice(b"=3D"),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{escape, unescape};

    #[test]
    fn commas_and_equals_signs_are_written_otherwise_and_nothing_else_is() {
        for (written, plain) in [
            (&b"alice@example.org"[..], Some(&b"alice@example.org"[..])),
            (b"=2C", Some(b",")),
            (b"=3D", Some(b"=")),
            (b"=3D2C", Some(b"=2C")),
            (b"a=2Cb=3Dc", Some(b"a,b=c")),
            (b"\xc3\xa4", Some(b"\xc3\xa4")),
            (b"", None),
            (b"=", None),
            (b"=2", None),
            (b"=2c", None),
            (b"=3d", None),
            (b"=41", None),
            (b"a,b", None),
            (b"a=b", None),
            (b"a\0b", None),
        ] {
            assert_eq!(unescape(written).as_deref(), plain, "{}", written.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn comes_back(name in prop::collection::vec(1_u8.., 1..20)) {
            let mut written = Vec::new();
            escape(&name, &mut written);
            let plain = unescape(&written);
            prop_assert_eq!(plain.as_deref(), Some(&name[..]));
        }
    }
}
