//! [`frame::Lines`](crate::frame::Lines) and its like for `tokio_util::codec`: the same messages, cut off a growing buffer.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;
use tokio_util::codec::{Decoder, Encoder};

use crate::error::TooLong;

mod block;
mod netstring;

pub use self::block::BlockCodec;
pub use self::netstring::NetstringCodec;

/// Lines in, whole encoded lines out.
///
/// Where [`Lines`](crate::frame::Lines) looks at a buffer afresh each time, this one remembers how far it has looked,
/// so that a line which arrives in drops costs no more than one which arrives at once.
#[derive(Debug, Clone)]
pub struct LineCodec {
    limit: usize,
    /// So many bytes of the buffer are known to hold no LF.
    searched: usize,
}

impl LineCodec {
    /// Lines of at most `limit` bytes, without LF or CR LF.
    pub const fn new(limit: usize) -> Self {
        Self { limit, searched: 0 }
    }

    fn check(&self, line: &[u8]) -> io::Result<usize> {
        let size = line.strip_suffix(b"\r").unwrap_or(line).len();
        if size > self.limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong { limit: self.limit }));
        }
        Ok(size)
    }
}

impl Decoder for LineCodec {
    type Item = Bytes;
    /// Of kind `InvalidData` and with a [`TooLong`] inside when it was the line; otherwise the socket's own.
    type Error = io::Error;

    fn decode(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let fresh = buf.get(self.searched..).unwrap_or_default();
        let Some(end) = memchr(b'\n', fresh).map(|at| self.searched + at) else {
            self.check(buf)?;
            self.searched = buf.len();
            return Ok(None);
        };
        self.searched = 0;
        let mut line = buf.split_to(end);
        buf.advance(1);
        let size = self.check(&line)?;
        line.truncate(size);
        Ok(Some(line.freeze()))
    }

    /// A line without an end is no line: a peer that dies in the middle of one has said nothing.
    fn decode_eof(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let line = self.decode(buf)?;
        if line.is_none() {
            buf.clear();
            self.searched = 0;
        }
        Ok(line)
    }
}

/// Takes what the `encode` functions of this crate made, line ends included.
impl Encoder<Bytes> for LineCodec {
    type Error = io::Error;

    fn encode(&mut self, lines: Bytes, out: &mut BytesMut) -> io::Result<()> {
        self.encode(&*lines, out)
    }
}

/// Takes what the `encode` functions of this crate made, line ends included.
impl Encoder<&[u8]> for LineCodec {
    type Error = io::Error;

    fn encode(&mut self, lines: &[u8], out: &mut BytesMut) -> io::Result<()> {
        out.extend_from_slice(lines);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    use super::LineCodec;
    use crate::error::TooLong;
    use crate::frame::tests::{Outcome, STREAM, lines_of, split, stream_and_cuts};

    #[test]
    fn gives_the_lines_of_the_framer_however_the_bytes_arrive() {
        let whole = lines_of(100, &[STREAM]);
        for one in 0..=STREAM.len() {
            for two in one..=STREAM.len() {
                let chunks = [&STREAM[..one], &STREAM[one..two], &STREAM[two..]];
                assert_eq!(decoded(100, &chunks), whole, "split at {one} and {two}");
            }
        }
        let drops: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(decoded(100, &drops), whole);
    }

    #[test]
    fn a_line_too_long_says_so_in_its_error() {
        let error = LineCodec::new(5).decode(&mut BytesMut::from("123456")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let source = error.get_ref().and_then(|source| source.downcast_ref::<TooLong>());
        assert_eq!(source, Some(&TooLong { limit: 5 }));
    }

    #[test]
    fn a_peer_that_dies_in_the_middle_of_a_line_has_not_said_it() {
        let mut codec = LineCodec::new(100);
        let mut buf = BytesMut::from("CPID\t7\nAUTH\t1\tPLAIN\tserv");
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), Some(Bytes::from("CPID\t7")));
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), None);
        assert!(buf.is_empty());
        buf.extend_from_slice(b"CPID\t8\n");
        assert_eq!(codec.decode(&mut buf).unwrap(), Some(Bytes::from("CPID\t8")));
    }

    #[test]
    fn sends_what_was_encoded_and_no_line_end_of_its_own() {
        let mut codec = LineCodec::new(100);
        let mut out = BytesMut::new();
        codec.encode(&b"SPID\t7\n"[..], &mut out).unwrap();
        codec.encode(Bytes::from("CUID\t1\nDONE\n"), &mut out).unwrap();
        assert_eq!(out, "SPID\t7\nCUID\t1\nDONE\n");
    }

    proptest! {
        #[test]
        fn agrees_with_the_framer_on_any_stream(
            (stream, cuts) in stream_and_cuts(),
            limit in 0_usize..12,
        ) {
            prop_assert_eq!(decoded(limit, &split(&stream, &cuts)), lines_of(limit, &[&stream]));
        }
    }

    fn decoded(limit: usize, chunks: &[&[u8]]) -> Outcome {
        let mut codec = LineCodec::new(limit);
        let mut buf = BytesMut::new();
        let mut lines = Vec::new();
        for chunk in chunks {
            buf.extend_from_slice(chunk);
            loop {
                match codec.decode(&mut buf) {
                    Ok(Some(line)) => lines.push(line.to_vec()),
                    Ok(None) => break,
                    Err(_) => return (lines, true),
                }
            }
        }
        (lines, false)
    }
}
