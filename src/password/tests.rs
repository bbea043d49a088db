//! Stored passwords, read and verified.

mod arbitrary;
mod fed;
mod malformed;

use super::{Cost, Scheme, Stored, Unusable, limits};

/// What becomes of a stored password.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// No scheme that is known here.
    Unknown,
    /// Not of its scheme's form.
    Malformed,
    /// Over a limit.
    TooExpensive,
    /// Read, and "secret" is not it.
    Mismatch,
    /// Read, and "secret" is it.
    Match,
}

fn fate(text: &[u8], default: Scheme) -> Fate {
    match Stored::parse(text, default) {
        Err(Unusable::UnknownScheme { .. }) => Fate::Unknown,
        Err(Unusable::Malformed { .. }) => Fate::Malformed,
        Err(Unusable::TooExpensive { .. }) => Fate::TooExpensive,
        Ok(stored) => match stored.matches(b"secret").unwrap() {
            false => Fate::Mismatch,
            true => Fate::Match,
        },
    }
}

const SALTED_MD5_CRYPT: &[u8] = b"$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.";

#[test]
fn a_bare_value_is_of_the_default_scheme() {
    let table: &[(&[u8], Scheme, Fate)] = &[
        (b"secret", Scheme::Plain, Fate::Match),
        (b"5ebe2294ecd0e0f08eab7690d2a6ee69", Scheme::PlainMd5, Fate::Match),
        (b"5EBE2294ECD0E0F08EAB7690D2A6EE69", Scheme::PlainMd5, Fate::Match),
        (b"Xr4ilOzQ4PCOq3aQ0qbuaQ==", Scheme::PlainMd5, Fate::Match),
        (b"Xr4ilOzQ4PCOq3aQ0qbuaQ", Scheme::LdapMd5, Fate::Match),
        (b"5ebe2294ecd0e0f08eab7690d2a6ee69", Scheme::LdapMd5, Fate::Match),
        (b"5ebe2294ecd0e0f08eab7690d2a6ee69", Scheme::Md5, Fate::Match),
        (SALTED_MD5_CRYPT, Scheme::Md5, Fate::Match),
        (SALTED_MD5_CRYPT, Scheme::Crypt, Fate::Match),
        // As in Dovecot, MD5-CRYPT without a name is known by its form, and what follows it is ignored.
        (SALTED_MD5_CRYPT, Scheme::Plain, Fate::Match),
        (b"$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.$rest", Scheme::Sha512, Fate::Match),
        (b"$1$nosuchform", Scheme::Plain, Fate::Mismatch),
        // A brace that is not closed is no head.
        (b"{secret", Scheme::Plain, Fate::Mismatch),
        (b"{SSHA", Scheme::Ssha, Fate::Malformed),
        (b"secret{PLAIN}", Scheme::Plain, Fate::Mismatch),
        (b"", Scheme::Plain, Fate::Mismatch),
        (b"", Scheme::Crypt, Fate::Mismatch),
        (b"", Scheme::Sha256, Fate::Malformed),
        (b"", Scheme::Argon2id, Fate::Malformed),
    ];
    for (text, default, expected) in table {
        assert_eq!(fate(text, *default), *expected, "{} as {default}", text.escape_ascii());
    }
}

#[test]
fn names_are_compared_ignoring_case_and_suffixes_are_known() {
    let table: &[(&[u8], Fate)] = &[
        (b"{plain}secret", Fate::Match),
        (b"{Plain.B64}c2VjcmV0", Fate::Match),
        (b"{PLAIN.base64}c2VjcmV0", Fate::Match),
        (b"{PLAIN.hex}736563726574", Fate::Match),
        (b"{PLAIN.HEX}73656372657", Fate::Malformed),
        (b"{PLAIN.hex}7365637265zz", Fate::Malformed),
        (b"{PLAIN.b64}c2V!cmV0", Fate::Malformed),
        (b"{PLAIN.b64}c2VjcmV0=====", Fate::Malformed),
        (b"{PLAIN.rot13}frperg", Fate::Unknown),
        (b"{PLAIN.}secret", Fate::Unknown),
        (b"{PLAIN.b64.hex}secret", Fate::Unknown),
        (b"{ PLAIN}secret", Fate::Unknown),
        (b"{}secret", Fate::Unknown),
        (b"{}", Fate::Unknown),
        (b"{.b64}c2VjcmV0", Fate::Unknown),
        (b"{\xff\xfe}secret", Fate::Unknown),
        ("{PLÄIN}secret".as_bytes(), Fate::Unknown),
        (b"{PLAIN\0}secret", Fate::Unknown),
        (b"{{PLAIN}}secret", Fate::Unknown),
        (b"{OTP}sha1 1024 f8a58f89ee96d43f f2beaa14f5843c59", Fate::Match),
        (b"{PLAIN-TRUNC}secret", Fate::Unknown),
        (b"{PLAIN-MD4}67d3dafef63ff00603aeef3769cfbf0d", Fate::Match),
        (b"{plain-md4.b64}Z9Pa/vY/8AYDru83ac+/DQ==", Fate::Match),
        (b"{HMAC-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56", Fate::Match),
        (b"{SCRAM-SHA-512}x", Fate::Unknown),
        (b"{SHA1.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4", Fate::Match),
        (b"{ARGON2}plain", Fate::Malformed),
    ];
    for (text, expected) in table {
        assert_eq!(fate(text, Scheme::Plain), *expected, "{}", text.escape_ascii());
    }
}

#[test]
fn a_locked_password_never_matches() {
    for text in [
        "{CRYPT}",
        "{CRYPT}!",
        "{CRYPT}*",
        "{CRYPT}!!",
        "{SHA512-CRYPT}*LK*",
        "{CRYPT}!$6$saltsalt$x",
        "{BLF-CRYPT}!$2y$05$x",
        "{MD5-CRYPT}*",
        "{BLF-CRYPT}",
    ] {
        let stored = Stored::parse(text.as_bytes(), Scheme::Plain).unwrap();
        assert!(stored.is_locked(), "{text}");
        for password in ["", "!", "*", "secret"] {
            assert_eq!(stored.matches(password.as_bytes()), Ok(false), "{text}");
        }
    }
}

/// RFC 2289, appendix C: chains of MD4, MD5 and SHA-1.
#[test]
fn one_time_passwords_are_those_of_the_rfc() {
    for (stored, password) in [
        ("md4 0 TeSt D1854218EBBB0B51", "This is a test."),
        ("md4 1 TeSt 63473EF01CD0B444", "This is a test."),
        ("md4 99 TeSt C5E612776E6C237A", "This is a test."),
        ("md5 0 TeSt 9E876134D90499DD", "This is a test."),
        ("md5 99 TeSt 50FE1962C4965880", "This is a test."),
        ("md5 99 alpha1 5AA37A81F212146C", "AbCdEfGhIjK"),
        ("sha1 0 TeSt BB9E6AE1979D8FF4", "This is a test."),
        ("sha1 1 TeSt 63D936639734385B", "This is a test."),
        ("sha1 99 correct 4F296A74FE1567EC", "OTP's are good"),
    ] {
        // The RFC has the seed in lower case, which Dovecot stores as it is.
        let mut fields: Vec<_> = stored.split(' ').map(str::to_owned).collect();
        fields[2].make_ascii_lowercase();
        let text = format!("{{OTP}}{}", fields.join(" "));
        let stored = Stored::parse(text.as_bytes(), Scheme::Plain).unwrap();
        assert_eq!(stored.matches(password.as_bytes()), Ok(true), "{text}");
        assert_eq!(stored.matches(b"This is no test."), Ok(false), "{text}");
    }
}

#[test]
fn digest_md5_is_verified_for_its_owner_alone() {
    let stored = |owner: &str| {
        let stored = Stored::parse(b"{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b", Scheme::Plain);
        stored.unwrap().belonging_to(owner).matches(b"secret")
    };
    assert_eq!(stored("user@ex.test"), Ok(true));
    assert_eq!(stored("other@ex.test"), Ok(false));
    assert_eq!(stored("user"), Ok(false));
    let nobodys = Stored::parse(b"{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b", Scheme::Plain).unwrap();
    assert_eq!(nobodys.matches(b"secret"), Err(super::Broken), "neither right nor wrong without its owner");
}

#[test]
fn cheap_schemes_are_cheap_and_the_others_say_what_memory_they_take() {
    let table = [
        ("{PLAIN}secret", Cost::Cheap),
        ("{SSHA}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv", Cost::Cheap),
        ("{CRYPT}!", Cost::Cheap),
        ("{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.", Cost::Slow { memory_kib: 0 }),
        (
            "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$ykRgktSHRWk2rAiaxaCSRQ$RH530r/qWdyQlpOndH6zYDEXi8anAOJrnGFijwwFKXE",
            Cost::Slow { memory_kib: 65536 },
        ),
        // 2^12 blocks of 32 * 128 bytes, the one of p, and its S-box.
        (
            "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
            Cost::Slow { memory_kib: 16384 + 4 + 12 },
        ),
    ];
    for (text, cost) in table {
        assert_eq!(Stored::parse(text.as_bytes(), Scheme::Plain).unwrap().cost(), cost, "{text}");
    }
}

#[test]
fn nothing_of_the_material_is_ever_shown() {
    // Somebody's password in the clear, in a table whose default is PLAIN.
    for text in ["{hunter2}", "{hunter2}hunter2", "{hunter2.b64}", "{PLAIN.hunter2}hunter2", "{SHA}hunter2"] {
        let error = Stored::parse(text.as_bytes(), Scheme::Plain).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let stored = Stored::parse(b"{CLEAR}hunter2", Scheme::Crypt).unwrap();
    assert_eq!(format!("{stored:?}"), "Stored(PLAIN)");
    let error = Stored::parse(b"{ntlm}878d8014606cda29677a44efa1353fc7", Scheme::Plain).unwrap_err();
    assert_eq!(error.to_string(), "password scheme not supported: NTLM");
}

#[test]
fn a_new_password_is_salted_and_verifies() {
    let (first, second) = (super::hash_new(b"secret").unwrap(), super::hash_new(b"secret").unwrap());
    assert_ne!(*first, *second);
    assert!(first.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"), "{}", *first);
    assert_eq!(first.len(), 107);
    assert_eq!(fate(first.as_bytes(), Scheme::Plain), Fate::Match);
    assert!(!Stored::parse(first.as_bytes(), Scheme::Plain).unwrap().matches(b"Secret").unwrap());
}

#[test]
fn a_password_too_long_for_crypt_is_not_tried() {
    use sha_crypt::{PasswordHasher as _, ShaCrypt};
    let hashed = |password: &[u8]| {
        let hash = ShaCrypt::SHA512.hash_password_with_salt(password, b"saltsaltsalt").unwrap();
        Stored::parse(hash.as_str().as_bytes(), Scheme::Crypt).unwrap()
    };
    let longest = [b'x'; limits::SHA_CRYPT_PASSWORD_BYTES];
    assert_eq!(hashed(&longest).matches(&longest), Ok(true));
    let longer = [b'x'; limits::SHA_CRYPT_PASSWORD_BYTES + 1];
    assert_eq!(hashed(&longer).matches(&longer), Ok(false));
}

#[test]
fn names_are_read_back_as_they_are_written() {
    for name in ["ARGON2ID", "BLF-CRYPT", "CRYPT", "PLAIN", "SHA1", "SHA512-CRYPT", "SSHA256"] {
        let scheme = Scheme::named(&name.to_lowercase()).unwrap();
        assert_eq!((scheme.name(), scheme.to_string().as_str()), (name, name));
    }
    assert_eq!(Scheme::named("CLEARTEXT"), Some(Scheme::Plain));
    assert_eq!(Scheme::named("PLAIN.b64"), None);
    assert_eq!(Scheme::named(""), None);
}

/// `password1` and `password2` are one to traditional DES: a hash of whichever was typed would shut out the other.
#[test]
fn a_scheme_that_leaves_something_out_says_so() {
    let bcrypt = b"{BLF-CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW";
    let defective = b"{CRYPT}$2x$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    for (text, whole, cut) in [
        (&b"{DES-CRYPT}sSDZniAFZ9aXE"[..], &b"secret7"[..], &b"secret78"[..]),
        (b"{DES-CRYPT}sSDZniAFZ9aXE", b"s", b"s\xc3\xa9"),
        (b"{CRYPT}_J9..rasmz0.F/jqjWck", b"a password of many characters", b"s\xc3\xa9"),
        (bcrypt, &[b'x'; 71], &[b'x'; 72]),
        (bcrypt, "s\u{e9}".as_bytes(), &[b'x'; 72]),
        (defective, b"secret", b"s\xe9"),
    ] {
        let stored = Stored::parse(text, Scheme::Crypt).unwrap();
        assert!(stored.has_seen_all_of(whole), "{stored:?}");
        assert!(!stored.has_seen_all_of(cut), "{stored:?}");
    }
    assert!(Stored::parse(b"{PLAIN}x", Scheme::Crypt).unwrap().has_seen_all_of(&[b'x'; 500]));
}
