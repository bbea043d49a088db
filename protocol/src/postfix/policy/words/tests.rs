use proptest::prelude::*;

use super::{Address, Code, Destination, Enhanced, Header, Restriction, Text};

#[test]
fn a_text_has_no_control_characters_and_no_blanks_around_it() {
    for (text, is) in [
        ("", ""),
        ("come back later", "come back later"),
        ("  come back later ", "come back later"),
        ("zur\u{fc}ck", "zur\u{fc}ck"),
    ] {
        assert_eq!(Text::new(text).unwrap().as_str(), is);
        assert_eq!(Text::cleaned(text).as_str(), is);
    }
    for (text, cleaned) in [
        ("a\nb", "a?b"),
        ("a\r\n\naction=OK", "a???action=OK"),
        ("a\0", "a?"),
        ("\ta", "?a"),
        ("a\u{7f}\u{85}\u{9b}", "a???"),
    ] {
        assert_eq!(Text::cleaned(text).as_str(), cleaned);
        assert_eq!(Text::cleaned(text.to_owned()).as_str(), cleaned);
        // Of line ends at the ends, nothing is left to be refused.
        assert_eq!(Text::new(text).is_err(), text.trim().contains(char::is_control), "{text:?}");
    }
}

#[test]
fn a_text_is_cut_off_between_characters() {
    let longest = "x".repeat(200);
    assert_eq!(Text::new(&*longest).unwrap().as_str(), longest);
    assert!(Text::new("x".repeat(201)).is_err());
    assert_eq!(Text::cleaned("x".repeat(201)).as_str(), longest);
    // Three bytes each.
    assert_eq!(Text::cleaned("\u{20ac}".repeat(67)).as_str(), "\u{20ac}".repeat(66));
    assert_eq!(Text::cleaned(format!("{} y", "x".repeat(199))).as_str(), "x".repeat(199));
}

#[test]
fn codes_are_of_their_class_and_hang_nobody_up() {
    for code in 0..=1000 {
        let known = (code % 100) / 10 <= 5 && code % 100 != 21;
        assert_eq!(Code::<4>::new(code).is_some(), code / 100 == 4 && known, "{code}");
        assert_eq!(Code::<5>::new(code).is_some(), code / 100 == 5 && known, "{code}");
        assert_eq!(Code::<2>::new(code), None);
    }
    assert_eq!(Code::<5>::new(550).unwrap().get(), 550);
}

#[test]
fn an_enhanced_code_is_the_first_word_or_none() {
    let code = |subject, detail| Enhanced::new(subject, detail).unwrap();
    for (text, split) in [
        ("5.7.1 no", Some((code(7, 1), "no"))),
        ("4.7.1", Some((code(7, 1), ""))),
        ("2.0.0 \t fine", Some((code(0, 0), "fine"))),
        ("5.999.007 x", Some((code(999, 7), "x"))),
        ("", None),
        ("no", None),
        ("3.7.1 x", None),
        ("5.7 x", None),
        ("5.7. x", None),
        ("5.7.1x x", None),
        ("5.7.1.1 x", None),
        ("5.1000.1 x", None),
        ("5.+7.1 x", None),
        (" 5.7.1 x", None),
    ] {
        assert_eq!(Enhanced::split(text), split, "{text:?}");
    }
    assert_eq!((Enhanced::new(1000, 0), Enhanced::new(0, 1000)), (None, None));
    assert_eq!(Enhanced::default(), code(7, 1));
}

#[test]
fn a_header_is_one_line() {
    let header = Header::new("X-Gatepost", " user=alice: b ").unwrap();
    assert_eq!((header.name(), header.value()), ("X-Gatepost", "user=alice: b"));
    assert!(Header::new("X", "x".repeat(995)).is_ok());
    for (name, value) in [
        ("", "x"),
        ("X", ""),
        ("X", " "),
        ("X Y", "x"),
        ("X:", "x"),
        ("X\u{e4}", "x"),
        ("X\n", "x"),
        ("X", "x\r\nBcc: eve@example.org"),
        ("X", "x\0"),
        ("X", &"x".repeat(996)),
    ] {
        assert!(Header::new(name, value).is_err(), "{name:?} {value:?}");
    }
}

#[test]
fn an_address_is_one_and_bare() {
    for address in ["bob@example.org", "b+x@y@example.org", "b\u{f6}b@ex\u{e4}mple.org", "a@[192.0.2.1]"] {
        assert_eq!(Address::new(address).unwrap().as_str(), address);
    }
    let long = format!("a@{}", "x".repeat(319));
    for address in
        ["", "bob", "@example.org", "bob@", "<bob@example.org>", "a b@c", "a@b,c@d", "a@b\n", "a@b ", &*long]
    {
        assert!(Address::new(address).is_err(), "{address:?}");
    }
}

#[test]
fn a_destination_is_a_transport_and_maybe_a_nexthop() {
    for (transport, nexthop) in [("smtp", "[127.0.0.1]:10025"), ("scan-out", ""), ("a.b_c", "x:y")] {
        let destination = Destination::new(transport, nexthop).unwrap();
        assert_eq!((destination.transport(), destination.nexthop()), (transport, nexthop));
    }
    for (transport, nexthop) in [("", "x"), ("a:b", "x"), ("a b", ""), ("smtp", "a b"), ("smtp", "a\n")] {
        assert!(Destination::new(transport, nexthop).is_err(), "{transport:?} {nexthop:?}");
    }
}

/// R20: whatever permits skips the restrictions that follow.
#[test]
fn a_restriction_permits_nothing() {
    for name in ["reject_unverified_sender", "reject_unauth_destination", "Greylist", "my-class_2", "sleep"] {
        assert_eq!(Restriction::new(name).unwrap().as_str(), name);
    }
    for name in [
        "",
        "OK",
        "ok",
        "Relay",
        "permit",
        "PERMIT",
        "permit_mynetworks",
        "Permit_sasl_authenticated",
        "permit_",
        "permitted",
        "123",
        "1a",
        "550",
        "_a",
        "-",
        "a b",
        "a,permit",
        "a permit",
        "a:b",
        "{ permit }",
        "a\n",
        "\u{e4}",
        "permi\u{2074}",
        "Hangup",
        "dunno",
        "reject",
        "Defer_If_Permit",
    ] {
        assert!(Restriction::new(name).is_err(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn what_is_cleaned_is_sound(text in "(\\PC|[\0-\u{a0}]){0,300}") {
        let cleaned = Text::cleaned(&*text);
        prop_assert_eq!(Text::new(cleaned.as_str().to_owned()), Ok(cleaned.clone()));
        prop_assert_eq!(Text::cleaned(text.clone()), cleaned);
    }
}
