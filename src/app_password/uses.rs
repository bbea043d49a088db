//! Last uses on their way to the table.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Id, Moment, Trouble, table};

/// How often they are written.
pub(super) const EVERY: Duration = Duration::from_secs(3);

/// Of how many app passwords a use is held in memory, some 200 bytes each. Who comes beyond that is not noted until the
/// others are written.
pub(super) const MOST: usize = 20_000;

/// When, for what and from where an app password was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Moment,
    /// The service, as the peer spells it.
    pub service: String,
    /// The address of the remote, if it was known.
    pub remote: Option<String>,
}

/// The last use of each app password since they were last written: one write for however many logins.
#[derive(Debug, Default)]
pub struct Uses {
    noted: Mutex<HashMap<Id, Use>>,
    /// Held while they are written: who flushes next finds on the disk what this one has taken.
    writing: Mutex<()>,
    /// Whether the operator has been told that they cannot be written, or not all be held.
    told: AtomicBool,
}

impl Use {
    /// A use at `at`.
    pub fn new(at: Moment, service: &str, remote: Option<IpAddr>) -> Self {
        Self {
            at,
            service: service.to_owned(),
            remote: remote.map(|address| address.to_canonical().to_string()),
        }
    }
}

impl Uses {
    pub(super) fn note(&self, id: Id, used: Use) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = noted.get(&id);
        let fits = known.is_some() || noted.len() < MOST;
        if fits && known.is_none_or(|known| known.at <= used.at) {
            noted.insert(id, used);
        } else if !fits {
            self.warn(&"too many to be held");
        }
    }

    /// Of how many a use is held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.noted.lock().unwrap().len()
    }

    /// Writes what was noted, and forgets it once that is done. Waits for the disk.
    pub(super) fn flush(&self, path: &Path) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        if noted.is_empty() {
            return;
        }
        let batch: Vec<(Id, Use)> = noted.into_iter().collect();
        match write(path, &batch) {
            Ok(()) => self.told.store(false, Ordering::Relaxed),
            Err(trouble) => {
                self.warn(&trouble);
                for (id, used) in batch {
                    self.note(id, used);
                }
            }
        }
    }

    /// Once, until it works again.
    fn warn(&self, why: &dyn std::fmt::Display) {
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(%why, "last uses of app passwords are not recorded");
        }
    }
}

fn write(path: &Path, batch: &[(Id, Use)]) -> Result<(), Trouble> {
    let mut db = table::DESIGN.open_to_write(path).map_err(Trouble)?;
    // What the power takes away with it is when somebody was last here.
    db.pragma_update(None, "synchronous", "NORMAL").map_err(Trouble::from)?;
    table::note(&mut db, batch).map_err(Trouble::from)
}
