//! `%XX`-coding, as Postfix's `hex_quote(3)` does it.

use std::borrow::Cow;

use bytes::{BufMut as _, BytesMut};

use crate::scan::find;
use crate::text::{hex, nibble};

/// Whether `byte` goes as it is: printable ASCII but for the blank and `%`.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && byte != b'%'
}

/// Appends `text`, coded, with hexadecimal digits in upper case.
pub(super) fn encode_into(text: &[u8], out: &mut BytesMut) {
    for run in text.chunk_by(|&one, &other| is_plain(one) && is_plain(other)) {
        match run {
            [byte] if !is_plain(*byte) => {
                out.put_u8(b'%');
                out.put_slice(&hex(*byte).map(|digit| digit.to_ascii_uppercase()));
            }
            plain => out.put_slice(plain),
        }
    }
}

/// How many bytes that appends.
pub(super) fn encoded_len(text: &[u8]) -> usize {
    text.iter().map(|&byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

/// Takes the coding off. Borrows unless there is something to take off; digits may be of either case, and what should have
/// been coded is left as it is. `None` for a `%` without two digits.
pub(super) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(first) = find(b'%', text) else {
        return Some(Cow::Borrowed(text));
    };
    let (plain, mut rest) = text.split_at(first);
    let mut decoded = Vec::with_capacity(text.len());
    decoded.extend_from_slice(plain);
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                decoded.push(nibble(*high)? << 4 | nibble(*low)?);
                after
            }
            (b'%', _) => return None,
            _ => {
                decoded.push(*byte);
                after
            }
        };
    }
    Some(Cow::Owned(decoded))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{decode, encode_into, encoded_len};

    #[test]
    fn codes_as_postfix_does() {
        let table: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"bob@example.test", b"bob@example.test"),
            (b"a b%c@x.test", b"a%20b%25c@x.test"),
            (b"alice@example.test, bob@example.test", b"alice@example.test,%20bob@example.test"),
            (b"\t\r\n\0\x7f", b"%09%0D%0A%00%7F"),
            (b"\xc3\xa9%%", b"%C3%A9%25%25"),
            (b"!\"#$&'()*+,-./:;<=>?[\\]^_`{|}~", b"!\"#$&'()*+,-./:;<=>?[\\]^_`{|}~"),
        ];
        for (text, coded) in table {
            assert_eq!(encoded(text), coded);
            assert_eq!(decode(coded).as_deref(), Some(text));
        }
    }

    #[test]
    fn digits_are_of_either_case_and_there_are_two() {
        assert_eq!(decode(b"%c3%A9%aF").as_deref(), Some(&b"\xc3\xa9\xaf"[..]));
        assert_eq!(decode(b"not coded\xff").as_deref(), Some(&b"not coded\xff"[..]));
        assert_eq!(decode(b"%2520").as_deref(), Some(&b"%20"[..]));
        for coded in [&b"%"[..], b"a%", b"%2", b"%2g", b"%g2", b"%%20", b"% 2", b"%+2", b"%20%"] {
            assert_eq!(decode(coded), None, "{}", coded.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_coded_is_not_copied() {
        assert!(matches!(decode(b"bob@example.test"), Some(Cow::Borrowed(_))));
        assert!(matches!(decode(b"a%20b"), Some(Cow::Owned(_))));
    }

    proptest! {
        #[test]
        fn comes_back(text in prop::collection::vec(prop_oneof![Just(b'%'), 0x20_u8..0x7f, any::<u8>()], 0..40)) {
            let coded = encoded(&text);
            prop_assert!(coded.iter().all(u8::is_ascii_graphic));
            prop_assert_eq!(coded.len(), encoded_len(&text));
            prop_assert_eq!(decode(&coded), Some(Cow::Borrowed(&text[..])));
        }
    }

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode_into(text, &mut out);
        out.to_vec()
    }
}
