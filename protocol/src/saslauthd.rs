//! The protocol of Cyrus SASL's saslauthd, for both ends: what `pwcheck_method: saslauthd` speaks, in Postfix with
//! `smtpd_sasl_type = cyrus`, in Cyrus IMAP, OpenLDAP and others.
//!
//! A connection is one [`Request`] and one [`Reply`], over a Unix socket. A connection that is closed without a reply is a
//! temporary failure to the peer, and it waits for as long as there is neither.
//!
//! ```
//! use bytes::BytesMut;
//! use gatepost_protocol::error::Broken;
//! use gatepost_protocol::saslauthd::{Reply, Request};
//!
//! # fn main() -> Result<(), Broken> {
//! let mut arrived = &b"\0\x05alice\0\x06secret\0\x04smtp\0\x0bexample.org"[..];
//! let Some(request) = Request::cut(&mut arrived)? else { unreachable!() };
//! assert_eq!(*request.user(), *b"alice@example.org");
//! assert_eq!(request.password.expose(), b"secret");
//!
//! let mut out = BytesMut::new();
//! Reply::Ok.encode(&mut out);
//! assert_eq!(out, &b"\0\x02OK"[..]);
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use bytes::{BufMut as _, BytesMut};
use nom::combinator::verify;
use nom::multi::length_data;
use nom::number::streaming::be_u16;
use nom::{IResult, Parser as _};

use crate::error::{Broken, Malformed, TooLong};
use crate::scan::find;
use crate::secret::Secret;
use crate::text::Shown;

/// Longest of the four strings, in bytes. Cyrus SASL's library sends less than this in all, its own saslauthd reads 256 of
/// each; tokens in place of passwords want more.
pub const FIELD: usize = 8192;

/// Longest request, in bytes. So much may have to be held for a peer.
pub const REQUEST: usize = 4 * (2 + FIELD);

/// Longest reply, in bytes without its length: the library's buffer has one more.
pub const REPLY: usize = 1023;

/// Four times `<length> <bytes>`, for login, password, service and realm. Lengths are two bytes, the higher one first.
pub struct Request<'a> {
    /// What stands before the last `@` of what the remote has typed, or all of it.
    pub login: &'a [u8],
    /// Copied, and wiped on drop. What it was copied from is for the caller to wipe.
    pub password: Secret,
    /// Of the program that asks: `smtp`, `imap`, `ldap`. May be empty.
    pub service: &'a [u8],
    /// What stands behind the last `@`, or else what is configured for the program (`smtpd_sasl_local_domain`).
    /// Mostly empty then.
    pub realm: &'a [u8],
}

impl<'a> Request<'a> {
    /// Takes a request off `buf`. `None`, and `buf` as it was, while it has not fully arrived. What is behind it is for
    /// [`remote`] to look at.
    ///
    /// # Errors
    ///
    /// [`Broken`] is the peer's fault, and the connection must end: for a string above [`FIELD`] as soon as its length has
    /// come, and for a NUL in any of them, before which C programs take a text to end.
    pub fn cut(buf: &mut &'a [u8]) -> Result<Option<Self>, Broken> {
        let Some((rest, strings)) = strings(buf)? else { return Ok(None) };
        let [login, password, service, realm] = strings;
        if [login, password, service, realm].iter().any(|string| find(0, string).is_some()) {
            return Err(NUL.into());
        }
        *buf = rest;
        Ok(Some(Self { login, password: Secret::new(password.to_vec()), service, realm }))
    }

    /// How many bytes the request takes that `buf` begins with; `None` while it has not fully arrived. No password is copied
    /// for that.
    ///
    /// # Errors
    ///
    /// [`TooLong`] as of [`Request::cut`], which also has a look at what the strings hold.
    pub fn length(buf: &[u8]) -> Result<Option<usize>, TooLong> {
        Ok(strings(buf)?.map(|(rest, _)| buf.len() - rest.len()))
    }

    /// Whom the remote says to be: the login, with `@` and the realm behind it if there is a realm.
    ///
    /// Also if the login has an `@` already. The library has split what was typed at its last `@`, so `a@b` with the realm
    /// `c` was `a@b@c`, and that is who is logged in if the password is right. Whoever took it for `a@b` would let one user
    /// in under the name of another.
    pub fn user(&self) -> Cow<'a, [u8]> {
        match self.realm {
            [] => Cow::Borrowed(self.login),
            realm => Cow::Owned([self.login, realm].join(&b'@')),
        }
    }

    /// The request as [`Request::cut`] reads it. Fails where it would not be read.
    pub fn encode(&self) -> Result<Secret, Malformed> {
        let strings = [self.login, self.password.expose(), self.service, self.realm];
        if strings.iter().any(|string| string.len() > FIELD) {
            return Err(Malformed::new("saslauthd request", "at most 8192 bytes in each string"));
        }
        if strings.iter().any(|string| find(0, string).is_some()) {
            return Err(NUL);
        }
        // Made to measure: a vector that grows leaves copies of the password behind.
        let mut request = Vec::with_capacity(strings.iter().map(|string| 2 + string.len()).sum());
        for string in strings {
            // Above the limit there is none any more.
            request.put_u16(u16::try_from(string.len()).unwrap_or(u16::MAX));
            request.put_slice(string);
        }
        Ok(Secret::new(request))
    }
}

const NUL: Malformed = Malformed::new("saslauthd request", "no NUL");

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("login", &Shown(self.login))
            .field("service", &Shown(self.service))
            .field("realm", &Shown(self.realm))
            .finish_non_exhaustive()
    }
}

/// The remote's address, from what stands behind a request: one more string, `<address> ";" <port>`.
///
/// Cyrus SASL's development version sends it (what may become 2.2; 2.1.28 does not), in one write with the rest. So either
/// it has arrived together with the request or there is none, and nobody need wait for it.
pub fn remote(rest: &[u8]) -> Option<IpAddr> {
    let (_, string) = field(rest).ok()?;
    let address = string.get(..find(b';', string)?)?;
    std::str::from_utf8(address).ok()?.parse().ok()
}

/// What is behind the four strings, and these.
type Strings<'a> = (&'a [u8], [&'a [u8]; 4]);

/// The strings at the beginning of `buf`.
fn strings(buf: &[u8]) -> Result<Option<Strings<'_>>, TooLong> {
    match (field, field, field, field).parse(buf) {
        Ok((rest, (login, password, service, realm))) => Ok(Some((rest, [login, password, service, realm]))),
        Err(nom::Err::Incomplete(_)) => Ok(None),
        Err(nom::Err::Error(()) | nom::Err::Failure(())) => Err(TooLong { limit: FIELD }),
    }
}

/// `<length> <bytes>`
fn field(input: &[u8]) -> IResult<&[u8], &[u8], ()> {
    length_data(verify(be_u16, |&length| usize::from(length) <= FIELD)).parse(input)
}

/// `<length> <word> [SP <text>]`, of which the library looks at the first two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// `OK`
    Ok,
    /// `NO`: not with this password, or not at all. Permanent: who cannot say closes the connection instead.
    No,
}

impl Reply {
    /// Appends the reply, with its length.
    pub fn encode(self, out: &mut BytesMut) {
        out.put_slice(match self {
            Self::Ok => b"\0\x02OK",
            Self::No => b"\0\x02NO",
        });
    }

    /// Takes a reply off `buf`. `None`, and `buf` as it was, while it has not fully arrived.
    ///
    /// # Errors
    ///
    /// [`Broken`] for one above [`REPLY`], and for one that begins with neither word: a temporary failure to the library.
    pub fn cut(buf: &mut &[u8]) -> Result<Option<Self>, Broken> {
        const WORD: Malformed = Malformed::new("saslauthd reply", "OK or NO");
        let text: IResult<_, _, ()> =
            length_data(verify(be_u16, |&length| usize::from(length) <= REPLY)).parse(*buf);
        let (rest, text): (_, &[u8]) = match text {
            Ok(read) => read,
            Err(nom::Err::Incomplete(_)) => return Ok(None),
            Err(nom::Err::Error(()) | nom::Err::Failure(())) => return Err(TooLong { limit: REPLY }.into()),
        };
        let reply = match text {
            [b'O', b'K', ..] => Self::Ok,
            [b'N', b'O', ..] => Self::No,
            _ => return Err(WORD.into()),
        };
        *buf = rest;
        Ok(Some(reply))
    }
}

#[cfg(test)]
mod tests;
