//! App passwords of people whose main password a server checks: what a real slapd is asked, and what it is not.

use std::fmt::Write as _;

use crate::{
    Admin,
    support::{Dovecot, Gatepost, Listener, Place, Slapd, Tree, slapd},
};

const ALICE: &str = "alice@example.org";

fn staff(place: &Place, slapd: &Slapd<'_>) -> String {
    let (bind_dn, bind_password) = slapd::SERVICE;
    format!(
        "[[directory]]
name = 'staff'
type = 'ldap'
urls = ['ldaps://{}']
ca_file = {:?}
bind_dn = '{bind_dn}'
bind_password = '{bind_password}'
base_dn = 'ou=people,{}'
user_filter = '(&(objectClass=inetOrgPerson)(mail={{user}}))'
primary_password_services = ['imap']
[directory.fields]
home = '{}/{{local}}'
uid = '5000'
gid = '5000'
",
        slapd.ldaps(),
        place.outside("authority.pem"),
        slapd::SUFFIX,
        place.inside("mail"),
    )
}

/// What passwords cost at the server: binds of Alice.
struct Cost<'a> {
    slapd: &'a Slapd<'a>,
    dovecot: &'a Dovecot<'a>,
}

impl Cost<'_> {
    fn binds(&self, log_in: impl FnOnce()) -> usize {
        // slapd tells of a bind in one line, and of one that succeeded in a second one.
        let tried = || {
            self.slapd.asked("BIND dn=\"uid=alice,")
                - self.slapd.asked("BIND dn=\"uid=alice,ou=people,dc=example,dc=org\" mech=SIMPLE")
        };
        let before = tried();
        log_in();
        tried() - before
    }

    /// How often the server is asked, and whether it is let in, over IMAP.
    fn imap(&self, password: &str) -> (usize, bool) {
        let mut let_in = false;
        let binds = self.binds(|| {
            let answer = self.dovecot.imap().login(ALICE, password);
            assert!(!answer.contains("UNAVAILABLE"), "{answer}");
            let_in = answer.starts_with("OK");
        });
        (binds, let_in)
    }

    /// The same over POP3.
    fn pop3(&self, password: &str, answer: &str) -> usize {
        self.binds(|| {
            let mut pop3 = self.dovecot.pop3();
            pop3.ask(&format!("USER {ALICE}"), "+OK");
            pop3.ask(&format!("PASS {password}"), answer);
        })
    }
}

#[test]
fn a_server_that_checks_passwords_never_sees_an_app_password() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let directories = staff(&place, &slapd);
    let gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories);
    let dovecot = Dovecot::start(&place);
    let admin = Admin::of(&place);
    let make = |args: &[&str]| admin.create_for(ALICE, args).1;
    let (phone, mailer) = (make(&["phone"]), make(&["mailer", "--service", "smtp"]));
    let revoked = admin.create_for(ALICE, &["old"]);
    assert_eq!(admin.json(&["revoke", &revoked.0]).0, 0);
    let (most, last) = phone.split_at(phone.len() - 1);
    let mistyped = format!("{most}{}", if last == "0" { "1" } else { "0" });
    {
        let cost = Cost { slapd: &slapd, dovecot: &dovecot };
        assert_eq!(cost.imap("alice-secret"), (1, true));
        assert_eq!(cost.imap("wrong"), (1, false));
        assert_eq!(cost.imap(&phone), (0, true));
        for wrong in [&*mailer, &revoked.1, &mistyped, most, "gpap-0000-0000-0000-0000-0000-0000-0000"] {
            assert_eq!(cost.imap(wrong), (0, false), "{wrong}");
        }
        // An old phone with the main password, where that may not be used.
        assert_eq!(cost.pop3("alice-secret", "-ERR [AUTH]"), 0);
        assert_eq!(cost.pop3("wrong", "-ERR [AUTH]"), 0);
        assert_eq!(cost.pop3(&phone, "+OK"), 0);
    }
    // Who is gone from there is gone.
    slapd.modify(&format!("dn: uid=alice,ou=people,{}\nchangetype: delete\n", slapd::SUFFIX), false);
    gatepost.forget();
    assert!(dovecot.imap().login(ALICE, &phone).starts_with("NO [AUTHENTICATIONFAILED]"));
    slapd.stop();
    gatepost.forget();
    assert!(dovecot.imap().login(ALICE, &phone).starts_with("NO [UNAVAILABLE]"));
}

/// People in a table, whose main password is left to the server, as in a mailcow with an identity provider.
#[test]
fn app_passwords_of_a_table_are_tried_before_the_server_that_the_password_is_left_to() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let file = place.outside("mailcow.db");
    let tables = "CREATE TABLE mailbox (username TEXT PRIMARY KEY, source TEXT);
        CREATE TABLE app_passwd (id INTEGER PRIMARY KEY, mailbox TEXT, password TEXT, imap_access INT);
        INSERT INTO mailbox VALUES ('alice@example.org', 'staff');
        INSERT INTO app_passwd VALUES (1, 'alice@example.org', '{PLAIN}for-imap', 1);
        INSERT INTO app_passwd VALUES (2, 'alice@example.org', '{PLAIN}for-others', 0);";
    rusqlite::Connection::open(&file).unwrap().execute_batch(tables).unwrap();
    let mut directories = format!(
        "[[directory]]
name = 'mailcow'
type = 'sqlite'
file = {file:?}
user_query = 'SELECT username AS user, source AS password_from FROM mailbox WHERE username = :user'
app_password_query = 'SELECT id, mailbox AS user, password, imap_access AS imap FROM app_passwd WHERE mailbox = :user'
[directory.fields]
home = '{}/{{local}}'
uid = '5000'
gid = '5000'
",
        place.inside("mail"),
    );
    write!(directories, "{}", staff(&place, &slapd)).unwrap();
    let mut gatepost = Gatepost::start_over(&place, &Listener::dovecot(&place), &directories);
    let dovecot = Dovecot::start(&place);
    {
        let cost = Cost { slapd: &slapd, dovecot: &dovecot };
        assert_eq!(cost.imap("for-imap"), (0, true));
        assert_eq!(cost.imap("for-others"), (0, false), "it is an app password, so it is not forwarded");
        assert_eq!(cost.imap("alice-secret"), (1, true));
        assert_eq!(cost.imap("wrong"), (1, false));
        // The server's own table says that the main password is for IMAP alone.
        assert_eq!(cost.pop3("alice-secret", "-ERR [AUTH]"), 0);
        assert_eq!(cost.pop3("for-others", "+OK"), 0);
    }
    slapd.modify(&format!("dn: uid=alice,ou=people,{}\nchangetype: delete\n", slapd::SUFFIX), false);
    gatepost.forget();
    assert!(
        dovecot.imap().login(ALICE, "for-imap").starts_with("NO"),
        "the row is still there, and she is not"
    );
    slapd.stop();
    gatepost.forget();
    assert!(dovecot.imap().login(ALICE, "for-imap").starts_with("NO [UNAVAILABLE]"));
    gatepost.stop();
    assert!(gatepost.log().contains("the main password may not be used for pop3: use an app password"));
}
