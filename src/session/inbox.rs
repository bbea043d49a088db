//! Received bytes that have not been read as lines yet.

use bytes::{BufMut as _, BytesMut};
use zeroize::Zeroize as _;

/// A receive buffer that leaves no password behind: what was consumed is wiped, and growing wipes what it leaves.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: BytesMut,
}

/// Room that a read finds at least.
const ROOM: usize = 4096;

impl Inbox {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::with_capacity(ROOM) }
    }

    /// The buffer with room to read into. What is read is bounded by the room; the owner bounds the rest by
    /// consuming all complete lines before the next read and by refusing lines that are too long.
    pub(super) fn with_room(&mut self) -> &mut BytesMut {
        let free = self.bytes.capacity() - self.bytes.len();
        if free < ROOM / 4 {
            // Not `reserve`, which would move the bytes and leave a copy in freed memory.
            let mut larger = BytesMut::with_capacity((self.bytes.len() * 2).max(ROOM));
            larger.put_slice(&self.bytes);
            wipe(&mut self.bytes);
            self.bytes = larger;
        }
        &mut self.bytes
    }

    /// What has arrived and was not consumed.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.bytes
    }

    /// Wipes and forgets the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        let len = self.bytes.len();
        let count = count.min(len);
        // The rest, if any, is the beginning of one line: moving it to the front keeps one allocation for the
        // life of the connection.
        self.bytes.copy_within(count.., 0);
        if let Some(tail) = self.bytes.get_mut(len - count..) {
            wipe(tail);
        }
        self.bytes.truncate(len - count);
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// Overwrites `bytes` in a way that no compiler leaves out.
///
/// In pieces: for more at once the C library turns to an instruction of the processor that is slow to begin, and that
/// counters of instructions take for as many as it writes bytes.
pub(super) fn wipe(bytes: &mut [u8]) {
    for piece in bytes.chunks_mut(PIECE) {
        piece.zeroize();
    }
}

const PIECE: usize = 1024;

#[cfg(test)]
mod tests {
    use bytes::BufMut as _;

    use super::Inbox;

    #[test]
    fn what_is_not_consumed_stays_in_order() {
        let mut inbox = Inbox::new();
        let mut expected = Vec::new();
        for round in 0..200_u8 {
            let text = vec![round; usize::from(round) * 7];
            inbox.with_room().put_slice(&text);
            expected.extend_from_slice(&text);
            let consumed = expected.len() / 3;
            inbox.consume(consumed);
            expected.drain(..consumed);
            assert_eq!(inbox.arrived(), expected);
        }
        inbox.consume(usize::MAX);
        assert!(inbox.arrived().is_empty());
    }

    #[test]
    fn consumed_bytes_are_wiped() {
        let mut inbox = Inbox::new();
        inbox.with_room().put_slice(b"AUTH\t1\tresp=c2VjcmV0\nrest");
        inbox.consume(21);
        assert_eq!(inbox.arrived(), b"rest");
        let bytes = inbox.with_room();
        bytes.resize(25, b'?');
        assert_eq!(bytes.as_ref(), b"rest?????????????????????", "the rest was moved to the front");
    }
}
