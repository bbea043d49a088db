//! Who is to be forgotten.

use super::Engine;
use crate::session::mask::Mask;

/// Some users, as somebody names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The one of this name, in normal form.
    User(String),
    /// All of a domain, or whom a mask fits.
    Fitting(Mask),
}

impl Whom {
    /// Whether `name`, which is in normal form, is one of them.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::User(user) => user == name,
            Self::Fitting(mask) => mask.fits(name),
        }
    }
}

impl Engine {
    /// Reads a name, a mask with `*` and `?` in it, or `@domain`.
    pub fn whom(&self, text: &[u8]) -> Whom {
        match text.first() {
            Some(b'@') => Whom::Fitting(Mask::new(&[b"*", text].concat())),
            _ if text.iter().any(|byte| matches!(byte, b'*' | b'?')) => Whom::Fitting(Mask::new(text)),
            _ => match self.normalise(text) {
                Ok(user) => Whom::User(user.as_str().to_owned()),
                // Nobody is called that.
                Err(_) => Whom::Fitting(Mask::new(text)),
            },
        }
    }

    /// Forgets all of these; everybody, if there are none. How many entries that were.
    pub fn flush_all_of(&self, whom: &[Whom]) -> usize {
        self.flush(|name| whom.is_empty() || whom.iter().any(|whom| whom.includes(name)))
    }
}
