//! Who has changed: the tables keep it themselves.
//!
//! SQLite says for next to nothing whether anybody has written to a file (`PRAGMA data_version`), and triggers have
//! written down whom it was about: see `schema`. That goes for changes of any program, `sqlite3` among them.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;
use tracing::error;

use super::{
    Sqlite,
    schema::{CHANGES_KEPT, Trouble, open_to_read},
};
use crate::{
    directory::watch::{Changed, Tell, every},
    username::Username,
};

impl Sqlite {
    /// Looks who has changed, for as long as the daemon runs.
    pub(in crate::directory) async fn watch(&self, period: Duration, tell: &Tell) {
        let mut ticks = every(period);
        let mut watch = Some(Watch { path: self.path.clone(), open: None });
        loop {
            ticks.tick().await;
            let mut this = watch.take().unwrap_or_else(|| Watch { path: self.path.clone(), open: None });
            let looked = tokio::task::spawn_blocking(move || {
                let told = this.look();
                (this, told)
            });
            match looked.await {
                Ok((this, told)) => {
                    watch = Some(this);
                    if !told.is_empty() {
                        tell(&told);
                    }
                }
                Err(_) => error!("a look at the user database ended in a panic"),
            }
        }
    }
}

/// What the looks at a file remember.
struct Watch {
    path: PathBuf,
    /// `None`: the file cannot be read, or nobody has so far.
    open: Option<Open>,
}

struct Open {
    db: Connection,
    /// Device and inode.
    file: (u64, u64),
    /// `data_version` at the last look.
    version: i64,
    /// The last change that was told.
    last: i64,
}

impl Watch {
    /// Gives what is to be told. Why a file cannot be read, the log has from those who ask for users.
    fn look(&mut self) -> Vec<Changed> {
        match self.changes() {
            Ok(told) => told,
            Err(_) => {
                self.open = None;
                Vec::new()
            }
        }
    }

    fn changes(&mut self) -> Result<Vec<Changed>, Trouble> {
        let metadata = std::fs::metadata(&self.path)?;
        let file = (metadata.dev(), metadata.ino());
        let Some(open) = self.open.as_mut().filter(|open| open.file == file) else {
            // Another file, or the first look: whatever was known before may be outdated.
            self.open = Some(Open::new(&self.path, file)?);
            return Ok(vec![Changed::Everybody]);
        };
        let version = data_version(&open.db)?;
        if version == open.version {
            return Ok(Vec::new());
        }
        let told = open.told()?;
        open.version = version;
        Ok(told)
    }
}

impl Open {
    fn new(path: &Path, file: (u64, u64)) -> Result<Self, Trouble> {
        let db = open_to_read(path)?;
        let version = data_version(&db)?;
        let last = db.query_row(LAST, [], |row| row.get(0))?;
        Ok(Self { db, file, version, last })
    }

    fn told(&mut self) -> rusqlite::Result<Vec<Changed>> {
        // Both see one state of the file.
        let reading = self.db.unchecked_transaction()?;
        let last: i64 = reading.query_row(LAST, [], |row| row.get(0))?;
        let first: i64 = reading.query_row(FIRST, [], |row| row.get(0))?;
        let told = if last < self.last || first > self.last + 1 {
            // A backup was played back; or there were more than are kept.
            vec![Changed::Everybody]
        } else {
            let mut statement = reading.prepare_cached(SINCE)?;
            let names = statement.query_map([self.last], |row| row.get::<_, String>(0))?;
            let names: Vec<String> = names.collect::<Result<_, _>>()?;
            names.iter().filter_map(|name| changed(name)).collect()
        };
        self.last = last;
        Ok(told)
    }
}

/// Who is told of.
fn changed(name: &str) -> Option<Changed> {
    // An alias of everybody in a domain.
    if name.starts_with('@') {
        return Some(Changed::Everybody);
    }
    Username::normalise(name.as_bytes(), None).ok().map(Changed::User)
}

/// The number of the last change. It stays known when all rows are gone.
const LAST: &str = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)";

/// That of the first one that is kept.
const FIRST: &str = "SELECT coalesce(min(number), 0) FROM changes";

const SINCE: &str = "SELECT DISTINCT user FROM changes WHERE number > ?1";

/// What is told one by one is what is kept.
const _: () = assert!(CHANGES_KEPT <= 10_000);

fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "data_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::{Changed, Watch};
    use crate::directory::sqlite::schema::{CHANGES_KEPT, create};

    fn told(watch: &mut Watch) -> Vec<String> {
        let name = |changed: &Changed| match changed {
            Changed::User(user) => user.as_str().to_owned(),
            Changed::Everybody => "*".to_owned(),
        };
        let mut told: Vec<String> = watch.look().iter().map(name).collect();
        told.sort();
        told
    }

    fn watch(path: &Path) -> Watch {
        Watch { path: path.to_owned(), open: None }
    }

    /// As another program opens it.
    fn other(path: &Path) -> Connection {
        let db = Connection::open(path).unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        db
    }

    #[test]
    fn whatever_is_written_by_whomever_is_told_by_name() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("users.db");
        let mut watch = watch(&path);
        assert_eq!(told(&mut watch), [""; 0], "there is no file");
        drop(create(&path).unwrap());
        assert_eq!(told(&mut watch), ["*"]);
        assert_eq!(told(&mut watch), [""; 0]);
        let db = other(&path);
        let table: &[(&str, &[&str])] = &[
            ("INSERT INTO users (name) VALUES ('a@x'), ('b@x'), ('c@x')", &["a@x", "b@x", "c@x"]),
            ("UPDATE users SET password = '{PLAIN}x' WHERE name = 'a@x'", &["a@x"]),
            ("UPDATE users SET active = 0 WHERE name = 'b@x'", &["b@x"]),
            ("INSERT INTO user_fields (user, name, value) VALUES ('c@x', 'user', 'b@x')", &["c@x"]),
            ("UPDATE user_fields SET value = 'a@x'", &["c@x"]),
            ("UPDATE users SET name = 'd@x' WHERE name = 'c@x'", &["c@x", "d@x"]),
            ("DELETE FROM users WHERE name = 'd@x'", &["d@x"]),
            ("UPDATE users SET active = 0 WHERE name = 'nobody'", &[]),
            ("CREATE TABLE something_else (x)", &[]),
            ("DELETE FROM users", &["a@x", "b@x"]),
        ];
        for (sql, names) in table {
            db.execute_batch(sql).unwrap();
            assert_eq!(told(&mut watch), *names, "{sql}");
            assert_eq!(told(&mut watch), [""; 0], "{sql}");
        }
    }

    #[test]
    fn what_cannot_be_named_is_everybody() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("users.db");
        drop(create(&path).unwrap());
        let mut watch = watch(&path);
        assert_eq!(told(&mut watch), ["*"]);
        let db = other(&path);
        db.execute_batch("INSERT INTO users (name) VALUES ('a@x')").unwrap();
        assert_eq!(told(&mut watch), ["a@x"]);
        let copy = home.path().join("copy.db");
        db.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        db.execute_batch(&format!(
            "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n <= {CHANGES_KEPT})
             INSERT INTO users (name) SELECT n || '@y' FROM s"
        ))
        .unwrap();
        assert_eq!(told(&mut watch), ["*"], "more than are kept");
        let kept: i64 = db.query_row("SELECT count(*) FROM changes", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, CHANGES_KEPT);
        db.execute_batch("UPDATE users SET active = 0 WHERE name = '7@y'").unwrap();
        assert_eq!(told(&mut watch), ["7@y"]);
        drop(db);
        std::fs::rename(&copy, &path).unwrap();
        assert_eq!(told(&mut watch), ["*"], "another file");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(told(&mut watch), [""; 0], "no file is an outage");
    }
}
