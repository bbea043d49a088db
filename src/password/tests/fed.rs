//! By what [`Stored::feed`] gives, a password is known again, and no other is taken for it.

use std::collections::HashMap;

use proptest::prelude::*;

use crate::password::{Decoy, Scheme, Stored};

fn fed(stored: &Stored) -> Vec<u8> {
    let mut fed = Vec::new();
    stored.feed(|piece| fed.extend_from_slice(piece));
    fed
}

fn stored(text: &str) -> Stored {
    Stored::parse(text.as_bytes(), Scheme::Crypt).unwrap().belonging_to("user@ex.test")
}

/// Of each hash function one, and the same with one thing changed at a time.
const DIFFERENT: &[&str] = &[
    "{PLAIN}",
    "{PLAIN}secret",
    "{PLAIN}Secret",
    "{PLAIN}plain",
    "{PLAIN}locked",
    "{PLAIN-MD4}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee6a",
    "{DIGEST-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{DIGEST-MD5}5ebe2294ecd0e0f08eab7690d2a6ee6a",
    "{CRYPT}$3$$5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{SMD5.hex}5ebe2294ecd0e0f08eab7690d2a6ee6900",
    "{SMD5.hex}5ebe2294ecd0e0f08eab7690d2a6ee6901",
    "{SMD5.hex}5ebe2294ecd0e0f08eab7690d2a6ee690000",
    "{SHA1.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
    "{SMD5.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
    "{SSHA.hex}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f400",
    "{SHA256.hex}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
    "{SMD5.hex}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
    "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
    "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b57",
    "{CRYPT}sSDZniAFZ9aXE",
    "{CRYPT}tSDZniAFZ9aXE",
    "{CRYPT}sSDZniAFZ9aXA",
    "{CRYPT}_J9..rasmz0.F/jqjWck",
    "{CRYPT}_K9..rasmz0.F/jqjWck",
    "{CRYPT}_J9..sasmz0.F/jqjWck",
    "{CRYPT}_J9..rasmz0.F/jqjWcg",
    "{CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.",
    "{CRYPT}$1$R1TiLwjo$xbGUmG4zxrdn1vBILA2AP.",
    "{CRYPT}$1$R1TiLwj$xbGUmG4zxrdn1vBILA2AP.",
    "{CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AQ.",
    "{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$md5$rounds=101$saltsalt$$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$md5,rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$md5$rounds=100$saltsalt$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$md5$rounds=100$saltsal$$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pf/",
    "{CRYPT}$md5$saltsalt$$LCuOjfEQqtzZGOlss88Pe/",
    "{CRYPT}$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG",
    "{CRYPT}$sha1$1001$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG",
    "{CRYPT}$sha1$1000$saltsalu$Afd9xS7u8w4h.ywETK2u0ha2i2TG",
    "{CRYPT}$sha1$1000$saltsalt$Afd9yS7u8w4h.ywETK2u0ha2i2TG",
    "{CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW",
    "{CRYPT}$2x$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW",
    "{CRYPT}$2y$06$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW",
    "{CRYPT}$2y$05$pyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW",
    "{CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7r.HyW",
    "{CRYPT}$5$saltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
    "{CRYPT}$5$rounds=1500$saltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
    "{CRYPT}$5$saltsalu$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
    "{CRYPT}$5$saltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdzeD",
    "{CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
    "{CRYPT}$6$saltsalt$UVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
    "{CRYPT}$7$CU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$7$BU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$7$CV..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$7$CU....0....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$7$CU..../....SodiumChlorida$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$7$CU..../....SodiumChloride$TgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
    "{CRYPT}$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$gy$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j85$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j76$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j75..$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j75/.$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j75//$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j75$saltsaltsals$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{CRYPT}$y$j75$saltsaltsalt$kyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2id$v=19$m=32768,t=4,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2i$v=19$m=32769,t=4,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2i$v=19$m=32768,t=5,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=2$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$pvklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/Tc",
    "{PBKDF2}$1$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2",
    "{PBKDF2}$1$salt$2$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2",
    "{PBKDF2}$1$salu$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d2",
    "{PBKDF2}$1$salt$1$40b3fdbc0d0e6dc5d8e0fd5da8ca5d11a7b1d3d3",
    "{OTP}sha1 1024 f8a58f89ee96d43f f2beaa14f5843c59",
    "{OTP}md5 1024 f8a58f89ee96d43f f2beaa14f5843c59",
    "{OTP}md4 1024 f8a58f89ee96d43f f2beaa14f5843c59",
    "{OTP}sha1 1023 f8a58f89ee96d43f f2beaa14f5843c59",
    "{OTP}sha1 1024 f8a58f89ee96d430 f2beaa14f5843c59",
    "{OTP}sha1 1024 f8a58f89ee96d43f f2beaa14f5843c58",
    "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
    "{SCRAM-SHA-1}4097,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
    "{SCRAM-SHA-1}4096,YpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
    "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,8dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
    "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,UMI9nCiq80ztwEZDOo6ZZ478vR8=",
    "{CRYPT}!",
];

#[test]
fn whatever_is_changed_shows_and_none_begins_like_another() {
    let mut all: Vec<_> = DIFFERENT.iter().map(|text| (fed(&stored(text)), *text)).collect();
    all.sort();
    for pair in all.windows(2) {
        let [(first, one), (second, other)] = pair else { panic!("no pair") };
        assert!(!second.starts_with(first), "{one} and {other}");
    }
}

#[test]
fn how_it_is_written_does_not_show() {
    for (one, other) in [
        ("{PLAIN}secret", "{cleartext.b64}c2VjcmV0"),
        ("{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ=="),
        (
            "{SHA256-CRYPT}$5$saltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
            "{CRYPT}$5$rounds=5000$saltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
        ),
        ("{CRYPT}!", "{BLF-CRYPT}*LK*"),
    ] {
        assert_eq!(fed(&stored(one)), fed(&stored(other)), "{one}");
    }
}

#[test]
fn whose_it_is_shows_where_that_decides() {
    let owned = |text: &str, owner: &str| {
        fed(&Stored::parse(text.as_bytes(), Scheme::Crypt).unwrap().belonging_to(owner))
    };
    let digest = "{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b";
    let nobodys = fed(&Stored::parse(digest.as_bytes(), Scheme::Crypt).unwrap());
    let mut owners: HashMap<_, _> = HashMap::from([(nobodys, "nobody")]);
    for owner in ["user@ex.test", "user", "user@ex.tesu", "other@ex.test", "", "@", "user@ex@test"] {
        let same = owners.insert(owned(digest, owner), owner);
        // Hashed as the same name and realm.
        assert_eq!(same, (owner == "@").then_some(""), "{owner}");
    }
    let plain = "{PLAIN}secret";
    assert_eq!(owned(plain, "user@ex.test"), owned(plain, "other@ex.test"));
}

#[test]
fn a_decoy_is_nobodys_password() {
    let locked = fed(&stored("{CRYPT}*"));
    let decoy = Decoy::new().unwrap();
    for text in DIFFERENT {
        decoy.note(&stored(text));
        assert_eq!(fed(&decoy.pick(None)), locked, "{text}");
        let mut marked = stored(text);
        marked.decoy = true;
        assert_eq!(fed(&marked), locked, "{text}");
    }
}

/// Schemes whose material is all fields and no form, with the hash function that each stands for.
fn whole() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("PLAIN", "plain"),
        ("CLEAR", "plain"),
        ("PLAIN-MD4", "md4"),
        ("PLAIN-MD5", "md5"),
        ("LDAP-MD5", "md5"),
        ("SMD5", "md5"),
        ("SHA1", "sha1"),
        ("SSHA", "sha1"),
        ("SHA256", "sha256"),
        ("SSHA256", "sha256"),
        ("CRAM-MD5", "cram-md5"),
        ("DIGEST-MD5", "digest-md5"),
    ])
}

/// Few lengths and few bytes, so that much of it is the same.
fn material() -> impl Strategy<Value = Vec<u8>> {
    let length = prop::sample::select(vec![0_usize, 16, 17, 20, 21, 32, 33]);
    length.prop_flat_map(|length| prop::collection::vec(0_u8..2, length))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// An unsalted digest is a salted one with no salt, and everything else is different if anything is.
    #[test]
    fn the_same_is_given_for_the_same_function_and_bytes_alone(
        (scheme, function) in whole(),
        (other_scheme, other_function) in whole(),
        bytes in material(),
        other in material(),
        related in 0_usize..4,
        at in any::<prop::sample::Index>(),
    ) {
        let other = match related {
            0 => other,
            1 => bytes.clone(),
            2 => bytes.get(..at.index(bytes.len() + 1)).unwrap().to_vec(),
            _ => bytes.iter().enumerate().map(|(here, byte)| byte ^ u8::from(here == at.index(bytes.len()))).collect(),
        };
        let read = |scheme: &str, bytes: &[u8]| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let stored = Stored::parse(format!("{{{scheme}.hex}}{hex}").as_bytes(), Scheme::Crypt);
            stored.ok().map(|stored| fed(&stored.belonging_to("user@ex.test")))
        };
        if let (Some(one), Some(two)) = (read(scheme, &bytes), read(other_scheme, &other)) {
            prop_assert_eq!(one == two, (function, &bytes) == (other_function, &other));
        }
    }

    /// The name is hashed as it is, whatever is in it.
    #[test]
    fn two_owners_are_one_only_if_they_are_hashed_the_same(one in "[ab:@]{0,4}", other in "[ab:@]{0,4}") {
        let of = |owner: &str| {
            let stored = Stored::parse(b"{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b", Scheme::Crypt).unwrap();
            fed(&stored.belonging_to(owner))
        };
        let hashed = |owner: &str| match owner.rfind('@') {
            Some(at) => format!("{}:{}", owner.get(..at).unwrap(), owner.get(at + 1..).unwrap()),
            None => format!("{owner}:"),
        };
        prop_assert_eq!(of(&one) == of(&other), hashed(&one) == hashed(&other));
    }
}
