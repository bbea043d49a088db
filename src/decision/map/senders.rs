//! Who may send under an address.
//!
//! All of these together: whoever has the mailbox; where nobody has, those to whom an alias of the address leads, or what is
//! for everybody of the domain where there is nobody else; the same for the domain that this one is another name of; and
//! whom the tables of the map `senders` name for the address, with its extension and without, for `@` and its domain, and for
//! `*`.
//!
//! While a directory does not answer, those who were found before are told, and somebody who was named since then is not
//! among them. Who has logged in is not known here. [`Engine::standing`] knows, and cannot tell then.

use std::collections::BTreeSet;

use gatepost_protocol::postfix::{
    address::{Address, halves, listed},
    walk::Key,
};

use super::{Engine, Mapped, Unavailable, aliases::NAMES_IN_A_ROW};

/// How often an alias may lead to another one, and to how many addresses all in all.
const DEEP: usize = 8;
const WIDE: usize = 1000;

/// The map of those who are named.
const SENDERS: &str = "senders";

/// Who may send under an address.
#[derive(Debug, Default)]
pub(in crate::decision) struct Senders {
    /// Their login names.
    pub(in crate::decision) logins: BTreeSet<String>,
    /// That somebody else is not named was said some time ago, and cannot be asked now.
    pub(in crate::decision) lately: Option<Unavailable>,
    /// Addresses that were looked at.
    seen: BTreeSet<String>,
}

impl Engine {
    /// The login names of those who may send under an address, with `,` between. What would be two names to Postfix is left
    /// out.
    pub(super) async fn senders(&self, key: &Key<'_>) -> Result<Option<Mapped>, Unavailable> {
        let found = self.who_may_send(key).await?;
        let one = |login: &&String| !login.contains([',', ' ', '\t', '\r', '\n']);
        let logins: Vec<&str> = found.logins.iter().filter(one).map(String::as_str).collect();
        match (Mapped::new(logins.join(",")), found.lately) {
            (None, Some(lately)) => Err(lately),
            (logins, _) => Ok(logins),
        }
    }

    /// Who may send under an address.
    pub(in crate::decision) async fn who_may_send(&self, key: &Key<'_>) -> Result<Senders, Unavailable> {
        let mut found = Senders::default();
        let mut other = self.add_those_of(key, &mut found).await?;
        for _ in 0..NAMES_IN_A_ROW {
            let Some(address) = other else { break };
            other = self.add_those_of(&Key::of(&address), &mut found).await?;
        }
        Ok(found)
    }

    /// Those of an address in its own domain. The same address in the domain that this one is another name of.
    async fn add_those_of(&self, key: &Key<'_>, found: &mut Senders) -> Result<Option<String>, Unavailable> {
        self.add_named(key, found).await?;
        let owned = self.add_owners(key, 0, found).await?;
        let other = self.in_other_domain(key).await?;
        if !owned
            && other.is_none()
            && self.maps.aliases_may_send
            && let Some(everybody) = self.catch_all(key).await?
        {
            self.add_all(&everybody, 1, found).await?;
        }
        Ok(other)
    }

    /// Those whom the tables name.
    async fn add_named(&self, address: &Key<'_>, found: &mut Senders) -> Result<(), Unavailable> {
        let Some(named) = self.maps.named(SENDERS).filter(|named| !named.tables.is_empty()) else {
            return Ok(());
        };
        // Of those for everybody the first one alone.
        let mut is_last = false;
        let steps = address.steps(named.rules.walk, &self.maps.delimiters);
        let steps = steps.take_while(|step| !std::mem::replace(&mut is_last, !step.is_whole));
        for key in steps.map(|step| step.key).chain(["*".into()]) {
            let said = self.said(named, &key).await?;
            if let Some(logins) = said.found {
                found.logins.extend(listed(logins.as_str()).map(str::to_lowercase));
            }
            found.lately = found.lately.take().or(said.lately);
        }
        Ok(())
    }

    /// Whoever has an address, or those to whom its alias leads: one of the address with its extension too, where somebody has
    /// the one without. Whether there is anybody, or an alias.
    ///
    /// An alias of an address that somebody has is how their mail is forwarded. To get it is not to be them.
    async fn add_owners(
        &self,
        address: &Key<'_>,
        depth: usize,
        found: &mut Senders,
    ) -> Result<bool, Unavailable> {
        if !found.seen.insert(address.lower().to_owned()) || found.seen.len() > WIDE {
            return Ok(true);
        }
        let (owner, theirs) = self.owner_of(address, "").await?.unzip();
        let has_owner = owner.is_some();
        found.logins.extend(owner.map(|owner| owner.as_str().to_owned()));
        if !self.maps.aliases_may_send {
            return Ok(has_owner);
        }
        let alias = self.alias_before(address, theirs.as_deref()).await?;
        found.lately = found.lately.take().or(alias.lately);
        match &alias.found {
            Some(onward) => self.add_all(onward, depth + 1, found).await.map(|()| true),
            None => Ok(has_owner),
        }
    }

    /// The owners of all addresses of a list.
    async fn add_all(
        &self,
        addresses: &Mapped,
        depth: usize,
        found: &mut Senders,
    ) -> Result<(), Unavailable> {
        for address in listed(addresses.as_str()) {
            // The same local part elsewhere is nobody in particular.
            if depth <= DEEP && !halves(address).0.is_empty() {
                let address = Address::read(address).external().to_lowercase();
                Box::pin(self.add_owners(&Key::of(&address), depth, found)).await?;
            }
        }
        Ok(())
    }
}
