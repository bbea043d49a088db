//! How material is written as text: base64, hex, and the base64 of crypt(3).

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::{Scheme, Unusable};

/// Bytes that are wiped on drop.
pub(super) type Wiped = Zeroizing<Vec<u8>>;

/// How the text after the head is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As the scheme has it when nothing is said.
    Default,
    /// `.b64` or `.base64`.
    Base64,
    /// `.hex`.
    Hex,
}

impl Encoding {
    /// The suffix of a scheme's name, without the dot, ignoring case.
    pub(super) fn named(suffix: &[u8]) -> Option<Self> {
        let known: [(&[u8], Self); 3] =
            [(b"b64", Self::Base64), (b"base64", Self::Base64), (b"hex", Self::Hex)];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix)).map(|(_, encoding)| encoding)
    }

    /// The material: bytes of a digest, or the text that crypt(3) and argon2 take.
    pub(super) fn decode(self, scheme: Scheme, text: &[u8]) -> Result<Wiped, Unusable> {
        let malformed = |expected| Unusable::Malformed { scheme: scheme.name(), expected };
        match self {
            Self::Base64 => base64(text).ok_or(malformed("base64")),
            Self::Hex => hex(text).ok_or(malformed("hex")),
            Self::Default => match scheme.form() {
                Form::Text => Ok(Zeroizing::new(text.to_vec())),
                // As Dovecot guesses: what has the length of the digest in hex is hex, if it can be.
                Form::Digest(length) if text.len() == length * 2 => {
                    hex(text).or_else(|| base64(text)).ok_or(malformed("hex or base64"))
                }
                Form::Digest(_) | Form::DigestAndSalt => base64(text).ok_or(malformed("base64")),
            },
        }
    }
}

/// What the material of a scheme is.
enum Form {
    /// Text, stored as it is.
    Text,
    /// A digest of so many bytes.
    Digest(usize),
    /// A digest and a salt after it.
    DigestAndSalt,
}

impl Scheme {
    fn form(self) -> Form {
        match self {
            Self::DigestMd5 | Self::LdapMd5 | Self::PlainMd4 | Self::PlainMd5 => Form::Digest(16),
            Self::Sha1 => Form::Digest(20),
            Self::CramMd5 | Self::Sha256 => Form::Digest(32),
            Self::Sha512 => Form::Digest(64),
            Self::Smd5 | Self::Ssha | Self::Ssha256 | Self::Ssha512 => Form::DigestAndSalt,
            Self::Argon2i
            | Self::Argon2id
            | Self::BlfCrypt
            | Self::Crypt
            | Self::DesCrypt
            | Self::Md5
            | Self::Md5Crypt
            | Self::Otp
            | Self::Pbkdf2
            | Self::Plain
            | Self::ScramSha1
            | Self::ScramSha256
            | Self::Sha256Crypt
            | Self::Sha512Crypt => Form::Text,
        }
    }
}

/// Standard alphabet. Padding may be missing and stray bits are let pass: other people's tools wrote the text, and
/// what it decodes to is compared in full.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64.
pub(super) fn base64(text: &[u8]) -> Option<Wiped> {
    BASE64.decode(text).ok().map(Zeroizing::new)
}

/// Decodes hex, either case.
pub(super) fn hex(text: &[u8]) -> Option<Wiped> {
    let nibble = |&byte: &u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((nibble(high)? << 4) | nibble(low)?),
        _ => None,
    };
    text.chunks(2).map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// The digits of crypt(3)'s base64, in order.
const CRYPT64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of one digit of crypt(3)'s base64.
pub(super) fn crypt64_digit(digit: u8) -> Option<u32> {
    CRYPT64.iter().position(|&known| known == digit).and_then(|value| u32::try_from(value).ok())
}

/// Whether there is nothing in it but digits of crypt(3)'s base64.
pub(super) fn is_crypt64(text: &[u8]) -> bool {
    text.iter().all(|&digit| crypt64_digit(digit).is_some())
}

/// The number in at most five digits of crypt(3)'s base64, the least significant first.
pub(super) fn crypt64_number(digits: &[u8]) -> Option<u32> {
    digits.iter().rev().try_fold(0, |value, &digit| Some(value << 6 | crypt64_digit(digit)?))
}

/// The digit of crypt(3)'s base64 for the lowest six bits of `value`.
pub(super) fn crypt64_letter(value: u64) -> u8 {
    let [.., six] = value.to_be_bytes();
    CRYPT64.get(usize::from(six & 0x3f)).copied().unwrap_or_default()
}

/// Decodes crypt(3)'s base64: its own alphabet, the least significant six bits first, no padding, no stray bits.
pub(super) fn crypt64(text: &[u8]) -> Option<Wiped> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 6 / 8));
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &digit in text {
        bits |= crypt64_digit(digit)? << held;
        held += 6;
        if held >= 8 {
            bytes.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            held -= 8;
        }
    }
    (bits == 0 && held < 6).then_some(bytes)
}

/// Encodes as crypt(3)'s base64.
pub(super) fn crypt64_text(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 4 / 3 + 1));
    for group in bytes.chunks(3) {
        let mut value = group.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        for _ in 0..=group.len() {
            text.push(crypt64_letter(value).into());
            value >>= 6;
        }
    }
    text
}

/// The bytes in the order in which crypt(3) writes them.
pub(super) fn reorder<const N: usize>(bytes: &[u8; N], order: &[u8; N]) -> Zeroizing<[u8; N]> {
    Zeroizing::new(order.map(|at| bytes.get(usize::from(at)).copied().unwrap_or_default()))
}

/// A decimal number as crypt(3) and argon2 write it: one to ten digits, no sign, no leading zero.
pub(super) fn number(text: &[u8]) -> Option<u32> {
    let plain =
        matches!(text, [b'1'..=b'9', rest @ ..] if rest.len() < 10 && rest.iter().all(u8::is_ascii_digit));
    if !plain {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
