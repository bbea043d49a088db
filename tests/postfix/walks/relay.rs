//! Mail that leaves by the server of its sender, with a password that gatepost tells Postfix's SMTP client.

use super::{RELAY, Side, TABLES, directory, put, rows::FAR, sent, start, story};
use crate::support::{Gatepost, MariaDb, Place, Postfix, Reply, Smtp, Smtpd, Tree, wait_until};

const RELAYS: &str = "sender_dependent_relayhost_maps";
const PASSWORDS: &str = "smtp_sasl_password_maps";

/// By what it is queued.
fn queued(reply: &str) -> &str {
    let queued = reply.split_once("queued as ").and_then(|(_, rest)| rest.lines().next());
    queued.unwrap_or_else(|| panic!("it is not queued: {reply}"))
}

/// How many times the log says so of a mail.
fn times(postfix: &Postfix<'_>, queued: &str, says: &str) -> usize {
    story(&postfix.log(), queued).0.matches(says).count()
}

/// Has what was put off tried again until the log says so of a mail, as many times. The queue manager puts a mail aside after
/// that has been written of it, and what is not yet there it does not try.
fn flush_until(postfix: &Postfix<'_>, queued: &str, wanted: usize, says: &str) {
    wait_until(&format!("{wanted} times {says:?} is said of {queued}"), || {
        postfix.flush();
        times(postfix, queued, says) >= wanted
    });
}

/// Begins a mail, up to its text.
fn begun(smtp: &mut Smtp, from: &str) -> Reply {
    for command in [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{FAR}>")] {
        let reply = smtp.command(&command);
        if reply.code >= 400 {
            return reply;
        }
    }
    smtp.command("DATA")
}

#[test]
fn a_relay_takes_mail_by_its_password_and_while_none_can_be_had_mail_waits() {
    for tree in Tree::all() {
        let (place, cellar) = (Place::new(&tree), Place::new(&Tree::bookworm()));
        let mut server = MariaDb::start(&cellar);
        let entries = [
            put(RELAYS, "@relayed.test", &format!("[{}]:{RELAY}", place.address())),
            put(PASSWORDS, "shop@relayed.test", "alice@example.test:wonder"),
            put(PASSWORDS, "late@relayed.test", "alice@example.test:wonder"),
            put(PASSWORDS, "wrong@relayed.test", "alice@example.test:looking-glass"),
        ];
        server.sql("mail", &format!("{TABLES}{}", entries.concat()));
        let directory = directory(&place, &server, [RELAYS, PASSWORDS]);
        let gatepost = Gatepost::start_over(&place, &Postfix::listeners(&place), &directory);
        let tables = [RELAYS, PASSWORDS].map(|map| Side::Gatepost.line(&place, map)).concat();
        let postfix = start(&place, &format!("{tables}default_transport = smtp\n"));
        let logged_in = || {
            let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
            let reply = smtp.auth_plain("blocked@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}", reply.text);
            smtp
        };

        let told = sent(&postfix, logged_in(), "shop@relayed.test", FAR);
        let login = "sasl_method=PLAIN, sasl_username=alice@example.test";
        assert!(told.contains(login) && told.contains("status=sent (arrived)"), "{told}");

        // A password that is wrong is the relay's to call so, and the administrator's to put right.
        let told = sent(&postfix, logged_in(), "wrong@relayed.test", FAR);
        assert!(told.contains("status=deferred (SASL authentication failed; server "), "{told}");
        server
            .sql("mail", "UPDATE entries SET value = 'alice@example.test:wonder' WHERE name LIKE 'wrong@%'");
        gatepost.forget();
        flush_until(&postfix, queued(&told), 1, "status=sent (arrived)");

        // Whose relay is known, and whose password cannot be asked for: they do not come as strangers, whom it would refuse.
        let (mut smtp, mut other) = (logged_in(), logged_in());
        assert_eq!(begun(&mut smtp, "late@relayed.test").code, 354);
        server.stop();
        let reply = smtp.command("Subject: test\r\n\r\nhello\r\n.");
        let late = queued(&reply.text);
        let unknown = "status=deferred (local data error while talking to ";
        wait_until("the mail is put off", || times(&postfix, late, unknown) == 1);
        wait_until("the log says what was not looked up", || gatepost.log().contains("key not looked up"));

        // Nor is anything known of their relay.
        gatepost.forget();
        let reply = begun(&mut other, "shop@relayed.test");
        assert_eq!(reply.code, 451, "{}", reply.text);
        flush_until(&postfix, late, 2, "status=deferred");

        server.start_again();
        wait_until("the table is there again", || postfix.query(RELAYS, "late@relayed.test").0 == 0);
        flush_until(&postfix, late, 1, "status=sent (arrived)");
        assert!(!postfix.log().contains("status=bounced"), "{}", postfix.log());
        for log in [postfix.log(), gatepost.log()] {
            assert!(!log.contains("wonder") && !log.contains("looking-glass"), "{log}");
        }
    }
}
