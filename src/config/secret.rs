//! Secrets of the configuration: written out, in a file, or among systemd's credentials.
//!
//! No message in here holds a byte of a secret, nor the value of the keys that name one: whoever confuses
//! `password` with `password_file` has written the password there.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use gatepost_protocol::secret::Secret;
use zeroize::Zeroize;

use super::{problem::Wrong, reader::Reader};

/// Longest secret in a file, in bytes. Keys and tokens fit; a wrong path to something huge does not.
const LIMIT: u64 = 64 * 1024;

/// The secret `key` of a table: `key`, `key_file` or `key_credential`, at most one of them. `None` both where
/// there is none and where something is wrong with it.
pub(super) fn secret(reader: &mut Reader<'_>, key: &str, credentials: Option<&Path>) -> Option<Secret> {
    let [in_file, in_credential] = [format!("{key}_file"), format!("{key}_credential")];
    let plain = reader.text(key, |text| usable(text.as_bytes().to_vec()));
    let from_file = reader.text(&in_file, from_file);
    let from_credential = reader.text(&in_credential, |name| from_credential(name, credentials));
    let given: Vec<&str> =
        [key, &in_file, &in_credential].into_iter().filter(|key| reader.has(key)).collect();
    if let [first, more @ ..] = given.as_slice() {
        for other in more {
            let what = format!("is a second source of one secret, besides {first}");
            reader.wrong(other, Wrong::new(what, "keep one of them"));
        }
    }
    plain.or(from_file).or(from_credential)
}

/// The content of a file that not everybody may read.
fn from_file(path: &str) -> Result<Secret, Wrong> {
    if !path.starts_with('/') {
        return Err(Wrong::new(
            "is no absolute path",
            "write the whole path of the secret's file, from / on",
        ));
    }
    let mut file = open(Path::new(path))?;
    // Of the file that was opened, not of whatever has this name by now.
    let mode = file.metadata().map_err(|error| unreadable(&error))?.mode();
    if mode & 0o007 != 0 {
        return Err(Wrong::new(
            format!("names a file that everybody on this machine can get at (mode {:04o})", mode & 0o777),
            "take that away with `chmod o= FILE`, and change the secret if it has been so for long",
        ));
    }
    read(&mut file)
}

/// A credential that systemd has put where only this service can read it.
fn from_credential(name: &str, directory: Option<&Path>) -> Result<Secret, Wrong> {
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Wrong::new("is no name of a credential", "write the name alone, as in LoadCredential="));
    }
    let Some(directory) = directory else {
        return Err(Wrong::new(
            "needs systemd's credentials, and $CREDENTIALS_DIRECTORY is not set",
            "add LoadCredential=NAME:PATH to the unit; commands see it as root while the service runs",
        ));
    };
    read(&mut open(&directory.join(name))?)
}

fn open(path: &Path) -> Result<File, Wrong> {
    // Without O_NONBLOCK a FIFO would be waited for, and a device could be read for ever.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    let file = file.map_err(|error| unreadable(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(file);
    }
    Err(Wrong::new("does not name an ordinary file", "write the path of a file that holds the secret alone"))
}

fn read(file: &mut File) -> Result<Secret, Wrong> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // With its whole length at once: a growing vector leaves unwiped copies behind.
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(LIMIT)).unwrap_or_default() + 1);
    let got = file.take(LIMIT + 1).read_to_end(&mut bytes);
    if let Err(error) = got {
        bytes.zeroize();
        return Err(unreadable(&error));
    }
    if bytes.len() as u64 > LIMIT {
        bytes.zeroize();
        return Err(Wrong::new(
            "names a file of more than 64KiB",
            "name the file that holds the secret alone",
        ));
    }
    // What editors and `echo` put there.
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    usable(bytes)
}

fn usable(mut bytes: Vec<u8>) -> Result<Secret, Wrong> {
    if bytes.is_empty() {
        return Err(Wrong::new("is an empty secret", "put the secret there, or take the key away"));
    }
    if bytes.contains(&0) {
        bytes.zeroize();
        return Err(Wrong::new("has a NUL in it, which no peer can send", "write the secret as text"));
    }
    Ok(Secret::new(bytes))
}

fn unreadable(error: &io::Error) -> Wrong {
    Wrong::new(
        format!("cannot be read: {error}"),
        "check the path, and that the user that gatepost runs as may read it",
    )
}
