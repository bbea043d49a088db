//! Socketmap: `socketmap:inet:host:port:name` and `socketmap:unix:path:name` in Postfix, since 2.10.
//!
//! Each message is one [netstring]. A connection is shared by all maps of an endpoint, with one request
//! at a time. Postfix makes 451 of every reply but `OK` and `NOTFOUND`, and of a connection that is closed twice in a row.
//!
//! <https://www.postfix.org/socketmap_table.5.html>

use std::fmt;

use bytes::{BufMut as _, BytesMut};
use memchr::memchr;

use crate::error::Malformed;
use crate::scan::find;
use crate::text::Shown;

use super::{REASON, netstring, printable};

/// Longest payload of a request, in bytes. Postfix since 3.12 asks for keys of at most 10,000 bytes, before that for
/// any, but none comes near.
pub const REQUEST: usize = 65_536;

/// Longest payload of a reply, in bytes: Postfix reads no more, and calls anything longer a temporary failure.
pub const REPLY: usize = 100_000;

/// `<name> SP <key>`: what is in the map of that name?
///
/// The key is what Postfix has, whole and in the case in which it has it: an address, a domain, a login. It may hold
/// blanks and quotes (`"a b"@example.org`, and then `a b@example.org`), and be empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// What stands before the first blank. Empty if Postfix was told of a map without a name.
    pub name: &'a [u8],
    /// What stands behind it.
    pub key: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads the payload of a netstring. Refuses NUL, which neither Postfix nor a directory can have in a text.
    ///
    /// # Errors
    ///
    /// [`Malformed`] is the peer's fault, and the connection must end.
    #[inline]
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        const REQUEST: Malformed = Malformed::new("socketmap request", "<name> SP <key>, without NUL");
        let end = find(b' ', payload).ok_or(REQUEST)?;
        let (name, key) = payload.split_at(end);
        let key = key.get(1..).unwrap_or_default();
        if find(0, payload).is_some() {
            return Err(REQUEST);
        }
        Ok(Self { name, key })
    }

    /// Appends the netstring. Fails, and appends nothing, where it would be read as something else.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), Malformed> {
        let length = self.name.len() + 1 + self.key.len();
        if length > REQUEST || find(b' ', self.name).is_some() {
            return Err(Malformed::new(
                "socketmap request",
                "a name without blanks, and at most 65536 bytes",
            ));
        }
        if memchr(0, self.name).or(memchr(0, self.key)).is_some() {
            return Err(Malformed::new("socketmap request", "no NUL"));
        }
        netstring::begin(length, out);
        out.put_slice(self.name);
        out.put_u8(b' ');
        out.put_slice(self.key);
        out.put_u8(b',');
        Ok(())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("name", &Shown(self.name)).field("key", &Shown(self.key)).finish()
    }
}

/// What a map has to say. Reasons are for Postfix's log and for nobody else.
///
/// Debug shows no value: there are maps of passwords (`smtp_sasl_password_maps`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `"OK" SP <value>`: the key is there. Of several addresses, all with `, ` between. See [`Reply::sendable`].
    Ok(&'a [u8]),
    /// `"NOTFOUND" SP`: the key is not there, and whoever knows said so.
    NotFound,
    /// `"TEMP" SP <reason>`: nobody could say.
    Temp(&'a [u8]),
    /// `"TIMEOUT" SP <reason>`: nobody said anything in time. The same to Postfix.
    Timeout(&'a [u8]),
    /// `"PERM" SP <reason>`: there is no such map, or it cannot be asked that. To Postfix as temporary as the others.
    Perm(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// The reply that [`Reply::encode`] writes of this one: the same, unless it is a value that Postfix would not read
    /// as it is. An empty one is a configuration error to it, one with a NUL ends there, one too long is lost with its
    /// connection; `TEMP` is said instead of all of these, for nobody knows that the key is not there.
    #[inline]
    #[must_use]
    pub fn sendable(self) -> Self {
        match self {
            Self::Ok([]) => Self::Temp(b"the value is empty"),
            Self::Ok(value) if value.len() > REPLY - OK.len() => Self::Temp(b"the value is too long"),
            Self::Ok(value) if has_nul(value) => Self::Temp(b"the value holds a NUL"),
            Self::Ok(_) | Self::NotFound | Self::Temp(_) | Self::Timeout(_) | Self::Perm(_) => self,
        }
    }

    /// Appends the netstring. Of reasons, at most 200 bytes are sent, and `?` for whatever is not printable ASCII.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        match self.sendable() {
            Self::Ok(value) => {
                netstring::begin(OK.len() + value.len(), out);
                out.put_slice(OK);
                out.put_slice(value);
                out.put_u8(b',');
            }
            Self::NotFound => out.put_slice(b"9:NOTFOUND ,"),
            Self::Temp(reason) => put_failure(b"TEMP ", reason, out),
            Self::Timeout(reason) => put_failure(b"TIMEOUT ", reason, out),
            Self::Perm(reason) => put_failure(b"PERM ", reason, out),
        }
    }

    /// Reads the payload of a netstring as Postfix 3.12 does: the word exactly, and a blank behind it.
    /// Only `NOTFOUND` does without the blank.
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (word, text) = match find(b' ', payload) {
            Some(end) => (payload.get(..end).unwrap_or_default(), payload.get(end + 1..)),
            None => (payload, None),
        };
        match (word, text) {
            (b"OK", Some(value)) if Self::Ok(value).sendable() == Self::Ok(value) => Ok(Self::Ok(value)),
            (b"OK", _) => Err(Malformed::new("OK", "SP <value>, not empty, without NUL")),
            (b"NOTFOUND", _) => Ok(Self::NotFound),
            (b"TEMP", Some(reason)) => Ok(Self::Temp(reason)),
            (b"TIMEOUT", Some(reason)) => Ok(Self::Timeout(reason)),
            (b"PERM", Some(reason)) => Ok(Self::Perm(reason)),
            _ => Err(Malformed::new("socketmap reply", "OK, NOTFOUND, TEMP, TIMEOUT or PERM, and a blank")),
        }
    }
}

const OK: &[u8] = b"OK ";

/// Most values are an address or two, and some are as long as [`REPLY`].
#[inline]
fn has_nul(value: &[u8]) -> bool {
    const SHORT: usize = 64;
    if value.len() <= SHORT { find(0, value).is_some() } else { memchr(0, value).is_some() }
}

fn put_failure(word: &[u8], reason: &[u8], out: &mut BytesMut) {
    netstring::begin(word.len() + reason.len().min(REASON), out);
    out.put_slice(word);
    out.extend(printable(reason));
    out.put_u8(b',');
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok(value) => write!(f, "Ok({} bytes)", value.len()),
            Self::NotFound => f.write_str("NotFound"),
            Self::Temp(reason) => f.debug_tuple("Temp").field(&Shown(reason)).finish(),
            Self::Timeout(reason) => f.debug_tuple("Timeout").field(&Shown(reason)).finish(),
            Self::Perm(reason) => f.debug_tuple("Perm").field(&Shown(reason)).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
