//! People whom only the provider knows, and who are in the embedded store once they have come with a token.

use std::{
    io::Write as _,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Bearer, Door, Front, Outcome,
    support::{
        Place, Provider, Wire,
        provider::{Signer, Wanted},
        wait_until,
    },
    with_each_debian,
};

const NEWCOMER: &str = "newcomer@example.test";

/// The embedded store, which makes them of these fields besides.
fn making(place: &Place, provider: &Provider<'_>, fields: &str) -> String {
    let home = place.inside("mail/{local}");
    format!(
        "[[directory]]\nname = \"local\"\ntype = \"sqlite\"\nprovision = true\n\
         [directory.provision_fields]\nhome = \"{home}\"\nuid = \"5000\"\ngid = \"5000\"\n{fields}\n{}",
        provider.table("")
    )
}

fn opaque(provider: &Provider<'_>) -> String {
    provider.issue(Wanted { user: "newcomer", password: "newcomer", ..Wanted::default() })
}

/// Runs `gatepost user`, with something on its standard input.
fn user(front: &Front<'_>, args: &[&str], input: &str) -> Output {
    let mut command = front.gatepost().command(&[&["user"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Who needs no input may end before it has read any.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn listed(front: &Front<'_>) -> Value {
    told(&user(front, &["list", "--json"], ""))["users"].clone()
}

/// Whether mail for them is taken.
fn is_delivered_to(front: &Front<'_>, address: &str) -> bool {
    let mut lmtp = front.dovecot.lmtp();
    assert_eq!(lmtp.command("MAIL FROM:<friend@elsewhere.test>").code, 250);
    match lmtp.command(&format!("RCPT TO:<{address}>")).code {
        250 => true,
        550 => false,
        code => panic!("{code}\n{}", front.log()),
    }
}

/// So often so far. The log is written after the answer.
fn says_that_somebody_was_made(front: &Front<'_>, times: usize) {
    let made = || front.log().matches("a user was made").count();
    wait_until("the log says that somebody was made", || made() >= times);
    assert_eq!(made(), times, "{}", front.log());
}

#[test]
fn whom_only_the_provider_knows_is_a_user_like_all_others_once_they_have_come() {
    with_each_debian(|place, provider| {
        let fields = "quota_rule = \"*:bytes={quota:-1048576}\"\nsubject = \"{sub}\"";
        let front = Front::open(place, &making(place, provider, fields));
        assert_eq!(listed(&front), json!([]), "the store is there from the start");
        assert!(!is_delivered_to(&front, NEWCOMER));

        for token in [opaque(provider), opaque(provider)] {
            front.expect("opaque", &Door::ALL, NEWCOMER, &token, &Outcome::Enters);
        }
        says_that_somebody_was_made(&front, 1);
        assert_eq!(listed(&front), json!([NEWCOMER]));
        let shown = told(&user(&front, &["show", NEWCOMER, "--json"], ""));
        assert_eq!(
            (&shown["uid"], &shown["gid"], &shown["home"], &shown["password"]),
            (&json!(5000), &json!(5000), &json!(place.inside("mail/newcomer")), &Value::Null)
        );
        assert_eq!(shown["fields"], json!({ "quota_rule": "*:bytes=1048576", "subject": "id-5" }));

        let mut imap = front.dovecot.imap_lines();
        Bearer::XOAuth2.imap(&mut imap, NEWCOMER, &opaque(provider), true);
        imap.say("b SELECT INBOX");
        imap.hear_until(|line| line.starts_with("b OK [READ-WRITE]"));
        assert!(is_delivered_to(&front, NEWCOMER));

        let login = |password: &str| front.dovecot.imap().login(NEWCOMER, password);
        for password in ["newcomer", "chosen"] {
            assert!(
                login(password).starts_with("NO [AUTHENTICATIONFAILED]"),
                "there is none\n{}",
                front.log()
            );
        }
        let given = user(&front, &["passwd", NEWCOMER], "chosen\n");
        assert!(given.status.success(), "{given:?}");
        let answer = login("chosen");
        assert!(answer.starts_with("OK"), "{answer}\n{}", front.log());
        front.expect("besides", &Door::USUAL, NEWCOMER, &opaque(provider), &Outcome::Enters);

        // Who is deleted comes back with what they are made of, and without the password.
        assert!(user(&front, &["delete", NEWCOMER], "").status.success());
        assert_eq!(listed(&front), json!([]));
        front.expect("again", &[Door::Imap], NEWCOMER, &opaque(provider), &Outcome::Enters);
        assert!(login("chosen").starts_with("NO [AUTHENTICATIONFAILED]"), "{}", front.log());
        says_that_somebody_was_made(&front, 2);
    });
}

#[test]
fn who_cannot_be_made_is_not_refused_and_who_may_not_come_in_is_not_made() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &making(place, provider, "quota_rule = \"*:bytes={quota}\""));
        let forged = |claims: Value| provider.forge(json!({}), claims, Signer::Provider);
        front.expect("no such claim", &Door::USUAL, NEWCOMER, &opaque(provider), &Outcome::Temporary);
        wait_until("the log says why", || {
            let said = front.log();
            let mut said = said.lines().filter(|line| line.contains("WARN a user was not made"));
            said.any(|line| line.contains("provision_fields.quota_rule needs {quota}, and there is none"))
        });

        let invalid = Outcome::invalid(provider);
        let mallory = Wanted { user: "mallory", password: "mallory", ..Wanted::default() };
        let unverified = provider.issue(mallory);
        front.expect("not verified", &Door::USUAL, "mallory@example.test", &unverified, &invalid);
        let elsewhere = forged(json!({ "email": NEWCOMER, "quota": 5, "aud": "elsewhere" }));
        front.expect("for another audience", &Door::USUAL, NEWCOMER, &elsewhere, &invalid);
        let good = forged(json!({ "email": NEWCOMER, "quota": 5 }));
        let away = opaque(provider);
        provider.wire().set(Wire::Refused);
        front.expect("nobody to ask", &[Door::Imap], NEWCOMER, &away, &Outcome::Temporary);
        provider.wire().set(Wire::Open);
        assert_eq!(listed(&front), json!([]));

        front.expect("with the claim", &Door::USUAL, NEWCOMER, &good, &Outcome::Enters);
        assert_eq!(listed(&front), json!([NEWCOMER]));
        let shown = told(&user(&front, &["show", NEWCOMER, "--json"], ""));
        assert_eq!(shown["fields"], json!({ "quota_rule": "*:bytes=5" }));
    });
}
