//! DES (FIPS 46-3) as crypt(3) uses it: with a salt, and many times in a row.

/// Encrypts `block` with `key`, `count` times over. Each bit set in `salt`, of 24, swaps two bits of the expansion.
///
/// The initial permutation is undone by the final one, so both are done once for all.
pub(super) fn encrypt(key: u64, salt: u32, block: u64, count: u32) -> u64 {
    let keys = schedule(key);
    let mask = salt.reverse_bits() >> 8;
    let (mut left, mut right) = halves(permute(block, 64, &INITIAL));
    for _ in 0..count {
        for &key in &keys {
            (left, right) = (right, left ^ scramble(right, mask, key));
        }
        (left, right) = (right, left);
    }
    permute(u64::from(left) << 32 | u64::from(right), 64, &FINAL)
}

/// The function `f`: 32 bits and a round's key of twice 24 bits to 32 bits.
fn scramble(right: u32, mask: u32, key: (u32, u32)) -> u32 {
    let group = |at: u32| right.rotate_left(4 * at + 5) & 0x3f;
    let (high, low) = (
        group(0) << 18 | group(1) << 12 | group(2) << 6 | group(3),
        group(4) << 18 | group(5) << 12 | group(6) << 6 | group(7),
    );
    let swap = (high ^ low) & mask;
    let (high, low) = (high ^ swap ^ key.0, low ^ swap ^ key.1);
    let mut out = 0;
    for (table, six) in
        BOXES.iter().zip([high >> 18, high >> 12, high >> 6, high, low >> 18, low >> 12, low >> 6, low])
    {
        out |= table.get((six & 0x3f) as usize).copied().unwrap_or_default();
    }
    out
}

/// The keys of the sixteen rounds, in halves of 24 bits. Of each byte of the key the lowest bit does not count.
fn schedule(key: u64) -> [(u32, u32); 16] {
    const ROTATIONS: [u32; 16] = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
    let mut both = permute(key, 64, &CHOICE_1);
    ROTATIONS.map(|by| {
        let rotate = |half: u64| (half << by | half >> (28 - by)) & 0x0fff_ffff;
        both = rotate(both >> 28) << 28 | rotate(both & 0x0fff_ffff);
        let round = permute(both, 56, &CHOICE_2);
        // Two halves of 24 bits, moved to where halves of 32 are.
        halves((round >> 24) << 32 | round & 0x00ff_ffff)
    })
}

const fn halves(block: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = block.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// The bits that `table` names, the most significant of `width` being 1, as the standard counts.
const fn permute(block: u64, width: u32, table: &[u8]) -> u64 {
    let mut out = 0;
    let mut rest = table;
    while let [at, more @ ..] = rest {
        out = out << 1 | block >> (width - *at as u32) & 1;
        rest = more;
    }
    out
}

/// The S-boxes by the six bits that go in, each with the permutation `P` of what comes out.
const BOXES: [[u32; 64]; 8] = boxes();

#[expect(clippy::indexing_slicing, reason = "evaluated when this is compiled")]
const fn boxes() -> [[u32; 64]; 8] {
    let mut all = [[0; 64]; 8];
    let mut at = 0;
    while at < 8 {
        let mut six = 0;
        while six < 64 {
            let (row, column) = ((six >> 4 & 2) | (six & 1), six >> 1 & 0xf);
            let four = S[at][row * 16 + column] as u64;
            let (_, out) = halves(permute(four << (28 - 4 * at), 32, &P));
            all[at][six] = out;
            six += 1;
        }
        at += 1;
    }
    all
}

const INITIAL: [u8; 64] = [
    58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48,
    40, 32, 24, 16, 8, 57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21,
    13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
];

const FINAL: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45,
    13, 53, 21, 61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18,
    58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
];

/// `P`.
const P: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6,
    22, 11, 4, 25,
];

/// `PC-1`.
const CHOICE_1: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44,
    36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20,
    12, 4,
];

/// `PC-2`.
const CHOICE_2: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37,
    47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];

/// `S1` to `S8`, row by row.
const S: [[u8; 64]; 8] = [
    [
        14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5,
        3, 8, 4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14,
        10, 0, 6, 13,
    ],
    [
        15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9,
        11, 5, 0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12,
        0, 5, 14, 9,
    ],
    [
        10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11,
        15, 1, 13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3,
        11, 5, 2, 12,
    ],
    [
        7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10,
        14, 9, 10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11,
        12, 7, 2, 14,
    ],
    [
        2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9,
        8, 6, 4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9,
        10, 4, 5, 3,
    ],
    [
        12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11,
        3, 8, 9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7,
        6, 0, 8, 13,
    ],
    [
        4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15,
        8, 6, 1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15,
        14, 2, 3, 12,
    ],
    [
        13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14,
        9, 2, 7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0,
        3, 5, 6, 11,
    ],
];

#[cfg(test)]
mod tests {
    use super::encrypt;

    /// Known answers of the standard's validation suite (NIST SP 800-17), and of textbooks.
    #[test]
    fn one_block_without_salt_is_plain_des() {
        let table = [
            (0x1334_5779_9bbc_dff1, 0x0123_4567_89ab_cdef, 0x85e8_1354_0f0a_b405),
            (0x0101_0101_0101_0101, 0x8000_0000_0000_0000, 0x95f8_a5e5_dd31_d900),
            (0x8001_0101_0101_0101, 0, 0x95a8_d728_13da_a94d),
            (0x7ca1_1045_4a1a_6e57, 0x01a1_d6d0_3977_6742, 0x690f_5b0d_9a26_939b),
        ];
        for (key, block, expected) in table {
            assert_eq!(encrypt(key, 0, block, 1), expected, "{key:016x}");
        }
    }
}
