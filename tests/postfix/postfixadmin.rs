//! Postfix with the shipped lines over PostfixAdmin's own tables.

use std::fs;

use crate::support::{
    Dovecot, Gatepost, Listener, MariaDb, Place, Postfix, Smtp, Smtpd, Tree, example, wait_until,
};

/// What goes on elsewhere says in the log where it would have gone.
const MAIN: &str = "relay_transport = relay\n";
const MASTER: &str = "
smtp unix - - n - - discard -o syslog_name=by-smtp
relay unix - - n - - discard -o syslog_name=by-relay
mailman unix - - n - - discard -o syslog_name=by-mailman
";

fn tables(cellar: &Place) -> MariaDb<'_> {
    let server = MariaDb::start(cellar);
    server.sql("mail", include_str!("../sql/schemas/postfixadmin.sql"));
    server.sql("mail", include_str!("../sql/schemas/postfixadmin-postfix.sql"));
    server
}

fn start<'a>(place: &'a Place, dovecot: Option<&Dovecot<'_>>) -> Postfix<'a> {
    let maps = Place::snippet("postfix-maps.cf");
    // Those that the example names.
    let text = fs::read_to_string("conf.d/examples/postfixadmin.toml").unwrap();
    let relay: String =
        text.lines().filter_map(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect();
    assert_eq!(relay.matches("= socketmap:unix:gatepost/map:").count(), 3, "{relay}");
    Postfix::start_told(place, dovecot.map(Dovecot::lmtp_address), &format!("{maps}{relay}{MAIN}"), MASTER)
}

type Said = (&'static str, Option<&'static str>);

const MAPS: [(&str, &[Said]); 7] = [
    (
        "domains",
        &[
            ("Example.test", Some("example.test")),
            ("alias.test", Some("alias.test")),
            ("lists.test", Some("lists.test")),
            ("closed.test", None),
            ("former.test", None),
            ("backup.test", None),
            ("inner.test", None),
            ("all", None),
            ("жук.test", None),
        ],
    ),
    (
        "mailboxes",
        &[
            ("Alice+x@example.test", Some("alice@example.test")),
            ("alice@alias.test", Some("alice@example.test")),
            ("gone@example.test", None),
            ("sales@example.test", None),
        ],
    ),
    (
        "aliases",
        &[
            ("alice@example.test", Some("alice@example.test")),
            ("alice+x@example.test", Some("alice+x@example.test")),
            ("bob@example.test", Some("bob@example.test,alice@example.test")),
            ("bob+x@example.test", Some("bob+x@example.test,alice+x@example.test")),
            ("shop@example.test", Some("sales@example.test")),
            ("off@example.test", None),
            ("gone@example.test", None),
            ("nobody@example.test", None),
            ("nobody@second.test", Some("dora@second.test")),
            // What is forwarded is so by all names.
            ("alice@alias.test", Some("alice@example.test")),
            ("bob+x@alias.test", Some("bob+x@example.test")),
            ("sales@alias.test", Some("sales@example.test")),
            ("nobody@alias.test", None),
            ("nobody@deux.test", Some("nobody@second.test")),
            ("alice@former.test", None),
            ("жук@example.test", None),
        ],
    ),
    (
        "senders",
        &[
            ("alice+x@example.test", Some("alice@example.test")),
            ("alice@alias.test", Some("alice@example.test")),
            // Alice gets Bob's mail, and is not Bob.
            ("bob@example.test", Some("bob@example.test")),
            ("bob+x@alias.test", Some("bob@example.test")),
            ("shop@example.test", Some("alice@example.test,bob@example.test")),
            ("sales@alias.test", Some("alice@example.test,bob@example.test")),
            ("nobody@second.test", Some("dora@second.test")),
            ("nobody@deux.test", Some("dora@second.test")),
            ("off@example.test", None),
            ("away@example.test", None),
            ("nobody@example.test", None),
        ],
    ),
    (
        "relay_domains",
        &[
            ("backup.test", Some("backup.test")),
            ("inner.test", Some("inner.test")),
            ("listed.test", Some("listed.test")),
            ("sub.inner.test", None),
            ("former-backup.test", None),
            ("example.test", None),
            ("all", None),
        ],
    ),
    (
        "recipients",
        &[
            ("anybody@inner.test", Some("inner.test")),
            ("anybody+x@backup.test", Some("backup.test")),
            ("anybody@listed.test", Some("listed.test")),
            ("shop@example.test", Some("sales@example.test")),
            ("anybody@former-backup.test", None),
            ("anybody@elsewhere.test", None),
        ],
    ),
    (
        "transport_maps",
        &[
            ("anybody@inner.test", Some("smtp:[inner.test]")),
            ("known@listed.test", Some("relay:[listed.test]")),
            ("list@lists.test", Some("mailman:")),
            ("anybody@backup.test", None),
            ("alice@example.test", None),
            ("anybody@sub.inner.test", None),
            ("*", None),
        ],
    ),
];

#[test]
fn each_map_says_what_postfixadmin_has_written_down() {
    let (place, cellar) = (Place::new(&Tree::trixie()), Place::new(&Tree::bookworm()));
    let server = tables(&cellar);
    let configuration = example("postfixadmin", &place, &server);
    let gatepost = Gatepost::start_over(&place, &Postfix::listeners(&place), &configuration);
    let postfix = start(&place, None);
    for (map, keys) in MAPS {
        for (key, value) in keys {
            let expected = value.map_or((1, String::new()), |value| (0, format!("{value}\n")));
            assert_eq!(postfix.query(map, key), expected, "{map} {key}\n{}", gatepost.log());
        }
    }
}

fn log_in(postfix: &Postfix<'_>, user: &str, password: &str) -> Smtp {
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    assert_eq!(smtp.auth_plain(user, password).code, 235);
    smtp
}

#[test]
fn mail_arrives_is_relayed_and_is_sent_as_postfixadmin_has_written_down() {
    let (place, cellar) = (Place::new(&Tree::bookworm()), Place::new(&Tree::bookworm()));
    let server = tables(&cellar);
    let listeners = [Listener::dovecot(&place), Postfix::listeners(&place)].concat();
    let _gatepost = Gatepost::start_over(&place, &listeners, &example("postfixadmin", &place, &server));
    let dovecot = Dovecot::start(&place);
    let postfix = start(&place, Some(&dovecot));
    let has = |maildir: &str, text: &str| {
        let new = place.outside(&format!("mail/vmail/{maildir}/Maildir/new"));
        fs::read_dir(new).is_ok_and(|mut mails| {
            mails.any(|mail| fs::read_to_string(mail.unwrap().path()).is_ok_and(|mail| mail.contains(text)))
        })
    };
    let maildirs = ["example.test/alice", "example.test/bob", "second.test/dora"];
    for (number, (address, expected)) in [
        ("alice+x@example.test", ["example.test/alice"].as_slice()),
        ("bob@alias.test", &["example.test/alice", "example.test/bob"]),
        ("shop@alias.test", &["example.test/alice", "example.test/bob"]),
        ("nobody@deux.test", &["second.test/dora"]),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("mail number {number}.");
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        let reply = smtp.send("friend@elsewhere.test", address, &text);
        assert_eq!(reply.code, 250, "{address}: {}\n{}", reply.text, postfix.log());
        wait_until(&format!("{address} is in the mailboxes"), || {
            expected.iter().all(|maildir| has(maildir, &text))
        });
        for maildir in maildirs {
            assert_eq!(has(maildir, &text), expected.contains(&maildir), "{address} in {maildir}");
        }
    }
    let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
    assert_eq!(smtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
    for (address, code) in [
        ("nobody@example.test", 550),
        ("gone@example.test", 550),
        ("anybody@sub.inner.test", 454),
        ("closed@closed.test", 454),
        ("known@listed.test", 250),
        ("anybody@backup.test", 250),
    ] {
        let reply = smtp.command(&format!("RCPT TO:<{address}>"));
        assert_eq!(reply.code, code, "{address}: {}", reply.text);
    }
    for (recipient, service, nexthop) in [
        ("anybody@inner.test", "by-smtp", "[inner.test]"),
        ("known@listed.test", "by-relay", "[listed.test]"),
        ("anybody@backup.test", "by-relay", "backup.test"),
        ("list@lists.test", "by-mailman", "lists.test"),
    ] {
        let mut smtp = postfix.connect(Smtpd::ChrootedUnix);
        let reply = smtp.send("friend@elsewhere.test", recipient, "hello");
        assert_eq!(reply.code, 250, "{recipient}: {}", reply.text);
        wait_until(&format!("{recipient} goes {service} to {nexthop}"), || {
            postfix.log().lines().any(|line| {
                line.contains(&format!("to=<{recipient}>"))
                    && line.contains(&format!("{service}/discard["))
                    && line.contains(&format!("status=sent ({nexthop})"))
            })
        });
    }
    let mut smtp = log_in(&postfix, "bob@example.test", "moohoo");
    for (sender, code) in [("bob+x@alias.test", 250), ("shop@example.test", 250), ("alice@example.test", 553)]
    {
        assert_eq!(smtp.send(sender, "friend@elsewhere.test", "hello").code, code, "{sender}");
    }
    let mut smtp = log_in(&postfix, "alice@example.test", "wonder");
    for (sender, code) in [("sales@example.test", 250), ("bob@example.test", 553), ("away@example.test", 553)]
    {
        assert_eq!(smtp.send(sender, "friend@elsewhere.test", "hello").code, code, "{sender}");
    }
}
