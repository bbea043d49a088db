//! Room for a line, and what is put into it without the machinery of formatting.
//!
//! Nothing here is done by halves: what does not fit, or would have to be escaped, is `None`, and the line is made
//! otherwise.

use std::{
    fmt::{self, Write as _},
    mem,
    net::IpAddr,
};

use crate::decision::Attempt;

/// What is left of the room.
pub(super) struct Room<'a>(pub(super) &'a mut [u8]);

impl Room<'_> {
    /// Puts in what is known beforehand.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let (place, rest) = mem::take(&mut self.0).split_first_chunk_mut()?;
        *place = *text;
        self.0 = rest;
        Some(())
    }

    /// Puts in a word of our own.
    #[inline(always)]
    pub(super) fn word(&mut self, word: &str) -> Option<()> {
        copy(self.take(word.len())?, word.as_bytes())
    }

    /// Puts in a string and the quote that ends it, if it holds nothing but printable ASCII without quotes and backslashes:
    /// nothing that its `Debug` would escape.
    #[inline]
    pub(super) fn quoted(&mut self, text: &[u8]) -> Option<()> {
        copy_plain(self.take(text.len())?, text)?;
        self.put(b"\"")
    }

    /// Puts in a number in decimal.
    #[inline]
    pub(super) fn number(&mut self, number: u64) -> Option<()> {
        match (u8::try_from(number), number) {
            (Ok(number), _) => self.octet(number, 0),
            (Err(_), 0..1000) => self.put(&[digit(number / 100), digit(number / 10), digit(number)]),
            (Err(_), 1000..) => self.show(&number),
        }
    }

    /// Puts in an address, `-` where there is none that is known.
    #[inline]
    pub(super) fn address(&mut self, address: Option<IpAddr>) -> Option<()> {
        match address {
            None | Some(Attempt::UNKNOWN_REMOTE) => self.put(b"-"),
            Some(IpAddr::V4(address)) => {
                let [a, b, c, d] = address.octets();
                self.octet(a, 1)?;
                self.octet(b, 1)?;
                self.octet(c, 1)?;
                self.octet(d, 0)
            }
            Some(IpAddr::V6(address)) => self.show(&address),
        }
    }

    /// Puts in a part of an address, and so many points behind it: one or none.
    #[inline(always)]
    fn octet(&mut self, octet: u8, points: usize) -> Option<()> {
        let &(text, digits) = OCTETS.get(usize::from(octet))?;
        *self.0.first_chunk_mut()? = text;
        self.take(digits + points)?;
        Some(())
    }

    /// Puts in what something shows itself as.
    pub(super) fn show(&mut self, value: &dyn fmt::Display) -> Option<()> {
        write!(self, "{value}").ok()
    }

    #[inline(always)]
    fn take(&mut self, length: usize) -> Option<&mut [u8]> {
        let (place, rest) = mem::take(&mut self.0).split_at_mut_checked(length)?;
        self.0 = rest;
        Some(place)
    }
}

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text.len()).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Copies a short text. Calling the library's function for it takes longer than the copy does.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) -> Option<()> {
    match from.len() {
        4..8 => copy_ends::<4>(to, from),
        8..16 => copy_ends::<8>(to, from),
        16..=32 => copy_ends::<16>(to, from),
        _ => {
            to.copy_from_slice(from);
            Some(())
        }
    }
}

/// Copies the first and the last bytes, which may overlap.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
    *to.first_chunk_mut::<N>()? = *from.first_chunk()?;
    *to.last_chunk_mut::<N>()? = *from.last_chunk()?;
    Some(())
}

/// Copies what can stand in quotes as it is, and gives nothing for anything else.
#[inline]
fn copy_plain(to: &mut [u8], from: &[u8]) -> Option<()> {
    let plain = match from.len() {
        0..4 => !from.iter().any(is_other),
        4..8 => {
            let (first, last) =
                (u32::from_ne_bytes(*from.first_chunk()?), u32::from_ne_bytes(*from.last_chunk()?));
            others(u64::from(first) << 32 | u64::from(last)) == 0
        }
        8..16 => {
            let (first, last) =
                (u64::from_ne_bytes(*from.first_chunk()?), u64::from_ne_bytes(*from.last_chunk()?));
            others(first) | others(last) == 0
        }
        16..=32 => {
            let ends = (from.first_chunk::<16>()?.as_chunks().0, from.last_chunk::<16>()?.as_chunks().0);
            let ([a, b], [c, d]) = (ends.0, ends.1) else { return None };
            let [a, b, c, d] = [a, b, c, d].map(|eight| others(u64::from_ne_bytes(*eight)));
            a | b | c | d == 0
        }
        33.. => from.as_chunks().0.iter().all(sixteen_are_plain) && sixteen_are_plain(from.last_chunk()?),
    };
    if plain { copy(to, from) } else { None }
}

/// Whether a byte cannot stand in quotes as it is.
#[inline(always)]
const fn is_other(byte: &u8) -> bool {
    (byte.wrapping_sub(b' ') > b'~' - b' ') | (*byte == b'"') | (*byte == b'\\')
}

/// There is no branch in it, so that sixteen bytes are looked at as a whole.
#[inline(always)]
fn sixteen_are_plain(bytes: &[u8; 16]) -> bool {
    !bytes.iter().fold(false, |other, byte| other | is_other(byte))
}

/// Has a bit set if one of eight bytes cannot stand in quotes as it is. Only the highest bit of each byte says so; where
/// a bit is borrowed from the next byte, or goes over into it, there is one that cannot.
#[inline(always)]
const fn others(bytes: u64) -> u64 {
    const fn all(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let below = bytes.wrapping_sub(all(b' '));
    let above = bytes.wrapping_add(all(0x7f - b'~')) | bytes;
    let quote = (bytes ^ all(b'"')).wrapping_sub(all(1));
    let backslash = (bytes ^ all(b'\\')).wrapping_sub(all(1));
    (below | above | quote | backslash) & all(0x80)
}

/// Each octet with a point behind it, and how many digits it has.
static OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut rest: &mut [([u8; 4], usize)] = &mut octets;
    let mut number = 0;
    while let [octet, others @ ..] = rest {
        let [hundreds, tens, ones] = [digit(number / 100), digit(number / 10), digit(number)];
        *octet = match number {
            0..10 => ([ones, b'.', 0, 0], 1),
            10..100 => ([tens, ones, b'.', 0], 2),
            100.. => ([hundreds, tens, ones, b'.'], 3),
        };
        number += 1;
        rest = others;
    }
    octets
};

/// The last digit of a number.
#[inline(always)]
pub(super) const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::{Room, is_other, others};

    /// What is put into room for so many bytes.
    fn put(size: usize, what: impl FnOnce(&mut Room<'_>) -> Option<()>) -> Option<String> {
        let mut bytes = vec![0; size];
        let mut room = Room(&mut bytes);
        what(&mut room)?;
        let left = room.0.len();
        Some(String::from_utf8(bytes[..size - left].to_vec()).unwrap())
    }

    /// A string in quotes; nothing of one that needs escapes.
    fn in_quotes(text: &str) -> Option<String> {
        put(text.len() + 2, |room| room.put(b"\"").and_then(|()| room.quoted(text.as_bytes())))
    }

    #[test]
    fn every_byte_at_every_place_is_copied_or_leaves_it_to_others() {
        for length in 1..70 {
            for place in 0..length {
                for byte in 0..=0x7f {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    let text = String::from_utf8(text).unwrap();
                    let debug = format!("{text:?}");
                    let plain = debug == format!("\"{text}\"");
                    assert_eq!(in_quotes(&text), plain.then_some(debug), "{byte} at {place} of {length}");
                }
                let mut text = vec![b'x'; length];
                text[place] = 0x80;
                // Not UTF-8, so only what looks at bytes can be asked.
                assert!(super::copy_plain(&mut vec![0; length], &text).is_none());
                text[place] = 0xff;
                assert!(super::copy_plain(&mut vec![0; length], &text).is_none());
            }
        }
    }

    #[test]
    fn numbers_are_in_decimal() {
        for number in (0..2000).chain([9999, 10_000, 999_999, 1_000_000, u64::MAX / 2, u64::MAX]) {
            assert_eq!(put(20, |room| room.number(number)), Some(number.to_string()));
        }
    }

    #[test]
    fn addresses_are_those_of_the_library() {
        let mut addresses: Vec<IpAddr> =
            (0..=255).map(|octet| Ipv4Addr::new(octet, 0, 255 - octet, octet).into()).collect();
        addresses.push(Ipv4Addr::BROADCAST.into());
        addresses.extend([Ipv6Addr::LOCALHOST, Ipv4Addr::LOCALHOST.to_ipv6_mapped()].map(IpAddr::from));
        addresses.push(Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 1, 0, 0, 0xffff]).into());
        for address in addresses {
            assert_eq!(put(64, |room| room.address(Some(address))), Some(address.to_string()));
        }
        for unknown in [None, Some(Ipv6Addr::UNSPECIFIED.into())] {
            assert_eq!(put(1, |room| room.address(unknown)), Some("-".to_owned()));
        }
    }

    #[test]
    fn what_does_not_fit_in_is_nothing() {
        let long = "x".repeat(40);
        for size in 0..40 {
            assert_eq!(put(size, |room| room.word(&long)), None);
            assert_eq!(put(size, |room| room.quoted(long.as_bytes())), None);
            assert_eq!(put(size, |room| room.show(&long)), None);
        }
        assert_eq!(put(40, |room| room.quoted(long.as_bytes())), None, "the quote has no room");
        assert_eq!(put(41, |room| room.quoted(long.as_bytes())), Some(format!("{long}\"")));
        assert_eq!(put(14, |room| room.address(Some(Ipv4Addr::BROADCAST.into()))), None);
        assert_eq!(put(2, |room| room.number(100)), None);
        assert_eq!(put(2, |room| room.put(b"abc")), None);
    }

    proptest! {
        #[test]
        fn a_word_is_copied_as_it_is(word in ".{0,80}") {
            prop_assert_eq!(put(word.len(), |room| room.word(&word)), Some(word));
        }

        #[test]
        fn a_string_is_in_quotes_as_its_debug_is_or_not_at_all(text in "[ -~\t\n\u{80}é\u{2028}]{0,80}") {
            let debug = format!("{text:?}");
            let plain = debug == format!("\"{text}\"") && text.is_ascii();
            prop_assert_eq!(in_quotes(&text), plain.then_some(debug));
        }

        #[test]
        fn eight_bytes_are_looked_at_as_each_of_them_is(bytes in any::<[u8; 8]>()) {
            prop_assert_eq!(others(u64::from_ne_bytes(bytes)) != 0, bytes.iter().any(is_other));
        }
    }
}
