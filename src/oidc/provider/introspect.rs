//! Asking a provider about a token (RFC 7662).

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use openidconnect::{
    AccessToken, ClientId, IntrospectionUrl, RequestTokenError, Scope, TokenIntrospectionResponse,
    core::CoreTokenType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Not, Provider};
use crate::oidc::{
    answer::{How, NotVouched, Outage, TokenFault, Vouched},
    claims::Claims,
    client::Refusal,
    http::{Again, Asking},
    rules,
};

/// `{"active": true, "scope": "...", "exp": 1700000000, ...}`, with all that a provider adds to it.
///
/// openidconnect has a type of its own for it, which has lost what a claim was written like by the time it is looked
/// at.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::oidc) struct Told(Map<String, Value>);

impl Provider {
    /// Asks about a token. `foreign`: it is a signed token of another issuer.
    pub(in crate::oidc) async fn introspect(
        &self,
        token: &str,
        foreign: bool,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        let asked = match self.told_of(token, now).await {
            // What some say of any signed token, and of this one we knew already that it is not theirs.
            Err(Not::Unavailable(Outage::Unsupported)) if foreign => Err(TokenFault::Issuer.into()),
            Ok(claims) => self.believed(claims, now),
            Err(not) => Err(not),
        };
        asked.map_err(|not| self.not(not))
    }

    fn believed(&self, claims: Claims, now: SystemTime) -> Result<Vouched, Not> {
        // Whatever else it says, and in which form: anything but `true` is no.
        if claims.value("active") != Some(&Value::Bool(true)) {
            return Err(TokenFault::Inactive.into());
        }
        if claims.value("iss").is_some_and(|issuer| issuer.as_str() != Some(&*self.config.issuer)) {
            return Err(TokenFault::Issuer.into());
        }
        let expires_at = rules::access(&self.config, &claims, now)?;
        self.vouched(claims, expires_at, How::Introspection)
    }

    async fn told_of(&self, token: &str, now: SystemTime) -> Result<Claims, Not> {
        let configured = self.config.introspection_endpoint.as_deref();
        let place = self.endpoint(configured, |endpoints| endpoints.introspection.as_deref()).await?;
        let place = IntrospectionUrl::new(place.into_string()).map_err(|_| Outage::NoEndpoint)?;
        let credentials = self.credentials.as_ref().ok_or(Outage::Refused)?;
        let (client, form) = credentials.client(&self.config, now)?;
        let client = client.set_introspection_url(place);
        let token = AccessToken::new(token.to_owned());
        let mut question = client.introspect(&token).set_token_type_hint("access_token");
        for (name, value) in form {
            question = question.add_extra_param(name, value);
        }
        self.asked.introspections.fetch_add(1, Ordering::Relaxed);
        let asking = Asking(Arc::clone(&self.http), Again::Maybe);
        match question.request_async(&asking).await {
            Ok(Told(members)) => Ok(Claims::new(members)),
            Err(error) => Err(meant(&error)),
        }
    }
}

/// What a refusal to answer means.
fn meant(error: &RequestTokenError<Outage, Refusal>) -> Not {
    match error {
        RequestTokenError::Request(outage) => (*outage).into(),
        // RFC 7009 2.2.1, and here as well: the provider does not speak of tokens of this kind. Whether this one is
        // good it has not said, so it is for the operator to look.
        RequestTokenError::ServerResponse(refusal)
            if refusal.error().as_ref() == "unsupported_token_type" =>
        {
            Outage::Unsupported.into()
        }
        RequestTokenError::ServerResponse(_) => Outage::Refused.into(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Outage::Garbled.into(),
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told(..)")
    }
}

/// Only what openidconnect itself needs: [`Claims`] are what is looked at.
impl TokenIntrospectionResponse for Told {
    type TokenType = CoreTokenType;

    fn active(&self) -> bool {
        self.0.get("active") == Some(&Value::Bool(true))
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }

    fn client_id(&self) -> Option<&ClientId> {
        None
    }

    fn username(&self) -> Option<&str> {
        None
    }

    fn token_type(&self) -> Option<&CoreTokenType> {
        None
    }

    fn exp(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        None
    }

    fn iat(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        None
    }

    fn nbf(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        None
    }

    fn sub(&self) -> Option<&str> {
        None
    }

    fn aud(&self) -> Option<&Vec<String>> {
        None
    }

    fn iss(&self) -> Option<&str> {
        None
    }

    fn jti(&self) -> Option<&str> {
        None
    }
}
