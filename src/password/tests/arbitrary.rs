//! Whatever a row holds, reading it and verifying against it ends, and does not panic.

use proptest::prelude::*;

use crate::password::{Cost, Scheme, Stored};

/// Heads that lead into every parser.
const HEADS: &[&str] = &[
    "",
    "{",
    "{}",
    "{PLAIN}",
    "{CRYPT}",
    "{CRYPT}$1$",
    "{CRYPT}$2y$04$",
    "{CRYPT}$5$",
    "{CRYPT}$5$rounds=1000$",
    "{CRYPT}$6$",
    "{CRYPT}$y$j",
    "{CRYPT}$y$j75$",
    "{ARGON2ID}$argon2id$v=19$",
    "{ARGON2I}$argon2i$v=19$m=8,t=1,p=1$",
    "{CRYPT}$2x$04$",
    "{CRYPT}$3$$",
    "{CRYPT}$7$6",
    "{CRYPT}$gy$j75$",
    "{CRYPT}$md5",
    "{CRYPT}$md5$rounds=1$",
    "{CRYPT}$sha1$1$",
    "{CRYPT}_/...",
    "{CRAM-MD5.b64}",
    "{DIGEST-MD5.b64}",
    "{OTP}sha1 1 a ",
    "{PBKDF2}$1$salt$1$",
    "{PLAIN-MD4}",
    "{SCRAM-SHA-1}1,c2FsdA==,",
    "{SCRAM-SHA-256}1,c2FsdA==,",
    "{SSHA}",
    "{SSHA256.hex}",
    "{MD5}",
    "{PLAIN-MD5}",
    "{SHA512.b64}",
    "{CRYPT.hex}",
    "{ARGON2ID.b64}",
];

fn heads() -> impl Strategy<Value = &'static str> {
    prop::sample::select(HEADS)
}

/// Verifies what costs next to nothing, so that a thousand cases take no time.
fn verify_if_quick(stored: &Stored, password: &[u8]) {
    let [first, second, ..] = stored.work().parameters;
    let quick = match stored.cost() {
        Cost::Cheap => true,
        Cost::Slow { memory_kib: 0 | 5 } => first <= 5000,
        Cost::Slow { memory_kib } => u64::from(memory_kib) * u64::from(second.min(64)) <= 512,
    };
    if quick {
        stored.clone().belonging_to("user@example.org").matches(password).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(
        head in heads(),
        tail in prop::collection::vec(any::<u8>(), 0..120),
        password in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let text = [head.as_bytes(), &tail].concat();
        for default in [Scheme::Plain, Scheme::Crypt, Scheme::Ssha512] {
            if let Ok(stored) = Stored::parse(&text, default) {
                verify_if_quick(&stored, &password);
            }
        }
    }

    #[test]
    fn likely_text_never_panics(
        head in heads(),
        tail in "[./0-9A-Za-z$=,+]{0,100}",
        password in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let text = [head.as_bytes(), tail.as_bytes()].concat();
        if let Ok(stored) = Stored::parse(&text, Scheme::Crypt) {
            verify_if_quick(&stored, &password);
        }
    }

    #[test]
    fn any_yescrypt_parameters_are_refused_or_work(parameters in "j[./0-9A-Za-z]{2,8}") {
        let text = format!("{{CRYPT}}$y${parameters}$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA");
        if let Ok(stored) = Stored::parse(text.as_bytes(), Scheme::Plain)
            && let Cost::Slow { memory_kib: ..=2048 } = stored.cost()
        {
            prop_assert!(stored.matches(b"secret").is_ok());
        }
    }

    #[test]
    fn any_argon2_parameters_are_refused_or_work(m in 0_u32..600, t in 0_u32..4, p in 0_u32..70) {
        let text = format!("$argon2id$v=19$m={m},t={t},p={p}$ykRgktSHRWk2rAiaxaCSRQ$RH530r/qWdyQlpOndH6zYA");
        if let Ok(stored) = Stored::parse(text.as_bytes(), Scheme::Argon2id) {
            prop_assert_eq!(stored.matches(b"secret"), Ok(false));
        }
    }

    #[test]
    fn a_plain_password_is_itself_and_nothing_else(password in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        let stored = Stored::parse(&[b"{PLAIN}".as_slice(), &password].concat(), Scheme::Crypt).unwrap();
        prop_assert_eq!(stored.matches(&password), Ok(true));
        prop_assert_eq!(stored.matches(&other), Ok(password == other));
    }
}
