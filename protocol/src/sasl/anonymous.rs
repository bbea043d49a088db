//! ANONYMOUS (RFC 4505): a text for the log, and no proof of anything.

use crate::error::Malformed;

/// Longest text, in characters.
pub const TRACE: usize = 255;

/// `[email / token]`: at most [`TRACE`] characters of UTF-8 without NUL. `None`: nothing was said.
pub fn trace(response: &[u8]) -> Result<Option<&str>, Malformed> {
    let malformed = Malformed::new("ANONYMOUS", "at most 255 characters of UTF-8 without NUL");
    let text = std::str::from_utf8(response).map_err(|_| malformed)?;
    if text.contains('\0') || text.chars().nth(TRACE).is_some() {
        return Err(malformed);
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::{TRACE, trace};

    #[test]
    fn a_trace_is_a_short_text_or_none() {
        assert_eq!(trace(b""), Ok(None));
        assert_eq!(trace(b"sirhc@example.org"), Ok(Some("sirhc@example.org")));
        assert!(trace(b"a\0b").is_err());
        assert!(trace(b"\xff").is_err());
        assert!(trace("\u{e9}".repeat(TRACE).as_bytes()).is_ok());
        assert!(trace("x".repeat(TRACE + 1).as_bytes()).is_err());
    }
}
