//! Users who are made when they come with a token for the first time.

use super::*;

/// Of an embedded directory that is right but for what follows, in line 4 and later.
const SQLITE: &str = "[[directory]]\nname = 'a'\ntype = 'sqlite'\n";
/// The same of one with tables of its own, in line 6 and later.
const TABLES: &str = "[[directory]]\nname = 'a'\ntype = 'sqlite'\nfile = '/p.db'\nuser_query = 'SELECT name AS user FROM people WHERE name = :user'\n";
const QUERY: &str = "provision_query = 'INSERT INTO people VALUES (:user)'\n";

/// What it is made of.
fn provision(text: &str) -> Option<Vec<(String, Template)>> {
    let config = checked(text).unwrap_or_else(|problems| panic!("{text}: {problems}"));
    match config.directories.into_iter().next().unwrap().kind {
        Kind::Sqlite { provision, .. } => provision,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn the_embedded_directory_makes_users_only_where_it_says_so() {
    assert_eq!(provision(SQLITE), None);
    assert_eq!(provision(&format!("{SQLITE}provision = false\n")), None);
    let wanted = format!("{SQLITE}provision = true\n");
    assert_eq!(provision(&format!("{wanted}{ANOTHER_PROVIDER}")), Some(Vec::new()));
    let fields =
        "[directory.provision_fields]\nuid = '{number}'\nhome = '/m/{local}'\nquota_rule = '{quota:-1}'\n";
    let fields = provision(&format!("{wanted}{fields}{ANOTHER_PROVIDER}")).unwrap();
    let fields: Vec<_> = fields.iter().map(|(name, template)| (name.as_str(), template.clone())).collect();
    let expected = [("uid", "{number}"), ("home", "/m/{local}"), ("quota_rule", "{quota:-1}")];
    assert_eq!(fields, expected.map(|(name, text)| (name, Template::of(text))));
}

#[test]
fn whoever_makes_users_needs_somebody_who_vouches_for_them() {
    let nobody = "is for users who come with a token, and no [[oidc]] has account = \"required\"";
    let of_claims = format!("{ANOTHER_PROVIDER}account = 'from_claims'\n");
    let by_itself = format!("{SQLITE}provision = true\n");
    let by_query = format!("{TABLES}{QUERY}");
    for (text, place) in
        [(&by_itself, "a:4:13: directory.provision"), (&by_query, "a:6:19: directory.provision_query")]
    {
        for providers in ["", &of_claims] {
            let heads = heads(&[("a", text), ("b", providers)]);
            assert_eq!(heads, [format!("{place}: {nobody}")], "{text}{providers}");
        }
        assert_eq!(heads(&[("a", text), ("b", ANOTHER_PROVIDER)]), [""; 0], "{text}");
        // What is wrong with a provider is no reason to have none.
        let unnamed = ANOTHER_PROVIDER.replace("name = 'another'\n", "");
        assert_eq!(heads(&[("a", text), ("b", &unnamed)]), ["b:1:1: oidc.name: is missing"], "{text}");
        assert_eq!(heads(&[("a", text), ("b", "[[oidc")]).len(), 1, "{text}");
    }
    let problems = checked(&by_itself).unwrap_err().to_string();
    assert!(problems.contains("add such a one, as in 40-oidc.toml, or take it away"), "{problems}");
}

#[test]
fn what_is_wrong_with_it_is_told_with_its_place() {
    let tables = format!("{TABLES}{QUERY}");
    let table: &[(&str, &str, &[&str])] = &[
        (
            SQLITE,
            "provision = 'yes'\n[directory.provision_fields]\n",
            &["4:13: directory.provision: true or false is wanted here, not a string"],
        ),
        (
            SQLITE,
            "[directory.provision_fields]\nhome = '/m'\n",
            &["4:1: directory.provision_fields: are for users who are made, and here nobody is"],
        ),
        (
            SQLITE,
            "provision = false\n[directory.provision_fields]\nhome = '/m'\n",
            &["5:1: directory.provision_fields: are for users who are made, and here nobody is"],
        ),
        (
            SQLITE,
            "provision = true\n[directory.provision_fields]\npassword = '{PLAIN}x'\nuid = 5000\nhome = '/m/{'\n'a b' = ''\n",
            &[
                "6:1: directory.provision_fields.password: would be the password of everybody who is made",
                "7:7: directory.provision_fields.uid: a string is wanted here, not a whole number",
                "8:8: directory.provision_fields.home: has an open brace that is never closed",
                "9:1: directory.provision_fields.a b: is no name for a field",
            ],
        ),
        (
            SQLITE,
            "provision = true\nmaster = true\n",
            &["4:13: directory.provision: makes users, and here are master users, whom no token is of"],
        ),
        (
            &tables,
            "master = true\n",
            &["6:19: directory.provision_query: makes users, and here are master users, whom no token is of"],
        ),
        (
            SQLITE,
            QUERY,
            &["4:1: directory.provision_query: is for tables of another program, which need a user_query"],
        ),
        (
            TABLES,
            "provision = true\n[directory.provision_fields]\n",
            &[
                "6:1: directory.provision: is for gatepost's own database, and these tables are somebody else's",
                "7:12: directory.provision_fields: is for gatepost's own database, and these tables are somebody else's",
            ],
        ),
        (
            "[[directory]]\nname = 'a'\ntype = 'static'\n",
            "provision = true\n",
            &["4:1: directory.provision: is no key of gatepost"],
        ),
    ];
    for (before, text, expected) in table {
        let text = format!("{before}{text}");
        let expected: Vec<_> = expected.iter().map(|head| format!("a:{head}")).collect();
        assert_eq!(heads(&[("a", &text), ("b", ANOTHER_PROVIDER)]), expected, "{text}");
    }
}
