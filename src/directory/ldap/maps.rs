//! Tables that Postfix looks things up in, as searches. `ldap_table(5)` has what the attributes mean.

use std::time::Instant;

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{Ldap, encode, entry::Entry, link::Ask, verdict, verdict::NoVerdict};
use crate::config::{self, MapSearch};

/// The most entries that one answer may have, and the most searches that one may take.
const MOST: usize = 1000;

/// What one lookup has come to.
struct Gathered {
    values: Vec<Vec<u8>>,
    /// Searches that are left.
    left: usize,
    deadline: Instant,
}

impl Ldap {
    /// The values of all attributes of all entries that a key leads to, in the server's order.
    ///
    /// # Errors
    ///
    /// Why nobody knows, for the log.
    pub(in crate::directory) async fn find(
        &self,
        search: &MapSearch,
        key: &str,
    ) -> Result<Vec<Vec<u8>>, String> {
        let Some(filter) = encode::map_filter(&search.filter, key) else { return Ok(Vec::new()) };
        let base = match &search.base {
            Some(base) => encode::map_base(base, key),
            None => Some(self.base_dn.clone()),
        };
        let Some(base) = base else { return Ok(Vec::new()) };
        let scope = match search.scope {
            config::ldap::Scope::Subtree => ldap3::Scope::Subtree,
            config::ldap::Scope::OneLevel => ldap3::Scope::OneLevel,
            config::ldap::Scope::Base => ldap3::Scope::Base,
        };
        // Where the base depends on the key, that there is none says that the key is not there.
        let varies = search.base.as_ref().is_some_and(config::Expansion::is_dynamic);
        let deadline = Instant::now() + self.timeout;
        let mut gathered = Gathered { values: Vec::new(), left: MOST, deadline };
        let entries = self.entries(search, &base, scope, &filter, varies, &mut gathered).await?;
        self.gather(search, entries, 1, &mut gathered).await?;
        Ok(gathered.values)
    }

    async fn entries(
        &self,
        search: &MapSearch,
        base: &str,
        scope: ldap3::Scope,
        filter: &str,
        may_be_missing: bool,
        gathered: &mut Gathered,
    ) -> Result<Vec<Entry>, String> {
        gathered.left =
            gathered.left.checked_sub(1).ok_or_else(|| format!("it takes more than {MOST} searches"))?;
        let attributes = search.all_attributes();
        let limit = search.size_limit.unwrap_or(MOST);
        // One more, to see that there are more.
        let most = limit.saturating_add(1);
        let ask = Ask { base, scope, filter, attributes: &attributes, most };
        let hits = self.searchers.search(&ask, gathered.deadline).await?;
        match hits.outcome.code {
            verdict::SUCCESS if hits.entries.len() <= limit => Ok(hits.entries),
            verdict::SUCCESS | verdict::SIZE_LIMIT_EXCEEDED => {
                Err(format!("there are more than {limit} entries"))
            }
            verdict::NO_SUCH_OBJECT if may_be_missing => Ok(Vec::new()),
            _ => Err(format!("the search ended with {}", NoVerdict::of(&hits.outcome))),
        }
    }

    /// Takes the values of entries, and of those that they name in turn.
    fn gather<'a>(
        &'a self,
        search: &'a MapSearch,
        entries: Vec<Entry>,
        depth: usize,
        gathered: &'a mut Gathered,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            for entry in &entries {
                for (name, values) in entry.attributes() {
                    match search.part(entry, name) {
                        Some(Part::Value) => gathered.values.extend_from_slice(values),
                        Some(Part::Special) if depth >= search.recursion_limit => {
                            return Err("entries name others beyond its recursion_limit".to_owned());
                        }
                        Some(Part::Special) => {
                            for value in values {
                                self.follow(search, value, depth, gathered).await?;
                            }
                        }
                        None => {}
                    }
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Looks at the entry that another one names.
    async fn follow(
        &self,
        search: &MapSearch,
        value: &[u8],
        depth: usize,
        gathered: &mut Gathered,
    ) -> Result<(), String> {
        let dn = std::str::from_utf8(value).map_err(|_| "the name of an entry is not UTF-8".to_owned())?;
        if ["ldap://", "ldaps://", "ldapi://"].iter().any(|scheme| dn.starts_with(scheme)) {
            return Err("an entry names others by an LDAP URL, which is not followed".to_owned());
        }
        let all = "(objectClass=*)";
        let entries = self.entries(search, dn, ldap3::Scope::Base, all, true, gathered).await?;
        self.gather(search, entries, depth + 1, gathered).await
    }
}

/// What an attribute is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Value,
    Special,
}

impl MapSearch {
    fn all_attributes(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for name in [&self.terminal, &self.leaf, &self.attributes, &self.special].into_iter().flatten() {
            if !all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                all.push(name.clone());
            }
        }
        all
    }

    /// `None`: it does not count in this entry.
    fn part(&self, entry: &Entry, name: &str) -> Option<Part> {
        let listed = |names: &[String]| names.iter().any(|known| is_of(known, name));
        let has = |names: &[String]| {
            !names.is_empty()
                && entry
                    .attributes()
                    .any(|(name, values)| !values.is_empty() && names.iter().any(|known| is_of(known, name)))
        };
        let terminal = listed(&self.terminal);
        if terminal || has(&self.terminal) {
            return terminal.then_some(Part::Value);
        }
        if listed(&self.leaf) {
            return (!has(&self.special)).then_some(Part::Value);
        }
        if listed(&self.attributes) {
            return Some(Part::Value);
        }
        listed(&self.special).then_some(Part::Special)
    }
}

/// Whether an attribute is the one that was asked for, or it with options (RFC 4512 2.5.2).
fn is_of(asked: &str, name: &str) -> bool {
    let start = name.get(..asked.len()).is_some_and(|start| start.eq_ignore_ascii_case(asked));
    start && name.get(asked.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(';'))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Part, is_of};
    use crate::config::{Expansion, MapSearch, ldap::Scope};

    #[test]
    fn an_attribute_counts_as_ldap_table_has_it() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let search = MapSearch {
            filter: Expansion::of("(mail=%s)"),
            base: None,
            scope: Scope::Subtree,
            attributes: names(&["maildrop"]),
            leaf: names(&["mail"]),
            terminal: names(&["vacation"]),
            special: names(&["member"]),
            recursion_limit: 10,
            size_limit: None,
        };
        let person = Entry::made("uid=a", &[("mail", &["a@b"]), ("maildrop", &["c@d"]), ("uid", &["a"])]);
        let group =
            Entry::made("cn=g", &[("mail", &["g@b"]), ("member", &["uid=a"]), ("Maildrop;x", &["e@f"])]);
        let ended =
            Entry::made("cn=e", &[("vacation", &["v@b"]), ("member", &["uid=a"]), ("maildrop", &["x@y"])]);
        for (entry, name, expected) in [
            (&person, "mail", Some(Part::Value)),
            (&person, "maildrop", Some(Part::Value)),
            (&person, "uid", None),
            (&group, "mail", None),
            (&group, "member", Some(Part::Special)),
            (&group, "Maildrop;x", Some(Part::Value)),
            (&ended, "vacation", Some(Part::Value)),
            (&ended, "member", None),
            (&ended, "maildrop", None),
        ] {
            assert_eq!(search.part(entry, name), expected, "{name} of {}", entry.dn);
        }
        assert!(is_of("mail", "MAIL;lang-de") && !is_of("mail", "mailbox") && !is_of("mailbox", "mail"));
    }
}
