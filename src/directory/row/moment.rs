//! Moments in time as databases and directories write them.

use std::time::UNIX_EPOCH;

/// Seconds since 1970 began in UTC, of:
///
/// - `1767225600`: such seconds
/// - `2026-01-01T00:00:00Z` (RFC 3339) and `2026-01-01 00:00:00.000+01` (SQL); without an offset, UTC is meant
/// - `2026-01-01`: the beginning of that day
/// - `20260101000000Z`: LDAP's generalised time, to the second
///
/// Fractions of a second count for nothing. `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(digits) = text.strip_suffix('Z').filter(|digits| digits.len() == 14 && is_number(digits)) {
        let part = |from: usize, to: usize| digits.get(from..to);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        return in_utc(&format!("{year}-{month}-{day} {hour}:{minute}:{second}"));
    }
    if is_number(text.strip_prefix('-').unwrap_or(text)) {
        return text.parse().ok();
    }
    if text.len() == 10 {
        return in_utc(&format!("{text} 00:00:00"));
    }
    match text.rfind(['+', '-']).filter(|&at| at > 10) {
        None => in_utc(text),
        Some(at) => {
            let (time, offset) = text.split_at_checked(at)?;
            let (sign, offset) = offset.split_at_checked(1)?;
            let (hours, minutes) = match offset.split_once(':') {
                Some(parts) => parts,
                None if offset.len() == 4 => offset.split_at_checked(2)?,
                None => (offset, "00"),
            };
            if [hours, minutes].iter().any(|part| part.len() != 2 || !is_number(part)) {
                return None;
            }
            let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            in_utc(time)?.checked_sub(if sign == "-" { -offset } else { offset })
        }
    }
}

fn in_utc(text: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    time.duration_since(UNIX_EPOCH).ok()?.as_secs().try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    #[test]
    fn moments_are_read_as_databases_write_them() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("1767225600", Some(1_767_225_600)),
            ("-1", Some(-1)),
            ("2026-01-01", Some(1_767_225_600)),
            ("2026-01-01T00:00:00Z", Some(1_767_225_600)),
            ("2026-01-01 00:00:00", Some(1_767_225_600)),
            ("2026-01-01 00:00:00.999999", Some(1_767_225_600)),
            ("2026-01-01T01:00:00+01:00", Some(1_767_225_600)),
            ("2025-12-31 22:30:00.5-0130", Some(1_767_225_600)),
            ("2026-01-01 02:00:00+02", Some(1_767_225_600)),
            ("20260101000000Z", Some(1_767_225_600)),
            ("", None),
            ("never", None),
            ("0000-00-00", None),
            ("0000-00-00 00:00:00", None),
            ("2026-13-01", None),
            ("2026-01-01 00:00:00+", None),
            ("2026-01-01 00:00:00+1", None),
            ("2026-01-01 00:00:00+0x:00", None),
            ("20260101", Some(20_260_101)),
            ("20261301000000Z", None),
            ("99999999999999999999", None),
            ("-", None),
            ("2026-01-01\u{e9}", None),
        ] {
            assert_eq!(parse(text), seconds, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_is_it_is_a_moment_or_none(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read(seconds in 0_u64..253_402_300_799) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let text = humantime::format_rfc3339_seconds(time).to_string();
            prop_assert_eq!(parse(&text), i64::try_from(seconds).ok());
            prop_assert_eq!(parse(&text.replace(['-', ':', 'T'], "")), i64::try_from(seconds).ok());
        }
    }
}
