//! What a token must say to be believed: the same for one whose signature is verified and one that was asked about.
//!
//! In here nothing is asked and nothing is known but the configuration; `now` is an argument. Nor does a verdict depend
//! on the order of the rules, as all of them must hold. The cheapest come first.

use std::time::SystemTime;

use jsonwebtoken::Algorithm;

use super::{answer::TokenFault, claims::Claims, jwt::Header};
use crate::config::{Oidc, bare_type};

/// What is wrong, and from when on it could be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) why: TokenFault,
    pub(super) until: Option<SystemTime>,
}

impl From<TokenFault> for Fault {
    fn from(why: TokenFault) -> Self {
        Self { why, until: None }
    }
}

/// The event that a logout token reports, and no other token has (Back-Channel Logout 1.0 2.4).
pub(super) const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The algorithm, if the header asks for nothing that is not allowed.
pub(super) fn header(config: &Oidc, header: &Header, types: &[String]) -> Result<Algorithm, TokenFault> {
    if header.crit.is_some() || header.b64.is_some() {
        return Err(TokenFault::Critical);
    }
    let algorithm = header.alg.parse().map_err(|_| TokenFault::Algorithm)?;
    if !config.algorithms.contains(&algorithm) {
        return Err(TokenFault::Algorithm);
    }
    // RFC 7519 5.1: it may be left out where it is clear what the token is, and JWT is what is meant then.
    let typ = header.typ.as_deref().map_or_else(|| "jwt".to_owned(), bare_type);
    if !types.contains(&typ) {
        return Err(TokenFault::Type);
    }
    Ok(algorithm)
}

/// When the token ends, if it may let somebody in at all. Whom, [`owner`] tells.
///
/// # Errors
///
/// The first rule that does not hold.
pub(super) fn access(config: &Oidc, claims: &Claims, now: SystemTime) -> Result<SystemTime, Fault> {
    of_access_type(claims)?;
    if !claims.strings("aud").iter().any(|one| config.audience.iter().any(|ours| ours == one)) {
        return Err(TokenFault::Audience.into());
    }
    let expires_at = times(config, claims, now)?;
    given_to(config, claims)?;
    scopes(config, claims)?;
    Ok(expires_at)
}

/// Whom the provider vouches for: the name, and the names that they may use besides.
///
/// `default_domain` is what a bare name is completed with later on.
pub(super) fn owner(
    config: &Oidc,
    claims: &Claims,
    default_domain: Option<&str>,
) -> Result<(String, Vec<String>), TokenFault> {
    let username = claims.string(&config.username_claim).filter(|name| !name.trim().is_empty());
    let username = username.ok_or(TokenFault::Username)?;
    if *config.username_claim == *"email"
        && config.require_email_verified
        && claims.value("email_verified").and_then(serde_json::Value::as_bool) != Some(true)
    {
        return Err(TokenFault::EmailUnverified);
    }
    if !covers(config, username, default_domain) {
        return Err(TokenFault::Domain);
    }
    let delegates = config.delegates.iter().flat_map(|claim| claims.strings(claim));
    let delegates =
        delegates.filter(|name| covers(config, name, default_domain)).map(str::to_owned).collect();
    Ok((username.to_owned(), delegates))
}

/// Whether the provider may vouch for somebody of this name. One that is for some domains only could otherwise let its
/// users into the mailboxes of all others.
fn covers(config: &Oidc, name: &str, default_domain: Option<&str>) -> bool {
    if config.domains.is_empty() {
        return true;
    }
    let domain = name.rsplit_once('@').map(|(_, domain)| domain.trim().to_lowercase());
    let domain = domain.as_deref().or(default_domain);
    domain.is_some_and(|domain| config.domains.iter().any(|pattern| pattern.matches(domain)))
}

/// Tokens that a provider gives out for something else, signed with the same keys and active as well.
fn of_access_type(claims: &Claims) -> Result<(), TokenFault> {
    // Keycloak says so in a claim: Bearer, ID, Refresh, Offline, Logout.
    let named = |claim| claims.string(claim).is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
    let marked_as_another = ["at_hash", "c_hash", "events"].iter().any(|claim| claims.value(claim).is_some());
    // Introspection: a token of DPoP has another type (RFC 9449 6.2), and some call a refresh token so.
    if !named("typ") || !named("token_type") || marked_as_another {
        return Err(TokenFault::Type);
    }
    if claims.value("cnf").is_some_and(|key| !key.is_null()) {
        return Err(TokenFault::Bound);
    }
    Ok(())
}

/// `exp` must be there; `nbf` and `iat` must not lie ahead.
pub(super) fn times(config: &Oidc, claims: &Claims, now: SystemTime) -> Result<SystemTime, Fault> {
    let expires_at = claims.time("exp")?.ok_or(TokenFault::Claim("exp"))?;
    let over = expires_at.checked_add(config.clock_skew).ok_or(TokenFault::Claim("exp"))?;
    if over <= now {
        return Err(TokenFault::Expired.into());
    }
    begun(config, claims, now)?;
    Ok(expires_at)
}

/// `nbf` and `iat` must not lie ahead.
pub(super) fn begun(config: &Oidc, claims: &Claims, now: SystemTime) -> Result<(), Fault> {
    for claim in ["nbf", "iat"] {
        let begins = claims.time(claim)?.and_then(|begins| begins.checked_sub(config.clock_skew));
        if let Some(begins) = begins.filter(|&begins| begins > now) {
            return Err(Fault { why: TokenFault::NotYet, until: Some(begins) });
        }
    }
    Ok(())
}

/// `client_id` (RFC 9068 2.2, RFC 7662 2.2) or `azp` (OpenID Connect Core 1.0 2): each that is there must be allowed.
fn given_to(config: &Oidc, claims: &Claims) -> Result<(), TokenFault> {
    let mut known = false;
    for claim in ["client_id", "azp"] {
        let Some(value) = claims.value(claim) else { continue };
        let client = value.as_str().ok_or(TokenFault::Claim(claim))?;
        if !config.clients.is_empty() && !config.clients.iter().any(|allowed| allowed == client) {
            return Err(TokenFault::Client);
        }
        known = true;
    }
    if known || config.clients.is_empty() { Ok(()) } else { Err(TokenFault::Client) }
}

/// `scope`, with blanks between (RFC 9068 2.2.3); or `scp`, as one such string or a list, which is how Entra ID and
/// Okta write it.
fn scopes(config: &Oidc, claims: &Claims) -> Result<(), TokenFault> {
    let claim = if claims.value("scope").is_some() { "scope" } else { "scp" };
    let written = claims.strings(claim);
    let has = |wanted: &String| written.iter().flat_map(|text| text.split(' ')).any(|scope| scope == wanted);
    if config.scopes.iter().all(has) { Ok(()) } else { Err(TokenFault::Scope) }
}

#[cfg(test)]
mod tests;
