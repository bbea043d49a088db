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

use std::{sync::Mutex, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost::password::{Scheme, Stored, Unusable};

const VECTORS: &str = include_str!("vectors/password-schemes.tsv");

/// Rows that are verified here: all but those of [`UNSUPPORTED`].
const VERIFIED: usize = 563;

/// Schemes that are not, with their rows and the reason, written down by name so that none can drop out unseen.
///
/// LANMAN, NTLM, RPA and SKEY have no rows: the Dovecot that made the others does not know them any more.
const UNSUPPORTED: [(&str, usize, &str); 1] =
    [("PLAIN-TRUNC", 9, "doveadm writes it without the length that Dovecot then misses when it verifies")];

struct Row {
    name: String,
    label: String,
    password: Vec<u8>,
    user: String,
    stored: Vec<u8>,
    verified_by_dovecot: bool,
}

fn rows() -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields.len(), 8, "{line}");
        Row {
            name: format!("{} {}", fields[0], fields[1]),
            label: fields[1].to_owned(),
            password: STANDARD.decode(fields[2]).unwrap(),
            user: fields[3].to_owned(),
            stored: STANDARD.decode(fields[4]).unwrap(),
            verified_by_dovecot: fields[6] == "verified",
        }
    };
    VECTORS.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Another password, different where every scheme still looks: DES ignores what comes after 8 bytes, bcrypt after 72, and
/// the defect of `$2x$` hides a byte before one that is negative.
fn changed(password: &[u8], label: &str) -> Vec<u8> {
    let mut password = password.to_vec();
    match password.first_mut() {
        Some(first) if !label.starts_with("bcrypt2x") => *first ^= 2,
        _ => password.insert(0, b'x'),
    }
    password
}

#[test]
fn every_hash_of_a_supported_scheme_verifies_and_every_other_is_unknown() {
    let rows = rows();
    let verified = Mutex::new(0);
    let unsupported = Mutex::new(UNSUPPORTED.map(|(scheme, _, _)| (scheme, 0)));
    let queue = Mutex::new(rows.iter());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                loop {
                    let Some(row) = queue.lock().unwrap().next() else { return };
                    match Stored::parse(&row.stored, Scheme::Crypt) {
                        Ok(stored) => {
                            let stored = stored.belonging_to(&row.user);
                            assert!(row.verified_by_dovecot, "{}", row.name);
                            assert_eq!(stored.matches(&row.password), Ok(true), "{}", row.name);
                            let other = changed(&row.password, &row.label);
                            assert_eq!(stored.matches(&other), Ok(false), "{}", row.name);
                            *verified.lock().unwrap() += 1;
                        }
                        Err(Unusable::UnknownScheme { scheme }) => {
                            assert!(!row.verified_by_dovecot, "{}", row.name);
                            let mut unsupported = unsupported.lock().unwrap();
                            let entry = unsupported.iter_mut().find(|(known, _)| *known == scheme);
                            entry.unwrap_or_else(|| panic!("{}: {scheme}", row.name)).1 += 1;
                        }
                        Err(other) => panic!("{}: {other}", row.name),
                    }
                }
            });
        }
    });
    assert_eq!(*verified.lock().unwrap(), VERIFIED);
    assert_eq!(*unsupported.lock().unwrap(), UNSUPPORTED.map(|(scheme, rows, _)| (scheme, rows)));
    assert_eq!(rows.len(), VERIFIED + UNSUPPORTED.iter().map(|(_, rows, _)| rows).sum::<usize>());
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
            let stored = stored.belonging_to(&row.user);
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
