//! What was revoked, on disk, so that a restart makes nothing good again.
//!
//! A file that nobody can read may say anything. So tokens of everybody are void then that were issued until now: that
//! costs those who have some a new login, and lets nobody in.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, params};
use tokio::task::spawn_blocking;

use crate::{
    cache::{Logout, REVOKED_SESSION, REVOKED_USER, Revocations},
    directory::{
        Unavailable,
        sqlite::{self, Design},
    },
};

/// Name of the database under the state directory.
const FILE: &str = "revocations.db";

/// How long a disk is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const DESIGN: Design = Design {
    // "gtpr".
    application: 0x6774_7072,
    migrations: &[
        // Either of a user, or of an issuer and a subject or session of it. Microseconds since 1970.
        "CREATE TABLE revoked (
             user    TEXT,
             issuer  TEXT,
             subject TEXT,
             session TEXT,
             since   INTEGER NOT NULL,
             CHECK ((user IS NULL) <> (issuer IS NULL))
         ) STRICT;
         CREATE INDEX revoked_since ON revoked (since);",
    ],
};

/// The database in a state directory. A clone is another handle. Nothing is made before there is something to keep.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// Open since something was written.
    db: Mutex<Option<Connection>>,
}

/// Why the database cannot be used.
#[derive(Debug)]
pub struct Trouble(sqlite::Trouble);

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// All tokens of a user.
    User(String),
    /// Those that a logout ends.
    Logout { issuer: String, subject: Option<String>, session: Option<String> },
}

impl Ledger {
    /// That of a state directory.
    pub fn at(state_dir: &Path) -> Self {
        Self(Arc::new(Inner { path: state_dir.join(FILE), db: Mutex::new(None) }))
    }

    /// Notes all that is still of interest at `now`, and tells how much that is.
    ///
    /// # Errors
    ///
    /// Why it cannot be read. What was issued until now is void then.
    pub fn recall(&self, revocations: &Revocations, now: SystemTime) -> Result<usize, Trouble> {
        let noted = self.0.read(now, |line, since| match line {
            Line::User(user) => revocations.note_user(&user, since),
            Line::Logout { issuer, subject, session } => {
                let (issuer, subject, session) = (&*issuer, subject.as_deref(), session.as_deref());
                revocations.note_logout(&Logout { issuer, subject, session }, since);
            }
        });
        match noted {
            Ok(count) => Ok(count),
            Err(sqlite::Trouble::Missing) => Ok(0),
            Err(trouble) => {
                revocations.note_everybody(now);
                Err(Trouble(trouble))
            }
        }
    }

    /// Writes down that tokens were revoked that were issued until `since`. It is on the disk when this returns.
    pub(super) async fn keep(&self, lines: Vec<Line>, since: SystemTime) -> Result<(), Unavailable> {
        let inner = Arc::clone(&self.0);
        let written = spawn_blocking(move || inner.write(&lines, since));
        let why = match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(trouble))) => Trouble(trouble).to_string(),
            Ok(Err(_panic)) => "a writer failed".to_owned(),
            Err(_elapsed) => format!("no answer within {PATIENCE:?}"),
        };
        Err(Unavailable::new(FILE, why))
    }
}

impl Inner {
    fn read(
        &self,
        now: SystemTime,
        mut note: impl FnMut(Line, SystemTime),
    ) -> Result<usize, sqlite::Trouble> {
        let db = DESIGN.open_to_read(&self.path)?;
        let query = "SELECT user, issuer, subject, session, since FROM revoked
            WHERE since > CASE WHEN user IS NULL THEN ?1 ELSE ?2 END";
        let mut statement = db.prepare(query)?;
        let mut rows = statement.query(params![before(now, REVOKED_SESSION), before(now, REVOKED_USER)])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let line = match row.get::<_, Option<String>>(0)? {
                Some(user) => Line::User(user),
                None => Line::Logout { issuer: row.get(1)?, subject: row.get(2)?, session: row.get(3)? },
            };
            let since = u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default();
            note(line, UNIX_EPOCH + Duration::from_micros(since));
            count += 1;
        }
        Ok(count)
    }

    fn write(&self, lines: &[Line], since: SystemTime) -> Result<(), sqlite::Trouble> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that has failed is not used again: the file may be another one by now.
        let mut db = match held.take() {
            Some(db) if self.path.exists() => db,
            _ => DESIGN.create(&self.path)?,
        };
        let change = db.transaction()?;
        let old = "DELETE FROM revoked WHERE since <= ?2 OR (user IS NULL AND since <= ?1)";
        change.execute(old, [before(since, REVOKED_SESSION), before(since, REVOKED_USER)])?;
        for line in lines {
            let (user, issuer, subject, session) = match line {
                Line::User(user) => (Some(user), None, None, None),
                Line::Logout { issuer, subject, session } => {
                    (None, Some(issuer), subject.as_ref(), session.as_ref())
                }
            };
            let insert =
                "INSERT INTO revoked (user, issuer, subject, session, since) VALUES (?1, ?2, ?3, ?4, ?5)";
            change.execute(insert, params![user, issuer, subject, session, micros(since)])?;
        }
        change.commit()?;
        *held = Some(db);
        Ok(())
    }
}

fn before(now: SystemTime, life: Duration) -> i64 {
    now.checked_sub(life).map_or(0, micros)
}

fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell("database of what was revoked", "the next `gatepost revoke`", f)
    }
}

impl std::error::Error for Trouble {}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ledger").field(&self.0.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::cache::Sighting;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + NOW + Duration::from_secs(seconds)
    }

    /// Whether a token is void that is issued at this time, of the first user, subject and session.
    fn void(revocations: &Revocations, who: u8, issued: SystemTime) -> bool {
        let [user, subject, session] = [format!("user{who}"), format!("sub{who}"), format!("sid{who}")];
        revocations.void(&Sighting {
            digest: revocations.digester().unwrap().token(b"t"),
            users: &[&user],
            issuer: "https://idp.test",
            subject: Some(&subject),
            session: Some(&session),
            issued,
        })
    }

    fn logout(subject: Option<&str>, session: Option<&str>) -> Line {
        let [subject, session] = [subject, session].map(|text| text.map(str::to_owned));
        Line::Logout { issuer: "https://idp.test".to_owned(), subject, session }
    }

    #[tokio::test]
    async fn what_was_revoked_is_so_after_a_restart_and_what_came_later_is_not() {
        let home = TempDir::new().unwrap();
        let ledger = Ledger::at(home.path());
        let revocations = Revocations::default();
        assert_eq!(ledger.recall(&revocations, at(0)).unwrap(), 0);
        assert!(!home.path().join(FILE).exists(), "nothing is made for nothing");
        ledger.keep(vec![Line::User("user1".to_owned())], at(0)).await.unwrap();
        ledger.keep(vec![logout(Some("sub2"), None), logout(None, Some("sid3"))], at(5)).await.unwrap();
        let again = Ledger::at(home.path());
        assert_eq!(again.recall(&revocations, at(10)).unwrap(), 3);
        for (who, since) in [(1, 0), (2, 5), (3, 5)] {
            assert!(void(&revocations, who, at(since)), "{who}");
            assert!(!void(&revocations, who, at(since + 1)), "{who}");
        }
        assert!(!void(&revocations, 4, at(0)));
    }

    #[tokio::test]
    async fn what_no_token_can_be_of_any_more_is_forgotten() {
        let home = TempDir::new().unwrap();
        let ledger = Ledger::at(home.path());
        ledger.keep(vec![Line::User("user1".to_owned()), logout(Some("sub2"), None)], at(0)).await.unwrap();
        let count = |seconds| ledger.recall(&Revocations::default(), at(seconds)).unwrap();
        let (session, user) = (REVOKED_SESSION.as_secs(), REVOKED_USER.as_secs());
        assert_eq!([0, session - 1, session, user - 1, user].map(count), [2, 2, 1, 1, 0]);
        ledger.keep(Vec::new(), at(session)).await.unwrap();
        assert_eq!(count(0), 1, "and no longer there");
        ledger.keep(Vec::new(), at(user)).await.unwrap();
        assert_eq!(count(0), 0);
    }

    #[tokio::test]
    async fn where_nobody_can_read_it_nobody_s_token_of_before_is_good() {
        let home = TempDir::new().unwrap();
        for garbage in [&b""[..], &b"no database at all, but as long as one may be".repeat(40)] {
            fs::write(home.path().join(FILE), garbage).unwrap();
            let revocations = Revocations::default();
            let trouble = Ledger::at(home.path()).recall(&revocations, at(0)).unwrap_err().to_string();
            assert!(!trouble.contains("user add"), "{trouble}");
            assert!(void(&revocations, 1, at(0)) && !void(&revocations, 1, at(1)));
        }
        let ledger = Ledger::at(Path::new("/proc/no/such/place"));
        let unkept = ledger.keep(vec![Line::User("user1".to_owned())], at(0)).await.unwrap_err();
        assert_eq!(&*unkept.directory, FILE);
    }
}
