//! Bytes into lines: the same ones whichever way the bytes arrive, and never one above the limit.
#![no_main]

use bytes::BytesMut;
use gatepost_protocol::{codec::LineCodec, frame::Lines};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder as _;

fuzz_target!(|data: &[u8]| {
    let [limit, chunk, stream @ ..] = data else { return };
    let (limit, chunk) = (usize::from(*limit), usize::from(*chunk) + 1);
    let whole = cut(limit, stream.len().max(1), stream);
    assert_eq!(cut(limit, chunk, stream), whole);
    assert_eq!(decode(limit, chunk, stream), whole);
    assert!(whole.0.iter().all(|line| line.len() <= limit && !line.contains(&b'\n')));
});

/// The lines, and whether what came behind them was too long.
type Outcome = (Vec<Vec<u8>>, bool);

fn cut(limit: usize, chunk: usize, stream: &[u8]) -> Outcome {
    let (mut lines, mut held) = (Vec::new(), Vec::new());
    for chunk in stream.chunks(chunk) {
        held.extend_from_slice(chunk);
        let mut rest = &*held;
        loop {
            match Lines::new(limit).cut(&mut rest) {
                Ok(Some(line)) => lines.push(line.to_vec()),
                Ok(None) => break,
                Err(_) => return (lines, true),
            }
        }
        held = rest.to_vec();
    }
    (lines, false)
}

fn decode(limit: usize, chunk: usize, stream: &[u8]) -> Outcome {
    let (mut lines, mut held, mut codec) = (Vec::new(), BytesMut::new(), LineCodec::new(limit));
    for chunk in stream.chunks(chunk) {
        held.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut held) {
                Ok(Some(line)) => lines.push(line.to_vec()),
                Ok(None) => break,
                Err(_) => return (lines, true),
            }
        }
    }
    (lines, false)
}
