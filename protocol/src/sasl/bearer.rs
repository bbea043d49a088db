//! What OAUTHBEARER and XOAUTH2 have in common: `key=value` pairs that 0x01 ends, a bearer token, and what a server
//! says of one that it does not take.

use crate::{error::Malformed, scan::find};

/// Longest response with a token, in bytes. Postfix hands on 12288 of base64 and no more
/// (`smtpd_sasl_response_limit`), Dovecot's login processes less.
pub const RESPONSE: usize = 9216;

/// What a client answers when it has been told that its token is not taken (RFC 7628 section 3.2.3). There is nothing
/// to say; programs that speak XOAUTH2 say it with an empty response.
pub const DUMMY: &[u8] = b"\x01";

/// Ends each pair, and once more the list.
pub(super) const END: u8 = 1;

/// `{"status":...,"schemes":"bearer","scope":...,"openid-configuration":...}`: why a token is not taken, and where
/// there is another.
///
/// The keys are those of RFC 7628 section 3.2.2, with `schemes` of Google's XOAUTH2, which the RFC's readers pass over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// What a token has to be good for.
    pub scope: Option<&'a str>,
    /// The address of the provider's metadata (OpenID Connect Discovery 1.0).
    pub configuration: Option<&'a str>,
}

impl Rejection<'_> {
    /// The text to send. It says the same of every token that is not taken, whatever is wrong with it.
    pub fn encode(&self) -> String {
        let mut json = r#"{"status":"invalid_token","schemes":"bearer""#.to_owned();
        for (key, value) in [("scope", self.scope), ("openid-configuration", self.configuration)] {
            if let Some(value) = value {
                // A text has a form in JSON, whatever it holds.
                json.extend([",\"", key, "\":", &serde_json::Value::from(value).to_string()]);
            }
        }
        json.push('}');
        json
    }
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// `*(key "=" value %x01) %x01`, with which a response ends, taken from the front.
pub(super) struct Pairs<'a> {
    rest: &'a [u8],
    malformed: Malformed,
}

impl<'a> Pairs<'a> {
    /// The pairs in `list`; what is none is told as `malformed`.
    pub(super) const fn of(list: &'a [u8], malformed: Malformed) -> Self {
        Self { rest: list, malformed }
    }

    /// The next pair; `None` at the end of the list, which must be that of the response.
    pub(super) fn next(&mut self) -> Result<Option<Pair<'a>>, Malformed> {
        let (pair, rest) = cut(END, self.rest).ok_or(self.malformed)?;
        self.rest = rest;
        if pair.is_empty() {
            return if rest.is_empty() { Ok(None) } else { Err(self.malformed) };
        }
        let (key, value) = cut(b'=', pair).ok_or(self.malformed)?;
        // The RFC has letters only; others have had ideas of their own. A GS2 header is no key, or the name in it would go
        // unread in XOAUTH2.
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let fits = !key.is_empty() && key.iter().all(is_key) && find(0, value).is_none();
        if fits { Ok(Some((key, value))) } else { Err(self.malformed) }
    }
}

/// The token in the value of `auth=`: `"Bearer" 1*SP b64token` (RFC 6750 section 2.1), the word in any case.
pub(super) fn token(value: &[u8]) -> Option<&[u8]> {
    credentials(value).filter(|token| is_token(token))
}

/// The same without a look at what the token is made of.
pub(super) fn credentials(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = cut(b' ', value)?;
    scheme.eq_ignore_ascii_case(b"Bearer").then(|| token.trim_ascii_start())
}

/// `b64token`: `1*(ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/") *"="`
///
/// It is later put into headers, forms and logs of others. What is not one never gets there.
pub fn is_token(text: &[u8]) -> bool {
    let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    text.get(..end).is_some_and(|text| !text.is_empty() && all_fit(text))
}

/// Whether all bytes may stand in a token before its end. Written so that the compiler looks at 32 bytes at once, and at those
/// at the end once more rather than one by one: a token may be a thousand bytes long.
fn all_fit(bytes: &[u8]) -> bool {
    let all = |bytes: &[u8]| bytes.iter().fold(true, |all, &byte| all & fits(byte));
    match bytes.last_chunk::<32>() {
        Some(last) => all(bytes.as_chunks::<32>().0.as_flattened()) & all(last),
        None => all(bytes),
    }
}

/// `ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/"`, without a jump. `-`, `.`, `/` and the digits follow one another.
const fn fits(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    letter | (byte.wrapping_sub(b'-') < 13) | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

/// What stands before the first `mark`, and after it.
pub(super) fn cut(mark: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at(find(mark, bytes)?);
    Some((before, after.get(1..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Pairs, Rejection, is_token, token};
    use crate::error::Malformed;

    #[test]
    fn a_token_is_of_the_alphabet_of_rfc_6750() {
        for good in ["a", "0", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "eyJ.e-_~+/", "a====", "-"] {
            assert!(is_token(good.as_bytes()), "{good:?}");
        }
        for bad in
            ["", "=", "==", "a=b", "=a", "a b", "a\tb", "a\r\nb", "a\0", "a\x01", "\u{e4}", "a\"", "a,b"]
        {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn each_byte_is_of_the_alphabet_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            for size in [1, 31, 32, 33, 64, 70] {
                for at in 0..size {
                    let mut text = vec![b'a'; size];
                    text[at] = byte;
                    // At the end `=` is no part of it.
                    let expected = expected || (byte == b'=' && at + 1 == size && size > 1);
                    assert_eq!(is_token(&text), expected, "{byte:#x} at {at} of {size}");
                }
            }
        }
    }

    #[test]
    fn bearer_is_one_word_in_any_case() {
        for good in ["Bearer abc", "bearer abc", "BEARER abc", "bEaReR abc", "Bearer   abc"] {
            assert_eq!(token(good.as_bytes()), Some(&b"abc"[..]), "{good:?}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            " Bearer abc",
            "Bearerabc",
            "Bearer\tabc",
            "Bearer abc ",
            "Basic abc",
            "abc",
            "Bearer abc def",
        ] {
            assert_eq!(token(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn pairs_end_with_an_empty_one_and_nothing_behind_it() {
        const MALFORMED: Malformed = Malformed::new("x", "y");
        let read = |list: &[u8]| {
            let (mut pairs, mut count) = (Pairs::of(list, MALFORMED), 0);
            while pairs.next()?.is_some() {
                count += 1;
            }
            Ok::<usize, Malformed>(count)
        };
        for (list, count) in [
            (&b"\x01"[..], 0),
            (b"a=b\x01\x01", 1),
            (b"a=\x01b==\x01a=b\x01\x01", 3),
            (b"x-y.z=\xc3\xa4 \t\r\n\x01\x01", 1),
        ] {
            assert_eq!(read(list), Ok(count), "{}", list.escape_ascii());
        }
        for list in [
            &b""[..],
            b"a=b",
            b"a=b\x01",
            b"a=b\x01\x01\x01",
            b"a=b\x01\x01a=b\x01\x01",
            b"\x01a=b\x01\x01",
            b"a\x01\x01",
            b"=b\x01\x01",
            b"a b=c\x01\x01",
            b"n,a=b\x01\x01",
            b"a=b\0c\x01\x01",
        ] {
            assert_eq!(read(list), Err(MALFORMED), "{}", list.escape_ascii());
        }
    }

    #[test]
    fn a_rejection_is_json_that_programs_know() {
        let configuration = Some("https://id.example.org/.well-known/openid-configuration");
        let rejection = Rejection { scope: Some("openid email"), configuration };
        assert_eq!(
            rejection.encode(),
            r#"{"status":"invalid_token","schemes":"bearer","scope":"openid email","openid-configuration":"https://id.example.org/.well-known/openid-configuration"}"#
        );
        let bare = Rejection { scope: None, configuration: None };
        assert_eq!(bare.encode(), r#"{"status":"invalid_token","schemes":"bearer"}"#);
    }

    proptest! {
        #[test]
        fn a_rejection_is_json_whatever_the_operator_has_written(scope: String, configuration: String) {
            let rejection = Rejection { scope: Some(&scope), configuration: Some(&configuration) };
            let read: serde_json::Value = serde_json::from_str(&rejection.encode()).unwrap();
            prop_assert_eq!(read["scope"].as_str(), Some(&*scope));
            prop_assert_eq!(read["openid-configuration"].as_str(), Some(&*configuration));
            prop_assert_eq!(read["status"].as_str(), Some("invalid_token"));
        }
    }
}
