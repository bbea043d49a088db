//! The files of `conf.d/`: what they say is what the code reads, and the other way round.

use super::*;

const SHIPPED: [(&str, &str); 7] = [
    ("00-gatepost.toml", include_str!("../../../conf.d/00-gatepost.toml")),
    ("10-listeners.toml", include_str!("../../../conf.d/10-listeners.toml")),
    ("20-directories.toml", include_str!("../../../conf.d/20-directories.toml")),
    ("30-cache.toml", include_str!("../../../conf.d/30-cache.toml")),
    ("40-oidc.toml", include_str!("../../../conf.d/40-oidc.toml")),
    ("45-maps.toml", include_str!("../../../conf.d/45-maps.toml")),
    ("50-policy.toml", include_str!("../../../conf.d/50-policy.toml")),
];

const PROVIDERS: [(&str, &str); 7] = [
    ("authelia.toml", include_str!("../../../conf.d/examples/authelia.toml")),
    ("authentik.toml", include_str!("../../../conf.d/examples/authentik.toml")),
    ("entra-id.toml", include_str!("../../../conf.d/examples/entra-id.toml")),
    ("google.toml", include_str!("../../../conf.d/examples/google.toml")),
    ("kanidm.toml", include_str!("../../../conf.d/examples/kanidm.toml")),
    ("keycloak.toml", include_str!("../../../conf.d/examples/keycloak.toml")),
    ("zitadel.toml", include_str!("../../../conf.d/examples/zitadel.toml")),
];

/// A shipped file with all that is commented out in force.
fn in_force(text: &str) -> String {
    let setting = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[') || (line.contains(" = ") && !key.contains([' ', '#']))
    };
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if setting(rest) => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_shipped_files_are_fine_as_they_are_and_with_everything_in_force() {
    assert_eq!(heads(&SHIPPED), [""; 0]);
    let credentials = tempfile::tempdir().unwrap();
    fs::write(credentials.path().join("robots"), "{PLAIN}secret").unwrap();
    fs::write(credentials.path().join("mail"), "secret").unwrap();
    fs::write(credentials.path().join("ldap"), "secret").unwrap();
    fs::write(credentials.path().join("oidc"), "secret").unwrap();
    let around = Surroundings { credentials_dir: Some(credentials.path().to_owned()), ..around() };
    let texts = SHIPPED.map(|(name, text)| (name, in_force(text)));
    let texts = texts.iter().map(|(name, text)| (Path::new(*name), text.as_str()));
    let texts: Vec<_> = texts.chain([(Path::new("another.toml"), ANOTHER_PROVIDER)]).collect();
    let config = Config::from_texts(&texts, &around).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((config.listeners.len(), config.directories.len(), config.oidc.len()), (10, 8, 2));
    assert_eq!(config.policy.rules.len(), 3);
}

/// Each beside the files that it is to be copied to, which leave it its mechanisms.
#[test]
fn the_examples_for_providers_are_fine_beside_the_shipped_files() {
    let secrets = tempfile::tempdir().unwrap();
    for name in ["authelia", "authentik", "kanidm", "keycloak", "mailcow", "zitadel"] {
        let path = secrets.path().join(name);
        fs::write(&path, "secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let here = |text: &str| text.replace("/etc/gatepost/secrets", secrets.path().to_str().unwrap());
    for (name, text) in PROVIDERS {
        let text = here(text);
        let texts: Vec<_> = SHIPPED.into_iter().chain([(name, text.as_str())]).collect();
        assert_eq!(heads(&texts), [""; 0], "{name}");
        let config = checked(&format!("{SOME_DIRECTORY}{text}")).unwrap();
        assert_eq!(config.oidc.len(), 1, "{name}");
        let tokens = [Mechanism::OAuthBearer, Mechanism::XOAuth2];
        assert!(tokens.iter().all(|token| config.sasl.mechanisms.contains(token)), "{name}");
    }
    let mailcow = include_str!("../../../conf.d/examples/mailcow.toml");
    let config = checked(&in_force(&here(mailcow))).unwrap();
    assert_eq!((config.directories.len(), config.oidc.len()), (1, 1));
}

/// Every key that a table is asked for stands in the shipped files, where operators look for it.
#[test]
fn every_key_is_explained_in_the_shipped_files() {
    let sources = [
        include_str!("../server.rs"),
        include_str!("../sasl.rs"),
        include_str!("../cache.rs"),
        include_str!("../hashing.rs"),
        include_str!("../log.rs"),
        include_str!("../maps.rs"),
        include_str!("../listener.rs"),
        include_str!("../policy.rs"),
        include_str!("../policy/action.rs"),
        include_str!("../policy/limit.rs"),
        include_str!("../policy/when.rs"),
        include_str!("../directory.rs"),
        include_str!("../directory/provision.rs"),
        include_str!("../directory/sql.rs"),
        include_str!("../directory/ldap.rs"),
        include_str!("../directory/maps.rs"),
        include_str!("../master.rs"),
        include_str!("../oidc.rs"),
        include_str!("../oidc/client.rs"),
    ];
    let shipped: String = SHIPPED.iter().map(|(_, text)| *text).collect();
    let words: Vec<&str> =
        shipped.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let mut keys = 0;
    for source in sources {
        let code = source.split("#[cfg(test)]").next().unwrap();
        for asked in [
            "reader.text",
            "reader.path",
            "reader.list",
            "reader.one_or_more",
            "attributes",
            "reader.number",
            "reader.boolean",
            "reader.size",
            "reader.duration",
            "reader.duration_or_zero",
            "reader.one_of",
            "reader.text_or_number",
            "reader.table",
            "reader.boolean",
            "&mut reader, ",
            "mut reader, ",
            "secret(reader, ",
            "words(&mut reader, ",
            "list(reader, ",
        ] {
            for (at, _) in code.match_indices(asked) {
                let rest = code.get(at + asked.len()..).unwrap().trim_start_matches('(');
                let Some(key) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    continue;
                };
                assert!(words.contains(&key), "{key} is explained nowhere");
                keys += 1;
            }
        }
    }
    assert!(keys >= 20, "only {keys} keys were found in the sources");
}
