//! The keys that a provider publishes (RFC 7517), and what each may be used for.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, crypto,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// How many keys are kept. A provider that rotates has a handful.
const MOST: usize = 64;

/// A set of keys. Those that cannot verify an allowed signature are not in it.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<Box<str>>,
    /// What it may verify: its kind, its own `alg` and the configuration agree on them.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// `{"keys": [{"kty": "RSA", "use": "sig", "kid": "...", "n": "...", "e": "AQAB"}, ...]}`
    ///
    /// A key that is of an unknown kind or broken leaves the others as good as they are. `None`: it is no such set.
    pub(super) fn parse(json: &[u8], allowed: &[Algorithm]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).ok()?;
        let keys = set.keys.into_iter().filter_map(|key| Key::of(key, allowed));
        Some(Self(keys.take(MOST).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this name. A token that names none can only be meant for the only key there is.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => {
                let only = fitting.next()?;
                fitting.next().is_none().then_some(only)
            }
        }
    }
}

impl Key {
    /// Whether it has signed `signed`. `signature` is in base64url.
    pub(super) fn verifies(&self, signed: &str, signature: &str, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
            && crypto::verify(signature, signed.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }

    fn of(json: Value, allowed: &[Algorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let verifies =
            common.key_operations.as_ref().is_none_or(|usages| usages.contains(&KeyOperations::Verify));
        if !signs || !verifies {
            return None;
        }
        let own = |algorithm: &Algorithm| {
            common.key_algorithm.is_none_or(|own| own == KeyAlgorithm::from(*algorithm))
        };
        let fits = |algorithm: &&Algorithm| fits(&jwk.algorithm, **algorithm) && own(algorithm);
        let algorithms: Vec<Algorithm> = allowed.iter().filter(fits).copied().collect();
        if algorithms.is_empty() {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id.map(String::into_boxed_str), algorithms, key })
    }
}

/// Whether a key of this kind can be used with the algorithm (RFC 7518 3.1, RFC 8037 3.1). A shared secret never can,
/// even if somebody publishes one.
fn fits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    let curve = |curve: &EllipticCurve| {
        matches!(
            (curve, algorithm),
            (EllipticCurve::P256, Algorithm::ES256)
                | (EllipticCurve::P384, Algorithm::ES384)
                | (EllipticCurve::Ed25519, Algorithm::EdDSA)
        )
    };
    match (key, algorithm.family()) {
        (AlgorithmParameters::RSA(_), AlgorithmFamily::Rsa) => true,
        (AlgorithmParameters::EllipticCurve(key), AlgorithmFamily::Ec) => curve(&key.curve),
        (AlgorithmParameters::OctetKeyPair(key), AlgorithmFamily::Ed) => curve(&key.curve),
        _ => false,
    }
}
