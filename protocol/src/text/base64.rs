//! Reads base64 in the one spelling that each value has.
//!
//! What is read is a password more often than not. So it is done by arithmetic on sixteen characters at once: that looks
//! into no table at a place that depends on them, and takes as long for one text as for any other of its length.

use zeroize::Zeroize as _;

/// Characters that are read at once, and the bytes that they make.
const BLOCK: usize = 16;
const BYTES: usize = BLOCK / 4 * 3;

/// How much room a text of so many characters needs to be read: a few bytes more than it stands for.
pub(super) const fn room(characters: usize) -> usize {
    characters.div_ceil(BLOCK) * BYTES
}

/// Reads `text` into the beginning of `room`, which has at least [`room`] bytes, and gives the number of bytes it stands
/// for. Those behind them are written to as well. `None` for a text that is not exactly as RFC 4648 section 4 would have
/// it, of which something may have been read.
pub(super) fn decode(text: &[u8], room: &mut [u8]) -> Option<usize> {
    let characters = match text {
        [characters @ .., b'=', b'='] | [characters @ .., b'='] => characters,
        characters => characters,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut wrong = [0; BLOCK];
    let (blocks, rest) = characters.as_chunks();
    let (places, _) = room.as_chunks_mut();
    let (places, last) = places.split_at_mut_checked(blocks.len())?;
    for (block, place) in blocks.iter().zip(places) {
        decode_block(block, place, &mut wrong);
    }
    let size = characters.len() / 4 * 3 + characters.len() % 4 * 3 / 4;
    let mut unused = 0;
    if !rest.is_empty() {
        // `A` stands for nothing but zeros.
        let mut block = [b'A'; BLOCK];
        block.get_mut(..rest.len())?.copy_from_slice(rest);
        let place = last.first_mut()?;
        decode_block(&block, place, &mut wrong);
        block.as_mut_slice().zeroize();
        // The bits of the last character that belong to no byte have to be zeros too.
        unused = place.get(size % BYTES).copied().unwrap_or_default();
    }
    let wrong = wrong.iter().fold(unused, |bits, &wrong| bits | wrong);
    (wrong == 0).then_some(size)
}

/// Marks in `wrong` what is none of the characters of base64.
#[inline]
fn decode_block(block: &[u8; BLOCK], place: &mut [u8; BYTES], wrong: &mut [u8; BLOCK]) {
    let mut sextets = [0; BLOCK];
    for ((sextet, &character), wrong) in sextets.iter_mut().zip(block).zip(wrong) {
        *sextet = decode_one(character);
        *wrong |= *sextet & 0xc0;
    }
    let (halves, _) = sextets.as_chunks();
    let (places, _) = place.as_chunks_mut();
    for (half, place) in halves.iter().zip(places) {
        // Six bits of each eight, twelve of each sixteen, twenty-four of each thirty-two.
        let bits = u64::from_be_bytes(*half);
        let bits = bits & 0x003f_003f_003f_003f | (bits & 0x3f00_3f00_3f00_3f00) >> 2;
        let bits = bits & 0x0000_0fff_0000_0fff | (bits & 0x0fff_0000_0fff_0000) >> 4;
        let bits = bits & 0x0000_0000_00ff_ffff | (bits & 0x00ff_ffff_0000_0000) >> 8;
        let [_, _, bytes @ ..] = bits.to_be_bytes();
        *place = bytes;
    }
}

/// The six bits that a character stands for; 255 for one that stands for none. Without a branch, so that the compiler can
/// make vector instructions of it.
#[inline]
const fn decode_one(character: u8) -> u8 {
    let upper = character.wrapping_sub(b'A');
    let lower = character.wrapping_sub(b'a');
    let digit = character.wrapping_sub(b'0');
    let upper = if upper < 26 { upper + 1 } else { 0 };
    let lower = if lower < 26 { lower + 27 } else { 0 };
    let digit = if digit < 10 { digit + 53 } else { 0 };
    let plus = if character == b'+' { 63 } else { 0 };
    let slash = if character == b'/' { 64 } else { 0 };
    (upper | lower | digit | plus | slash).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::{decode, room};

    #[test]
    fn every_byte_at_every_place_is_read_as_others_read_it() {
        for length in [4, 8, 12, 16, 20, 36] {
            for at in 0..length {
                for byte in u8::MIN..=u8::MAX {
                    let mut text = vec![b'A'; length];
                    text[at] = byte;
                    assert_eq!(decoded(&text), STANDARD.decode(&text).ok(), "{}", text.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn every_length_and_end_is_read_as_others_read_it() {
        for length in 0..100 {
            for padding in 0..4 {
                for last in *b"ABCDEQgw/" {
                    let mut text = vec![b'x'; length];
                    text.extend((length > 0).then_some(last));
                    text.extend(vec![b'='; padding]);
                    assert_eq!(decoded(&text), STANDARD.decode(&text).ok(), "{}", text.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn without_the_room_nothing_is_read() {
        let mut room = [0; 11];
        assert_eq!(decode(b"AAAA", &mut room), None);
        assert_eq!(decode(&[b'A'; 16], &mut room), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value: Vec<u8>) {
            prop_assert_eq!(decoded(STANDARD.encode(&value).as_bytes()), Some(value));
        }

        #[test]
        fn a_text_is_read_as_others_read_it(text in "[A-Za-z0-9+/]{0,70}[A-Za-z0-9+/=]{0,4}") {
            prop_assert_eq!(decoded(text.as_bytes()), STANDARD.decode(&text).ok());
        }
    }

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![0xaa; room(text.len())];
        let size = decode(text, &mut room)?;
        room.truncate(size);
        Some(room)
    }
}
