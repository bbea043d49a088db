//! The parameters of a line, one by one.

use std::borrow::Cow;

use crate::scan::Marks;
use crate::text::unescape;

/// What stands between two TABs.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    /// All of it.
    pub(super) text: &'a [u8],
    /// Whether there are control characters in it, of which an escape may be one.
    pub(super) odd: bool,
}

impl<'a> Segment<'a> {
    /// All of it, its escapes taken off.
    #[inline]
    pub(super) fn all(&self) -> Cow<'a, [u8]> {
        if self.odd { unescape(self.text) } else { Cow::Borrowed(self.text) }
    }

    /// Whether there is a LF in it, which no line has.
    #[inline]
    pub(super) fn is_two_lines(&self) -> bool {
        self.odd && self.text.contains(&b'\n')
    }
}

/// What stands between the TABs of some text, empty parts too.
pub(super) struct Segments<'a> {
    text: &'a [u8],
    marks: Marks<'a>,
    /// Where the next one begins; behind the end after the last.
    from: usize,
}

impl<'a> Segments<'a> {
    #[inline]
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { text, marks: Marks::of(text), from: 0 }
    }

    /// What was not given yet; `None` after the last one.
    #[inline]
    pub(super) fn rest(&self) -> Option<&'a [u8]> {
        self.text.get(self.from..)
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    #[inline]
    fn next(&mut self) -> Option<Segment<'a>> {
        let from = self.from;
        let mut odd = false;
        for at in self.marks.by_ref() {
            if self.text.get(at) == Some(&b'\t') {
                self.from = at + 1;
                return Some(Segment { text: self.text.get(from..at)?, odd });
            }
            odd = true;
        }
        self.from = self.text.len() + 1;
        Some(Segment { text: self.text.get(from..)?, odd })
    }
}
