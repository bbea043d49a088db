//! Blocks of lines, and the attributes that the lines are.

use std::fmt;

use memchr::memmem;

use crate::error::{Malformed, TooLong};
use crate::scan::find;
use crate::text::Shown;

/// Cuts blocks of at most `limit` bytes off a buffer: lines, and an empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    limit: usize,
}

impl Blocks {
    /// Blocks of at most `limit` bytes, with their LFs but without the empty line.
    pub const fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Takes the first block off `buf` and gives it without its empty line. `None`, and `buf` as it was, while it has
    /// not fully arrived. Lines end in LF and in nothing else: a CR is part of a value, and `CR LF` no empty line.
    ///
    /// # Errors
    ///
    /// [`TooLong`] for a block above the limit, also when its end is not in sight yet. The stream is lost then: the only
    /// thing left to do is to disconnect.
    pub fn cut<'a>(&self, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        self.cut_behind(0, buf)
    }

    /// The same where the first `searched` bytes of `buf` are known to hold no end of a block: so many as an earlier call
    /// has left there with `None`. A block that arrives in drops is searched only once with this.
    pub fn cut_behind<'a>(&self, searched: usize, buf: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TooLong> {
        // The LF of the last line may have come without that of the empty one.
        let from = searched.saturating_sub(1);
        let end = match buf.first() {
            Some(b'\n') => Some(0),
            _ => memmem::find(buf.get(from..).unwrap_or_default(), b"\n\n").map(|at| from + at + 1),
        };
        if end.unwrap_or(buf.len()) > self.limit {
            return Err(TooLong { limit: self.limit });
        }
        Ok(end.map(|end| {
            let (block, rest) = buf.split_at(end);
            *buf = rest.get(1..).unwrap_or_default();
            block
        }))
    }
}

/// `[<name> "=" <value> LF]*`: a block of which every line is an attribute.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Takes a block as [`Blocks`] gives it. A line without a `=` and a NUL anywhere are as wrong to Postfix's own
    /// reader; an empty name, and a value with `=` and blanks in it, are not.
    pub fn of_block(block: &'a [u8]) -> Result<Self, Malformed> {
        let attributes = Self(block);
        if find(0, block).is_some() || lines(block).any(|line| find(b'=', line).is_none()) {
            return Err(Malformed::new("policy attribute", "<name>=<value>, without NUL"));
        }
        Ok(attributes)
    }

    /// Names and values in their order. Of several of one name, the first one counts, as it does for Postfix's own
    /// reader (`attr_scan_plain(3)`).
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        lines(self.0).filter_map(|line| {
            let (name, value) = line.split_at(find(b'=', line)?);
            Some((name, value.get(1..)?))
        })
    }

    /// The value of this name. Unlike in a [`Request`](super::Request), it may be empty.
    pub fn find(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }
}

/// The lines of a block without their LFs.
fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (Shown(name), Shown(value)))).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
