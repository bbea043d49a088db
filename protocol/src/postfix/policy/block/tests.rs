use proptest::prelude::*;

use super::{Attributes, Blocks};
use crate::frame::tests::{Outcome, split, stream_and_cuts};

/// Two requests, an empty block, and one that ends too early.
pub(crate) const STREAM: &[u8] =
    b"request=smtpd_access_policy\nsize=0\nstress=\n\nrequest=x\n\n\na==b c\n\nsize=1\n";

#[test]
fn a_block_ends_in_an_empty_line() {
    let blocks: [&[u8]; 4] =
        [b"request=smtpd_access_policy\nsize=0\nstress=\n", b"request=x\n", b"", b"a==b c\n"];
    assert_eq!(blocks_of(100, &[STREAM]), (blocks.map(<[u8]>::to_vec).to_vec(), false));
}

#[test]
fn a_cr_lf_is_no_line_end() {
    let mut buf = &b"request=x\r\n\r\n"[..];
    assert_eq!(Blocks::new(100).cut(&mut buf), Ok(None));
    assert_eq!(blocks_of(100, &[b"a=b\r\n\n"]).0, [b"a=b\r\n"]);
}

#[test]
fn blocks_are_the_same_however_the_bytes_arrive() {
    let whole = blocks_of(100, &[STREAM]);
    for one in 0..=STREAM.len() {
        for two in one..=STREAM.len() {
            let chunks = [&STREAM[..one], &STREAM[one..two], &STREAM[two..]];
            assert_eq!(blocks_of(100, &chunks), whole, "split at {one} and {two}");
        }
    }
    let drops: Vec<_> = STREAM.chunks(1).collect();
    assert_eq!(blocks_of(100, &drops), whole);
}

#[test]
fn the_limit_counts_the_block_without_its_empty_line() {
    for (stream, fits) in [
        (&b"a=bc\n\n"[..], true),
        (b"a=bc\n", true),
        (b"a=bcd", true),
        (b"a=bcd\n", false), // no empty line in sight, and none could help
        (b"a=bcd\n\n", false),
        (b"a=b\nc\n", false),
        (b"\n\n\n\n\n\n\n", true),
    ] {
        assert_eq!(blocks_of(5, &[stream]).1, !fits, "{}", stream.escape_ascii());
    }
}

#[test]
fn attributes_are_split_at_their_first_equals_sign() {
    let attributes = Attributes::of_block(b"a=b=c d\n=x\ne=\na=second\nf==\n").unwrap();
    let pairs: Vec<_> = attributes.iter().collect();
    let expected: [(&[u8], &[u8]); 5] =
        [(b"a", b"b=c d"), (b"", b"x"), (b"e", b""), (b"a", b"second"), (b"f", b"=")];
    assert_eq!(pairs, expected);
    assert_eq!(attributes.find(b"a"), Some(&b"b=c d"[..]));
    assert_eq!(attributes.find(b"e"), Some(&b""[..]));
    assert_eq!(attributes.find(b"g"), None);
    assert_eq!(Attributes::of_block(b"").unwrap().iter().next(), None);
    // Not cut off a stream, but as good.
    assert_eq!(Attributes::of_block(b"a=b").unwrap().find(b"a"), Some(&b"b"[..]));
}

#[test]
fn a_line_without_an_equals_sign_and_a_nul_are_no_attributes() {
    for block in [&b"a\n"[..], b"a=b\nc\n", b"\n", b"a=b\n\nc=d\n", b"a=\0\n", b"\0=b\n", b"a=b\nc=d\0"] {
        assert!(Attributes::of_block(block).is_err(), "{}", block.escape_ascii());
    }
}

proptest! {
    #[test]
    fn chunks_and_limits_do_not_interfere((stream, cuts) in stream_and_cuts(), limit in 0_usize..12) {
        let whole = blocks_of(limit, &[&stream]);
        prop_assert!(whole.0.iter().all(|block| block.len() <= limit));
        prop_assert_eq!(blocks_of(limit, &split(&stream, &cuts)), whole);
    }
}

pub(crate) fn blocks_of(limit: usize, chunks: &[&[u8]]) -> Outcome {
    let framer = Blocks::new(limit);
    let (mut held, mut searched) = (Vec::new(), 0);
    let mut blocks = Vec::new();
    for chunk in chunks {
        held.extend_from_slice(chunk);
        let mut buf = &held[..];
        loop {
            let from_the_start = framer.cut(&mut &*buf);
            let cut = framer.cut_behind(std::mem::take(&mut searched), &mut buf);
            assert_eq!(cut, from_the_start);
            match cut {
                Ok(Some(block)) => blocks.push(block.to_vec()),
                Ok(None) => break,
                Err(_) => return (blocks, true),
            }
        }
        searched = buf.len();
        held = buf.to_vec();
    }
    (blocks, false)
}
