//! What is verified when there is no password to verify.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::{Broken, Scheme, ScramHash, Stored, argon2};

/// A stored password that never matches and costs what the last real one cost, so that time does not tell an unknown
/// user from a known one. One for each directory: its rows are mostly of one scheme and one cost.
///
/// Where they are not, an unknown user costs what the user before did, whoever that was.
pub struct Decoy {
    current: ArcSwap<Stored>,
    /// Length of the salt and iterations of the SCRAM keys seen first, of SHA-1 and of SHA-256. They stay, because what
    /// is told of somebody who exists stays as well.
    terms: [OnceLock<(usize, u32)>; 2],
}

impl Decoy {
    /// Until a real password has been seen, it costs what a [new](super::hash_new) one does.
    pub fn new() -> Result<Self, Broken> {
        let kind = Arc::new(argon2::initial_decoy()?);
        let current =
            ArcSwap::from_pointee(Stored { scheme: Scheme::Argon2id, kind, decoy: true, outdated: None });
        Ok(Self { current, terms: Default::default() })
    }

    /// Takes note of a stored password of a known user. Makes a new decoy only if the work has changed.
    pub fn note(&self, seen: &Stored) {
        for hash in [ScramHash::Sha1, ScramHash::Sha256] {
            if let Some(terms) = seen.scram_terms(hash) {
                self.usual(hash).get_or_init(|| (terms.salt.len(), terms.iterations));
            }
        }
        if seen.is_locked() || seen.work() == self.current.load().work() {
            return;
        }
        // Without random numbers there is no new one, and the old one still never matches.
        if let Ok(decoy) = seen.decoy() {
            self.current.store(Arc::new(decoy));
        }
    }

    /// Length of the salt and iterations of the SCRAM keys that were seen first, if there were any.
    pub fn usual_terms(&self, hash: ScramHash) -> Option<(usize, u32)> {
        self.usual(hash).get().copied()
    }

    fn usual(&self, hash: ScramHash) -> &OnceLock<(usize, u32)> {
        let [sha1, sha256] = &self.terms;
        match hash {
            ScramHash::Sha1 => sha1,
            ScramHash::Sha256 => sha256,
        }
    }

    /// What to verify for an account: its stored password, or the decoy if there is no account, if it has no password,
    /// or if the password is locked.
    pub fn pick(&self, stored: Option<&Stored>) -> Stored {
        match stored {
            Some(stored) if !stored.is_locked() => stored.clone(),
            _ => Stored::clone(&self.current.load()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoy, Scheme, Stored};
    use crate::password::{Cost, kind::Kind};

    /// One of each hash function.
    const SEEN: [&[u8]; 23] = [
        b"{PLAIN}secret",
        b"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
        b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        b"{SSHA}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv",
        b"{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
        b"{MD5-CRYPT}$1$R1TiLwjn$xbGUmG4zxrdn1vBILA2AP.",
        b"{BLF-CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW",
        b"{CRYPT}$5$rounds=1500$saltsaltsaltsalt$/zEc0IO4lyS9V1Ih0ImynySJZY0kUSMp0bLrvRLdyeD",
        b"{CRYPT}$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        b"{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
        b"{CRYPT}$2x$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        b"{CRYPT}$3$$878d8014606cda29677a44efa1353fc7",
        b"{CRYPT}$7$CU..../....SodiumChloride$SgDhJBZvaSDBMst5B70Nz13SP83yo8VuHlxDcyI3x22",
        b"{CRYPT}$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8",
        b"{CRYPT}$md5$rounds=100$saltsalt$$LCuOjfEQqtzZGOlss88Pe/",
        b"{CRYPT}$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG",
        b"{CRYPT}_J9..rasmz0.F/jqjWck",
        b"{DES-CRYPT}sSDZniAFZ9aXE",
        b"{OTP}sha1 1024 f8a58f89ee96d43f f2beaa14f5843c59",
        b"{SCRAM-SHA-256}4096,nlTHw+0il1o99qAVxl7kTw==,r7RFzH7RbjAv2izJ0p3zKJCqO93uOTyIxDfySwzTT/o=,0pohWniH1mn3+wmfCOizhyxBI7epIYB0L/EUcvga8eQ=",
        b"{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b",
        b"{CRYPT}$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA",
        b"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$ovklkxKHl2cKLOCOlnVrPA$hH5q5Aa8Kd+c+Iejf2G2PZIkRXbH5rUNFYKlUYgJ/TY",
    ];

    fn stored(text: &[u8]) -> Stored {
        Stored::parse(text, Scheme::Plain).unwrap().belonging_to("user@ex.test")
    }

    #[test]
    fn it_costs_what_the_last_seen_password_costs_and_never_matches() {
        let decoy = Decoy::new().unwrap();
        for text in SEEN {
            let seen = stored(text);
            assert!(seen.matches(b"secret").unwrap(), "{seen:?}");
            decoy.note(&seen);
            let picked = decoy.pick(None);
            assert_eq!(picked.work(), seen.work(), "{seen:?}");
            assert_eq!(picked.cost(), seen.cost(), "{seen:?}");
            assert!(!picked.matches(b"secret").unwrap(), "{seen:?}");
        }
    }

    /// Of 32 bytes at random, every eighth time one is zero.
    #[test]
    fn of_a_password_in_the_clear_it_is_one_that_somebody_could_have() {
        for _ in 0..200 {
            let decoy = stored(b"{PLAIN}secret").decoy().unwrap();
            assert!(matches!(&*decoy.kind, Kind::Plain(plain) if !plain.is_impossible()));
        }
    }

    #[test]
    fn it_starts_as_a_new_password_would() {
        let picked = Decoy::new().unwrap().pick(None);
        let new = stored(super::super::hash_new(b"secret").unwrap().as_bytes());
        assert_eq!(picked.work(), new.work());
        assert!(matches!(picked.cost(), Cost::Slow { .. }));
        assert!(!picked.matches(b"").unwrap());
    }

    #[test]
    fn its_material_would_not_match_even_without_the_mark() {
        for text in SEEN {
            let mut decoy = stored(text).decoy().unwrap();
            decoy.decoy = false;
            assert!(!decoy.matches(b"secret").unwrap(), "{decoy:?}");
        }
    }

    #[test]
    fn the_mark_alone_is_enough() {
        let mut marked = stored(b"{PLAIN}secret");
        marked.decoy = true;
        assert!(!marked.matches(b"secret").unwrap());
    }

    #[test]
    fn the_same_work_makes_no_new_decoy() {
        let decoy = Decoy::new().unwrap();
        decoy.note(&stored(b"{PLAIN}secret"));
        let before = decoy.pick(None);
        decoy.note(&stored(b"{PLAIN}another, and longer"));
        assert!(std::sync::Arc::ptr_eq(&before.kind, &decoy.pick(None).kind));
    }

    #[test]
    fn a_locked_password_is_replaced_and_not_noted() {
        let decoy = Decoy::new().unwrap();
        let locked = stored(b"{CRYPT}!$6$saltsalt$TVLlQcbp");
        decoy.note(&locked);
        let picked = decoy.pick(Some(&locked));
        assert_eq!(picked.work(), Decoy::new().unwrap().pick(None).work());
    }

    #[test]
    fn an_account_with_a_password_gets_its_own() {
        let decoy = Decoy::new().unwrap();
        assert!(decoy.pick(Some(&stored(b"{PLAIN}secret"))).matches(b"secret").unwrap());
    }
}
