//! Logins through Dovecot.

use crate::{
    database::{Database, KINDS, QUERY, gatepost_over},
    support::{Authority, Dovecot, Place, Tree},
};

fn logs_in(dovecot: &Dovecot<'_>, user: &str, password: &str) -> bool {
    let answer = dovecot.imap().login(user, password);
    assert!(!answer.contains("UNAVAILABLE"), "{user}: {answer}");
    answer.starts_with("OK")
}

#[test]
fn people_of_every_database_log_in_over_imap_and_get_their_mail() {
    for kind in KINDS {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let _gatepost = gatepost_over(&place, &database.directory(&database.source(), QUERY, &place));
        let dovecot = Dovecot::start(&place);

        let mut imap = dovecot.imap();
        assert!(imap.login("alice@example.test", "wonder").starts_with("OK"));
        assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
        // An alias is another way in, to the same mail.
        assert!(logs_in(&dovecot, "ally@example.test", "wonder"));
        assert!(logs_in(&dovecot, "ALICE@Example.TEST", "wonder"));
        assert!(place.outside("mail/alice@example.test/Maildir").exists());
        assert!(!place.outside("mail/ally@example.test").exists());

        for (user, password) in [
            ("alice@example.test", "builder"),
            ("bob@example.test", "wonder"),
            ("carol@example.test", "carol"),
            ("nobody@example.test", "wonder"),
        ] {
            assert!(!logs_in(&dovecot, user, password), "{user}");
        }
        let answer = dovecot.lmtp().send("sender@example.test", "bob@example.test", "hello");
        assert_eq!(answer.code, 250, "{answer:?}");
        let answer = dovecot.lmtp().send("sender@example.test", "nobody@example.test", "hello");
        assert_eq!(answer.code, 550, "{answer:?}");
    }
}

#[test]
fn tls_is_verified_and_a_wrong_authority_is_no_wrong_password() {
    for kind in ["mysql", "postgres"] {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        let address = database.address();
        let stranger = Authority::found(&place, "stranger").file();
        // The keys, whether the server wants TLS, and whether they come together.
        let table = [
            (String::new(), false, true),
            (String::new(), true, false),
            (format!("ca_file = {:?}\n", database.ca_file()), true, true),
            (format!("ca_file = {stranger:?}\n"), true, false),
            (format!("ca_file = {stranger:?}\n"), false, false),
            ("tls = \"required\"\n".to_owned(), false, false),
        ];
        let dovecot = Dovecot::start(&place);
        for (keys, required, answers) in table {
            database.require_tls(required);
            let source = format!("{}{keys}timeout = \"2s\"\n", database.source_at(address));
            let _gatepost = gatepost_over(&place, &database.directory(&source, QUERY, &place));
            let answer = dovecot.imap().login("alice@example.test", "wonder");
            assert_eq!(answer.starts_with("OK"), answers, "{keys}: {answer}");
            assert_eq!(answer.contains("UNAVAILABLE"), !answers, "{keys}: {answer}");
        }
    }
}
