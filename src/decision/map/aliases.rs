//! Where the mail of an address goes on to.
//!
//! In the order in which nothing is swallowed: an alias of the very address, with its extension and without; whoever has a
//! mailbox keeps their mail; the same address in the domain that this one is another name of, if there is anybody; and what
//! is for everybody of the domain. Postfix looks up again whatever this leads to.

use gatepost_protocol::postfix::{
    address::{Address, halves},
    walk::Key,
};

use super::{Engine, Mapped, Said, Unavailable};

/// How many domains in a row may each be another name of the next one.
pub(super) const NAMES_IN_A_ROW: usize = 4;

/// The maps that are asked.
const ALIASES: &str = "aliases";
const ALIAS_DOMAINS: &str = "alias_domains";

impl Engine {
    /// Where the mail of an address goes on to.
    pub(super) async fn alias_of(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        self.alias_within(key, NAMES_IN_A_ROW).await
    }

    async fn alias_within(&self, key: &Key<'_>, names: usize) -> Result<Option<Mapped>, Unavailable> {
        let exact = self.own_alias(key).await?;
        if let Some(found) = exact.found {
            return Ok(Some(found));
        }
        let mailbox = self.mailbox(key).await?;
        if mailbox.as_ref().is_some_and(|mailbox| !is_elsewhere(mailbox, key.lower())) {
            return Ok(None);
        }
        if let (None, Some(lately)) = (&mailbox, exact.lately) {
            return Err(lately);
        }
        if let Some(address) = self.in_other_domain(key).await?
            && names > 0
        {
            let there = Key::of(&address);
            let taken_in = match self.mailbox(&there).await? {
                None => Box::pin(self.alias_within(&there, names - 1)).await?.is_some(),
                Some(_) => true,
            };
            if taken_in {
                return Ok(Mapped::new(address));
            }
        }
        if mailbox.is_some() {
            return Ok(None);
        }
        self.catch_all(key).await
    }

    /// The alias of an address itself, which may have an extension.
    async fn own_alias(&self, key: &Key<'_>) -> Result<Said, Unavailable> {
        self.alias_before(key, None).await
    }

    /// The same, of those forms of the address alone that come before this one.
    pub(super) async fn alias_before(&self, key: &Key<'_>, end: Option<&str>) -> Result<Said, Unavailable> {
        let mut all = Said::default();
        let Some(named) = self.maps.named(ALIASES) else { return Ok(all) };
        let steps = key.steps(named.rules.walk, &self.maps.delimiters);
        for step in steps.take_while(|step| end != Some(&*step.key)) {
            if !step.is_whole {
                continue;
            }
            let said = self.said(named, &step.key).await?;
            all.lately = all.lately.or(said.lately);
            if let Some(found) = said.found {
                return Ok(Said { found: self.maps.onward(named, key, &step, &found), ..all });
            }
        }
        Ok(all)
    }

    /// What is for everybody of a domain.
    pub(super) async fn catch_all(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        let Some(named) = self.maps.named(ALIASES) else { return Ok(None) };
        for step in key.steps(named.rules.walk, &self.maps.delimiters) {
            if step.is_whole {
                continue;
            }
            let said = self.said(named, &step.key).await?;
            match (said.found, said.lately) {
                (Some(found), _) => return Ok(Some(found)),
                (None, Some(lately)) => return Err(lately),
                (None, None) => {}
            }
        }
        Ok(None)
    }

    /// The same address in the domain that its own is another name of.
    pub(super) async fn in_other_domain(&self, key: &Key<'_>) -> Result<Option<String>, Unavailable> {
        let Some(named) = self.maps.named(ALIAS_DOMAINS).filter(|named| !named.tables.is_empty()) else {
            return Ok(None);
        };
        let (local, Some(domain)) = halves(key.lower()) else { return Ok(None) };
        if local.is_empty() {
            return Ok(None);
        }
        let other = self.walk(named, &Key::of(domain)).await?;
        // Some write it with the @ that PostfixAdmin's forms have.
        let other = other.as_ref().map(|other| other.as_str().trim_start_matches('@').to_lowercase());
        let other = other.filter(|other| !other.is_empty() && other != domain);
        Ok(other
            .map(|other| Address { domain: Some(other.as_str()), ..Address::asked(key.lower()) }.external()))
    }
}

/// Whether the account of a mailbox goes by a name of another domain than the address that it was found by: as where the
/// directory itself knows what its domains are called besides. What is said of that name counts then, such as where its mail
/// goes on to. `key` is in lower case.
fn is_elsewhere(mailbox: &Mapped, key: &str) -> bool {
    let (here, there) = (halves(key).1, halves(mailbox.as_str()).1);
    // A table may have it in any case.
    here.zip(there).is_some_and(|(here, there)| here != there && here != there.to_lowercase())
}
