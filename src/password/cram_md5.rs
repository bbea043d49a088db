//! CRAM-MD5, also called HMAC-MD5: the two halves of an HMAC-MD5 (RFC 2104) whose key is the password, each after its
//! first block. Whoever has them can answer a challenge as well as somebody who has the password.

use md5::{Digest as _, Md5, block_api::compress};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    Broken, Cost,
    kind::{Fields, Hash, Kind, Work, random},
};

/// Bytes of a block of MD5.
const BLOCK: usize = 64;

/// Where MD5 starts (RFC 1321 3.3).
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The state of the outer hash, then that of the inner one: eight words of 32 bits, least significant byte first.
pub(super) struct CramMd5(Zeroizing<[u8; 32]>);

impl CramMd5 {
    /// `None` if there is more or less than both.
    pub(super) fn read(material: &[u8]) -> Option<Self> {
        material.try_into().ok().map(|context| Self(Zeroizing::new(context)))
    }

    /// What would be stored of a password.
    pub(super) fn of(password: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        let hashed = Zeroizing::new(<[u8; 16]>::from(Md5::digest(password)));
        let used = if password.len() > BLOCK { hashed.as_slice() } else { password };
        for (to, &from) in key.iter_mut().zip(used) {
            *to = from;
        }
        let half = |pad: u8| {
            let mut state = START;
            compress(&mut state, &[key.map(|byte| byte ^ pad)]);
            state
        };
        let mut context = Zeroizing::new([0; 32]);
        let words = half(0x5c).into_iter().chain(half(0x36)).flat_map(u32::to_le_bytes);
        for (to, from) in context.iter_mut().zip(words) {
            *to = from;
        }
        Self(context)
    }

    /// Whether it is that of no password at all.
    pub(super) fn is_empty(&self) -> bool {
        Self::of(b"").0.ct_eq(self.0.as_slice()).into()
    }

    /// The HMAC-MD5 of a message.
    pub(super) fn mac(&self, message: &[u8]) -> Zeroizing<[u8; 16]> {
        let mut words =
            self.0.chunks_exact(4).map(|word| <[u8; 4]>::try_from(word).map_or(0, u32::from_le_bytes));
        let mut half = || [(); 4].map(|()| words.next().unwrap_or_default());
        let (outer, inner) = (half(), half());
        finish(outer, finish(inner, message).as_slice())
    }
}

/// The digest of a message that comes after one block, which led to `state`.
fn finish(mut state: [u32; 4], message: &[u8]) -> Zeroizing<[u8; 16]> {
    let bits = u64::try_from(BLOCK + message.len()).unwrap_or(u64::MAX).wrapping_mul(8);
    let mut rest = Zeroizing::new(message.to_vec());
    rest.push(0x80);
    while rest.len() % BLOCK != BLOCK - 8 {
        rest.push(0);
    }
    rest.extend_from_slice(&bits.to_le_bytes());
    for block in rest.chunks_exact(BLOCK) {
        if let Ok(block) = block.try_into() {
            compress(&mut state, &[block]);
        }
    }
    let mut digest = Zeroizing::new([0; 16]);
    for (to, from) in digest.iter_mut().zip(state.into_iter().flat_map(u32::to_le_bytes)) {
        *to = from;
    }
    digest
}

impl Hash for CramMd5 {
    fn matches(&self, password: &[u8]) -> Result<bool, Broken> {
        Ok(Self::of(password).0.ct_eq(self.0.as_slice()).into())
    }

    fn cost(&self) -> Cost {
        Cost::Cheap
    }

    fn work(&self) -> Work {
        Work { function: "cram-md5", parameters: [0; 5] }
    }

    fn feed(&self, fields: &mut Fields<'_>) {
        let Self(context) = self;
        fields.put(context.as_slice());
    }

    fn decoy(&self) -> Result<Kind, Broken> {
        Ok(Kind::CramMd5(Self(random()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::CramMd5;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 2202, section 2, and the example of RFC 2195.
    #[test]
    fn the_mac_is_that_of_the_rfcs() {
        let table: &[(&[u8], &[u8], &str)] = &[
            (&[0x0b; 16], b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
            (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
            (&[0xaa; 16], &[0xdd; 50], "56be34521d144c88dbb8c733f0e8b3f6"),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
            ),
            (
                &[0xaa; 80],
                b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
                "6f630fad67cda0ee1fb1f562db3aa53e",
            ),
            (
                b"tanstaaftanstaaf",
                b"<1896.697170952@postoffice.reston.mci.net>",
                "b913a602c7eda7a495b4e6e7334d3890",
            ),
        ];
        for (key, message, expected) in table {
            assert_eq!(hex(CramMd5::of(key).mac(message).as_slice()), *expected);
        }
    }
}
