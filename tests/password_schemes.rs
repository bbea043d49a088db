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

use std::{collections::HashMap, sync::Mutex, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost::password::{Cost, Scheme, Stored, Unusable};

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

fn fed(stored: &Stored) -> Vec<u8> {
    let mut fed = Vec::new();
    stored.feed(|piece| fed.extend_from_slice(piece));
    fed
}

/// Texts that differ from this one in a byte.
fn edited(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..text.len()).flat_map(move |at| {
        let (head, tail) = text.split_at(at);
        let byte = tail[0];
        // Another digit of any base, a digit in the other case, a sign that parts fields.
        let others = [byte ^ 1, byte ^ 2, byte ^ 0x20, b'.', b'0', b'A', b'$', b'=', 0xff];
        let replaced = others.into_iter().filter(move |&other| other != byte);
        let replaced = replaced.map(move |other| [head, &[other], &tail[1..]].concat());
        let dropped_and_doubled = [[head, &tail[1..]].concat(), [head, &[byte], tail].concat()];
        replaced.chain(dropped_and_doubled)
    })
}

#[test]
fn what_is_fed_tells_all_hashes_apart_that_differ_in_their_passwords() {
    let mut known: HashMap<Vec<u8>, Row> = HashMap::new();
    let mut same = 0;
    for row in rows() {
        let Ok(stored) = Stored::parse(&row.stored, Scheme::Crypt) else { continue };
        let stored = stored.belonging_to(&row.user);
        if let Some(other) = known.get(&fed(&stored)) {
            assert_eq!(row.password, other.password, "{} and {}", row.name, other.name);
            assert!(stored.matches(&other.password).unwrap());
            same += 1;
        }
        known.insert(fed(&stored), row);
    }
    // Unsalted schemes, under their several names and in their several encodings.
    assert!(same > 100 && known.len() > 300, "{same} of {}", known.len());
}

/// One that still verifies may be fed as before, and one that does not may never.
#[test]
fn what_is_fed_is_another_wherever_a_hash_is_changed() {
    let (mut read, mut same) = (0, 0);
    for row in rows() {
        let Ok(stored) = Stored::parse(&row.stored, Scheme::Crypt) else { continue };
        let before = fed(&stored.belonging_to(&row.user));
        let mut slow = false;
        for text in edited(&row.stored) {
            let Ok(stored) = Stored::parse(&text, Scheme::Crypt) else { continue };
            let stored = stored.belonging_to(&row.user);
            read += 1;
            if fed(&stored) != before || slow {
                continue;
            }
            assert_eq!(stored.matches(&row.password), Ok(true), "{}: {}", row.name, text.escape_ascii());
            // Hashing at every byte would take minutes.
            slow = stored.cost() != Cost::Cheap;
            same += 1;
        }
    }
    assert!(read > 50_000 && same > 1000, "{same} the same of {read}");
}
