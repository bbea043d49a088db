//! Base64: how SASL data travels.

use std::fmt;

use base64_simd::{Out, STANDARD as BASE64};
use bytes::BytesMut;

use crate::error::Malformed;
use crate::secret::{Held, Scratch, Secret};

/// Appends `bytes` in the base64 of RFC 4648 section 4, padded.
pub fn base64_into(bytes: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.resize(start + BASE64.encoded_length(bytes.len()), 0);
    if let Some(room) = out.get_mut(start..) {
        let _ = BASE64.encode(bytes, Out::from_slice(room));
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
        let mut bytes = vec![0; BASE64.estimated_decoded_length(self.0.len())];
        let size = self.read(&mut bytes);
        bytes.truncate(size.unwrap_or(0));
        // Wiped also where the decoder has given up half-way.
        let secret = Secret::new(bytes);
        size.map(|_| secret)
    }

    /// The same for one that is only looked at: it is there for as long as what is given is held, and wiped then.
    #[inline]
    pub fn decode_into<'s>(&self, scratch: &'s mut Scratch) -> Result<Held<'s>, Malformed> {
        let mut held = scratch.hold(BASE64.estimated_decoded_length(self.0.len()));
        let size = self.read(held.room())?;
        held.is(size);
        Ok(held)
    }

    /// Into room that has been made to measure.
    fn read(&self, room: &mut [u8]) -> Result<usize, Malformed> {
        match self.0 {
            b"=" => Ok(0),
            text => match BASE64.decode(text, Out::from_slice(room)) {
                Ok(bytes) => Ok(bytes.len()),
                Err(_) => Err(Malformed::new("base64", "canonical base64 (RFC 4648 section 4)")),
            },
        }
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

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::{Encoded, base64_into};
    use crate::secret::Scratch;

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648 section 10
        for (value, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(value.as_bytes()), text.as_bytes());
            assert_eq!(decoded(text.as_bytes()).as_deref(), Some(value.as_bytes()));
        }
    }

    #[test]
    fn base64_goes_behind_what_is_there() {
        let mut out = BytesMut::from("CONT\t1\t");
        base64_into(b"Password:", &mut out);
        assert_eq!(out, "CONT\t1\tUGFzc3dvcmQ6");
    }

    /// CVE-2026-33603 began with base64 that two readers read differently.
    #[test]
    fn a_value_has_one_base64_and_no_other() {
        for text in [
            "Zg",
            "Zg=",
            "Zg===",
            "Zh==",
            "Zm9=",
            "Zg==Zg==",
            "Zg==\r",
            " Zg==",
            "Zg ==",
            "Zm9v=",
            "==",
            "===",
            "====",
            "=Zg=",
            "Z",
            "-_-_",
            "!!!!",
            "#",
            "Zg\x01=\x01=",
            "Zm\x01t9",
            "\0",
            "Zm9v\0",
        ] {
            assert_eq!(decoded(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn nothing_and_a_single_equals_sign_are_both_empty_but_only_nothing_is_blank() {
        for (text, blank) in [(&b""[..], true), (b"=", false)] {
            assert_eq!(decoded(text).as_deref(), Some(&b""[..]));
            assert_eq!(Encoded::of_field(text).is_blank(), blank);
        }
    }

    #[test]
    fn base64_to_be_sent_cannot_leave_its_field() {
        for byte in u8::MIN..=u8::MAX {
            assert_eq!(Encoded::new(&[byte]).is_err(), b"\t\r\n".contains(&byte), "byte {byte:#04x}");
        }
    }

    proptest! {
        #[test]
        fn base64_comes_back(value: Vec<u8>) {
            prop_assert_eq!(decoded(&base64(&value)), Some(value));
        }

        #[test]
        fn base64_that_can_be_read_is_the_one_that_would_be_written(text in "[A-Za-z0-9+/]{0,9}={0,3}") {
            if text != "=" && let Some(value) = decoded(text.as_bytes()) {
                prop_assert_eq!(base64(&value), text.as_bytes());
            }
        }

        /// Many bytes are read at once, in ways that depend on the processor: nothing slips through between them.
        #[test]
        fn a_byte_that_is_no_base64_is_seen_wherever_it_stands(
            value in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, byte: u8,
        ) {
            let mut text = base64(&value);
            let expected = STANDARD.encode(&value);
            prop_assert_eq!(&text, expected.as_bytes());
            let place = at.index(text.len());
            text[place] = byte;
            if text != b"=" {
                prop_assert_eq!(decoded(&text), STANDARD.decode(&text).ok());
            }
        }
    }

    fn base64(value: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        base64_into(value, &mut out);
        out.to_vec()
    }

    /// Both ways, which must not differ.
    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let text = Encoded::of_field(text);
        let owned = text.decode().ok().map(|secret| secret.expose().to_vec());
        let mut scratch = Scratch::new();
        let held = text.decode_into(&mut scratch).ok().map(|held| held.expose().to_vec());
        assert_eq!(owned, held);
        owned
    }
}
