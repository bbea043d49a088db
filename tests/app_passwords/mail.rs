//! Mail programs.

use serde_json::json;

use crate::{
    ALICE, Admin,
    support::{Dovecot, Gatepost, Listener, People, Place, Postfix, Smtpd, Tree, wait_until},
};

#[test]
fn an_app_password_opens_imap_and_only_what_and_while_it_may() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let mut gatepost = Gatepost::start(&place, &Listener::dovecot(&place));
        let dovecot = Dovecot::start(&place);
        let admin = Admin::of(&place);
        let login = |password: &str| dovecot.imap().login(ALICE, &format!("\"{password}\""));
        let wrong = login("wrong");
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");

        // Nobody has made one yet.
        let never = "gpap-0000-0000-0000-0000-0000-0000-0000";
        assert!(login(never).starts_with("NO [UNAVAILABLE]"), "whether there are any, nobody can say");
        let (id, phone) = admin.create(&["Old phone"]);
        assert_eq!(login(never), wrong);

        let mut imap = dovecot.imap();
        let answer = imap.login(ALICE, &phone);
        assert!(answer.starts_with("OK"), "{answer}");
        assert!(imap.command("SELECT INBOX").starts_with("OK [READ-WRITE]"));
        assert!(login(&phone.to_uppercase().replace('-', " ")).starts_with("OK"));
        assert!(login("wonder").starts_with("OK"), "the main password goes on");
        let mut pop3 = dovecot.pop3();
        pop3.ask(&format!("USER {ALICE}"), "+OK");
        pop3.ask(&format!("PASS {phone}"), "+OK");

        // Whatever is wrong with it, it reads like a wrong password.
        let other = admin.create(&["Mailer", "--service", "smtp"]).1;
        let far = admin.create(&["Office", "--net", "192.0.2.0/24", "--net", "2001:db8::/32"]).1;
        let (most, last) = phone.split_at(phone.len() - 1);
        let mistyped = format!("{most}{}", if last == "0" { "1" } else { "0" });
        for refused in [&*other, &far, &mistyped, most] {
            assert_eq!(login(refused), wrong, "{refused}");
        }
        let bob = dovecot.imap().login("bob@example.test", &phone);
        assert_eq!(bob, wrong, "it is for its owner alone");
        let near = admin.create(&["Desk", "--service", "IMAP", "--net", "127.0.0.0/8"]).1;
        assert!(login(&near).starts_with("OK"));
        let (short, soon) = admin.create(&["Guest", "--expires", "2s"]);
        wait_until("an app password is over", || login(&soon) == wrong);
        assert_eq!(admin.of_alice(&short)["expired"], json!(true));

        // When and where it was used last, is known a little later, and at the latest when the daemon ends.
        wait_until("the use is written", || admin.of_alice(&id)["last_used"]["service"] == "pop3");
        assert!(login(&phone).starts_with("OK"));
        gatepost.stop();
        let used = &admin.of_alice(&id)["last_used"];
        assert_eq!((&used["service"], &used["remote"]), (&json!("imap"), &json!("127.0.0.1")));
        gatepost.start_again();

        // Account data is needed as well: without it nobody can say that the account is not switched off.
        people.hide();
        assert!(login(&phone).starts_with("NO [UNAVAILABLE]"));
        assert_eq!(login(&mistyped), login("wrong"), "an outage, for these too");
        people.show();

        assert!(login(&phone).starts_with("OK"));
        let (code, said) = admin.json(&["revoke", &id]);
        let revoked = json!({"outcome": "revoked", "id": id, "user": ALICE, "label": "Old phone"});
        assert_eq!((code, said), (0, revoked));
        assert_eq!(login(&phone), wrong, "at once");

        gatepost.stop();
        let log = gatepost.log();
        let let_in = log.lines().filter(|line| line.contains("outcome=verified"));
        let by_phone = let_in
            .filter(|line| line.contains(&format!("app_password=\"{id}\"")) && line.contains("Old phone"));
        assert!(by_phone.count() >= 5, "{log}");
        for (label, why) in [
            ("Mailer", "the app password is not for this service"),
            ("Office", "the app password is not for the remote address"),
            ("Guest", "the app password has expired"),
        ] {
            let label = format!("label=\"{label}\"");
            assert!(log.lines().any(|line| line.contains(why) && line.contains(&label)), "{why}\n{log}");
        }
        for why in [
            "a mistyped app password",
            "an app password that does not exist",
            "the app password of another user",
        ] {
            assert!(log.contains(&format!("{why}; no directory was asked about it")), "{why}\n{log}");
        }
        for secret in [&phone, &other, &far, &near, &soon] {
            for spelling in [secret.clone(), secret.replace('-', ""), secret.to_uppercase()] {
                assert!(!log.contains(spelling.split_at(5).1), "{log}");
            }
        }
    }
}

#[test]
fn an_app_password_for_smtp_sends_mail_and_one_for_imap_does_not() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        People::settle(&place);
        let _gatepost = Gatepost::start(&place, &Postfix::listeners(&place));
        let postfix = Postfix::start(&place, None);
        let admin = Admin::of(&place);
        let (_, for_imap) = admin.create(&["Reader", "--service", "imap"]);
        let (id, for_smtp) = admin.create(&["Sender", "--service", "submission"]);
        for smtpd in [Smtpd::ChrootedUnix, Smtpd::Inet] {
            let mut smtp = postfix.connect(smtpd);
            let refused = smtp.auth_plain(ALICE, &for_imap);
            assert_eq!(refused.code, 535, "{}", refused.text);
            assert_eq!(refused.text, smtp.auth_plain(ALICE, "wrong").text);
            let reply = smtp.auth_login(ALICE, &for_smtp);
            assert_eq!(reply.code, 235, "{}", reply.text);
            let reply = smtp.send(ALICE, "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, 250, "{}", reply.text);
        }
        wait_until("the use is written", || admin.of_alice(&id)["last_used"]["service"] == "smtp");
    }
}
