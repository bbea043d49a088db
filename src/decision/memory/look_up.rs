//! Looking up who has a name, without a password.

use std::{sync::Arc, time::Instant};

use super::{Memory, ask::in_time};
use crate::{
    account::Account,
    cache::{Asking, Entry, Full, Lesson, Said},
    decision::Engine,
    directory::{Found, Inquiry, Unavailable},
    username::{NameRoom, Username},
};

/// Who has the name, if anybody has.
pub(super) type Looked = Option<Arc<Account>>;

impl Engine {
    /// The account of a name: what memory says, or else the directories.
    pub(in crate::decision) async fn look_up(
        &self,
        user: &Username,
        service: &str,
    ) -> Result<Looked, Unavailable> {
        let Some(memory) = &self.memory else {
            return who(&self.chain.lookup(&Inquiry { user, service }).await?);
        };
        let key = memory.key(user.as_str(), service);
        match memory.cache.account_with(key, memory.tick(), |entry| self.unpack(entry)) {
            Some(looked) => Ok(looked),
            // Boxed, so that who is known does not carry it along.
            None => Box::pin(self.look_up_anew(memory, user, service)).await,
        }
    }

    /// The canonical name of whoever has a name and takes in mail by `service`, if anybody does: of what [`Self::lookup`]
    /// tells nothing else. Where memory knows, nothing else of the account is made.
    pub(in crate::decision) async fn whose(
        &self,
        name: &[u8],
        service: &str,
    ) -> Result<Option<Username>, Unavailable> {
        if let Some(memory) = &self.memory {
            let mut room = NameRoom::new();
            // What nobody can be called, nobody is called.
            let Ok(user) = Username::normalised(name, self.default_domain(), &mut room) else {
                return Ok(None);
            };
            let whose = |entry: Entry<'_>| {
                Some(entry.delivers(service).then(|| Username::of_normal_form(entry.canonical())))
            };
            if let Some(whose) = memory.cache.look(memory.key(user, service), memory.tick(), whose) {
                return Ok(whose);
            }
        }
        // Boxed, so that who is known does not carry it along.
        let account = Box::pin(self.lookup(name, service)).await?;
        Ok(account.map(|account| account.user.clone()))
    }

    async fn look_up_anew(
        &self,
        memory: &Memory,
        user: &Username,
        service: &str,
    ) -> Result<Looked, Unavailable> {
        let key = memory.key(user.as_str(), service);
        let digest = memory.cache.digester().login(user.as_str(), b"", key.service, b"lookup");
        let come = memory.ask(Instant::now());
        let stale = |past: &dyn Fn(Entry<'_>) -> bool| {
            let known = memory.cache.stale_account(key, memory.tick())?;
            let entry = known.look();
            (!past(entry)).then(|| self.unpack(entry))
        };
        let ask = async {
            let asking = memory.ask(Instant::now());
            let inquiry = Inquiry { user, service };
            let looked = match in_time(self.patience(), self.chain.lookup(&inquiry)).await {
                Ok(Ok(found)) => {
                    let looked = who(&found);
                    if looked.is_ok() {
                        let lesson = self.lesson_of(memory, &found);
                        memory.cache.learn(key, asking, lesson, memory.tick());
                    }
                    looked
                }
                Ok(Err(unavailable)) => stale(&|entry| self.is_past(entry, &unavailable)).ok_or(unavailable),
                // It may be a later directory that was waited for.
                Err(_) => stale(&|entry| !self.is_of_the_last(entry))
                    .ok_or_else(|| Unavailable::new("-", "no answer within the deadline")),
            };
            (asking, looked)
        };
        let fits = |(asking, looked): &(Asking, Result<Looked, _>)| looked.is_err() || asking.covers(&come);
        match memory.lookups.once(&digest, fits, ask).await {
            Ok((_, looked)) => looked,
            Err(Full) => {
                let full = || Unavailable::new("-", "too many questions are being asked");
                stale(&|_| false).ok_or_else(full)
            }
        }
    }

    /// What a lookup tells, which asks no other directory and checks no password.
    pub(super) fn lesson_of<'f>(&self, memory: &Memory, found: &'f Found<'_>) -> Lesson<'f> {
        match (&found.account, found.directory()) {
            (Some(account), Some(directory)) => Lesson::Somebody {
                account,
                directory: self.chain.number(directory),
                elsewhere: None,
                fingerprint: memory.check_of(account),
                said: Said::Nothing,
            },
            (Some(_), None) | (None, _) => Lesson::Nobody,
        }
    }
}

/// Who has a name, by an answer. That several have it is one too: what was known of one of them is not to be relied on,
/// and to say that there is nobody would bounce mail because of a slip in a directory.
fn who(found: &Found<'_>) -> Result<Looked, Unavailable> {
    if found.several { Err(found.ambiguous()) } else { Ok(found.account.clone()) }
}
