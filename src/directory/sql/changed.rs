//! Who has changed: `changed_query`, polled.
//!
//! A row says who (`user`) and when (`changed`). A poll asks for all that is not before `:since`, which is a value of
//! `changed` that the database has given itself: its clock and its idea of what is later count, and ours do not. The rows
//! that it has brought before are known, so only the others are told. The latest of all comes again each time; if it does
//! not, its row was deleted or everything was set back, as by a backup, and all begins anew.
//!
//! What cannot be seen: rows that are gone, unless they were among the latest; stamps that were set back, or that a
//! database has given whose clock was.

use std::time::Instant;

use tracing::{info, warn};

use super::{
    super::{
        record::Record,
        watch::{Changed, Ledger, Tell, Trail, every},
    },
    Ask, Asked, Fault, Sql, Values,
};
use crate::{
    config::sql::{Changes, MOST_CHANGES},
    username::Username,
};

/// What the polls of a directory remember.
struct Watch<'a> {
    sql: &'a Sql,
    changes: &'a Changes,
    /// `None`: nobody knows yet where things stand.
    known: Option<Known>,
    /// Whether the last poll has failed.
    failing: bool,
}

struct Known {
    trail: Trail,
    ledger: Ledger<Changed>,
    /// Whether there was a row, so that there is one as long as nothing is set back.
    found: bool,
    /// From where on the last poll has asked, if it got to see everything from there.
    seen_from: Option<String>,
}

/// What a poll has brought.
struct Brought {
    /// Who has changed, and when, the latest first. Where there are too many, the last one stands for the rest.
    rows: Vec<(Changed, String)>,
    /// The latest stamp; `None`: there is no row.
    latest: Option<String>,
    /// Whether there are more.
    cut: bool,
}

impl Sql {
    /// Asks who has changed, for as long as the daemon runs. Done at once where there is nothing to ask.
    pub(in crate::directory) async fn watch(&self, tell: &Tell) {
        let (Some(changes), Some(period)) = (&self.changes, self.change_poll) else { return };
        let mut watch = Watch { sql: self, changes, known: None, failing: false };
        let mut ticks = every(period);
        loop {
            ticks.tick().await;
            let told = watch.poll().await;
            if !told.is_empty() {
                tell(&told);
            }
        }
    }

    async fn changed(&self, changes: &Changes, since: &str) -> Result<Brought, Fault> {
        let values = Values { since: Some(since), ..Values::default() };
        let ask = Ask { query: &changes.query, values };
        let records = match &self.asked {
            Asked::MySql(pool) => pool.aside(&ask).await,
            Asked::Postgres(pool) => pool.aside(&ask).await,
            Asked::Sqlite(pool) => pool.aside(&ask).await,
        }?;
        let (cut, mut latest) = (records.len() > MOST_CHANGES, None);
        let mut rows = Vec::with_capacity(records.len());
        for record in &records {
            let stamp = stamp(record)?;
            latest.get_or_insert_with(|| stamp.clone());
            rows.extend(self.who(record).map(|who| (who, stamp)));
        }
        if let Some(last) = records.last().filter(|_| cut) {
            rows.push((Changed::Everybody, stamp(last)?));
        }
        Ok(Brought { rows, latest, cut })
    }

    /// `None`: nobody can log in by this name here.
    fn who(&self, record: &Record) -> Option<Changed> {
        // Somebody has changed, and it is not known who.
        let Some(name) = record.get("user") else { return Some(Changed::Everybody) };
        let name = Username::normalise(name, self.recipe.default_domain.as_deref()).ok()?;
        self.recipe.domains.serve(&name).then_some(Changed::User(name))
    }
}

fn stamp(record: &Record) -> Result<String, Fault> {
    let stamp = record.get("changed").map(|stamp| String::from_utf8(stamp.to_vec()));
    stamp.and_then(Result::ok).ok_or_else(|| Fault::Wrong("its column changed is no text".to_owned()))
}

impl Watch<'_> {
    /// Asks once. Gives what is to be told.
    async fn poll(&mut self) -> Vec<Changed> {
        let now = Instant::now();
        let since = match &self.known {
            Some(known) => known.trail.since().to_owned(),
            None => self.changes.since.clone(),
        };
        let directory = &self.sql.recipe.directory;
        match self.sql.changed(self.changes, &since).await {
            Ok(brought) => {
                if self.failing {
                    self.failing = false;
                    info!(%directory, "changed_query works again");
                }
                self.compare(since, brought, now)
            }
            // `since` stays where it is, so that nothing is lost.
            Err(why) => {
                if !self.failing {
                    self.failing = true;
                    warn!(%directory, %why, "changed_query fails: who has changed is found out when it works again");
                }
                Vec::new()
            }
        }
    }

    fn compare(&mut self, since: String, brought: Brought, now: Instant) -> Vec<Changed> {
        let Some(known) = &mut self.known else {
            self.known = Some(Known::learn(since, brought, now));
            return vec![Changed::Everybody];
        };
        if brought.latest.is_none() && known.found {
            // Not even what was there: where things stand, the next poll finds out.
            self.known = None;
            return vec![Changed::Everybody];
        }
        known.compare(since, &brought, now)
    }
}

impl Known {
    fn learn(since: String, brought: Brought, now: Instant) -> Self {
        let found = brought.latest.is_some();
        let latest = brought.latest.unwrap_or(since);
        let mut ledger = Ledger::new(false);
        // The next poll brings these again.
        ledger.note(brought.rows.into_iter().filter(|(_, stamp)| *stamp == latest), now);
        Self { trail: Trail::new(latest, now), ledger, found, seen_from: None }
    }

    fn compare(&mut self, since: String, brought: &Brought, now: Instant) -> Vec<Changed> {
        let same = self.seen_from.as_deref() == Some(&since);
        let mut told = Vec::new();
        if !brought.cut {
            told = self.ledger.missing(&brought.rows, |stamp| same || stamp == since);
        }
        told.extend(self.ledger.note(brought.rows.iter().cloned(), now));
        if let Some(latest) = &brought.latest {
            self.trail.note(latest, now);
            self.found = true;
        }
        self.trail.asked(now);
        self.seen_from = (!brought.cut).then_some(since);
        if told.contains(&Changed::Everybody) { vec![Changed::Everybody] } else { told }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Brought, Changed, Known};
    use crate::username::Username;

    /// What a poll at `now` tells of a table whose rows are a user and a stamp each.
    fn poll(known: &mut Known, rows: &[(&str, &str)], now: Instant) -> Vec<Changed> {
        let since = known.trail.since().to_owned();
        let brought = brought(rows, &since);
        known.compare(since, &brought, now)
    }

    fn brought(rows: &[(&str, &str)], since: &str) -> Brought {
        let row = |(name, stamp): &(&str, &str)| (user(name), (*stamp).to_owned());
        let mut rows: Vec<_> = rows.iter().filter(|(_, stamp)| *stamp >= since).map(row).collect();
        rows.sort_by(|one, other| other.1.cmp(&one.1));
        let latest = rows.first().map(|(_, stamp)| stamp.clone());
        Brought { rows, latest, cut: false }
    }

    fn user(name: &str) -> Changed {
        Changed::User(Username::normalise(name.as_bytes(), None).unwrap())
    }

    /// A transaction is seen when it ends, under the time at which it has begun.
    #[test]
    fn what_comes_late_is_told_however_long_nothing_was_asked() {
        for pause in [10, 60, 3600] {
            let begun = Instant::now();
            let at = |seconds| begun + Duration::from_secs(seconds);
            let mut known = Known::learn("0".to_owned(), brought(&[("a", "10")], "0"), begun);
            assert!(poll(&mut known, &[("a", "10"), ("b", "20")], at(10)).contains(&user("b")));
            let rows = &[("a", "10"), ("b", "20"), ("c", "15")];
            assert!(poll(&mut known, rows, at(10 + pause)).contains(&user("c")), "{pause}");
        }
    }
}
