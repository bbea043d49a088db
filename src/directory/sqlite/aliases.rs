//! Where mail goes on to, in the embedded store.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{schema::Trouble, users::Users};
use crate::config::OwnMap;

/// An alias and one of those that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// In lower case; `@domain` for everybody in it who is not there.
    pub address: String,
    /// Likewise. `@domain` makes the domain of the address another name of this one.
    pub target: String,
}

/// Why an alias was not added.
#[derive(Debug)]
pub enum AliasError {
    /// It leads there already.
    Exists,
    /// It cannot lead there and to what it leads to already.
    Mixed,
    /// The database cannot be used.
    Trouble(Trouble),
}

impl Users {
    /// Has mail for an address go on to another one as well.
    ///
    /// # Errors
    ///
    /// Also where a domain would be another name of one and lead to somebody at the same time.
    pub fn add_alias(&mut self, alias: &Alias) -> Result<(), AliasError> {
        let change = self.db.transaction()?;
        let whole = "SELECT instr(target, '@') = 1 FROM aliases WHERE address = ?1 AND target <> ?2 LIMIT 1";
        let other: Option<bool> =
            change.query_row(whole, params![alias.address, alias.target], |row| row.get(0)).optional()?;
        let is_domain = alias.target.starts_with('@');
        if other.is_some_and(|whole| whole || is_domain) {
            return Err(AliasError::Mixed);
        }
        let insert = "INSERT INTO aliases (address, target) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        if change.execute(insert, params![alias.address, alias.target])? == 0 {
            return Err(AliasError::Exists);
        }
        change.commit()?;
        Ok(())
    }

    /// Ends an alias, or with a target only that it leads there. How many targets that were.
    pub fn delete_alias(&mut self, address: &str, target: Option<&str>) -> Result<usize, Trouble> {
        let delete = "DELETE FROM aliases WHERE address = ?1 AND (?2 IS NULL OR target = ?2)";
        Ok(self.db.execute(delete, params![address, target])?)
    }

    /// The next aliases after `after`, at most `most`, by address and target.
    pub fn aliases(&self, after: Option<&Alias>, most: u16) -> Result<Vec<Alias>, Trouble> {
        let page = "SELECT address, target FROM aliases WHERE (address, target) > (?1, ?2)
                    ORDER BY address, target LIMIT ?3";
        let (address, target) = after.map_or(("", ""), |alias| (&alias.address, &alias.target));
        let mut statement = self.db.prepare_cached(page)?;
        let rows = statement.query_map(params![address, target, most], |row| {
            Ok(Alias { address: row.get(0)?, target: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// What a table has under a key.
pub(super) fn find(db: &Connection, map: OwnMap, key: &str) -> rusqlite::Result<Vec<String>> {
    let sql = match map {
        OwnMap::Aliases => {
            "SELECT target FROM aliases WHERE address = ?1 AND instr(target, '@') <> 1 ORDER BY target"
        }
        OwnMap::AliasDomains => {
            "SELECT substr(target, 2) FROM aliases WHERE address = '@' || ?1 AND instr(target, '@') = 1"
        }
        OwnMap::Domains => {
            "SELECT ?1 WHERE EXISTS (SELECT 1 FROM users WHERE substr(name, instr(name, '@') + 1) = ?1 AND instr(name, '@') > 0)
                 OR EXISTS (SELECT 1 FROM aliases WHERE substr(address, instr(address, '@') + 1) = ?1)"
        }
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([key], |row| row.get(0))?;
    rows.collect()
}

impl From<rusqlite::Error> for AliasError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Trouble(error.into())
    }
}

impl fmt::Display for AliasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("it leads there already"),
            Self::Mixed => f.write_str("a domain is another name of one other, or leads to addresses"),
            Self::Trouble(trouble) => trouble.fmt(f),
        }
    }
}

impl std::error::Error for AliasError {}
