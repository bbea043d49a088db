//! Signed tokens, as far as they can be judged without a key.
//!
//! ```text
//! token  = header "." claims "." signature     each in base64url without padding (RFC 7515 7.1)
//! header = {"alg": "RS256", "kid": "...", "typ": "at+jwt", ...}
//! claims = {"iss": "https://...", "exp": 1700000000, ...}
//! ```
//!
//! What else a header may hold leads elsewhere (`jku`, `x5u`) or brings its own key along (`jwk`, `x5c`), and is never
//! looked at. `kid` is compared, and is no part of any path (CVE-2021-29157).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::claims::Claims;

/// Longest token, in bytes. What carries it to gatepost holds 12288 bytes of base64; ten kilobytes are a token with
/// some hundred groups.
pub const LONGEST: usize = 16 * 1024;

/// Longest header, in bytes of JSON. An honest one is a hundred.
const LONGEST_HEADER: usize = 4096;

/// A signed token. Nothing of it is to be believed before its signature was verified.
#[derive(Debug)]
pub struct Front<'t> {
    /// How it says that it is signed.
    pub header: Header,
    /// What it says.
    pub claims: Claims,
    /// `header "." claims`, which is what was signed.
    pub(super) signed: &'t str,
    /// In base64url. Empty where nobody has signed.
    pub(super) signature: &'t str,
}

/// The part of a header that counts. A member that is there twice makes it unreadable: two readers could disagree.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// `alg`, any: `none` too.
    pub(super) alg: String,
    /// `typ`
    #[serde(default)]
    pub(super) typ: Option<String>,
    /// `kid`
    #[serde(default)]
    pub(super) kid: Option<String>,
    /// `crit`: what a reader must know or give up. There is nothing that gatepost knows.
    #[serde(default)]
    pub(super) crit: Option<Value>,
    /// `b64`: whether the claims are in base64 (RFC 7797). It must be announced in `crit`, and not everybody does.
    #[serde(default)]
    pub(super) b64: Option<Value>,
}

/// Why a token is not looked at as a signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoJwt {
    /// It may be a token that only its provider understands.
    Opaque,
    /// It is meant to be a signed one, and is broken.
    Broken,
    /// It is no token at all.
    NoToken,
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 2.1), of bounded length.
pub fn token(bytes: &[u8]) -> Option<&str> {
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
    let end = bytes.iter().rposition(|&byte| byte != b'=')?;
    let body = bytes.get(..=end)?;
    if bytes.len() > LONGEST || !body.iter().all(|&byte| fits(byte)) {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

/// Takes a token apart.
///
/// # Errors
///
/// What it is instead of a signed token.
pub fn front(bytes: &[u8]) -> Result<Front<'_>, NoJwt> {
    let text = token(bytes).ok_or(NoJwt::NoToken)?;
    let (signed, signature) = text.rsplit_once('.').ok_or(NoJwt::Opaque)?;
    let (header, claims) = signed.split_once('.').ok_or(NoJwt::Opaque)?;
    if claims.contains('.') {
        // Five parts are an encrypted token (RFC 7516), which its provider can decrypt.
        return Err(NoJwt::Opaque);
    }
    let json = decoded(header, LONGEST_HEADER).ok_or(NoJwt::Opaque)?;
    let header = match serde_json::from_slice(&json) {
        Ok(header) => header,
        Err(_) if Claims::parse(&json).is_some_and(|members| members.value("alg").is_some()) => {
            return Err(NoJwt::Broken);
        }
        Err(_) => return Err(NoJwt::Opaque),
    };
    let claims = decoded(claims, LONGEST).and_then(|json| Claims::parse(&json)).ok_or(NoJwt::Broken)?;
    if decoded(signature, LONGEST).is_none() {
        return Err(NoJwt::Broken);
    }
    Ok(Front { header, claims, signed, signature })
}

/// Strict: without padding, and without bits that nobody needs, so that one token has one spelling.
fn decoded(text: &str, limit: usize) -> Option<Vec<u8>> {
    if text.len() / 4 * 3 > limit {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(header: &str, claims: &str, signature: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{signature}", encode(header), encode(claims))
    }

    #[test]
    fn a_signed_token_is_told_from_what_only_its_provider_understands() {
        let good =
            jwt(r#"{"alg":"RS256","kid":"k","typ":"at+jwt","jku":"https://evil"}"#, r#"{"iss":"i"}"#, "AAAA");
        let front_of_good = front(good.as_bytes()).unwrap();
        assert_eq!(
            (front_of_good.header.alg.as_str(), front_of_good.header.kid.as_deref()),
            ("RS256", Some("k"))
        );
        assert_eq!(front_of_good.claims.string("iss"), Some("i"));
        assert_eq!(format!("{}.{}", front_of_good.signed, front_of_good.signature), good);
        let unsigned = jwt(r#"{"alg":"none"}"#, "{}", "");
        assert_eq!(front(unsigned.as_bytes()).unwrap().header.alg, "none", "so that it can be refused");

        let long_header = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(5000));
        for (token, expected) in [
            ("2YotnFZFEjr1zCsicMWpAA".to_owned(), NoJwt::Opaque),
            ("tGzv3JOkF0XG5Qx2TlKWIA==".to_owned(), NoJwt::Opaque),
            ("a.b".to_owned(), NoJwt::Opaque),
            ("a.b.c".to_owned(), NoJwt::Opaque),
            ("a.b.c.d.e".to_owned(), NoJwt::Opaque),
            (jwt(r#"{"typ":"x"}"#, "{}", "AAAA"), NoJwt::Opaque),
            (jwt(&long_header, "{}", "AAAA"), NoJwt::Opaque),
            (jwt(r#"{"alg":5}"#, "{}", "AAAA"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256","alg":"none"}"#, "{}", "AAAA"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256","kid":1}"#, "{}", "AAAA"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256"}"#, "[]", "AAAA"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256"}"#, "", "AAAA"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256"}"#, "{}", "A"), NoJwt::Broken),
            (jwt(r#"{"alg":"RS256"}"#, "{}", "AB"), NoJwt::Broken),
            (String::new(), NoJwt::NoToken),
            ("===".to_owned(), NoJwt::NoToken),
            ("a=b".to_owned(), NoJwt::NoToken),
            ("a b".to_owned(), NoJwt::NoToken),
            ("a\u{1}".to_owned(), NoJwt::NoToken),
            ("ä".to_owned(), NoJwt::NoToken),
            ("a".repeat(LONGEST + 1), NoJwt::NoToken),
        ] {
            assert_eq!(front(token.as_bytes()).err(), Some(expected), "{token}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}", r#"{"a":"#.repeat(2000), "}".repeat(2000));
        assert_eq!(front(jwt(r#"{"alg":"RS256"}"#, &deep, "AAAA").as_bytes()).err(), Some(NoJwt::Broken));
    }
}
