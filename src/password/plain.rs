//! PLAIN, CLEAR, CLEARTEXT: the password itself.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost,
    encoding::Wiped,
    kind::{Fields, Hash, Kind, Work, random},
};

/// The password itself.
pub(super) struct Plain(Wiped);

impl Plain {
    pub(super) fn new(password: &[u8]) -> Self {
        Self(Zeroizing::new(password.to_vec()))
    }

    /// Whether nobody can have it: it is empty or holds a NUL.
    pub(super) fn is_impossible(&self) -> bool {
        self.0.is_empty() || self.0.contains(&0)
    }

    /// The password.
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Hash for Plain {
    /// The length is not hidden: neither does Dovecot hide it, nor can it be told over a network.
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        Ok(self.0.ct_eq(password).into())
    }

    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    fn work(&self) -> Work {
        Work { function: "plain", parameters: [0; 5] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self(password) = self;
        fields.put(password);
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        // Without a NUL: what is impossible is known at once to prove nothing, and costs nothing.
        let bytes = random::<32>()?.map(|byte| byte | 1);
        Ok(Kind::Plain(Self(Zeroizing::new(bytes.to_vec()))))
    }
}
