//! Cuts a byte stream into lines. Where a line ends and how much is held for a peer is settled here and nowhere else.

use memchr::memchr;

use crate::error::TooLong;

/// Longest line on an auth-client socket, either way, in bytes without its end. Dovecot expects no longer one.
pub const AUTH_LINE: usize = 16_384;

/// Longest line accepted on an auth-master or auth-userdb socket, in bytes without its end.
///
/// Dovecot's own service reads no more than 1024 here, so all that its clients send fits amply.
pub const MASTER_LINE: usize = 8192;

/// Longest reply on those sockets, in bytes without its LF: with it, Dovecot's clients want less than 8192 bytes
/// and drop the connection otherwise.
pub const MASTER_REPLY: usize = 8190;

/// Cuts lines of at most `limit` bytes off a buffer. What a line means is the parser's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lines {
    limit: usize,
}

impl Lines {
    /// Lines of at most `limit` bytes, without LF or CR LF.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the first line off `buf` and gives it without its LF and without one CR before that (Dovecot 2.4.2
    /// and later end some lines in CR LF). `None`, and `buf` as it was, while the line has not fully arrived.
    ///
    /// # Errors
    ///
    /// [`TooLong`] for a line above the limit, also when its end is not in sight yet. The stream is lost then:
    /// the only thing left to do is to disconnect.
    #[inline]
    pub fn cut<'a>(&self, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        self.cut_behind(0, buf)
    }

    /// The same where the first `searched` bytes of `buf` are known to hold no LF: so many as an earlier call has left there
    /// with `None`. A line that arrives in drops is searched only once with this.
    pub fn cut_behind<'a>(&self, searched: usize, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        let fresh = buf.get(searched..).unwrap_or_default();
        let (line, rest) = match memchr(b'\n', fresh).map(|at| searched + at) {
            Some(end) => {
                let (line, rest) = buf.split_at(end);
                (line, rest.get(1..))
            }
            None => (*buf, None),
        };
        // The CR of an unfinished line may yet turn out to be a part of its end.
        let line = if let [line @ .., b'\r'] = line { line } else { line };
        if line.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        Ok(rest.map(|rest| {
            *buf = rest;
            line
        }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::{AUTH_LINE, Lines, MASTER_LINE, MASTER_REPLY};

    /// What a stream comes to: its lines, and whether it ended in a line too long.
    pub(crate) type Outcome = (Vec<Vec<u8>>, bool);

    /// Dovecot 2.4.2 ends some lines in CR LF, all others in LF; an empty line is a line.
    pub(crate) const STREAM: &[u8] =
        b"VERSION\t1\t2\nCPID\t7\n\nUSER\t1\tbob\tprotocol=lmtp\r\n\r\nCONT\t1\t\n\rx\r\r\nCANC";

    #[test]
    fn lines_end_in_lf_or_cr_lf() {
        let (lines, too_long) = lines_of(100, &[STREAM]);
        let expected: [&[u8]; 7] = [
            b"VERSION\t1\t2",
            b"CPID\t7",
            b"",
            b"USER\t1\tbob\tprotocol=lmtp",
            b"",
            b"CONT\t1\t",
            b"\rx\r", // one CR, not all of them
        ];
        assert_eq!(lines, expected);
        assert!(!too_long);
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let whole = lines_of(100, &[STREAM]);
        for one in 0..=STREAM.len() {
            for two in one..=STREAM.len() {
                let chunks = [&STREAM[..one], &STREAM[one..two], &STREAM[two..]];
                assert_eq!(lines_of(100, &chunks), whole, "split at {one} and {two}");
            }
        }
        let drops: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(lines_of(100, &drops), whole);
    }

    #[test]
    fn an_unfinished_line_is_left_where_it_is() {
        let mut buf = &b"CPID\t7"[..];
        assert_eq!(Lines::new(10).cut(&mut buf), Ok(None));
        assert_eq!(buf, b"CPID\t7");
    }

    #[test]
    fn the_limit_counts_the_line_without_its_end() {
        for (stream, fits) in [
            (&b"12345\n"[..], true),
            (b"12345\r\n", true),
            (b"12345", true),
            (b"12345\r", true), // its LF may follow
            (b"123456\n", false),
            (b"123456\r\n", false),
            (b"12345\r\r\n", false),
            (b"123456", false), // no LF in sight, and none could help
            (b"12345\rx", false),
        ] {
            assert_eq!(lines_of(5, &[stream]).1, !fits, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn an_endless_line_is_refused_as_soon_as_it_passes_the_limit() {
        for limit in [0, 1, MASTER_REPLY, MASTER_LINE, AUTH_LINE] {
            let mut endless = vec![b'x'; limit];
            assert_eq!(Lines::new(limit).cut(&mut &endless[..]), Ok(None));
            endless.push(b'x');
            assert_eq!(Lines::new(limit).cut(&mut &endless[..]).unwrap_err().limit, limit);
        }
    }

    proptest! {
        #[test]
        fn chunks_and_limits_do_not_interfere(
            (stream, cuts) in stream_and_cuts(),
            limit in 0_usize..12,
        ) {
            let whole = lines_of(limit, &[&stream]);
            prop_assert_eq!(lines_of(limit, &split(&stream, &cuts)), whole);
        }
    }

    /// Streams with many line ends, and places to cut them at.
    pub(crate) fn stream_and_cuts() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
        let byte = prop::sample::select(&b"ab\t\r\r\n\n"[..]);
        (prop::collection::vec(byte, 0..60), prop::collection::vec(0_usize..60, 0..8))
    }

    pub(crate) fn split<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<_> = cuts.iter().map(|&at| at.min(stream.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([stream.len()]) {
            chunks.push(&stream[from..to]);
            from = to;
        }
        chunks
    }

    pub(crate) fn lines_of(limit: usize, chunks: &[&[u8]]) -> Outcome {
        let framer = Lines::new(limit);
        let (mut held, mut searched) = (Vec::new(), 0);
        let mut lines = Vec::new();
        for chunk in chunks {
            held.extend_from_slice(chunk);
            let mut buf = &held[..];
            loop {
                let from_the_start = framer.cut(&mut { buf });
                let cut = framer.cut_behind(std::mem::take(&mut searched), &mut buf);
                assert_eq!(cut, from_the_start);
                match cut {
                    Ok(Some(line)) => lines.push(line.to_vec()),
                    Ok(None) => break,
                    Err(_) => return (lines, true),
                }
            }
            searched = buf.len();
            held = buf.to_vec();
        }
        (lines, false)
    }
}
