//! Cuts a byte stream into lines. Where a message ends and how much is held for a peer is settled here and nowhere else.

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
    pub fn cut<'a>(&self, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        let (line, rest) = match memchr(b'\n', buf) {
            Some(end) => {
                let (line, rest) = buf.split_at(end);
                (line, rest.get(1..))
            }
            None => (*buf, None),
        };
        // The CR of an unfinished line may yet turn out to be a part of its end.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        Ok(rest.map(|rest| {
            *buf = rest;
            line
        }))
    }
}
