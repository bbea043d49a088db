//! The administrator's side: what `gatepost app-password` does to the table.

use std::{fmt, path::Path};

use rusqlite::Connection;

use super::{AppPassword, Details, Id, Moment, New, table};
use crate::{directory::sqlite, username::Username};

/// How often an id is drawn that is taken already, before that is taken for a defect. One in ten is with a hundred
/// million of them.
const DRAWS: usize = 20;

/// The database, open for changes. The daemon sees each of them with its next look.
pub struct Records(Connection);

/// Why the database cannot be used.
#[derive(Debug)]
pub struct Trouble(pub sqlite::Trouble);

impl Records {
    /// Opens the database at `path`, or makes it.
    pub fn open(path: &Path, create: bool) -> Result<Self, Trouble> {
        let opened = if create { table::DESIGN.create(path) } else { table::DESIGN.open_to_write(path) };
        opened.map(Self).map_err(Trouble)
    }

    /// Makes an app password for a user. This is the only moment at which it is known.
    ///
    /// # Errors
    ///
    /// Also without random numbers.
    pub fn create(&mut self, user: &Username, new: &New) -> Result<AppPassword, Trouble> {
        for _ in 0..DRAWS {
            let password = AppPassword::random().map_err(|error| Trouble::other(&error))?;
            if table::insert(&self.0, &password, user.as_str(), new, Moment::now())? {
                return Ok(password);
            }
        }
        Err(Trouble::other(&"no id is free"))
    }

    /// The next of a user after this id, which starts as `""`; at most `most`.
    pub fn page_of(&self, user: &Username, after: &str, most: u16) -> Result<Vec<Details>, Trouble> {
        Ok(table::page_of(&self.0, user.as_str(), after, most)?)
    }

    /// The next of all users after this user and id, which start as `""`; at most `most`.
    pub fn page(&self, after: (&str, &str), most: u16) -> Result<Vec<Details>, Trouble> {
        Ok(table::page(&self.0, after, most)?)
    }

    /// Takes one away; `None`: there is none of this id.
    pub fn revoke(&mut self, id: Id) -> Result<Option<Details>, Trouble> {
        Ok(table::remove(&self.0, id)?)
    }

    /// Takes all of a user away, and tells how many there were.
    pub fn revoke_all(&mut self, user: &Username) -> Result<usize, Trouble> {
        Ok(table::remove_all(&self.0, user.as_str())?)
    }
}

impl Trouble {
    fn other(why: &dyn fmt::Display) -> Self {
        Self(sqlite::Trouble::Io(std::io::Error::other(why.to_string())))
    }

    /// Whether waiting does not help.
    pub const fn is_for_good(&self) -> bool {
        match self.0 {
            sqlite::Trouble::Foreign | sqlite::Trouble::Newer { .. } => true,
            sqlite::Trouble::Missing
            | sqlite::Trouble::Empty
            | sqlite::Trouble::Io(_)
            | sqlite::Trouble::Sqlite(_) => false,
        }
    }

    /// Whether nobody has made an app password yet.
    pub const fn is_missing(&self) -> bool {
        matches!(self.0, sqlite::Trouble::Missing)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell("database of app passwords", "`gatepost app-password create`", f)
    }
}

impl std::error::Error for Trouble {}
