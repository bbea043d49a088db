//! The parlour: SASL responses in, the next challenge or a [`Claim`] out.
//!
//! A mechanism knows neither sockets nor directories nor the time. It consumes its state, so that what has not
//! been learnt yet cannot be named, and it ends in a claim: who somebody says they are and what they offer as proof.
//! Whether that is true is for [`crate::decision`] to say.

mod login;
mod plain;

use std::fmt;

use gatepost_protocol::{dovecot::MechFlag, secret::Secret};

pub use self::{login::Login, plain::Plain};

/// The mechanisms this version can conduct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616: everything in one response.
    Plain,
    /// draft-murchison-sasl-login: asks for the name, then for the password.
    Login,
}

/// An exchange that waits for a response.
#[derive(Debug)]
pub enum Exchange {
    /// PLAIN, before its only response.
    Plain(Plain),
    /// LOGIN, before the name or before the password.
    Login(Login),
}

/// What a response leads to.
#[derive(Debug)]
pub enum Step {
    /// Say this and wait for the next response.
    Challenge(&'static [u8], Exchange),
    /// The exchange is over; this is what it came to.
    Claim(Claim),
}

/// Unproven: who somebody says they are, and what they offer as proof.
#[derive(Debug)]
pub struct Claim {
    /// Who they want to act as, as typed; `None` when it is the same as the authcid or was not given.
    pub authzid: Option<Vec<u8>>,
    /// Who they say they are, as typed.
    pub authcid: Vec<u8>,
    /// The proof.
    pub credential: Credential,
}

/// What is offered as proof.
#[derive(Debug)]
pub enum Credential {
    /// The password itself.
    Password(Secret),
}

impl Credential {
    /// The password itself, for mechanisms that send it.
    pub const fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password(password) => Some(password),
        }
    }
}

/// A response that breaks its mechanism's grammar. The remote's fault; it costs them their attempt, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach;

impl Mechanism {
    /// All of them, in the order in which they are announced.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Login];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of that name. Case does not matter: Postfix forwards the name as it was typed.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The flags announced with it; Dovecot and Postfix decide by them where the mechanism may be offered.
    pub const fn flags(self) -> &'static [MechFlag] {
        match self {
            Self::Plain | Self::Login => &[MechFlag::Plaintext],
        }
    }

    /// Opens an exchange. `initial` is the initial response, where there was one.
    pub fn start(self, initial: Option<Secret>) -> Result<Step, Breach> {
        let (prompt, exchange): (&'static [u8], _) = match self {
            Self::Plain => (b"", Exchange::Plain(Plain)),
            Self::Login => (Login::PROMPT, Exchange::Login(Login::WantUser)),
        };
        match initial {
            Some(response) => exchange.step(response),
            None => Ok(Step::Challenge(prompt, exchange)),
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Exchange {
    /// Takes the response that was waited for.
    pub fn step(self, response: Secret) -> Result<Step, Breach> {
        match self {
            Self::Plain(plain) => plain.step(&response).map(Step::Claim),
            Self::Login(login) => login.step(response),
        }
    }

    /// The mechanism that is being conducted.
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Plain(_) => Mechanism::Plain,
            Self::Login(_) => Mechanism::Login,
        }
    }
}

#[cfg(test)]
mod tests {
    use gatepost_protocol::secret::Secret;

    use super::{Claim, Mechanism, Step};

    fn secret(text: &[u8]) -> Secret {
        Secret::new(text.to_vec())
    }

    fn claim(step: Step) -> Claim {
        match step {
            Step::Claim(claim) => claim,
            other => panic!("expected a claim, got {other:?}"),
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Mechanism::named(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::named(b"Login"), Some(Mechanism::Login));
        assert_eq!(Mechanism::named(b"EXTERNAL"), None);
    }

    #[test]
    fn plain_asks_with_an_empty_challenge_when_nothing_was_sent_along() {
        let Step::Challenge(prompt, exchange) = Mechanism::Plain.start(None).unwrap() else {
            panic!("claim")
        };
        assert_eq!(prompt, b"");
        let claim = claim(exchange.step(secret(b"\0alice\0secret")).unwrap());
        assert_eq!(
            (claim.authcid.as_slice(), claim.credential.password().unwrap().expose()),
            (&b"alice"[..], &b"secret"[..])
        );
    }

    #[test]
    fn plain_treats_an_equal_authzid_as_none() {
        let table: &[(&[u8], Option<&[u8]>)] =
            &[(b"\0a\0x", None), (b"a\0a\0x", None), (b"b\0a\0x", Some(b"b"))];
        for (response, authzid) in table {
            let claim = claim(Mechanism::Plain.start(Some(secret(response))).unwrap());
            assert_eq!(claim.authzid.as_deref(), *authzid);
        }
    }

    #[test]
    fn login_asks_twice_or_once_if_the_name_came_along() {
        let Step::Challenge(prompt, exchange) = Mechanism::Login.start(None).unwrap() else {
            panic!("claim")
        };
        assert_eq!(prompt, b"Username:");
        let Step::Challenge(prompt, exchange) = exchange.step(secret(b"alice")).unwrap() else {
            panic!("claim")
        };
        assert_eq!(prompt, b"Password:");
        let done = claim(exchange.step(secret(b"secret")).unwrap());
        assert_eq!(
            (done.authcid.as_slice(), done.credential.password().unwrap().expose()),
            (&b"alice"[..], &b"secret"[..])
        );

        let Step::Challenge(prompt, _) = Mechanism::Login.start(Some(secret(b"alice"))).unwrap() else {
            panic!("claim")
        };
        assert_eq!(prompt, b"Password:");
    }

    #[test]
    fn no_name_of_8_kib_is_kept_while_the_password_is_waited_for() {
        assert!(Mechanism::Login.start(Some(secret(&[b'x'; 1024]))).is_ok());
        assert!(Mechanism::Login.start(Some(secret(&[b'x'; 1025]))).is_err());
    }

    #[test]
    fn a_nul_never_cuts_a_password_short() {
        assert!(Mechanism::Plain.start(Some(secret(b"\0alice\0secret\0junk"))).is_err());
        assert!(Mechanism::Plain.start(Some(secret(b"alice\0secret"))).is_err());
        let Step::Challenge(_, exchange) = Mechanism::Login.start(Some(secret(b"alice"))).unwrap() else {
            panic!("claim")
        };
        assert!(exchange.step(secret(b"secret\0junk")).is_err());
        assert!(Mechanism::Login.start(Some(secret(b"ali\0ce"))).is_err());
    }
}
