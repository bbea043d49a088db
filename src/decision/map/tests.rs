use super::{Map, without_extension};

#[test]
fn an_extension_ends_at_the_at_sign_and_never_begins_the_address() {
    for (delimiters, address, expected) in [
        ("+", "anna+lists@example.org", Some("anna@example.org")),
        ("+", "anna+lists+more@example.org", Some("anna@example.org")),
        ("+", "anna+@example.org", Some("anna@example.org")),
        ("+", "anna+lists", Some("anna")),
        ("+", "anna@example.org", None),
        ("+", "+anna@example.org", None),
        ("+", "anna@exa+mple.org", None),
        ("+", "", None),
        ("+", "@", None),
        ("+-", "anna-lists@example.org", Some("anna@example.org")),
        ("+-", "anna+a-b@example.org", Some("anna@example.org")),
        ("+", "anna-lists@example.org", None),
        ("", "anna+lists@example.org", None),
        ("+", "\"a@b\"+x@example.org", Some("\"a@b\"@example.org")),
    ] {
        let short = without_extension(address.as_bytes(), delimiters);
        assert_eq!(short.as_deref(), expected.map(str::as_bytes), "{address} at {delimiters:?}");
    }
}

#[test]
fn a_map_has_one_name_and_no_other() {
    for map in Map::ALL {
        assert_eq!(Map::named(map.name().as_bytes()), Some(map));
    }
    for name in ["", "Domains", "domain", "mailboxes ", "aliases"] {
        assert_eq!(Map::named(name.as_bytes()), None, "{name:?}");
    }
}
