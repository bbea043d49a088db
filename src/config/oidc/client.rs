//! How gatepost proves to a provider who it is (OpenID Connect Core 1.0 9).

use std::path::Path;

use gatepost_protocol::secret::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use crate::config::{problem::Wrong, reader::Reader, secret::secret};

/// `client_auth`.
#[derive(Debug)]
pub enum ClientAuth {
    /// `basic`: `client_secret` in the header. Default.
    Basic(Secret),
    /// `post`: `client_secret` in the form.
    Post(Secret),
    /// `private_key_jwt`: a statement that is signed with `private_key`, which the provider never sees.
    PrivateKey(PrivateKey),
}

/// What statements to the provider are signed with.
#[derive(Debug)]
pub struct PrivateKey {
    /// `private_key`: in PEM. It was tried.
    pub pem: Secret,
    /// RS256 for a key of RSA, ES256 for one of P-256.
    pub algorithm: Algorithm,
    /// `private_key_id`: which of several keys it is to the provider.
    pub id: Option<Box<str>>,
}

impl PrivateKey {
    /// The key as it is used.
    ///
    /// # Errors
    ///
    /// Nothing that was not found out when the configuration was read.
    pub fn key(&self) -> Result<EncodingKey, jsonwebtoken::errors::Error> {
        if self.algorithm == Algorithm::ES256 {
            EncodingKey::from_ec_pem(self.pem.expose())
        } else {
            EncodingKey::from_rsa_pem(self.pem.expose())
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Basic,
    Post,
    PrivateKey,
}

const WAYS: &[(&str, Way)] =
    &[("basic", Way::Basic), ("post", Way::Post), ("private_key_jwt", Way::PrivateKey)];

const SECRETS: [&str; 3] = ["client_secret", "client_secret_file", "client_secret_credential"];
const KEYS: [&str; 3] = ["private_key", "private_key_file", "private_key_credential"];

/// Reads it. `asks`: whether the provider is ever asked something for which it wants to know who asks.
pub(super) fn auth(reader: &mut Reader<'_>, asks: bool, credentials: Option<&Path>) -> Option<ClientAuth> {
    let way = reader.one_of("client_auth", WAYS, &[]).unwrap_or(Way::Basic);
    let client_secret = secret(reader, "client_secret", credentials);
    let private_key = secret(reader, "private_key", credentials);
    let id = reader.text("private_key_id", super::word);
    let (wanted, other, remedy) = match way {
        Way::Basic | Way::Post => {
            let remedy = "write client_secret_file or client_secret_credential; or validation = \"jwt\", where tokens are signed and nothing is ever asked";
            (SECRETS, KEYS, remedy)
        }
        Way::PrivateKey => (KEYS, SECRETS, "write private_key_file or private_key_credential"),
    };
    for key in other.into_iter().filter(|key| reader.has(key)) {
        let what = "does not go with this client_auth";
        reader.wrong(key, Wrong::new(what, "take it away, or write the client_auth that it is for"));
    }
    if way != Way::PrivateKey && reader.has("private_key_id") {
        let what = "is about a private key, and there is none";
        reader.wrong(
            "private_key_id",
            Wrong::new(what, "take it away, or write client_auth = \"private_key_jwt\""),
        );
    }
    if asks && !wanted.into_iter().any(|key| reader.has(key)) {
        let what = "is missing, and the provider tells nothing to those it does not know";
        reader.wrong(wanted[0], Wrong::new(what, remedy));
    }
    match way {
        Way::Basic => client_secret.map(ClientAuth::Basic),
        Way::Post => client_secret.map(ClientAuth::Post),
        Way::PrivateKey => {
            let pem = private_key?;
            let given = KEYS.into_iter().find(|key| reader.has(key)).unwrap_or("private_key");
            let Some(algorithm) = algorithm_of(&pem) else {
                let what = "is no private key of RSA or P-256 in PEM";
                let remedy = "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";
                reader.wrong(given, Wrong::new(what, remedy));
                return None;
            };
            Some(ClientAuth::PrivateKey(PrivateKey { pem, algorithm, id }))
        }
    }
}

/// What can be signed with the key, if anything can.
fn algorithm_of(pem: &Secret) -> Option<Algorithm> {
    let keys = [
        (EncodingKey::from_ec_pem(pem.expose()), Algorithm::ES256),
        (EncodingKey::from_rsa_pem(pem.expose()), Algorithm::RS256),
    ];
    let signs = |(key, algorithm): (Result<EncodingKey, _>, Algorithm)| {
        let key: EncodingKey = key.ok()?;
        crypto::sign(b"x", &key, algorithm).ok().map(|_| algorithm)
    };
    keys.into_iter().find_map(signs)
}
