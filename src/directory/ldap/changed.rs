//! Who has changed: what servers keep about entries without being asked to.
//!
//! Each of them stamps an entry when it is written, and a poll asks for those that are not before the latest stamp that
//! was seen. Which stamp there is, the server shows:
//!
//! - `uSNChanged`, a number (Active Directory). `highestCommittedUSN` says whether there is anything new. Each controller
//!   counts for itself, so that with another one all begins anew.
//! - `entryCSN` (OpenLDAP). With the overlay syncprov, `contextCSN` says whether there is anything new; and where it has
//!   moved and no entry has that stamp, an entry is gone, or is one that may not be read: everybody may have changed.
//! - `modifyTimestamp`, in seconds (all others).
//!
//! What cannot be seen: entries that are gone, without syncprov or in Active Directory; the name that somebody had
//! before, unless a poll has just seen it; members of a group, unless it is `require_group` itself, or in Active
//! Directory any group.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use ldap3::Scope;
use tracing::{info, warn};

use self::{
    asking::Asking,
    stamp::{Stamp, condition},
};
use super::{
    Ldap, bound,
    link::Ask,
    naming::{Naming, common_base},
    verdict,
};
use crate::{
    config::ldap::Find,
    directory::watch::{Changed, Ledger, OVERLAP, Tell, Trail, every},
};

mod asking;
mod stamp;

/// Entries of one poll that are told one by one. Many servers give no more than 500 or 1000 at once.
const MOST: usize = 10_000;

/// What the polls of a directory remember.
struct Watch<'a> {
    ldap: &'a Ldap,
    base: &'a str,
    naming: Naming,
    /// `None`: nobody knows yet where things stand.
    known: Option<Known>,
    failing: bool,
}

struct Known {
    stamp: Stamp,
    /// The controller that counts.
    counter: Option<Vec<u8>>,
    /// The entry with `contextCSN`.
    suffix: Option<String>,
    /// What the server said the last time of where it stands, and since when; nothing where it does not say.
    sign: HashSet<String>,
    sign_since: Instant,
    /// When the entries were last asked for.
    asked: Option<Instant>,
    /// Whether something has happened that no entry shows, and nobody was told.
    gone: bool,
    trail: Trail,
    ledger: Ledger<Who>,
    /// A stamp that more entries have than the server gives at once; all that was to be told of them was.
    past: Option<String>,
    /// How often in a row nothing but those came.
    stuck: u32,
}

/// Whom an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    dn: String,
    changed: Vec<Changed>,
}

/// Where a server stands.
struct Position {
    sign: HashSet<String>,
    counter: Option<Vec<u8>>,
}

impl Ldap {
    /// Asks who has changed, for as long as the daemon runs. Done at once where nobody could be asked.
    pub(super) async fn poll_changes(&self, tell: &Tell) {
        let Some((period, base)) = self.polled() else { return };
        let naming = Naming::of(&self.find);
        let mut watch = Watch { ldap: self, base, naming, known: None, failing: false };
        let mut ticks = every(period);
        loop {
            ticks.tick().await;
            let told = watch.poll().await;
            if !told.is_empty() {
                tell(&told);
            }
        }
    }

    /// How often somebody is asked who has changed, and below what. `None`: nobody is.
    pub(super) fn polled(&self) -> Option<(Duration, &str)> {
        let period = self.change_poll.filter(|_| self.must_search())?;
        let base = match &self.find {
            Find::Filter(_) => Some(self.base_dn.as_str()),
            Find::Dn(template) => common_base(template),
        };
        Some((period, base?))
    }
}

impl Watch<'_> {
    /// Asks once. Gives what is to be told.
    async fn poll(&mut self) -> Vec<Changed> {
        let directory = &self.ldap.name;
        let mut asked = self.ask().await;
        if matches!(asked, Err((_, true))) {
            // Servers close connections that they have not heard of for long.
            asked = self.ask().await;
        }
        if let Some(period) = self.ldap.change_poll {
            // What was bound since the mark of this poll.
            self.ldap.bound.forget(OVERLAP + 3 * period);
        }
        match asked {
            Ok(told) => {
                if self.failing {
                    self.failing = false;
                    info!(%directory, "who has changed can be asked again");
                }
                if told.contains(&Changed::Everybody) { vec![Changed::Everybody] } else { told }
            }
            // The trail stays where it is, so that nothing is lost.
            Err((why, _)) => {
                if !self.failing {
                    self.failing = true;
                    warn!(%directory, why, "who has changed cannot be asked: it is found out later");
                }
                Vec::new()
            }
        }
    }

    /// The same; an error says whether it was the connection's.
    async fn ask(&mut self) -> Result<Vec<Changed>, (String, bool)> {
        let ldap = self.ldap;
        let link = ldap.searchers.take().await.map_err(|why| (why, false))?;
        let asking = Asking { ldap, link, deadline: Instant::now() + ldap.timeout };
        let now = Instant::now();
        let Some(known) = &mut self.known else {
            let mut known = asking.learn(self.base, now).await?;
            // What the next poll would bring as well.
            known.changes(&asking, self.base, &self.naming, now).await?;
            self.known = Some(known);
            return Ok(vec![Changed::Everybody]);
        };
        let position = asking.position(known.stamp, known.suffix.as_deref()).await?;
        if known.is_elsewhere(&position) {
            self.known = None;
            return Ok(vec![Changed::Everybody]);
        }
        known.goes_on(&asking, position, now).await?;
        let mut told = known.changes(&asking, self.base, &self.naming, now).await?;
        if std::mem::take(&mut known.gone) {
            told.push(Changed::Everybody);
        }
        Ok(told)
    }
}

impl Known {
    /// Whether this is another server than the one that was asked before, or the same one set back.
    fn is_elsewhere(&self, position: &Position) -> bool {
        let number = |sign: &HashSet<String>| sign.iter().find_map(|number| number.parse::<u64>().ok());
        self.stamp == Stamp::Usn
            && (self.counter != position.counter || number(&position.sign) < number(&self.sign))
    }

    /// Takes over where the server stands, and looks whether there are entries that have brought it there.
    async fn goes_on(
        &mut self,
        asking: &Asking<'_>,
        position: Position,
        now: Instant,
    ) -> Result<(), (String, bool)> {
        if position.sign == self.sign {
            return Ok(());
        }
        let mut gone = false;
        if let Some(suffix) = self.suffix.as_deref() {
            for csn in position.sign.difference(&self.sign) {
                let filter = condition(self.stamp, "=", csn);
                let ask =
                    Ask { base: suffix, scope: Scope::Subtree, filter: &filter, attributes: &[], most: 1 };
                gone |= asking.found(&ask).await?.entries.is_empty();
            }
        }
        if let Some(latest) = position.sign.iter().max_by(|one, other| self.stamp.compare(one, other)) {
            self.trail.note(latest, now);
        }
        self.sign = position.sign;
        self.sign_since = now;
        self.gone |= gone;
        Ok(())
    }

    /// Those who have changed since the last poll.
    async fn changes(
        &mut self,
        asking: &Asking<'_>,
        base: &str,
        naming: &Naming,
        now: Instant,
    ) -> Result<Vec<Changed>, (String, bool)> {
        let quiet = self.asked.is_some_and(|asked| asked.duration_since(self.sign_since) > OVERLAP);
        if quiet && !self.sign.is_empty() && self.ledger.is_settled() {
            return Ok(Vec::new());
        }
        let ldap = asking.ldap;
        let since = self.trail.since().to_owned();
        let mut stamps = condition(self.stamp, ">=", &since);
        if let Some(past) = self.past.as_ref().filter(|past| **past == since) {
            stamps.push_str(&format!("(!{})", condition(self.stamp, "=", past)));
        }
        let canonical = ldap.recipe.fields.iter().filter(|(field, _)| field == "user");
        let canonical =
            canonical.flat_map(|(_, template)| super::names(template)).filter(|name| *name != super::DN);
        let kept = [self.stamp.attribute(), bound::CHANGED].into_iter().chain(bound::TRIED);
        let attributes: Vec<String> =
            naming.attributes().chain(canonical).chain(kept).map(str::to_owned).collect();
        let filter = format!("(&{}{stamps})", naming.filter());
        let ask =
            Ask { base, scope: ldap.scope_below(), filter: &filter, attributes: &attributes, most: MOST };
        let hits = asking.found(&ask).await?;
        let mut rows: Vec<(Who, String)> = Vec::with_capacity(hits.entries.len());
        for entry in &hits.entries {
            let Some(stamp) = self.stamp.of(entry) else { continue };
            let changed = match naming.names(entry, &ldap.recipe) {
                Some(names) => names.into_iter().map(Changed::User).collect(),
                None => vec![Changed::Everybody],
            };
            let row = (Who { dn: entry.dn.clone(), changed }, stamp);
            let asked = self.stamp != Stamp::Usn && !self.ledger.knows(&row);
            if asked && ldap.bound.explains(entry, &row.1, &since) {
                self.ledger.know(row.clone(), now);
            }
            rows.push(row);
        }
        let latest = rows.iter().map(|(_, stamp)| stamp.clone());
        let latest = latest.max_by(|one, other| self.stamp.compare(one, other));
        if hits.outcome.code == verdict::SIZE_LIMIT_EXCEEDED {
            self.overflows(&since, latest, now);
            return Ok(vec![Changed::Everybody]);
        }
        self.stuck = 0;
        for entry in asking.groups(self.stamp, &stamps).await? {
            let who = Who { dn: entry.dn.clone(), changed: vec![Changed::Everybody] };
            rows.extend(self.stamp.of(&entry).map(|stamp| (who, stamp)));
        }
        let comes = |stamp: &str| self.stamp.compare(stamp, &since).is_ge();
        let mut told = self.ledger.missing(&rows, comes);
        told.extend(self.ledger.note(rows, now));
        if let Some(latest) = latest.filter(|_| self.sign.is_empty()) {
            self.trail.note(&latest, now);
        }
        self.asked = Some(now);
        self.trail.asked(now);
        let told: HashSet<Changed> = told.into_iter().flat_map(|who| who.changed).collect();
        Ok(told.into_iter().collect())
    }

    /// Goes on behind changes of which there were too many; that everybody may have changed is told.
    fn overflows(&mut self, since: &str, latest: Option<String>, now: Instant) {
        let exact = self.stamp.is_exact();
        self.ledger = Ledger::new(exact);
        // Where the server stands it has said before it gave the entries; but entries that were loaded into a server that
        // was stopped may be later than that.
        let stands = Some(self.trail.latest().to_owned()).filter(|_| !self.sign.is_empty());
        let next = stands.into_iter().chain(latest).max_by(|one, other| self.stamp.compare(one, other));
        match next {
            Some(next) if next != since => self.trail = Trail::new(next, now),
            // More of one second than it gives at once. The second time that second is over.
            Some(next) => {
                self.stuck += 1;
                if self.stuck > 1 {
                    self.past = Some(next);
                }
            }
            None => {}
        }
    }
}
