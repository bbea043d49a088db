//! From the first response to the claim.

use gatepost_protocol::{dovecot::MechFlag, secret::Secret};

use super::{Breach, Circumstances, Claim, Credential, Mechanism, Step};
use crate::password::{Evidence, Scheme, Stored, Verdict};

fn secret(text: &[u8]) -> Secret {
    Secret::new(text.to_vec())
}

fn claim(step: Step) -> Claim {
    match step {
        Step::Claim(claim) => claim,
        other => panic!("expected a claim, got {other:?}"),
    }
}

#[test]
fn names_are_found_in_any_case() {
    assert_eq!(Mechanism::named(b"plain"), Some(Mechanism::Plain));
    assert_eq!(Mechanism::named(b"Login"), Some(Mechanism::Login));
    assert_eq!(Mechanism::named(b"scram-sha-256-plus"), Some(Mechanism::ScramSha256Plus));
    assert_eq!(Mechanism::named(b"GSSAPI"), None);
}

#[test]
fn plain_asks_with_an_empty_challenge_when_nothing_was_sent_along() {
    let Step::Challenge(prompt, exchange) = Mechanism::Plain.start(None, Circumstances::default()).unwrap()
    else {
        panic!("claim")
    };
    assert_eq!(&*prompt, b"");
    let claim = claim(exchange.step(secret(b"\0alice\0secret"), None).unwrap());
    assert_eq!(
        (claim.authcid.as_slice(), claim.credential.password().unwrap().expose()),
        (&b"alice"[..], &b"secret"[..])
    );
}

#[test]
fn plain_treats_an_equal_authzid_as_none() {
    let table: &[(&[u8], Option<&[u8]>)] = &[(b"\0a\0x", None), (b"a\0a\0x", None), (b"b\0a\0x", Some(b"b"))];
    for (response, authzid) in table {
        let claim = claim(Mechanism::Plain.start(Some(secret(response)), Circumstances::default()).unwrap());
        assert_eq!(claim.authzid.as_deref(), *authzid);
    }
}

#[test]
fn login_asks_twice_or_once_if_the_name_came_along() {
    let Step::Challenge(prompt, exchange) = Mechanism::Login.start(None, Circumstances::default()).unwrap()
    else {
        panic!("claim")
    };
    assert_eq!(&*prompt, b"Username:");
    let Step::Challenge(prompt, exchange) = exchange.step(secret(b"alice"), None).unwrap() else {
        panic!("claim")
    };
    assert_eq!(&*prompt, b"Password:");
    let done = claim(exchange.step(secret(b"secret"), None).unwrap());
    assert_eq!(
        (done.authcid.as_slice(), done.credential.password().unwrap().expose()),
        (&b"alice"[..], &b"secret"[..])
    );

    let Step::Challenge(prompt, _) =
        Mechanism::Login.start(Some(secret(b"alice")), Circumstances::default()).unwrap()
    else {
        panic!("claim")
    };
    assert_eq!(&*prompt, b"Password:");
}

#[test]
fn no_name_of_8_kib_is_kept_while_the_password_is_waited_for() {
    assert!(Mechanism::Login.start(Some(secret(&[b'x'; 1024])), Circumstances::default()).is_ok());
    assert!(Mechanism::Login.start(Some(secret(&[b'x'; 1025])), Circumstances::default()).is_err());
}

#[test]
fn a_nul_never_cuts_a_password_short() {
    assert!(
        Mechanism::Plain.start(Some(secret(b"\0alice\0secret\0junk")), Circumstances::default()).is_err()
    );
    assert!(Mechanism::Plain.start(Some(secret(b"alice\0secret")), Circumstances::default()).is_err());
    let Step::Challenge(_, exchange) =
        Mechanism::Login.start(Some(secret(b"alice")), Circumstances::default()).unwrap()
    else {
        panic!("claim")
    };
    assert!(exchange.step(secret(b"secret\0junk"), None).is_err());
    assert!(Mechanism::Login.start(Some(secret(b"ali\0ce")), Circumstances::default()).is_err());
}

#[test]
fn cram_md5_asks_another_question_each_time_and_takes_no_answer_before() {
    let ask = || match Mechanism::CramMd5.start(None, Circumstances::default()) {
        Ok(Step::Challenge(challenge, exchange)) => (challenge, exchange),
        other => panic!("{other:?}"),
    };
    let ((one, exchange), (two, _)) = (ask(), ask());
    assert!(one.starts_with(b"<") && one.ends_with(b"@localhost>"), "{}", one.escape_ascii());
    assert_ne!(one, two);
    let response = b"tim t. b913a602c7eda7a495b4e6e7334d3890";
    assert_eq!(claim(exchange.step(secret(response), None).unwrap()).authcid, b"tim t.");
    let early = Mechanism::CramMd5.start(Some(secret(response)), Circumstances::default());
    assert!(matches!(early, Err(Breach::Grammar)));
}

/// The example of RFC 2195.
#[test]
fn cram_md5_is_verified_from_the_password() {
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>".as_slice();
    let digest = 0xb913_a602_c7ed_a7a4_95b4_e6e7_334d_3890_u128.to_be_bytes();
    let evidence = |challenge: &[u8]| Evidence::CramMd5 { challenge: challenge.into(), digest };
    let verdict = |stored: &str, challenge: &[u8]| {
        let stored = Stored::parse(stored.as_bytes(), Scheme::Plain).unwrap();
        stored.proven_by(&evidence(challenge)).unwrap()
    };
    assert!(verdict("{PLAIN}tanstaaftanstaaf", challenge) == Verdict::Match(None));
    assert!(verdict("{PLAIN}tanstaaftanstaaF", challenge) == Verdict::Mismatch);
    assert!(verdict("{PLAIN}tanstaaftanstaaf", b"<another>") == Verdict::Mismatch);
    assert!(verdict("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", challenge) == Verdict::Unable);
    // HMAC fills a key up with NULs, so that the same is made of both.
    assert!(verdict("{PLAIN}tanstaaftanstaaf\0", challenge) == Verdict::Mismatch);
}

/// CVE-2019-3814: a certificate without a name, and the name that was sent along was believed.
#[test]
fn external_takes_the_name_from_the_certificate_and_from_nowhere_else() {
    let start = |certificate: Option<&[u8]>, response: &[u8]| {
        Mechanism::External
            .start(Some(secret(response)), Circumstances { certificate, ..Circumstances::default() })
    };
    for certificate in [None, Some(&b""[..])] {
        for response in [&b""[..], b"alice", b"root"] {
            assert!(matches!(start(certificate, response), Err(Breach::NoCertificate)));
        }
    }
    for (response, authzid) in [(&b""[..], None), (b"alice", None), (b"bob", Some(&b"bob"[..]))] {
        let claim = claim(start(Some(b"alice"), response).unwrap());
        assert_eq!((claim.authcid.as_slice(), claim.authzid.as_deref()), (&b"alice"[..], authzid));
        assert!(matches!(claim.credential, Credential::Certificate));
    }
    assert!(matches!(start(Some(b"alice"), b"bob\0"), Err(Breach::Grammar)));
    let Step::Challenge(prompt, _) = Mechanism::External.start(None, Circumstances::default()).unwrap()
    else {
        panic!("claim")
    };
    assert_eq!(&*prompt, b"");
}

#[test]
fn anonymous_leads_to_its_account_if_there_is_one() {
    let start = |anonymous, response: &[u8]| {
        Mechanism::Anonymous
            .start(Some(secret(response)), Circumstances { anonymous, ..Circumstances::default() })
    };
    assert!(matches!(start(None, b""), Err(Breach::NobodyAnonymous)));
    let claim = claim(start(Some("guest"), b"sirhc@example.org").unwrap());
    assert_eq!(
        (claim.authcid.as_slice(), claim.credential.trace()),
        (&b"guest"[..], Some("sirhc@example.org"))
    );
    assert!(matches!(start(Some("guest"), b"\xff"), Err(Breach::Grammar)));
}

/// The name in it, which may be none, and the token.
fn token_claim(mechanism: Mechanism, response: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let claim = claim(mechanism.start(Some(secret(response)), Circumstances::default()).unwrap());
    assert_eq!(claim.authzid, None);
    (claim.authcid, claim.credential.token().unwrap().expose().to_vec())
}

#[test]
fn a_token_comes_with_a_name_or_without_one() {
    let (bearer, xoauth2) = (Mechanism::OAuthBearer, Mechanism::XOAuth2);
    let table: [(Mechanism, &[u8], &[u8]); 6] = [
        (
            bearer,
            b"n,a=alice@example.org,\x01host=h\x01port=993\x01auth=Bearer tok\x01\x01",
            b"alice@example.org",
        ),
        (bearer, b"y,a=a=2Cb,\x01auth=Bearer tok\x01\x01", b"a,b"),
        (bearer, b"n,,\x01auth=Bearer tok\x01\x01", b""),
        (xoauth2, b"user=alice@example.org\x01auth=Bearer tok\x01\x01", b"alice@example.org"),
        (xoauth2, b"user=\x01auth=Bearer tok\x01\x01", b""),
        (xoauth2, b"auth=Bearer tok\x01\x01", b""),
    ];
    for (mechanism, response, name) in table {
        assert_eq!(token_claim(mechanism, response), (name.to_vec(), b"tok".to_vec()), "{mechanism}");
    }
}

#[test]
fn a_token_is_asked_for_with_an_empty_challenge_and_no_other_response_is_one() {
    let one: &[u8] = b"n,a=alice,\x01auth=Bearer tok\x01\x01";
    let other: &[u8] = b"user=alice\x01auth=Bearer tok\x01\x01";
    for (mechanism, own, others) in [(Mechanism::OAuthBearer, one, other), (Mechanism::XOAuth2, other, one)] {
        let begin = || match mechanism.start(None, Circumstances::default()) {
            Ok(Step::Challenge(prompt, exchange)) if prompt.is_empty() => exchange,
            other => panic!("{other:?}"),
        };
        assert_eq!(begin().mechanism(), mechanism);
        assert!(matches!(begin().step(secret(own), None), Ok(Step::Claim(_))));
        // What follows a refusal begins nothing, and neither does a password.
        for response in [others, b"", b"\x01", b"\0alice\0secret", b"alice"] {
            assert_eq!(begin().step(secret(response), None).unwrap_err(), Breach::Grammar, "{mechanism}");
        }
    }
}

#[test]
fn a_token_of_9_kib_is_taken_and_no_longer_one() {
    for (mechanism, before) in [(Mechanism::OAuthBearer, "n,,\x01"), (Mechanism::XOAuth2, "")] {
        for (size, good) in [(9216, true), (9217, false)] {
            let mut response = format!("{before}auth=Bearer ").into_bytes();
            response.resize(size - 2, b'x');
            response.extend_from_slice(b"\x01\x01");
            let step = mechanism.start(Some(secret(&response)), Circumstances::default());
            assert_eq!(step.is_ok(), good, "{mechanism} {size}");
        }
    }
}

#[test]
fn nobody_is_offered_to_log_in_with_tokens_unasked() {
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        assert!(!Mechanism::DEFAULT.contains(&mechanism) && Mechanism::ALL.contains(&mechanism));
        assert_eq!(mechanism.flags(), [MechFlag::Plaintext]);
        assert_eq!(Mechanism::named(mechanism.name().to_lowercase().as_bytes()), Some(mechanism));
    }
}

#[test]
fn only_what_sends_the_password_has_one_to_hand_on() {
    let password = Credential::Password(secret(b"secret"));
    assert!(password.password().is_some());
    assert!(Credential::Certificate.password().is_none());
    assert!(Credential::Anonymous { trace: None }.password().is_none());
    let evidence = Evidence::CramMd5 { challenge: Box::default(), digest: [0; 16] };
    assert!(Credential::Evidence(evidence.into()).password().is_none());
    let token = Credential::Token(secret(b"tok"));
    assert!(token.password().is_none() && token.token().is_some() && password.token().is_none());
    assert!(!format!("{token:?}").contains("tok"));
}
