//! Points in time as app passwords have them: whole seconds, in UTC.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::directory::parse_moment;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

/// No point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidMoment;

/// A day of UTC.
const DAY: Duration = Duration::from_secs(86_400);

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

    /// Reads what stands in a table, in the forms that an account's `expires_at` has.
    ///
    /// # Errors
    ///
    /// Anything else, also the `0000-00-00` of MySQL: whether that means never or always, nobody knows.
    pub fn parse(text: &str) -> Result<Self, InvalidMoment> {
        parse_moment(text.trim()).map(Self).ok_or(InvalidMoment)
    }

    /// Reads what a person types for the end of something: the same, but a day such as `2027-01-31` is the last one.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn parse_end(text: &str) -> Result<Self, InvalidMoment> {
        let day = text.len() == "2027-01-31".len() && text.contains('-');
        Self::parse(text).map(|moment| if day { moment.after(DAY) } else { moment })
    }
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
    fn a_day_that_a_person_names_is_the_last_and_one_in_a_table_is_over() {
        let table = [
            ("1801396800", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("2027-01-31 12:00:00", "2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
            ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z", "2027-01-31T10:00:00Z"),
            ("9999-12-31", "9999-12-31T00:00:00Z", "9999-12-31T23:59:59Z"),
        ];
        for (text, moment, end) in table {
            assert_eq!(Moment::parse(text).unwrap().to_string(), moment, "{text}");
            assert_eq!(Moment::parse_end(text).unwrap().to_string(), end, "{text}");
        }
        for text in ["", "never", "90d", "0000-00-00", "0000-00-00 00:00:00", "2027-02-30", "31.01.2027"] {
            assert!(Moment::parse(text).is_err() && Moment::parse_end(text).is_err(), "{text}");
        }
    }
}
