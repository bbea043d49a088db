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

#[cfg(test)]
mod tests {
    use super::check;
    use crate::sasl::RESPONSE;

    #[test]
    fn a_response_is_one_value_as_it_came() {
        for response in [&b"alice@example.org"[..], b"", b" pass word\t\xff"] {
            assert_eq!(check(response), Ok(response));
        }
    }

    #[test]
    fn a_response_with_nul_is_two_values_and_so_none() {
        for response in [&b"\0"[..], b"good\0junk", b"\0alice", b"alice\0"] {
            assert!(check(response).is_err(), "{}", response.escape_ascii());
        }
    }

    #[test]
    fn a_response_of_8_kib_is_the_longest() {
        assert!(check(&[b'x'; RESPONSE]).is_ok());
        assert!(check(&[b'x'; RESPONSE + 1]).is_err());
    }
}
