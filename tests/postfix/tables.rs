//! Aliases, other names of domains and what is for everybody of one, from tables of MariaDB and entries of slapd, all the way
//! into the mailboxes.

use std::fs;

use crate::support::{
    Dovecot, Gatepost, Listener, MariaDb, Place, Postfix, Slapd, Smtp, Smtpd, Tree, wait_until,
};

/// Who there is, and where mail goes on to. Alice and Bob have mailboxes here, Dora in the other domain.
const TABLES: &str = "
CREATE TABLE mailbox (username VARCHAR(255) PRIMARY KEY, password VARCHAR(255) NOT NULL);
CREATE TABLE alias (address VARCHAR(255) PRIMARY KEY, goto TEXT NOT NULL);
CREATE TABLE alias_domain (alias_domain VARCHAR(255) PRIMARY KEY, target_domain VARCHAR(255) NOT NULL);
CREATE TABLE domain (domain VARCHAR(255) PRIMARY KEY);
CREATE TABLE sender_acl (send_as VARCHAR(255), login VARCHAR(255));
INSERT INTO mailbox VALUES ('alice@example.test', '{PLAIN}wonder'), ('bob@example.test', '{PLAIN}builder'), ('dora@second.test', '{PLAIN}dora');
INSERT INTO alias VALUES
    ('sales@example.test', 'alice@example.test, bob@example.test'),
    ('shop@example.test', 'sales@example.test'),
    ('bob+bills@example.test', 'dora@second.test'),
    ('@second.test', 'dora@second.test');
INSERT INTO alias_domain VALUES ('other.test', 'example.test');
INSERT INTO domain VALUES ('example.test'), ('second.test');
INSERT INTO sender_acl VALUES ('@second.test', 'bob@example.test');
";

/// The same people and aliases as entries.
const ENTRIES: &str = "
dn: ou=mail,dc=example,dc=org
objectClass: organizationalUnit
ou: mail

dn: uid=alice@example.test,ou=mail,dc=example,dc=org
objectClass: inetOrgPerson
uid: alice@example.test
cn: Alice
sn: Alice
mail: alice@example.test
userPassword: wonder

dn: uid=bob@example.test,ou=mail,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob@example.test
cn: Bob
sn: Bob
mail: bob@example.test
userPassword: builder

dn: uid=dora@second.test,ou=mail,dc=example,dc=org
objectClass: inetOrgPerson
uid: dora@second.test
cn: Dora
sn: Dora
mail: dora@second.test
userPassword: dora

dn: cn=sales@example.test,ou=mail,dc=example,dc=org
objectClass: groupOfNames
cn: sales@example.test
member: uid=alice@example.test,ou=mail,dc=example,dc=org
member: uid=bob@example.test,ou=mail,dc=example,dc=org

dn: cn=shop@example.test,ou=mail,dc=example,dc=org
objectClass: groupOfNames
cn: shop@example.test
member: cn=sales@example.test,ou=mail,dc=example,dc=org

dn: cn=bob\\2Bbills@example.test,ou=mail,dc=example,dc=org
objectClass: groupOfNames
cn: bob+bills@example.test
member: uid=dora@second.test,ou=mail,dc=example,dc=org

dn: cn=@second.test,ou=mail,dc=example,dc=org
objectClass: groupOfNames
cn: @second.test
member: uid=dora@second.test,ou=mail,dc=example,dc=org

dn: ou=other.test,ou=mail,dc=example,dc=org
objectClass: organizationalUnit
ou: other.test
description: example.test
";

fn sql_directory(place: &Place, server: &MariaDb<'_>) -> String {
    let (socket, mail) = (server.socket(), place.inside("mail"));
    format!(
        "[[directory]]
name = 'mail'
type = 'mysql'
url = 'mysql://gatepost@/mail?socket={}'
password = 'service'
user_query = 'SELECT username AS user, password FROM mailbox WHERE username = :user'
[directory.fields]
uid = '5000'
gid = '5000'
home = '{mail}/{{local}}'
[directory.maps]
domains = 'SELECT domain FROM domain WHERE domain = :key'
aliases = \"SELECT goto FROM alias WHERE address='%s'\"
alias_domains = \"SELECT target_domain FROM alias_domain WHERE alias_domain = '%s'\"
senders = \"SELECT login FROM sender_acl WHERE send_as = '%s'\"
",
        socket.display()
    )
}

fn ldap_directory(place: &Place, slapd: &Slapd<'_>) -> String {
    let (url, mail) = (slapd.ldapi(), place.inside("mail"));
    format!(
        "[[directory]]
name = 'staff'
type = 'ldap'
urls = ['{url}']
bind_dn = 'cn=gatepost,dc=example,dc=org'
bind_password = 'service-secret'
base_dn = 'ou=mail,dc=example,dc=org'
user_filter = '(&(objectClass=inetOrgPerson)(uid={{user}}))'
domains = ['example.test', 'second.test']
[directory.fields]
user = '{{uid}}'
uid = '5000'
gid = '5000'
home = '{mail}/{{local}}'
[directory.maps.aliases]
query_filter = '(&(objectClass=groupOfNames)(cn=%s))'
result_attribute = []
leaf_result_attribute = ['mail']
special_result_attribute = ['member']
[directory.maps.alias_domains]
query_filter = '(&(objectClass=organizationalUnit)(ou=%s))'
result_attribute = 'description'
"
    )
}

/// Whose mailbox has a mail with this text in it.
fn has(place: &Place, name: &str, text: &str) -> bool {
    let new = place.outside(&format!("mail/{name}/Maildir/new"));
    fs::read_dir(new).is_ok_and(|mut mails| {
        mails.any(|mail| fs::read_to_string(mail.unwrap().path()).is_ok_and(|mail| mail.contains(text)))
    })
}

fn recipient(smtp: &mut Smtp, address: &str) -> u16 {
    smtp.command(&format!("RCPT TO:<{address}>")).code
}

/// Mail to each of these arrives with those who are named.
const DELIVERED: [(&str, &[&str]); 10] = [
    ("alice@example.test", &["alice"]),
    ("Alice+x@Example.test", &["alice"]),
    ("sales@example.test", &["alice", "bob"]),
    ("sales+x@example.test", &["alice", "bob"]),
    ("shop@example.test", &["alice", "bob"]),
    ("bob+bills@example.test", &["dora"]),
    ("bob+other@example.test", &["bob"]),
    ("shop@other.test", &["alice", "bob"]),
    ("alice+y@other.test", &["alice"]),
    ("nobody@second.test", &["dora"]),
];

fn mail_goes_where_it_should(place: &Place, postfix: &Postfix<'_>) {
    for (number, (address, names)) in DELIVERED.iter().enumerate() {
        let text = format!("mail number {number}.");
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        let reply = smtp.send("friend@elsewhere.test", address, &text);
        assert_eq!(reply.code, 250, "{address}: {}\n{}", reply.text, postfix.log());
        wait_until("the mail is in the mailboxes", || names.iter().all(|name| has(place, name, &text)));
        for name in ["alice", "bob", "dora"] {
            assert_eq!(has(place, name, &text), names.contains(&name), "{address} and {name}");
        }
    }
    let mut smtp = postfix.connect(Smtpd::Unix);
    assert_eq!(smtp.command("MAIL FROM:<>").code, 250);
    for (address, code) in [
        ("nobody@example.test", 550),
        ("nobody+x@example.test", 550),
        ("nobody@other.test", 550),
        ("alice@elsewhere.test", 454),
    ] {
        assert_eq!(recipient(&mut smtp, address), code, "{address}\n{}", postfix.log());
    }
}

fn senders_are_those_whose_address_it_is(postfix: &Postfix<'_>, more: &[(&str, u16)]) {
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    assert_eq!(smtp.auth_plain("bob@example.test", "builder").code, 235);
    let all = [
        ("bob@example.test", 250),
        ("Bob+x@example.test", 250),
        ("sales@example.test", 250),
        ("shop+x@example.test", 250),
        ("shop@other.test", 250),
        ("bob@other.test", 250),
        ("", 250),
        ("alice@example.test", 553),
        ("alice@other.test", 553),
        ("bob@elsewhere.test", 553),
    ];
    for (sender, code) in all.iter().chain(more) {
        let reply = smtp.send(sender, "friend@elsewhere.test", "hello");
        assert_eq!(reply.code, *code, "{sender}: {}", reply.text);
    }
}

/// What Alice may send.
const LIMIT: &str = "
[[policy.rule]]
name = 'a-few'
sasl_username = ['alice@example.test']
limit = { per = 'user', window = '1h', messages = 3 }
";

fn as_many_may_be_sent_as_are_allowed(postfix: &Postfix<'_>) {
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    assert_eq!(smtp.auth_plain("alice@example.test", "wonder").code, 235);
    for number in 0..5 {
        let reply = smtp.send("sales@example.test", "friend@elsewhere.test", "hello");
        let expected = if number < 3 { 250 } else { 450 };
        assert_eq!(reply.code, expected, "mail {number}: {}", reply.text);
        smtp.command("RSET");
    }
}

/// Nobody is refused who could be there, and what is known goes on.
fn an_outage_is_put_off(gatepost: &Gatepost<'_>, postfix: &Postfix<'_>) {
    let mut smtp = postfix.connect(Smtpd::Unix);
    assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
    for (address, code) in [
        ("alice@example.test", 250),
        ("shop@example.test", 250),
        ("never-asked@example.test", 451),
        ("never-asked@other.test", 451),
    ] {
        assert_eq!(recipient(&mut smtp, address), code, "{address}\n{}", postfix.log());
    }
    gatepost.forget();
    for (address, _) in DELIVERED {
        assert_eq!(recipient(&mut smtp, address), 451, "{address}\n{}", postfix.log());
    }
}

#[test]
fn mail_finds_its_way_by_tables_of_mariadb() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let cellar = Place::new(&Tree::bookworm());
        let mut server = MariaDb::start(&cellar);
        server.sql("mail", TABLES);
        let listeners =
            [Listener::dovecot(&place), Postfix::listeners(&place), vec![Postfix::policy(&place)]];
        let directory = sql_directory(&place, &server) + LIMIT;
        let gatepost = Gatepost::start_over(&place, &listeners.concat(), &directory);
        let dovecot = Dovecot::start(&place);
        let postfix = Postfix::start_whole(&place, Some(dovecot.lmtp_address()));
        mail_goes_where_it_should(&place, &postfix);
        senders_are_those_whose_address_it_is(
            &postfix,
            &[("dora@second.test", 250), ("any@second.test", 250)],
        );
        as_many_may_be_sent_as_are_allowed(&postfix);
        server.stop();
        an_outage_is_put_off(&gatepost, &postfix);
        wait_until("the log says what was not looked up", || gatepost.log().contains("key not looked up"));
        server.start_again();
        let mut smtp = postfix.connect(Smtpd::Unix);
        assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
        wait_until("mail is taken in again", || recipient(&mut smtp, "shop@example.test") == 250);
        assert_eq!(recipient(&mut smtp, "never-asked@example.test"), 550);
    }
}

#[test]
fn mail_finds_its_way_by_entries_of_slapd() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let cellar = Place::new(&Tree::bookworm());
        let mut slapd = Slapd::start(&cellar);
        slapd.add(ENTRIES);
        let listeners = [Listener::dovecot(&place), Postfix::listeners(&place)].concat();
        let gatepost = Gatepost::start_over(&place, &listeners, &ldap_directory(&place, &slapd));
        let dovecot = Dovecot::start(&place);
        let postfix = Postfix::start_with_maps(&place, Some(dovecot.lmtp_address()));
        mail_goes_where_it_should(&place, &postfix);
        senders_are_those_whose_address_it_is(&postfix, &[("dora@second.test", 553)]);
        slapd.stop();
        an_outage_is_put_off(&gatepost, &postfix);
    }
}

/// Mail of Bob's to three addresses, which lead to Alice and Bob. He logs in for it.
fn to_three(place: &Place, postfix: &Postfix<'_>, text: &str) {
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    assert_eq!(smtp.auth_plain("bob@example.test", "builder").code, 235);
    assert_eq!(smtp.command("MAIL FROM:<sales@example.test>").code, 250);
    for address in ["alice+x@example.test", "shop@other.test", "bob@example.test"] {
        assert_eq!(recipient(&mut smtp, address), 250, "{address}\n{}", postfix.log());
    }
    assert_eq!(smtp.command("DATA").code, 354);
    assert_eq!(smtp.command(&format!("Subject: test\r\n\r\n{text}\r\n.")).code, 250);
    wait_until("the mail is in the mailboxes", || ["alice", "bob"].iter().all(|name| has(place, name, text)));
}

#[test]
fn a_second_mail_to_the_same_three_costs_the_database_nothing() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let cellar = Place::new(&Tree::bookworm());
        let server = MariaDb::start(&cellar);
        server.sql("mail", TABLES);
        let listeners = [Listener::dovecot(&place), Postfix::listeners(&place)].concat();
        let _gatepost = Gatepost::start_over(&place, &listeners, &sql_directory(&place, &server));
        let dovecot = Dovecot::start(&place);
        let postfix = Postfix::start_with_maps(&place, Some(dovecot.lmtp_address()));
        let questions = || server.status("Questions");
        let before = questions();
        // To ask is a question as well.
        let own = questions() - before;
        to_three(&place, &postfix, "the first one");
        wait_until("nothing is under way", || postfix.log().matches(": removed").count() == 1);
        let first = questions();
        assert!(first > before + 2 * own, "the first one was asked about");
        to_three(&place, &postfix, "the second one");
        wait_until("nothing is under way", || postfix.log().matches(": removed").count() == 2);
        assert_eq!(questions() - first, own, "the second one was asked about");
    }
}
