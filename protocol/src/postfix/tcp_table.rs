//! The tables that Postfix calls `tcp:host:port`: one table at each port, no names, and no Unix sockets.
//!
//! Messages are lines, cut by [`Lines`](crate::frame::Lines). Socketmap is better in all respects: here, Postfix waits
//! 10 s in vain for a server that is away.
//!
//! <https://www.postfix.org/tcp_table.5.html>

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;
use crate::scan::find;
use crate::text::Shown;

use super::printable;

mod percent;

use self::percent::{decode, encode_into, encoded_len};

/// Longest request, in bytes without its LF. Postfix has no limit; three bytes for each of a key come nowhere near.
pub const REQUEST: usize = 16_384;

/// Longest reply, in bytes without its LF: with it, Postfix reads 4096.
pub const REPLY: usize = 4095;

/// One line from Postfix. Keys are `%XX`-coded.
#[derive(Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// `"get" SP <key>`: what is under that key? It may be empty.
    Get(Cow<'a, [u8]>),
    /// `"put" SP <key> SP <value>`: never sent, and not looked at any further. The description has it answered by 500,
    /// that is [`Reply::NotFound`].
    Put,
}

impl<'a> Request<'a> {
    /// Reads a line without its end. A key is decoded, without a copy if nothing in it is coded.
    ///
    /// # Errors
    ///
    /// [`Malformed`] is the peer's fault, and the connection must end: for a `%` without two hexadecimal digits, for
    /// blanks that are not coded, for NUL, coded or not, and for what is neither `get` nor `put`.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        match line {
            [b'g', b'e', b't', b' ', key @ ..] => {
                const KEY: Malformed = Malformed::new("get", "one %XX-coded key, without NUL");
                if key.iter().any(u8::is_ascii_whitespace) {
                    return Err(KEY);
                }
                let key = decode(key).ok_or(KEY)?;
                if find(0, &key).is_some() { Err(KEY) } else { Ok(Self::Get(key)) }
            }
            [b'p', b'u', b't', b' ', ..] => Ok(Self::Put),
            _ => Err(Malformed::new("line", "get SP <key>")),
        }
    }

    /// Appends the line with its LF. A [`Put`](Self::Put) is one of an empty value under an empty key.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Get(key) => {
                out.put_slice(b"get ");
                encode_into(key, out);
                out.put_u8(b'\n');
            }
            Self::Put => out.put_slice(b"put  \n"),
        }
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) => f.debug_tuple("Get").field(&Shown(key)).finish(),
            Self::Put => f.write_str("Put"),
        }
    }
}

/// What the table has to say. Debug shows no value, as of [`socketmap::Reply`](super::socketmap::Reply).
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `"200" SP <value>`: the key is there. See [`Reply::sendable`].
    Ok(Cow<'a, [u8]>),
    /// `"500" SP <text>`: the key is not there, and whoever knows said so.
    NotFound,
    /// `"400" SP <reason>`: nobody could say. Postfix then connects anew for its next request.
    Temp(Cow<'a, [u8]>),
}

impl<'a> Reply<'a> {
    /// The reply that [`Reply::encode`] writes of this one: the same, unless it is a value that Postfix would not read
    /// as it is, because it is empty, holds a NUL, or makes a line of more than 4096 bytes once it is coded.
    #[must_use]
    pub fn sendable(self) -> Self {
        let Self::Ok(value) = &self else { return self };
        let reason: &[u8] = match &**value {
            [] => b"the value is empty",
            value if encoded_len(value) > REPLY - b"200 ".len() => b"the value is too long",
            value if find(0, value).is_some() => b"the value holds a NUL",
            _ => return self,
        };
        Self::Temp(Cow::Borrowed(reason))
    }

    /// Appends the line with its LF. Of reasons, at most 200 bytes are sent, and `?` for whatever is not printable
    /// ASCII.
    pub fn encode(&self, out: &mut BytesMut) {
        let borrowed = match self {
            Self::Ok(value) => Reply::Ok(Cow::Borrowed(value)),
            Self::NotFound => Reply::NotFound,
            Self::Temp(reason) => Reply::Temp(Cow::Borrowed(reason)),
        };
        match borrowed.sendable() {
            Reply::Ok(value) => {
                out.put_slice(b"200 ");
                encode_into(&value, out);
            }
            Reply::NotFound => out.put_slice(b"500 not%20found"),
            Reply::Temp(reason) => {
                out.put_slice(b"400 ");
                for byte in printable(&reason) {
                    encode_into(&[byte], out);
                }
            }
        }
        out.put_u8(b'\n');
    }

    /// Reads a line without its end as Postfix does: three digits, of which the first one counts, a blank of any kind,
    /// and a text in which every `%` has its two digits. An empty value, which it calls an error later on, is one here.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        const REPLY: Malformed = Malformed::new("tcp_table reply", "200, 400 or 500, SP, and %XX-coded text");
        let [first, b'0'..=b'9', b'0'..=b'9', b' ' | b'\t' | b'\x0b' | b'\x0c' | b'\r', text @ ..] = line
        else {
            return Err(REPLY);
        };
        let text = decode(text).ok_or(REPLY)?;
        match first {
            b'2' if text.is_empty() || find(0, &text).is_some() => {
                Err(Malformed::new("200", "SP <value>, not empty, without NUL"))
            }
            b'2' => Ok(Self::Ok(text)),
            b'4' => Ok(Self::Temp(text)),
            b'5' => Ok(Self::NotFound),
            _ => Err(REPLY),
        }
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(value) => write!(f, "Ok({} bytes)", value.len()),
            Self::NotFound => f.write_str("NotFound"),
            Self::Temp(reason) => f.debug_tuple("Temp").field(&Shown(reason)).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
