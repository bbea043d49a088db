//! The table of gatepost's own app passwords, and all that is asked of it.

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use super::{AppPassword, Id, Moment, Scope, Use};
use crate::{
    account::{Net, Services},
    directory::sqlite::Design,
};

/// The database in the state directory.
pub(super) const DESIGN: Design = Design {
    // "gtpa".
    application: 0x6774_7061,
    migrations: &[
        // Lists are NULL where there is no rule. Times are seconds since 1970.
        "CREATE TABLE app_passwords (
             id           TEXT PRIMARY KEY CHECK (length(id) = 6),
             user         TEXT NOT NULL CHECK (length(user) > 0),
             label        TEXT NOT NULL,
             digest       BLOB NOT NULL CHECK (length(digest) = 32),
             services     TEXT,
             allow_nets   TEXT,
             expires_at   INTEGER,
             created_at   INTEGER NOT NULL,
             used_at      INTEGER,
             used_service TEXT,
             used_remote  TEXT
         ) STRICT, WITHOUT ROWID;
         CREATE INDEX app_passwords_user ON app_passwords (user);",
    ],
};

/// By the id alone: how many others there are, of the same user or not, makes no difference.
pub(super) const FIND: &str =
    "SELECT user, digest, label, services, allow_nets, expires_at FROM app_passwords WHERE id = ?1";

const LIST: &str =
    "SELECT id, user, label, services, allow_nets, expires_at, created_at, used_at, used_service, used_remote
     FROM app_passwords";

/// What decides over a login with an app password.
#[derive(Debug)]
pub struct Kept {
    /// The canonical name of its owner.
    pub user: String,
    /// See [`AppPassword::digest`].
    pub digest: [u8; 32],
    /// What its owner calls it.
    pub label: String,
    /// What it is good for; a string says what of it cannot be read.
    pub scope: Result<Scope, &'static str>,
}

/// What is shown of an app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Its id.
    pub id: String,
    /// The canonical name of its owner.
    pub user: String,
    /// What its owner calls it.
    pub label: String,
    /// A list of services; `None`: all of them.
    pub services: Option<String>,
    /// A list of networks; `None`: all of them.
    pub allow_nets: Option<String>,
    /// From when on it lets nobody in.
    pub expires_at: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
    /// When and for what it was used last.
    pub used: Option<Use>,
}

/// An app password to be made.
#[derive(Debug, Clone, Default)]
pub struct New {
    /// What its owner calls it.
    pub label: String,
    /// A list of services, or all of them.
    pub services: Option<String>,
    /// A list of networks, or all of them.
    pub allow_nets: Option<String>,
    /// When it ends.
    pub expires_at: Option<Moment>,
}

pub(super) fn find(db: &Connection, id: Id) -> rusqlite::Result<Option<Kept>> {
    let mut statement = db.prepare_cached(FIND)?;
    let found = statement.query_row([id.as_str()], |row| {
        let (services, allow_nets): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
        let scope = match allow_nets.as_deref().map(Net::parse_list).transpose() {
            Ok(allow_nets) => Ok(Scope {
                active: true,
                services: services.as_deref().map(Services::only).unwrap_or_default(),
                allow_nets,
                expires_at: row.get::<_, Option<i64>>(5)?.map(Moment::of_unix),
            }),
            Err(_) => Err("allow_nets is no list of networks"),
        };
        Ok(Kept { user: row.get(0)?, digest: row.get(1)?, label: row.get(2)?, scope })
    });
    found.optional()
}

/// `false`: the id is taken.
pub(super) fn insert(
    db: &Connection,
    password: &AppPassword,
    user: &str,
    new: &New,
    now: Moment,
) -> rusqlite::Result<bool> {
    let insert =
        "INSERT INTO app_passwords (id, user, label, digest, services, allow_nets, expires_at, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    let (id, digest) = (password.id(), password.digest());
    let (ends, now) = (new.expires_at.map(Moment::unix), now.unix());
    let values = params![id.as_str(), user, new.label, digest, new.services, new.allow_nets, ends, now];
    Ok(db.execute(insert, values)? > 0)
}

/// The next of one user after this id, at most `most`.
pub(super) fn page_of(db: &Connection, user: &str, after: &str, most: u16) -> rusqlite::Result<Vec<Details>> {
    let mut statement =
        db.prepare_cached(&format!("{LIST} WHERE user = ?1 AND id > ?2 ORDER BY id LIMIT ?3"))?;
    statement.query_map(params![user, after, most], details)?.collect()
}

/// The next of all users after this user and id, at most `most`.
pub(super) fn page(db: &Connection, after: (&str, &str), most: u16) -> rusqlite::Result<Vec<Details>> {
    let query = format!("{LIST} WHERE (user, id) > (?1, ?2) ORDER BY user, id LIMIT ?3");
    let mut statement = db.prepare_cached(&query)?;
    statement.query_map(params![after.0, after.1, most], details)?.collect()
}

/// Takes one away, and tells what it was.
pub(super) fn remove(db: &Connection, id: Id) -> rusqlite::Result<Option<Details>> {
    let query =
        "DELETE FROM app_passwords WHERE id = ?1 RETURNING id, user, label, services, allow_nets, expires_at,
         created_at, used_at, used_service, used_remote";
    db.query_row(query, [id.as_str()], details).optional()
}

/// Takes all of a user away, and tells how many there were.
pub(super) fn remove_all(db: &Connection, user: &str) -> rusqlite::Result<usize> {
    db.execute("DELETE FROM app_passwords WHERE user = ?1", [user])
}

/// Notes the last uses, all or none of them. One that is gone by now is passed over, and so is what is older than what
/// another daemon has noted.
pub(super) fn note(db: &mut Connection, uses: &[(Id, Use)]) -> rusqlite::Result<()> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut update = change.prepare_cached(
            "UPDATE app_passwords SET used_at = ?2, used_service = ?3, used_remote = ?4
             WHERE id = ?1 AND (used_at IS NULL OR used_at <= ?2)",
        )?;
        for (id, used) in uses {
            update.execute(params![id.as_str(), used.at.unix(), used.service, used.remote])?;
        }
    }
    change.commit()
}

fn details(row: &Row<'_>) -> rusqlite::Result<Details> {
    let used = match row.get::<_, Option<i64>>(7)? {
        Some(at) => Some(Use {
            at: Moment::of_unix(at),
            service: row.get::<_, Option<String>>(8)?.unwrap_or_default(),
            remote: row.get(9)?,
        }),
        None => None,
    };
    Ok(Details {
        id: row.get(0)?,
        user: row.get(1)?,
        label: row.get(2)?,
        services: row.get(3)?,
        allow_nets: row.get(4)?,
        expires_at: row.get::<_, Option<i64>>(5)?.map(Moment::of_unix),
        created_at: Moment::of_unix(row.get(6)?),
        used,
    })
}
