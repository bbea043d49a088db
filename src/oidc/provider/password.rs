//! Giving name and password to a provider (RFC 6749 4.3), for operators who have chosen so.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use gatepost_protocol::secret::Secret;
use hyper::header::{AUTHORIZATION, HeaderValue};
use openidconnect::{
    OAuth2TokenResponse as _, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, Scope,
    TokenResponse as _, TokenUrl,
    core::{CoreErrorResponseType, CoreTokenResponse},
};

use super::{Not, Provider};
use crate::oidc::{
    answer::{How, NotVouched, Outage, TokenFault, Vouched},
    claims::Claims,
    client::Refusal,
    discovery,
    http::{Again, Asking},
    jwt, rules,
};

/// The types of an ID token (OpenID Connect Core 1.0 2 has none).
const ID_TOKEN: &str = "jwt";

/// How long an answer is good that does not say so.
const UNSAID: Duration = Duration::from_secs(60);

impl Provider {
    /// Whether the provider knows the password, and whose it is to the provider: whoever calls compares that with the
    /// name that was given, as a provider may know people by several.
    pub(in crate::oidc) async fn password(
        &self,
        user: &str,
        password: &Secret,
        now: SystemTime,
    ) -> Result<Vouched, NotVouched> {
        let (claims, expires_at) = self.granted(user, password, now).await.map_err(|not| self.not(not))?;
        self.vouched(claims, expires_at, How::PasswordGrant).map_err(|not| self.not(not))
    }

    async fn granted(
        &self,
        user: &str,
        password: &Secret,
        now: SystemTime,
    ) -> Result<(Claims, SystemTime), Not> {
        let password = std::str::from_utf8(password.expose()).map_err(|_| TokenFault::WrongPassword)?;
        // Not worth a question, and who knows what it would be taken for.
        if password.is_empty() {
            return Err(TokenFault::WrongPassword.into());
        }
        let answer = self.ask_for_tokens(user, password, now).await?;
        // Left out, it is what was asked for (RFC 6749 5.1).
        if let Some(given) = answer.scopes()
            && !self.config.scopes.iter().all(|wanted| given.iter().any(|scope| scope.as_str() == wanted))
        {
            return Err(TokenFault::Scope.into());
        }
        let access_token = answer.access_token().secret();
        let lasts = answer.expires_in().unwrap_or(UNSAID);
        let expires_at = now.checked_add(lasts).ok_or(Outage::Garbled)?;
        let Some(token) = answer.id_token() else {
            return Ok((self.userinfo(access_token, None).await?, expires_at));
        };
        let (claims, ends) = self.id_token(&token.to_string(), now).await?;
        let expires_at = expires_at.min(ends);
        // Some put the address there only.
        if claims.value(&self.config.username_claim).is_some() {
            return Ok((claims, expires_at));
        }
        let subject = claims.string("sub").ok_or(Outage::NoClaims)?.to_owned();
        let more = self.userinfo(access_token, Some(&subject)).await?;
        Ok((claims.and(more), expires_at))
    }

    async fn ask_for_tokens(
        &self,
        user: &str,
        password: &str,
        now: SystemTime,
    ) -> Result<CoreTokenResponse, Not> {
        let configured = self.config.token_endpoint.as_deref();
        let place = self.endpoint(configured, |endpoints| endpoints.token.as_deref()).await?;
        let place = TokenUrl::new(place.into_string()).map_err(|_| Outage::NoEndpoint)?;
        let credentials = self.credentials.as_ref().ok_or(Outage::Refused)?;
        let (client, form) = credentials.client(&self.config, now)?;
        let client = client.set_token_uri(place);
        let user = ResourceOwnerUsername::new(user.to_owned());
        let password = ResourceOwnerPassword::new(password.to_owned());
        let mut question =
            client.exchange_password(&user, &password).add_scope(Scope::new("openid".to_owned()));
        for scope in self.config.scopes.iter().filter(|scope| *scope != "openid") {
            question = question.add_scope(Scope::new(scope.clone()));
        }
        for (name, value) in form {
            question = question.add_extra_param(name, value);
        }
        self.asked.passwords.fetch_add(1, Ordering::Relaxed);
        let asking = Asking(Arc::clone(&self.http), Again::Never);
        question.request_async(&asking).await.map_err(|error| meant(&error))
    }

    /// OpenID Connect Core 1.0 3.1.3.7, all of it that can be checked without a browser.
    async fn id_token(&self, token: &str, now: SystemTime) -> Result<(Claims, SystemTime), Not> {
        // It comes from the provider itself, so what is wrong with it says nothing of the password.
        let front = jwt::front(token.as_bytes()).map_err(|_| Outage::NoClaims)?;
        let algorithm = rules::header(&self.config, &front.header, &[ID_TOKEN.to_owned()]);
        let algorithm = algorithm.map_err(|_| Outage::NoClaims)?;
        let ours = front.claims.strings("aud").contains(&&*self.config.client_id);
        if !ours || front.claims.string("iss") != Some(&*self.config.issuer) {
            return Err(Outage::NoClaims.into());
        }
        let ends = rules::times(&self.config, &front.claims, now).map_err(|_| Outage::NoClaims)?;
        match self.signed(&front, algorithm, now).await {
            Ok(()) => Ok((front.claims, ends)),
            Err(Not::Rejected(_)) => Err(Outage::NoClaims.into()),
            Err(unavailable) => Err(unavailable),
        }
    }

    /// OpenID Connect Core 1.0 5.3. What it says of somebody else than `subject` is not looked at (5.3.2).
    async fn userinfo(&self, access_token: &str, subject: Option<&str>) -> Result<Claims, Outage> {
        let known = self.endpoints.get(|| self.discover()).await?;
        let place = known.userinfo.as_deref().ok_or(Outage::NoClaims)?;
        let mut question = discovery::get(place)?;
        let mut bearer =
            HeaderValue::try_from(format!("Bearer {access_token}")).map_err(|_| Outage::Garbled)?;
        bearer.set_sensitive(true);
        question.headers_mut().insert(AUTHORIZATION, bearer);
        let answer = self.http.ask(question, Again::Maybe).await?;
        let claims = Claims::parse(answer.body()).filter(|_| answer.status().is_success());
        let claims = claims.ok_or(Outage::NoClaims)?;
        let its = claims.string("sub").ok_or(Outage::NoClaims)?;
        if subject.is_some_and(|subject| subject != its) {
            return Err(Outage::NoClaims);
        }
        Ok(claims)
    }
}

/// What a refusal means: `invalid_grant` is the only one that is about the password (RFC 6749 5.2).
fn meant(error: &RequestTokenError<Outage, Refusal>) -> Not {
    match error {
        RequestTokenError::Request(outage) => (*outage).into(),
        RequestTokenError::ServerResponse(refusal)
            if *refusal.error() == CoreErrorResponseType::InvalidGrant =>
        {
            TokenFault::WrongPassword.into()
        }
        RequestTokenError::ServerResponse(_) => Outage::Refused.into(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Outage::Garbled.into(),
    }
}
