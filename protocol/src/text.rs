//! The two encodings that lines are made of: tab-escaping for values, base64 for SASL data.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, BytesMut};
use memchr::memchr;
use zeroize::Zeroizing;

use crate::error::Malformed;
use crate::secret::Secret;

/// Announces an escaped byte.
const ESCAPE: u8 = 0x01;

/// Appends `value`, tab-escaped: NUL, 0x01, TAB, CR and LF become 0x01 and one of `0 1 t r n`.
///
/// What comes out holds neither a TAB nor a line end, whatever went in.
pub fn escape_into(value: &[u8], out: &mut BytesMut) {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|&byte| letter_of(byte).is_some()) {
        let (plain, special) = rest.split_at(at);
        out.put_slice(plain);
        rest = match special.split_first() {
            Some((&byte, after)) => {
                out.put_u8(ESCAPE);
                out.put_u8(letter_of(byte).unwrap_or(byte));
                after
            }
            None => special,
        };
    }
    out.put_slice(rest);
}

/// Takes tab-escaping off `value`. Borrows unless there is something to take off.
///
/// As in Dovecot, 0x01 before any other byte than `0 1 t r n` stands for that byte, and 0x01 with nothing
/// after it stands for nothing. With these two rules it does not matter whether a field is split at its `=`
/// before or after this.
pub fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(ESCAPE, value) else {
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

/// Appends `bytes` in the base64 of RFC 4648 section 4, padded.
pub fn base64_into(bytes: &[u8], out: &mut BytesMut) {
    let start = out.len();
    let Some(size) = base64::encoded_len(bytes.len(), true) else {
        return; // More than the address space holds: such a slice does not exist.
    };
    out.resize(start + size, 0);
    if let Some(room) = out.get_mut(start..) {
        // The room has just been made to measure.
        let _ = BASE64.encode_slice(bytes, room);
    }
}

/// Base64 text as it stood on the wire: what a remote user answered, not yet looked at.
///
/// That it may be no base64 at all is the remote user's fault and never the peer's, who only hands it on. So it is
/// kept as it came, and [`Encoded::decode`] is where it fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// The text to send, usually made by [`base64_into`]. It may be wrong base64, but it must stay within its
    /// field: no TAB, CR, LF.
    pub fn new(text: &'a [u8]) -> Result<Self, Malformed> {
        if text.iter().any(|byte| matches!(byte, b'\t' | b'\r' | b'\n')) {
            return Err(Malformed::new("base64", "no TAB, CR, LF"));
        }
        Ok(Self(text))
    }

    /// Takes over one field of a line, which holds neither TAB nor LF.
    pub(crate) const fn of_field(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// What it stands for. The alphabet, the padding and the unused last bits must be exactly as
    /// RFC 4648 section 4 has them, so that there is one text for each value.
    ///
    /// Nothing at all and a single `=` are both empty: the one is what Dovecot sends, the other is how SMTP
    /// (RFC 4954 section 4) and so Postfix write it.
    pub fn decode(&self) -> Result<Secret, Malformed> {
        if matches!(self.0, b"" | b"=") {
            return Ok(Secret::new(Vec::new()));
        }
        // Decoded in memory that is wiped, also when the decoder gives up half-way.
        let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(self.0.len())]);
        let size = BASE64
            .decode_slice(self.0, &mut bytes)
            .map_err(|_| Malformed::new("base64", "canonical base64 (RFC 4648 section 4)"))?;
        bytes.truncate(size);
        Ok(Secret::new(std::mem::take(&mut *bytes)))
    }

    /// Whether there is no text at all, as in `resp=`. Clients below minor version 2 mean "no initial response"
    /// by it, the others an empty one.
    pub const fn is_blank(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is the `#` that Dovecot 2.4 puts in place of base64 in an exchange that the remote does not see.
    pub const fn is_out_of_band(&self) -> bool {
        matches!(self.0, b"#")
    }

    /// The text itself, as secret as what it stands for. Each call is a place to review.
    pub const fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoded(..)")
    }
}

/// Bytes for a Debug: quoted, everything but printable ASCII escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
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
