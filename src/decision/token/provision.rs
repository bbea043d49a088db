//! Making a user whom a provider vouches for when they come for the first time (`provision`, `provision_query`).
//!
//! Those who come at once for somebody wait for one question. On another machine, or by `gatepost user add`, another one
//! may be asked at the same time: the table has a unique key, one of the two fails or does nothing, and the user is there.
//! So what counts is not what came of the question but whether the user is there after it.

use std::collections::HashSet;

use super::{Owner, vouching::Provision};
use crate::{
    cache::Full,
    decision::{Engine, Refusal, TempFail, memory::in_time},
    directory::Unavailable,
    username::Username,
};

impl Engine {
    /// Who has a name, or is made to have it.
    pub(super) async fn owner_or_new(
        &self,
        provision: &Provision,
        provider: &str,
        user: &Username,
        service: &str,
    ) -> Result<Owner, Refusal> {
        match self.owner(user, service).await {
            Err(Refusal::UserUnknown) => {}
            known => return known,
        }
        let made = Box::pin(self.provision_once(provision, provider, user)).await;
        match (self.owner(user, service).await, made) {
            // Nobody knows whether they are there in a moment.
            (Err(Refusal::UserUnknown), Err(why)) => Err(TempFail::Directory(why).into()),
            (owner, _) => owner,
        }
    }

    /// Has one of all who come for a user make them.
    async fn provision_once(
        &self,
        provision: &Provision,
        provider: &str,
        user: &Username,
    ) -> Result<(), Unavailable> {
        let Some(memory) = &self.memory else { return self.provision(provision, provider, user).await };
        let digest = memory.cache.digester().login(user.as_str(), b"", "", b"provision");
        let make = async {
            let made = self.provision(provision, provider, user).await;
            // That nobody has the name.
            memory.cache.forget(&HashSet::from([user.as_str()]));
            made
        };
        let full = |Full| Err(Unavailable::new(provision.directory.name(), "too many users are being made"));
        memory.tokens.made.once(&digest, |_| true, make).await.unwrap_or_else(full)
    }

    async fn provision(
        &self,
        provision: &Provision,
        provider: &str,
        user: &Username,
    ) -> Result<(), Unavailable> {
        let Provision { directory, claims } = provision;
        let made = in_time(self.patience(), directory.provision(user, claims)).await;
        let made =
            made.unwrap_or_else(|_| Err(Unavailable::new(directory.name(), "no answer within the deadline")));
        let (user, name) = (user.as_str(), &**directory.name());
        match &made {
            Ok(true) => tracing::info!(user, directory = name, provider, "a user was made"),
            Ok(false) => tracing::debug!(user, directory = name, provider, "a user was there already"),
            Err(why) => {
                tracing::warn!(user, directory = name, provider, reason = %why, "a user was not made")
            }
        }
        made.map(drop)
    }
}
