//! The time of an event, as RFC 3339 has it: `2026-01-31T23:59:59.000000Z`, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::room::digit;

/// How much of it stays the same for a second: what stands before the point.
pub(super) type Second = [u8; "2026-01-31T23:59:59".len()];

/// The last second that four digits of a year can tell.
const LAST: u64 = 253_402_300_799;

/// Since 1970, or nothing where a clock is before that.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The second that is so many after 1970 began.
pub(super) const fn second(since_1970: u64) -> Second {
    let since_1970 = if since_1970 < LAST { since_1970 } else { LAST };
    let (year, month, day) = date(since_1970 / 86_400);
    let second = since_1970 % 86_400;
    let ([c, y], [n, e]) = (pair(year / 100), pair(year));
    let ([m, o], [d, a]) = (pair(month), pair(day));
    let ([h, u], [i, t], [s, r]) = (pair(second / 3600), pair(second / 60 % 60), pair(second % 60));
    [c, y, n, e, b'-', m, o, b'-', d, a, b'T', h, u, b':', i, t, b':', s, r]
}

/// What comes after that.
#[inline(always)]
pub(super) const fn micros(micros: u32) -> [u8; ".000000Z".len()] {
    let ([a, b], [c, d], [e, f]) =
        (pair(micros as u64 / 10_000), pair(micros as u64 / 100), pair(micros as u64));
    [b'.', a, b, c, d, e, f, b'Z']
}

/// Its last two digits.
#[inline(always)]
const fn pair(number: u64) -> [u8; 2] {
    [digit(number / 10), digit(number)]
}

/// Year, month and day of the month of a day, so many after the first of January 1970, in the Gregorian calendar.
///
/// Years are counted from March on, so that the day that is not in every year is the last of its year. A month then
/// begins after `(153 * month + 2) / 5` days, and the calendar repeats itself every 400 years, or 146,097 days.
const fn date(since_1970: u64) -> (u64, u64, u64) {
    // From the first of March of the year 0.
    let days = since_1970 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = year + 400 * era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{LAST, micros, second};

    fn shown(seconds: u64, microseconds: u32) -> String {
        String::from_utf8([&second(seconds)[..], &micros(microseconds)].concat()).unwrap()
    }

    fn by_humantime(seconds: u64, micros: u32) -> String {
        humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::new(seconds, micros * 1000)).to_string()
    }

    #[test]
    fn days_and_years_begin_and_end_where_they_should() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_799, "2000-02-29T23:59:59"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_767_225_599, "2025-12-31T23:59:59"),
            (1_767_225_600, "2026-01-01T00:00:00"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (LAST, "9999-12-31T23:59:59"),
            (LAST + 1, "9999-12-31T23:59:59"),
            (u64::MAX, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(second(seconds), *expected.as_bytes(), "{expected}");
        }
    }

    #[test]
    fn every_day_of_eight_hundred_years_is_that_of_the_library() {
        for day in 0..800 * 366 {
            for seconds in [day * 86_400, day * 86_400 + day % 86_400, day * 86_400 + 86_399] {
                assert_eq!(shown(seconds, 0), by_humantime(seconds, 0));
            }
        }
    }

    #[test]
    fn every_minute_of_a_day_and_every_second_of_an_hour_is_that_of_the_library() {
        let begin = 1_709_164_800;
        for seconds in (0..86_400).step_by(60).chain(0..3600) {
            assert_eq!(shown(begin + seconds, 0), by_humantime(begin + seconds, 0));
        }
    }

    #[test]
    fn microseconds_are_told_in_full() {
        for micros in (0..1_000_000).step_by(9).chain([1, 10, 99, 100, 999_999]) {
            assert_eq!(shown(1, micros), by_humantime(1, micros));
        }
    }
}
