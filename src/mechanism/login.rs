//! LOGIN: obsolete, in no RFC, and still what many mail programs speak first.

use gatepost_protocol::{sasl::login, secret::Secret};

use super::{Breach, Claim, Credential, Exchange, Step};

/// Longest name that is kept while the password is waited for, in bytes. No account has one that is nearly as long, and
/// a peer may have a thousand of these exchanges open.
const NAME: usize = 1024;

/// LOGIN asks twice. A state owns what it has learnt so far and nothing else.
#[derive(Debug)]
pub enum Login {
    /// Nothing was said yet.
    WantUser,
    /// The name is known.
    WantPassword {
        /// The name, as typed.
        user: Vec<u8>,
    },
}

impl Login {
    /// The first challenge. Some mail programs match the text, so it is Dovecot's to the letter.
    pub const PROMPT: &'static [u8] = login::USERNAME_PROMPT;

    /// The name first, the password second.
    pub fn step(self, response: Secret) -> Result<Step, Breach> {
        login::check(response.expose()).map_err(|_| Breach::Grammar)?;
        Ok(match self {
            Self::WantUser if response.len() > NAME => return Err(Breach::Grammar),
            Self::WantUser => {
                let next = Self::WantPassword { user: response.expose().to_vec() };
                Step::Challenge(login::PASSWORD_PROMPT.into(), Exchange::Login(next))
            }
            Self::WantPassword { user } => {
                let credential = Credential::Password(response);
                Step::Claim(Claim { authzid: None, authcid: user, credential })
            }
        })
    }
}
