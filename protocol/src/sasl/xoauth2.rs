//! XOAUTH2: what Google made before there was RFC 7628, and what most programs and providers still speak.
//!
//! <https://developers.google.com/gmail/imap/xoauth2-protocol>

use std::fmt;

use super::bearer::{END, Pairs, RESPONSE, credentials, token};
use crate::{error::Malformed, secret::Secret, text::Shown};

const MALFORMED: Malformed = Malformed::new("XOAUTH2", "user=<user> ^A auth=Bearer <token> ^A^A");

/// `"user=" user %x01 "auth=Bearer " token %x01 %x01`
///
/// Nothing is escaped. Other pairs are passed over, and so is the order.
#[derive(Clone, PartialEq, Eq)]
pub struct XOAuth2<'a> {
    /// Whose mail is wanted; `None`: that of whom the token is for.
    pub user: Option<&'a [u8]>,
    /// The token, of the alphabet of [`is_token`](super::bearer::is_token).
    pub token: &'a [u8],
}

impl<'a> XOAuth2<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes. An empty name is none.
    pub fn parse(response: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(response, token)
    }

    /// The same for a token that is only looked for among those that [`XOAuth2::parse`] has read: it may be empty, and hold
    /// any bytes but NUL and 0x01. To look at each of a thousand takes as long as to find it.
    pub fn split(response: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(response, credentials)
    }

    fn read(response: &'a [u8], token: fn(&[u8]) -> Option<&[u8]>) -> Result<Self, Malformed> {
        if response.len() > RESPONSE {
            return Err(Malformed::new("XOAUTH2", "at most 9216 bytes"));
        }
        let mut pairs = Pairs::of(response, MALFORMED);
        let (mut user, mut auth) = (None, None);
        while let Some((key, value)) = pairs.next()? {
            let place = match key {
                b"user" => &mut user,
                b"auth" => &mut auth,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(MALFORMED);
            }
        }
        let token = auth.and_then(token).ok_or(MALFORMED)?;
        Ok(Self { user: user.filter(|user| !user.is_empty()), token })
    }

    /// The response that [`XOAuth2::parse`] reads as the same. Fails where there is none.
    pub fn encode(&self) -> Result<Secret, Malformed> {
        let mut response = Vec::with_capacity(64 + self.token.len());
        if let Some(user) = self.user {
            response.extend_from_slice(b"user=");
            response.extend_from_slice(user);
            response.push(END);
        }
        response.extend_from_slice(b"auth=Bearer ");
        response.extend_from_slice(self.token);
        response.extend_from_slice(&[END, END]);
        let response = Secret::new(response);
        if XOAuth2::parse(response.expose())? == *self { Ok(response) } else { Err(MALFORMED) }
    }
}

impl fmt::Debug for XOAuth2<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XOAuth2").field("user", &self.user.map(Shown)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::XOAuth2;
    use crate::sasl::bearer::{DUMMY, RESPONSE, is_token};

    #[test]
    fn reads_what_mail_programs_send() {
        let table: [(&[u8], Option<&[u8]>); 7] = [
            // Google's own example.
            (b"user=someuser@example.com\x01auth=Bearer tok\x01\x01", Some(b"someuser@example.com")),
            (b"user=alice@example.org\x01auth=bearer tok\x01\x01", Some(b"alice@example.org")),
            (b"auth=Bearer tok\x01user=alice\x01\x01", Some(b"alice")),
            (b"user=a,b=c d\x01auth=Bearer tok\x01\x01", Some(b"a,b=c d")),
            (b"user=alice\x01host=h\x01x=\x01auth=Bearer tok\x01\x01", Some(b"alice")),
            (b"auth=Bearer tok\x01\x01", None),
            (b"user=\x01auth=Bearer tok\x01\x01", None),
        ];
        for (response, user) in table {
            let read = XOAuth2::parse(response).unwrap();
            assert_eq!((read.user, read.token), (user, &b"tok"[..]), "{}", response.escape_ascii());
            assert_eq!(XOAuth2::parse(read.encode().unwrap().expose()).unwrap(), read);
        }
        let first = table[0].0;
        assert_eq!(XOAuth2::parse(first).unwrap().encode().unwrap().expose(), first);
    }

    #[test]
    fn what_is_missing_doubled_or_added_is_malformed() {
        for response in [
            &b""[..],
            DUMMY,
            b"\x01\x01",
            b"user=alice\x01\x01",
            b"user=alice\x01auth=Bearer tok\x01",
            b"user=alice\x01auth=Bearer tok",
            b"user=alice\x01auth=Bearer tok\x01\x01\x01",
            b"user=alice\x01auth=Bearer tok\x01\x01junk",
            b"user=alice\x01user=bob\x01auth=Bearer tok\x01\x01",
            b"user=\x01user=bob\x01auth=Bearer tok\x01\x01",
            b"user=alice\x01auth=Bearer tok\x01auth=Bearer tok\x01\x01",
            b"user=al\0ice\x01auth=Bearer tok\x01\x01",
            b"alice\x01auth=Bearer tok\x01\x01",
            b"user=alice\x01auth=Basic dG9r\x01\x01",
            b"user=alice\x01auth=Bearer\x01\x01",
            b"user=alice\x01auth=Bearer t\xc3\xa4\x01\x01",
            b"n,a=alice,\x01auth=Bearer tok\x01\x01",
            b"\0alice\0secret",
        ] {
            assert!(XOAuth2::parse(response).is_err(), "{}", response.escape_ascii());
        }
    }

    #[test]
    fn a_response_of_9_kib_is_the_longest() {
        for (size, fits) in [(RESPONSE, true), (RESPONSE + 1, false)] {
            let token = vec![b'x'; size - b"auth=Bearer \x01\x01".len()];
            let message = XOAuth2 { user: None, token: &token };
            assert_eq!(message.encode().is_ok(), fits, "{size}");
            let response = [b"auth=Bearer ", &token[..], b"\x01\x01"].concat();
            assert_eq!(XOAuth2::parse(&response).is_ok(), fits, "{size}");
        }
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        for (user, token) in [
            (Some(&b""[..]), &b"tok"[..]),
            (Some(b"a\x01auth=Bearer x"), b"tok"),
            (Some(b"a\0"), b"tok"),
            (None, b""),
            (None, b" tok"),
            (None, b"tok\x01user=bob"),
        ] {
            assert!(XOAuth2 { user, token }.encode().is_err(), "{user:?}");
        }
    }

    #[test]
    fn debug_shows_the_user_and_no_token() {
        let shown = format!("{:?}", XOAuth2::parse(b"user=alice\x01auth=Bearer tok\x01\x01").unwrap());
        assert!(shown.contains("alice") && !shown.contains("tok"), "{shown}");
    }

    proptest! {
        #[test]
        fn comes_back(user in prop::option::of("[^\0\x01]{1,9}"), token in "[a-zA-Z0-9._~+/-]{1,20}={0,2}") {
            let message = XOAuth2 { user: user.as_deref().map(str::as_bytes), token: token.as_bytes() };
            let response = message.encode().unwrap();
            prop_assert_eq!(XOAuth2::parse(response.expose()).unwrap(), message);
        }

        #[test]
        fn whatever_is_read_is_written_so_that_it_is_read_the_same(
            response in "((user|auth|x)=(Bearer )?[ab= \x01]{0,3}\x01){0,4}\x01",
        ) {
            let split = XOAuth2::split(response.as_bytes()).ok();
            let with_token = split.filter(|split| is_token(split.token));
            prop_assert_eq!(with_token, XOAuth2::parse(response.as_bytes()).ok());
            if let Ok(read) = XOAuth2::parse(response.as_bytes()) {
                let written = read.encode().unwrap();
                prop_assert_eq!(XOAuth2::parse(written.expose()).unwrap(), read);
            }
        }
    }
}
