//! One user as the tables hold them.

use rusqlite::{Connection, OptionalExtension as _, Row as Line, params};
use zeroize::Zeroizing;

use super::super::row::{Audience, BadRow, Recipe, Row, Value};
use crate::{account::Account, username::Username};

/// A row of `users` with its rows of `user_fields`.
pub(super) struct Entry {
    pub(super) password: Option<Zeroizing<Vec<u8>>>,
    pub(super) active: bool,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) home: Option<String>,
    pub(super) fields: Vec<(String, String)>,
}

/// One statement, so that both tables are seen at the same moment.
const READ: &str = "SELECT u.password, u.active, u.uid, u.gid, u.home, f.name, f.value
     FROM users u LEFT JOIN user_fields f ON f.user = u.name WHERE u.name = ?1 ORDER BY f.name";

const PAGE: &str = "SELECT name FROM users WHERE name > ?1 ORDER BY name LIMIT ?2";

/// Without other names of somebody who is among them.
const OWNERS: &str = "SELECT name FROM users u WHERE name > ?1 AND NOT EXISTS
     (SELECT 1 FROM user_fields f JOIN users o ON o.name = lower(f.value) AND o.name <> u.name
      WHERE f.user = u.name AND f.name = 'user') ORDER BY name LIMIT ?2";

impl Entry {
    /// Reads the user of this name.
    pub(super) fn read(db: &Connection, name: &Username) -> rusqlite::Result<Option<Self>> {
        let mut statement = db.prepare_cached(READ)?;
        let mut lines = statement.query(params![name.as_str()])?;
        let mut entry: Option<Self> = None;
        while let Some(line) = lines.next()? {
            let entry = match &mut entry {
                Some(entry) => entry,
                None => entry.insert(Self::of(line)?),
            };
            if let Some(field) = line.get(5)? {
                entry.fields.push((field, line.get(6)?));
            }
        }
        Ok(entry)
    }

    fn of(line: &Line<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            password: line.get_ref(0)?.as_bytes_or_null()?.map(|text| Zeroizing::new(text.to_vec())),
            active: line.get(1)?,
            uid: line.get(2)?,
            gid: line.get(3)?,
            home: line.get(4)?,
            fields: Vec::new(),
        })
    }

    /// The account that it makes.
    pub(super) fn account(&self, recipe: &Recipe, name: &Username) -> Result<Account, BadRow> {
        let (uid, gid) = (self.uid.map(|uid| uid.to_string()), self.gid.map(|gid| gid.to_string()));
        let mut row = Row::default();
        row.put(Audience::Userdb, "uid", text(uid.as_ref().map(String::as_bytes)));
        row.put(Audience::Userdb, "gid", text(gid.as_ref().map(String::as_bytes)));
        row.put(Audience::Userdb, "home", text(self.home.as_ref().map(String::as_bytes)));
        for (name, value) in &self.fields {
            row.put(Audience::Field, name, Value::Text(value.as_bytes()));
        }
        // Last, so that no field can take their place.
        row.put(Audience::Field, "password", text(self.password.as_ref().map(|text| text.as_slice())));
        row.put(Audience::Field, "active", Value::Text(if self.active { b"1" } else { b"0" }));
        recipe.account(name, &row)
    }
}

fn text(value: Option<&[u8]>) -> Value<'_> {
    value.map_or(Value::Null, Value::Text)
}

/// The next names in their order: at most `most` after `after`.
pub(super) fn page(db: &Connection, after: &str, most: u16) -> rusqlite::Result<Vec<String>> {
    names(db, PAGE, after, most)
}

/// The same for those who do something for everybody: who has several names is there once.
pub(super) fn owners(db: &Connection, after: &str, most: u16) -> rusqlite::Result<Vec<String>> {
    names(db, OWNERS, after, most)
}

fn names(db: &Connection, query: &str, after: &str, most: u16) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached(query)?;
    let names = statement.query_map(params![after, most], |line| line.get(0))?;
    names.collect()
}

/// Whether there is a user of this name.
pub(super) fn exists(db: &Connection, name: &Username) -> rusqlite::Result<bool> {
    let found = db.query_row("SELECT 1 FROM users WHERE name = ?1", [name.as_str()], |_| Ok(()));
    found.optional().map(|found| found.is_some())
}
