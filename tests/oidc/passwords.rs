//! Passwords that the provider checks, and accounts that are made of what it says.

use crate::{
    Bearer, Door, Front, Outcome,
    support::{Place, Provider, Wire, provider::Wanted},
    with_each_debian,
};

const NEWCOMER: &str = "newcomer@example.test";

/// Whoever the provider vouches for has a mailbox.
fn from_claims(place: &Place, provider: &Provider<'_>, lines: &str) -> String {
    let home = place.inside("mail/{local}");
    let fields = format!("[oidc.fields]\nhome = \"{home}\"\nuid = \"5000\"\ngid = \"5000\"\n");
    provider.table(&format!("account = \"from_claims\"\n{lines}{fields}"))
}

#[test]
fn whoever_the_provider_vouches_for_has_a_mailbox_where_it_says_so() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &from_claims(place, provider, ""));
        for format in ["opaque", "RS256"] {
            let wanted = Wanted { user: "newcomer", password: "newcomer", format, ..Wanted::default() };
            front.expect(format, &Door::ALL, NEWCOMER, &provider.issue(wanted), &Outcome::Enters);
        }
        let mut imap = front.dovecot.imap_lines();
        let wanted = Wanted { user: "newcomer", password: "newcomer", ..Wanted::default() };
        Bearer::XOAuth2.imap(&mut imap, NEWCOMER, &provider.issue(wanted), true);
        imap.say("b SELECT INBOX");
        imap.hear_until(|line| line.starts_with("b OK [READ-WRITE]"));
    });
}

#[test]
fn a_password_is_asked_of_the_provider_only_where_it_is_to_be() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &from_claims(place, provider, ""));
        let before = provider.asked("token");
        let answer = front.dovecot.imap().login(NEWCOMER, "newcomer");
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{answer}");
        assert_eq!(provider.asked("token"), before);
    });
}

#[test]
fn the_provider_checks_the_passwords_of_whom_no_directory_knows() {
    with_each_debian(|place, provider| {
        let front = Front::open(place, &from_claims(place, provider, "password_grant = true\n"));
        let login = |user: &str, password: &str| front.dovecot.imap().login(user, password);
        let before = provider.asked("token");
        let answer = login(crate::ALICE, "wonder");
        assert!(answer.starts_with("OK"), "{answer}\n{}", front.log());
        assert_eq!(provider.asked("token"), before, "a directory knows Alice");

        for _ in 0..3 {
            let answer = login(NEWCOMER, "newcomer");
            assert!(answer.starts_with("OK"), "{answer}\n{}", front.log());
        }
        assert_eq!(provider.asked("token"), before + 1, "what was right is remembered");
        for _ in 0..3 {
            let answer = login(NEWCOMER, "wrong");
            assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{answer}\n{}", front.log());
        }
        assert_eq!(provider.asked("token"), before + 2, "and so is what was wrong");

        provider.wire().set(Wire::Refused);
        let answer = login(NEWCOMER, "another");
        assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}\n{}", front.log());
    });
}
