//! What a provider tells when somebody has logged out there (OpenID Connect Back-Channel Logout 1.0).

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{Not, Provider};
use crate::oidc::{
    answer::{LoggedOut, NotVouched, TokenFault},
    claims::Claims,
    jwt::Front,
    rules::{self, Fault, LOGOUT},
};

/// `typ` of a logout token: what 2.4 recommends, and what was written before it did.
const TYPES: [&str; 2] = ["logout+jwt", "jwt"];

/// How old a logout token without `exp` may be: it was sent when it was made. Drafts up to 6 had none.
const FRESH: Duration = Duration::from_secs(300);

impl Provider {
    /// Checks a logout token of this issuer (2.6).
    pub(in crate::oidc) async fn logout(
        &self,
        front: Front<'_>,
        now: SystemTime,
    ) -> Result<LoggedOut, NotVouched> {
        self.logged_out(&front, now).await.map_err(|not| self.not(not))
    }

    async fn logged_out(&self, front: &Front<'_>, now: SystemTime) -> Result<LoggedOut, Not> {
        let algorithm = rules::header(&self.config, &front.header, &TYPES.map(str::to_owned))?;
        let logged_out = self.told(&front.claims, now)?;
        self.signed(front, algorithm, now).await?;
        Ok(logged_out)
    }

    fn told(&self, claims: &Claims, now: SystemTime) -> Result<LoggedOut, Fault> {
        if claims.string("iss") != Some(&*self.config.issuer) {
            return Err(TokenFault::Issuer.into());
        }
        // It is for the client that people log in with, which may be another program: webmail.
        let ours = |client: &&str| {
            *client == &*self.config.client_id || self.config.clients.iter().any(|one| one == client)
        };
        if !claims.strings("aud").iter().any(ours) {
            return Err(TokenFault::Audience.into());
        }
        // The name of the event has dots in it, which are no path.
        let event = claims.value("events").and_then(Value::as_object).and_then(|events| events.get(LOGOUT));
        // With a nonce it may be an ID token that somebody has got hold of.
        if !event.is_some_and(Value::is_object) || claims.value("nonce").is_some() {
            return Err(TokenFault::Type.into());
        }
        let made_at = claims.time("iat")?.ok_or(TokenFault::Claim("iat"))?;
        if claims.value("exp").is_some() {
            rules::times(&self.config, claims, now)?;
        } else {
            rules::begun(&self.config, claims, now)?;
            let over = made_at.checked_add(FRESH).ok_or(TokenFault::Claim("iat"))?;
            if over <= now {
                return Err(TokenFault::Expired.into());
            }
        }
        let text = |claim| claims.string(claim).filter(|text| !text.is_empty()).map(Into::into);
        let (subject, session) = (text("sub"), text("sid"));
        if subject.is_none() && session.is_none() {
            return Err(TokenFault::Claim("sub").into());
        }
        Ok(LoggedOut {
            provider: Arc::clone(&self.config.name),
            issuer: self.config.issuer.clone(),
            subject,
            session,
            id: text("jti").ok_or(TokenFault::Claim("jti"))?,
        })
    }
}
