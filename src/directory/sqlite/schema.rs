//! The embedded schema, its versions, and the ways to open a file of gatepost's own.

use std::{
    fmt,
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::Duration,
};

use nix::unistd::{Gid, Uid, User};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::config::SERVICE;

/// What is kept in a database of gatepost's own, and how it came to be.
pub(crate) struct Design {
    /// `PRAGMA application_id`: whose file it is.
    pub(crate) application: i32,
    /// What each version adds to the one before it. Appended to, never edited: the files of all versions are out there.
    pub(crate) migrations: &'static [&'static str],
}

/// The user database.
const USERS: Design = Design { application: APPLICATION, migrations: MIGRATIONS };

/// See [`Design::migrations`].
const MIGRATIONS: &[&str] = &[
    // Names are in normal form, so no collation folds them again. A row of another table that belongs to a user goes
    // with the user.
    "CREATE TABLE users (
         name       TEXT PRIMARY KEY CHECK (length(name) > 0),
         password   TEXT,
         active     INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
         uid        INTEGER CHECK (uid BETWEEN 1 AND 4294967294),
         gid        INTEGER CHECK (gid BETWEEN 1 AND 4294967294),
         home       TEXT,
         created_at INTEGER NOT NULL DEFAULT (unixepoch()),
         updated_at INTEGER NOT NULL DEFAULT (unixepoch())
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE user_fields (
         user  TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE ON UPDATE CASCADE,
         name  TEXT NOT NULL CHECK (length(name) > 0),
         value TEXT NOT NULL,
         PRIMARY KEY (user, name)
     ) STRICT, WITHOUT ROWID;",
    // Whom the last changes were about, whoever has made them. Numbers are never given twice, so that one who has seen
    // the last one sees what comes. See CHANGES_KEPT.
    "CREATE TABLE changes (
         number INTEGER PRIMARY KEY AUTOINCREMENT,
         user   TEXT NOT NULL
     ) STRICT;
     CREATE TRIGGER changes_kept AFTER INSERT ON changes
         BEGIN DELETE FROM changes WHERE number <= NEW.number - 10000; END;
     CREATE TRIGGER users_inserted AFTER INSERT ON users
         BEGIN INSERT INTO changes (user) VALUES (NEW.name); END;
     CREATE TRIGGER users_updated AFTER UPDATE ON users
         BEGIN INSERT INTO changes (user) SELECT OLD.name UNION SELECT NEW.name; END;
     CREATE TRIGGER users_deleted AFTER DELETE ON users
         BEGIN INSERT INTO changes (user) VALUES (OLD.name); END;
     CREATE TRIGGER user_fields_inserted AFTER INSERT ON user_fields
         BEGIN INSERT INTO changes (user) VALUES (NEW.user); END;
     CREATE TRIGGER user_fields_updated AFTER UPDATE ON user_fields
         BEGIN INSERT INTO changes (user) SELECT OLD.user UNION SELECT NEW.user; END;
     CREATE TRIGGER user_fields_deleted AFTER DELETE ON user_fields
         BEGIN INSERT INTO changes (user) VALUES (OLD.user); END;",
    // Where mail goes on to. In lower case; @domain is everybody in it, and leads to another @domain or to somebody. The
    // indices are for whether there is anybody in a domain.
    "CREATE TABLE aliases (
         address    TEXT NOT NULL CHECK (instr(address, '@') > 0),
         target     TEXT NOT NULL CHECK (instr(target, '@') > 0),
         created_at INTEGER NOT NULL DEFAULT (unixepoch()),
         PRIMARY KEY (address, target)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX users_by_domain ON users (substr(name, instr(name, '@') + 1));
     CREATE INDEX aliases_by_domain ON aliases (substr(address, instr(address, '@') + 1));
     CREATE TRIGGER aliases_inserted AFTER INSERT ON aliases
         BEGIN INSERT INTO changes (user) VALUES (NEW.address); END;
     CREATE TRIGGER aliases_updated AFTER UPDATE ON aliases
         BEGIN INSERT INTO changes (user) SELECT OLD.address UNION SELECT NEW.address; END;
     CREATE TRIGGER aliases_deleted AFTER DELETE ON aliases
         BEGIN INSERT INTO changes (user) VALUES (OLD.address); END;",
];

/// Rows of `changes` that the triggers keep. Who comes too late for them knows that there were others.
pub(super) const CHANGES_KEPT: i64 = 10_000;

/// The version that this program reads and writes.
#[cfg(test)]
const CURRENT: usize = MIGRATIONS.len();

/// `PRAGMA application_id`, "gtps": whose file it is.
const APPLICATION: i32 = 0x6774_7073;

/// How long a writer waits for another one.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a reader waits. In WAL mode nothing makes it wait but recovery after a crash.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Why a file cannot be used.
#[derive(Debug)]
pub enum Trouble {
    /// There is no such file.
    Missing,
    /// It is an empty database: nobody has added a user yet, or somebody has emptied it.
    Empty,
    /// It is the database of another program.
    Foreign,
    /// A later version of gatepost has written it.
    Newer {
        /// Its version.
        found: i64,
        /// The last one that this program knows.
        known: usize,
    },
    /// The file system says no.
    Io(io::Error),
    /// SQLite does.
    Sqlite(rusqlite::Error),
}

/// Opens an existing user database for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, Trouble> {
    USERS.open_to_read(path)
}

/// Opens an existing user database for writing.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, Trouble> {
    USERS.open_to_write(path)
}

/// Opens a user database for writing, or makes it.
pub(super) fn create(path: &Path) -> Result<Connection, Trouble> {
    USERS.create(path)
}

impl Design {
    /// Opens an existing file for reading, through a connection that cannot write.
    ///
    /// # Errors
    ///
    /// An empty database is an error and not one without rows: it may be all that is left of a full one.
    pub(crate) fn open_to_read(&self, path: &Path) -> Result<Connection, Trouble> {
        let mut db = open(path, READ_PATIENCE)?;
        match self.version(&db)? {
            None => return Err(Trouble::Empty),
            Some(version) if version == self.current() => {}
            Some(_) => self.migrate(&mut db)?,
        }
        db.pragma_update(None, "query_only", true)?;
        Ok(db)
    }

    /// Opens an existing file for writing, and brings it to the current version.
    ///
    /// # Errors
    ///
    /// An empty database is one here too: with tables it would be taken for one that never held anybody.
    pub(crate) fn open_to_write(&self, path: &Path) -> Result<Connection, Trouble> {
        self.write(path, false)
    }

    fn write(&self, path: &Path, even_empty: bool) -> Result<Connection, Trouble> {
        let mut db = open(path, WRITE_PATIENCE)?;
        // Says whose it is before anything is written to it.
        if self.version(&db)?.is_none() && !even_empty {
            return Err(Trouble::Empty);
        }
        // Readers are not held up by writers, nor the other way round.
        db.pragma_update(None, "journal_mode", "WAL")?;
        // Each commit is on the disk when it returns. NORMAL may lose the last ones with the power: an account that
        // was deleted would be back. Writes are an administrator's, so nobody waits for them.
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        // Old passwords are overwritten, not just forgotten.
        db.pragma_update(None, "secure_delete", true)?;
        self.migrate(&mut db)?;
        Ok(db)
    }

    /// As [`Self::open_to_write`]; makes the file, 0600, with its tables, and the directory it is in, 0700, where they are
    /// not there.
    ///
    /// What root makes belongs to the owner of the directory: the daemon is to read what `sudo gatepost user add`
    /// wrote. A directory that root makes belongs to whom the one above it belongs to, or to the user of the shipped
    /// service.
    pub(crate) fn create(&self, path: &Path) -> Result<Connection, Trouble> {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_directory(directory)?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => {
                let owner = std::fs::metadata(directory)?;
                let own = file.metadata()?;
                if own.uid() == 0 && owner.uid() != 0 {
                    std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
        self.write(path, true)
    }

    /// The version that this program reads and writes: `PRAGMA user_version`.
    const fn current(&self) -> usize {
        self.migrations.len()
    }

    /// The version of a file of this design; `None` for a database without anything in it.
    fn version(&self, db: &Connection) -> Result<Option<usize>, Trouble> {
        // One statement sees one state of the file, whoever else is just making tables.
        let state = "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
            FROM pragma_application_id, pragma_user_version";
        let (application, found, things): (i64, i64, i64) =
            db.query_row(state, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if application == i64::from(self.application) {
            return match usize::try_from(found) {
                Ok(0) | Err(_) => Err(Trouble::Foreign),
                Ok(version) if version <= self.current() => Ok(Some(version)),
                Ok(_) => Err(Trouble::Newer { found, known: self.current() }),
            };
        }
        if (application, found, things) == (0, 0, 0) { Ok(None) } else { Err(Trouble::Foreign) }
    }

    /// Brings a file to the current version, all of it or nothing.
    fn migrate(&self, db: &mut Connection) -> Result<(), Trouble> {
        if self.version(db)? == Some(self.current()) {
            return Ok(());
        }
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again: another process may have been faster.
        let done = self.version(&change)?.unwrap_or(0);
        for migration in self.migrations.iter().skip(done) {
            change.execute_batch(migration)?;
        }
        change.pragma_update(None, "application_id", self.application)?;
        change.pragma_update(None, "user_version", i64::try_from(self.current()).unwrap_or(i64::MAX))?;
        change.commit()?;
        Ok(())
    }
}

/// Makes a directory that is its owner's alone, in others that may be passed through.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    if Uid::effective().is_root() {
        let above = std::fs::metadata(above)?;
        let service = User::from_name(SERVICE).ok().flatten();
        if let Some((uid, gid)) = heir((above.uid(), above.gid()), service.map(|user| (user.uid, user.gid))) {
            // Not through a link: whoever owns the directory above could have put one there by now.
            std::os::unix::fs::lchown(directory, Some(uid), Some(gid))?;
        }
    }
    Ok(())
}

/// To whom goes what root makes, by user and group; `None`: it stays with root.
fn heir(above: (u32, u32), service: Option<(Uid, Gid)>) -> Option<(u32, u32)> {
    match above {
        (0, _) => service.map(|(uid, gid)| (uid.as_raw(), gid.as_raw())),
        owner => Some(owner),
    }
}

fn open(path: &Path, patience: Duration) -> Result<Connection, Trouble> {
    // Without CREATE, and without URI: a path is a path. A reader needs the right to write as well, for the index of
    // the WAL; SQLite makes do without it where it has to.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite's own message does not say why.
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::Error::other("not an ordinary file").into()),
        Err(error) => return Err(error.into()),
    }
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(patience)?;
    // Functions and views of a file that somebody else may have prepared are not run.
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

impl Trouble {
    /// Says it of a database that is `what`, and that `maker` makes.
    pub(crate) fn tell(&self, what: &str, maker: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no such file; {maker} makes it"),
            Self::Empty => write!(f, "the database is empty; {maker} makes its tables"),
            Self::Foreign => write!(f, "this is not a {what}"),
            Self::Newer { found, known } => write!(
                f,
                "the database is of version {found}, written by a later gatepost; this one knows up to {known}"
            ),
            Self::Io(error) => write!(f, "{error}"),
            Self::Sqlite(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell("user database of gatepost", "`gatepost user add`", f)
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use tempfile::TempDir;

    use super::{
        APPLICATION, CURRENT, Connection, Gid, Trouble, USERS, Uid, create, heir, open_to_read, open_to_write,
    };

    fn place() -> (TempDir, PathBuf) {
        let home = TempDir::new().unwrap();
        let path = home.path().join("state/users.db");
        (home, path)
    }

    fn version(db: &Connection) -> Result<Option<usize>, Trouble> {
        USERS.version(db)
    }

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_nobody_elses_and_of_the_current_version() {
        let (_home, path) = place();
        assert!(matches!(open_to_write(&path), Err(Trouble::Missing)));
        let db = create(&path).unwrap();
        assert_eq!(version(&db).unwrap(), Some(CURRENT));
        db.execute("INSERT INTO users (name) VALUES ('a')", []).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        for side in ["-wal", "-shm"] {
            let side = path.with_file_name(format!("users.db{side}"));
            assert_eq!(mode(&side), 0o600, "{side:?}");
        }
        let again = create(&path).unwrap();
        let users: i64 = again.query_row("SELECT count(*) FROM users", [], |row| row.get(0)).unwrap();
        assert_eq!(users, 1, "what is there stays");
        let journal: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(journal, "wal");
    }

    #[test]
    fn what_root_makes_is_for_the_one_who_is_to_read_it() {
        let service = || Some((Uid::from_raw(990), Gid::from_raw(991)));
        assert_eq!(heir((0, 0), service()), Some((990, 991)));
        assert_eq!(heir((1000, 100), service()), Some((1000, 100)));
        assert_eq!(heir((1000, 100), None), Some((1000, 100)));
        assert_eq!(heir((0, 0), None), None);
    }

    #[test]
    fn directories_above_the_users_may_be_passed_through() {
        let home = TempDir::new().unwrap();
        let path = home.path().join("var/lib/state/users.db");
        create(&path).unwrap();
        let modes = ["var", "var/lib", "var/lib/state"].map(|dir| mode(&home.path().join(dir)));
        assert_eq!(modes, [0o755, 0o755, 0o700]);
    }

    #[test]
    fn an_empty_database_gets_its_tables_from_whoever_would_make_it_only() {
        let (_home, path) = place();
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert!(matches!(open_to_read(&path), Err(Trouble::Empty)));
        assert!(matches!(open_to_write(&path), Err(Trouble::Empty)));
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(version(&create(&path).unwrap()).unwrap(), Some(CURRENT));
        assert_eq!(version(&open_to_read(&path).unwrap()).unwrap(), Some(CURRENT));
    }

    #[test]
    fn a_file_of_somebody_else_or_of_a_later_version_is_not_touched() {
        let (_home, path) = place();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let newer = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {}", CURRENT + 1);
        let foreign = Trouble::Foreign.to_string();
        let later = Trouble::Newer { found: i64::try_from(CURRENT).unwrap() + 1, known: CURRENT }.to_string();
        let table = [
            ("CREATE TABLE users (login TEXT)", &foreign),
            ("PRAGMA user_version = 1", &foreign),
            ("PRAGMA application_id = 7", &foreign),
            (&newer, &later),
        ];
        for (sql, expected) in table {
            let _ = fs::remove_file(&path);
            Connection::open(&path).unwrap().execute_batch(sql).unwrap();
            let before = fs::read(&path).unwrap();
            for trouble in [open_to_read(&path), open_to_write(&path), create(&path)].map(Result::unwrap_err)
            {
                assert_eq!(&trouble.to_string(), expected, "{sql}");
            }
            assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
            assert!(!path.with_file_name("users.db-wal").exists(), "{sql}");
        }
        fs::write(&path, b"no database at all, but long enough to hold the header of one".repeat(20))
            .unwrap();
        assert!(matches!(open_to_read(&path), Err(Trouble::Sqlite(_))));
    }

    #[test]
    fn a_reader_cannot_write() {
        let (_home, path) = place();
        create(&path).unwrap();
        let db = open_to_read(&path).unwrap();
        db.execute("INSERT INTO users (name) VALUES ('a')", []).unwrap_err();
    }

    #[test]
    fn writers_that_start_together_migrate_once() {
        let (_home, path) = place();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || create(&path).map(|db| version(&db).unwrap()))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap().unwrap(), Some(CURRENT));
        }
    }
}
