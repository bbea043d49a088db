//! One kind per hash function, and which kind a text is of.

use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    argon2::Argon2,
    blf_crypt::BlfCrypt,
    cram_md5::CramMd5,
    des_crypt::DesCrypt,
    digest::{Algorithm, Digest},
    digest_md5::DigestMd5,
    encoding::{Encoding, hex},
    md5_crypt::Md5Crypt,
    otp::Otp,
    pbkdf2::Pbkdf2,
    plain::Plain,
    scram::{Scram, ScramHash},
    scrypt::Scrypt,
    sha_crypt::ShaCrypt,
    sha1_crypt::Sha1Crypt,
    sun_md5::SunMd5,
    yescrypt::Yescrypt,
};

/// The material of a stored password, by hash function.
pub(super) enum Kind {
    Argon2(Argon2),
    BlfCrypt(BlfCrypt),
    CramMd5(CramMd5),
    DesCrypt(DesCrypt),
    Digest(Digest),
    DigestMd5(DigestMd5),
    /// `!` or `*` at the head of a hash or in its place: no password matches.
    Locked,
    Md5Crypt(Md5Crypt),
    Otp(Otp),
    Pbkdf2(Pbkdf2),
    Plain(Plain),
    Scram(Scram),
    Scrypt(Scrypt),
    Sha1Crypt(Sha1Crypt),
    ShaCrypt(ShaCrypt),
    SunMd5(SunMd5),
    Yescrypt(Yescrypt),
    #[cfg(test)]
    Probe(super::pool::Probe),
}

/// What a hash function does here. A new one is a module with this in it, an arm in [`Kind::read`] and one in
/// [`Kind::hash`].
pub(super) trait Hash {
    /// Whether `password` hashes to the stored digest, compared in constant time.
    fn matches(&self, password: &[u8]) -> Result<bool, Broken>;

    /// What that costs.
    fn cost(&self) -> Cost;

    /// The same in numbers.
    fn work(&self) -> Work;

    /// All that decides which passwords match and is not in [`Hash::work`]. Taken apart without `..`, so that a field which
    /// is added later is not forgotten here.
    fn feed(&self, fields: &mut Fields<'_>);

    /// The same parameters and lengths with random bytes in place of salt and digest.
    fn decoy(&self) -> Result<Kind, Broken>;

    /// The same of an account of this name, where the name is hashed, too.
    fn belonging_to(&self, _owner: &str) -> Option<Kind> {
        None
    }

    /// Whether all of a password counts that matches.
    fn has_seen_all_of(&self, _password: &[u8]) -> bool {
        true
    }
}

/// `*(length field)`, lengths in eight bytes: no two lists of fields are written the same.
pub(super) struct Fields<'a>(&'a mut dyn FnMut(&[u8]));

impl Fields<'_> {
    /// Writes the next one.
    pub(super) fn put(&mut self, field: &[u8]) {
        (self.0)(&u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        (self.0)(field);
    }
}

/// Two stored passwords of the same work take the same time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) function: &'static str,
    /// Parameters of the function, then the length of the salt.
    pub(super) parameters: [u32; 5],
}

impl Kind {
    /// Reads the material of a scheme, its head and encoding taken off.
    pub(super) fn read(scheme: Scheme, material: &[u8]) -> Result<Self, Unusable> {
        match scheme {
            // Dovecot has no match either for an empty hash, nor for one that was locked the way of shadow files.
            Scheme::BlfCrypt
            | Scheme::Crypt
            | Scheme::DesCrypt
            | Scheme::Md5Crypt
            | Scheme::Sha256Crypt
            | Scheme::Sha512Crypt
                if matches!(material, [] | [b'!' | b'*', ..]) =>
            {
                Ok(Self::Locked)
            }
            Scheme::Argon2i | Scheme::Argon2id => Argon2::read(scheme, material).map(Self::Argon2),
            Scheme::BlfCrypt => BlfCrypt::read(scheme, material).map(Self::BlfCrypt),
            Scheme::CramMd5 => CramMd5::read(material)
                .map(Self::CramMd5)
                .ok_or(Unusable::Malformed { scheme: scheme.name(), expected: "64 hex digits" }),
            Scheme::Crypt | Scheme::DesCrypt | Scheme::Sha256Crypt | Scheme::Sha512Crypt => {
                Self::read_crypt(scheme, material)
            }
            Scheme::DigestMd5 => DigestMd5::read(material)
                .map(Self::DigestMd5)
                .ok_or(Unusable::Malformed { scheme: scheme.name(), expected: "32 hex digits" }),
            Scheme::LdapMd5 | Scheme::PlainMd5 => unsalted(scheme, Algorithm::Md5, material),
            Scheme::Md5 if material.starts_with(b"$1$") => {
                Md5Crypt::read(scheme, material).map(Self::Md5Crypt)
            }
            Scheme::Md5 => {
                let digest = Encoding::Default.decode(Scheme::PlainMd5, material)?;
                unsalted(scheme, Algorithm::Md5, &digest)
            }
            Scheme::Md5Crypt => Md5Crypt::read(scheme, material).map(Self::Md5Crypt),
            Scheme::Otp => Otp::read(scheme, material).map(Self::Otp),
            Scheme::Pbkdf2 => Pbkdf2::read(scheme, material).map(Self::Pbkdf2),
            Scheme::Plain => Ok(Self::Plain(Plain::new(material))),
            Scheme::PlainMd4 => unsalted(scheme, Algorithm::Md4, material),
            Scheme::ScramSha1 => Scram::read(scheme, ScramHash::Sha1, material).map(Self::Scram),
            Scheme::ScramSha256 => Scram::read(scheme, ScramHash::Sha256, material).map(Self::Scram),
            Scheme::Sha1 => unsalted(scheme, Algorithm::Sha1, material),
            Scheme::Sha256 => unsalted(scheme, Algorithm::Sha256, material),
            Scheme::Sha512 => unsalted(scheme, Algorithm::Sha512, material),
            Scheme::Smd5 => salted(scheme, Algorithm::Md5, material),
            Scheme::Ssha => salted(scheme, Algorithm::Sha1, material),
            Scheme::Ssha256 => salted(scheme, Algorithm::Sha256, material),
            Scheme::Ssha512 => salted(scheme, Algorithm::Sha512, material),
        }
    }

    /// By the prefix, as crypt(3) does. Only prefixes from our own table are named in the error: of a DES hash, the
    /// first bytes are the salt.
    fn read_crypt(scheme: Scheme, material: &[u8]) -> Result<Self, Unusable> {
        let unknown = Err(Unusable::UnknownScheme { scheme: "CRYPT with an unknown $prefix$" });
        let mut fields = material.splitn(3, |&byte| byte == b'$');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(b""), Some(id), Some(_)) => match id {
                b"1" => Md5Crypt::read(scheme, material).map(Self::Md5Crypt),
                b"2a" | b"2b" | b"2x" | b"2y" => BlfCrypt::read(scheme, material).map(Self::BlfCrypt),
                b"3" => {
                    let digest = material.strip_prefix(b"$3$$").and_then(hex).unwrap_or_default();
                    unsalted(scheme, Algorithm::Nt, &digest)
                }
                b"5" | b"6" => ShaCrypt::read(scheme, material).map(Self::ShaCrypt),
                b"7" => Scrypt::read(scheme, material).map(Self::Scrypt),
                b"gy" | b"y" => Yescrypt::read(scheme, material).map(Self::Yescrypt),
                b"argon2i" | b"argon2id" => Argon2::read(scheme, material).map(Self::Argon2),
                b"sha1" => Sha1Crypt::read(scheme, material).map(Self::Sha1Crypt),
                _ if id == b"md5" || id.starts_with(b"md5,") => {
                    SunMd5::read(scheme, material).map(Self::SunMd5)
                }
                _ => unknown,
            },
            (_, None, _) => DesCrypt::read(scheme, material).map(Self::DesCrypt),
            _ => unknown,
        }
    }

    /// Writes what [`Stored::feed`](super::Stored::feed) does.
    pub(super) fn feed(&self, sink: &mut dyn FnMut(&[u8])) {
        let Work { function, parameters } = self.hash().work();
        let mut fields = Fields(sink);
        fields.put(function.as_bytes());
        fields.put(parameters.map(u32::to_be_bytes).as_flattened());
        self.hash().feed(&mut fields);
    }

    /// What does the work.
    pub(super) fn hash(&self) -> &dyn Hash {
        match self {
            Self::Argon2(hash) => hash,
            Self::BlfCrypt(hash) => hash,
            Self::CramMd5(hash) => hash,
            Self::DesCrypt(hash) => hash,
            Self::Digest(hash) => hash,
            Self::DigestMd5(hash) => hash,
            Self::Locked => &Locked,
            Self::Md5Crypt(hash) => hash,
            Self::Otp(hash) => hash,
            Self::Pbkdf2(hash) => hash,
            Self::Plain(hash) => hash,
            Self::Scram(hash) => hash,
            Self::Scrypt(hash) => hash,
            Self::Sha1Crypt(hash) => hash,
            Self::ShaCrypt(hash) => hash,
            Self::SunMd5(hash) => hash,
            Self::Yescrypt(hash) => hash,
            #[cfg(test)]
            Self::Probe(hash) => hash,
        }
    }
}

fn unsalted(scheme: Scheme, algorithm: Algorithm, material: &[u8]) -> Result<Kind, Unusable> {
    Digest::unsalted(algorithm, material)
        .map(Kind::Digest)
        .ok_or(Unusable::Malformed { scheme: scheme.name(), expected: "a whole digest and nothing else" })
}

fn salted(scheme: Scheme, algorithm: Algorithm, material: &[u8]) -> Result<Kind, Unusable> {
    Digest::salted(algorithm, material)
        .map(Kind::Digest)
        .ok_or(Unusable::Malformed { scheme: scheme.name(), expected: "a whole digest and a salt" })
}

struct Locked;

impl Hash for Locked {
    fn matches(&self, _: &[u8]) -> Result<bool, Broken> {
        Ok(false)
    }

    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    fn work(&self) -> Work {
        Work { function: "locked", parameters: [0; 5] }
    }

    fn feed(&self, _: &mut Fields<'_>) {}

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::Locked)
    }
}

/// Random bytes for salts and for the digests of decoys.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Broken> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| Broken)?;
    Ok(bytes)
}

/// As many random bytes as there are in `like`.
pub(super) fn random_like(like: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
    let mut bytes = Zeroizing::new(vec![0; like.len()]);
    getrandom::fill(&mut bytes).map_err(|_| Broken)?;
    Ok(bytes)
}

/// The length of a salt as a parameter of [`Work`]; bounded by [`super::limits::STORED_BYTES`].
pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
