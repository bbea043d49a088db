//! What becomes of mail by the rules of gatepost, in real Postfixes with the shipped lines.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::support::{
    Gatepost, Listener, Lossy, People, Place, Postfix, Reply, Smtp, Smtpd, Tree, wait_until,
};

const DIRECTORY: &str = r#"
[[directory]]
name = "people"
type = "passwd-file"
file = "PEOPLE"
domains = ["example.test"]
"#;

/// A place in each tree, whose gatepost has these rules and whose Postfix has these lines besides.
fn with_each_postfix(rules: &str, lines: &str, test: impl Fn(&Postfix<'_>, &People<'_>, &mut Gatepost<'_>)) {
    for tree in Tree::all() {
        eprintln!("with {}", tree.name());
        let place = Place::new(&tree);
        let people = People::settle(&place);
        let listeners = [Postfix::listeners(&place), vec![Postfix::policy(&place)]].concat();
        let mut gatepost = Gatepost::start_over(&place, &listeners, &configuration(&place, rules));
        let postfix = Postfix::start_with_policy(&place, lines);
        test(&postfix, &people, &mut gatepost);
    }
}

fn configuration(place: &Place, rules: &str) -> String {
    DIRECTORY.replace("PEOPLE", &place.outside("people").display().to_string()) + rules
}

fn author(postfix: &Postfix<'_>, smtpd: Smtpd, name: &str, password: &str) -> Smtp {
    let mut smtp = postfix.connect(smtpd);
    assert_eq!(smtp.auth_plain(&format!("{name}@example.test"), password).code, 235);
    smtp
}

fn alice(postfix: &Postfix<'_>) -> Smtp {
    author(postfix, Smtpd::ChrootedUnix, "alice", "wonder")
}

/// Sends a mail of Alice. Of one that is refused at its end Postfix has the sender and the recipient still: the next mail
/// may begin with DATA.
fn send(smtp: &mut Smtp) -> Reply {
    let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "hello");
    if reply.code != 250 {
        smtp.command("RSET");
    }
    reply
}

/// Sends a mail of Alice to so many, and gives what is said of it in the end, or of the first that is not taken.
fn send_to(smtp: &mut Smtp, count: usize) -> Reply {
    assert_eq!(smtp.command("MAIL FROM:<alice@example.test>").code, 250);
    for number in 0..count {
        let reply = smtp.command(&format!("RCPT TO:<friend{number}@elsewhere.test>"));
        if reply.code != 250 {
            smtp.command("RSET");
            return reply;
        }
    }
    assert_eq!(smtp.command("DATA").code, 354);
    let reply = smtp.command("Subject: test\r\n\r\nhello\r\n.");
    if reply.code != 250 {
        smtp.command("RSET");
    }
    reply
}

/// What `gatepost policy test` says of these attributes, and how it ends.
fn tested(gatepost: &Gatepost<'_>, attributes: &str) -> (i32, String) {
    let mut command: Command = gatepost.command(&["policy", "test"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(attributes.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

const STAGES: &str = r#"
[[policy.rule]]
name = "helo"
state = ["EHLO", "HELO"]
helo = ["*.bad.test"]
action = "reject"
text = "5.7.1 not under this name"

[[policy.rule]]
name = "mail"
state = ["MAIL"]
sender = ["@bad.test"]
action = "550 5.7.60"
text = "not from there"

[[policy.rule]]
name = "trial"
dry_run = true
action = "reject"

[[policy.rule]]
name = "friend"
recipient = ["friend@elsewhere.test"]
action = "dunno"

[[policy.rule]]
name = "rcpt"
recipient = ["@bad.test"]
action = "defer"
text = "4.7.0 not now"

[[policy.rule]]
name = "out"
recipient = ["out@elsewhere.test"]
action = "421"
text = "4.7.0 not here"

[[policy.rule]]
name = "data"
state = ["DATA"]
min_recipients = 2
action = "reject"
text = "one at a time"

[[policy.rule]]
name = "end"
min_size = "1KiB"
action = "reject"
text = "too long"

[[policy.rule]]
name = "hold"
sender = ["alice+hold@example.test"]
action = "hold"
"#;

const EVERYWHERE: &str = "smtpd_delay_reject = no
smtpd_helo_restrictions = $gatepost_policy
smtpd_sender_restrictions = $gatepost_policy
smtpd_data_restrictions = $gatepost_policy
";

#[test]
fn rules_are_obeyed_where_they_are_for() {
    with_each_postfix(STAGES, EVERYWHERE, |postfix, _, gatepost| {
        let mut smtp = alice(postfix);
        for (command, answer) in [
            ("EHLO mx.bad.test", "554 5.7.1 <mx.bad.test>: Helo command rejected: not under this name"),
            ("EHLO mx.good.test", "250"),
            ("MAIL FROM:<x@bad.test>", "550 5.7.60 <x@bad.test>: Sender address rejected: not from there"),
            ("MAIL FROM:<alice@example.test>", "250"),
            ("RCPT TO:<x@bad.test>", "450 4.7.0 <x@bad.test>: Recipient address rejected: not now"),
            ("RCPT TO:<friend@elsewhere.test>", "250"),
            ("RCPT TO:<friend2@elsewhere.test>", "250"),
            ("DATA", "554 5.7.1 <DATA>: Data command rejected: one at a time"),
            ("RSET", "250"),
        ] {
            let reply = smtp.command(command);
            let last = reply.text.lines().last().unwrap();
            assert!(last.starts_with(answer), "{command}: {}\n{}", reply.text, postfix.log());
        }
        let reply = smtp.send("alice@example.test", "friend@elsewhere.test", &"x".repeat(900));
        assert_eq!(reply.code, 250, "{}", reply.text);
        let reply = smtp.send("alice@example.test", "friend@elsewhere.test", &"x ".repeat(1024));
        assert!(
            reply.text.starts_with("554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: too long"),
            "{}",
            reply.text
        );
        smtp.command("RSET");
        let reply = smtp.send("alice+hold@example.test", "other@elsewhere.test", "hello");
        assert_eq!(reply.code, 250, "{}", reply.text);
        wait_until("the mail is held", || postfix.log().contains("triggers HOLD action"));
        assert_eq!(smtp.command("MAIL FROM:<alice@example.test>").code, 250);
        let reply = smtp.command("RCPT TO:<out@elsewhere.test>");
        assert!(reply.text.starts_with("421 4.7.0 <out@elsewhere.test>"), "{}", reply.text);
        for event in
            [r#"policy on trial action="REJECT 5.7.1" rule="trial""#, r#"rule="end" state="END-OF-MESSAGE""#]
        {
            wait_until(event, || gatepost.log().contains(event));
        }
    });
}

const OWN: &str = r#"
[[policy.rule]]
name = "own"
sender_authorisation = true
also_when_not_logged_in = true
"#;

#[test]
fn senders_are_for_their_owners_and_an_outage_is_temporary() {
    let login = "sasl_username=alice@example.test\n";
    with_each_postfix(OWN, "", |postfix, people, gatepost| {
        let mut smtp = alice(postfix);
        let senders = [
            ("alice@example.test", 250),
            ("Alice+offers@Example.test", 250),
            ("", 250),
            ("bob@example.test", 553),
            ("bob+x@example.test", 553),
            ("alice@elsewhere.test", 553),
        ];
        let mut stranger = postfix.connect(Smtpd::Unix);
        for (sender, code) in senders {
            let reply = smtp.send(sender, "friend@elsewhere.test", "hello");
            assert_eq!(reply.code, code, "{sender}: {}", reply.text);
            let why = format!("<{sender}>: Sender address rejected: not owned by user alice@example.test");
            assert!(
                code == 250
                    || reply.text.contains(&format!(
                        "5.7.1 <friend@elsewhere.test>: Recipient address rejected: {why}"
                    )),
                "{}",
                reply.text
            );
            let (exit, said) = tested(gatepost, &format!("{login}sender={sender}\n"));
            assert_eq!((exit, said.contains("by rule own")), (i32::from(code != 250), code != 250), "{said}");
            let mine = ["alice", "bob"].iter().any(|name| {
                sender.to_lowercase().starts_with(name) && sender.to_lowercase().ends_with("@example.test")
            });
            let reply = stranger.send(sender, "bob@example.test", "hello");
            assert_eq!(reply.code, if mine { 553 } else { 250 }, "{sender} of a stranger: {}", reply.text);
        }
        people.hide();
        for (sender, _) in
            senders.iter().filter(|(sender, _)| sender.to_lowercase().ends_with("@example.test"))
        {
            for smtp in [&mut smtp, &mut stranger] {
                let reply = smtp.send(sender, "bob@example.test", "hello");
                assert!(reply.text.starts_with("451 4.3.0"), "{sender}: {}", reply.text);
            }
            assert_eq!(tested(gatepost, &format!("{login}sender={sender}\n")).0, 75);
        }
        people.show();
        assert_eq!(send(&mut smtp).code, 250);
        // Nobody there at all: Postfix asks twice, and gives up for the moment.
        gatepost.kill();
        let reply = send(&mut smtp);
        assert_eq!(reply.code, 451, "{}", reply.text);
        gatepost.start_again();
        assert_eq!(send(&mut smtp).code, 250);
    });
}

const LIMITS: &str = r#"
[[policy.rule]]
name = "messages"
[policy.rule.limit]
per = "user"
window = "1h"
messages = 3

[[policy.rule]]
name = "recipients"
text = "too many for today"
action = "defer"
[policy.rule.limit]
per = "user"
window = "1d"
recipients = 5
suspend = "1d"
[[policy.rule.limit.override]]
for = ["bob@example.test"]
recipients = 1000
"#;

#[test]
fn a_limit_trips_at_the_mail_that_is_too_much_and_outlasts_a_restart() {
    with_each_postfix(LIMITS, "", |postfix, _, gatepost| {
        let end =
            "protocol_state=END-OF-MESSAGE\nsasl_username=bob@example.test\ninstance=1\nrecipient_count=1\n";
        for _ in 0..5 {
            assert_eq!(tested(gatepost, end), (0, "DUNNO, by no rule\n".to_owned()));
        }
        let mut bob = author(postfix, Smtpd::Unix, "bob", "builder");
        for _ in 0..3 {
            assert_eq!(bob.send("bob@example.test", "friend@elsewhere.test", "hello").code, 250);
        }
        let reply = bob.send("bob@example.test", "friend@elsewhere.test", "hello");
        let over = "450 4.7.1 <friend@elsewhere.test>: Recipient address rejected: sending limit reached";
        assert!(reply.text.starts_with(over), "{}", reply.text);
        assert_eq!(tested(gatepost, end).0, 1);
        assert_eq!(bob.send("bob@example.test", "friend@elsewhere.test", "hello").code, 450);

        // Three and three are more than five, and three and two are not.
        let mut smtp = alice(postfix);
        let trips = |gatepost: &Gatepost<'_>| gatepost.log().matches("a sending limit has tripped").count();
        wait_until("it is said of Bob", || trips(gatepost) == 1);
        assert_eq!(send_to(&mut smtp, 3).code, 250);
        let reply = send_to(&mut smtp, 6);
        assert!(reply.text.starts_with("554 5.7.1 <END-OF-MESSAGE>"), "never fits: {}", reply.text);
        assert_eq!(send_to(&mut smtp, 2).code, 250);
        let reply = send_to(&mut smtp, 1);
        assert!(reply.text.contains("too many for today"), "{}", reply.text);
        for _ in 0..3 {
            assert_eq!(send_to(&mut smtp, 1).code, 450);
        }
        gatepost.restart();
        assert_eq!(trips(gatepost), 2, "once of each: {}", gatepost.log());
        assert_eq!(send_to(&mut smtp, 1).code, 450);
        assert_eq!(bob.send("bob@example.test", "friend@elsewhere.test", "hello").code, 450);
        let reset = |whom| gatepost.command(&["policy", "reset", whom]).output().unwrap().status.code();
        assert_eq!((reset("ALICE@example.test"), reset("nobody@example.test")), (Some(0), Some(1)));
        assert_eq!(send_to(&mut smtp, 1).code, 250);
        assert_eq!(bob.send("bob@example.test", "friend@elsewhere.test", "hello").code, 450);
    });
}

const PARALLEL: &str = r#"
[[policy.rule]]
name = "hourly"
[policy.rule.limit]
per = "user"
window = "1h"
messages = 50
"#;

/// Each of 32 smtpds has a mail program that sends four mails at the same time as the others, and two of three answers at the
/// end of a mail are lost.
#[test]
fn exactly_as_many_are_taken_as_may_be_whoever_asks_how_often() {
    for tree in Tree::all() {
        eprintln!("with {}", tree.name());
        let place = Place::new(&tree);
        People::settle(&place);
        let behind = Listener::unix("postfix-policy", place.outside("gatepost/policy"), 0o600, 0);
        let listeners = [Postfix::listeners(&place), vec![behind]].concat();
        let gatepost = Gatepost::start_over(&place, &listeners, &configuration(&place, PARALLEL));
        let path = place.outside("postfix/spool/gatepost/policy");
        let lossy = Lossy::start(&path, tree.gid("postfix"), place.outside("gatepost/policy"));
        let postfix = Postfix::start_with_policy(&place, "");
        let (taken, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    let mut smtp = alice(&postfix);
                    for _ in 0..4 {
                        let reply = send(&mut smtp);
                        match reply.code {
                            250 => taken.fetch_add(1, Ordering::Relaxed),
                            450 => refused.fetch_add(1, Ordering::Relaxed),
                            code => panic!("{code}: {}", reply.text),
                        };
                    }
                });
            }
        });
        assert!(lossy.lost() >= 30, "{}", lossy.lost());
        assert_eq!((taken.into_inner(), refused.into_inner()), (50, 78));
        let queued = || postfix.log().matches("from=<alice@example.test>, size=").count();
        wait_until("all are in the queue", || queued() >= 50);
        assert_eq!(queued(), 50);
        wait_until("it is said that the limit has tripped", || gatepost.log().contains("has tripped"));
        assert_eq!(gatepost.log().matches("a sending limit has tripped").count(), 1, "{}", gatepost.log());
    }
}
