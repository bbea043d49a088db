//! The names of the schemes, and the head of a stored password.

use std::fmt;

use super::{Unusable, encoding::Encoding, limits};

/// A scheme of stored passwords that can be verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `$argon2i$`; as in Dovecot, `$argon2id$` is taken too.
    Argon2i,
    /// `$argon2id$`; as in Dovecot, `$argon2i$` is taken too.
    Argon2id,
    /// bcrypt: `$2a$`, `$2b$`, `$2x$`, `$2y$`.
    BlfCrypt,
    /// Whatever crypt(3) takes, by its prefix; also `$argon2i$` and `$argon2id$`.
    Crypt,
    /// The states of an HMAC-MD5 keyed with the password, hex.
    CramMd5,
    /// Without a prefix; as in Dovecot, the same as CRYPT.
    DesCrypt,
    /// MD5 of user name, realm and password, hex.
    DigestMd5,
    /// MD5, base64.
    LdapMd5,
    /// MD5-CRYPT or, without `$1$`, PLAIN-MD5.
    Md5,
    /// `$1$`.
    Md5Crypt,
    /// A chain of one-time passwords, whose passphrase is the password.
    Otp,
    /// PBKDF2 with HMAC-SHA-1.
    Pbkdf2,
    /// The password itself.
    Plain,
    /// MD4, hex.
    PlainMd4,
    /// MD5, hex.
    PlainMd5,
    /// The keys of SCRAM-SHA-1.
    ScramSha1,
    /// The keys of SCRAM-SHA-256.
    ScramSha256,
    /// SHA-1, base64.
    Sha1,
    /// SHA-256, base64.
    Sha256,
    /// `$5$`; as in Dovecot, the same as CRYPT.
    Sha256Crypt,
    /// SHA-512, base64.
    Sha512,
    /// `$6$`; as in Dovecot, the same as CRYPT.
    Sha512Crypt,
    /// MD5 and a salt, base64.
    Smd5,
    /// SHA-1 and a salt, base64.
    Ssha,
    /// SHA-256 and a salt, base64.
    Ssha256,
    /// SHA-512 and a salt, base64.
    Ssha512,
}

/// Every name, as Dovecot spells it; of several names for one scheme, the first is the one that is shown.
const NAMES: &[(&str, Scheme)] = &[
    ("ARGON2I", Scheme::Argon2i),
    ("ARGON2ID", Scheme::Argon2id),
    ("ARGON2", Scheme::Argon2id),
    ("BLF-CRYPT", Scheme::BlfCrypt),
    ("CRYPT", Scheme::Crypt),
    ("CRAM-MD5", Scheme::CramMd5),
    ("HMAC-MD5", Scheme::CramMd5),
    ("DES-CRYPT", Scheme::DesCrypt),
    ("DIGEST-MD5", Scheme::DigestMd5),
    ("LDAP-MD5", Scheme::LdapMd5),
    ("MD5", Scheme::Md5),
    ("MD5-CRYPT", Scheme::Md5Crypt),
    ("OTP", Scheme::Otp),
    ("PBKDF2", Scheme::Pbkdf2),
    ("PLAIN", Scheme::Plain),
    ("CLEAR", Scheme::Plain),
    ("CLEARTEXT", Scheme::Plain),
    ("PLAIN-MD4", Scheme::PlainMd4),
    ("PLAIN-MD5", Scheme::PlainMd5),
    ("SCRAM-SHA-1", Scheme::ScramSha1),
    ("SCRAM-SHA-256", Scheme::ScramSha256),
    ("SHA1", Scheme::Sha1),
    ("SHA", Scheme::Sha1),
    ("SHA256", Scheme::Sha256),
    ("SHA256-CRYPT", Scheme::Sha256Crypt),
    ("SHA512", Scheme::Sha512),
    ("SHA512-CRYPT", Scheme::Sha512Crypt),
    ("SMD5", Scheme::Smd5),
    ("SSHA", Scheme::Ssha),
    ("SSHA256", Scheme::Ssha256),
    ("SSHA512", Scheme::Ssha512),
];

/// Names that Dovecot or others have written and that are not supported: known only so that an error can name them.
///
/// Dovecot itself has forgotten LANMAN, NTLM, RPA and SKEY, and cannot verify what it writes under PLAIN-TRUNC. SASL is
/// OpenLDAP's for a password that is elsewhere.
const UNSUPPORTED: &[&str] = &["LANMAN", "NTLM", "PLAIN-TRUNC", "RPA", "SASL", "SKEY"];

impl Scheme {
    /// The scheme of this name, ignoring case; `None` if it is not supported.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, scheme)| scheme)
    }

    /// Its name, as Dovecot spells it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|&&(_, scheme)| scheme == self).map_or("", |&(name, _)| name)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes the head off a stored password.
pub(super) fn split(text: &[u8], default: Scheme) -> Result<(Scheme, Encoding, &[u8]), Unusable> {
    if text.len() > limits::STORED_BYTES {
        return Err(Unusable::Malformed { scheme: default.name(), expected: "at most 8192 bytes" });
    }
    if let Some(md5_crypt) = bare_md5_crypt(text) {
        return Ok((Scheme::Md5Crypt, Encoding::Default, md5_crypt));
    }
    let Some(head) = text.strip_prefix(b"{").and_then(|rest| rest.splitn(2, |&byte| byte == b'}').next())
    else {
        return Ok((default, Encoding::Default, text));
    };
    let Some(material) = text.get(head.len() + 2..) else {
        // No closing brace, so no scheme.
        return Ok((default, Encoding::Default, text));
    };
    let mut parts = head.splitn(2, |&byte| byte == b'.');
    let name = parts.next().unwrap_or_default();
    let scheme = std::str::from_utf8(name).ok().and_then(Scheme::named);
    let encoding = parts.next().map_or(Some(Encoding::Default), Encoding::named);
    match (scheme, encoding) {
        (Some(scheme), Some(encoding)) => Ok((scheme, encoding, material)),
        _ => Err(Unusable::UnknownScheme { scheme: describe(name) }),
    }
}

/// `"$1$" salt "$" digest ["$" ignored]`, without what is ignored.
fn bare_md5_crypt(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"$1$")?;
    let mut fields = rest.splitn(3, |&byte| byte == b'$');
    let (salt, digest) = (fields.next()?, fields.next()?);
    text.get(..b"$1$".len() + salt.len() + 1 + digest.len())
}

/// What an error may say of a name: only what is in our tables, since it may as well be part of a password.
fn describe(name: &[u8]) -> &'static str {
    let mut known = NAMES.iter().map(|&(name, _)| name).chain(UNSUPPORTED.iter().copied());
    known
        .find(|known| known.as_bytes().eq_ignore_ascii_case(name))
        .unwrap_or("one of a name unknown to Dovecot")
}
