//! No name and no password means anything but itself to an LDAP server.

use crate::{
    asking::{self, Auth, Master},
    searching,
    support::{Alone, Place, Slapd, Tree, slapd, slapd::SUFFIX, wait_until},
};

const YES: &str = "OK";
const NO: &str = "FAIL";

fn daemon(place: &Place, slapd: &Slapd<'_>, how: &[(&str, &str)]) -> Alone {
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    let table = searching(&urls, &place.outside("authority.pem"));
    let table = how.iter().fold(table, |table, (key, value)| table.with(key, value));
    asking::daemon(
        &format!(
            "{}[directory.fields]\nhome = \"/mail/{{local}}\"\nuid = \"5000\"\ngid = \"5000\"\n",
            table.0
        ),
        "",
    )
    .started()
}

/// By a filter, by a name, and with the password compared here.
fn daemons(place: &Place, slapd: &Slapd<'_>) -> Vec<Alone> {
    let base = format!("ou=people,{SUFFIX}");
    let dn = format!("uid={{local}},ou=people,{SUFFIX}");
    let filter = "(|(mail={user})(uid={local}))";
    vec![
        daemon(place, slapd, &[("base_dn", &base), ("user_filter", filter)]),
        daemon(place, slapd, &[("user_dn", &dn)]),
        daemon(
            place,
            slapd,
            &[
                ("base_dn", &base),
                ("user_filter", filter),
                ("password", "userPassword"),
                ("default_scheme", "PLAIN"),
            ],
        ),
    ]
}

#[track_caller]
fn judged(auth: &mut Auth, user: &[u8], password: &[u8]) -> String {
    let reply = auth.plain(user, password);
    assert!(
        !reply.contains("temp_fail") && !reply.contains("temp\t"),
        "{} {}: {reply}",
        user.escape_ascii(),
        password.escape_ascii()
    );
    reply.split('\t').next().unwrap().to_owned()
}

/// What means something in filters, names, or elsewhere.
const MEANT: [&str; 14] = [
    "*",
    "*)(uid=*",
    "alice*",
    "al*",
    "alice)(objectClass=*",
    "alice@example.org)(|(uid=*",
    "*)(|(mail=*))",
    "alice,ou=people",
    "alice+cn=alice",
    "alice\\2a",
    "\\00",
    "alice\\00",
    "alice)(&",
    "#616c696365",
];

#[test]
fn no_name_finds_anybody_but_whom_it_names() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    for gatepost in daemons(&place, &slapd) {
        let mut auth = Auth::connect(&gatepost);
        assert_eq!(judged(&mut auth, b"alice@example.org", b"alice-secret"), YES);
        assert_eq!(judged(&mut auth, b"o'brien@example.org", b"o'brien-secret"), YES);
        for name in MEANT {
            for user in [name.to_owned(), format!("{name}@example.org")] {
                assert_eq!(judged(&mut auth, user.as_bytes(), b"alice-secret"), NO, "{user}");
            }
        }
        for byte in 1..=u8::MAX {
            for user in [
                vec![byte],
                [b"alice".as_slice(), &[byte], b"@example.org"].concat(),
                [&[byte], b"alice@example.org".as_slice()].concat(),
                [b"al".as_slice(), &[byte], b"ce@example.org"].concat(),
            ] {
                let itself = user.eq_ignore_ascii_case(b"alice@example.org");
                let expected = if itself { YES } else { NO };
                assert_eq!(judged(&mut auth, &user, b"alice-secret"), expected, "{}", user.escape_ascii());
            }
        }
        let mut master = Master::connect(&gatepost);
        for name in MEANT {
            assert_eq!(master.user(name), "NOTFOUND", "{name}");
        }
    }
}

#[test]
fn spellings_that_ldap_takes_for_one_are_one_account() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let base = format!("ou=people,{SUFFIX}");
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    let table = searching(&urls, &place.outside("authority.pem"))
        .with("base_dn", &base)
        .with("user_filter", "(uid={local})");
    let fields = "[directory.fields]\nuser = \"{mail}\"\nhome = \"/mail/{local}\"\n";
    let gatepost = asking::daemon(&format!("{}{fields}", table.0), "").started();
    let mut auth = Auth::connect(&gatepost);
    let mut master = Master::connect(&gatepost);
    for spelling in ["alice", "ALICE", "alice@elsewhere.test", "\u{ff41}lice", "\u{ff21}\u{ff2c}ice"] {
        let reply = auth.plain(spelling, "alice-secret");
        assert!(reply.starts_with("OK\tuser=alice@example.org"), "{spelling}: {reply}");
        let reply = master.user(spelling);
        assert!(
            reply.starts_with("USER\talice@example.org\t") && reply.contains("home=/mail/alice"),
            "{reply}"
        );
    }
}

#[test]
fn no_password_is_right_but_the_right_one() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let odd = "*)(uid=*\\00 é\"',;=#+<>{}%s";
    slapd.add(&slapd::person("odd", "people", odd));
    for gatepost in daemons(&place, &slapd) {
        let mut auth = Auth::connect(&gatepost);
        assert_eq!(judged(&mut auth, b"odd@example.org", odd.as_bytes()), YES);
        for password in MEANT.iter().map(|text| text.as_bytes()).chain([b"".as_slice(), b" ", b"bob-secret"])
        {
            assert_eq!(judged(&mut auth, b"alice@example.org", password), NO, "{}", password.escape_ascii());
        }
        for byte in 1..=u8::MAX {
            for password in [
                vec![byte],
                [b"alice-secret".as_slice(), &[byte]].concat(),
                [&[byte], b"alice-secret".as_slice()].concat(),
                [b"alice-secre".as_slice(), &[byte]].concat(),
            ] {
                let expected = if password == b"alice-secret" { YES } else { NO };
                let judged = judged(&mut auth, b"alice@example.org", &password);
                assert_eq!(judged, expected, "{}", password.escape_ascii());
            }
        }
        // LOGIN can carry a NUL.
        for password in [b"\0".as_slice(), b"alice-secret\0", b"alice-secret\0x", b"\0alice-secret"] {
            let reply = auth.login("alice@example.org", password);
            assert!(
                reply.starts_with(NO) && !reply.contains("temp_fail"),
                "{}: {reply}",
                password.escape_ascii()
            );
        }
        assert_eq!(judged(&mut auth, b"alice@example.org", b"alice-secret"), YES);
    }
    // An empty password would have been an anonymous bind, which succeeds.
    assert_eq!(slapd.asked("BIND dn=\"\""), 0);
}

#[test]
fn no_password_is_in_the_log_at_its_finest() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let urls = [format!("ldaps://{}", slapd.ldaps())];
    for password in ["bind", "userPassword"] {
        let table = searching(&urls, &place.outside("authority.pem"))
            .with("base_dn", format_args!("ou=people,{SUFFIX}"))
            .with("user_filter", "(mail={user})")
            .with("password", password);
        let gatepost = asking::daemon(&format!("{}[log]\nfilter = \"trace\"\n", table.0), "").started();
        let mut auth = Auth::connect(&gatepost);
        auth.plain("alice@example.org", "alice-secret");
        auth.plain("alice@example.org", "wrong-secret");
        assert!(auth.plain("bob@example.org", "builder").starts_with(YES));
        wait_until("the log has it all", || gatepost.log().contains("bob@example.org"));
        let log = gatepost.log();
        assert!(log.contains("DEBUG"), "{log}");
        // The service account's, those of alice, bob's and his hash.
        for secret in
            [slapd::SERVICE.1, "alice-secret", "wrong-secret", "builder", "XuqZo8Cby0+8guq9OzyThG7lmKRzYWx0"]
        {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
    }
}
