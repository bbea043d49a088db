//! Dovecot's auth protocols (major version 1), for both ends: the daemon reads commands and writes replies, its
//! command line, tests and benchmarks do the reverse.
//!
//! - [`auth`] and [`reply`]: the auth-client protocol, which login processes, Postfix and Exim speak.
//! - [`master`]: the auth-master and auth-userdb protocol, which post-login processes, LMTP and doveadm speak.
//! - [`fields`] and [`params`]: the `key=value` lists at the end of the lines of both.
//!
//! All lines are a word and parameters with TABs between; each parameter is tab-escaped (see
//! [`text`](crate::text)). Parsers take a line without its end, encoders write it with LF. What a parser does not
//! know inside a list it keeps; a word it does not know, and anything left over, is [`Malformed`].
//!
//! ```
//! use bytes::BytesMut;
//! use gatepost_protocol::dovecot::{Fields, auth, reply};
//! use gatepost_protocol::error::Malformed;
//! use gatepost_protocol::sasl::Plain;
//!
//! # fn main() -> Result<(), Malformed> {
//! let line = b"AUTH\t1\tPLAIN\tservice=imap\tsecured\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==";
//! let auth::Command::Auth(auth) = auth::Command::parse(line)? else { unreachable!() };
//! assert_eq!(auth.params.service().as_deref(), Some(&b"imap"[..]));
//!
//! // What follows may fail through the remote user's fault: the connection goes on.
//! let response = auth.response.map(|response| response.decode()).transpose()?;
//! let plain = Plain::parse(response.as_ref().map_or(b"", |response| response.expose()))?;
//! assert_eq!(plain.authcid, b"alice");
//!
//! let mut out = BytesMut::new();
//! reply::ok(&mut out, auth.id, plain.authcid, Fields::default());
//! assert_eq!(out, "OK\t1\tuser=alice\n");
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Write as _};
use std::num::NonZeroU32;

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;
use crate::text::{decimal, hex, sixteen};

pub mod auth;
pub mod fields;
mod grammar;
pub mod master;
pub mod mech;
pub mod params;
pub mod reply;
#[cfg(test)]
mod testing;

pub use self::fields::{Field, Fields, FieldsBuf};
pub use self::mech::{MechFlag, MechFlags};
pub use self::params::{Params, Secured};
pub use self::reply::FailCode;

/// `"VERSION" TAB <major> TAB <minor>`. The major versions of both ends must be the same, the minor ones tell
/// what the other end understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1 for all protocols here.
    pub major: u32,
    /// 2 in Dovecot 2.3, 3 in 2.4, 4 since 2.4.4.
    pub minor: u32,
}

impl Version {
    /// Version `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    fn encode(self, out: &mut BytesMut) {
        put(out, format_args!("VERSION\t{}\t{}\n", self.major, self.minor));
    }
}

/// Number of a request on its connection, drawn by the peer: decimal, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(NonZeroU32);

impl RequestId {
    /// `None` for 0.
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for RequestId {
    type Error = Malformed;

    fn try_from(id: u32) -> Result<Self, Malformed> {
        Self::new(id).ok_or(Malformed::new("id", "1 to 4294967295"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a login process shows, by way of the post-login process, to prove that a login is its own: 16 random
/// bytes a connection, 32 hexadecimal digits on the wire.
#[derive(Clone, Copy)]
pub struct Cookie([u8; 16]);

impl Cookie {
    /// A cookie of these bytes, which must come from a secure source.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes themselves. Each call is a place to review.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads exactly 32 hexadecimal digits, of either case.
    pub fn parse(hex: &[u8]) -> Result<Self, Malformed> {
        sixteen(hex).map(Self).ok_or(Malformed::new("cookie", "32 hexadecimal digits"))
    }

    fn encode(&self, out: &mut BytesMut) {
        // Every connection is greeted with one: formatting it would cost more than an answer from memory.
        out.put_slice(self.0.map(hex).as_flattened());
    }
}

/// Looks at all bytes, whichever differs. Where a peer's cookie is judged, compare
/// [`as_bytes`](Cookie::as_bytes) with a crate made for that.
impl PartialEq for Cookie {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (one, two)| differing | (one ^ two)) == 0
    }
}

impl Eq for Cookie {}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

/// Appends formatted text; a `BytesMut` grows, so this cannot fail.
fn put(out: &mut BytesMut, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Appends a word with its TAB and the id, which is how most lines begin.
#[inline]
fn put_head<const N: usize>(out: &mut BytesMut, word: &[u8; N], id: RequestId) {
    out.put_slice(word);
    out.put_slice(decimal(id.get().into(), &mut [0; DIGITS]));
}

/// As many digits as a u32 has.
const DIGITS: usize = 10;

/// Appends a word with its TAB, a number and the end of the line.
fn put_number<const N: usize>(out: &mut BytesMut, word: &[u8; N], number: u32) {
    out.put_slice(word);
    out.put_slice(decimal(number.into(), &mut [0; DIGITS]));
    out.put_u8(b'\n');
}

/// Appends TAB and the list, or nothing for an empty one.
fn put_fields(out: &mut BytesMut, fields: Fields<'_>) {
    if !fields.is_empty() {
        out.put_u8(b'\t');
        out.put_slice(fields.raw());
    }
}

/// Appends `TAB key=value`, the value escaped.
fn put_field(out: &mut BytesMut, key: &str, value: &[u8]) {
    out.put_u8(b'\t');
    out.put_slice(key.as_bytes());
    out.put_u8(b'=');
    crate::text::escape_into(value, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::written;
    use super::{Cookie, RequestId};

    #[test]
    fn zero_is_no_id() {
        assert_eq!(RequestId::new(0), None);
        assert!(RequestId::try_from(0).is_err());
        assert_eq!(RequestId::try_from(u32::MAX).unwrap().to_string(), "4294967295");
        assert_eq!(RequestId::new(7).unwrap().get(), 7);
    }

    #[test]
    fn a_cookie_is_32_hexadecimal_digits() {
        let hex = b"eF6696d2e670ddD76a7ed133ec372910";
        let cookie = Cookie::parse(hex).unwrap();
        assert_eq!(cookie.as_bytes()[..3], [0xef, 0x66, 0x96]);
        assert_eq!(written(|out| cookie.encode(out)), hex.to_ascii_lowercase());
        for wrong in [
            &b""[..],
            &hex[..31],
            &hex[..30],
            b"eF6696d2e670ddD76a7ed133ec3729100",
            b"eF6696d2e670ddD76a7ed133ec37291000",
            b"eF6696d2e670ddD76a7ed133ec37291g",
            b"+F6696d2e670ddD76a7ed133ec372910",
            b" F6696d2e670ddD76a7ed133ec372910",
        ] {
            assert!(Cookie::parse(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn cookies_differ_by_any_bit() {
        let cookie = Cookie::new([0x5a; 16]);
        for bit in 0..128 {
            let mut bytes = [0x5a; 16];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Cookie::new(bytes), cookie, "bit {bit}");
        }
        assert_eq!(Cookie::new([0x5a; 16]), cookie);
    }

    proptest! {
        #[test]
        fn a_cookie_comes_back(bytes: [u8; 16]) {
            let hex = written(|out| Cookie::new(bytes).encode(out));
            let cookie = Cookie::parse(&hex).unwrap();
            prop_assert_eq!(cookie.as_bytes(), &bytes);
        }
    }
}
