//! EXTERNAL (RFC 4422 appendix A): all that is said is whom somebody wants to be; the proof is elsewhere.

use memchr::memchr;

use super::RESPONSE;
use crate::error::Malformed;

/// `[authzid]`, at most [`RESPONSE`] bytes without NUL. `None`: themselves.
pub fn authzid(response: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    if response.len() > RESPONSE || memchr(0, response).is_some() {
        return Err(Malformed::new("EXTERNAL", "[authzid], at most 8192 bytes without NUL"));
    }
    Ok(Some(response).filter(|authzid| !authzid.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::authzid;
    use crate::sasl::RESPONSE;

    #[test]
    fn nothing_is_oneself_and_a_name_is_a_name() {
        assert_eq!(authzid(b""), Ok(None));
        assert_eq!(authzid(b"alice@example.org"), Ok(Some(&b"alice@example.org"[..])));
        assert!(authzid(b"alice\0bob").is_err());
        assert!(authzid(&[b'x'; RESPONSE]).is_ok());
        assert!(authzid(&[b'x'; RESPONSE + 1]).is_err());
    }
}
