//! Nothing that anybody types means more to a database than itself.

use std::fmt::Write as _;

use crate::{
    asking::{Auth, Master, daemon, plain},
    database::{Database, KINDS},
    support::{Place, Tree},
};

/// All signs that a login name may hold.
const SIGNS: &str = ".-_+='~!#$&^0aé";

#[test]
fn every_byte_of_a_name_or_password_stands_for_itself_in_every_database() {
    for kind in KINDS {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let mut rows = String::new();
        let mut add = |name: &str, password: &str| {
            let name = name.replace('\'', "''");
            writeln!(rows, "INSERT INTO people (name, password) VALUES ('{name}', '{password}');").unwrap();
        };
        for byte in 0..=255_u8 {
            add(&format!("byte{byte}@example.test"), &format!("{{PLAIN.HEX}}70{byte:02x}71"));
        }
        for (number, sign) in SIGNS.chars().enumerate() {
            add(&format!("sign{sign}x@example.test"), &format!("{{PLAIN}}sign{number}"));
        }
        add("empty@example.test", "{PLAIN}");
        add("nothing@example.test", "");
        database.sql(&rows);
        database.sql("INSERT INTO people (name, password) VALUES ('null@example.test', NULL);");
        let query = "SELECT name AS user, password FROM people
            WHERE name = :user AND :service = 'imap' AND :local = :local AND :key = :user";
        let query = if kind == "mysql" {
            query.replace("= :user", "= CAST(:user AS CHAR)")
        } else {
            query.to_owned()
        };
        let gatepost = daemon(&database.directory(&database.source(), &query, &place), "").started();
        let mut auth = Auth::connect(&gatepost);
        let refused = |said: &str, what: &str| {
            assert!(
                said.starts_with("FAIL") && !said.contains("temp"),
                "{kind}, {what}: {said}\n{}",
                gatepost.log()
            );
        };
        assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");

        for byte in 0..=255_u8 {
            let name = format!("byte{byte}@example.test");
            let said = auth.plain(&name, [b'p', byte, b'q']);
            match byte {
                0 => refused(&said, "a NUL"),
                _ => assert_eq!(said, format!("OK\tuser={name}"), "{byte}"),
            }
            refused(&auth.plain(&name, [b'p', byte.wrapping_add(1), b'q']), "the password of the next one");
            refused(&auth.plain(&name, [b'p', byte, b'q', byte]), "more than the password");
            for name in [
                [b"alice@example.test".as_slice(), &[byte]].concat(),
                [&[byte], b"alice@example.test".as_slice()].concat(),
                [b"ali".as_slice(), &[byte], b"ce@example.test"].concat(),
                [b"' OR name = 'alice@example.test".as_slice(), &[byte]].concat(),
                vec![byte],
            ] {
                refused(&auth.plain(&name, "wonder"), &format!("{}", name.escape_ascii()));
            }
        }
        for (number, sign) in SIGNS.chars().enumerate() {
            let name = format!("sign{sign}x@example.test");
            assert_eq!(auth.plain(&name, format!("sign{number}")), format!("OK\tuser={name}"));
            refused(&auth.plain(&name, format!("sign{}", number + 1)), &name);
        }
        for name in [
            "' OR 1=1 -- ",
            "' OR '1'='1",
            "\\00",
            "\\' OR 1=1#",
            "alice@example.test' -- ",
            "alice@example.test'#",
            "al%@example.test",
            "alic_@example.test",
            "alice@example.test;DROP",
            "$$ OR 1=1 $$",
            "alice@example.test\u{a0}",
            "alice@example.test\u{200b}",
            "",
        ] {
            refused(&auth.plain(name, "wonder"), name);
            refused(&auth.plain("alice@example.test", name), name);
        }
        for name in ["empty", "nothing", "null", "alice"] {
            refused(&auth.plain(format!("{name}@example.test"), ""), name);
        }
        for service in ["imap' OR '1'='1", "IMAP", "imap ", "pop3"] {
            let said = auth.with(&format!("service={service}"), &plain("alice@example.test", "wonder"));
            // MySQL compares text without capitals and blanks at the end.
            if kind == "mysql" && service.trim().eq_ignore_ascii_case("imap") {
                assert_eq!(said, "OK\tuser=alice@example.test", "{service}");
            } else {
                refused(&said, service);
            }
        }
        let mut master = Master::connect(&gatepost);
        for name in ["' OR 1=1 -- ", "alice@example.test ", "al%@example.test"] {
            let said = master.user(name);
            assert!(said.starts_with("NOTFOUND"), "{name}: {said}");
        }
        assert_eq!(
            auth.plain("bob@example.test", "builder"),
            "OK\tuser=bob@example.test",
            "the table is there"
        );
    }
}

/// MySQL takes capitals, accents and blanks at the end for nothing. Whatever row it finds, its name is the one that
/// goes on, and only its password lets anybody in.
#[test]
fn a_name_that_a_database_takes_for_another_leads_to_that_account_and_no_other() {
    let place = Place::new(&Tree::bookworm());
    let database = Database::start("mysql", &place);
    database.sql(
        "INSERT INTO people (name, password) VALUES ('padded@example.test  ', '{PLAIN}p'), ('René@example.test', '{PLAIN}r'),
         ('twin@example.test', '{PLAIN}one'), ('TWIN@example.test', '{PLAIN}two');",
    );
    let query = "SELECT name AS user, password FROM people WHERE name = :user";
    let gatepost = daemon(&database.directory(&database.source(), query, &place), "").started();
    let mut auth = Auth::connect(&gatepost);
    assert_eq!(
        auth.plain("RENE@example.test", "r"),
        "OK\tuser=ren\u{e9}@example.test\toriginal_user=RENE@example.test"
    );
    assert_eq!(auth.plain("rene@example.test", "wonder"), "FAIL\tuser=rene@example.test");
    // Of two rows none is right.
    for password in ["one", "two"] {
        let said = auth.plain("twin@example.test", password);
        assert!(said.starts_with("FAIL") && !said.contains("OK"), "{said}");
    }
    // A name that nobody can have is no name to go on with.
    assert_eq!(
        auth.plain("padded@example.test", "p"),
        "FAIL\tuser=padded@example.test\tcode=temp_fail\ttemp"
    );
    assert_eq!(auth.plain("alice@example.test ", "wonder"), "FAIL\tuser=alice@example.test?");
}
