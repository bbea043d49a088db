//! `$md5$` and `$md5,`: thousands of rounds of MD5, each with or without a page of Hamlet, by Alec Muffett for Solaris,
//! 2005.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64, is_crypt64, number, reorder},
    kind::{Fields, Hash, Kind, Work, length, random},
    limits,
    md5_crypt::ORDER,
};

/// Rounds that nobody has to ask for.
const LEAST_ROUNDS: u32 = 4096;

/// `"$md5" ("$" / ",") ["rounds=" number "$"] [salt] ["$"] "$"` and 22 digits.
///
/// All before the last `$` is salt, the head and the number too; an implementation of old left one `$` more in some,
/// which belongs to it.
pub(super) struct SunMd5 {
    rounds: u32,
    setting: Wiped,
    /// As written, reordered.
    digest: Zeroizing<[u8; 16]>,
}

impl SunMd5 {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let expected = "$md5$ or $md5,[rounds=<number>$]<salt>$<22 digits>";
        let malformed = Unusable::Malformed { scheme: scheme.name(), expected };
        let (setting, digest) = text.split_at_checked(text.len().saturating_sub(23)).ok_or(malformed)?;
        let digest = digest.strip_prefix(b"$").and_then(crypt64).ok_or(malformed)?;
        let Some(mut salt) = setting.strip_prefix(b"$md5$").or_else(|| setting.strip_prefix(b"$md5,")) else {
            return Err(malformed);
        };
        let mut more = 0;
        if let Some(rest) = salt.strip_prefix(b"rounds=") {
            let mut fields = rest.splitn(2, |&byte| byte == b'$');
            more = fields.next().and_then(number).ok_or(malformed)?;
            salt = fields.next().ok_or(malformed)?;
        }
        let salt = salt.strip_suffix(b"$").unwrap_or(salt);
        if !is_crypt64(salt) {
            return Err(malformed);
        }
        if more > limits::SUN_MD5_ROUNDS {
            return Err(Unusable::TooExpensive { scheme: scheme.name(), parameter: "rounds" });
        }
        let digest = digest.as_slice().try_into().map_err(|_| malformed)?;
        let setting = Zeroizing::new(setting.to_vec());
        Ok(Self { rounds: LEAST_ROUNDS + more, setting, digest: Zeroizing::new(digest) })
    }
}

/// Whether a round takes Hamlet in. All of it depends on the digest before.
fn coin(digest: &[u8; 16], round: u32) -> bool {
    let byte = |at: u32| u32::from(digest.get((at % 16) as usize).copied().unwrap_or_default());
    let bit = |at: u32| byte((at % 128) / 8) >> (at % 8) & 1;
    let half = |from: u32| {
        (0..8).fold(0, |bits, at| {
            let (a, b) = (byte(at + from), byte(at + from + 3));
            let value = byte(a >> (b % 5)) >> (b >> (a % 8) & 1);
            bits | bit(value) << at
        })
    };
    let (x, y) = (half(0) >> bit(round), half(8) >> bit(round.wrapping_add(64)));
    bit(x) ^ bit(y) == 1
}

impl Hash for SunMd5 {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let mut digest = Zeroizing::new(<[u8; 16]>::from(
            Md5::new().chain_update(password).chain_update(self.setting.as_slice()).finalize(),
        ));
        for round in 0..self.rounds {
            let mut next = Md5::new().chain_update(digest.as_slice());
            if coin(&digest, round) {
                // With the NUL at its end.
                next.update(HAMLET);
                next.update([0]);
            }
            next.update(round.to_string());
            *digest = next.finalize().into();
        }
        Ok(reorder(&digest, &ORDER).ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: 0 }
    }

    fn work(&self) -> Work {
        Work { function: "sun-md5", parameters: [self.rounds, 0, 0, 0, length(&self.setting)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { rounds: _, setting, digest } = self;
        fields.put(setting);
        fields.put(digest.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::SunMd5(Self { rounds: self.rounds, setting: self.setting.clone(), digest: random()? }))
    }
}

/// Act 3, scene 1, as in the edition of Project Gutenberg.
const HAMLET: &str = concat!(
    "To be, or not to be,--that is the question:--\n",
    "Whether 'tis nobler in the mind to suffer\n",
    "The slings and arrows of outrageous fortune\n",
    "Or to take arms against a sea of troubles,\n",
    "And by opposing end them?--To die,--to sleep,--\n",
    "No more; and by a sleep to say we end\n",
    "The heartache, and the thousand natural shocks\n",
    "That flesh is heir to,--'tis a consummation\n",
    "Devoutly to be wish'd. To die,--to sleep;--\n",
    "To sleep! perchance to dream:--ay, there's the rub;\n",
    "For in that sleep of death what dreams may come,\n",
    "When we have shuffled off this mortal coil,\n",
    "Must give us pause: there's the respect\n",
    "That makes calamity of so long life;\n",
    "For who would bear the whips and scorns of time,\n",
    "The oppressor's wrong, the proud man's contumely,\n",
    "The pangs of despis'd love, the law's delay,\n",
    "The insolence of office, and the spurns\n",
    "That patient merit of the unworthy takes,\n",
    "When he himself might his quietus make\n",
    "With a bare bodkin? who would these fardels bear,\n",
    "To grunt and sweat under a weary life,\n",
    "But that the dread of something after death,--\n",
    "The undiscover'd country, from whose bourn\n",
    "No traveller returns,--puzzles the will,\n",
    "And makes us rather bear those ills we have\n",
    "Than fly to others that we know not of?\n",
    "Thus conscience does make cowards of us all;\n",
    "And thus the native hue of resolution\n",
    "Is sicklied o'er with the pale cast of thought;\n",
    "And enterprises of great pith and moment,\n",
    "With this regard, their currents turn awry,\n",
    "And lose the name of action.--Soft you now!\n",
    "The fair Ophelia!--Nymph, in thy orisons\n",
    "Be all my sins remember'd.\n",
);
