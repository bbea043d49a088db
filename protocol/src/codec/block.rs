//! [`Blocks`] for `tokio_util::codec`.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::postfix::policy::Blocks;

/// Blocks in, without their empty lines; whole encoded blocks out.
///
/// Remembers how far it has looked, as [`LineCodec`](super::LineCodec) does.
#[derive(Debug, Clone)]
pub struct BlockCodec {
    blocks: Blocks,
    /// So many bytes of the buffer are known to hold no end of a block.
    searched: usize,
}

impl BlockCodec {
    /// Blocks of at most `limit` bytes, without the empty line.
    pub const fn new(limit: usize) -> Self {
        Self { blocks: Blocks::new(limit), searched: 0 }
    }
}

impl Decoder for BlockCodec {
    type Item = Bytes;
    /// Of kind `InvalidData` and with a [`TooLong`](crate::error::TooLong) inside when it was the block; otherwise the
    /// socket's own.
    type Error = io::Error;

    fn decode(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let mut rest = &buf[..];
        let cut = self.blocks.cut_behind(std::mem::take(&mut self.searched), &mut rest);
        let Some(block) = cut.map_err(|too_long| io::Error::new(io::ErrorKind::InvalidData, too_long))?
        else {
            self.searched = buf.len();
            return Ok(None);
        };
        let size = block.len();
        let block = buf.split_to(size).freeze();
        buf.advance(1);
        Ok(Some(block))
    }

    /// A block without its end is none: a peer that dies in the middle of one has said nothing.
    fn decode_eof(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let block = self.decode(buf)?;
        if block.is_none() {
            buf.clear();
            self.searched = 0;
        }
        Ok(block)
    }
}

/// Takes what the `encode` functions of this crate made, the empty line included.
impl Encoder<&[u8]> for BlockCodec {
    type Error = io::Error;

    fn encode(&mut self, blocks: &[u8], out: &mut BytesMut) -> io::Result<()> {
        out.extend_from_slice(blocks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    use super::BlockCodec;
    use crate::error::TooLong;
    use crate::frame::tests::{Outcome, split, stream_and_cuts};
    use crate::postfix::policy::block::tests::{STREAM, blocks_of};

    #[test]
    fn gives_the_blocks_of_the_framer_however_the_bytes_arrive() {
        let whole = blocks_of(100, &[STREAM]);
        for at in 0..=STREAM.len() {
            assert_eq!(decoded(100, &[&STREAM[..at], &STREAM[at..]]), whole, "split at {at}");
        }
        let drops: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(decoded(100, &drops), whole);
    }

    #[test]
    fn a_block_too_long_says_so_in_its_error() {
        let error = BlockCodec::new(5).decode(&mut BytesMut::from("a=bcde")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let source = error.get_ref().and_then(|source| source.downcast_ref::<TooLong>());
        assert_eq!(source, Some(&TooLong { limit: 5 }));
    }

    #[test]
    fn a_peer_that_dies_in_the_middle_of_a_block_has_not_said_it() {
        let mut codec = BlockCodec::new(100);
        let mut buf = BytesMut::from("action=DUNNO\n\naction=DUN\n");
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), Some(Bytes::from("action=DUNNO\n")));
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), None);
        assert!(buf.is_empty());
        buf.extend_from_slice(b"a=b\n\n");
        assert_eq!(codec.decode(&mut buf).unwrap(), Some(Bytes::from("a=b\n")));
    }

    #[test]
    fn sends_what_was_encoded_and_no_line_of_its_own() {
        let mut out = BytesMut::new();
        BlockCodec::new(100).encode(&b"action=DUNNO\n\n"[..], &mut out).unwrap();
        assert_eq!(out, "action=DUNNO\n\n");
    }

    proptest! {
        #[test]
        fn agrees_with_the_framer_on_any_stream((stream, cuts) in stream_and_cuts(), limit in 0_usize..12) {
            prop_assert_eq!(decoded(limit, &split(&stream, &cuts)), blocks_of(limit, &[&stream]));
        }
    }

    fn decoded(limit: usize, chunks: &[&[u8]]) -> Outcome {
        let mut codec = BlockCodec::new(limit);
        let mut buf = BytesMut::new();
        let mut blocks = Vec::new();
        for chunk in chunks {
            buf.extend_from_slice(chunk);
            loop {
                match codec.decode(&mut buf) {
                    Ok(Some(block)) => blocks.push(block.to_vec()),
                    Ok(None) => break,
                    Err(_) => return (blocks, true),
                }
            }
        }
        (blocks, false)
    }
}
