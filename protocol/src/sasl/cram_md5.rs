//! CRAM-MD5 (RFC 2195).

use std::fmt;

use memchr::{memchr, memrchr};

use crate::{
    error::Malformed,
    text::{Shown, hex, sixteen},
};

use super::RESPONSE;

/// `user SP digest`: the digest in 32 digits of hex, in lower case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CramMd5<'a> {
    /// Who proves it. Not empty; may hold spaces.
    pub authcid: &'a [u8],
    /// HMAC-MD5 of the challenge, with the password as its key.
    pub digest: [u8; 16],
}

impl<'a> CramMd5<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes.
    pub fn parse(response: &'a [u8]) -> Result<Self, Malformed> {
        if response.len() > RESPONSE {
            return Err(Malformed::new("CRAM-MD5", "at most 8192 bytes"));
        }
        let malformed = Malformed::new("CRAM-MD5", "<user> <32 hex digits>");
        let (authcid, rest) = response.split_at(memrchr(b' ', response).ok_or(malformed)?);
        let digits = rest.get(1..).filter(|digits| !digits.iter().any(u8::is_ascii_uppercase));
        let digest = digits.and_then(sixteen).ok_or(malformed)?;
        if authcid.is_empty() || memchr(0, authcid).is_some() {
            return Err(malformed);
        }
        Ok(Self { authcid, digest })
    }

    /// The response that [`CramMd5::parse`] reads as the same.
    pub fn encode(&self) -> Vec<u8> {
        let mut response = self.authcid.to_vec();
        response.push(b' ');
        response.extend_from_slice(self.digest.map(hex).as_flattened());
        response
    }
}

impl fmt::Debug for CramMd5<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CramMd5").field("authcid", &Shown(self.authcid)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::CramMd5;
    use crate::sasl::RESPONSE;

    #[test]
    fn the_example_of_the_rfc_is_read_and_written_the_same() {
        let response = b"tim b913a602c7eda7a495b4e6e7334d3890";
        let read = CramMd5::parse(response).unwrap();
        assert_eq!((read.authcid, read.digest[0], read.digest[15]), (&b"tim"[..], 0xb9, 0x90));
        assert_eq!(read.encode(), response);
        assert_eq!(CramMd5::parse(b"tim t. b913a602c7eda7a495b4e6e7334d3890").unwrap().authcid, b"tim t.");
    }

    #[test]
    fn what_is_no_name_and_digest_is_malformed() {
        for response in [
            &b""[..],
            b"tim",
            b"tim ",
            b" b913a602c7eda7a495b4e6e7334d3890",
            b"b913a602c7eda7a495b4e6e7334d3890",
            b"tim b913a602c7eda7a495b4e6e7334d389",
            b"tim b913a602c7eda7a495b4e6e7334d38901",
            b"tim B913a602c7eda7a495b4e6e7334d3890",
            b"tim b913a602c7eda7a495b4e6e7334d389g",
            b"ti\0m b913a602c7eda7a495b4e6e7334d3890",
            b"tim b913a602c7eda7a495b4e6e7334d3890 ",
        ] {
            assert!(CramMd5::parse(response).is_err(), "{}", response.escape_ascii());
        }
        let mut longest = vec![b'x'; RESPONSE - 33];
        longest.extend_from_slice(b" b913a602c7eda7a495b4e6e7334d3890");
        assert!(CramMd5::parse(&longest).is_ok());
        longest.insert(0, b'x');
        assert!(CramMd5::parse(&longest).is_err());
    }

    proptest! {
        #[test]
        fn comes_back(authcid in "[^\0]{1,9}", digest: [u8; 16]) {
            let response = CramMd5 { authcid: authcid.as_bytes(), digest };
            let written = response.encode();
            prop_assert_eq!(CramMd5::parse(&written).unwrap(), response);
        }

        #[test]
        fn whatever_is_read_is_written_the_same(response in "[a ]{0,3} [0-9a-fA]{31,33}") {
            if let Ok(read) = CramMd5::parse(response.as_bytes()) {
                prop_assert_eq!(read.encode(), response.as_bytes());
            }
        }
    }
}
