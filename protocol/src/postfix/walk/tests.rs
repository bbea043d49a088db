use proptest::prelude::*;

use super::{
    Key,
    Walk::{self, Access, Client, Domain, Exact, Local, Nexthop, Transport},
};

fn keys(walk: Walk, key: &str) -> Vec<String> {
    Key::of(key).steps(walk, "+").map(|step| step.key.into_owned()).collect()
}

/// What Postfix asks tables of fixed strings for, as seen on the wire.
#[test]
fn each_kind_is_walked_as_postfix_walks_it() {
    let table: &[(Walk, &str, &[&str])] = &[
        (
            Walk::Address,
            "User+Ext@Sub.Dom.TEST",
            &["user+ext@sub.dom.test", "user@sub.dom.test", "@sub.dom.test"],
        ),
        (Walk::Address, "user@dom.test", &["user@dom.test", "@dom.test"]),
        (
            Walk::Address,
            "\"a b+c\"@dom.test",
            &["\"a b+c\"@dom.test", "a b+c@dom.test", "\"a b\"@dom.test", "a b@dom.test", "@dom.test"],
        ),
        (Walk::Address, "a b@dom.test", &["\"a b\"@dom.test", "a b@dom.test", "@dom.test"]),
        (Walk::Address, "quo\"ted@dom.test", &["\"quo\\\"ted\"@dom.test", "quo\"ted@dom.test", "@dom.test"]),
        (
            Access,
            "\"anna\"@dom.test",
            &[
                "\"\\\"anna\\\"\"@dom.test",
                "\"anna\"@dom.test",
                "dom.test",
                "test",
                "\"\\\"anna\\\"\"@",
                "\"anna\"@",
            ],
        ),
        (Walk::Address, "", &[""]),
        (Walk::Address, "<>", &["<>"]),
        (Walk::Address, "mx.dom.test", &["mx.dom.test"]),
        (Walk::Address, "[mx.dom.test]:587", &["[mx.dom.test]:587"]),
        (Walk::Address, "@dom.test", &["@dom.test"]),
        (Walk::Address, "\"\"@dom.test", &["\"\"@dom.test", "@dom.test"]),
        (
            Local,
            "User+Ext@Dom.TEST",
            &["user+ext@dom.test", "user@dom.test", "user+ext", "user", "@dom.test"],
        ),
        (Local, "\"a b\"@dom.test", &["\"a b\"@dom.test", "a b@dom.test", "\"a b\"", "a b", "@dom.test"]),
        (Local, "\"a@b\"@dom.test", &["\"a@b\"@dom.test", "a@b@dom.test", "\"a@b\"", "@dom.test"]),
        (Local, "@dom.test", &["@dom.test"]),
        (Local, "user", &["user"]),
        (
            Transport,
            "User+Ext@Sub.Dom.TEST",
            &["user+ext@sub.dom.test", "user@sub.dom.test", "sub.dom.test", ".dom.test", ".test"],
        ),
        (Transport, "*", &["*"]),
        (
            Access,
            "User+Ext@Sub.Dom.TEST",
            &[
                "user+ext@sub.dom.test",
                "user@sub.dom.test",
                "sub.dom.test",
                "dom.test",
                "test",
                "user+ext@",
                "user@",
            ],
        ),
        (Access, "<>", &["<>"]),
        (Client, "MX.Dom.test", &["mx.dom.test", "dom.test", "test"]),
        (Client, "unknown", &["unknown"]),
        (Client, "192.0.2.1", &["192.0.2.1", "192.0.2", "192.0", "192"]),
        (Client, "2001:db8::1", &["2001:db8::1", "2001:db8", "2001"]),
        (Client, "::1", &["::1"]),
        (Domain, "Sub.Dom.test", &["sub.dom.test", "dom.test", "test"]),
        // As HELO: no domain.
        (Domain, "192.0.2.1", &["192.0.2.1"]),
        (Domain, "2.1", &["2.1", "1"]),
        (Domain, "[192.0.2.1]", &["[192.0.2.1]", "0.2.1]", "2.1]", "1]"]),
        (Nexthop, "sub.dom.test", &["sub.dom.test", ".dom.test", ".test"]),
        (Nexthop, "192.0.2.1", &["192.0.2.1"]),
        (Nexthop, ".dom.test", &[".dom.test", ".test"]),
        (Nexthop, "[mx.dom.test]", &["[mx.dom.test]"]),
        (Nexthop, "dom.test:587", &["dom.test:587"]),
        (Exact, "Dom.TEST", &["dom.test"]),
    ];
    for (walk, key, expected) in table {
        assert_eq!(keys(*walk, key), *expected, "{walk:?} of {key}");
    }
}

#[test]
fn a_domain_of_other_letters_is_asked_for_in_both_forms() {
    let table: &[(Walk, &str, &[&str])] = &[
        (
            Walk::Address,
            "Anna+x@Bücher.example",
            &[
                "anna+x@bücher.example",
                "anna+x@xn--bcher-kva.example",
                "anna@bücher.example",
                "anna@xn--bcher-kva.example",
                "@bücher.example",
                "@xn--bcher-kva.example",
            ],
        ),
        (Exact, "XN--bcher-kva.example", &["xn--bcher-kva.example", "bücher.example"]),
        (Exact, "rené@example.org", &["rené@example.org"]),
        (
            Domain,
            "mx.Пример.test",
            &["mx.пример.test", "mx.xn--e1afmkfd.test", "пример.test", "xn--e1afmkfd.test", "test"],
        ),
        (Exact, "a@xn--.example", &["a@xn--.example"]),
        (Domain, "b。example", &["b。example", "b.example", "example"]),
        // What comes to a sign that no domain has is no domain.
        (Walk::Address, "anna@b＠example.org", &["anna@b＠example.org", "@b＠example.org"]),
        (Walk::Address, "anna＠example.org", &["anna＠example.org"]),
        (Exact, "xn--bcher-kva.a／b", &["xn--bcher-kva.a／b"]),
        (Nexthop, "[bücher.example]", &["[bücher.example]"]),
        (
            Nexthop,
            "mx.bücher.example",
            &[
                "mx.bücher.example",
                "mx.xn--bcher-kva.example",
                ".bücher.example",
                ".xn--bcher-kva.example",
                ".example",
            ],
        ),
    ];
    for (walk, key, expected) in table {
        assert_eq!(keys(*walk, key), *expected, "{walk:?} of {key}");
    }
}

/// Whoever asks may send 65 KB, and each step may cost a question to a database.
#[test]
fn a_key_of_any_length_has_no_more_steps_than_the_longest_name() {
    for (walk, key, steps, second) in [
        (Domain, "a.".repeat(30_000) + "test", 126, "a.".repeat(124) + "test"),
        (Access, "x@".to_owned() + &"a.".repeat(30_000), 129, "a.".repeat(30_000)),
        // 127 and 32, in both forms.
        (Nexthop, "日.".repeat(20_000), 159, "xn--wgv.".repeat(20_000)),
        (Client, "1:".repeat(30_000), 24, "1:".repeat(22) + "1"),
        (Client, "1:".repeat(30_000) + "1.1", 24, "1:".repeat(22) + "1"),
    ] {
        let found = keys(walk, &key);
        assert_eq!((found.len(), &found[0], &found[1]), (steps, &key, &second));
    }
}

#[test]
fn a_step_says_what_was_taken_off_and_whether_it_is_for_everybody() {
    let key = Key::of("a+x@b");
    let steps = key.steps(Walk::Address, "+");
    let steps: Vec<_> = steps.map(|step| (step.is_bare, step.is_whole)).collect();
    assert_eq!(steps, [(false, true), (true, true), (false, false)]);
}

#[test]
fn a_parameter_has_the_walk_of_its_manual() {
    for (name, walk) in [
        ("virtual_alias_maps", Some(Walk::Address)),
        ("transport_maps", Some(Transport)),
        ("check_client_access", Some(Client)),
        ("smtp_tls_policy_maps", Some(Nexthop)),
        ("relay_domains", Some(Domain)),
        ("local_recipient_maps", Some(Local)),
        ("check_recipient_mx_access", Some(Client)),
        ("check_helo_a_access", Some(Client)),
        ("aliases", None),
        ("", None),
    ] {
        assert_eq!(Walk::of_parameter(name), walk, "{name}");
    }
}

proptest! {
    #[test]
    fn a_walk_ends_and_asks_for_nothing_twice(key: String, which in 0..Walk::ALL.len(), delimiters in "[+-]{0,2}") {
        let key = Key::of(&key);
        let steps: Vec<_> = key.steps(Walk::ALL[which].1, &delimiters).collect();
        prop_assert!(!steps.is_empty());
        let mut keys: Vec<_> = steps.iter().map(|step| &step.key).collect();
        keys.sort();
        keys.dedup();
        prop_assert_eq!(keys.len(), steps.len());
    }
}
