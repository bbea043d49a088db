//! Points in time as app passwords have them: whole seconds, in UTC.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

/// No point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidMoment;

/// A day, in seconds.
const DAY: i64 = 86_400;

/// The last second of the year 9999: more than that cannot be written.
const LAST: i64 = 253_402_300_799;

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// That of so many seconds since 1970.
    pub const fn of_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// So much later.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)).min(LAST))
    }

    /// Reads the end of something: seconds since 1970, `2027-01-31 12:00:00` with `T` in place of the blank, a fraction,
    /// `Z` or an offset such as `+01:00`, or `2027-01-31`, which is over when that day is. Without an offset it is UTC.
    ///
    /// # Errors
    ///
    /// Anything else, also the `0000-00-00` of MySQL: whether that means never or always, nobody knows.
    pub fn parse_end(text: &str) -> Result<Self, InvalidMoment> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: i64 = text.parse().map_err(|_| InvalidMoment)?;
            return if seconds <= LAST { Ok(Self(seconds)) } else { Err(InvalidMoment) };
        }
        if text.len() == "2027-01-31".len() {
            let begin = Self::parse_utc(&format!("{text} 00:00:00"))?;
            return Ok(Self(begin.0 + DAY));
        }
        // Behind the date, whose hyphens are none of a sign.
        let time = text.get("2027-01-31".len()..).ok_or(InvalidMoment)?;
        match time.rfind(['+', '-']) {
            Some(at) => {
                let (time, offset) = text.split_at_checked("2027-01-31".len() + at).ok_or(InvalidMoment)?;
                Ok(Self(Self::parse_utc(time)?.0 - offset_of(offset)?))
            }
            None => Self::parse_utc(text),
        }
    }

    fn parse_utc(text: &str) -> Result<Self, InvalidMoment> {
        humantime::parse_rfc3339_weak(text).map(Self::from).map_err(|_| InvalidMoment)
    }
}

/// `+01`, `+0130`, `-01:30`, in seconds.
fn offset_of(text: &str) -> Result<i64, InvalidMoment> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.chars().skip(1).filter(|c| *c != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return Err(InvalidMoment);
    }
    let number = |digits: Option<&str>| digits.unwrap_or("0").parse::<i64>().map_err(|_| InvalidMoment);
    let hours = number(digits.get(..2))?;
    let minutes = number(digits.get(2..).filter(|rest| !rest.is_empty()))?;
    if hours > 15 || minutes > 59 {
        return Err(InvalidMoment);
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        // A clock that stands before 1970 is wrong; nothing has expired then.
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(LAST).min(LAST))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u64::try_from(self.0.clamp(0, LAST)).unwrap_or_default();
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).fmt(f)
    }
}

impl fmt::Display for InvalidMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no date, such as 2027-01-31, or time, such as 2027-01-31T12:00:00Z")
    }
}

impl std::error::Error for InvalidMoment {}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn an_end_is_read_in_the_forms_of_people_and_of_tables() {
        let table = [
            ("0", "1970-01-01T00:00:00Z"),
            ("1801396800", "2027-01-31T12:00:00Z"),
            ("2027-01-31", "2027-02-01T00:00:00Z"),
            ("2027-01-31 12:00:00", "2027-01-31T12:00:00Z"),
            ("2027-01-31T12:00:00", "2027-01-31T12:00:00Z"),
            ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
            ("2027-01-31 12:00:00.123456", "2027-01-31T12:00:00Z"),
            ("2027-01-31 12:00:00+00", "2027-01-31T12:00:00Z"),
            ("2027-01-31 12:00:00+02", "2027-01-31T10:00:00Z"),
            ("2027-01-31 12:00:00.5-05:30", "2027-01-31T17:30:00Z"),
            ("9999-12-31 23:59:59", "9999-12-31T23:59:59Z"),
        ];
        for (text, expected) in table {
            assert_eq!(
                Moment::parse_end(text).map(|moment| moment.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "never",
            "90d",
            "-1",
            "0000-00-00",
            "0000-00-00 00:00:00",
            "2027-02-30",
            "2027-13-01",
            "31.01.2027",
            "2027-01-31 25:00:00",
            "2027-01-31 12:00:00+",
            "2027-01-31 12:00:00+2",
            "2027-01-31 12:00:00+99:00",
            "2027-01-31 12:00",
            "99999999999999",
            "2027\u{e9}01\u{e9}31",
            "2027-01-31\u{e9}",
        ] {
            assert!(Moment::parse_end(text).is_err(), "{text}");
        }
    }
}
