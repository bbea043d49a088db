//! Stored passwords as nobody should have written them.

mod arbitrary;
mod fed;

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

#[test]
fn malformed_digests_are_errors() {
    let table = [
        "{SHA}5en6G6MezRroT3XKqkdPOmY/Bf",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=AAAA",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQAAAA=",
        "{SHA}\u{fc}en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA256}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA512}",
        "{SHA512.hex}e5e9",
        "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA}",
        "{SSHA256}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SSHA512}not base64",
        "{SMD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
        "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbu",
        "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee6",
        "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee6g",
        "{MD5}secret",
        "{MD5-CRYPT}secret",
        "{MD5-CRYPT}$1$",
        "{MD5-CRYPT}$1$salt",
        "{MD5-CRYPT}$1$salt$",
        "{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP",
        "{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2APz",
        "{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2A+.",
        "{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.$",
        "{MD5-CRYPT}$1$ninechars$xbGUmG4zxrdn1vBILA2AP.",
    ];
    for text in table {
        assert_eq!(fate(text.as_bytes(), Scheme::Plain), Fate::Malformed, "{text}");
    }
}

/// Of each scheme that is read by hand: a good one, and how it goes wrong.
const OTHERS: &[(&str, Fate)] = &[
    ("{DES-CRYPT}sSDZniAFZ9aXE", Fate::Match),
    ("{CRYPT}sSDZniAFZ9aXE", Fate::Match),
    ("{CRYPT}sSDZniAFZ9aXF", Fate::Malformed),
    ("{CRYPT}sSDZniAFZ9aX", Fate::Malformed),
    ("{CRYPT}sSDZniAFZ9aXE.", Fate::Malformed),
    ("{CRYPT}s!DZniAFZ9aXE", Fate::Malformed),
    ("{CRYPT}secret", Fate::Malformed),
    ("{CRYPT}_J9..rasmz0.F/jqjWck", Fate::Match),
    ("{CRYPT}_J9..rasmz0.F/jqjWc", Fate::Malformed),
    ("{CRYPT}_J9..rasmz0.F/jqjWckx", Fate::Malformed),
    ("{CRYPT}_J9.!rasmz0.F/jqjWck", Fate::Malformed),
    // A count of 2^24 - 1, and one of nothing, which is done once.
    ("{CRYPT}_zzzzrasmz0.F/jqjWck", Fate::TooExpensive),
    ("{CRYPT}_....rasmz0.F/jqjWck", Fate::Mismatch),
    ("{CRYPT}$3$$878d8014606cda29677a44efa1353fc7", Fate::Match),
    ("{CRYPT}$3$x$878d8014606cda29677a44efa1353fc7", Fate::Malformed),
    ("{CRYPT}$3$$878d8014606cda29677a44efa1353fc", Fate::Malformed),
    ("{CRYPT}$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG", Fate::Match),
    ("{CRYPT}$sha1$0$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG", Fate::Malformed),
    ("{CRYPT}$sha1$1000$$Afd9xS7u8w4h.ywETK2u0ha2i2TG", Fate::Malformed),
    ("{CRYPT}$sha1$1000$salt salt$Afd9xS7u8w4h.ywETK2u0ha2i2TG", Fate::Malformed),
    ("{CRYPT}$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2T", Fate::Malformed),
    // The last group repeats the first byte.
    ("{CRYPT}$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2h2TG", Fate::Malformed),
    ("{CRYPT}$sha1$2000001$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG", Fate::TooExpensive),
    ("{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/", Fate::Match),
    ("{CRYPT}$md5$rounds=100$saltsalt$LCuOjfEQqtzZGOlss88Pe/", Fate::Mismatch),
    ("{CRYPT}$md5,rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/", Fate::Mismatch),
    ("{CRYPT}$md5$rounds=0$saltsalt$$LCuOjfEQqtzZGOlss88Pe/", Fate::Malformed),
    ("{CRYPT}$md5$rounds=100$salt!alt$$LCuOjfEQqtzZGOlss88Pe/", Fate::Malformed),
    ("{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe", Fate::Malformed),
    ("{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pez", Fate::Malformed),
    ("{CRYPT}$md5x$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/", Fate::Unknown),
    ("{CRYPT}$md5$rounds=1000001$saltsalt$$LCuOjfEQqtzZGOlss88Pe/", Fate::TooExpensive),
    ("{CRYPT}$7$CU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Match),
    ("{CRYPT}$7$CU..../....Sodium!hloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Malformed),
    ("{CRYPT}$7$.U..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Malformed),
    ("{CRYPT}$7$C...../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Malformed),
    ("{CRYPT}$7$CU.........SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Malformed),
    ("{CRYPT}$7$CU..../...$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::Malformed),
    ("{CRYPT}$7$CU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x2", Fate::Malformed),
    ("{CRYPT}$7$zU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::TooExpensive),
    ("{CRYPT}$7$CzzzzzzzzzzSodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::TooExpensive),
    ("{CRYPT}$7$CU....k....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22", Fate::TooExpensive),
    ("{CRYPT}$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8", Fate::Match),
    ("{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8", Fate::Mismatch),
    ("{CRYPT}$gy$jjT$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8", Fate::TooExpensive),
    ("{PBKDF2}$1$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2", Fate::Mismatch),
    ("{PBKDF2}$1$salt$0$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2", Fate::Malformed),
    ("{PBKDF2}$2$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2", Fate::Malformed),
    ("{PBKDF2}$1$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3", Fate::Malformed),
    ("{PBKDF2}$1$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2$", Fate::Malformed),
    ("{PBKDF2}$1$salt$2000001$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2", Fate::TooExpensive),
    (
        "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
        Fate::Match,
    ),
    (
        "{SCRAM-SHA-256}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
        Fate::Malformed,
    ),
    ("{SCRAM-SHA-1}4096,,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=", Fate::Malformed),
    ("{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=", Fate::Malformed),
    (
        "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=,",
        Fate::Malformed,
    ),
    (
        "{SCRAM-SHA-1}0,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
        Fate::Malformed,
    ),
    (
        "{SCRAM-SHA-1}2000001,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
        Fate::TooExpensive,
    ),
    ("{OTP}sha1 100001 f8a58f89ee96d43f f2beaa14f5843c59", Fate::TooExpensive),
    ("{OTP}sha2 1024 f8a58f89ee96d43f f2beaa14f5843c59", Fate::Malformed),
    ("{OTP}sha1 -1 f8a58f89ee96d43f f2beaa14f5843c59", Fate::Malformed),
    ("{OTP}sha1 1024 f8a58f89ee96d43f0 f2beaa14f5843c59", Fate::Malformed),
    ("{OTP}sha1 1024 f8a58f89ee96d43f f2beaa14f5843c5", Fate::Malformed),
    ("{OTP}sha1 1024 f8a58f89ee96d43f", Fate::Malformed),
    ("{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747", Fate::Malformed),
    ("{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569", Fate::Malformed),
];

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
fn malformed_and_expensive_slow_hashes_are_errors() {
    use Fate::{Malformed, TooExpensive, Unknown};
    const SALT: &str = "ykRgktSHRWk2rAiaxaCSRQ";
    const DIGEST: &str = "RH530r/qWdyQlpOndH6zYDEXi8anAOJrnGFijwwFKXE";
    let argon2 = |parameters: &str, salt: &str, digest: &str| {
        format!("{{ARGON2ID}}$argon2id$v=19${parameters}${salt}${digest}")
    };
    let mut table = Vec::from([
        (argon2("m=65536,t=3,p=1", "", DIGEST), Malformed),
        (argon2("m=65536,t=3,p=1", "c2hvcnQ", DIGEST), Malformed),
        (argon2("m=65536,t=3,p=1", SALT, ""), Malformed),
        (argon2("m=65536,t=3,p=1", SALT, "RH530r"), Malformed),
        (argon2("m=65536,t=3,p=1", SALT, "RH530r/qWdyQ!pOndH6zYDEXi8anAOJrnGFijwwFKXE"), Malformed),
        (argon2("m=65536,t=3,p=1", SALT, &DIGEST.repeat(3)), Malformed),
        (argon2("m=65536,t=3", SALT, DIGEST), Malformed),
        (argon2("m=65536,t=3,p=1,data=AAAA", SALT, DIGEST), Malformed),
        (argon2("t=3,m=65536,p=1", SALT, DIGEST), Malformed),
        (argon2("m=0,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=65536,t=0,p=1", SALT, DIGEST), Malformed),
        (argon2("m=65536,t=3,p=0", SALT, DIGEST), Malformed),
        (argon2("m=7,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=16,t=3,p=3", SALT, DIGEST), Malformed),
        (argon2("m=-1,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=+9,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=065536,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=99999999999,t=3,p=1", SALT, DIGEST), Malformed),
        (argon2("m=4294967295,t=1,p=1", SALT, DIGEST), TooExpensive),
        (argon2("m=1048577,t=1,p=1", SALT, DIGEST), TooExpensive),
        (argon2("m=65536,t=65,p=1", SALT, DIGEST), TooExpensive),
        (argon2("m=8,t=4294967295,p=1", SALT, DIGEST), TooExpensive),
        (argon2("m=65536,t=3,p=16777215", SALT, DIGEST), TooExpensive),
        (argon2("m=65536,t=3,p=1", SALT, &format!("{DIGEST}$")), Malformed),
        (format!("{{ARGON2ID}}$argon2id$m=65536,t=3,p=1${SALT}${DIGEST}"), Malformed),
        (format!("{{ARGON2ID}}$argon2id$v=16$m=65536,t=3,p=1${SALT}${DIGEST}"), Malformed),
        (format!("{{ARGON2ID}}$argon2d$v=19$m=65536,t=3,p=1${SALT}${DIGEST}"), Malformed),
        (format!("{{ARGON2ID}}argon2id$v=19$m=65536,t=3,p=1${SALT}${DIGEST}"), Malformed),
    ]);

    const BCRYPT: &str = "oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW";
    for (head, expected) in [
        ("{BLF-CRYPT}$2y$03$", Malformed),
        ("{BLF-CRYPT}$2y$00$", Malformed),
        ("{BLF-CRYPT}$2y$32$", Malformed),
        ("{BLF-CRYPT}$2y$99$", Malformed),
        ("{BLF-CRYPT}$2y$5$", Malformed),
        ("{BLF-CRYPT}$2y$+5$", Malformed),
        ("{BLF-CRYPT}$2y$05", Malformed),
        ("{BLF-CRYPT}$2$05$", Malformed),
        ("{BLF-CRYPT}$6$05$", Malformed),
        ("{BLF-CRYPT}$2y$17$", TooExpensive),
        ("{CRYPT}$2b$31$", TooExpensive),
        ("{BLF-CRYPT}$2x$03$", Malformed),
        ("{CRYPT}$2x$17$", TooExpensive),
        ("{CRYPT}$2z$05$", Unknown),
    ] {
        table.push((format!("{head}{BCRYPT}"), expected));
    }
    table.push((format!("{{BLF-CRYPT}}$2y$05${BCRYPT}x"), Malformed));
    table.push((format!("{{BLF-CRYPT}}$2y$05$\u{fc}{}", BCRYPT.trim_start_matches("oy")), Malformed));
    table.push((String::from("{BLF-CRYPT}$2y$05$oyubdtvKknJTnCorl../e"), Malformed));

    const SHA256: &str = "0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA";
    for (head, expected) in [
        ("{CRYPT}$5$seventeen-letters$", Malformed),
        ("{CRYPT}$6$saltsalt$", Malformed),
        ("{CRYPT}$5$", Malformed),
        ("{CRYPT}$5$rounds=5000$", Malformed),
        ("{CRYPT}$5$rounds=999$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=0$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=01000$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=1000x$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=99999999999$saltsalt$", Malformed),
        ("{CRYPT}$5$rounds=1000001$saltsalt$", TooExpensive),
        ("{SHA256-CRYPT}$5$rounds=999999999$saltsalt$", TooExpensive),
        ("{CRYPT}$5$saltsalt$more$", Malformed),
        ("{CRYPT}$5$saltsalt$x", Malformed),
        ("{CRYPT}$8$saltsalt$", Unknown),
        ("{CRYPT}$$saltsalt$", Unknown),
        ("{CRYPT}$5", Unknown),
    ] {
        table.push((format!("{head}{SHA256}"), expected));
    }

    const YESCRYPT: &str = "jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA";
    for (parameters, expected) in [
        ("", Malformed),
        ("j", Malformed),
        ("j7", Malformed),
        // Another flavour, scrypt's among them.
        ("/75", Malformed),
        (".75", Malformed),
        // With an upgrade, with a ROM, with more than is announced.
        ("j752/", Malformed),
        ("j756/", Malformed),
        ("j75.", Malformed),
        ("j75..x", Malformed),
        ("j7!", Malformed),
        // Numbers that do not fit.
        ("j7zzzzzzzz", Malformed),
        ("jzzzzzzzz5", Malformed),
        ("jyzzzzz5", Malformed),
        // 2^20 and 2^48 blocks of 4 KiB.
        ("jHT", TooExpensive),
        ("jjT", TooExpensive),
        // p of 100, and p and t of 2^20.
        ("j75.km", TooExpensive),
        ("j75.xzzz", TooExpensive),
        ("j75/xzzz", TooExpensive),
    ] {
        table.push((format!("{{CRYPT}}$y${parameters}$saltsaltsalt${YESCRYPT}"), expected));
    }
    table.push((format!("{{CRYPT}}$y$j75$saltsaltsalt${YESCRYPT}$"), Malformed));
    table.push((format!("{{CRYPT}}$y$j75$saltsaltsalt${}", YESCRYPT.trim_start_matches('j')), Malformed));
    table.push((format!("{{CRYPT}}$y$j75${}${YESCRYPT}", "salt".repeat(30)), Malformed));
    table.push((format!("{{CRYPT}}$y$j75$a${YESCRYPT}"), Malformed));

    for (text, expected) in OTHERS {
        table.push(((*text).to_owned(), *expected));
    }
    let wrong: Vec<_> = table
        .iter()
        .map(|(text, expected)| (text, fate(text.as_bytes(), Scheme::Plain), expected))
        .filter(|(_, fate, expected)| fate != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_stored_password_of_any_length_is_bounded() {
    let text = [b"{PLAIN}".as_slice(), &vec![b'x'; limits::STORED_BYTES]].concat();
    assert_eq!(fate(&text, Scheme::Plain), Fate::Malformed);
    assert_eq!(fate(&text[..limits::STORED_BYTES], Scheme::Plain), Fate::Mismatch);
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
