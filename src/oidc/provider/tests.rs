use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gatepost_protocol::secret::Secret;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{rules::LOGOUT as LOGOUT_EVENT, *};
use crate::oidc::{
    Providers,
    testing::{ISSUER, NOW, Signer, good, key_set, oidc},
};

mod asked;
mod odd;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn secret(token: impl Into<String>) -> Secret {
    Secret::new(token.into().into_bytes())
}

/// A file with a certificate that nobody has.
fn some_ca() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let cert = rcgen::generate_simple_self_signed(["nowhere".to_owned()]).unwrap().cert;
    std::fs::write(file.path(), cert.pem()).unwrap();
    file
}

/// Providers that know these keys already and would have to ask nobody.
async fn knowing(configs: &[Arc<Oidc>], keys: &str) -> Providers {
    let providers = Providers::new(configs, None).unwrap();
    for provider in &providers.all {
        let keys = Keys::parse(keys.as_bytes(), &provider.config.algorithms).unwrap();
        provider.keys.refresh(Box::pin(async { Ok(keys) })).await.unwrap();
    }
    providers
}

async fn fault(providers: &Providers, token: &str) -> TokenFault {
    match providers.check(&secret(token), None, now()).await {
        Err(NotVouched::Rejected { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// Header and claims as they are written, and a signature by `key`.
fn crafted(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_token_is_good_with_every_algorithm_that_is_allowed() {
    let ca = some_ca();
    for algorithm in
        [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA]
    {
        let signer = Signer::new(algorithm, "k");
        let providers = knowing(&[oidc(ca.path(), "")], &key_set(&[&signer])).await;
        let token = signer.token(&good(json!({})));
        let vouched = providers.check(&secret(&*token), Some("example.org"), now()).await.unwrap();
        assert_eq!((vouched.username.as_str(), vouched.how), ("anna@example.org", How::Jwt), "{algorithm:?}");
        assert_eq!((vouched.subject.as_deref(), vouched.session.as_deref()), (Some("4711"), Some("s1")));
        assert_eq!(vouched.expires_at, now() + Duration::from_secs(300));
        assert_eq!(vouched.claims.text("email").as_deref(), Some("anna@example.org"));

        let (head, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{head}.{other}{}", signature.get(1..).unwrap());
        assert_eq!(fault(&providers, &forged).await, TokenFault::Signature, "{algorithm:?}");
        let other = Signer::new(algorithm, "k").token(&good(json!({})));
        assert_eq!(fault(&providers, &other).await, TokenFault::Signature, "{algorithm:?}");
        assert_eq!(providers.counts()[0].key_sets, 0, "nobody was asked");
    }
}

#[tokio::test]
async fn only_a_token_that_keeps_every_rule_is_good() {
    let (ca, signer) = (some_ca(), Signer::new(Algorithm::RS256, "k"));
    let providers = knowing(&[oidc(ca.path(), "validation = 'jwt'")], &key_set(&[&signer])).await;
    let rsa = EncodingKey::from_rsa_pem(signer.pem.as_bytes()).unwrap();
    let claims = good(json!({}));
    let signed = |header: Value| crafted(&header, &claims, &rsa, Algorithm::RS256);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = |alg: &str| format!("{}.{}.", part(&json!({"alg": alg, "kid": "k"})), part(&claims));
    // What everybody can know, taken for a shared secret.
    let jwk = signer.jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let hmac = |public: &[u8]| {
        let key = EncodingKey::from_secret(public).unwrap();
        crafted(&json!({"alg": "HS256", "kid": "k", "typ": "at+jwt"}), &claims, &key, Algorithm::HS256)
    };
    let other = Signer::new(Algorithm::RS256, "other");
    let (head, signature) =
        signer.token(&claims).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();

    for (case, token, expected) in [
        ("alg none", unsigned("none"), TokenFault::Algorithm),
        ("alg None", unsigned("None"), TokenFault::Algorithm),
        ("no signature", format!("{head}."), TokenFault::Signature),
        ("half a signature", format!("{head}.{}", signature.get(..100).unwrap()), TokenFault::Signature),
        ("HS256 with the modulus", hmac(&modulus), TokenFault::Algorithm),
        ("HS256 with the key set", hmac(jwk.to_string().as_bytes()), TokenFault::Algorithm),
        (
            "an algorithm that is not listed",
            signer.token_with(|h| h.alg = Algorithm::RS512, &claims),
            TokenFault::Algorithm,
        ),
        (
            "an algorithm that nobody knows",
            signed(json!({"alg": "RS257", "kid": "k"})),
            TokenFault::Algorithm,
        ),
        (
            "the algorithm of another kind of key",
            signed(json!({"alg": "ES256", "kid": "k"})),
            TokenFault::UnknownKey,
        ),
        ("crit", signed(json!({"alg": "RS256", "kid": "k", "crit": ["exp"]})), TokenFault::Critical),
        ("empty crit", signed(json!({"alg": "RS256", "kid": "k", "crit": []})), TokenFault::Critical),
        ("b64", signed(json!({"alg": "RS256", "kid": "k", "b64": false})), TokenFault::Critical),
        (
            "a logout token",
            signed(json!({"alg": "RS256", "kid": "k", "typ": "logout+jwt"})),
            TokenFault::Type,
        ),
        (
            "a statement of a client",
            signed(json!({"alg": "RS256", "kid": "k", "typ": "dpop+jwt"})),
            TokenFault::Type,
        ),
        ("an unknown key", other.token(&claims), TokenFault::UnknownKey),
        ("a key that is a path", signed(json!({"alg": "RS256", "kid": "../../k"})), TokenFault::UnknownKey),
        ("another issuer", signer.token(&good(json!({"iss": "https://evil.example"}))), TokenFault::Issuer),
        (
            "an issuer with a slash",
            signer.token(&good(json!({"iss": format!("{ISSUER}/")}))),
            TokenFault::Issuer,
        ),
        ("no issuer", signer.token(&good(json!({"iss": null}))), TokenFault::Issuer),
        ("a list of issuers", signer.token(&good(json!({"iss": [ISSUER]}))), TokenFault::Issuer),
        ("another audience", signer.token(&good(json!({"aud": "todo"}))), TokenFault::Audience),
        ("a missing scope", signer.token(&good(json!({"scope": "openid"}))), TokenFault::Scope),
        ("expired", signer.token(&good(json!({"exp": NOW - 60}))), TokenFault::Expired),
        (
            "a string exp",
            signer.token(&good(json!({"exp": (NOW + 300).to_string()}))),
            TokenFault::Claim("exp"),
        ),
        ("not yet", signer.token(&good(json!({"nbf": NOW + 60}))), TokenFault::NotYet),
        (
            "an address that is not verified",
            signer.token(&good(json!({"email_verified": false}))),
            TokenFault::EmailUnverified,
        ),
        ("an opaque one", "2YotnFZFEjr1zCsicMWpAA".to_owned(), TokenFault::Unrouted),
        ("nothing", String::new(), TokenFault::Malformed),
        ("no token", "a b".to_owned(), TokenFault::Malformed),
    ] {
        assert_eq!(fault(&providers, &token).await, expected, "{case}");
    }
    for header in [
        json!({"alg": "RS256", "kid": "k"}),
        json!({"alg": "RS256", "kid": "k", "typ": "JWT"}),
        json!({"alg": "RS256", "kid": "k", "typ": "application/AT+JWT"}),
        json!({"alg": "RS256", "typ": "at+jwt", "jku": "https://evil.example/keys", "jwk": other.jwk()}),
    ] {
        assert!(providers.check(&secret(signed(header.clone())), None, now()).await.is_ok(), "{header}");
    }
}

#[tokio::test]
async fn a_key_is_good_for_what_it_says() {
    let (ca, signer) = (some_ca(), Signer::new(Algorithm::RS256, "k"));
    let token = signer.token(&good(json!({})));
    let with = |changes: Value| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        for (name, value) in changes.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        // A key of a kind that is yet to be made does no harm to the others.
        json!({ "keys": [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}, 5, {"kty": "RSA"}, jwk] })
            .to_string()
    };
    for (changes, good) in [
        (json!({}), true),
        (json!({"alg": "RS256"}), true),
        (json!({"alg": "PS256"}), false),
        (json!({"alg": "RSA-OAEP"}), false),
        (json!({"alg": "X"}), false),
        (json!({"use": "sig"}), true),
        (json!({"use": "enc"}), false),
        (json!({"key_ops": ["verify"]}), true),
        (json!({"key_ops": ["encrypt"]}), false),
        (json!({"kid": "other"}), false),
        (json!({"kty": "oct", "k": "AAAA", "alg": "HS256"}), false),
    ] {
        let providers = knowing(&[oidc(ca.path(), "")], &with(changes.clone())).await;
        let checked = providers.check(&secret(&*token), None, now()).await;
        assert_eq!(checked.is_ok(), good, "{changes}");
    }
}

#[tokio::test]
async fn without_a_name_the_only_key_is_meant() {
    let (ca, one, two) = (some_ca(), Signer::new(Algorithm::ES256, "1"), Signer::new(Algorithm::ES256, "2"));
    let token = one.token_with(|header| header.kid = None, &good(json!({})));
    let alone = knowing(&[oidc(ca.path(), "")], &key_set(&[&one])).await;
    assert!(alone.check(&secret(&*token), None, now()).await.is_ok());
    let both = knowing(&[oidc(ca.path(), "")], &key_set(&[&one, &two])).await;
    assert_eq!(fault(&both, &token).await, TokenFault::UnknownKey);
}

#[tokio::test]
async fn a_token_is_shown_to_the_provider_that_it_is_for() {
    let (ca, signer) = (some_ca(), Signer::new(Algorithm::ES256, "k"));
    let other =
        "name = 'other'\nissuer = 'https://other.example'\ndomains = ['example.com']\nvalidation = 'jwt'";
    let more = "domains = ['example.org']\nvalidation = 'jwt'\nscopes = ['mail', 'openid']";
    let providers = knowing(&[oidc(ca.path(), other), oidc(ca.path(), more)], &key_set(&[&signer])).await;
    let vouched = providers.check(&secret(signer.token(&good(json!({})))), None, now()).await.unwrap();
    assert_eq!(&*vouched.provider, "id");
    // The other provider's people, but not anybody else's.
    let theirs = json!({"iss": "https://other.example"});
    assert_eq!(fault(&providers, &signer.token(&good(theirs))).await, TokenFault::Domain);

    let challenge = providers.challenge(Some("example.org")).unwrap();
    assert_eq!(&*challenge.configuration, format!("{ISSUER}/.well-known/openid-configuration"));
    assert_eq!(&*challenge.scope, "mail openid");
    assert_eq!(providers.challenge(Some("example.com")).unwrap().scope, "mail".into());
    assert_eq!(providers.challenge(Some("example.net")), None);
    assert_eq!(providers.challenge(None), None, "either could be meant");
    assert!(Providers::none().is_empty() && Providers::none().challenge(None).is_none());
}

#[tokio::test]
async fn a_logout_token_says_who_has_gone() {
    let (ca, signer) = (some_ca(), Signer::new(Algorithm::RS256, "k"));
    let providers =
        knowing(&[oidc(ca.path(), "audience = ['mail']\nclients = ['webmail']")], &key_set(&[&signer])).await;
    let base = json!({
        "iss": ISSUER, "aud": "gatepost", "iat": NOW - 5, "exp": NOW + 60, "jti": "j1", "sub": "4711", "sid": "s1",
        "events": {LOGOUT_EVENT: {}},
    });
    let token = |changes: Value| {
        let mut claims = base.clone();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        signer.token_with(|header| header.typ = Some("logout+jwt".to_owned()), &claims)
    };
    let gone = providers.logout(&secret(token(json!({}))), now()).await.unwrap();
    assert_eq!(
        (gone.subject.as_deref(), gone.session.as_deref(), &*gone.id),
        (Some("4711"), Some("s1"), "j1")
    );
    for changes in [
        json!({"sub": null}),
        json!({"sid": null}),
        json!({"exp": null}),
        json!({"aud": ["x", "gatepost"]}),
        // Whom people log in with may be another program.
        json!({"aud": "webmail"}),
    ] {
        assert!(providers.logout(&secret(token(changes.clone())), now()).await.is_ok(), "{changes}");
    }
    for (changes, expected) in [
        (json!({"iss": "https://evil.example"}), TokenFault::Issuer),
        (json!({"aud": "mail"}), TokenFault::Audience),
        (json!({"events": null}), TokenFault::Type),
        (json!({"events": {"other": {}}}), TokenFault::Type),
        (json!({"events": {LOGOUT_EVENT: true}}), TokenFault::Type),
        (json!({"nonce": "n"}), TokenFault::Type),
        (json!({"iat": null}), TokenFault::Claim("iat")),
        (json!({"iat": NOW + 60}), TokenFault::NotYet),
        (json!({"iat": NOW - 301, "exp": null}), TokenFault::Expired),
        (json!({"exp": NOW - 60}), TokenFault::Expired),
        (json!({"exp": "soon"}), TokenFault::Claim("exp")),
        (json!({"sub": null, "sid": null}), TokenFault::Claim("sub")),
        (json!({"jti": null}), TokenFault::Claim("jti")),
    ] {
        let refused = providers.logout(&secret(token(changes.clone())), now()).await.unwrap_err();
        let NotVouched::Rejected { why, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(why, expected, "{changes}");
    }
    let forged = Signer::new(Algorithm::RS256, "k").token_with(|header| header.typ = None, &base);
    assert!(providers.logout(&secret(forged), now()).await.is_err());
    let access = signer.token(&good(json!({})));
    assert!(providers.logout(&secret(access), now()).await.is_err(), "an access token ends nothing");
    assert!(
        providers.check(&secret(token(json!({}))), None, now()).await.is_err(),
        "nor does this let anybody in"
    );
}

#[test]
fn checks_can_be_moved_between_threads() {
    fn movable<T: Send>(_: T) {}
    let providers = Providers::none();
    let token = secret("x");
    let check = providers.check(&token, None, now());
    assert!(size_of_val(&check) < 4096, "{} bytes a login", size_of_val(&check));
    movable(check);
    movable(providers.password("x", &token, None, now()));
    movable(providers.logout(&token, now()));
    movable(providers.keep_fresh());
}
