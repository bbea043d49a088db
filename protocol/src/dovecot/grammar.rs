//! The pieces that the lines of all the protocols here are put together from.

use std::borrow::Cow;

use memchr::memchr;
use nom::branch::alt;
use nom::combinator::{all_consuming, eof, rest, value, verify};
use nom::error::ErrorKind;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::error::Malformed;
use crate::scan::find;
use crate::text::unescape;

use super::{Fields, RequestId, Version};

/// A piece and what follows it. nom's error holds a part of the line, so it never leaves [`whole`].
pub(super) type Parsed<'a, T> = IResult<&'a [u8], T>;

/// The word that a line begins with, and the parameters, each with its TAB in front.
///
/// Refuses a LF, which no framed line has, so that no list taken from a line can ever bring one into a reply.
pub(super) fn word(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    if memchr(b'\n', line).is_some() {
        return Err(TWO_LINES);
    }
    Ok(line.split_at(find(b'\t', line).unwrap_or(line.len())))
}

/// A LF inside of what should be one line.
pub(super) const TWO_LINES: Malformed = Malformed::new("line", "one line without its LF");

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
#[inline]
pub(super) fn number(input: &[u8]) -> Parsed<'_, u32> {
    digits(tab(input)?.0)
}

/// `TAB <u32>`, not 0.
pub(super) fn positive(input: &[u8]) -> Parsed<'_, u32> {
    verify(number, |&number| number > 0).parse(input)
}

/// `TAB <id>`
#[inline]
pub(super) fn id(input: &[u8]) -> Parsed<'_, RequestId> {
    let (rest, number) = number(input)?;
    match RequestId::new(number) {
        Some(id) => Ok((rest, id)),
        None => refuse(input),
    }
}

/// `TAB <text>`, as it stands.
#[inline]
pub(super) fn raw(input: &[u8]) -> Parsed<'_, &[u8]> {
    segment(tab(input)?.0)
}

/// Up to the next TAB.
#[inline]
pub(super) fn segment(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (segment, rest) = input.split_at(find(b'\t', input).unwrap_or(input.len()));
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

/// `<u32>`: digits, at least one, and nothing before them.
#[inline]
pub(super) fn digits(input: &[u8]) -> Parsed<'_, u32> {
    let [first @ b'0'..=b'9', rest @ ..] = input else {
        return refuse(input);
    };
    let (mut number, mut rest) = (u32::from(first - b'0'), rest);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        match number.checked_mul(10).and_then(|tens| tens.checked_add(u32::from(digit - b'0'))) {
            Some(sum) => (number, rest) = (sum, after),
            None => return refuse(input),
        }
    }
    Ok((rest, number))
}

#[inline]
fn tab(input: &[u8]) -> Parsed<'_, ()> {
    match input {
        [b'\t', rest @ ..] => Ok((rest, ())),
        _ => refuse(input),
    }
}

/// What is wrong is said by [`whole`].
fn refuse<T>(input: &[u8]) -> Parsed<'_, T> {
    Err(nom::Err::Error(nom::error::Error::new(input, ErrorKind::Verify)))
}
