//! Received bytes that have not been read as lines yet.

use bytes::{BufMut as _, BytesMut};
use zeroize::Zeroize as _;

/// A receive buffer that leaves no password behind: what was consumed is wiped, and growing wipes what it leaves.
///
/// A peer that says much at once, as one does that shows tokens, finds as much room as it fills, and a quiet one does not
/// hold on to it.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: BytesMut,
    /// How much there was at a time, lately: the most of it, and less and less of that as time goes by.
    usual: usize,
}

/// Room of a connection that has not said much yet.
const ROOM: usize = 4096;

/// Room of one that says as much as it can.
const MOST: usize = 32_768;

impl Inbox {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::with_capacity(ROOM), usual: 0 }
    }

    /// The buffer with room to read into. What is read is bounded by the room; the owner bounds the rest by
    /// consuming all complete lines before the next read and by refusing lines that are too long.
    pub(super) fn with_room(&mut self) -> &mut BytesMut {
        let (len, size) = (self.bytes.len(), self.bytes.capacity());
        let wanted = if size - len < ROOM / 4 {
            (len * 2).max(ROOM)
        } else if self.usual >= size && size < MOST {
            size * 2
        } else if self.usual.max(len) < size / 16 && size > ROOM {
            size / 2
        } else {
            size
        };
        if wanted != size {
            // Not `reserve`, which would move the bytes and leave a copy in freed memory.
            let mut other = BytesMut::with_capacity(wanted);
            other.put_slice(&self.bytes);
            wipe(&mut self.bytes);
            self.bytes = other;
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
        self.usual = len.max(self.usual - self.usual / 8);
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

    use super::{Inbox, MOST, ROOM};

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

    #[test]
    fn who_says_much_has_much_room_and_gives_it_back() {
        let mut inbox = Inbox::new();
        let mut say = |what: &dyn Fn(usize) -> usize, left: usize| {
            let bytes = inbox.with_room();
            let (held, free) = (bytes.len(), bytes.capacity() - bytes.len());
            let said = what(free);
            bytes.put_bytes(b'x', said);
            inbox.consume(held + said - left);
            assert_eq!(inbox.arrived().len(), left, "nothing is lost on a move");
            held + free
        };
        assert_eq!(say(&|_| 100, 0), ROOM);
        for left in [0, 1000, 0, 300, 0, 0] {
            say(&|free| free, left);
        }
        assert_eq!(say(&|_| 100, 0), MOST, "and no more than that");
        assert_eq!(say(&|_| 4000, 0), MOST, "one small thing said is no reason yet");
        for _ in 0..100 {
            say(&|_| 100, 0);
        }
        assert_eq!(say(&|_| 100, 0), ROOM);
    }
}
