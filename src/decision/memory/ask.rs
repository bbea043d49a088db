//! Asking the directories about what memory does not know, and taking note of what they say.

use std::{pin::pin, sync::Arc};

use futures_util::FutureExt as _;
use gatepost_protocol::secret::Secret;
use tokio::time::{Instant, error::Elapsed, timeout_at};

use super::{Judged, Memory, Question, Recollection};
use crate::{
    account::{Account, Password, State},
    app_password::Seen,
    cache::{Asking, Elsewhere, Entry, EntryBuf, Fingerprint, Full, Lesson, Said},
    decision::{
        AppPassword, Attempt, By, Engine, Now, Refusal, TempFail, Verified,
        proof::{Open, Proven},
        rules,
    },
    directory::{Found, Inquiry},
    username::Username,
};

/// Waits for something until then. Only what is not ready at once gets a timer, and most things are.
pub(in crate::decision) async fn in_time<F: Future>(until: Instant, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    match work.as_mut().now_or_never() {
        Some(done) => Ok(done),
        None => timeout_at(until, work).await,
    }
}

impl Engine {
    /// Has one of all who ask the same question ask it.
    pub(super) async fn ask_once(
        &self,
        memory: &Memory,
        question: Question<'_>,
        attempt: &Attempt,
        password: &Secret,
        ahead: bool,
    ) -> Arc<Judged> {
        let digest = memory.login(&question, attempt, password);
        let come = memory.ask(Instant::now().into_std());
        let ask = self.ask(memory, question, attempt, ahead);
        match memory.logins.once(&digest, |judged| judged.holds_for(&come), ask).await {
            Ok(judged) => judged,
            Err(Full) => {
                let full = TempFail::TooManyRequests;
                Arc::new(self.stale(memory, &question, attempt, come, None, full))
            }
        }
    }

    async fn ask(
        &self,
        memory: &Memory,
        question: Question<'_>,
        attempt: &Attempt,
        ahead: bool,
    ) -> Arc<Judged> {
        let now = Now::read();
        let asking = memory.ask(now.instant);
        // Somebody may have been told since memory was asked.
        let remembered = if ahead { None } else { self.remembered(memory, &question, attempt, asking, now) };
        Arc::new(match remembered {
            Some(judged) => judged,
            None => {
                if !ahead {
                    memory.cache.missed(question.key);
                }
                self.find_out(memory, &question, attempt, asking, now).await
            }
        })
    }

    /// Asks the directories about a password, and takes note of what they say.
    async fn find_out(
        &self,
        memory: &Memory,
        question: &Question<'_>,
        attempt: &Attempt,
        asking: Asking,
        now: Now,
    ) -> Judged {
        let Question { user, key, digest } = *question;
        let inquiry = Inquiry { user, service: &attempt.service };
        let until = self.patience();
        let asked = in_time(until, self.chain.login(&inquiry)).await;
        let found = match asked
            .map_err(|_| TempFail::Deadline)
            .and_then(|found| found.map_err(TempFail::Directory))
        {
            Ok(found) => found,
            Err(why) => return self.stale(memory, question, attempt, asking, None, why),
        };
        let checked = memory.checked(&found);
        let same = memory.cache.proven_by(key, &digest).is_some_and(|proven| Some(proven) == checked);
        let prover = self.prover(attempt, now.wall, false).knowing(same);
        let proving = prover.try_to_prove(&found, &attempt.claim.credential);
        let (verdict, open) = in_time(until, proving).await.unwrap_or_else(|_| {
            // Whether it is an app password may have been answered already.
            (Err(TempFail::Deadline.into()), Open { listed: false, main: true })
        });
        if let Err(Refusal::TempFail(why)) = verdict {
            return self.stale(memory, question, attempt, asking, Some((&found, open)), why);
        }
        self.learn(memory, question, asking, &found, checked, &verdict);
        let verdict = match (verdict, &found.account) {
            (Ok(Proven { by, .. }), Some(account)) => {
                self.renew(&found, &by, &attempt.claim.credential);
                Ok((Arc::clone(account), by))
            }
            (Ok(_), None) => Err(Refusal::UserUnknown),
            (Err(refusal), _) => Err(refusal),
        };
        Judged { asking, verdict, elsewhere: found.state_elsewhere(), recollection: None }
    }

    /// Until when directories are waited for. Less than peers wait, so that there is time for what memory says instead.
    pub(in crate::decision) fn patience(&self) -> Instant {
        Instant::now() + self.deadline() / 8 * 7
    }

    /// What is to be said while somebody cannot be asked. What the others have `found` counts as well: nobody is let in
    /// against the word of a directory that answers.
    fn stale(
        &self,
        memory: &Memory,
        question: &Question<'_>,
        attempt: &Attempt,
        asking: Asking,
        found: Option<(&Found<'_>, Open)>,
        why: TempFail,
    ) -> Judged {
        let now = Now::read();
        let known = || {
            let holder = memory.cache.stale(question.key, &question.digest, memory.cache.at(now.instant))?;
            let right = holder.look();
            let (account, by) = self.let_in(right, attempt, now.wall)?;
            let Some((found, open)) = found else {
                let past = match &why {
                    TempFail::Directory(why) => self.is_past(right.entry, why),
                    // It may be a later one that was waited for.
                    TempFail::Deadline => !self.is_of_the_last(right.entry),
                    TempFail::Stored(_)
                    | TempFail::Hashing(_)
                    | TempFail::Provider(_)
                    | TempFail::NoProvider
                    | TempFail::Panicked
                    | TempFail::TooManyRequests
                    | TempFail::Stopping => false,
                };
                return (!past).then_some((account, by));
            };
            let unasked = match &right.app_password {
                Some(_) => open.listed,
                None => open.main && self.is_checked_as(memory, right.entry, found),
            };
            let gone = found.known_elsewhere().is_ok_and(|known| !known);
            let account = found.account.as_ref().filter(|_| unasked && !gone && !found.several)?;
            rules::usable(found.state_elsewhere(), now.wall).ok()?;
            rules::admit(account, attempt, now.wall).ok()?;
            Some((Arc::clone(account), by))
        };
        match known() {
            Some(verdict) => Judged {
                asking,
                verdict: Ok(verdict),
                elsewhere: State::Active,
                recollection: Some(Recollection::Stale),
            },
            None => Judged::refused(asking, Refusal::TempFail(why)),
        }
    }

    /// Whether the main password is still checked where it was, and for the same entry.
    fn is_checked_as(&self, memory: &Memory, entry: Entry<'_>, found: &Found<'_>) -> bool {
        let Some(account) = &found.account else { return false };
        match &account.password {
            Password::Elsewhere(now) => entry.elsewhere().is_some_and(|known| {
                let user = now.user.as_ref().unwrap_or(&account.user);
                self.directory_name(known.directory) == Some(&now.directory)
                    && known.user == *user
                    && memory.checked(found).is_none_or(|checked| entry.is_checked_by(checked))
            }),
            Password::Stored(_)
            | Password::Bind(_)
            | Password::Missing
            | Password::Locked
            | Password::Unusable(_) => {
                memory.checked(found).is_some_and(|checked| entry.is_checked_by(checked))
            }
        }
    }

    fn learn(
        &self,
        memory: &Memory,
        question: &Question<'_>,
        asking: Asking,
        found: &Found<'_>,
        checked: Option<Fingerprint>,
        verdict: &Result<Proven, Refusal>,
    ) {
        let digest = question.digest;
        let said = match verdict {
            _ if found.several => return,
            Ok(Proven { by: By::Password, .. }) => Said::Right(digest),
            Ok(Proven { by: By::AppPassword(which), .. }) => {
                Said::RightBy(digest, Arc::new(AppPassword::clone(which)))
            }
            Err(Refusal::PasswordMismatch) => Said::Wrong(digest),
            // The directory says so that checks the password, or that is asked about the user besides.
            Err(Refusal::UserDisabled | Refusal::PassExpired) => Said::Shut,
            Ok(_) | Err(_) => Said::Nothing,
        };
        let lesson = match (&found.account, found.directory()) {
            (Some(account), Some(directory)) => Lesson::Somebody {
                account,
                directory: self.chain.number(directory),
                elsewhere: self.elsewhere(account, found),
                fingerprint: checked,
                said,
            },
            (Some(_), None) | (None, _) => Lesson::Nobody,
        };
        memory.cache.learn(question.key, asking, lesson, memory.tick());
    }

    /// What the directory says that an account leaves its password to.
    pub(in crate::decision) fn elsewhere(&self, account: &Account, found: &Found<'_>) -> Option<Elsewhere> {
        let (directory, holder) = found.elsewhere()?;
        let named = match &account.password {
            Password::Elsewhere(elsewhere) => elsewhere.user.clone(),
            Password::Missing
            | Password::Locked
            | Password::Stored(_)
            | Password::Bind(_)
            | Password::Unusable(_) => None,
        };
        Some(Elsewhere {
            directory: self.chain.number(directory),
            user: named.unwrap_or_else(|| account.user.clone()),
            state: holder.map_or(State::Disabled, |holder| holder.state),
        })
    }

    /// Judges an app password of gatepost's own, which belongs to an account that memory does not know.
    pub(super) async fn ask_for_app_password(
        &self,
        memory: &Memory,
        user: &Username,
        seen: &Seen,
        attempt: &Attempt,
        now: Now,
    ) -> Result<Verified, Refusal> {
        let key = memory.key(user.as_str(), &attempt.service);
        let asking = memory.ask(Instant::now().into_std());
        let found = match self.chain.login(&Inquiry { user, service: &attempt.service }).await {
            Ok(found) => found,
            Err(unavailable) => {
                let known = memory.cache.stale_account(key, memory.tick());
                let usable = |entry: &Entry<'_>| entry.is_whole() && !self.is_past(*entry, &unavailable);
                let entry = known.as_ref().map(EntryBuf::look).filter(usable);
                let entry = entry.ok_or(TempFail::Directory(unavailable))?;
                return self.by_own_app_password(self.unpack(entry), seen, attempt, now).await;
            }
        };
        if !found.several {
            memory.cache.learn(key, asking, self.lesson_of(memory, &found), memory.tick());
        }
        self.ask_of(&found, attempt, now).await
    }
}
