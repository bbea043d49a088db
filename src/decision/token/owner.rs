//! The account of somebody who proves themselves without a password: what memory says, or else the directories.

use std::{sync::Arc, time::Instant};

use crate::{
    account::{Account, State},
    cache::{Asking, Entry, EntryBuf, Full, Lesson, Said},
    decision::{
        Engine, Refusal, TempFail,
        memory::{Memory, in_time},
    },
    directory::{Found, Inquiry, Unavailable},
    username::Username,
};

/// Somebody who has a name.
#[derive(Debug, Clone)]
pub(in crate::decision) struct Owner {
    pub(super) account: Arc<Account>,
    /// Whether they may log in at all, as far as another directory says so that their password is left to.
    pub(super) elsewhere: State,
    /// Whether that is from memory, because a directory does not answer.
    pub(super) stale: bool,
}

impl Owner {
    pub(super) const fn of(account: Arc<Account>) -> Self {
        Self { account, elsewhere: State::Active, stale: false }
    }

    /// Whether two names lead to one account.
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        self.account.user == other.account.user && self.account.directory == other.account.directory
    }
}

impl Engine {
    /// Who has a name, and may be asked to prove it.
    ///
    /// # Errors
    ///
    /// Nobody, or several; or nobody could tell.
    pub(super) async fn owner(&self, user: &Username, service: &str) -> Result<Owner, Refusal> {
        let Some(memory) = &self.memory else {
            let found = Box::pin(self.chain.login(&Inquiry { user, service })).await;
            return owner_of(&found.map_err(TempFail::Directory)?);
        };
        let key = memory.key(user.as_str(), service);
        // What another directory says of them is remembered with a password only.
        let known = memory.cache.account(key, memory.tick());
        let known = known.as_ref().map(EntryBuf::look);
        match known.filter(|entry| entry.is_nobody() || entry.is_whole()) {
            Some(entry) => self.unpack(entry).map(Owner::of).ok_or(Refusal::UserUnknown),
            None => Box::pin(self.ask_for_owner(memory, user, service)).await,
        }
    }

    async fn ask_for_owner(&self, memory: &Memory, user: &Username, service: &str) -> Result<Owner, Refusal> {
        let key = memory.key(user.as_str(), service);
        // As of a token that nobody can have.
        let digest = memory.cache.digester().login(user.as_str(), b"", key.service, b"owner");
        let come = memory.ask(Instant::now());
        let stale = |past: &dyn Fn(Entry<'_>) -> bool| {
            let known = memory.cache.stale_account(key, memory.tick())?;
            let entry = known.look();
            let usable = entry.is_whole() && !past(entry);
            let account = usable.then(|| self.unpack(entry)).flatten()?;
            Some(Owner { stale: true, ..Owner::of(account) })
        };
        let ask = async {
            let asking = memory.ask(Instant::now());
            let inquiry = Inquiry { user, service };
            let owner = match in_time(self.patience(), self.chain.login(&inquiry)).await {
                Ok(Ok(found)) => {
                    if !found.several {
                        let lesson = self.lesson_of_owner(memory, &found);
                        memory.cache.learn(key, asking, lesson, memory.tick());
                    }
                    owner_of(&found)
                }
                Ok(Err(unavailable)) => {
                    let past = |entry: Entry<'_>| self.is_past(entry, &unavailable);
                    stale(&past).ok_or_else(|| TempFail::Directory(unavailable).into())
                }
                // It may be a later directory that was waited for.
                Err(_) => {
                    stale(&|entry| !self.is_of_the_last(entry)).ok_or_else(|| TempFail::Deadline.into())
                }
            };
            (asking, owner)
        };
        let fits = |(asking, owner): &(Asking, _)| is_temporary(owner) || asking.covers(&come);
        match memory.owners.once(&digest, fits, ask).await {
            Ok((_, owner)) => owner,
            Err(Full) => stale(&|_| false).ok_or_else(|| TempFail::TooManyRequests.into()),
        }
    }

    /// What memory learns of it: all that it learns of a login, but of no password.
    fn lesson_of_owner<'f>(&self, memory: &Memory, found: &'f Found<'_>) -> Lesson<'f> {
        match (&found.account, found.directory()) {
            (Some(account), Some(directory)) => Lesson::Somebody {
                account,
                directory: self.chain.number(directory),
                elsewhere: self.elsewhere(account, found),
                fingerprint: memory.checked(found),
                said: Said::Nothing,
            },
            (Some(_), None) | (None, _) => Lesson::Nobody,
        }
    }
}

fn is_temporary(owner: &Result<Owner, Refusal>) -> bool {
    owner.as_ref().is_err_and(Refusal::is_temporary)
}

/// The account of an answer. Who is gone where their password is checked is so for every proof.
fn owner_of(found: &Found<'_>) -> Result<Owner, Refusal> {
    if found.several {
        return Err(Refusal::UserAmbiguous);
    }
    let account = found.account.clone().ok_or(Refusal::UserUnknown)?;
    let known: Result<bool, Unavailable> = found.known_elsewhere();
    if !known.map_err(TempFail::Directory)? {
        return Err(Refusal::UserDisabled);
    }
    Ok(Owner { account, elsewhere: found.state_elsewhere(), stale: false })
}
