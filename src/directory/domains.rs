//! Which names a directory is asked for.

use crate::{config::DomainPattern, username::Username};

/// The `domains` of a directory. None given: all names, with and without a domain.
#[derive(Debug, Clone, Default)]
pub(super) struct Domains(Vec<DomainPattern>);

impl Domains {
    /// The patterns of the configuration.
    pub(super) fn new(patterns: Vec<DomainPattern>) -> Self {
        Self(patterns)
    }

    /// All domains that there are, where they can be named.
    pub(super) fn all(&self) -> Option<Vec<&str>> {
        let all = self.0.iter().map(|pattern| match pattern {
            DomainPattern::Exact(domain) => Some(domain.as_str()),
            DomainPattern::Below(_) => None,
        });
        let all: Option<Vec<&str>> = all.collect();
        all.filter(|domains| !domains.is_empty())
    }

    /// Whether this domain, in lower case, is one that was named.
    pub(super) fn name(&self, domain: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(domain))
    }

    /// The same, where none was named: all are.
    pub(super) fn all_or_named(&self, domain: &str) -> bool {
        self.0.is_empty() || self.name(domain)
    }

    /// Whether `user` is one of its names. A bare name is in no domain.
    pub(super) fn serve(&self, user: &Username) -> bool {
        self.0.is_empty() || user.domain().is_some_and(|domain| self.name(domain))
    }
}
