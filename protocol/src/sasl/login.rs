//! LOGIN (draft-murchison-sasl-login-00): never a standard, and still what some mail programs choose.
//!
//! The server asks twice, each response is one whole value. Dovecot's takes the user name as an initial response
//! too and then asks for the password only.

use memchr::memchr;

use crate::error::Malformed;

use super::RESPONSE;

/// First question. Some programs look at its very bytes.
pub const USERNAME_PROMPT: &[u8] = b"Username:";

/// Second question.
pub const PASSWORD_PROMPT: &[u8] = b"Password:";

/// Whether `response`, to either question, can be one value: no NUL, at most [`RESPONSE`] bytes.
pub fn check(response: &[u8]) -> Result<&[u8], Malformed> {
    if response.len() > RESPONSE {
        return Err(Malformed::new("LOGIN", "at most 8192 bytes"));
    }
    if memchr(0, response).is_some() {
        return Err(Malformed::new("LOGIN", "no NUL"));
    }
    Ok(response)
}
