//! The tables of who there is, in real Postfixes with the shipped lines.

use std::fs;

use crate::support::{
    Dovecot, Gatepost, Listener, People, Place, Postfix, Smtp, Smtpd, Tables, Tree, wait_until,
};

const DIRECTORY: &str = r#"
[[directory]]
name = "people"
type = "passwd-file"
file = "PEOPLE"
domains = ["example.test", "*.sub.test"]
"#;

fn directory(place: &Place) -> String {
    DIRECTORY.replace("PEOPLE", &place.outside("people").display().to_string())
}

/// Runs a test with both Postfixes, whose tables are gatepost's, by socketmap and over TCP.
fn with_each_postfix(test: impl Fn(&Postfix<'_>, &People<'_>, &Gatepost<'_>)) {
    for tree in Tree::all() {
        for tables in Tables::ALL {
            let place = Place::new(&tree);
            let people = People::settle(&place);
            let gatepost = Gatepost::start_over(&place, &Postfix::listeners(&place), &directory(&place));
            let postfix = Postfix::start_with_tables(&place, tables, None);
            eprintln!("with {tables:?} of {}", tree.name());
            test(&postfix, &people, &gatepost);
        }
    }
}

/// The code with which a recipient is taken or not.
fn recipient(smtp: &mut Smtp, address: &str) -> u16 {
    smtp.command(&format!("RCPT TO:<{address}>")).code
}

#[test]
fn mail_for_who_is_there_is_taken_and_for_nobody_else() {
    with_each_postfix(|postfix, _, _| {
        for smtpd in [Smtpd::Unix, Smtpd::ChrootedUnix] {
            let mut smtp = postfix.connect(smtpd);
            for sender in ["friend@elsewhere.test", ""] {
                assert_eq!(smtp.command(&format!("MAIL FROM:<{sender}>")).code, 250);
                for (address, code) in [
                    ("bob@example.test", 250),
                    ("BOB@Example.TEST", 250),
                    ("bob+lists@example.test", 250),
                    ("Bob+a+b@example.test", 250),
                    ("nobody@example.test", 550),
                    ("nobody+bob@example.test", 550),
                    ("+bob@example.test", 550),
                    ("\"b ob\"@example.test", 550),
                    // A domain below one that is named, where nobody lives; and one that is not ours.
                    ("bob@deep.sub.test", 550),
                    ("bob@sub.test", 454),
                    ("bob@elsewhere.test", 454),
                ] {
                    assert_eq!(
                        recipient(&mut smtp, address),
                        code,
                        "{address} at {smtpd:?}\n{}",
                        postfix.log()
                    );
                }
                assert_eq!(smtp.command("RSET").code, 250);
            }
        }
    });
}

#[test]
fn who_is_logged_in_sends_under_their_own_address_and_no_other() {
    with_each_postfix(|postfix, _, _| {
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        assert_eq!(smtp.auth_plain("alice@example.test", "wonder").code, 235);
        for (sender, code) in [
            ("alice@example.test", 250),
            ("Alice+offers@Example.test", 250),
            ("", 250),
            ("bob@example.test", 553),
            ("bob+x@example.test", 553),
            ("alice@elsewhere.test", 553),
        ] {
            let reply = smtp.send(sender, "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, code, "{sender}: {}", reply.text);
        }
    });
}

#[test]
fn an_outage_defers_mail_and_calls_nobody_unknown() {
    with_each_postfix(|postfix, people, _| {
        let mut author = postfix.connect(Smtpd::ChrootedUnix);
        assert_eq!(author.auth_plain("alice@example.test", "wonder").code, 235);
        people.hide();
        let mut smtp = postfix.connect(Smtpd::Unix);
        assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
        for address in ["bob@example.test", "bob+x@example.test", "nobody@example.test", "alice@example.test"]
        {
            assert_eq!(recipient(&mut smtp, address), 451, "{address}");
        }
        assert_eq!(author.send("alice@example.test", "friend@elsewhere.test", "hello").code, 451);
        // The domain is still ours.
        assert_eq!(postfix.query("domains", "example.test").0, 0);
        people.show();
        for address in ["bob@example.test", "alice+x@example.test"] {
            assert_eq!(recipient(&mut smtp, address), 250, "{address}");
        }
        let reply = author.send("alice@example.test", "bob+x@example.test", "hello");
        assert_eq!(reply.code, 250, "{}", reply.text);
    });
}

#[test]
fn mail_with_an_extension_arrives() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let listeners: Vec<_> =
            Listener::dovecot(&place).into_iter().chain(Postfix::listeners(&place)).collect();
        let _gatepost = Gatepost::start_over(&place, &listeners, &directory(&place));
        let dovecot = Dovecot::start(&place);
        let postfix = Postfix::start_with_maps(&place, Some(dovecot.lmtp_address()));
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        let reply = smtp.send("friend@elsewhere.test", "bob+lists@example.test", "to an extension");
        assert_eq!(reply.code, 250, "{}", reply.text);
        let new = place.outside("mail/bob/Maildir/new");
        wait_until("the mail is in the mailbox", || {
            fs::read_dir(&new).is_ok_and(|mut mails| {
                mails
                    .any(|mail| fs::read_to_string(mail.unwrap().path()).unwrap().contains("to an extension"))
            })
        });
    }
}

#[test]
fn postmap_and_the_command_say_the_same() {
    with_each_postfix(|postfix, people, gatepost| {
        let asked = |map: &str, key: &str| {
            let output = gatepost.command(&["map", "query", map, key]).output().unwrap();
            (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
        };
        for (map, key, value) in [
            ("domains", "example.test", Some("example.test")),
            ("domains", "Deep.Sub.Test", Some("deep.sub.test")),
            ("domains", "sub.test", None),
            ("domains", "elsewhere.test", None),
            ("domains", "bob@example.test", None),
            ("mailboxes", "bob@example.test", Some("bob@example.test")),
            ("mailboxes", "BOB+X@example.test", Some("bob@example.test")),
            ("mailboxes", "example.test", None),
            ("mailboxes", "@example.test", None),
            ("mailboxes", "bob+x", None),
            ("senders", "alice+a@example.test", Some("alice@example.test")),
            ("senders", "nobody@example.test", None),
            // What has to be coded over TCP.
            ("mailboxes", "bob+a b%20\u{e9}@example.test", Some("bob@example.test")),
            ("mailboxes", "a b@example.test", None),
            ("mailboxes", "100%@example.test", None),
            ("mailboxes", "%62ob@example.test", None),
        ] {
            let (code, said) = asked(map, key);
            let expected = value.map_or((1, String::new()), |value| (0, format!("{value}\n")));
            assert_eq!(postfix.query(map, key), expected, "{map} {key}");
            let text = value.map_or("not found\n".to_owned(), |value| format!("found: {value}\n"));
            assert_eq!((code, said), (expected.0, text), "{map} {key}");
        }
        if postfix.tables() == Tables::Socketmap {
            assert_eq!(postfix.query("nonsense", "bob@example.test").0, 1);
            assert!(
                gatepost.log().contains("a map is asked for that there is none of"),
                "{}",
                gatepost.log()
            );
        }
        people.hide();
        assert_eq!(asked("mailboxes", "bob@example.test").0, 75);
        assert_eq!(postfix.query("mailboxes", "bob@example.test"), (1, String::new()), "an error to postmap");
        people.show();
    });
}

#[test]
fn passwords_are_told_to_the_readers_of_their_map_and_to_nobody_else() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let file = place.outside("relays.db");
        let relays = rusqlite::Connection::open(&file).unwrap();
        relays
            .execute_batch(
                "CREATE TABLE relay (host TEXT, login TEXT);
                 INSERT INTO relay VALUES ('[relay.test]:587', 'smart:opensesame');",
            )
            .unwrap();
        let directory = format!(
            "[[directory]]
name = 'relays'
type = 'sqlite'
file = '{}'
user_query = 'SELECT host AS user FROM relay WHERE host = :user'
[directory.maps]
smtp_sasl_password_maps = \"SELECT login FROM relay WHERE host = '%s'\"
[maps.smtp_sasl_password_maps]
readers = ['{}']
[log]
filter = 'trace'
",
            file.display(),
            tree.uid("postfix")
        );
        let gatepost = Gatepost::start_over(&place, &Postfix::listeners(&place), &directory);
        let postfix = Postfix::start_with_maps(&place, None);
        let (map, key) = ("smtp_sasl_password_maps", "[relay.test]:587");
        let told = (0, "smart:opensesame\n".to_owned());
        assert_eq!(postfix.query_as("postfix", map, key), told);
        assert_eq!(postfix.query(map, key), told, "root");
        assert_eq!(postfix.query_as("nobody", map, key), (1, String::new()), "an error");
        // Others are for whoever may connect.
        assert_eq!(postfix.query_as("nobody", "mailboxes", "bob@example.test"), (1, String::new()));
        let refused = "a map is asked for by somebody who is none of its readers";
        wait_until("the log says who asked", || gatepost.log().contains(refused));
        let log = gatepost.log();
        assert!(!log.contains("opensesame"), "{log}");
    }
}
