//! Netstrings: messages that begin with their length.
//!
//! <https://cr.yp.to/proto/netstrings.txt>

use bytes::{BufMut as _, BytesMut};

use crate::error::{Broken, Malformed, TooLong};
use crate::text::decimal;

/// Digits of a length that are looked at, leading zeros too: as many as a u64 has.
const DIGITS: usize = 20;

/// Cuts netstrings with payloads of at most `limit` bytes off a buffer: `<decimal length> ":" <payload> ","`
///
/// Nothing is ever allocated for a length that was announced; a buffer grows by what has arrived and by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Netstrings {
    limit: usize,
}

impl Netstrings {
    /// Netstrings of at most `limit` bytes, without their length, colon and comma.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the first netstring off `buf` and gives its payload. `None`, and `buf` as it was, while it has not fully
    /// arrived. To call this again costs no more than to read the length again.
    ///
    /// The length may have leading zeros, as Postfix has it, but must have a digit.
    ///
    /// # Errors
    ///
    /// [`Broken`] as soon as it is certain: for a length above the limit before the payload has come, and even before
    /// the last of its digits.
    #[inline]
    pub fn cut<'a>(&self, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
        const LENGTH: Malformed = Malformed::new("netstring", "<decimal length> \":\"");
        let mut length = 0_usize;
        for (at, &byte) in buf.iter().enumerate() {
            match byte {
                b'0'..=b'9' if at < DIGITS => {
                    length = length.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                    if length > self.limit {
                        return Err(TooLong { limit: self.limit }.into());
                    }
                }
                b':' if at > 0 => return payload(length, at + 1, buf),
                _ => return Err(LENGTH.into()),
            }
        }
        Ok(None)
    }
}

/// So many bytes of `buf` from `start` on, and the comma behind them.
#[inline]
fn payload<'a>(length: usize, start: usize, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
    let arrived = buf.get(start..).unwrap_or_default();
    match arrived.split_at_checked(length) {
        Some((payload, [b',', rest @ ..])) => {
            *buf = rest;
            Ok(Some(payload))
        }
        Some((_, [])) | None => Ok(None),
        Some((_, [_, ..])) => Err(Malformed::new("netstring", "a comma behind the payload").into()),
    }
}

/// Appends `payload` as a netstring. Whether its reader takes one so long is for the caller to know.
pub fn encode(payload: &[u8], out: &mut BytesMut) {
    begin(payload.len(), out);
    out.put_slice(payload);
    out.put_u8(b',');
}

/// Appends the length and the colon, and makes room for so many bytes and the comma, which are to follow.
#[inline]
pub(super) fn begin(length: usize, out: &mut BytesMut) {
    let mut digits = [0; DIGITS];
    let digits = decimal(length as u64, &mut digits);
    out.reserve(digits.len() + length + 2);
    out.put_slice(digits);
    out.put_u8(b':');
}

#[cfg(test)]
pub(crate) mod tests;
