//! App passwords that another program keeps: the rows of a directory's `app_password_query`.

use std::fmt;

use super::{Moment, Scope};
use crate::{
    account::{Net, Services},
    password::{Scheme, Stored, Unusable},
};

/// How many of one user are tried. Each costs a slow hash for every wrong password, one after the other; with 32 of
/// bcrypt at its usual cost that is two seconds. Where there are more, whoever has none of these may have one of the
/// others, which is a temporary failure.
pub const MOST_LISTED: usize = 32;

/// Longest id or label that is kept of a row, in characters.
const SHOWN: usize = 100;

/// Columns that say yes or no about one service.
const SERVICES: [&str; 5] = ["imap", "pop3", "smtp", "sieve", "lmtp"];

/// An app password of another program.
#[derive(Debug)]
pub struct Listed {
    /// Whose it is, as the table spells it. To a database, names may be equal that are not: MySQL folds accents.
    pub user: String,
    /// The value of its key, for the log.
    pub id: String,
    /// What its owner calls it.
    pub label: String,
    /// As it is stored; `None`: nobody can log in with this one.
    pub password: Option<Stored>,
    /// What it is good for.
    pub scope: Scope,
}

/// Why a row is no app password. Holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadListed {
    /// There is no column of this name.
    Missing(&'static str),
    /// A column that means nothing here: it might be meant to keep somebody out.
    Unknown(String),
    /// A value that cannot be what its column says.
    Value(&'static str),
    /// The password cannot be verified.
    Password(Unusable),
}

impl Listed {
    /// Reads a row: `(column, value)`, where `None` is NULL, which is no rule, and no password.
    ///
    /// # Errors
    ///
    /// A row that cannot be understood in all that it says. To leave out a rule would let in whom it keeps out.
    pub fn read<'a>(
        columns: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>,
        default_scheme: Scheme,
    ) -> Result<Self, BadListed> {
        let (mut id, mut label) = (String::new(), String::new());
        let (mut user, mut password) = (None, None);
        let (mut only, mut switches) = (None, Vec::new());
        let mut scope = Scope::everything();
        for (name, value) in columns {
            let name = name.to_ascii_lowercase();
            let place = SERVICES.iter().find(|service| **service == name);
            match (name.as_str(), place, value) {
                ("user", _, value) => user = Some(value),
                ("password", _, value) => password = Some(value),
                ("id" | "label" | "services" | "allow_nets" | "expires_at", _, None) | (_, Some(_), None) => {
                }
                // As of an account: a condition would not hold either.
                ("active", _, None) => scope.active = false,
                ("id", _, Some(value)) => id = shown(value),
                ("label", _, Some(value)) => label = shown(value),
                ("services", _, Some(value)) => only = Some(text("services", value)?),
                ("allow_nets", _, Some(value)) => {
                    let nets = Net::parse_list(text("allow_nets", value)?);
                    scope.allow_nets = Some(nets.map_err(|_| BadListed::Value("allow_nets"))?);
                }
                ("expires_at", _, Some(value)) => {
                    let end = Moment::parse(text("expires_at", value)?);
                    scope.expires_at = Some(end.map_err(|_| BadListed::Value("expires_at"))?);
                }
                ("active", _, Some(value)) => scope.active = boolean("active", value)?,
                (_, Some(service), Some(value)) => switches.push((*service, boolean(service, value)?)),
                (_, None, _) => return Err(BadListed::Unknown(name)),
            }
        }
        scope.services = only.map(Services::only).unwrap_or_default();
        for (service, allowed) in switches {
            scope.services.set(service, allowed);
        }
        let user = user.ok_or(BadListed::Missing("user"))?.map(String::from_utf8_lossy);
        let password = match password.ok_or(BadListed::Missing("password"))? {
            None | Some(b"") => None,
            Some(text) => Some(Stored::parse(text, default_scheme).map_err(BadListed::Password)?),
        };
        let password = password.filter(|stored| !stored.is_locked());
        Ok(Self { user: user.unwrap_or_default().into_owned(), id, label, password, scope })
    }

    /// Whether rows with these columns can be app passwords, whatever is in them.
    ///
    /// # Errors
    ///
    /// The first thing that would be wrong with every row.
    pub fn judge<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<(), BadListed> {
        Self::read(columns.into_iter().map(|name| (name, None)), Scheme::Crypt).map(drop)
    }
}

/// What is only shown may be anything, and is not shown at any length.
fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().take(SHOWN).collect()
}

fn text<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a str, BadListed> {
    std::str::from_utf8(value).map_err(|_| BadListed::Value(name))
}

/// The words of SQL databases for yes and no.
fn boolean(name: &'static str, value: &[u8]) -> Result<bool, BadListed> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
    if is_one_of(&["1", "true", "yes", "y", "t", "on"]) {
        Ok(true)
    } else if is_one_of(&["0", "false", "no", "n", "f", "off"]) {
        Ok(false)
    } else {
        Err(BadListed::Value(name))
    }
}

impl fmt::Display for BadListed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "gives no column {name}; write it as in `mailbox AS {name}`"),
            Self::Unknown(name) => write!(
                f,
                "the column {name:?} means nothing for an app password, and leaving it out might let somebody in"
            ),
            Self::Value(name) => write!(f, "the {name} of an app password cannot be read"),
            Self::Password(unusable) => write!(f, "the stored app password: {unusable}"),
        }
    }
}

impl std::error::Error for BadListed {}

#[cfg(test)]
mod tests {
    use super::{BadListed, Listed, Moment, Scheme};
    use crate::account::Net;

    fn read(columns: &[(&str, Option<&str>)]) -> Result<Listed, BadListed> {
        let columns = columns.iter().map(|(name, value)| (*name, value.map(str::as_bytes)));
        Listed::read(columns.chain([("user", Some(&b"alice"[..]))]), Scheme::Crypt)
    }

    #[test]
    fn a_row_of_mailcow_is_read_with_its_flags() {
        let row = read(&[
            ("id", Some("17")),
            ("label", Some("Old phone")),
            ("password", Some("{BLF-CRYPT}$2y$05$oyubdtvKknJTnCorl../eewa/44SrxmpkQWhjHQy.HDxe2l7q.HyW")),
            ("imap", Some("1")),
            ("smtp", Some("0")),
            ("pop3", None),
            ("active", Some("1")),
        ])
        .unwrap();
        assert_eq!((row.user.as_str(), row.id.as_str(), row.label.as_str()), ("alice", "17", "Old phone"));
        assert!(row.password.unwrap().matches(b"secret").unwrap());
        let services = row.scope.services;
        assert_eq!(
            ["imap", "pop3", "smtp", "submission"].map(|name| services.allow(name)),
            [true, true, false, false]
        );
        assert!(row.scope.active);
    }

    #[test]
    fn every_rule_is_read_and_null_is_none() {
        let row = read(&[
            ("PASSWORD", Some("{PLAIN}x")),
            ("Services", Some("imap,smtp")),
            ("sieve", Some("yes")),
            ("allow_nets", Some("192.0.2.0/24")),
            ("expires_at", Some("2027-01-31 12:00:00")),
            ("active", Some("f")),
        ])
        .unwrap();
        assert!(row.scope.services.allow("imap") && !row.scope.services.allow("sieve"));
        assert_eq!(row.scope.allow_nets, Net::parse_list("192.0.2.0/24").ok());
        assert_eq!(row.scope.expires_at, Moment::parse("1801396800").ok());
        assert!(!row.scope.active);
        let nothing = ["id", "label", "services", "allow_nets", "expires_at", "active", "imap", "password"];
        let row = read(&nothing.map(|name| (name, None))).unwrap();
        assert!(row.password.is_none());
        // But for what says that it may be used at all: SQL's `1 AND NULL`.
        assert_eq!(row.scope, super::Scope { active: false, ..super::Scope::everything() });
        assert!(read(&[("password", Some(""))]).unwrap().password.is_none());
        assert!(read(&[("password", Some("!"))]).unwrap().password.is_none());
        assert!(!read(&[("password", None), ("services", Some(""))]).unwrap().scope.services.allow("imap"));
    }

    #[test]
    fn a_row_that_cannot_be_understood_is_no_app_password() {
        let password = ("password", Some("{PLAIN}x"));
        for (column, bad) in [
            (("imap", Some("2")), BadListed::Value("imap")),
            (("active", Some("")), BadListed::Value("active")),
            (("expires_at", Some("0000-00-00 00:00:00")), BadListed::Value("expires_at")),
            (("allow_nets", Some("everywhere")), BadListed::Value("allow_nets")),
            (("allow_net", Some("192.0.2.0/24")), BadListed::Unknown("allow_net".to_owned())),
            (("dav", None), BadListed::Unknown("dav".to_owned())),
        ] {
            assert_eq!(read(&[password, column]).unwrap_err(), bad);
        }
        assert_eq!(read(&[("id", Some("1"))]).unwrap_err(), BadListed::Missing("password"));
        assert_eq!(Listed::judge(["id", "password"]), Err(BadListed::Missing("user")));
        assert_eq!(
            Listed::judge(["id", "user", "password", "dav"]),
            Err(BadListed::Unknown("dav".to_owned()))
        );
        assert_eq!(Listed::judge(["user", "password", "IMAP", "Expires_at"]), Ok(()));
        let unusable = read(&[("password", Some("{NONSENSE}x"))]).unwrap_err();
        assert!(
            matches!(unusable, BadListed::Password(_)) && !unusable.to_string().contains('x'),
            "{unusable}"
        );
    }
}
