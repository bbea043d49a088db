//! The embedded store behind Postfix: what is changed by commands counts at once, and by others a moment later.

use crate::support::{Gatepost, Place, Postfix, Smtp, Smtpd, Tree, wait_until};

fn recipient(smtp: &mut Smtp, address: &str) -> u16 {
    smtp.command(&format!("RCPT TO:<{address}>")).code
}

#[test]
fn users_and_aliases_of_the_embedded_store_get_mail_as_soon_as_they_are_there() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let file = place.outside("users.db");
        let directory =
            format!("[[directory]]\nname = 'local'\ntype = 'sqlite'\nfile = '{}'\n", file.display());
        let gatepost = Gatepost::start_over(&place, &Postfix::listeners(&place), &directory);
        let postfix = Postfix::start_with_maps(&place, None);
        let run = |arguments: &[&str]| {
            let output = gatepost.command(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        };
        run(&["user", "add", "--no-password", "anna@example.test"]);
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
        for (address, code) in
            [("anna@example.test", 250), ("sales@example.test", 550), ("anna@other.test", 454)]
        {
            assert_eq!(recipient(&mut smtp, address), code, "{address}\n{}", postfix.log());
        }
        run(&["alias", "add", "sales@example.test", "anna@example.test", "friend@elsewhere.test"]);
        run(&["alias", "add", "@other.test", "@example.test"]);
        // An smtpd remembers of an address what kind of domain it is in.
        let mut smtp = postfix.connect(Smtpd::Unix);
        assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
        for (address, code) in [
            ("sales@example.test", 250),
            ("sales+x@other.test", 250),
            ("anna@other.test", 250),
            ("nobody@other.test", 550),
        ] {
            assert_eq!(recipient(&mut smtp, address), code, "{address}\n{}", postfix.log());
        }
        assert_eq!(
            postfix.query("aliases", "sales@example.test"),
            (0, "anna@example.test,friend@elsewhere.test\n".to_owned())
        );
        run(&["alias", "delete", "sales@example.test"]);
        assert_eq!(recipient(&mut smtp, "sales@example.test"), 550);
        // Somebody else's program.
        let database = rusqlite::Connection::open(&file).unwrap();
        database
            .execute(
                "INSERT INTO aliases (address, target) VALUES ('info@example.test', 'anna@example.test')",
                [],
            )
            .unwrap();
        wait_until("the alias counts", || recipient(&mut smtp, "info@example.test") == 250);
    }
}
