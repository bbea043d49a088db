//! mailcow's Postfix with the shipped lines, over mailcow's own tables: the versions that mailcow has had, and has.

mod maps;

use std::fs;

use self::maps::MAPS;
use crate::support::{
    Dovecot, Gatepost, Listener, MariaDb, Place, Postfix, Smtp, Smtpd, Tree, example, wait_until,
};

/// Where maps are told over TCP.
const INET: u16 = 10902;

/// What mailcow has besides in its main.cf and master.cf, with nothing that leaves this machine: each way to send mail says in
/// the log where it would have sent it.
const MAIN: &str = "
mydestination = localhost
default_transport = smtp
smtpd_sender_restrictions = reject_authenticated_sender_login_mismatch
recipient_delimiter = +
";
const MASTER: &str = "
smtp unix - - n - - discard -o syslog_name=by-smtp
relay unix - - n - - discard -o syslog_name=by-relay
local unix - n n - - discard -o syslog_name=by-local
smtp_enforced_tls unix - - n - - discard -o syslog_name=by-enforced-tls
smtp_via_transport_maps unix - - n - - discard -o syslog_name=by-transport
";

/// mailcow's tables in a server, with everything that Postfix asks for.
fn tables(cellar: &Place) -> MariaDb<'_> {
    let server = MariaDb::start(cellar);
    server.sql("mail", include_str!("../sql/schemas/mailcow.sql"));
    server.sql("mail", include_str!("../sql/schemas/mailcow-postfix.sql"));
    server
}

/// The sockets of the shipped lines: whoever gets there may connect.
fn listeners(place: &Place) -> Vec<Listener> {
    let socket = |name: &str| place.outside("postfix/spool/gatepost").join(name);
    let postfix = [
        Listener::unix("dovecot-client", socket("auth"), 0o666, 0),
        Listener::unix("postfix-socketmap", socket("map"), 0o666, 0),
        Listener::inet("dovecot-client", place.port(10901)),
    ];
    Listener::dovecot(place).into_iter().chain(postfix).collect()
}

/// The example, and a listener over TCP.
fn configuration(place: &Place, server: &MariaDb<'_>, lmtp: Option<&str>) -> String {
    let mut text = example("mailcow", place, server);
    if let Some(lmtp) = lmtp {
        assert!(text.contains("'lmtp:inet:dovecot:24'"));
        text = text.replace("inet:dovecot:24", &format!("inet:{lmtp}"));
    }
    let address = place.port(INET);
    text + &format!(
        "\n[[listener]]\nprotocol = \"postfix-socketmap\"\naddress = \"{address}\"\nallow_from = [\"127.0.0.0/8\"]\n"
    )
}

/// Postfix with the shipped lines. Its own files are regular expressions here too, of the other library.
fn start<'a>(place: &'a Place, dovecot: Option<&Dovecot<'_>>) -> Postfix<'a> {
    for (file, text) in [("custom_transport.pcre", ""), ("local_transport", "/localhost$/ local:\n")] {
        place.write(&format!("postfix/etc/{file}"), text);
    }
    let lines = Place::snippet("mailcow-postfix.cf");
    assert!(lines.contains("pcre:/opt/postfix/conf/local_transport"));
    let lines = lines.replace("pcre:/opt/postfix/conf/", &format!("regexp:{}/", place.inside("postfix/etc")));
    Postfix::start_told(place, dovecot.map(Dovecot::lmtp_address), &format!("{MAIN}{lines}"), MASTER)
}

/// What postmap gives for it.
fn told(value: Option<&str>) -> (i32, String) {
    value.map_or((1, String::new()), |value| (0, format!("{value}\n")))
}

#[test]
fn each_map_says_what_mailcow_would_say_itself() {
    let (place, cellar) = (Place::new(&Tree::trixie()), Place::new(&Tree::bookworm()));
    let server = tables(&cellar);
    let gatepost = Gatepost::start_over(&place, &listeners(&place), &configuration(&place, &server, None));
    let postfix = start(&place, None);
    let plaintext = [
        ("secure+x@example.test", Some("reject_plaintext_session")),
        ("secure@alias.test", Some("reject_plaintext_session")),
        ("alice@example.test", None),
        ("example.test", None),
    ];
    for (map, keys) in MAPS.iter().copied().chain([("check_recipient_access", plaintext.as_slice())]) {
        for (key, value) in keys {
            assert_eq!(postfix.query(map, key), told(*value), "{map} {key}\n{}", gatepost.log());
        }
    }
    // Every map that Postfix is told of is there, and every one that is there it is told of.
    let lines = Place::snippet("mailcow-postfix.cf");
    for (map, _) in MAPS {
        let name = format!("unix:gatepost/map:{map}");
        assert!(lines.contains(&name), "{name}");
    }
    for name in lines.split("unix:gatepost/map:").skip(1) {
        let map = name.split(|sign: char| !sign.is_ascii_lowercase() && sign != '_').next().unwrap();
        assert!(map == "check_recipient_access" || MAPS.iter().any(|(known, _)| *known == map), "{map}");
    }
}

#[test]
fn passwords_are_for_postfix_alone_and_for_nobody_over_tcp() {
    let (place, cellar) = (Place::new(&Tree::trixie()), Place::new(&Tree::bookworm()));
    let server = tables(&cellar);
    let _gatepost = Gatepost::start_over(&place, &listeners(&place), &configuration(&place, &server, None));
    let postfix = start(&place, None);
    let inet = place.port(INET).into();
    for (map, key, secret) in [
        ("smtp_sasl_password_maps", "dora@second.test", "relay:relay-secret"),
        ("smtp_via_transport_passwords", "[gateway.test]:587", "gateway:gateway-secret"),
    ] {
        assert_eq!(postfix.query_as("postfix", map, key), told(Some(secret)), "{map}");
        assert_eq!(postfix.query_as("nobody", map, key), told(None), "{map}");
        assert_eq!(postfix.query_at(inet, map, key), told(None), "{map}");
    }
    let press = ("aliases", "press@example.test", told(Some("sales@example.test")));
    assert_eq!(postfix.query_as("nobody", press.0, press.1), press.2);
    assert_eq!(postfix.query_at(inet, press.0, press.1), press.2);
}

/// The codes with which recipients are taken or not, a few for each connection.
fn recipients(postfix: &Postfix<'_>, log_in: Option<&str>, expected: &[(&str, u16)]) {
    for some in expected.chunks(8) {
        let mut smtp = connect(postfix, log_in);
        assert_eq!(smtp.command(&format!("MAIL FROM:<{}>", log_in.unwrap_or_default())).code, 250);
        for (address, code) in some {
            let reply = smtp.command(&format!("RCPT TO:<{address}>"));
            assert_eq!(reply.code, *code, "{address}: {}\n{}", reply.text, postfix.log());
        }
    }
}

fn connect(postfix: &Postfix<'_>, log_in: Option<&str>) -> Smtp {
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    if let Some(user) = log_in {
        assert_eq!(smtp.auth_plain(user, "moohoo").code, 235);
    }
    smtp
}

#[test]
fn mail_is_taken_in_relayed_and_sent_as_mailcow_says() {
    for tree in Tree::all() {
        let (place, cellar) = (Place::new(&tree), Place::new(&Tree::bookworm()));
        let server = tables(&cellar);
        let _gatepost =
            Gatepost::start_over(&place, &listeners(&place), &configuration(&place, &server, None));
        let postfix = start(&place, None);
        recipients(
            &postfix,
            None,
            &[
                ("alice@example.test", 250),
                ("Alice+x@alias.test", 250),
                ("sales@example.test", 250),
                ("now@example.test", 250),
                ("room@example.test", 250),
                ("nobody@second.test", 250),
                ("nobody@example.test", 550),
                ("gone@example.test", 550),
                ("off@example.test", 550),
                ("over@example.test", 550),
                ("sales@alias.test", 550),
                ("nobody@deux.test", 550),
                ("secure@example.test", 450),
                ("anybody@inner.test", 250),
                ("known@inner.test", 250),
                ("listed@backup.test", 250),
                ("nobody@backup.test", 550),
                ("anybody@sub.inner.test", 454),
                ("anybody@former-backup.test", 454),
                ("closed@closed.test", 454),
                ("friend@elsewhere.test", 454),
            ],
        );
        for (user, senders) in [
            (
                "alice@example.test",
                [
                    ("alice+x@example.test", 250),
                    ("alice@alias.test", 250),
                    ("sales@example.test", 250),
                    ("secure@example.test", 250),
                    ("noreply@example.test", 553),
                    ("bob@example.test", 553),
                    ("partner@elsewhere.test", 553),
                ]
                .as_slice(),
            ),
            ("dora@second.test", &[("any@second.test", 250), ("open+x@second.test", 553)]),
            ("boss@example.test", &[("bob@alias.test", 250), ("dora@second.test", 553)]),
            ("root@example.test", &[("x@elsewhere.test", 250)]),
        ] {
            let mut smtp = connect(&postfix, Some(user));
            for (sender, code) in senders {
                let reply = smtp.send(sender, "friend@elsewhere.test", "hello");
                assert_eq!(reply.code, *code, "{user} as {sender}: {}", reply.text);
            }
        }
        for (number, (sender, recipient, service, nexthop)) in [
            ("alice@example.test", "friend@elsewhere.test", "by-smtp", "elsewhere.test"),
            ("dora@second.test", "friend@elsewhere.test", "by-smtp", "[relay.test]:587"),
            ("third@example.test", "friend@elsewhere.test", "by-enforced-tls", "[third-relay.test]:587"),
            ("secure@example.test", "friend@elsewhere.test", "by-enforced-tls", "elsewhere.test"),
            ("alice@example.test", "friend@far.test", "by-transport", "[gateway.test]:587"),
            ("alice@example.test", "friend@[127.0.0.9]", "by-transport", "[by-address.test]"),
            ("alice@example.test", "friend@inner.test", "by-relay", "inner.test"),
            ("alice@example.test", "room@example.test", "by-local", "localhost"),
        ]
        .into_iter()
        .enumerate()
        {
            // Its own extension tells its lines in the log from others.
            let to = recipient.replacen('@', &format!("+n{number}@"), 1);
            let reply = connect(&postfix, Some(sender)).send(sender, &to, "hello");
            assert_eq!(reply.code, 250, "{sender} to {to}: {}", reply.text);
            wait_until(&format!("{to} goes {service} to {nexthop}\n{}", postfix.log()), || {
                postfix.log().lines().any(|line| {
                    line.contains(&format!("+n{number}@"))
                        && line.contains(&format!("{service}/discard["))
                        && line.contains(&format!("status=sent ({nexthop})"))
                })
            });
        }
        let reply = connect(&postfix, Some("bob@example.test")).send(
            "bob@example.test",
            "wrong+y@elsewhere.test",
            "hello",
        );
        assert_eq!(reply.code, 250, "{}", reply.text);
        wait_until("it goes to the right one", || postfix.log().contains("to=<right+y@elsewhere.test>"));
    }
}

#[test]
fn mail_arrives_in_the_mailboxes_of_mailcow() {
    let (place, cellar) = (Place::new(&Tree::bookworm()), Place::new(&Tree::bookworm()));
    let server = tables(&cellar);
    let prefix = place.inside("mail/vmail/");
    server.sql("mail", &format!("UPDATE mailbox SET mailbox_path_prefix = '{prefix}'"));
    let lmtp = Dovecot::lmtp_of(&place).to_string();
    let _gatepost =
        Gatepost::start_over(&place, &listeners(&place), &configuration(&place, &server, Some(&lmtp)));
    let dovecot = Dovecot::start(&place);
    let postfix = start(&place, Some(&dovecot));
    let has = |mailbox: &str, text: &str| {
        let (local, domain) = mailbox.split_once('@').unwrap();
        let new = place.outside(&format!("mail/vmail/{domain}/{local}/new"));
        fs::read_dir(new).is_ok_and(|mut mails| {
            mails.any(|mail| fs::read_to_string(mail.unwrap().path()).is_ok_and(|mail| mail.contains(text)))
        })
    };
    let mailboxes = ["alice@example.test", "bob@example.test", "dora@second.test", "known@inner.test"];
    for (number, (address, expected)) in [
        ("alice+x@alias.test", ["alice@example.test"].as_slice()),
        ("press@example.test", &["alice@example.test", "bob@example.test"]),
        ("orders@alias.test", &["bob@example.test"]),
        ("nobody@second.test", &["dora@second.test"]),
        ("ever@example.test", &["alice@example.test"]),
        ("known@inner.test", &["known@inner.test"]),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("mail number {number}.");
        let reply = connect(&postfix, None).send("friend@elsewhere.test", address, &text);
        assert_eq!(reply.code, 250, "{address}: {}\n{}", reply.text, postfix.log());
        wait_until(&format!("{address} is in the mailboxes"), || {
            expected.iter().all(|mailbox| has(mailbox, &text))
        });
        for mailbox in mailboxes {
            assert_eq!(has(mailbox, &text), expected.contains(&mailbox), "{address} in {mailbox}");
        }
    }
}
