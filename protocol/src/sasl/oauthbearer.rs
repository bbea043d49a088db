//! OAUTHBEARER (RFC 7628): a bearer token, and for whose mail it is.

use std::{borrow::Cow, fmt};

use super::{
    bearer::{END, Pairs, RESPONSE, credentials, cut, token},
    saslname::{escape, unescape},
};
use crate::{error::Malformed, secret::Secret, text::Shown};

const MALFORMED: Malformed = Malformed::new("OAUTHBEARER", "n,a=<user>,^A auth=Bearer <token> ^A^A");

/// `("n" / "y") "," ["a=" saslname] "," %x01 *(key "=" value %x01) %x01`, with one `auth=Bearer <token>` among the pairs.
///
/// The mechanism cannot be bound to a channel, so a client that wants that (`p=`) is refused. Pairs besides `auth`,
/// `host` and `port`, which are those of the RFC, are passed over.
#[derive(Clone, PartialEq, Eq)]
pub struct OAuthBearer<'a> {
    /// Whether the client could have bound the exchange to its channel, had it been offered that (`y`).
    pub could_bind: bool,
    /// Whose mail it wants; `None`: that of whom the token is for.
    pub user: Option<Cow<'a, [u8]>>,
    /// `host=`: the name of the server that the client has connected to, as it says.
    pub host: Option<&'a [u8]>,
    /// `port=`: the port there. Nothing hangs on it, so it may be no number.
    pub port: Option<&'a [u8]>,
    /// The token, of the alphabet of [`is_token`](super::bearer::is_token).
    pub token: &'a [u8],
}

impl<'a> OAuthBearer<'a> {
    /// Reads a response of at most [`RESPONSE`] bytes. What it says twice, two readers may read differently, so it may not.
    pub fn parse(response: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(response, token)
    }

    /// The same for a token that is only looked for among those that [`OAuthBearer::parse`] has read: it may be empty, and hold
    /// any bytes but NUL and 0x01. To look at each of a thousand takes as long as to find it.
    pub fn split(response: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(response, credentials)
    }

    fn read(response: &'a [u8], token: fn(&[u8]) -> Option<&[u8]>) -> Result<Self, Malformed> {
        if response.len() > RESPONSE {
            return Err(Malformed::new("OAUTHBEARER", "at most 9216 bytes"));
        }
        let (header, list) = cut(END, response).ok_or(MALFORMED)?;
        let (could_bind, user) = gs2_header(header).ok_or(MALFORMED)?;
        let mut pairs = Pairs::of(list, MALFORMED);
        let (mut auth, mut host, mut port) = (None, None, None);
        while let Some((key, value)) = pairs.next()? {
            let place = match key {
                b"auth" => &mut auth,
                b"host" => &mut host,
                b"port" => &mut port,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(MALFORMED);
            }
        }
        let token = auth.and_then(token).ok_or(MALFORMED)?;
        Ok(Self { could_bind, user, host, port, token })
    }

    /// The response that [`OAuthBearer::parse`] reads as the same. Fails where there is none.
    pub fn encode(&self) -> Result<Secret, Malformed> {
        let mut response = Vec::with_capacity(64 + self.token.len());
        response.extend_from_slice(if self.could_bind { b"y," } else { b"n," });
        if let Some(user) = &self.user {
            response.extend_from_slice(b"a=");
            escape(user, &mut response);
        }
        response.extend_from_slice(b",\x01");
        for (key, value) in [("host", self.host), ("port", self.port)] {
            if let Some(value) = value {
                response.extend_from_slice(key.as_bytes());
                response.push(b'=');
                response.extend_from_slice(value);
                response.push(END);
            }
        }
        response.extend_from_slice(b"auth=Bearer ");
        response.extend_from_slice(self.token);
        response.extend_from_slice(&[END, END]);
        let response = Secret::new(response);
        if OAuthBearer::parse(response.expose())? == *self { Ok(response) } else { Err(MALFORMED) }
    }
}

/// `gs2-header` of RFC 5801 section 4, without the binding that there cannot be.
fn gs2_header(header: &[u8]) -> Option<(bool, Option<Cow<'_, [u8]>>)> {
    let (flag, rest) = cut(b',', header)?;
    let could_bind = match flag {
        b"n" => false,
        b"y" => true,
        _ => return None,
    };
    match rest.strip_suffix(b",")? {
        b"" => Some((could_bind, None)),
        user => Some((could_bind, Some(user.strip_prefix(b"a=").and_then(unescape)?))),
    }
}

impl fmt::Debug for OAuthBearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthBearer").field("user", &self.user.as_deref().map(Shown)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::OAuthBearer;
    use crate::sasl::bearer::{DUMMY, RESPONSE, is_token};

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written_the_same() {
        // Section 4.1, section 4.3.
        let response = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let read = OAuthBearer::parse(response).unwrap();
        assert_eq!(read.user.as_deref(), Some(&b"user@example.com"[..]));
        assert_eq!((read.host, read.port), (Some(&b"server.example.com"[..]), Some(&b"143"[..])));
        assert_eq!(read.token, b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        assert_eq!(read.encode().unwrap().expose(), response);
    }

    #[test]
    fn reads_what_mail_programs_send() {
        let table: [(&[u8], Option<&[u8]>); 9] = [
            (b"n,a=alice@example.org,\x01auth=Bearer tok\x01\x01", Some(b"alice@example.org")),
            (b"y,a=alice@example.org,\x01auth=Bearer tok\x01\x01", Some(b"alice@example.org")),
            (b"n,,\x01auth=Bearer tok\x01\x01", None),
            (b"n,a=a=2Cb=3Dc,\x01auth=Bearer tok\x01\x01", Some(b"a,b=c")),
            (b"n,a=alice,\x01auth=bearer tok\x01\x01", Some(b"alice")),
            (b"n,a=alice,\x01auth=Bearer  tok\x01port=993\x01host=h\x01\x01", Some(b"alice")),
            (b"n,a=alice,\x01user=bob\x01auth=Bearer tok\x01\x01", Some(b"alice")),
            (b"n,a=alice,\x01mthd=a\x01mthd=b\x01qs=\x01auth=Bearer tok\x01\x01", Some(b"alice")),
            (b"n,a=alice,\x01port=imaps\x01auth=Bearer tok\x01\x01", Some(b"alice")),
        ];
        for (response, user) in table {
            let read = OAuthBearer::parse(response).unwrap();
            assert_eq!(
                (read.user.as_deref(), read.token),
                (user, &b"tok"[..]),
                "{}",
                response.escape_ascii()
            );
            let again = read.encode().unwrap();
            assert_eq!(OAuthBearer::parse(again.expose()).unwrap(), read);
        }
    }

    #[test]
    fn what_is_missing_doubled_or_added_is_malformed() {
        for response in [
            &b""[..],
            DUMMY,
            b"\x01\x01",
            b"auth=Bearer tok\x01\x01",
            b"n,a=alice,auth=Bearer tok\x01\x01",
            b"n,a=alice\x01auth=Bearer tok\x01\x01",
            b"n,\x01auth=Bearer tok\x01\x01",
            b"n\x01auth=Bearer tok\x01\x01",
            b",,\x01auth=Bearer tok\x01\x01",
            b"p=tls-exporter,a=alice,\x01auth=Bearer tok\x01\x01",
            b"F,n,a=alice,\x01auth=Bearer tok\x01\x01",
            b"n,a=,\x01auth=Bearer tok\x01\x01",
            b"n,alice,\x01auth=Bearer tok\x01\x01",
            b"n,a=alice,a=bob,\x01auth=Bearer tok\x01\x01",
            b"n,a=alice,n=bob,\x01auth=Bearer tok\x01\x01",
            b"n,a=al=ice,\x01auth=Bearer tok\x01\x01",
            b"n,a=al\0ice,\x01auth=Bearer tok\x01\x01",
            b"n,a=alice,\x01\x01",
            b"n,a=alice,\x01host=h\x01\x01",
            b"n,a=alice,\x01auth=Bearer tok\x01",
            b"n,a=alice,\x01auth=Bearer tok",
            b"n,a=alice,\x01auth=Bearer tok\x01\x01\x01",
            b"n,a=alice,\x01auth=Bearer tok\x01\x01junk",
            b"n,a=alice,\x01auth=Bearer tok\x01auth=Bearer other\x01\x01",
            b"n,a=alice,\x01host=h\x01host=i\x01auth=Bearer tok\x01\x01",
            b"n,a=alice,\x01auth=Bearer \x01\x01",
            b"n,a=alice,\x01auth=\x01\x01",
            b"n,a=alice,\x01auth=Basic dG9rCg==\x01\x01",
            b"n,a=alice,\x01AUTH=Bearer tok\x01\x01",
            b"n,a=alice,\x01auth=Bearer to\x0dk\x01\x01",
            b"n,a=alice,\x01auth=Bearer to k\x01\x01",
        ] {
            assert!(OAuthBearer::parse(response).is_err(), "{}", response.escape_ascii());
        }
    }

    #[test]
    fn a_response_of_9_kib_is_the_longest() {
        let around = b"n,,\x01auth=Bearer \x01\x01".len();
        for (size, fits) in [(RESPONSE, true), (RESPONSE + 1, false)] {
            let token = vec![b'x'; size - around];
            let response = [b"n,,\x01auth=Bearer ", &token[..], b"\x01\x01"].concat();
            assert_eq!(OAuthBearer::parse(&response).is_ok(), fits, "{size}");
            let message =
                OAuthBearer { could_bind: false, user: None, host: None, port: None, token: &token };
            assert_eq!(message.encode().is_ok(), fits, "{size}");
        }
        assert_eq!(RESPONSE, 12288 / 4 * 3);
    }

    #[test]
    fn what_would_be_read_as_something_else_is_not_written() {
        let good = OAuthBearer { could_bind: false, user: None, host: None, port: None, token: b"tok" };
        assert!(good.encode().is_ok());
        for bad in [
            OAuthBearer { token: b"", ..good.clone() },
            OAuthBearer { token: b" tok", ..good.clone() },
            OAuthBearer { token: b"tok\x01host=h", ..good.clone() },
            OAuthBearer { user: Some(b"".into()), ..good.clone() },
            OAuthBearer { user: Some(b"a\x01b".into()), ..good.clone() },
            OAuthBearer { user: Some(b"a\0".into()), ..good.clone() },
            OAuthBearer { host: Some(b"h\x01port=1"), ..good.clone() },
            OAuthBearer { port: Some(b"1\0"), ..good.clone() },
        ] {
            assert!(bad.encode().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_shows_the_user_and_no_token() {
        let shown = format!("{:?}", OAuthBearer::parse(b"n,a=alice,\x01auth=Bearer tok\x01\x01").unwrap());
        assert!(shown.contains("alice") && !shown.contains("tok"), "{shown}");
    }

    proptest! {
        #[test]
        fn comes_back(
            could_bind: bool,
            user in prop::option::of("[^\0\x01]{1,9}"),
            host in prop::option::of("[^\0\x01]{0,9}"),
            port in prop::option::of("[0-9]{1,5}"),
            token in "[a-zA-Z0-9._~+/-]{1,20}={0,2}",
        ) {
            let [host, port] = [&host, &port].map(|part| part.as_deref().map(str::as_bytes));
            let message = OAuthBearer {
                could_bind, user: user.map(|user| user.into_bytes().into()), host, port, token: token.as_bytes(),
            };
            let response = message.encode().unwrap();
            prop_assert_eq!(OAuthBearer::parse(response.expose()).unwrap(), message);
        }

        #[test]
        fn whatever_is_read_is_written_so_that_it_is_read_the_same(
            response in "[nyp],(a=[ab=,\0]{0,3})?,\x01((host|port|auth|x)=(Bearer )?[ab= \x01]{0,3}\x01){0,4}\x01",
        ) {
            let split = OAuthBearer::split(response.as_bytes()).ok();
            let with_token = split.filter(|split| is_token(split.token));
            prop_assert_eq!(with_token, OAuthBearer::parse(response.as_bytes()).ok());
            if let Ok(read) = OAuthBearer::parse(response.as_bytes()) {
                let written = read.encode().unwrap();
                prop_assert_eq!(OAuthBearer::parse(written.expose()).unwrap(), read);
            }
        }
    }
}
