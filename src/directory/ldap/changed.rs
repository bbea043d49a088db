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
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ldap3::Scope;
use tracing::{info, warn};

use super::{
    Ldap, bound, encode,
    entry::Entry,
    link::{Ask, Hits, Link},
    naming::{Naming, common_base},
    verdict::{self, NoVerdict},
};
use crate::{
    config::ldap::Find,
    directory::watch::{Changed, Ledger, OVERLAP, Tell, Trail, every},
};

/// Entries of one poll that are told one by one. Many servers give no more than 500 or 1000 at once.
const MOST: usize = 10_000;

/// How far back a watch begins where the server does not say where it stands: more than clocks differ.
const BEFORE: Duration = Duration::from_secs(3600);

/// What the polls of a directory remember.
struct Watch<'a> {
    ldap: &'a Ldap,
    base: &'a str,
    naming: Naming,
    /// `None`: nobody knows yet where things stand.
    known: Option<Known>,
    failing: bool,
}

/// What an entry is stamped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Usn,
    Csn,
    Time,
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

/// A poll on its way: all of it to one server.
struct Asking<'a> {
    ldap: &'a Ldap,
    link: Arc<Link>,
    deadline: Instant,
}

impl Asking<'_> {
    /// Finds out how this server tells, and where it stands.
    async fn learn(&self, base: &str, now: Instant) -> Result<Known, (String, bool)> {
        let of_entries = [Stamp::Csn, Stamp::Time].map(|stamp| stamp.attribute());
        let root = self.read("", &["namingContexts", HIGHEST]).await?;
        let entry = self.read(base, &of_entries).await?;
        let shows = |stamp: &Stamp| entry.as_ref().is_some_and(|entry| stamp.of(entry).is_some());
        let counts = root.as_ref().is_some_and(|root| root.first(HIGHEST).is_some());
        let stamp = if counts { Some(Stamp::Usn) } else { [Stamp::Csn, Stamp::Time].into_iter().find(shows) };
        let Some(stamp) = stamp else {
            let why =
                "the server does not show when the entry at the base was changed (entryCSN, modifyTimestamp)";
            return Err((why.to_owned(), false));
        };
        let contexts = root.iter().flat_map(|root| root.values("namingContexts"));
        let mut contexts: Vec<&str> =
            contexts.filter_map(|context| std::str::from_utf8(context).ok()).collect();
        contexts.retain(|context| !context.is_empty() && is_below(base, context));
        let suffix = contexts.into_iter().max_by_key(|context| context.len()).filter(|_| stamp == Stamp::Csn);
        let position = self.position(stamp, suffix).await?;
        let latest = position.sign.iter().max_by(|one, other| stamp.compare(one, other)).cloned();
        let start = latest.unwrap_or_else(|| stamp.at(SystemTime::now() - BEFORE));
        Ok(Known {
            stamp,
            counter: position.counter,
            suffix: suffix.filter(|_| !position.sign.is_empty()).map(str::to_owned),
            sign: position.sign,
            sign_since: now,
            asked: None,
            gone: false,
            trail: Trail::new(start, now),
            ledger: Ledger::new(stamp.is_exact()),
            past: None,
            stuck: 0,
        })
    }

    /// Where the server stands.
    async fn position(&self, stamp: Stamp, suffix: Option<&str>) -> Result<Position, (String, bool)> {
        let (base, attributes) = match (stamp, suffix) {
            (Stamp::Usn, _) => ("", [HIGHEST, "dsServiceName"].as_slice()),
            (Stamp::Csn, Some(suffix)) => (suffix, ["contextCSN"].as_slice()),
            (Stamp::Csn | Stamp::Time, _) => return Ok(Position { sign: HashSet::new(), counter: None }),
        };
        let entry = self.read(base, attributes).await?;
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).ok();
        let sign = attributes.first().zip(entry.as_ref());
        let sign = sign.map(|(name, entry)| entry.values(name).filter_map(text).collect());
        let counter = entry.as_ref().and_then(|entry| entry.first("dsServiceName")).map(<[u8]>::to_vec);
        Ok(Position { sign: sign.unwrap_or_default(), counter })
    }

    /// Changed groups that decide over who is there.
    async fn groups(&self, stamp: Stamp, stamps: &str) -> Result<Vec<Entry>, (String, bool)> {
        let Some(group) = &self.ldap.group else { return Ok(Vec::new()) };
        let attributes = [stamp.attribute().to_owned()];
        let (base, scope, kind) = match &self.ldap.nested {
            // Any of them may be in that one.
            Some(base) => (base, Scope::Subtree, "(objectClass=group)"),
            None => (group, Scope::Base, "(objectClass=*)"),
        };
        let filter = format!("(&{kind}{stamps})");
        let hits =
            self.search(&Ask { base, scope, filter: &filter, attributes: &attributes, most: MOST }).await?;
        match hits.outcome.code {
            verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED => Ok(hits.entries),
            verdict::NO_SUCH_OBJECT => Ok(Vec::new()),
            _ => {
                Err((format!("the search for the group ended with {}", NoVerdict::of(&hits.outcome)), false))
            }
        }
    }

    /// One entry. `None`: it may not be read.
    async fn read(&self, base: &str, attributes: &[&str]) -> Result<Option<Entry>, (String, bool)> {
        let attributes: Vec<String> = attributes.iter().map(|name| (*name).to_owned()).collect();
        let (scope, filter) = (Scope::Base, "(objectClass=*)");
        let hits = self.search(&Ask { base, scope, filter, attributes: &attributes, most: 1 }).await?;
        match hits.outcome.code {
            verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED | verdict::NO_SUCH_OBJECT => {
                Ok(hits.entries.into_iter().next())
            }
            _ => Err((format!("{base:?} cannot be read: {}", NoVerdict::of(&hits.outcome)), false)),
        }
    }

    /// Entries, perhaps not all of them.
    async fn found(&self, ask: &Ask<'_>) -> Result<Hits, (String, bool)> {
        let hits = self.search(ask).await?;
        match hits.outcome.code {
            verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED => Ok(hits),
            _ => Err((format!("the search ended with {}", NoVerdict::of(&hits.outcome)), false)),
        }
    }

    async fn search(&self, ask: &Ask<'_>) -> Result<Hits, (String, bool)> {
        let found = self.link.search(ask, self.deadline).await;
        found.map_err(|failure| {
            let lost = self.ldap.searchers.is_lost(&self.link, &failure);
            (failure.to_string(), lost)
        })
    }
}

/// Of the root of Active Directory.
const HIGHEST: &str = "highestCommittedUSN";

impl Stamp {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Usn => "uSNChanged",
            Self::Csn => "entryCSN",
            Self::Time => "modifyTimestamp",
        }
    }

    /// Whether no two changes have the same.
    const fn is_exact(self) -> bool {
        match self {
            Self::Usn | Self::Csn => true,
            Self::Time => false,
        }
    }

    fn of(self, entry: &Entry) -> Option<String> {
        let stamp = entry.first(self.attribute())?;
        String::from_utf8(stamp.to_vec()).ok()
    }

    /// Which is later. Times and CSNs are written so that it shows.
    fn compare(self, one: &str, other: &str) -> std::cmp::Ordering {
        match self {
            Self::Usn => (one.len(), one).cmp(&(other.len(), other)),
            Self::Csn | Self::Time => one.cmp(other),
        }
    }

    /// The stamp of a change at this time.
    fn at(self, when: SystemTime) -> String {
        let text = humantime::format_rfc3339_seconds(when).to_string();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        match self {
            Self::Usn => "0".to_owned(),
            Self::Csn => format!("{digits}.000000Z#000000#000#000000"),
            Self::Time => format!("{digits}Z"),
        }
    }
}

fn condition(stamp: Stamp, relation: &str, value: &str) -> String {
    let mut condition = format!("({}{relation}", stamp.attribute());
    encode::filter_value(value.as_bytes(), &mut condition);
    condition.push(')');
    condition
}

/// Whether an entry is at `above` or below it. Names that are spelt in two ways are taken for different ones.
fn is_below(dn: &str, above: &str) -> bool {
    let plain = |dn: &str| dn.replace(", ", ",").to_lowercase();
    let (dn, above) = (plain(dn), plain(above));
    dn == above || dn.strip_suffix(&above).is_some_and(|rest| rest.ends_with(','))
}
