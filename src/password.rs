//! The cellar's safe: stored passwords, and the slow work of comparing one with what a user typed.
//!
//! [`Stored`] is a password as a directory holds it, `{SCHEME}text`, read and checked once. [`Pool`] verifies it:
//! cheap schemes in place, slow ones on a bounded number of threads within a memory budget. [`Evidence`] is what
//! proves a password without sending it. [`Decoy`] makes an unknown user cost what a known one costs. [`NewHash`] is
//! what an outdated one is replaced by, and [`hash_new`] makes the stored form of a new password.
//!
//! Verification is pure: it compares bytes and knows nothing of policy. That an empty password, or one with a NUL in
//! it, never logs anybody in is decided before anything gets here, because LDAP binds and C strings go wrong there too.
//! Only of evidence it is decided here, by what is stored: nobody else sees a password then.
//!
//! What cannot be verified here is an error ([`Unusable`], [`Unverified`]), never a mismatch and never a match: the
//! caller answers with a temporary failure and tells the operator. What crypt(3) of Debian verifies is verified here
//! too, without calling it: a library in C is one more thing that may be absent, or not safe to call from several threads.
//! Left out are bigcrypt and those flavours of yescrypt that crypt(3) itself does not write.

mod argon2;
mod blf_crypt;
mod cram_md5;
mod decoy;
mod des;
mod des_crypt;
mod digest;
mod digest_md5;
mod encoding;
mod evidence;
mod kind;
pub mod limits;
mod md5_crypt;
mod otp;
mod pbkdf2;
mod plain;
mod pool;
mod renewal;
mod scheme;
mod scram;
mod scrypt;
mod sha1_crypt;
mod sha_crypt;
mod sun_md5;
#[cfg(test)]
mod tests;
mod yescrypt;

use std::{fmt, sync::Arc};

use gatepost_protocol::secret::Secret;

pub use self::{
    argon2::hash_new,
    decoy::Decoy,
    evidence::{Evidence, Verdict},
    pool::{Pool, Unverified},
    renewal::{NewHash, Outdated},
    scheme::Scheme,
    scram::{ScramHash, Terms},
};

use self::kind::Kind;

/// A stored password: its scheme and its material, read and checked.
///
/// A clone is another handle to the same material, which is wiped when the last handle goes.
#[derive(Clone)]
pub struct Stored {
    scheme: Scheme,
    kind: Arc<Kind>,
    /// A decoy does the work and then never matches.
    decoy: bool,
    /// Whether, and by what, it is to be replaced.
    outdated: Option<Arc<Outdated>>,
}

impl Stored {
    /// `["{" scheme ["." ("b64" / "base64" / "hex")] "}"] text`, where a bare text is of the scheme `default`.
    ///
    /// As in Dovecot, a bare `$1$salt$digest` is MD5-CRYPT whatever the default is, names are compared ignoring case,
    /// and a suffix says how the whole text is encoded. Parameters above [`limits`] are refused here, so that what has
    /// been read can be verified in bounded time.
    pub fn parse(text: &[u8], default: Scheme) -> Result<Self, Unusable> {
        let (scheme, encoding, text) = scheme::split(text, default)?;
        let material = encoding.decode(scheme, text)?;
        Ok(Self { scheme, kind: Arc::new(Kind::read(scheme, &material)?), decoy: false, outdated: None })
    }

    /// The same, as the password of an account of this name. DIGEST-MD5 has the name hashed into it and cannot be
    /// verified without; all others do not care.
    pub fn belonging_to(self, user: &str) -> Self {
        match self.kind.hash().belonging_to(user) {
            Some(kind) => Self { kind: Arc::new(kind), ..self },
            None => self,
        }
    }

    /// The same, to be replaced by a new hash if it is not as good as that: `text` is how it is stored.
    pub fn renewed_by(self, new: NewHash, text: &[u8]) -> Self {
        if self.is_locked() || new.is_met_by(&self) {
            return self;
        }
        let text = Secret::new(text.to_vec());
        Self { outdated: Some(Arc::new(Outdated { text, by: new })), ..self }
    }

    /// Whether all of a password counts that matches. Where it does not, what was typed behind may be anything, and a
    /// hash of it would shut its owner out.
    pub fn has_seen_all_of(&self, password: &[u8]) -> bool {
        self.kind.hash().has_seen_all_of(password)
    }

    /// What it is to be replaced by, if it is.
    pub fn outdated(&self) -> Option<&Arc<Outdated>> {
        self.outdated.as_ref()
    }

    /// The scheme it was stored under.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What one verification costs.
    pub fn cost(&self) -> Cost {
        self.kind.hash().cost()
    }

    /// Whether no password can ever match, as with the `!` and `*` of shadow files.
    pub fn is_locked(&self) -> bool {
        matches!(*self.kind, Kind::Locked)
    }

    /// Gives `sink`, piece by piece, bytes by which a keyed digest knows this password again: two that do not accept the
    /// same passwords never give the same, nor does one give the beginning of what another gives. How it is written
    /// and whether it is to be replaced does not matter; whose it [is](Self::belonging_to) does where it decides. All
    /// that nothing matches, decoys among it, is one.
    ///
    /// A password in the clear is in there as it is, and everything else is enough to guess with: what keeps it wipes
    /// it.
    pub fn feed(&self, mut sink: impl FnMut(&[u8])) {
        let kind = if self.decoy { &Kind::Locked } else { &*self.kind };
        kind.feed(&mut sink);
    }

    /// Whether `password` is the one that was stored; takes as long as [`Self::cost`] says, so a task uses [`Pool`].
    pub fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let same = self.kind.hash().matches(password)?;
        Ok(same && !self.decoy)
    }

    /// Something of the same cost that never matches.
    fn decoy(&self) -> Result<Self, Broken> {
        Ok(Self {
            scheme: self.scheme,
            kind: Arc::new(self.kind.hash().decoy()?),
            decoy: true,
            outdated: None,
        })
    }

    /// The work of one verification, for comparing.
    fn work(&self) -> kind::Work {
        self.kind.hash().work()
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored({})", self.scheme)
    }
}

/// What a verification costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Microseconds: done in place.
    Cheap,
    /// Slow on purpose: done on the [`Pool`].
    Slow {
        /// Memory held meanwhile, in KiB.
        memory_kib: u32,
    },
}

/// A stored password that cannot be used. The operator's fault, or the directory's; never the remote's.
///
/// Names only what is in our own tables: a text that was taken for a scheme may be a password in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// A scheme that is not supported.
    UnknownScheme {
        /// Its name where it is a known one, otherwise a description.
        scheme: &'static str,
    },
    /// The text does not have the form of its scheme.
    Malformed {
        /// The scheme.
        scheme: &'static str,
        /// The form that was expected.
        expected: &'static str,
    },
    /// Verifying it would take more than [`limits`] allows.
    TooExpensive {
        /// The scheme.
        scheme: &'static str,
        /// The parameter that is too large.
        parameter: &'static str,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownScheme { scheme } => write!(f, "password scheme not supported: {scheme}"),
            Self::Malformed { scheme, expected } => {
                write!(f, "malformed {scheme} password: expected {expected}")
            }
            Self::TooExpensive { scheme, parameter } => {
                write!(f, "{scheme} password too expensive to verify: {parameter} above the limit")
            }
        }
    }
}

impl std::error::Error for Unusable {}

/// A hash function could not do its work: no memory, no random numbers, or a defect in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("password hashing failed")
    }
}

impl std::error::Error for Broken {}
