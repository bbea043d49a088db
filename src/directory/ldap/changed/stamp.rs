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
