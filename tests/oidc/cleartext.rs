//! Mail servers with a certificate, and programs that send a token without TLS.

use crate::{
    ALICE, Bearer, Front, certify,
    support::{Lines, Smtpd},
    with_each_debian,
};

#[test]
fn a_token_that_comes_without_tls_is_refused_and_nobody_is_asked_about_it() {
    with_each_debian(|place, provider| {
        certify(place);
        let front = Front::open_over_tls(place, &provider.table(""));
        let token = provider.opaque();

        let offered = front.dovecot.imap().lines_of("CAPABILITY").join(" ");
        assert!(offered.contains(" LOGINDISABLED") && !offered.contains("AUTH="), "{offered}");
        let mut sieve = front.dovecot.sieve();
        sieve.say("CAPABILITY");
        let offered = sieve.hear_until(|line| line.starts_with("OK")).join(" ");
        assert!(offered.contains("\"SASL\" \"\"") && offered.contains("\"STARTTLS\""), "{offered}");
        let mut smtp = front.postfix.connect_unheard(Smtpd::Submission);
        smtp.expect("220");
        smtp.say("EHLO client.example.test");
        let offered = smtp.hear_until(|line| line.starts_with("250 ")).join(" ");
        assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");

        // As webmail does, which does not look at what is offered.
        for bearer in Bearer::ALL {
            let (name, response) = (bearer.name(), bearer.response(ALICE, &token));
            let mut imap: Lines = front.dovecot.imap_lines();
            imap.say(&format!("a AUTHENTICATE {name} {response}"));
            let told = imap.hear_until(|line| line.starts_with("a ")).join(" ");
            assert!(told.contains("a NO [PRIVACYREQUIRED]"), "{told}");
            sieve.ask(&format!("AUTHENTICATE \"{name}\" \"{response}\""), "NO");
            smtp.ask(&format!("AUTH {name} {response}"), "530 ");
        }
        assert_eq!(provider.asked("introspection"), 0);
        assert!(!front.log().contains("auth decided"), "{}", front.log());
    });
}
