//! Tables that Postfix looks things up in, by the queries and filters of the operator.

use std::{fmt, sync::Arc};

use gatepost_protocol::postfix::address::halves;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Directory, Kind, Unavailable};
use crate::config::{Expansion, MapFind, MapTable, Subject};

/// What a key leads to: one value, or several with `,` between. Never empty. Shared by all who have it, wiped when the last of
/// them drops it, and not to be seen in logs, for there are tables of passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Mapped(Arc<Zeroizing<String>>);

impl Mapped {
    /// `None`: nothing is no value.
    pub fn new(value: String) -> Option<Self> {
        (!value.is_empty()).then(|| Self(Arc::new(Zeroizing::new(value))))
    }

    /// So many bytes it takes, allocated by itself.
    pub fn weight(&self) -> usize {
        // With the two counts of who has it.
        size_of::<Self>() + 2 * size_of::<usize>() + size_of::<Zeroizing<String>>() + self.0.len()
    }

    /// As Postfix is told.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({} bytes)", self.0.len())
    }
}

impl Directory {
    /// The names of the maps that it has tables for, in the order of its configuration.
    pub fn maps(&self) -> impl Iterator<Item = &str> {
        self.0.maps.iter().map(|table| &*table.map)
    }

    /// What the table of this number says of a key, which is asked for as it is. `None`: it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be sure: it did not answer, or there is more than the operator allows.
    pub async fn find(&self, table: usize, key: &str) -> Result<Option<Mapped>, Unavailable> {
        let Some(table) = self.0.maps.get(table) else { return Ok(None) };
        let wrong = |why: String| self.unavailable(format!("maps.{}: {why}", table.map));
        if !table.is_asked_for(key) {
            return Ok(None);
        }
        let values = match (&table.find, &self.0.kind) {
            (MapFind::Sql(query), Kind::Sql(sql)) => Box::pin(sql.find(query, key)).await,
            (MapFind::Ldap(search), Kind::Ldap(ldap)) => Box::pin(ldap.find(search, key)).await,
            (MapFind::Own(map), Kind::Sqlite(database)) => {
                // As with users: only for its own domains.
                let domain = halves(key).1.unwrap_or(key);
                match self.0.domains.all_or_named(domain) {
                    true => database.find(*map, key).await,
                    false => Ok(Vec::new()),
                }
            }
            (MapFind::Sql(_) | MapFind::Ldap(_) | MapFind::Own(_), _) => {
                Err("it cannot be asked that".to_owned())
            }
        };
        let mut values = values.map_err(wrong)?;
        let told = table.told(&values, key);
        values.iter_mut().for_each(|value| value.zeroize());
        told.map_err(wrong)
    }
}

impl MapTable {
    /// Whether anything can be found: a key that is empty is nothing to look for, and `domain` is for whole addresses.
    fn is_asked_for(&self, key: &str) -> bool {
        if self.domain.is_empty() {
            return !key.is_empty();
        }
        let (local, domain) = halves(key);
        let serves = |domain: &str| self.domain.iter().any(|pattern| pattern.matches(domain));
        !local.is_empty() && domain.is_some_and(serves)
    }

    /// What becomes of the values that were found.
    fn told(&self, values: &[Vec<u8>], key: &str) -> Result<Option<Mapped>, String> {
        let mut text = String::new();
        let mut number = 0;
        for value in values.iter().filter(|value| !value.is_empty()) {
            let value = std::str::from_utf8(value).map_err(|_| "a value is not UTF-8".to_owned())?;
            let Some(value) = formatted(self.result_format.as_ref(), value, key) else { continue };
            number += 1;
            if self.expansion_limit.is_some_and(|limit| number > limit) {
                return Err(format!("there are more values than its expansion_limit allows, of {key:?}"));
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&value);
        }
        Ok(Mapped::new(text))
    }
}

/// `None`: it has not all that the format needs.
fn formatted(format: Option<&Expansion>, value: &str, key: &str) -> Option<Zeroizing<String>> {
    let text = match format {
        Some(format) => format.plain(&Subject { key, value })?,
        None => value.to_owned(),
    };
    Some(Zeroizing::new(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::MapTable;
    use crate::config::{DomainPattern, Expansion, MapFind, MapSearch, ldap::Scope};

    fn table() -> MapTable {
        let search = MapSearch {
            filter: Expansion::of("(mail=%s)"),
            base: None,
            scope: Scope::Subtree,
            attributes: Vec::new(),
            leaf: Vec::new(),
            terminal: Vec::new(),
            special: Vec::new(),
            recursion_limit: 1,
            size_limit: None,
        };
        MapTable {
            map: Arc::from("a"),
            find: MapFind::Ldap(Box::new(search)),
            result_format: None,
            expansion_limit: None,
            domain: Vec::new(),
            place: None,
        }
    }

    fn told(table: &MapTable, values: &[&str]) -> Result<Option<String>, String> {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        let told = table.told(&values, "sales@example.org")?;
        Ok(told.map(|told| told.as_str().to_owned()))
    }

    #[test]
    fn values_are_joined_and_those_that_are_empty_or_do_not_fit_are_left_out() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        let mut table = table();
        assert_eq!(told(&table, &[]), Ok(None));
        assert_eq!(told(&table, &["", ""]), Ok(None));
        assert_eq!(told(&table, &["a@b", "", "c@d"]), some("a@b,c@d"));
        table.result_format = Some(Expansion::of("smtp:[%d] %U"));
        assert_eq!(told(&table, &["a@b", "nobody"]), some("smtp:[b] sales"));
        assert_eq!(told(&table, &["nobody"]), Ok(None));
        table.expansion_limit = Some(2);
        assert_eq!(told(&table, &["a@b", "x", "a@b"]), some("smtp:[b] sales,smtp:[b] sales"));
        assert!(told(&table, &["a@b", "a@b", "a@b"]).is_err());
        assert!(table.told(&[vec![0xff]], "a").is_err());
    }

    #[test]
    fn with_domains_only_whole_addresses_in_them_are_asked_for() {
        let mut table = table();
        for (key, expected) in [("a", true), ("@example.org", true), ("", false)] {
            assert_eq!(table.is_asked_for(key), expected, "{key}");
        }
        table.domain = vec![
            DomainPattern::Exact("example.org".to_owned()),
            DomainPattern::Below("example.net".to_owned()),
        ];
        for (key, expected) in [
            ("a@example.org", true),
            ("a@x.example.net", true),
            ("a@example.net", false),
            ("@example.org", false),
            ("example.org", false),
            ("a", false),
            ("a@", false),
            ("", false),
        ] {
            assert_eq!(table.is_asked_for(key), expected, "{key}");
        }
    }
}
