//! Looks for bytes in short texts, eight at a time.
//!
//! What stands between two TABs is a dozen bytes long, as a rule. A search made for long texts takes longer to begin than
//! this takes altogether. Everything here is plain arithmetic, so it is the same on every machine; what turns out to be long
//! after all, a token say, is left to that other search.

use memchr::memchr;

/// 1 in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte.
const HIGHS: u64 = ONES << 7;

/// Where the control characters end that mean something on a line: NUL, 0x01, TAB, LF and CR are below it.
const MARKS: u8 = b'\r' + 1;

/// What is longer is long.
const SHORT: usize = 64;

/// Where `wanted` first stands in `bytes`.
#[inline]
pub(crate) fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    match bytes.split_at_checked(SHORT) {
        None => find_soon(wanted, bytes),
        Some((near, far)) => find_soon(wanted, near).or_else(|| Some(SHORT + memchr(wanted, far)?)),
    }
}

#[inline]
fn find_soon(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        let marked = equal(u64::from_le_bytes(*word), wanted);
        if marked != 0 {
            return Some(bytes.len() - rest.len() + lowest(marked));
        }
        rest = after;
    }
    rest.iter().position(|&byte| byte == wanted).map(|at| bytes.len() - rest.len() + at)
}

/// Which bytes of `word` are `wanted`, by their highest bit. The lowest one marked is right, those above it may not be.
#[inline]
pub(crate) const fn equal(word: u64, wanted: u8) -> u64 {
    below(word ^ (ONES * wanted as u64), 1)
}

/// Which bytes of `word` are control characters that might mean something on a line, marked as by [`equal`].
#[inline]
pub(crate) const fn marks(word: u64) -> u64 {
    below(word, MARKS)
}

/// Which byte is the lowest one marked; 8 if none is.
#[inline]
pub(crate) const fn lowest(marked: u64) -> usize {
    marked.trailing_zeros() as usize / 8
}

/// Which bytes are less than `limit`, which is at most 128. What a byte borrows, it borrows from those above it.
#[inline]
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

/// Whether there are control characters that might mean something on a line.
#[inline]
pub(crate) fn any_mark(bytes: &[u8]) -> bool {
    // Written so that the compiler looks at 32 bytes at once, and at those at the end once more rather than one by one.
    if let Some(last) = bytes.last_chunk::<32>() {
        let least = |bytes: &[u8]| bytes.iter().fold(u8::MAX, |least, &byte| least.min(byte));
        return least(bytes.as_chunks::<32>().0.as_flattened()).min(least(last)) < MARKS;
    }
    // The last word and the one before it may have bytes in common.
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().any(|&byte| byte < MARKS);
    };
    let (words, _) = bytes.as_chunks();
    let any = |seen, word: &[u8; 8]| seen | marks(u64::from_le_bytes(*word));
    words.iter().fold(any(0, last), any) != 0
}

/// Where the control characters stand that might mean something on a line. May also name a 0x0e behind one of them.
pub(crate) struct Marks<'a> {
    words: std::slice::Iter<'a, [u8; 8]>,
    /// The bytes that are no word, those that lack taken for 0xff.
    tail: u64,
    /// Where the present word begins.
    at: usize,
    /// Those of the present word that were not given yet.
    marked: u64,
}

impl<'a> Marks<'a> {
    #[inline]
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let (words, tail) = bytes.as_chunks();
        let lacking = 8 * (8 - tail.len());
        let tail = match bytes.last_chunk() {
            _ if tail.is_empty() => u64::MAX,
            Some(last) => u64::from_le_bytes(*last) >> lacking | u64::MAX << (64 - lacking),
            None => tail.iter().rfold(u64::MAX, |word, &byte| word << 8 | u64::from(byte)),
        };
        Self { words: words.iter(), tail, at: 0_usize.wrapping_sub(8), marked: 0 }
    }
}

impl Iterator for Marks<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.marked == 0 {
            self.marked = match self.words.next() {
                Some(word) => marks(u64::from_le_bytes(*word)),
                None if self.tail == u64::MAX => return None,
                None => marks(std::mem::replace(&mut self.tail, u64::MAX)),
            };
            self.at = self.at.wrapping_add(8);
        }
        let at = self.at + lowest(self.marked);
        self.marked &= self.marked - 1;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Marks, any_mark, find};

    #[test]
    fn every_byte_is_found_at_every_place_behind_every_other() {
        for other in u8::MIN..=u8::MAX {
            for wanted in u8::MIN..=u8::MAX {
                let mut text = [other; 9];
                for at in (0..9).rev() {
                    text[at] = wanted;
                    let first = if other == wanted { 0 } else { at };
                    assert_eq!(find(wanted, &text), Some(first), "{wanted} behind {other}");
                    if wanted < 14 && other > 14 {
                        assert_eq!(Marks::of(&text[..=at]).next(), Some(at), "{wanted} behind {other}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(text in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..200)) {
            for wanted in [0, 1, 3, b'\n', 0x80, 0xff] {
                let plain = text.iter().position(|&byte| byte == wanted);
                prop_assert_eq!(find(wanted, &text), plain);
            }
            let marks: Vec<_> = Marks::of(&text).filter(|&at| text[at] != 14).collect();
            let plain: Vec<_> = (0..text.len()).filter(|&at| text[at] < 14).collect();
            prop_assert_eq!(any_mark(&text), !plain.is_empty());
            prop_assert_eq!(marks, plain);
        }
    }
}
