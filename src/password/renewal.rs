//! New hashes in the place of old ones: which are good enough, and how the others are made anew.

use zeroize::Zeroizing;

use gatepost_protocol::secret::Secret;

use super::{Broken, Scheme, Stored, argon2, blf_crypt, limits, scram, sha_crypt};

/// What passwords are to be stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewHash {
    /// argon2id in 19 MiB and two passes.
    Argon2id,
    /// bcrypt with a cost of 10.
    BlfCrypt,
    /// 100,000 rounds of SHA-512.
    Sha512Crypt,
    /// The keys of SCRAM-SHA-256 after 4096 iterations: the weakest of these against guessing, and the only one that
    /// serves a mechanism which does not send the password.
    ScramSha256,
}

/// A stored password that is to be replaced when somebody has given the right one.
pub struct Outdated {
    /// As it is stored, with its head.
    pub text: Secret,
    /// By what.
    pub by: NewHash,
}

impl NewHash {
    /// Their names, as Dovecot spells them.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("ARGON2ID", Self::Argon2id),
        ("BLF-CRYPT", Self::BlfCrypt),
        ("SHA512-CRYPT", Self::Sha512Crypt),
        ("SCRAM-SHA-256", Self::ScramSha256),
    ];

    /// The stored form of a password, `{SCHEME}` and all; `None` where this scheme would not keep all of it, so that others
    /// would be as good. Takes its time: a task uses [`Pool`](super::Pool).
    ///
    /// It has been tried when it is returned: what was made wrong would shut its owner out.
    pub(super) fn make(self, password: &[u8]) -> Result<Option<Zeroizing<String>>, Broken> {
        let longest = match self {
            Self::Argon2id | Self::ScramSha256 => usize::MAX,
            Self::BlfCrypt => blf_crypt::PASSWORD_BYTES,
            Self::Sha512Crypt => limits::SHA_CRYPT_PASSWORD_BYTES,
        };
        if password.len() > longest {
            return Ok(None);
        }
        let text = match self {
            Self::Argon2id => argon2::hash_new(password)?,
            Self::BlfCrypt => blf_crypt::hash_new(password)?,
            Self::Sha512Crypt => sha_crypt::hash_new(password)?,
            Self::ScramSha256 => scram::hash_new(password)?,
        };
        let stored = Stored::parse(text.as_bytes(), Scheme::Plain).map_err(|_| Broken)?;
        if stored.matches(password)? { Ok(Some(text)) } else { Err(Broken) }
    }

    /// Memory that making one takes, in KiB.
    pub(super) const fn memory_kib(self) -> u32 {
        match self {
            Self::Argon2id => argon2::NEW_MEMORY_KIB,
            Self::BlfCrypt | Self::Sha512Crypt | Self::ScramSha256 => 8,
        }
    }

    /// Whether a stored password is of this kind already, and at least as hard to guess.
    pub fn is_met_by(self, stored: &Stored) -> bool {
        let work = stored.work();
        let [first, second, ..] = work.parameters;
        match self {
            // OWASP has more passes make up for less memory, down to 7 MiB.
            Self::Argon2id => {
                let all = u64::from(first) * u64::from(second);
                work.function == "argon2id" && first >= 7 * 1024 && all >= argon2::NEW_WORK_KIB
            }
            Self::BlfCrypt => work.function == "bcrypt" && first >= blf_crypt::NEW_COST,
            Self::Sha512Crypt => work.function == "sha512-crypt" && first >= sha_crypt::NEW_ROUNDS,
            Self::ScramSha256 => work.function == "scram-sha-256" && first >= scram::Terms::USUAL_ITERATIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NewHash, Scheme, Stored};

    fn stored(text: &str) -> Stored {
        Stored::parse(text.as_bytes(), Scheme::Crypt).unwrap()
    }

    #[test]
    fn what_is_made_is_salted_verifies_and_is_good_enough() {
        for (name, new) in NewHash::NAMES {
            let made = || new.make(b"secret").unwrap().unwrap();
            let (one, two) = (made(), made());
            assert_ne!(*one, *two);
            assert!(one.starts_with(&format!("{{{name}}}")), "{}", *one);
            let stored = stored(&one);
            assert_eq!(
                (stored.matches(b"secret"), stored.matches(b"Secret")),
                (Ok(true), Ok(false)),
                "{name}"
            );
            assert!(new.is_met_by(&stored), "{name}");
            for (other, another) in NewHash::NAMES {
                assert_eq!(another.is_met_by(&stored), other == name, "{other} by {name}");
            }
        }
    }

    #[test]
    fn a_scheme_that_would_not_keep_all_of_a_password_is_not_used_for_it() {
        for (new, longest) in [(NewHash::BlfCrypt, 72), (NewHash::Sha512Crypt, 511)] {
            assert!(new.make(&vec![b'x'; longest]).unwrap().is_some());
            assert!(new.make(&vec![b'x'; longest + 1]).unwrap().is_none());
        }
        assert!(NewHash::Argon2id.make(&[b'x'; 1000]).unwrap().is_some());
    }

    #[test]
    fn weaker_parameters_are_not_good_enough() {
        let argon2 = |parameters: &str| {
            let text = format!(
                "$argon2id$v=19${parameters}$ykRgktSHRWk2rAiaxaCSRQ$RH530r/qWdyQlpOndH6zYDEXi8anAOJrnGFijwwFKXE"
            );
            NewHash::Argon2id.is_met_by(&stored(&text))
        };
        assert!(argon2("m=19456,t=2,p=1") && argon2("m=65536,t=3,p=1") && argon2("m=7168,t=6,p=1"));
        assert!(!argon2("m=19456,t=1,p=1") && !argon2("m=4096,t=100,p=1"));
        let bcrypt = |cost: &str| {
            NewHash::BlfCrypt
                .is_met_by(&stored(&format!("{cost}oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW")))
        };
        assert!(bcrypt("$2y$10$") && bcrypt("$2a$12$"));
        assert!(!bcrypt("$2y$05$") && !bcrypt("$2x$12$"));
    }
}
