//! [`Netstrings`] for `tokio_util::codec`.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::postfix::netstring::Netstrings;

/// Payloads in, whole encoded netstrings out.
#[derive(Debug, Clone)]
pub struct NetstringCodec(Netstrings);

impl NetstringCodec {
    /// Payloads of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self(Netstrings::new(limit))
    }
}

impl Decoder for NetstringCodec {
    type Item = Bytes;
    /// Of kind `InvalidData` and with a [`Broken`](crate::error::Broken) inside when it was the netstring; otherwise the
    /// socket's own.
    type Error = io::Error;

    fn decode(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let mut rest = &buf[..];
        let cut = self.0.cut(&mut rest);
        let after = rest.len();
        let Some(payload) = cut.map_err(|broken| io::Error::new(io::ErrorKind::InvalidData, broken))? else {
            return Ok(None);
        };
        let size = payload.len();
        let mut netstring = buf.split_to(buf.len() - after);
        netstring.truncate(netstring.len() - 1);
        netstring.advance(netstring.len() - size);
        Ok(Some(netstring.freeze()))
    }

    /// A netstring without its end is none: a peer that dies in the middle of one has said nothing.
    fn decode_eof(&mut self, buf: &mut BytesMut) -> io::Result<Option<Bytes>> {
        let payload = self.decode(buf)?;
        if payload.is_none() {
            buf.clear();
        }
        Ok(payload)
    }
}

/// Takes what the `encode` functions of this crate made, length and comma included.
impl Encoder<&[u8]> for NetstringCodec {
    type Error = io::Error;

    fn encode(&mut self, netstrings: &[u8], out: &mut BytesMut) -> io::Result<()> {
        out.extend_from_slice(netstrings);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use tokio_util::codec::{Decoder as _, Encoder as _};

    use super::NetstringCodec;
    use crate::error::{Broken, TooLong};
    use crate::frame::tests::split;
    use crate::postfix::netstring::tests::{Outcome, STREAM, payloads_of, stream_and_cuts};

    #[test]
    fn gives_the_payloads_of_the_framer_however_the_bytes_arrive() {
        let whole = payloads_of(100, &[STREAM]);
        for at in 0..=STREAM.len() {
            assert_eq!(decoded(100, &[&STREAM[..at], &STREAM[at..]]), whole, "split at {at}");
        }
        let drops: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(decoded(100, &drops), whole);
    }

    #[test]
    fn a_broken_stream_says_so_in_its_error() {
        let error = NetstringCodec::new(5).decode(&mut BytesMut::from("6")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let source = error.get_ref().and_then(|source| source.downcast_ref::<Broken>());
        assert_eq!(source, Some(&Broken::TooLong(TooLong { limit: 5 })));
    }

    /// What has not come takes no room, whatever is announced.
    #[test]
    fn nothing_is_allocated_for_a_length_that_is_announced() {
        let mut buf = BytesMut::from("99999:x");
        let before = buf.capacity();
        assert_eq!(NetstringCodec::new(100_000).decode(&mut buf).unwrap(), None);
        assert_eq!(buf.capacity(), before);
    }

    #[test]
    fn a_peer_that_dies_in_the_middle_of_a_netstring_has_not_said_it() {
        let mut codec = NetstringCodec::new(100);
        let mut buf = BytesMut::from("1:a,11:transp");
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), Some(Bytes::from("a")));
        assert_eq!(codec.decode_eof(&mut buf).unwrap(), None);
        assert!(buf.is_empty());
    }

    #[test]
    fn sends_what_was_encoded_and_no_length_of_its_own() {
        let mut out = BytesMut::new();
        NetstringCodec::new(100).encode(&b"9:NOTFOUND ,"[..], &mut out).unwrap();
        assert_eq!(out, "9:NOTFOUND ,");
    }

    proptest! {
        #[test]
        fn agrees_with_the_framer_on_any_stream((stream, cuts) in stream_and_cuts(), limit in 0_usize..12) {
            prop_assert_eq!(decoded(limit, &split(&stream, &cuts)), payloads_of(limit, &[&stream]));
        }
    }

    fn decoded(limit: usize, chunks: &[&[u8]]) -> Outcome {
        let mut codec = NetstringCodec::new(limit);
        let mut buf = BytesMut::new();
        let mut payloads = Vec::new();
        for chunk in chunks {
            buf.extend_from_slice(chunk);
            loop {
                match codec.decode(&mut buf) {
                    Ok(Some(payload)) => payloads.push(payload.to_vec()),
                    Ok(None) => break,
                    Err(error) => {
                        let broken = error.get_ref().and_then(|source| source.downcast_ref()).copied();
                        return (payloads, broken);
                    }
                }
            }
        }
        (payloads, None)
    }
}
