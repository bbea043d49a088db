//! Counters on disk, so that a restart does not give everybody their limit once more.
//!
//! They are written every few seconds and at the end: a crash forgets what was sent since then, and a mail is never kept
//! waiting for the disk. A file that cannot be read is an event, and counters begin anew: no limit is worth
//! refusing everybody's mail.

use std::{
    fmt, mem,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use tokio::{task::spawn_blocking, time::interval};

use super::{Cost, Counters, Id, State, Sum, Table, Window};
use crate::directory::sqlite::{self, Design};

/// Name of the database under the state directory.
const FILE: &str = "limits.db";

/// How often they are written.
const EVERY: Duration = Duration::from_secs(3);

/// After so many of these, who has sent nothing is forgotten.
const SWEEP: u32 = 20;

const DESIGN: Design = Design {
    // "gtpl".
    application: 0x6774_706c,
    migrations: &[
        // By the rule and a digest of the user, domain or address. Milliseconds since 1970; nothing of a row matters from
        // `gone` on.
        "CREATE TABLE sent (
             rule       TEXT NOT NULL,
             key        BLOB NOT NULL,
             at         INTEGER NOT NULL,
             messages   INTEGER NOT NULL,
             recipients INTEGER NOT NULL,
             bytes      INTEGER NOT NULL,
             gone       INTEGER NOT NULL,
             PRIMARY KEY (rule, key, at)
         ) STRICT, WITHOUT ROWID;
         CREATE INDEX sent_gone ON sent (gone);
         CREATE TABLE tripped (
             rule      TEXT NOT NULL,
             key       BLOB NOT NULL,
             told      INTEGER NOT NULL,
             suspended INTEGER NOT NULL,
             PRIMARY KEY (rule, key)
         ) STRICT, WITHOUT ROWID;",
    ],
};

/// Why the database cannot be used.
#[derive(Debug)]
pub struct Trouble(sqlite::Trouble);

/// What is to be written.
#[derive(Debug, Default)]
struct Batch {
    now: u64,
    /// What is not to be there any more, before the others.
    gone: Vec<(Arc<str>, Id)>,
    /// With the moment from which on it does not matter.
    sent: Vec<(Arc<str>, Id, Sum, u64)>,
    tripped: Vec<(Arc<str>, Id, u64, u64)>,
}

/// The database in a state directory, and whether it can be written.
pub(super) struct Book {
    path: PathBuf,
    /// Whoever writes: the last one, at the end, has to wait for one that is at it, for then nothing is left to be written.
    turn: Mutex<()>,
    /// Open since something was written.
    db: Mutex<Option<Connection>>,
    /// Whether the operator has been told that it cannot.
    told: AtomicBool,
}

impl Counters {
    /// Takes up what is written down, and tells how much that is. Nothing is made.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn recall(&self, now: Instant) -> Result<usize, Trouble> {
        let Some(book) = &self.book else { return Ok(0) };
        match read(&book.path, self.clock.at(now)) {
            Ok(batch) => Ok(self.lock().recall(batch)),
            Err(sqlite::Trouble::Missing) => Ok(0),
            Err(trouble) => Err(Trouble(trouble)),
        }
    }

    /// Writes them down every few seconds, for as long as it is polled.
    pub async fn keep(self: Arc<Self>) {
        let mut ticks = interval(EVERY);
        for tick in 1_u32.. {
            ticks.tick().await;
            self.flush().await;
            if tick.is_multiple_of(SWEEP) {
                self.sweep(Instant::now());
            }
        }
    }

    /// Writes down what is not.
    pub async fn flush(self: &Arc<Self>) {
        let counters = Arc::clone(self);
        // One that panics has lost its batch, and the next one comes.
        let _ = spawn_blocking(move || counters.write(Instant::now())).await;
    }

    pub(super) fn write(&self, now: Instant) {
        let Some(book) = &self.book else { return };
        let _turn = book.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = self.lock().take(self.clock.at(now));
        if batch.sent.is_empty() && batch.tripped.is_empty() && batch.gone.is_empty() {
            return;
        }
        match book.write(&batch) {
            Ok(()) => book.told.store(false, Ordering::Relaxed),
            Err(trouble) => {
                self.lock().give_back(batch);
                if !book.told.swap(true, Ordering::Relaxed) {
                    let trouble = Trouble(trouble);
                    tracing::warn!(%trouble, "what was sent is not written down: a restart would forget it");
                }
            }
        }
    }
}

impl State {
    fn take(&mut self, now: u64) -> Batch {
        let mut batch = Batch { now, gone: mem::take(&mut self.gone), ..Batch::default() };
        for (rule, key) in mem::take(&mut self.dirty) {
            let Some(table) = self.tables.get_mut(&rule) else { continue };
            let window = table.window;
            // Whoever had to make room is forgotten here, and on the disk in time.
            let Some(spent) = table.spent.get_mut(&key) else { continue };
            if spent.told_until > now || spent.suspended_until > now {
                batch.tripped.push((Arc::clone(&rule), key, spent.told_until, spent.suspended_until));
            }
            let rows = spent.take_dirty().map(|sum| (Arc::clone(&rule), key, sum, window.end_of(sum.at)));
            batch.sent.extend(rows);
        }
        batch
    }

    /// Of what could not be written, each is to be tried again.
    fn give_back(&mut self, batch: Batch) {
        self.gone.extend(batch.gone);
        let sent = batch.sent.iter().map(|(rule, key, sum, _)| (rule, key, Some(sum.at)));
        for (rule, key, at) in sent.chain(batch.tripped.iter().map(|(rule, key, ..)| (rule, key, None))) {
            let spent = self.tables.get_mut(rule).and_then(|table| table.spent.get_mut(key));
            let Some(spent) = spent else { continue };
            if let Some(at) = at {
                spent.soil(at);
            }
            if !mem::replace(&mut spent.dirty, true) {
                self.dirty.push((Arc::clone(rule), *key));
            }
        }
    }

    fn recall(&mut self, batch: Batch) -> usize {
        let count = batch.sent.len();
        for (rule, key, sum, end) in batch.sent {
            let window = Window::of(Duration::from_millis(end.saturating_sub(sum.at)));
            let table = self.tables.entry(rule).or_insert_with(|| Table::of(window));
            if table.spent.len() < self.max_keys || table.spent.contains_key(&key) {
                // The clock of the system may have been set back since.
                table.spent.entry(key).or_default().recall(sum.at.min(batch.now), sum.cost);
            }
        }
        for (rule, key, told, suspended) in batch.tripped {
            if let Some(spent) = self.tables.get_mut(&rule).and_then(|table| table.spent.get_mut(&key)) {
                (spent.told_until, spent.suspended_until) = (told, suspended);
            }
        }
        count
    }
}

impl Book {
    /// That of a state directory.
    pub(super) fn at(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join(FILE),
            turn: Mutex::new(()),
            db: Mutex::new(None),
            told: AtomicBool::new(false),
        }
    }

    fn write(&self, batch: &Batch) -> Result<(), sqlite::Trouble> {
        let mut held = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        // A connection that has failed is not used again: the file may be another one by now.
        let mut db = match held.take() {
            Some(db) if self.path.exists() => db,
            _ => {
                let db = DESIGN.create(&self.path)?;
                // What the power takes away with it are some seconds, and those were not written anyway.
                db.pragma_update(None, "synchronous", "NORMAL")?;
                db
            }
        };
        let change = db.transaction()?;
        for (rule, key) in &batch.gone {
            change.execute("DELETE FROM sent WHERE rule = ?1 AND key = ?2", params![&**rule, &key[..]])?;
            change.execute("DELETE FROM tripped WHERE rule = ?1 AND key = ?2", params![&**rule, &key[..]])?;
        }
        let now = signed(batch.now);
        change.execute("DELETE FROM sent WHERE gone <= ?1", [now])?;
        change.execute("DELETE FROM tripped WHERE told <= ?1 AND suspended <= ?1", [now])?;
        {
            let mut insert =
                change.prepare_cached("INSERT OR REPLACE INTO sent VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
            for (rule, key, sum, gone) in &batch.sent {
                let Cost { messages, recipients, bytes } = sum.cost;
                let [at, messages, recipients, bytes, gone] =
                    [sum.at, messages, recipients, bytes, *gone].map(signed);
                insert.execute(params![&**rule, &key[..], at, messages, recipients, bytes, gone])?;
            }
            let mut insert =
                change.prepare_cached("INSERT OR REPLACE INTO tripped VALUES (?1, ?2, ?3, ?4)")?;
            for (rule, key, told, suspended) in &batch.tripped {
                insert.execute(params![&**rule, &key[..], signed(*told), signed(*suspended)])?;
            }
        }
        change.commit()?;
        *held = Some(db);
        Ok(())
    }
}

fn read(path: &Path, now: u64) -> Result<Batch, sqlite::Trouble> {
    let db = DESIGN.open_to_read(path)?;
    let mut batch = Batch { now, ..Batch::default() };
    let mut rules: Vec<Arc<str>> = Vec::new();
    let mut shared = |rule: String| match rules.iter().find(|known| ***known == *rule) {
        Some(known) => Arc::clone(known),
        None => {
            rules.push(rule.into());
            rules.last().map_or_else(|| "".into(), Arc::clone)
        }
    };
    let mut query = db.prepare("SELECT rule, key, at, messages, recipients, bytes, gone FROM sent WHERE gone > ?1 ORDER BY rule, key, at")?;
    let mut rows = query.query([signed(now)])?;
    while let Some(row) = rows.next()? {
        let number = |column: usize| row.get::<_, i64>(column).map(unsigned);
        let cost = Cost { messages: number(3)?, recipients: number(4)?, bytes: number(5)? };
        let sum = Sum { at: number(2)?, cost, dirty: false };
        batch.sent.push((shared(row.get(0)?), row.get(1)?, sum, number(6)?));
    }
    let mut query =
        db.prepare("SELECT rule, key, told, suspended FROM tripped WHERE told > ?1 OR suspended > ?1")?;
    let mut rows = query.query([signed(now)])?;
    while let Some(row) = rows.next()? {
        let number = |column: usize| row.get::<_, i64>(column).map(unsigned);
        batch.tripped.push((shared(row.get(0)?), row.get(1)?, number(2)?, number(3)?));
    }
    Ok(batch)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.tell("database of what was sent", "the next mail", f)
    }
}

impl std::error::Error for Trouble {}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Book").field(&self.path).finish()
    }
}
