//! PLAIN (RFC 4616).

use std::fmt;

use crate::error::Malformed;
use crate::scan::find;
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
        if authcid.is_empty() || find(0, password).is_some() {
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
    let (before, after) = bytes.split_at(find(0, bytes)?);
    Some((before, after.get(1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Plain;
    use crate::sasl::RESPONSE;

    #[test]
    fn reads_what_mail_programs_send() {
        let table: [(&[u8], [&[u8]; 3]); 5] = [
            (b"\0alice@example.org\0secret", [b"", b"alice@example.org", b"secret"]),
            (b"Ursel\0Kurt\0xipj3plmq", [b"Ursel", b"Kurt", b"xipj3plmq"]), // RFC 4616 section 4
            (b"a@example.org\0a@example.org\0x", [b"a@example.org", b"a@example.org", b"x"]),
            (b"\0alice\0", [b"", b"alice", b""]),
            (b"\0alice\0pa ss\t\xc3\xa4\n", [b"", b"alice", b"pa ss\t\xc3\xa4\n"]),
        ];
        for (response, [authzid, authcid, password]) in table {
            let plain = Plain::parse(response).unwrap();
            assert_eq!([plain.authzid, plain.authcid, plain.password], [authzid, authcid, password]);
            assert_eq!(plain.encode().unwrap().expose(), response);
        }
    }

    /// Dovecot's NEWS 2.3.11: passwords were cut at their first NUL, and what came behind it went unchecked.
    #[test]
    fn a_password_with_nul_is_no_password() {
        for response in
            [&b"\0alice\0good\0junk"[..], b"\0alice\0\0", b"\0\0alice\0secret", b"\0alice\0good\0"]
        {
            assert!(Plain::parse(response).is_err(), "{}", response.escape_ascii());
        }
    }

    #[test]
    fn without_two_nuls_or_a_name_there_is_nobody_to_check() {
        for response in [&b""[..], b"\0", b"alice", b"alice\0secret", b"\0alice", b"\0\0secret", b"root\0\0x"]
        {
            assert!(Plain::parse(response).is_err(), "{}", response.escape_ascii());
        }
    }

    #[test]
    fn a_response_of_8_kib_is_the_longest() {
        let mut response = b"\0alice\0".to_vec();
        response.resize(RESPONSE, b'x');
        assert!(Plain::parse(&response).is_ok());
        response.push(b'x');
        assert!(Plain::parse(&response).is_err());
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        for (authcid, password) in [("", "x"), ("a\0b", "x"), ("alice", "x\0y"), ("alice\0", "")] {
            let plain = Plain { authzid: b"", authcid: authcid.as_bytes(), password: password.as_bytes() };
            assert!(plain.encode().is_err(), "{authcid:?} {password:?}");
        }
    }

    proptest! {
        #[test]
        fn comes_back(authzid in "[^\0]{0,9}", authcid in "[^\0]{1,9}", password in "[^\0]{0,9}") {
            let [authzid, authcid, password] = [&authzid, &authcid, &password].map(|part| part.as_bytes());
            let response = Plain { authzid, authcid, password }.encode().unwrap();
            let plain = Plain::parse(response.expose()).unwrap();
            prop_assert_eq!([plain.authzid, plain.authcid, plain.password], [authzid, authcid, password]);
        }

        #[test]
        fn whatever_is_read_is_written_the_same(response in prop::collection::vec(0_u8..3, 0..9)) {
            if let Ok(plain) = Plain::parse(&response) {
                let written = plain.encode().unwrap();
                prop_assert_eq!(written.expose(), &response[..]);
            }
        }
    }
}
