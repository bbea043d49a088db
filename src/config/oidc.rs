//! `[[oidc]]`: who vouches for tokens.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;

use super::{
    domain::DomainPattern,
    problem::{Place, Wrong, quoted},
    reader::Reader,
    surroundings::Surroundings,
    template::Template,
    tree::Spot,
};

mod client;
mod url;

pub use self::client::{ClientAuth, PrivateKey};
pub use self::url::Proxy;

/// One `[[oidc]]`.
#[derive(Debug)]
pub struct Oidc {
    /// `name`: for logs, 1 to 64 letters, digits, `-`, `_` and `.`. No two providers have the same.
    pub name: Arc<str>,
    /// `issuer`: the provider as its tokens name it, compared byte by byte. A URL of https.
    pub issuer: Box<str>,
    /// `client_id`: who gatepost is to the provider.
    pub client_id: Box<str>,
    /// `client_auth`, and what goes with it: how gatepost proves that. `None`: it never asks anything that needs it.
    pub client_auth: Option<ClientAuth>,
    /// `validation`: how tokens are checked. Default: `auto`.
    pub validation: Validation,
    /// `audience`: a token must be for one of these. Never empty.
    pub audience: Vec<String>,
    /// `scopes`: a token must have all of these.
    pub scopes: Vec<String>,
    /// `clients`: a token must have been given to one of these. Empty: to anybody.
    pub clients: Vec<String>,
    /// `algorithms`: how tokens may be signed. Never empty, and never with a shared secret.
    pub algorithms: Vec<Algorithm>,
    /// `token_types`: which `typ` a signed token may have, in lower case, without `application/`. Never empty.
    pub token_types: Vec<String>,
    /// `username_claim`: whose token it is. Default: `email`.
    pub username_claim: Box<str>,
    /// `require_email_verified`: whether an address in the claim `email` counts only with `email_verified`. Default:
    /// yes.
    pub require_email_verified: bool,
    /// `delegates`: claims with further names that the owner of a token may log in as.
    pub delegates: Vec<String>,
    /// `domains`: whose names it may vouch for, and who is sent to it. Empty: everybody.
    pub domains: Vec<DomainPattern>,
    /// `clock_skew`: how far its clock and ours may be apart, at most 5 minutes. Default: 30 s.
    pub clock_skew: Duration,
    /// `account`: how a token leads to an account.
    pub account: AccountOf,
    /// `password_grant`: whether passwords are checked by it too. Default: no.
    pub password_grant: bool,
    /// `timeout`: for one question with everything that it takes. Default: 2 s.
    pub timeout: Duration,
    /// `proxy`: the way to it.
    pub proxy: Option<Proxy>,
    /// `ca_file`: who must have signed its certificate, in PEM. Default: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    /// `introspection_endpoint`, instead of what discovery says.
    pub introspection_endpoint: Option<Box<str>>,
    /// `jwks_uri`, instead of what discovery says.
    pub jwks_uri: Option<Box<str>>,
    /// `token_endpoint`, instead of what discovery says.
    pub token_endpoint: Option<Box<str>>,
    /// Where it was configured.
    pub place: Option<Place>,
}

/// How tokens are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    /// `auto`: a signed token of this issuer by its signature, any other by asking.
    Auto,
    /// `jwt`: by signature only.
    Jwt,
    /// `introspection`: by asking only (RFC 7662), so that a revoked token ends at once.
    Introspection,
}

/// How a token leads to an account.
#[derive(Debug)]
pub enum AccountOf {
    /// `required`: the directories know it.
    Required,
    /// `from_claims`: it is made of the claims.
    FromClaims {
        /// `[oidc.fields]`, in the order of the file: names without `=`, TAB and LF.
        fields: Vec<(String, Template)>,
    },
}

impl AccountOf {
    /// Whether no directory has to know it.
    pub const fn is_of_claims(&self) -> bool {
        matches!(self, Self::FromClaims { .. })
    }
}

const VALIDATIONS: &[(&str, Validation)] =
    &[("auto", Validation::Auto), ("jwt", Validation::Jwt), ("introspection", Validation::Introspection)];

/// What a token may be signed with, the usual ones first. Those with a shared secret are not among them: whoever can
/// check such a token can make one.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
];

/// So many of [`ALGORITHMS`] are allowed unless the operator says otherwise.
const USUAL_ALGORITHMS: usize = 5;

/// RFC 9068 2.1, and what most providers write.
const USUAL_TYPES: [&str; 2] = ["at+jwt", "jwt"];

/// Reads all `[[oidc]]`.
pub(super) fn oidc(readers: Vec<Reader<'_>>, around: &Surroundings) -> Vec<Arc<Oidc>> {
    let mut names: Vec<(Arc<str>, Option<&Spot>)> = Vec::new();
    let mut issuers: Vec<String> = Vec::new();
    let mut providers = Vec::with_capacity(readers.len());
    for mut reader in readers {
        let name = reader.text("name", name);
        reader.need("name", "write a short one for the log, as in name = \"keycloak\"");
        if let Some(name) = &name {
            match names.iter().find(|(other, _)| other == name) {
                Some((_, first)) => {
                    let first = first.map_or_else(String::new, |spot| format!(" at {}", spot.place()));
                    let what = format!("{} is taken already{first}", quoted(name));
                    reader.wrong("name", Wrong::new(what, "give each provider a name of its own"));
                }
                None => names.push((Arc::clone(name), reader.spot_of("name"))),
            }
        }
        let issuer = reader.text("issuer", url::issuer);
        reader.need("issuer", "write it as the provider does in its discovery document, letter by letter");
        if let Some(issuer) = &issuer {
            if issuers.iter().any(|other| **other == **issuer) {
                let what = "is there twice, and a token could not tell which of the two is meant";
                reader.wrong("issuer", Wrong::new(what, "make one [[oidc]] of them"));
            }
            issuers.push(issuer.to_string());
        }
        providers.extend(provider(reader, name, issuer, around).map(Arc::new));
    }
    providers
}

fn provider(
    mut reader: Reader<'_>,
    name: Option<Arc<str>>,
    issuer: Option<Box<str>>,
    around: &Surroundings,
) -> Option<Oidc> {
    let validation = reader.one_of("validation", VALIDATIONS, &[]).unwrap_or(Validation::Auto);
    let password_grant = reader.boolean("password_grant").unwrap_or(false);
    let client_id = reader.text("client_id", word);
    reader.need("client_id", "write who gatepost is to the provider, as it is registered there");
    let asks = validation != Validation::Jwt || password_grant;
    let client_auth = client::auth(&mut reader, asks, around.credentials_dir.as_deref());

    let audience = words(&mut reader, "audience");
    let remedy = "name what tokens for mail are for, as in audience = [\"gatepost\"]: without, a token that the user gave to any other program would open the mailbox";
    reader.need("audience", remedy);
    if reader.is_empty_list("audience") {
        reader.wrong("audience", Wrong::new("is empty", remedy));
    }
    let scopes = words(&mut reader, "scopes");
    let clients = words(&mut reader, "clients");
    let algorithms = algorithms(&mut reader);
    let token_types = token_types(&mut reader);
    let username_claim = reader.text("username_claim", word).unwrap_or_else(|| "email".into());
    let require_email_verified = reader.boolean("require_email_verified");
    if require_email_verified == Some(true) && *username_claim != *"email" {
        let what = "is about the claim email, and users are named by another one";
        reader.wrong("require_email_verified", Wrong::new(what, "take it away"));
    }
    let delegates = words(&mut reader, "delegates");
    let domains = domains(&mut reader);
    let clock_skew = reader.duration_or_zero("clock_skew", SECOND..=300 * SECOND).unwrap_or(30 * SECOND);
    let account = account(&mut reader);

    let timeout = reader.duration("timeout", SECOND / 10..=60 * SECOND).unwrap_or(2 * SECOND);
    let proxy = reader.text("proxy", url::proxy);
    let ca_file = reader.path("ca_file");
    let introspection_endpoint = reader.text("introspection_endpoint", url::endpoint);
    let jwks_uri = reader.text("jwks_uri", url::endpoint);
    let token_endpoint = reader.text("token_endpoint", url::endpoint);
    if validation == Validation::Jwt && reader.has("introspection_endpoint") {
        let what = "is never asked with validation = \"jwt\"";
        reader.wrong("introspection_endpoint", Wrong::new(what, "take it away, or write \"auto\" there"));
    }
    if !password_grant && reader.has("token_endpoint") {
        let what = "is asked about passwords only, and password_grant is off";
        reader.wrong("token_endpoint", Wrong::new(what, "take it away, or write password_grant = true"));
    }
    let place = reader.spot().map(Spot::place);
    reader.finish();
    Some(Oidc {
        name: name?,
        issuer: issuer?,
        client_id: client_id?,
        client_auth,
        validation,
        audience,
        scopes,
        clients,
        algorithms,
        token_types,
        username_claim,
        require_email_verified: require_email_verified.unwrap_or(true),
        delegates,
        domains,
        clock_skew,
        account,
        password_grant,
        timeout,
        proxy,
        ca_file,
        introspection_endpoint,
        jwks_uri,
        token_endpoint,
        place,
    })
}

const SECOND: Duration = Duration::from_secs(1);

fn algorithms(reader: &mut Reader<'_>) -> Vec<Algorithm> {
    let listed = reader.list("algorithms", |text| {
        if text.eq_ignore_ascii_case("none") {
            let what = "would take tokens that nobody has signed";
            return Err(Wrong::new(what, "leave it out: there is no use for it"));
        }
        if text.get(..2).is_some_and(|family| family.eq_ignore_ascii_case("HS")) {
            let what = format!(
                "{} is signed with a secret that is shared with everybody who checks it",
                quoted(text)
            );
            return Err(Wrong::new(
                what,
                "have the provider sign with a key pair, as in \"RS256\" or \"ES256\"",
            ));
        }
        super::reader::name_of(text, ALGORITHMS, &["ES512", "ES256K"])
    });
    if reader.is_empty_list("algorithms") {
        let what = "is empty, so that no token would be signed well enough";
        reader.wrong("algorithms", Wrong::new(what, "name some, or leave the key out for the usual ones"));
    }
    let usual = ALGORITHMS.iter().take(USUAL_ALGORITHMS).map(|&(_, algorithm)| algorithm);
    listed.map_or_else(
        || usual.collect(),
        |listed| listed.into_iter().map(|(algorithm, _)| algorithm).collect(),
    )
}

fn token_types(reader: &mut Reader<'_>) -> Vec<String> {
    let listed = reader.list("token_types", word);
    if reader.is_empty_list("token_types") {
        let what = "is empty, so that every token would be of the wrong type";
        reader.wrong("token_types", Wrong::new(what, "name some, or leave the key out for the usual ones"));
    }
    match listed {
        None => USUAL_TYPES.map(str::to_owned).into(),
        Some(listed) => listed.into_iter().map(|(name, _)| bare_type(&name)).collect(),
    }
}

/// A `typ` as it is compared: RFC 7515 4.1.9 lets `application/` be left out, and media types have no case.
pub(crate) fn bare_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map_or_else(|| name.clone(), str::to_owned)
}

fn account(reader: &mut Reader<'_>) -> AccountOf {
    let from_claims = reader.one_of("account", &[("required", false), ("from_claims", true)], &[]);
    let has_fields = reader.has("fields");
    let fields = reader.table("fields").free(super::directory::field_name, Template::parse);
    if from_claims == Some(true) {
        return AccountOf::FromClaims { fields };
    }
    if has_fields {
        let what = "are for accounts that are made of claims, and here the directories know them";
        reader.wrong("fields", Wrong::new(what, "take the table away, or write account = \"from_claims\""));
    }
    AccountOf::Required
}

fn domains(reader: &mut Reader<'_>) -> Vec<DomainPattern> {
    let listed = reader.list("domains", DomainPattern::parse).unwrap_or_default();
    if reader.is_empty_list("domains") {
        let what = "is empty, so that this provider would vouch for nobody";
        reader.wrong("domains", Wrong::new(what, "name the domains, or leave the key out for all of them"));
    }
    listed.into_iter().map(|(domain, _)| domain).collect()
}

fn words(reader: &mut Reader<'_>, key: &str) -> Vec<String> {
    let listed = reader.list(key, word).unwrap_or_default();
    listed.into_iter().map(|(word, _)| word.into_string()).collect()
}

/// Something that a claim may hold or be called: not empty, without blanks and control characters.
fn word(text: &str) -> Result<Box<str>, Wrong> {
    let fits = |letter: char| !letter.is_whitespace() && !letter.is_control();
    if (1..=512).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err(Wrong::new(
        format!("{} is not one word", quoted(text)),
        "write it as it stands in a token, one a string",
    ))
}

fn name(text: &str) -> Result<Arc<str>, Wrong> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(Arc::from(text));
    }
    let remedy = "write 1 to 64 letters, digits, - _ and .";
    Err(Wrong::new(format!("{} is no name for a provider", quoted(text)), remedy))
}
