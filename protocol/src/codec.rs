//! [`frame::Lines`](crate::frame::Lines) for `tokio_util::codec`: the same lines, cut off a growing buffer.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;
use tokio_util::codec::{Decoder, Encoder};

use crate::error::TooLong;

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
