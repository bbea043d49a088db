//! What an entry is stamped with when it is written.

use std::time::SystemTime;

use super::super::{encode, entry::Entry};

/// What an entry is stamped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    Usn,
    Csn,
    Time,
}

impl Stamp {
    pub(super) const fn attribute(self) -> &'static str {
        match self {
            Self::Usn => "uSNChanged",
            Self::Csn => "entryCSN",
            Self::Time => "modifyTimestamp",
        }
    }

    /// Whether no two changes have the same.
    pub(super) const fn is_exact(self) -> bool {
        match self {
            Self::Usn | Self::Csn => true,
            Self::Time => false,
        }
    }

    pub(super) fn of(self, entry: &Entry) -> Option<String> {
        let stamp = entry.first(self.attribute())?;
        String::from_utf8(stamp.to_vec()).ok()
    }

    /// Which is later. Times and CSNs are written so that it shows.
    pub(super) fn compare(self, one: &str, other: &str) -> std::cmp::Ordering {
        match self {
            Self::Usn => (one.len(), one).cmp(&(other.len(), other)),
            Self::Csn | Self::Time => one.cmp(other),
        }
    }

    /// The stamp of a change at this time.
    pub(super) fn at(self, when: SystemTime) -> String {
        let text = humantime::format_rfc3339_seconds(when).to_string();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        match self {
            Self::Usn => "0".to_owned(),
            Self::Csn => format!("{digits}.000000Z#000000#000#000000"),
            Self::Time => format!("{digits}Z"),
        }
    }
}

/// A filter for entries with such a stamp.
pub(super) fn condition(stamp: Stamp, relation: &str, value: &str) -> String {
    let mut condition = format!("({}{relation}", stamp.attribute());
    encode::filter_value(value.as_bytes(), &mut condition);
    condition.push(')');
    condition
}

#[cfg(test)]
mod tests {
    use std::{
        cmp::Ordering,
        time::{Duration, SystemTime},
    };

    use super::{Stamp, condition};

    #[test]
    fn later_stamps_are_greater() {
        for (stamp, one, other) in [
            (Stamp::Usn, "9", "10"),
            (Stamp::Usn, "99999", "100000"),
            (
                Stamp::Csn,
                "20261124000841.792478Z#000000#000#000000",
                "20261124000841.792479Z#000000#000#000000",
            ),
            (
                Stamp::Csn,
                "20261124000841.792478Z#000000#001#000000",
                "20261124000841.792478Z#000001#000#000000",
            ),
            (Stamp::Time, "20261124000841Z", "20261124000842Z"),
        ] {
            assert_eq!(stamp.compare(one, other), Ordering::Less, "{one} {other}");
            assert_eq!(stamp.compare(other, one), Ordering::Greater, "{one} {other}");
            assert_eq!(stamp.compare(one, one), Ordering::Equal, "{one}");
        }
    }

    #[test]
    fn a_time_is_a_stamp() {
        let when = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_000_000_900);
        assert_eq!(Stamp::Csn.at(when), "20251124160000.000000Z#000000#000#000000");
        assert_eq!(Stamp::Time.at(when), "20251124160000Z");
        assert_eq!(condition(Stamp::Time, ">=", "20251124160000Z"), "(modifyTimestamp>=20251124160000Z)");
        assert_eq!(condition(Stamp::Csn, "=", "1#)(a=*"), "(entryCSN=1\\23\\29\\28a\\3d\\2a)");
    }
}
