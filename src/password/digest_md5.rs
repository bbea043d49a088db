//! DIGEST-MD5: MD5 of `user ":" realm ":" password` (RFC 2831's `H({username:realm:passwd})`), so that a password
//! alone verifies nothing: the name of its owner belongs to it.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost,
    encoding::Wiped,
    kind::{Fields, Hash, Kind, Work, random},
};

/// A digest of sixteen bytes, and whose it is.
pub(super) struct DigestMd5 {
    digest: Zeroizing<[u8; 16]>,
    /// `user ":" realm ":"`; `None` until somebody says.
    head: Option<Wiped>,
}

impl DigestMd5 {
    /// `None` if it is no whole digest.
    pub(super) fn read(material: &[u8]) -> Option<Self> {
        material.try_into().ok().map(|digest| Self { digest: Zeroizing::new(digest), head: None })
    }
}

impl Hash for DigestMd5 {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let head = self.head.as_ref().ok_or(Broken)?;
        let digest = Md5::new().chain_update(head.as_slice()).chain_update(password).finalize();
        Ok(digest.as_slice().ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    fn work(&self) -> Work {
        Work { function: "digest-md5", parameters: [0; 5] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { digest, head } = self;
        fields.put(digest.as_slice());
        fields.put(head.as_deref().map_or(&[], Vec::as_slice));
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::DigestMd5(Self { digest: random()?, head: Some(Zeroizing::new(b"::".to_vec())) }))
    }

    /// As in Dovecot, the realm is what follows the last `@`.
    fn belonging_to(&self, owner: &str) -> Option<Kind> {
        let (user, realm) = owner.rsplit_once('@').unwrap_or((owner, ""));
        let head = Zeroizing::new(format!("{user}:{realm}:").into_bytes());
        Some(Kind::DigestMd5(Self { digest: self.digest.clone(), head: Some(head) }))
    }
}
