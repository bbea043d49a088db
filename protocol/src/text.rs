//! The encodings that lines are made of: tab-escaping for values, base64 for SASL data, hex for sixteen bytes.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::scan::{Marks, any_mark, find};

mod encoded;

pub use self::encoded::{Encoded, base64_into};

/// Announces an escaped byte.
const ESCAPE: u8 = 0x01;

/// Appends `value`, tab-escaped: NUL, 0x01, TAB, CR and LF become 0x01 and one of `0 1 t r n`.
///
/// What comes out holds neither a TAB nor a line end, whatever went in.
#[inline]
pub fn escape_into(value: &[u8], out: &mut BytesMut) {
    if any_mark(value) { escape_marks(value, out) } else { out.put_slice(value) }
}

fn escape_marks(value: &[u8], out: &mut BytesMut) {
    let mut from = 0;
    for at in Marks::of(value) {
        if let Some(letter) = value.get(at).and_then(|&byte| letter_of(byte)) {
            out.put_slice(value.get(from..at).unwrap_or_default());
            out.put_slice(&[ESCAPE, letter]);
            from = at + 1;
        }
    }
    out.put_slice(value.get(from..).unwrap_or_default());
}

/// Takes tab-escaping off `value`. Borrows unless there is something to take off.
///
/// As in Dovecot, 0x01 before any other byte than `0 1 t r n` stands for that byte, and 0x01 with nothing
/// after it stands for nothing. With these two rules it does not matter whether a field is split at its `=`
/// before or after this.
pub fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find(ESCAPE, value) else {
        return Cow::Borrowed(value);
    };
    let (plain, rest) = value.split_at(first);
    let mut decoded = Vec::with_capacity(value.len());
    decoded.extend_from_slice(plain);
    let mut bytes = rest.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == ESCAPE {
            decoded.extend(bytes.next().map(byte_of));
        } else {
            decoded.push(byte);
        }
    }
    Cow::Owned(decoded)
}

/// Bytes for a Debug: quoted, everything but printable ASCII escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Sixteen bytes in exactly 32 hexadecimal digits, of either case.
pub(crate) fn sixteen(hex: &[u8]) -> Option<[u8; 16]> {
    let (pairs, []) = hex.as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

/// A number as text, without the machinery of formatting. Room for fewer digits than it has gets the last ones.
#[inline]
pub(crate) fn decimal<const N: usize>(mut number: u64, room: &mut [u8; N]) -> &[u8] {
    let mut first = room.len();
    for (at, place) in room.iter_mut().enumerate().rev() {
        *place = b"0123456789".get((number % 10) as usize).copied().unwrap_or_default();
        (number, first) = (number / 10, at);
        if number == 0 {
            break;
        }
    }
    room.get(first..).unwrap_or_default()
}

/// Two hexadecimal digits, in lower case.
pub(crate) const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

pub(crate) const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What follows 0x01 in place of `byte`; `None` for a byte that goes as it is.
const fn letter_of(byte: u8) -> Option<u8> {
    match byte {
        b'\0' => Some(b'0'),
        ESCAPE => Some(b'1'),
        b'\t' => Some(b't'),
        b'\r' => Some(b'r'),
        b'\n' => Some(b'n'),
        _ => None,
    }
}

/// The byte that 0x01 and `letter` stand for.
const fn byte_of(letter: u8) -> u8 {
    match letter {
        b'0' => b'\0',
        b'1' => ESCAPE,
        b't' => b'\t',
        b'r' => b'\r',
        b'n' => b'\n',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{escape_into, unescape};

    #[test]
    fn escapes_as_dovecot_does() {
        let table: [(&[u8], &[u8]); 6] = [
            (b"", b""),
            (b"thunderbird", b"thunderbird"),
            (b"thunder\tbird", b"thunder\x01tbird"),
            (b"Come back\tlater", b"Come back\x01tlater"),
            (b"\0\x01\t\r\n", b"\x010\x011\x01t\x01r\x01n"),
            (b"\x01t", b"\x011t"),
        ];
        for (value, text) in table {
            assert_eq!(escaped(value), text);
            assert_eq!(unescape(text), value);
        }
    }

    #[test]
    fn each_of_the_256_bytes_survives_and_none_breaks_the_line() {
        for byte in u8::MIN..=u8::MAX {
            for value in [&[byte][..], &[b'a', byte], &[byte, b'0'], &[byte, byte]] {
                let text = escaped(value);
                assert!(!text.iter().any(|byte| b"\0\t\r\n".contains(byte)), "byte {byte:#04x}");
                assert_eq!(unescape(&text), value, "byte {byte:#04x}");
            }
        }
    }

    #[test]
    fn an_escape_nobody_writes_is_read_as_dovecot_reads_it() {
        let table: [(&[u8], &[u8]); 6] = [
            (b"\x01x", b"x"),
            (b"a\x01=b", b"a=b"),
            (b"\x01\x01", b"\x01"),
            (b"\x01\x01t", b"\x01t"),
            (b"\x01", b""),
            (b"cut off\x01", b"cut off"),
        ];
        for (text, value) in table {
            assert_eq!(unescape(text), value, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_value_without_escapes_is_not_copied() {
        assert!(matches!(unescape(b"alice@example.org"), Cow::Borrowed(_)));
        assert!(matches!(unescape(b"alice\x01t"), Cow::Owned(_)));
    }

    proptest! {
        #[test]
        fn unescaping_undoes_escaping(value: Vec<u8>) {
            let text = escaped(&value);
            prop_assert_eq!(&*unescape(&text), &value[..]);
        }

        #[test]
        fn escaping_undoes_unescaping_of_what_was_escaped(value: Vec<u8>) {
            let text = escaped(&value);
            prop_assert_eq!(escaped(&unescape(&text)), text);
        }

        #[test]
        fn any_text_can_be_unescaped_and_never_grows(text in prop::collection::vec(0_u8..4, 0..40)) {
            prop_assert!(unescape(&text).len() <= text.len());
        }
    }

    fn escaped(value: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        escape_into(value, &mut out);
        out.to_vec()
    }
}
