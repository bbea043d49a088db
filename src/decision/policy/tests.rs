use std::time::{Duration, Instant};

use gatepost_protocol::postfix::policy::Request;
use tempfile::TempDir;

use super::{Verdict, Why};
use crate::{
    daemon,
    decision::{
        Engine,
        testing::{PEOPLE, configured},
    },
};

mod limits;

const USERS: &str = "anna@example.org:{PLAIN}a:::::\nbob@example.org:{PLAIN}b:::::\n";

/// An engine over Anna and Bob with these rules.
fn engine(rules: &str) -> (TempDir, Engine) {
    let (dir, config) = configured(&format!("{PEOPLE}{rules}"), USERS);
    let engine = daemon::engine(&config).unwrap();
    (dir, engine)
}

/// A request of `name=value` between blanks, in state RCPT unless it says another.
fn block(attributes: &str) -> String {
    let mut block = "request=smtpd_access_policy\n".to_owned();
    if !attributes.contains("protocol_state=") {
        block += "protocol_state=RCPT\n";
    }
    for attribute in attributes.split_whitespace() {
        block += &format!("{attribute}\n");
    }
    block
}

async fn police(engine: &Engine, attributes: &str, dry: bool, now: Instant) -> Verdict {
    let block = block(attributes);
    engine.police(&Request::parse(block.as_bytes()).unwrap(), dry, now).await
}

/// The rule that has something to say, and what that is.
async fn said(engine: &Engine, attributes: &str) -> (String, String) {
    let verdict = police(engine, attributes, false, Instant::now()).await;
    (verdict.rule.map_or_else(String::new, |rule| rule.to_string()), verdict.action.to_string())
}

#[tokio::test]
async fn all_conditions_of_a_rule_hold_or_it_is_not_asked() {
    for (conditions, attributes, holds) in [
        ("sender = ['anna@example.org']", "sender=ANNA@Example.org", true),
        ("sender = ['anna@example.org']", "sender=anna+x+y@example.org", true),
        ("sender = ['anna+x@example.org']", "sender=anna+x@example.org", true),
        ("sender = ['anna+x@example.org']", "sender=anna@example.org", false),
        ("sender = ['+@example.org']", "sender=+x@example.org", false),
        ("sender = ['@example.org', 'x@y.test']", "sender=x@y.test", true),
        ("sender = ['!anna@example.org', '@example.org']", "sender=anna+x@example.org", false),
        ("sender = ['']", "sender=", true),
        ("sender = ['']", "sender=anna@example.org", false),
        ("sender = ['*']", "sender=", true),
        ("sender = ['@example.org']", "sender=", false),
        ("recipient = ['*.example.org', 'postmaster@']", "recipient=x@a.example.org", true),
        ("recipient = ['*.example.org', 'postmaster@']", "recipient=Postmaster@x.test", true),
        ("recipient = ['*.example.org', 'postmaster@']", "recipient=x@example.org", false),
        ("recipient = ['*']", "sender=a@b.test", false),
        ("sasl_username = ['Anna']", "sasl_username=anna@example.org", true),
        ("sasl_username = ['anna@example.org']", "sasl_username=ANNA", true),
        ("sasl_username = ['anna@example.org']", "sasl_username=anna+x@example.org", false),
        ("sasl_username = ['*']", "sasl_username=no/name", true),
        ("sasl_username = ['*']", "sasl_username=", false),
        ("sasl_username = ['!bob', '*']", "sasl_username=bob", false),
        ("logged_in = true", "sasl_username=anna", true),
        ("logged_in = true", "sasl_username=", false),
        ("logged_in = false", "sender=a@b.test", true),
        ("logged_in = false", "sasl_username=anna", false),
        ("network = ['192.0.2.0/24']", "client_address=192.0.2.7", true),
        ("network = ['192.0.2.0/24']", "client_address=::ffff:192.0.2.7", true),
        ("network = ['192.0.2.0/24']", "client_address=198.51.100.7", false),
        ("network = ['!192.0.2.7', '192.0.2.0/24']", "client_address=192.0.2.7", false),
        ("network = ['2001:db8::/32']", "client_address=2001:db8::1", true),
        ("network = ['0.0.0.0/0']", "client_address=unknown", false),
        ("helo = ['*.example.org']", "helo_name=MX.example.org", true),
        ("helo = ['[192.0.2.7]']", "helo_name=[192.0.2.7]", true),
        ("helo = ['*']", "helo_name=", false),
        ("client_name = ['unknown']", "client_name=unknown", true),
        ("client_name = ['*.example.org']", "client_name=unknown", false),
        ("tls = true", "encryption_protocol=TLSv1.3", true),
        ("tls = true", "encryption_protocol=", false),
        ("tls = false", "encryption_protocol=", true),
        ("tls = false", "encryption_protocol=TLSv1.3", false),
        ("min_size = '1KiB'", "size=1024", true),
        ("min_size = '1KiB'", "size=1023", false),
        ("max_size = '1KiB'", "size=0", false),
        ("max_size = '1KiB'", "size=0 protocol_state=END-OF-MESSAGE", true),
        ("min_size = '1KiB'\nmax_size = '2KiB'", "size=2048", true),
        ("min_size = '1KiB'\nmax_size = '2KiB'", "size=2049", false),
        ("min_recipients = 3", "recipient_count=3 protocol_state=DATA", true),
        ("min_recipients = 3", "recipient_count=2 protocol_state=END-OF-MESSAGE", false),
        ("min_recipients = 3", "recipient_count=3", false),
        ("policy_context = ['submission']", "policy_context=submission", true),
        ("policy_context = ['submission', '']", "policy_context=", true),
        ("policy_context = ['submission']", "policy_context=Submission", false),
        ("state = ['connect', 'HELO']", "protocol_state=HELO", true),
        ("state = ['connect', 'HELO']", "protocol_state=EHLO", false),
        ("state = ['end-of-message']", "protocol_state=END-OF-MESSAGE", true),
        ("", "protocol_state=MAIL", false),
        ("", "protocol_state=XYZZY", false),
        ("", "protocol_state=", false),
        ("sender = ['@x.test']\ntls = false", "sender=a@x.test", true),
        ("sender = ['@x.test']\ntls = true", "sender=a@x.test", false),
    ] {
        let rule = format!("[[policy.rule]]\nname = 'it'\naction = 'reject'\n{conditions}\n");
        let (_dir, engine) = engine(&rule);
        let expected = if holds {
            ("it".to_owned(), "REJECT 5.7.1".to_owned())
        } else {
            (String::new(), "DUNNO".to_owned())
        };
        assert_eq!(said(&engine, attributes).await, expected, "{conditions} {attributes}");
    }
}

#[tokio::test]
async fn the_first_rule_with_something_to_say_is_the_last_that_is_asked() {
    let (_dir, engine) = engine(
        "[[policy.rule]]\nname = 'trial'\nsender = ['@x.test']\naction = 'reject'\ntext = 'on trial'\ndry_run = true\n\
         [[policy.rule]]\nname = 'friend'\nsender = ['friend@x.test']\naction = 'dunno'\n\
         [[policy.rule]]\nname = 'x'\nsender = ['@x.test']\naction = 'defer'\ntext = '4.7.0 later'\n\
         [[policy.rule]]\nname = 'all'\naction = 'prepend'\ntext = 'X-Seen: yes'\n",
    );
    for (sender, rule, action) in [
        ("friend@x.test", "friend", "DUNNO"),
        ("other@x.test", "x", "DEFER 4.7.0 later"),
        ("other@y.test", "all", "PREPEND X-Seen: yes"),
    ] {
        let verdict = police(&engine, &format!("sender={sender}"), false, Instant::now()).await;
        assert_eq!((verdict.rule.as_deref(), verdict.action.to_string()), (Some(rule), action.to_owned()));
        assert_eq!(verdict.why, Why::Action);
        let trials: Vec<_> =
            verdict.trials.iter().map(|(rule, action)| format!("{rule}: {action}")).collect();
        let expected: &[&str] =
            if sender.ends_with("@x.test") { &["trial: REJECT 5.7.1 on trial"] } else { &[] };
        assert_eq!(trials, expected, "{sender}");
    }
}

#[tokio::test]
async fn a_sender_is_for_its_owner() {
    let rule = "[[policy.rule]]\nname = 'own'\nsender_authorisation = true\n";
    let all = &format!("{rule}also_when_not_logged_in = true\n");
    let strict = &format!("{rule}null_sender = false\naction = 'reject'\ntext = '5.7.9 no'\n");
    let own = |text: &str| ("own".to_owned(), text.to_owned());
    let nothing = || (String::new(), "DUNNO".to_owned());
    for (rule, attributes, expected) in [
        (rule, "sasl_username=anna@example.org sender=Anna+lists@example.org", nothing()),
        (rule, "sasl_username=anna@example.org sender=", nothing()),
        (
            rule,
            "sasl_username=anna@example.org sender=bob@example.org",
            own("553 5.7.1 <bob@example.org>: Sender address rejected: not owned by user anna@example.org"),
        ),
        (
            rule,
            "sasl_username=anna@example.org sender=x@elsewhere.test protocol_state=MAIL",
            own("553 5.7.1 <x@elsewhere.test>: Sender address rejected: not owned by user anna@example.org"),
        ),
        (rule, "sasl_username=anna@example.org sender=bob@example.org protocol_state=DATA", nothing()),
        (rule, "sender=bob@example.org", nothing()),
        (all, "sender=friend@elsewhere.test", nothing()),
        (all, "sender=", nothing()),
        (
            all,
            "sender=bob+x@example.org",
            own("553 5.7.1 <bob+x@example.org>: Sender address rejected: not logged in"),
        ),
        (strict, "sasl_username=anna@example.org sender=", own("REJECT 5.7.9 no")),
        (strict, "sender=", nothing()),
    ] {
        let (_dir, engine) = engine(rule);
        assert_eq!(said(&engine, attributes).await, expected, "{attributes}");
    }
    let (_dir, engine) = engine(rule);
    let long = format!("sasl_username=anna@example.org sender={}@example.org", "x".repeat(250));
    let expected = "553 5.7.1 <...>: Sender address rejected: not owned by user anna@example.org";
    assert_eq!(said(&engine, &long).await, own(expected));
}

#[tokio::test]
async fn an_outage_refuses_for_the_moment_and_nobody_who_is_not_asked_about() {
    let rule = "[[policy.rule]]\nname = 'own'\nsender_authorisation = true\n";
    for (more, rule_says, action) in [
        ("", Some("own"), "451 4.3.0 Temporary lookup failure"),
        ("action = 'reject'\n", Some("own"), "451 4.3.0 Temporary lookup failure"),
        ("dry_run = true\n", None, "DUNNO"),
    ] {
        let (_dir, engine) = engine(&format!("{rule}{more}"));
        let now = Instant::now();
        let verdict = police(&engine, "sasl_username=anna sender=bob@away.test", false, now).await;
        assert_eq!((verdict.rule.as_deref(), &*verdict.action.to_string()), (rule_says, action), "{more}");
        assert!(verdict.unavailable.is_some());
        for attributes in ["sasl_username=anna sender=", "sender=bob@away.test"] {
            let verdict = police(&engine, attributes, false, now).await;
            assert_eq!((verdict.action.to_string(), verdict.unavailable), ("DUNNO".to_owned(), None));
        }
    }
}

#[tokio::test]
async fn without_rules_postfix_decides() {
    let (_dir, engine) = engine("");
    for attributes in ["", "protocol_state=END-OF-MESSAGE instance=1", "protocol_state=CONNECT"] {
        assert_eq!(police(&engine, attributes, false, Instant::now()).await, Verdict::default());
    }
}
