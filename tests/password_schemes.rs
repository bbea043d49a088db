//! Real hashes from `doveadm pw` (Dovecot 2.3.19) and libxcrypt 4.4.33, all checked back with `doveadm pw -t`.
//!
//! Columns: scheme, label, password in base64, user, stored password in base64, the same as text, verdict of
//! `doveadm pw -t`, and the command that made it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where something is not as it should be"
)]

use std::{collections::BTreeMap, sync::Mutex, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost::password::{Scheme, Stored, Unusable};

const VECTORS: &str = include_str!("vectors/password-schemes.tsv");

/// Rows of schemes that are verified here, and rows of schemes that are not.
const VERIFIED: usize = 372;
const UNSUPPORTED: usize = 200;

struct Row {
    name: String,
    password: Vec<u8>,
    stored: Vec<u8>,
    verified_by_dovecot: bool,
}

fn rows() -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields.len(), 8, "{line}");
        Row {
            name: format!("{} {}", fields[0], fields[1]),
            password: STANDARD.decode(fields[2]).unwrap(),
            stored: STANDARD.decode(fields[4]).unwrap(),
            verified_by_dovecot: fields[6] == "verified",
        }
    };
    VECTORS.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Another password, different where every scheme still looks: bcrypt ignores what comes after 72 bytes.
fn changed(password: &[u8]) -> Vec<u8> {
    let mut password = password.to_vec();
    match password.first_mut() {
        Some(first) => *first ^= 2,
        None => password.push(b'x'),
    }
    password
}

#[test]
fn every_hash_of_a_supported_scheme_verifies_and_every_other_is_unknown() {
    let rows = rows();
    let verified = Mutex::new(0);
    let unsupported = Mutex::new(BTreeMap::new());
    let queue = Mutex::new(rows.iter());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                loop {
                    let Some(row) = queue.lock().unwrap().next() else { return };
                    match Stored::parse(&row.stored, Scheme::Crypt) {
                        Ok(stored) => {
                            assert!(row.verified_by_dovecot, "{}", row.name);
                            assert_eq!(stored.matches(&row.password), Ok(true), "{}", row.name);
                            assert_eq!(stored.matches(&changed(&row.password)), Ok(false), "{}", row.name);
                            *verified.lock().unwrap() += 1;
                        }
                        Err(Unusable::UnknownScheme { scheme }) => {
                            *unsupported.lock().unwrap().entry(scheme).or_insert(0) += 1;
                        }
                        Err(other) => panic!("{}: {other}", row.name),
                    }
                }
            });
        }
    });
    assert_eq!(*verified.lock().unwrap(), VERIFIED);
    // What is not supported is written down here by name, so that a scheme cannot drop out unseen.
    let expected = BTreeMap::from([
        ("CRAM-MD5", 15),
        ("CRYPT with $2x$ (bcrypt with a known defect)", 9),
        ("CRYPT with $3$ (NT hash)", 9),
        ("CRYPT with $7$ (scrypt)", 9),
        ("CRYPT with $gy$ (GOST yescrypt)", 9),
        ("CRYPT with $md5 (SunMD5)", 9),
        ("CRYPT with $sha1$", 9),
        ("CRYPT with _ (extended DES)", 9),
        ("CRYPT without a $prefix$ (traditional DES)", 9),
        ("DES-CRYPT", 9),
        ("DIGEST-MD5", 15),
        ("HMAC-MD5", 15),
        ("OTP", 9),
        ("PBKDF2", 16),
        ("PLAIN-MD4", 15),
        ("PLAIN-TRUNC", 9),
        ("SCRAM-SHA-1", 9),
        ("SCRAM-SHA-256", 16),
    ]);
    assert_eq!(*unsupported.lock().unwrap(), expected);
    assert_eq!(expected.values().sum::<usize>(), UNSUPPORTED);
    assert_eq!(rows.len(), VERIFIED + UNSUPPORTED);
}

/// Padding is the one part that a base64 text may lose.
#[test]
fn a_hash_cut_off_anywhere_does_not_verify() {
    let mut cut = 0;
    for row in rows() {
        let scheme = row.name.split(['.', ' ']).next().unwrap_or_default();
        let text = row.stored.strip_suffix(b"=").unwrap_or(&row.stored);
        let text = text.strip_suffix(b"=").unwrap_or(text);
        for end in 0..text.len() {
            let Ok(stored) = Stored::parse(&text[..end], Scheme::Crypt) else { continue };
            match scheme {
                // A password cut off is another password, and argon2 is too slow to try at every byte.
                "PLAIN" | "CLEAR" | "CLEARTEXT" | "ARGON2I" | "ARGON2ID" => {}
                _ if scheme.ends_with("CRYPT") => assert!(stored.is_locked(), "{} cut at {end}", row.name),
                _ => assert_eq!(stored.matches(&row.password), Ok(false), "{} cut at {end}", row.name),
            }
            cut += 1;
        }
    }
    assert!(cut > 1000, "only {cut} were read at all");
}
