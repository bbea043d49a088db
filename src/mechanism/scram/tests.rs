//! The exchanges of the RFCs, and everything that somebody in the middle may try.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost_protocol::secret::Secret;

use super::{Sought, client::prove, farewell};
use crate::{
    mechanism::{Breach, Circumstances, Claim, Credential, Exchange, Mechanism, Step},
    password::{Scheme, ScramHash, Stored, Terms, Verdict},
};

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn start(mechanism: Mechanism, first: &str, binding_offered: bool) -> Result<Step, Breach> {
    mechanism.start(Some(secret(first)), Circumstances { binding_offered, ..Circumstances::default() })
}

fn terms(salt: &str) -> Terms {
    Terms { salt: STANDARD.decode(salt).unwrap().into(), iterations: 4096 }
}

/// Goes on to the second message, with a nonce of the server that is known.
fn challenge(mechanism: Mechanism, first: &str, salt: &str, nonce: &str) -> (String, Exchange) {
    let Ok(Step::Ask(_, seeking)) = start(mechanism, first, false) else { panic!("{first}") };
    let Ok(Step::Challenge(challenge, exchange)) = seeking.answer(terms(salt), nonce) else {
        panic!("{first}")
    };
    (String::from_utf8(challenge.into_owned()).unwrap(), exchange)
}

fn claim(step: Result<Step, Breach>) -> Claim {
    match step {
        Ok(Step::Claim(claim)) => claim,
        other => panic!("expected a claim, got {other:?}"),
    }
}

fn verdict(claim: &Claim, stored: &str) -> Verdict {
    let Credential::Evidence(evidence) = &claim.credential else { panic!("{claim:?}") };
    Stored::parse(stored.as_bytes(), Scheme::Plain).unwrap().proven_by(evidence).unwrap()
}

struct Example {
    mechanism: Mechanism,
    hash: ScramHash,
    first: &'static str,
    nonce: &'static str,
    salt: &'static str,
    challenge: &'static str,
    last: &'static str,
    answer: &'static str,
}

/// RFC 5802 section 5, and RFC 7677 section 3.
const EXAMPLES: [Example; 2] = [
    Example {
        mechanism: Mechanism::ScramSha1,
        hash: ScramHash::Sha1,
        first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        challenge: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        last: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        answer: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Example {
        mechanism: Mechanism::ScramSha256,
        hash: ScramHash::Sha256,
        first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        challenge: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        last: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        answer: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
];

#[test]
fn the_exchanges_of_the_rfcs_end_as_they_say() {
    for example in EXAMPLES {
        let Ok(Step::Ask(sought, _)) = start(example.mechanism, example.first, false) else {
            panic!("an answer")
        };
        assert_eq!(sought, Sought { name: b"user".to_vec(), authzid: None, hash: example.hash });
        let (said, exchange) = challenge(example.mechanism, example.first, example.salt, example.nonce);
        assert_eq!(said, example.challenge);
        assert_eq!((exchange.mechanism(), exchange.binding()), (example.mechanism, None));
        let claim = claim(exchange.step(secret(example.last), None));
        assert_eq!((claim.authzid.as_deref(), claim.authcid.as_slice()), (None, &b"user"[..]));
        let Verdict::Match(Some(signature)) = verdict(&claim, "{PLAIN}pencil") else { panic!("no match") };
        assert_eq!(farewell(&signature), example.answer.as_bytes());
        assert!(verdict(&claim, "{PLAIN}Pencil") == Verdict::Mismatch);
        assert!(verdict(&claim, "{PLAIN}") == Verdict::Mismatch);
        assert!(verdict(&claim, "{PLAIN}pencil\0") == Verdict::Mismatch);
        assert!(verdict(&claim, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=") == Verdict::Unable);
    }
}

/// The keys that `doveadm pw` makes do as well as the password.
#[test]
fn stored_keys_verify_a_proof_and_those_of_another_function_do_not() {
    let password = "secret";
    let keys = "{SCRAM-SHA-256}4096,nlTHw+0il1o99qAVxl7kTw==,r7RFzH7RbjAv2izJ0p3zKJCqO93uOTyIxDfySwzTT/o=,0pohWniH1mn3+wmfCOizhyxBI7epIYB0L/EUcvga8eQ=";
    let stored = Stored::parse(keys.as_bytes(), Scheme::Plain).unwrap();
    let told = stored.scram_terms(ScramHash::Sha256).unwrap();
    assert_eq!((STANDARD.encode(&told.salt).as_str(), told.iterations), ("nlTHw+0il1o99qAVxl7kTw==", 4096));
    assert_eq!(stored.scram_terms(ScramHash::Sha1), None);

    let (said, exchange) =
        challenge(Mechanism::ScramSha256, "n,,n=u,r=abc", "nlTHw+0il1o99qAVxl7kTw==", "def");
    let last = proof(password, "n=u,r=abc", &said, "c=biws,r=abcdef");
    let claim = claim(exchange.step(secret(&last), None));
    let Verdict::Match(Some(from_keys)) = verdict(&claim, keys) else { panic!("no match") };
    let Verdict::Match(Some(from_password)) = verdict(&claim, "{PLAIN}secret") else { panic!("no match") };
    assert_eq!(from_keys, from_password);
    let sha1 = "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=";
    assert!(verdict(&claim, sha1) == Verdict::Unable);
}

fn proof(password: &str, bare: &str, challenge: &str, without_proof: &str) -> String {
    prove(password, bare, challenge, without_proof).0
}

#[test]
fn a_bound_exchange_takes_the_data_of_its_channel_and_no_other() {
    let first = "p=tls-exporter,,n=u,r=abc";
    let header = b"p=tls-exporter,,";
    let data = b"0123456789abcdef0123456789abcdef";
    let without = |data: &[u8]| format!("c={},r=abcdef", STANDARD.encode([header, data].concat()));
    let last = |without: &str, said: &str| proof("secret", "n=u,r=abc", said, without);
    let begin = || challenge(Mechanism::ScramSha256Plus, first, "AAAA", "def");
    let channel = |data: &[u8]| Some(Secret::new(data.to_vec()));

    let (said, exchange) = begin();
    assert_eq!(exchange.binding(), Some("tls-exporter"));
    let claim = claim(exchange.step(secret(&last(&without(data), &said)), channel(data)));
    assert!(matches!(verdict(&claim, "{PLAIN}secret"), Verdict::Match(Some(_))));

    // Somebody in the middle: their channel to us is not the client's to them.
    for (signed, ours) in [
        (&data[..], channel(b"another channel")),
        (b"another channel", channel(data)),
        (b"", channel(data)),
        (data, None),
        (b"", channel(b"")),
        (b"", None),
    ] {
        let (said, exchange) = begin();
        let refused = exchange.step(secret(&last(&without(signed), &said)), ours);
        assert!(matches!(refused, Err(Breach::ChannelBinding)), "{}", signed.escape_ascii());
    }
}

#[test]
fn a_header_that_was_not_sent_first_is_refused_at_the_end() {
    for header in ["y,,", "n,a=u,", "n,", "p=tls-exporter,,", "n,,x"] {
        let (said, exchange) = challenge(Mechanism::ScramSha256, "n,,n=u,r=abc", "AAAA", "def");
        let without = format!("c={},r=abcdef", STANDARD.encode(header));
        let refused = exchange.step(secret(&proof("secret", "n=u,r=abc", &said, &without)), None);
        assert!(matches!(refused, Err(Breach::ChannelBinding)), "{header}");
    }
    // Unasked for.
    let (said, exchange) = challenge(Mechanism::ScramSha256, "n,,n=u,r=abc", "AAAA", "def");
    let last = proof("secret", "n=u,r=abc", &said, "c=biws,r=abcdef");
    assert!(matches!(exchange.step(secret(&last), Some(secret("x"))), Err(Breach::ChannelBinding)));
}

/// RFC 5802 section 6: a client that could bind says so, and one that saw the offer would have taken it.
#[test]
fn an_offer_that_was_taken_away_is_noticed() {
    let table = [
        (Mechanism::ScramSha256, "n,,", true, true),
        (Mechanism::ScramSha256, "n,,", false, true),
        (Mechanism::ScramSha256, "y,,", false, true),
        (Mechanism::ScramSha256, "y,,", true, false),
        (Mechanism::ScramSha256, "p=tls-exporter,,", true, false),
        (Mechanism::ScramSha256Plus, "p=tls-exporter,,", false, true),
        (Mechanism::ScramSha256Plus, "p=tls-unique,,", false, true),
        (Mechanism::ScramSha256Plus, "p=tls-server-end-point,,", false, false),
        (Mechanism::ScramSha256Plus, "n,,", false, false),
        (Mechanism::ScramSha256Plus, "y,,", false, false),
    ];
    for (mechanism, header, offered, good) in table {
        let step = start(mechanism, &format!("{header}n=u,r={NONCE}"), offered);
        match step {
            Ok(Step::Ask(..)) => assert!(good, "{mechanism} {header}"),
            other => assert!(!good && matches!(other, Err(Breach::ChannelBinding)), "{mechanism} {header}"),
        }
    }
}

#[test]
fn the_nonce_is_new_each_time_and_both_halves_come_back() {
    let begin = || {
        let Ok(Step::Ask(_, seeking)) = start(Mechanism::ScramSha256, "n,,n=u,r=abc", false) else {
            panic!()
        };
        let Ok(Step::Challenge(said, exchange)) = seeking.told(terms("AAAA")) else { panic!() };
        (String::from_utf8(said.into_owned()).unwrap(), exchange)
    };
    let ((one, exchange), (two, _)) = (begin(), begin());
    let nonce = |said: &str| said.strip_prefix("r=abc").unwrap().split(',').next().unwrap().to_owned();
    assert_eq!(nonce(&one).len(), 24);
    assert_ne!(nonce(&one), nonce(&two));
    for other in ["abc".to_owned(), format!("abc{}", nonce(&two)), format!("abd{}", nonce(&one)), nonce(&one)]
    {
        let (said, exchange) = begin();
        let last = proof("secret", "n=u,r=abc", &said, &format!("c=biws,r={other}"));
        assert!(matches!(exchange.step(secret(&last), None), Err(Breach::Grammar)), "{other}");
    }
    let last = proof("secret", "n=u,r=abc", &one, &format!("c=biws,r=abc{}", nonce(&one)));
    assert!(matches!(
        verdict(&claim(exchange.step(secret(&last), None)), "{PLAIN}secret"),
        Verdict::Match(_)
    ));
}

#[test]
fn a_proof_of_another_length_proves_nothing() {
    for length in [0_usize, 1, 31, 33, 64] {
        let (_, exchange) = challenge(Mechanism::ScramSha256, "n,,n=u,r=abc", "AAAA", "def");
        let last = format!("c=biws,r=abcdef,p={}", STANDARD.encode(vec![0; length]));
        match exchange.step(secret(&last), None) {
            Ok(Step::Claim(claim)) => {
                assert!(verdict(&claim, "{PLAIN}secret") == Verdict::Mismatch, "{length}")
            }
            other => assert!(length == 0 && matches!(other, Err(Breach::Grammar)), "{length}"),
        }
    }
}

#[test]
fn whom_they_want_to_be_is_told_apart_from_who_they_are() {
    for (header, authzid) in [("n,,", None), ("n,a=u,", None), ("n,a=boss,", Some(&b"boss"[..]))] {
        let bare = "n=u,r=abc";
        let (said, exchange) = challenge(Mechanism::ScramSha256, &format!("{header}{bare}"), "AAAA", "def");
        let without = format!("c={},r=abcdef", STANDARD.encode(header));
        let claim = claim(exchange.step(secret(&proof("secret", bare, &said, &without)), None));
        assert_eq!(claim.authzid.as_deref(), authzid);
    }
}

#[test]
fn no_long_first_message_is_kept() {
    let first = |length: usize| format!("n,,n=u,r={}", "x".repeat(length - 9));
    assert!(start(Mechanism::ScramSha256, &first(1024), false).is_ok());
    assert!(start(Mechanism::ScramSha256, &first(1025), false).is_err());
}
