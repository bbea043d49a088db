//! `$y$`: yescrypt, by Alexander Peslyak (Openwall); the default of Debian's passwd. `$gy$`: the same, and GOST R
//! 34.11-2012 (Streebog) over it, by Björn Esser; the default of ALT Linux's.

use ::yescrypt::{Mode, Params};
use hmac::{KeyInit as _, Mac as _, SimpleHmac};
use streebog::{Digest as _, Streebog256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost, Scheme, Unusable,
    encoding::{Wiped, crypt64, crypt64_digit},
    kind::{Fields, Hash, Kind, Work, length, random, random_like},
    limits,
};

/// `("$y$" / "$gy$") parameters "$" salt "$" digest`: parameters packed as below, the rest in crypt(3)'s base64.
///
/// Parameters are read here and not by the crate: it panics on some, and does not tell `t`, which the limits need.
pub(super) struct Yescrypt {
    params: Params,
    t: u32,
    salt: Wiped,
    digest: Zeroizing<[u8; 32]>,
    /// Of `$gy$`, all before the last `$`, which is hashed too.
    gost: Option<Wiped>,
}

impl Yescrypt {
    pub(super) fn read(scheme: Scheme, text: &[u8]) -> Result<Self, Unusable> {
        let malformed = Unusable::Malformed {
            scheme: scheme.name(),
            expected: "$y$ or $gy$, j<parameters>$<salt>$<43 digits>",
        };
        let too_expensive = |parameter| Unusable::TooExpensive { scheme: scheme.name(), parameter };
        let mut fields = text.split(|&byte| byte == b'$').skip(2);
        let cost = fields.next().and_then(Parameters::read).ok_or(malformed)?;
        let salt = fields.next().and_then(crypt64).ok_or(malformed)?;
        let written = fields.next().ok_or(malformed)?;
        let digest = crypt64(written).ok_or(malformed)?;
        let setting = text.get(..text.len().saturating_sub(written.len() + 1)).ok_or(malformed)?;
        let gost = text.starts_with(b"$gy$").then(|| Zeroizing::new(setting.to_vec()));
        if fields.next().is_some() || salt.len() > 64 {
            return Err(malformed);
        }
        let digest = digest.as_slice().try_into().map_err(|_| malformed)?;
        if cost.p > limits::LANES {
            return Err(too_expensive("p"));
        }
        if cost.memory_kib() > limits::MEMORY_KIB {
            return Err(too_expensive("memory"));
        }
        if cost.memory_kib().saturating_mul(u64::from(cost.t) + 2) > limits::WORK_KIB {
            return Err(too_expensive("memory times t"));
        }
        let params = Params::new_with_all_params(Mode::Rw, cost.n, cost.r, cost.p, cost.t, 0);
        Ok(Self {
            params: params.map_err(|_| malformed)?,
            t: cost.t,
            salt,
            digest: Zeroizing::new(digest),
            gost,
        })
    }

    fn cost(&self) -> Parameters {
        Parameters { n: self.params.n(), r: self.params.r(), p: self.params.p(), t: self.t }
    }
}

impl Hash for Yescrypt {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        let mut digest = Zeroizing::new([0; 32]);
        ::yescrypt::yescrypt(password, &self.salt, &self.params, digest.as_mut_slice())
            .map_err(|_| Broken)?;
        if let Some(setting) = &self.gost {
            let hashed = Zeroizing::new(<[u8; 32]>::from(Streebog256::digest(password)));
            *digest = *mac(mac(hashed.as_slice(), setting)?.as_slice(), digest.as_slice())?;
        }
        Ok(digest.ct_eq(self.digest.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Slow { memory_kib: u32::try_from(self.cost().memory_kib()).unwrap_or(u32::MAX) }
    }

    fn work(&self) -> Work {
        let Parameters { n, r, p, t } = self.cost();
        let function = if self.gost.is_some() { "gost-yescrypt" } else { "yescrypt" };
        Work { function, parameters: [n.ilog2(), r, p, t, length(&self.salt)] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self { params: _, t: _, salt, digest, gost } = self;
        fields.put(salt);
        fields.put(digest.as_slice());
        if let Some(setting) = gost {
            fields.put(setting);
        }
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        let (salt, digest) = (random_like(&self.salt)?, random()?);
        Ok(Kind::Yescrypt(Self { params: self.params, t: self.t, salt, digest, gost: self.gost.clone() }))
    }
}

/// HMAC with Streebog of 256 bits.
fn mac(key: &[u8], message: &[u8]) -> Result<Zeroizing<[u8; 32]>, Broken> {
    let mac = SimpleHmac::<Streebog256>::new_from_slice(key).map_err(|_| Broken)?;
    Ok(Zeroizing::new(mac.chain_update(message).finalize().into_bytes().into()))
}

/// As scrypt's, and `t`: more time in the same memory.
struct Parameters {
    n: u64,
    r: u32,
    p: u32,
    t: u32,
}

impl Parameters {
    /// `flavour log2(n) r [have [p] [t]]`, numbers as in [`packed`].
    ///
    /// Only the flavour that libxcrypt writes, `j`; no upgrades (`g`) and no ROM, as in libxcrypt.
    fn read(text: &[u8]) -> Option<Self> {
        let mut rest = text.strip_prefix(b"j")?;
        let log2_n = packed(&mut rest, 1)?;
        let r = packed(&mut rest, 1)?;
        let have = if rest.is_empty() { 0 } else { packed(&mut rest, 1)? };
        let p = if have & 1 == 0 { 1 } else { packed(&mut rest, 2)? };
        let t = if have & 2 == 0 { 0 } else { packed(&mut rest, 1)? };
        let n = 1_u64.checked_shl(log2_n)?;
        (have <= 3 && rest.is_empty()).then_some(Self { n, r, p, t })
    }

    /// `128 * r * (n + p)` bytes and an S-box of 12 KiB for each `p`.
    fn memory_kib(&self) -> u64 {
        let blocks = u64::from(self.r).saturating_mul(self.n.saturating_add(u64::from(self.p)));
        (blocks / 8).saturating_add(u64::from(self.p) * 12)
    }
}

/// yescrypt's numbers of one to six digits, the smaller the number the fewer: the first digit says in which range it
/// lies, and so how many follow. `least` is what zero stands for.
fn packed(text: &mut &[u8], least: u32) -> Option<u32> {
    let mut take = || {
        let (&first, rest) = text.split_first()?;
        *text = rest;
        crypt64_digit(first)
    };
    let first = take()?;
    let (mut start, mut end, mut bits) = (0, 47, 0);
    let mut value = least;
    while first > end {
        value = value.checked_add((end + 1_u32 - start).checked_shl(bits)?)?;
        start = end + 1;
        end = start + (62 - end) / 2;
        bits += 6;
    }
    value = value.checked_add((first - start).checked_shl(bits)?)?;
    while bits > 0 {
        bits -= 6;
        value = value.checked_add(take()? << bits)?;
    }
    Some(value)
}
