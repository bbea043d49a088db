//! Stored passwords as nobody should have written them.

use super::{Fate, fate};
use crate::password::{Scheme, limits};

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
        "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag,7dG0ZlAfsXH7YU3Wo4D815pyLLE,TMI9nCiq80ztwEZDOo6ZZ478vR8",
        Fate::Malformed,
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
