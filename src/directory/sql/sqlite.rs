//! A SQLite file of somebody else.
//!
//! SQLite blocks, so each question goes to a blocking thread together with its connection. One that hangs keeps its
//! thread; there are never more of them than connections.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{
    Connection, Error, ErrorCode, InterruptHandle, OpenFlags, Statement,
    types::{ToSqlOutput, ValueRef},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    super::record::Record,
    server::{Ask, Bound, Database, Fault, Pace},
};
use crate::config::Query;

/// One file.
pub(in crate::directory) struct Sqlite {
    path: PathBuf,
    /// Whether it is to be written to.
    writes: bool,
    threads: Arc<Semaphore>,
}

/// A connection.
pub(in crate::directory) struct Link {
    /// `None`: with a thread, which may still be at work.
    open: Option<Open>,
    interrupt: Arc<InterruptHandle>,
}

struct Open {
    db: Connection,
    file: FileId,
}

/// Device and inode.
type FileId = (u64, u64);

/// Threads besides those of the connections: for listings, and for what is given up and still comes to its end.
const MORE_THREADS: usize = 4;

impl Sqlite {
    /// The file at `path`.
    pub(in crate::directory) fn new(path: &Path, writes: bool, most: usize) -> Self {
        let threads = Arc::new(Semaphore::new(most + MORE_THREADS));
        Self { path: path.to_owned(), writes, threads }
    }

    /// Does something on a thread that may wait.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let place = Arc::clone(&self.threads).try_acquire_owned();
        let place = place.map_err(|_| Fault::Broken("the file system does not answer".to_owned()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|_| Fault::Broken("reading the file failed".to_owned()))
    }

    /// Does something with a connection, if it is still one to the file that has the name.
    async fn with<T: Send + 'static>(
        &self,
        link: &mut Link,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let Some(open) = link.open.take() else { return Err(Fault::Silent) };
        let path = self.path.clone();
        let (done, open) = self
            .on_thread(move || {
                let done = match file_id(&path) {
                    Ok(file) if file == open.file => work(&open.db),
                    Ok(_) => Err(Fault::Broken("the file was replaced".to_owned())),
                    Err(fault) => Err(fault),
                };
                (done, open)
            })
            .await?;
        link.open = Some(open);
        done
    }
}

impl Database for Sqlite {
    type Link = Link;

    async fn connect(&self, pace: Pace) -> Result<Link, Fault> {
        let (path, writes) = (self.path.clone(), self.writes);
        let patience = match pace {
            Pace::Short(time) => time,
            Pace::Long => Duration::from_secs(5),
        };
        self.on_thread(move || {
            let file = file_id(&path)?;
            let db = open(&path, writes, patience)
                .map_err(|error| Fault::Broken(format!("{}: {}", path.display(), why(&error))))?;
            let interrupt = Arc::new(db.get_interrupt_handle());
            Ok(Link { open: Some(Open { db, file }), interrupt })
        })
        .await?
    }

    fn is_open(&self, link: &Link) -> bool {
        link.open.is_some()
    }

    fn abandon(&self, link: Link) {
        link.interrupt.interrupt();
        drop(link);
    }

    async fn rows(&self, link: &mut Link, ask: &Ask<'_>, most: usize) -> Result<Vec<Record>, Fault> {
        let (sql, bound) = (ask.query.sql().to_owned(), owned(ask));
        self.with(link, move |db| {
            let mut statement = db.prepare_cached(&sql).map_err(fault)?;
            if !statement.readonly() {
                return Err(Fault::Wrong("it changes something, and is to ask only".to_owned()));
            }
            let mut records = Vec::new();
            read(&mut statement, bound, |record| {
                records.push(record);
                records.len() < most
            })?;
            Ok(records)
        })
        .await
    }

    async fn stream(&self, link: &mut Link, ask: &Ask<'_>, to: &mpsc::Sender<Record>) -> Result<(), Fault> {
        let (sql, bound, to) = (ask.query.sql().to_owned(), owned(ask), to.clone());
        self.with(link, move |db| {
            let mut statement = db.prepare(&sql).map_err(fault)?;
            read(&mut statement, bound, |record| to.blocking_send(record).is_ok())
        })
        .await
    }

    async fn change(&self, link: &mut Link, ask: &Ask<'_>) -> Result<u64, Fault> {
        let (sql, bound) = (ask.query.sql().to_owned(), owned(ask));
        self.with(link, move |db| {
            let mut statement = db.prepare_cached(&sql).map_err(fault)?;
            let changed = statement.execute(rusqlite::params_from_iter(bound)).map_err(fault)?;
            Ok(u64::try_from(changed).unwrap_or(u64::MAX))
        })
        .await
    }

    async fn columns(&self, link: &mut Link, query: &Query) -> Result<Vec<String>, Fault> {
        let sql = query.sql().to_owned();
        self.with(link, move |db| {
            let statement = db.prepare_cached(&sql).map_err(fault)?;
            Ok(statement.column_names().map(str::to_ascii_lowercase).collect())
        })
        .await
    }
}

/// A value on its way to a thread.
enum Owned {
    Text(Option<zeroize::Zeroizing<String>>),
    Number(i64),
}

impl rusqlite::ToSql for Owned {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Text(None) => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
        }))
    }
}

fn owned(ask: &Ask<'_>) -> Vec<Owned> {
    let own = |bound| match bound {
        Bound::Text(text) => Owned::Text(text.map(|text: &str| text.to_owned().into())),
        Bound::Number(number) => Owned::Number(number),
    };
    ask.bound().map(own).collect()
}

/// Hands over the rows for as long as `take` wants them.
fn read(
    statement: &mut Statement<'_>,
    bound: Vec<Owned>,
    mut take: impl FnMut(Record) -> bool,
) -> Result<(), Fault> {
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut lines = statement.query(rusqlite::params_from_iter(bound)).map_err(fault)?;
    while let Some(line) = lines.next().map_err(fault)? {
        let mut record = Record::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            let value = match line.get_ref(at).map_err(fault)? {
                ValueRef::Null => None,
                ValueRef::Integer(number) => Some(number.to_string().into_bytes()),
                ValueRef::Real(number) => Some(number.to_string().into_bytes()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
            };
            record.push(name, value);
        }
        if !take(record) {
            break;
        }
    }
    Ok(())
}

fn file_id(path: &Path) -> Result<FileId, Fault> {
    let metadata = std::fs::metadata(path);
    let metadata = metadata.map_err(|error| Fault::Broken(format!("{}: {error}", path.display())))?;
    Ok((metadata.dev(), metadata.ino()))
}

fn open(path: &Path, writes: bool, patience: Duration) -> rusqlite::Result<Connection> {
    // Without CREATE, and without URI: a path is a path. A reader needs the right to write as well, for the index of
    // the WAL; SQLite makes do without it where it has to.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(patience)?;
    // Functions and views of a file that somebody else may have prepared are not run.
    db.pragma_update(None, "trusted_schema", false)?;
    if !writes {
        db.pragma_update(None, "query_only", true)?;
    }
    // Whether it is a database at all is looked at when it is first read.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(db)
}

/// What an error while asking means.
fn fault(error: Error) -> Fault {
    let Some(code) = error.sqlite_error_code() else { return Fault::Wrong(why(&error)) };
    let broken = [
        ErrorCode::CannotOpen,
        ErrorCode::DatabaseCorrupt,
        ErrorCode::NotADatabase,
        ErrorCode::SystemIoFailure,
        ErrorCode::OperationInterrupted,
    ];
    if broken.contains(&code) { Fault::Broken(why(&error)) } else { Fault::Refused(why(&error)) }
}

/// An error for the log. SQLite's messages name things of the schema and of the query, and no values.
fn why(error: &Error) -> String {
    if let Error::SqliteFailure(code, None) = error {
        code.to_string()
    } else if let Error::SqliteFailure(_, Some(message)) | Error::SqlInputError { msg: message, .. } = error {
        message.clone()
    } else if let Error::InvalidQuery | Error::ExecuteReturnedResults = error {
        "it gives rows, and is to change some".to_owned()
    } else {
        "the query and what is bound to it do not fit".to_owned()
    }
}
