use bytes::BytesMut;
use proptest::prelude::*;

use super::{DIGITS, Netstrings, encode};
use crate::error::{Broken, TooLong};
use crate::frame::tests::split;

/// What a stream comes to: its payloads, and what it broke at.
pub(crate) type Outcome = (Vec<Vec<u8>>, Option<Broken>);

/// What Postfix 3.7 says to a socketmap, an empty one, one with zeros in front, and one that ends too early.
pub(crate) const STREAM: &[u8] =
    b"11:transport *,28:transport alice@example.test,0:,003:a,:,26:senders \"a b\"@example.test,12:not all";

#[test]
fn a_stream_is_cut_at_its_lengths_and_not_at_its_commas() {
    let payloads: [&[u8]; 5] =
        [b"transport *", b"transport alice@example.test", b"", b"a,:", b"senders \"a b\"@example.test"];
    assert_eq!(payloads_of(100, &[STREAM]), (payloads.map(<[u8]>::to_vec).to_vec(), None));
}

#[test]
fn payloads_are_the_same_however_the_bytes_arrive() {
    let whole = payloads_of(100, &[STREAM]);
    for one in 0..=STREAM.len() {
        for two in one..=STREAM.len() {
            let chunks = [&STREAM[..one], &STREAM[one..two], &STREAM[two..]];
            assert_eq!(payloads_of(100, &chunks), whole, "split at {one} and {two}");
        }
    }
    let drops: Vec<_> = STREAM.chunks(1).collect();
    assert_eq!(payloads_of(100, &drops), whole);
}

#[test]
fn an_unfinished_netstring_is_left_where_it_is() {
    for stream in [&b""[..], b"2", b"2:", b"2:a", b"2:ab"] {
        let mut buf = stream;
        assert_eq!(Netstrings::new(10).cut(&mut buf), Ok(None));
        assert_eq!(buf, stream);
    }
}

#[test]
fn what_is_no_netstring_is_told_at_its_first_wrong_byte() {
    for (stream, wrong) in [
        (&b":,"[..], 0),
        (b",", 0),
        (b" 1:a,", 0),
        (b"+1:a,", 0),
        (b"-1:a,", 0),
        (b"1 :a,", 1),
        (b"0x1:a,", 1),
        (b"1.0:a,", 1),
        (b"1,a", 1),
        (b"1:a\n", 3),
        (b"1:ab,", 3),
        (b"0:1:a,", 2),
        (b"\x001:a,", 0),
        (b"1\n:a,", 1),
        (b"get bob@example.test\n", 0),
        (b"request=smtpd_access_policy\n", 0),
    ] {
        let netstrings = Netstrings::new(10);
        assert_eq!(netstrings.cut(&mut &stream[..wrong]), Ok(None), "{}", stream.escape_ascii());
        let broken = netstrings.cut(&mut &stream[..=wrong]);
        assert!(matches!(broken, Err(Broken::Malformed(_))), "{}", stream.escape_ascii());
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_anything_of_that_length_comes() {
    let too_long = |limit| Err(Broken::TooLong(TooLong { limit }));
    for (length, limit) in [("1", 0), ("11", 10), ("101", 100), ("65537", 65_536), ("100001", 100_000)] {
        assert_eq!(Netstrings::new(limit).cut(&mut length.as_bytes()), too_long(limit), "{length}");
        let zeros = format!("00{length}");
        assert_eq!(Netstrings::new(limit).cut(&mut zeros.as_bytes()), too_long(limit), "{length}");
    }
    assert_eq!(Netstrings::new(65_536).cut(&mut &b"65536:"[..]), Ok(None));
    assert_eq!(Netstrings::new(0).cut(&mut &b"0:,"[..]), Ok(Some(&b""[..])));
}

/// Others have allocated what was announced: 18 bytes took their memory.
#[test]
fn a_huge_length_takes_neither_memory_nor_sense() {
    for limit in [65_536, usize::MAX / 10] {
        for length in
            ["18446744073709551615", "18446744073709551616", "99999999999999999999", "4000000000000000000"]
        {
            let stream = format!("{length}:x,");
            let cut = Netstrings::new(limit).cut(&mut stream.as_bytes());
            assert_eq!(cut, Err(TooLong { limit }.into()), "{length}");
        }
    }
    // Even where there is no limit to speak of, arithmetic does not wrap.
    let mut buf = &b"99999999999999999999:x,"[..];
    assert_eq!(Netstrings::new(usize::MAX).cut(&mut buf), Ok(None));
}

#[test]
fn zeros_without_end_are_no_length() {
    let zeros = [b'0'; DIGITS + 1];
    assert_eq!(Netstrings::new(10).cut(&mut &zeros[..DIGITS]), Ok(None));
    assert!(matches!(Netstrings::new(10).cut(&mut &zeros[..]), Err(Broken::Malformed(_))));
    let last = [&zeros[..DIGITS - 1], b"1:a,"].concat();
    assert_eq!(Netstrings::new(10).cut(&mut &last[..]), Ok(Some(&b"a"[..])));
}

/// pfxhttp keeps lengths in 16 bits: it announces 1 byte where 65537 follow, and what comes behind is read as messages.
#[test]
fn more_than_16_bits_of_length_do_not_wrap() {
    for size in [65_535, 65_536, 65_537, 100_000] {
        let payload = b"1:a,".repeat(size / 4 + 1)[..size].to_vec();
        let mut out = BytesMut::new();
        encode(&payload, &mut out);
        assert!(out.starts_with(format!("{size}:").as_bytes()), "{size}");
        assert_eq!(payloads_of(100_000, &[&out]), (vec![payload], None), "{size}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_arrives(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6),
        cuts in prop::collection::vec(0_usize..80, 0..8),
    ) {
        let mut out = BytesMut::new();
        for payload in &payloads {
            encode(payload, &mut out);
        }
        prop_assert_eq!(payloads_of(12, &split(&out, &cuts)), (payloads, None));
    }

    #[test]
    fn any_stream_comes_to_the_same_however_it_arrives((stream, cuts) in stream_and_cuts(), limit in 0_usize..12) {
        let whole = payloads_of(limit, &[&stream]);
        prop_assert!(whole.0.iter().all(|payload| payload.len() <= limit));
        prop_assert_eq!(payloads_of(limit, &split(&stream, &cuts)), whole);
    }
}

/// Streams that are netstrings for some way, and places to cut them at.
pub(crate) fn stream_and_cuts() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|payload| {
            let mut out = BytesMut::new();
            encode(&payload, &mut out);
            out.to_vec()
        }),
        prop::collection::vec(prop::sample::select(&b"0123:,a"[..]), 0..5),
    ];
    (
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        prop::collection::vec(0_usize..60, 0..8),
    )
}

pub(crate) fn payloads_of(limit: usize, chunks: &[&[u8]]) -> Outcome {
    let netstrings = Netstrings::new(limit);
    let (mut held, mut payloads) = (Vec::new(), Vec::new());
    for chunk in chunks {
        held.extend_from_slice(chunk);
        let mut buf = &held[..];
        loop {
            match netstrings.cut(&mut buf) {
                Ok(Some(payload)) => payloads.push(payload.to_vec()),
                Ok(None) => break,
                Err(broken) => return (payloads, Some(broken)),
            }
        }
        held = buf.to_vec();
    }
    (payloads, None)
}
