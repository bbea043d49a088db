//! PLAIN (RFC 4616).

use std::fmt;

use memchr::memchr;

use crate::error::Malformed;
use crate::secret::Secret;
use crate::text::Shown;

use super::RESPONSE;

/// `[authzid] NUL authcid NUL password`
///
/// An empty password is read like any other: that it is never right is for the decision to say, for all mechanisms.
/// Whether names are valid UTF-8 is decided where they are normalised.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    /// Whom they want to be; empty: themselves.
    pub authzid: &'a [u8],
    /// Who proves it. Not empty.
    pub authcid: &'a [u8],
    /// How.
    pub password: &'a [u8],
}

impl<'a> Plain<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes with exactly two NULs. With a third one it would be anybody's
    /// guess where the password ends.
    pub fn parse(response: &'a [u8]) -> Result<Self, Malformed> {
        if response.len() > RESPONSE {
            return Err(Malformed::new("PLAIN", "at most 8192 bytes"));
        }
        let malformed = Malformed::new("PLAIN", "[authzid] NUL authcid NUL password");
        let (authzid, rest) = halves(response).ok_or(malformed)?;
        let (authcid, password) = halves(rest).ok_or(malformed)?;
        if authcid.is_empty() || memchr(0, password).is_some() {
            return Err(malformed);
        }
        Ok(Self { authzid, authcid, password })
    }

    /// The response that [`Plain::parse`] reads as the same three. Fails where there is none.
    pub fn encode(&self) -> Result<Secret, Malformed> {
        let response = Secret::new([self.authzid, self.authcid, self.password].join(&0));
        Plain::parse(response.expose())?;
        Ok(response)
    }
}

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("authzid", &Shown(self.authzid))
            .field("authcid", &Shown(self.authcid))
            .finish_non_exhaustive()
    }
}

fn halves(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at(memchr(0, bytes)?);
    Some((before, after.get(1..)?))
}
