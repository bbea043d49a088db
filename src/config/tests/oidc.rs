//! `[[oidc]]`: what it means, and all that can be wrong with it.

use jsonwebtoken::Algorithm;

use super::*;

/// Of a provider that is right but for what follows, in line 10 and later.
const GOOD: &str = "[[directory]]\nname = 'a'\ntype = 'sqlite'\n[[oidc]]\nname = 'id'\nissuer = 'https://id.example.org'\nclient_id = 'gatepost'\nclient_secret = 'hunter2'\naudience = ['gatepost']\n";

/// What is wrong with it, without the file's name.
fn wrong(more: &str) -> Vec<String> {
    let text = format!("{GOOD}{more}");
    let heads = heads(&[("a.toml", &text)]);
    heads.into_iter().map(|head| head.trim_start_matches("a.toml:").to_owned()).collect()
}

#[test]
fn a_provider_needs_little_and_asks_for_much() {
    let config = checked(GOOD).unwrap();
    let [oidc] = config.oidc.as_slice() else { panic!("{:?}", config.oidc) };
    assert_eq!((&*oidc.name, &*oidc.issuer, &*oidc.client_id), ("id", "https://id.example.org", "gatepost"));
    assert_eq!((oidc.validation, oidc.password_grant), (Validation::Auto, false));
    assert!(matches!(&oidc.client_auth, Some(ClientAuth::Basic(secret)) if secret.expose() == b"hunter2"));
    let usual = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    assert_eq!(
        (oidc.algorithms.as_slice(), &*oidc.token_types),
        (&usual[..], &["at+jwt".into(), "jwt".into()][..])
    );
    assert_eq!((&*oidc.username_claim, oidc.require_email_verified), ("email", true));
    assert_eq!((oidc.clock_skew, oidc.timeout), (Duration::from_secs(30), Duration::from_secs(2)));
    assert!(matches!(oidc.account, AccountOf::Required));
    assert!(oidc.scopes.is_empty() && oidc.clients.is_empty() && oidc.delegates.is_empty());
    assert!(!format!("{oidc:?}").contains("hunter2"));
}

#[test]
fn mechanisms_for_tokens_want_somebody_who_vouches_for_them() {
    let sasl = "[sasl]\nmechanisms = ['PLAIN', 'oauthbearer', 'XOAUTH2']\n";
    let config = checked(&format!("{sasl}{GOOD}")).unwrap();
    assert_eq!(config.sasl.mechanisms, [Mechanism::Plain, Mechanism::OAuthBearer, Mechanism::XOAuth2]);
    assert_eq!(
        heads(&[("a", &format!("{sasl}{SOME_DIRECTORY}"))]),
        ["a:2:14: sasl.mechanisms: OAUTHBEARER takes tokens, and there is nobody to vouch for them"]
    );
}

#[test]
fn where_accounts_are_made_of_claims_no_directory_is_needed() {
    let oidc = GOOD.split_once("[[oidc]]").unwrap().1;
    assert_eq!(
        heads(&[("a", &format!("[[oidc]]{oidc}"))]),
        ["directory: is not configured, so that nobody could log in"]
    );
    let config = checked(&format!("[[oidc]]{oidc}account = 'from_claims'\n")).unwrap();
    assert!(config.directories.is_empty());
    assert!(crate::directory::Chain::open(&config.directories, None).is_ok());
}

#[test]
fn every_key_of_a_provider_arrives_where_it_belongs() {
    let config = checked(&format!(
        r#"{GOOD}
        client_auth = "post"
        validation = "introspection"
        scopes = ["email", "mail"]
        clients = ["roundcube"]
        algorithms = ["es256", "PS512"]
        token_types = ["application/AT+JWT"]
        username_claim = "https://example.org/login"
        require_email_verified = false
        delegates = ["boxes"]
        domains = ["Example.org", "*.example.net"]
        clock_skew = "5m"
        account = "from_claims"
        password_grant = true
        timeout = "500ms"
        proxy = "http://proxy:8080"
        ca_file = "/etc/ca.pem"
        introspection_endpoint = "https://id.example.org/i"
        jwks_uri = "https://id.example.org/k"
        token_endpoint = "https://id.example.org/t"
        [oidc.fields]
        home = "/var/vmail/{{domain}}/{{local}}"
        quota_rule = "*:bytes={{quota:-0}}"
        "#
    ))
    .unwrap_or_else(|problems| panic!("{problems}"));
    let oidc = &config.oidc[0];
    assert!(matches!(oidc.client_auth, Some(ClientAuth::Post(_))));
    assert_eq!((oidc.validation, oidc.password_grant), (Validation::Introspection, true));
    assert_eq!((oidc.scopes.join(" "), oidc.clients.join(" ")), ("email mail".into(), "roundcube".into()));
    assert_eq!(oidc.algorithms, [Algorithm::ES256, Algorithm::PS512]);
    assert_eq!(
        (&*oidc.token_types, &*oidc.delegates),
        (&["at+jwt".to_owned()][..], &["boxes".to_owned()][..])
    );
    assert_eq!((&*oidc.username_claim, oidc.require_email_verified), ("https://example.org/login", false));
    assert_eq!(
        oidc.domains.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["example.org", "*.example.net"]
    );
    assert_eq!((oidc.clock_skew, oidc.timeout), (Duration::from_secs(300), Duration::from_millis(500)));
    assert_eq!(oidc.proxy.as_ref().unwrap().to_string(), "proxy:8080");
    assert_eq!(oidc.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(oidc.introspection_endpoint.as_deref(), Some("https://id.example.org/i"));
    assert_eq!(
        (oidc.jwks_uri.as_deref(), oidc.token_endpoint.as_deref()),
        (Some("https://id.example.org/k"), Some("https://id.example.org/t"))
    );
    let AccountOf::FromClaims { fields } = &oidc.account else { panic!("{:?}", oidc.account) };
    assert_eq!(fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["home", "quota_rule"]);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    assert_eq!(
        heads(&[("a.toml", "[[directory]]\nname = 'a'\ntype = 'sqlite'\n[[oidc]]\n")]),
        [
            "a.toml:4:1: oidc.name: is missing",
            "a.toml:4:1: oidc.issuer: is missing",
            "a.toml:4:1: oidc.client_id: is missing",
            "a.toml:4:1: oidc.client_secret: is missing, and the provider tells nothing to those it does not know",
            "a.toml:4:1: oidc.audience: is missing",
        ]
    );
    let signed = "[[directory]]\nname = 'a'\ntype = 'sqlite'\n[[oidc]]\nname = 'id'\nissuer = 'https://i'\nclient_id = 'c'\naudience = ['a']\nvalidation = 'jwt'\n";
    assert_eq!(heads(&[("a.toml", signed)]), [""; 0], "nothing is asked that needs a secret");
    let password = format!("{signed}password_grant = true\n");
    assert_eq!(heads(&[("a.toml", &password)]).len(), 1);
}

#[test]
fn what_would_weaken_a_check_is_a_problem() {
    for (more, expected) in [
        (
            "algorithms = ['RS256', 'none', 'hs256', 'ES512', 'X']",
            &[
                "10:24: oidc.algorithms: would take tokens that nobody has signed",
                "10:32: oidc.algorithms: \"hs256\" is signed with a secret that is shared with everybody who checks it",
                "10:41: oidc.algorithms: \"ES512\" is not in this version yet",
                "10:50: oidc.algorithms: \"X\" is not known here",
            ][..],
        ),
        (
            "algorithms = []",
            &["10:14: oidc.algorithms: is empty, so that no token would be signed well enough"],
        ),
        (
            "token_types = []",
            &["10:15: oidc.token_types: is empty, so that every token would be of the wrong type"],
        ),
        ("domains = []", &["10:11: oidc.domains: is empty, so that this provider would vouch for nobody"]),
        ("clock_skew = '6m'", &["10:14: oidc.clock_skew: is out of range"]),
        ("timeout = '0s'", &["10:11: oidc.timeout: is out of range"]),
        ("scopes = ['email mail']", &["10:11: oidc.scopes: \"email mail\" is not one word"]),
        ("username_claim = ''", &["10:18: oidc.username_claim: \"\" is not one word"]),
        (
            "username_claim = 'sub'\nrequire_email_verified = true",
            &[
                "11:26: oidc.require_email_verified: is about the claim email, and users are named by another one",
            ],
        ),
        (
            "jwks_uri = 'http://localhost/keys'",
            &[
                "10:12: oidc.jwks_uri: would send tokens for everybody on the way to read, and believe whoever answers",
            ],
        ),
        (
            "proxy = 'http://u:hunter2@proxy'",
            &["10:9: oidc.proxy: holds a name or a password, which gatepost does not send to a proxy"],
        ),
        (
            "[oidc.fields]\nhome = '/x'",
            &[
                "10:1: oidc.fields: are for accounts that are made of claims, and here the directories know them",
            ],
        ),
        (
            "account = 'from_claims'\n[oidc.fields]\nhome = '{'",
            &["12:8: oidc.fields.home: has an open brace that is never closed"],
        ),
        (
            "validation = 'jwt'\nintrospection_endpoint = 'https://i/i'",
            &["11:26: oidc.introspection_endpoint: is never asked with validation = \"jwt\""],
        ),
        (
            "token_endpoint = 'https://i/t'",
            &["10:18: oidc.token_endpoint: is asked about passwords only, and password_grant is off"],
        ),
        (
            "client_secret_file = '/nowhere'",
            &[
                "10:22: oidc.client_secret_file: cannot be read: No such file or directory (os error 2)",
                "10:22: oidc.client_secret_file: is a second source of one secret, besides client_secret",
            ],
        ),
        ("private_key_id = 'k'", &["10:18: oidc.private_key_id: is about a private key, and there is none"]),
        (
            "client_auth = 'private_key_jwt'",
            &[
                "4:1: oidc.private_key: is missing, and the provider tells nothing to those it does not know",
                "8:17: oidc.client_secret: does not go with this client_auth",
            ],
        ),
        ("audiences = ['x']", &["10:1: oidc.audiences: is no key of gatepost"]),
    ] {
        assert_eq!(wrong(more), expected, "{more}");
    }
}

#[test]
fn two_providers_cannot_be_taken_for_each_other() {
    let second = GOOD.split_once("[[oidc]]").unwrap().1;
    let text = format!("{GOOD}[[oidc]]{second}");
    assert_eq!(
        heads(&[("a.toml", &text)]),
        [
            "a.toml:11:8: oidc.name: \"id\" is taken already at a.toml:5:8",
            "a.toml:12:10: oidc.issuer: is there twice, and a token could not tell which of the two is meant",
        ]
    );
    let text = text.replacen("'id'", "'other'", 1).replacen("example.org'", "example.org/'", 1);
    assert_eq!(heads(&[("a.toml", &text)]), [""; 0], "a / at the end makes another issuer");
}

#[test]
fn a_private_key_is_tried_before_it_is_needed() {
    let with = |key: &str, more: &str| {
        let text = GOOD.replace("client_secret = 'hunter2'", "client_auth = 'private_key_jwt'");
        checked(&format!("{text}private_key = '''{key}'''\n{more}\n"))
    };
    for (kind, expected) in
        [(&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::ES256), (&rcgen::PKCS_RSA_SHA256, Algorithm::RS256)]
    {
        let pem = rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem();
        let config = with(&pem, "private_key_id = 'k1'").unwrap_or_else(|problems| panic!("{problems}"));
        let Some(ClientAuth::PrivateKey(key)) = &config.oidc[0].client_auth else { panic!() };
        assert_eq!((key.algorithm, key.id.as_deref()), (expected, Some("k1")));
    }
    let curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    for key in ["hunter2", &curve] {
        let problems = with(key, "").unwrap_err().to_string();
        assert!(
            problems.contains("oidc.private_key: is no private key of RSA or P-256 in PEM"),
            "{problems}"
        );
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}
