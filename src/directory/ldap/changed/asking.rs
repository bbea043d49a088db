//! The questions of one poll.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ldap3::Scope;

use super::{
    super::{
        Ldap,
        entry::Entry,
        link::{Ask, Hits, Link},
        verdict::{self, NoVerdict},
    },
    Known, MOST, Position, Stamp,
};
use crate::directory::watch::{Ledger, Trail};

/// How far back a watch begins where the server does not say where it stands: more than clocks differ.
const BEFORE: Duration = Duration::from_secs(3600);

/// Of the root of Active Directory.
const HIGHEST: &str = "highestCommittedUSN";

/// A poll on its way: all of it to one server.
pub(super) struct Asking<'a> {
    pub(super) ldap: &'a Ldap,
    pub(super) link: Arc<Link>,
    pub(super) deadline: Instant,
}

impl Asking<'_> {
    /// Finds out how this server tells, and where it stands.
    pub(super) async fn learn(&self, base: &str, now: Instant) -> Result<Known, (String, bool)> {
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
    pub(super) async fn position(
        &self,
        stamp: Stamp,
        suffix: Option<&str>,
    ) -> Result<Position, (String, bool)> {
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
    pub(super) async fn groups(&self, stamp: Stamp, stamps: &str) -> Result<Vec<Entry>, (String, bool)> {
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
    pub(super) async fn found(&self, ask: &Ask<'_>) -> Result<Hits, (String, bool)> {
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

/// Whether an entry is at `above` or below it. Names that are spelt in two ways are taken for different ones.
fn is_below(dn: &str, above: &str) -> bool {
    let plain = |dn: &str| dn.replace(", ", ",").to_lowercase();
    let (dn, above) = (plain(dn), plain(above));
    dn == above || dn.strip_suffix(&above).is_some_and(|rest| rest.ends_with(','))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn an_entry_is_below_what_its_name_ends_with() {
        for (dn, above, expected) in [
            ("dc=example,dc=org", "dc=example,dc=org", true),
            ("ou=people, DC=Example, dc=org", "dc=example,dc=org", true),
            ("dc=counterexample,dc=org", "dc=example,dc=org", false),
            ("dc=org", "dc=example,dc=org", false),
        ] {
            assert_eq!(is_below(dn, above), expected, "{dn} {above}");
        }
    }
}
