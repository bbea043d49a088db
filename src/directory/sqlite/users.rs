//! The administrator's side: what `gatepost user` does to the tables.

use std::{fmt, path::Path, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    entry::{Entry, exists, page},
    schema::{self, Trouble},
};
use crate::{
    account::Password,
    directory::row::{BadRow, Recipe, is_active},
    password::Scheme,
    username::Username,
};

/// A user database, open for changes. Readers in other processes see each of them at once, and as a whole.
pub struct Users {
    pub(super) db: Connection,
    recipe: Arc<Recipe>,
}

/// A user to be added.
#[derive(Default)]
pub struct NewUser {
    /// With its `{SCHEME}`; `None`: nobody can log in.
    pub password: Option<Zeroizing<String>>,
    /// The system user of the mail processes, by name or number.
    pub uid: Option<String>,
    /// Their group.
    pub gid: Option<String>,
    /// The home directory.
    pub home: Option<String>,
    /// Reserved names, and fields for the mail processes.
    pub fields: Vec<(String, String)>,
}

/// What is known of a user, without the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// The scheme of the stored password; `None`: there is none that anybody could log in with.
    pub scheme: Option<Scheme>,
    /// Whether the user may log in at all.
    pub active: bool,
    /// As a number.
    pub uid: Option<u32>,
    /// As a number.
    pub gid: Option<u32>,
    /// As in [`NewUser`].
    pub home: Option<String>,
    /// As in [`NewUser`], in the order of their names.
    pub fields: Vec<(String, String)>,
    /// In UTC, as in RFC 3339.
    pub created_at: String,
    /// In UTC, as in RFC 3339.
    pub updated_at: String,
    /// Why lookups of this user fail, if they do.
    pub unavailable: Option<String>,
}

/// Why a user was not added.
#[derive(Debug)]
pub enum AddError {
    /// The name is taken.
    Exists,
    /// No account could be made of it. Holds no value.
    Bad(String),
    /// The database cannot be used.
    Trouble(Trouble),
}

impl Users {
    /// Opens the database of a directory, or makes it.
    pub(in crate::directory) fn open(
        path: &Path,
        create: bool,
        recipe: Arc<Recipe>,
    ) -> Result<Self, Trouble> {
        let db = if create { schema::create(path)? } else { schema::open_to_write(path)? };
        Ok(Self { db, recipe })
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// Also where lookups of such a user would fail: that is told now rather than at the first login.
    pub fn add(&mut self, name: &Username, new: &NewUser) -> Result<(), AddError> {
        let mut new_fields = Vec::with_capacity(new.fields.len());
        let mut active = true;
        for (field, value) in &new.fields {
            match field.as_str() {
                "password" | "uid" | "gid" | "home" => {
                    return Err(AddError::Bad(format!("{field} is not a further field")));
                }
                "active" => active = is_active(value).map_err(|bad| AddError::Bad(bad.to_string()))?,
                _ if new_fields.iter().any(|(known, _)| known == field) => {
                    return Err(AddError::Bad(format!("{field} is given twice")));
                }
                _ => new_fields.push((field.clone(), value.clone())),
            }
        }
        let entry = Entry {
            password: new.password.as_ref().map(|text| Zeroizing::new(text.as_bytes().to_vec())),
            active,
            uid: id("uid", new.uid.as_deref(), |text| self.recipe.ids.uid(text))?,
            gid: id("gid", new.gid.as_deref(), |text| self.recipe.ids.gid(text))?,
            home: new.home.clone(),
            fields: new_fields,
        };
        let account = entry.account(&self.recipe, name).map_err(|bad| AddError::Bad(bad.to_string()))?;
        if let Password::Unusable(unusable) = account.password {
            return Err(AddError::Bad(unusable.to_string()));
        }
        self.insert(name, &entry, new.password.as_deref().map(String::as_str))
    }

    /// What is known of a user.
    pub fn details(&self, name: &Username) -> Result<Option<Details>, Trouble> {
        let Some(entry) = Entry::read(&self.db, name)? else { return Ok(None) };
        let times = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', created_at, 'unixepoch'),
            strftime('%Y-%m-%dT%H:%M:%SZ', updated_at, 'unixepoch') FROM users WHERE name = ?1";
        let times = self.db.query_row(times, [name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        // Deleted between the two.
        let Some((created_at, updated_at)) = times.optional()? else { return Ok(None) };
        let account = entry.account(&self.recipe, name);
        Ok(Some(Details {
            scheme: account
                .as_ref()
                .ok()
                .and_then(|account| account.password.stored())
                .map(|stored| stored.scheme()),
            active: entry.active,
            uid: entry.uid,
            gid: entry.gid,
            home: entry.home,
            fields: entry.fields,
            created_at,
            updated_at,
            unavailable: match account.map(|account| account.password) {
                Ok(
                    Password::Missing
                    | Password::Locked
                    | Password::Stored(_)
                    | Password::Bind(_)
                    | Password::Elsewhere(_),
                ) => None,
                Ok(Password::Unusable(unusable)) => Some(unusable.to_string()),
                Err(bad) => Some(bad.to_string()),
            },
        }))
    }

    /// The next names after `after`, at most `most`. The first page is the one after `""`.
    pub fn page(&self, after: &str, most: u16) -> Result<Vec<String>, Trouble> {
        Ok(page(&self.db, after, most)?)
    }

    /// Whether there is such a user.
    pub fn has(&self, name: &Username) -> Result<bool, Trouble> {
        Ok(exists(&self.db, name)?)
    }

    /// Gives a user a new stored password, with its `{SCHEME}`. `false`: there is no such user.
    pub fn set_password(&mut self, name: &Username, stored: &str) -> Result<bool, Trouble> {
        let change = "UPDATE users SET password = ?2, updated_at = unixepoch() WHERE name = ?1";
        Ok(self.db.execute(change, params![name.as_str(), stored])? > 0)
    }

    /// Deletes a user and everything that belongs to them. `false`: there is no such user.
    pub fn delete(&mut self, name: &Username) -> Result<bool, Trouble> {
        Ok(self.db.execute("DELETE FROM users WHERE name = ?1", params![name.as_str()])? > 0)
    }

    fn insert(&mut self, name: &Username, entry: &Entry, password: Option<&str>) -> Result<(), AddError> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if exists(&change, name)? {
            return Err(AddError::Exists);
        }
        change.execute(
            "INSERT INTO users (name, password, active, uid, gid, home) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![name.as_str(), password, entry.active, entry.uid, entry.gid, entry.home],
        )?;
        for (field, value) in &entry.fields {
            change.execute(
                "INSERT INTO user_fields (user, name, value) VALUES (?1, ?2, ?3)",
                params![name.as_str(), field, value],
            )?;
        }
        change.commit()?;
        Ok(())
    }
}

/// Replaces a user's stored password by another one, if it is still `old`. Whether it was.
pub(super) fn replace_password(path: &Path, name: &Username, old: &str, new: &str) -> Result<bool, Trouble> {
    let change = "UPDATE users SET password = ?3, updated_at = unixepoch() WHERE name = ?1 AND password = ?2";
    let db = schema::open_to_write(path)?;
    Ok(db.execute(change, params![name.as_str(), old, new])? > 0)
}

fn id(
    name: &'static str,
    text: Option<&str>,
    resolve: impl Fn(&str) -> Option<u32>,
) -> Result<Option<u32>, AddError> {
    let Some(text) = text else { return Ok(None) };
    resolve(text).map(Some).ok_or_else(|| AddError::Bad(BadRow::Id(name).to_string()))
}

impl From<rusqlite::Error> for AddError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Trouble(error.into())
    }
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("there is such a user already"),
            Self::Bad(why) => f.write_str(why),
            Self::Trouble(trouble) => trouble.fmt(f),
        }
    }
}

impl std::error::Error for AddError {}
