//! gatepost as a client of a provider.

use std::time::SystemTime;

use gatepost_protocol::secret::Secret;
use jsonwebtoken::{Algorithm, EncodingKey};
use openidconnect::{
    AuthType, Client, ClientId, ClientSecret, EmptyAdditionalClaims, EndpointNotSet, IssuerUrl,
    JsonWebKeySet, StandardErrorResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenResponse,
    },
};
use serde_json::json;

use super::{answer::Outage, provider::introspect::Told};
use crate::config::{ClientAuth, Oidc};

/// A client of openidconnect's that knows no endpoint yet.
type Bare = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Refusal,
    CoreTokenResponse,
    Told,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
>;

/// `{"error": "...", "error_description": "..."}` (RFC 6749 5.2).
pub(super) type Refusal = StandardErrorResponse<CoreErrorResponseType>;

/// What goes into a form besides, by name.
type Form = Vec<(&'static str, String)>;

/// How long a statement about who we are is good. A clock may be wrong by as much.
const STATEMENT: u64 = 60;

/// How gatepost proves who it is.
pub(super) enum Credentials {
    Basic(Secret),
    Post(Secret),
    PrivateKey { key: Option<EncodingKey>, algorithm: Algorithm, id: Option<String> },
}

impl Credentials {
    pub(super) fn new(auth: &ClientAuth) -> Self {
        let copy = |secret: &Secret| Secret::new(secret.expose().to_vec());
        match auth {
            ClientAuth::Basic(secret) => Self::Basic(copy(secret)),
            ClientAuth::Post(secret) => Self::Post(copy(secret)),
            ClientAuth::PrivateKey(private) => Self::PrivateKey {
                key: private.key().ok(),
                algorithm: private.algorithm,
                id: private.id.as_deref().map(str::to_owned),
            },
        }
    }

    /// A client with these credentials, and what goes into the form besides, by name.
    ///
    /// openidconnect encodes id and secret in the way that RFC 6749 2.3.1 wants and many programs forget.
    pub(super) fn client(&self, config: &Oidc, now: SystemTime) -> Result<(Bare, Form), Outage> {
        let issuer = IssuerUrl::new(config.issuer.to_string()).map_err(|_| Outage::OtherIssuer)?;
        let client = Bare::new(ClientId::new(config.client_id.to_string()), issuer, JsonWebKeySet::default());
        let secret = |secret: &Secret| {
            let text = std::str::from_utf8(secret.expose()).map_err(|_| Outage::Refused)?;
            Ok(ClientSecret::new(text.to_owned()))
        };
        Ok(match self {
            Self::Basic(given) => {
                (client.set_client_secret(secret(given)?).set_auth_type(AuthType::BasicAuth), vec![])
            }
            Self::Post(given) => {
                (client.set_client_secret(secret(given)?).set_auth_type(AuthType::RequestBody), vec![])
            }
            Self::PrivateKey { key, algorithm, id } => {
                let key = key.as_ref().ok_or(Outage::Refused)?;
                let statement = statement(config, key, *algorithm, id.clone(), now)?;
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let form = vec![("client_assertion_type", kind.to_owned()), ("client_assertion", statement)];
                (client.set_auth_type(AuthType::RequestBody), form)
            }
        })
    }
}

/// `{"iss": client, "sub": client, "aud": issuer, "jti": random, "iat": now, "exp": now + 60}` (RFC 7523 3, OpenID
/// Connect Core 1.0 9), for the issuer and not for one of its endpoints: a statement for somebody else's endpoint could
/// be handed on by them (CVE-2025-27370).
fn statement(
    config: &Oidc,
    key: &EncodingKey,
    algorithm: Algorithm,
    id: Option<String>,
    now: SystemTime,
) -> Result<String, Outage> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Outage::Refused)?.as_secs();
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Outage::Refused)?;
    let claims = json!({
        "iss": config.client_id, "sub": config.client_id, "aud": config.issuer,
        "jti": format!("{:032x}", u128::from_ne_bytes(random)), "iat": now, "exp": now.saturating_add(STATEMENT),
    });
    let mut header = jsonwebtoken::Header::new(algorithm);
    header.kid = id;
    jsonwebtoken::encode(&header, &claims, key).map_err(|_| Outage::Refused)
}
