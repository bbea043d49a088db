//! Where a provider's endpoints are (OpenID Connect Discovery 1.0 4).

use openidconnect::{
    AdditionalProviderMetadata, HttpRequest, IssuerUrl, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    answer::Outage,
    http::{Again, Http},
};

/// What is asked of a provider, and where. An endpoint that is not of https is none.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints {
    pub(super) keys: Option<Box<str>>,
    pub(super) introspection: Option<Box<str>>,
    pub(super) token: Option<Box<str>>,
    pub(super) userinfo: Option<Box<str>>,
}

/// What RFC 8414 2 adds to OpenID Connect.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Additional {
    #[serde(default)]
    introspection_endpoint: Option<String>,
}

impl AdditionalProviderMetadata for Additional {}

type Metadata = ProviderMetadata<
    Additional,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// `<issuer>/.well-known/openid-configuration`, with one `/` between.
pub(super) fn address(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// Asks the provider. It must say that it is the issuer, letter by letter: whoever can answer for one address at a
/// provider with many issuers must not be able to answer for another.
///
/// `ProviderMetadata::discover_async` would fetch the keys along with it, and lose those of kinds that it does not
/// know.
pub(super) async fn discover(http: &Http, issuer: &str) -> Result<Endpoints, Outage> {
    let answer = http.ask(get(&address(issuer))?, Again::Maybe).await?;
    if !answer.status().is_success() {
        return Err(Outage::Status(answer.status().as_u16()));
    }
    let metadata: Metadata = serde_json::from_slice(answer.body()).map_err(|_| Outage::Garbled)?;
    let expected = IssuerUrl::new(issuer.to_owned()).map_err(|_| Outage::OtherIssuer)?;
    if metadata.issuer().as_str() != expected.as_str() {
        return Err(Outage::OtherIssuer);
    }
    let additional = metadata.additional_metadata();
    Ok(Endpoints {
        keys: safe(Some(metadata.jwks_uri().as_str())),
        introspection: safe(additional.introspection_endpoint.as_deref()),
        token: safe(metadata.token_endpoint().map(|url| url.as_str())),
        userinfo: safe(metadata.userinfo_endpoint().map(|url| url.as_str())),
    })
}

/// A question that brings no more along than its address.
pub(super) fn get(url: &str) -> Result<HttpRequest, Outage> {
    let request = hyper::Request::get(url).header(hyper::header::ACCEPT, "application/json");
    request.body(Vec::new()).map_err(|_| Outage::NoEndpoint)
}

fn safe(url: Option<&str>) -> Option<Box<str>> {
    url.filter(|url| url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")))
        .map(Into::into)
}
