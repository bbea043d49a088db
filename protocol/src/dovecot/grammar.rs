//! The pieces that the lines of all the protocols here are put together from.

use std::borrow::Cow;

use memchr::memchr;
use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::u32 as digits;
use nom::combinator::{all_consuming, eof, map_opt, rest, value, verify};
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::error::Malformed;
use crate::text::unescape;

use super::{Fields, RequestId, Version};

/// A piece and what follows it. nom's error holds a part of the line, so it never leaves [`whole`].
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T>;

/// The word that a line begins with, and the parameters, each with its TAB in front.
///
/// Refuses a LF, which no framed line has, so that no list taken from a line can ever bring one into a reply.
pub(super) fn word(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    if memchr(b'\n', line).is_some() {
        return Err(Malformed::new("line", "one line without its LF"));
    }
    Ok(line.split_at(memchr(b'\t', line).unwrap_or(line.len())))
}

/// Runs `parser` over all of `args`; something left over is as wrong as something missing.
pub(super) fn whole<'a, P>(
    what: &'static str,
    expected: &'static str,
    parser: P,
    args: &'a [u8],
) -> Result<P::Output, Malformed>
where
    P: Parser<&'a [u8], Error = nom::error::Error<&'a [u8]>>,
{
    match all_consuming(parser).parse(args) {
        Ok((_, value)) => Ok(value),
        Err(_) => Err(Malformed::new(what, expected)),
    }
}

/// `TAB <major> TAB <minor>`
pub(super) fn version(args: &[u8]) -> Result<Version, Malformed> {
    let version = (number, number).map(|(major, minor)| Version { major, minor });
    whole("VERSION", "<major> TAB <minor>", version, args)
}

/// `TAB <u32>`, digits only.
pub(super) fn number(input: &[u8]) -> Parsed<'_, u32> {
    preceded(tab, digits).parse(input)
}

/// `TAB <u32>`, not 0.
pub(super) fn positive(input: &[u8]) -> Parsed<'_, u32> {
    verify(number, |&number| number > 0).parse(input)
}

/// `TAB <id>`
pub(super) fn id(input: &[u8]) -> Parsed<'_, RequestId> {
    map_opt(number, RequestId::new).parse(input)
}

/// `TAB <text>`, as it stands.
pub(super) fn raw(input: &[u8]) -> Parsed<'_, &[u8]> {
    preceded(tab, segment).parse(input)
}

/// Up to the next TAB.
pub(super) fn segment(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (segment, rest) = input.split_at(memchr(b'\t', input).unwrap_or(input.len()));
    Ok((rest, segment))
}

/// `TAB <text>`, its escapes taken off.
pub(super) fn text(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    raw.map(unescape).parse(input)
}

/// `[TAB key[=value]]*` up to the end of the line.
pub(super) fn fields(input: &[u8]) -> Parsed<'_, Fields<'_>> {
    alt((value(Fields::default(), eof), preceded(tab, rest).map(Fields::of_line))).parse(input)
}

fn tab(input: &[u8]) -> Parsed<'_, ()> {
    value((), tag(&b"\t"[..])).parse(input)
}
