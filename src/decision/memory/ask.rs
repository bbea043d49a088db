//! Asking the directories about what memory does not know, and taking note of what they say.

use std::{sync::Arc, time::Duration};

use gatepost_protocol::secret::Secret;
use tokio::time::timeout;

use super::{Judged, Memory, Question, Recollection};
use crate::{
    account::{Account, Password, State},
    app_password::Seen,
    cache::{Asking, Elsewhere, Fingerprint, Lesson, Pilot, Place, Said},
    decision::{AppPassword, Attempt, By, Engine, Now, Refusal, TempFail, Verified, proof::Proven},
    directory::{Found, Inquiry, Unavailable},
    username::Username,
};

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
        loop {
            match memory.logins.join(&digest) {
                // Who is known need not be asked about to be let in.
                Place::Full => {
                    let full = TempFail::TooManyRequests;
                    return Arc::new(self.stale(memory, &question, attempt, full));
                }
                Place::Wait(wait) => {
                    if let Some(judged) = wait.answer().await {
                        return judged;
                    }
                }
                Place::Ask(pilot) => {
                    return Box::pin(self.ask(memory, question, attempt, pilot, ahead)).await;
                }
            }
        }
    }

    async fn ask(
        &self,
        memory: &Memory,
        question: Question<'_>,
        attempt: &Attempt,
        pilot: Pilot<'_, Arc<Judged>>,
        ahead: bool,
    ) -> Arc<Judged> {
        let now = Now::read();
        // Somebody may have been told since memory was asked.
        let remembered = if ahead { None } else { self.remembered(memory, &question, attempt, now) };
        let judged = match remembered {
            Some(judged) => judged,
            None => timeout(self.patience(), self.find_out(memory, &question, attempt, now))
                .await
                .unwrap_or_else(|_| self.stale(memory, &question, attempt, TempFail::Deadline)),
        };
        let judged = Arc::new(judged);
        pilot.tell(Arc::clone(&judged));
        judged
    }

    /// Asks the directories about a password, and takes note of what they say.
    async fn find_out(
        &self,
        memory: &Memory,
        question: &Question<'_>,
        attempt: &Attempt,
        now: Now,
    ) -> Judged {
        let Question { user, key, digest } = *question;
        let asking = memory.cache.ask(memory.cache.at(now.instant));
        memory.cache.missed(key);
        let inquiry = Inquiry { user, service: &attempt.service };
        let found = match self.chain.login(&inquiry).await {
            Ok(found) => found,
            Err(unavailable) => {
                return self.stale(memory, question, attempt, TempFail::Directory(unavailable));
            }
        };
        let checked = memory.checked(&found);
        let same = memory.cache.proven_by(key, &digest).is_some_and(|proven| Some(proven) == checked);
        let prover = self.prover(attempt, now.wall, false).knowing(same);
        let verdict = prover.prove(&found, &attempt.claim.credential).await;
        if let Err(Refusal::TempFail(why)) = verdict {
            return self.stale(memory, question, attempt, why);
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
        Judged { verdict, elsewhere: found.state_elsewhere(), recollection: None }
    }

    /// How long directories are waited for. Less than peers wait, so that there is time for what memory says instead.
    fn patience(&self) -> Duration {
        self.deadline() / 8 * 7
    }

    /// Waits for directories so long.
    pub(super) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let late = || Err(Unavailable::new("-", "no answer within the deadline"));
        timeout(self.patience(), asked).await.unwrap_or_else(|_| late())
    }

    /// What is to be said while nobody can be asked.
    fn stale(&self, memory: &Memory, question: &Question<'_>, attempt: &Attempt, why: TempFail) -> Judged {
        let now = Now::read();
        let right = memory.cache.stale(question.key, &question.digest, memory.cache.at(now.instant));
        let stale = Some(Recollection::Stale);
        right.and_then(|right| self.let_in(&right, attempt, now.wall, stale)).unwrap_or(Judged {
            verdict: Err(Refusal::TempFail(why)),
            elsewhere: State::Active,
            recollection: None,
        })
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
    fn elsewhere(&self, account: &Account, found: &Found<'_>) -> Option<Elsewhere> {
        let (directory, holder) = found.elsewhere()?;
        let named = match &account.password {
            Password::Elsewhere(elsewhere) => elsewhere.user.clone(),
            Password::Missing | Password::Stored(_) | Password::Bind(_) | Password::Unusable(_) => None,
        };
        Some(Elsewhere {
            directory: self.chain.number(directory),
            user: named.unwrap_or_else(|| account.user.clone()),
            state: holder.map_or(State::Disabled, |holder| holder.state),
        })
    }

    pub(super) fn lesson_of<'a>(
        &self,
        memory: &Memory,
        account: Option<&'a Account>,
        directory: u16,
    ) -> Lesson<'a> {
        account.map_or(Lesson::Nobody, |account| Lesson::Somebody {
            account,
            directory,
            elsewhere: None,
            fingerprint: memory.check_of(account),
            said: Said::Nothing,
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
        let asking = memory.cache.ask(memory.tick());
        let inquiry = Inquiry { user, service: &attempt.service };
        let found = match self.in_time(self.chain.login(&inquiry)).await {
            Ok(found) => found,
            Err(unavailable) => {
                let entry = memory.cache.stale_account(key, memory.tick()).filter(|entry| entry.is_whole());
                let entry = entry.ok_or(TempFail::Directory(unavailable))?;
                return self.by_own_app_password(self.unpack(&entry), seen, attempt, now).await;
            }
        };
        if !found.several {
            let directory = found.directory().map_or(u16::MAX, |asked| self.chain.number(asked));
            let lesson = self.lesson_of(memory, found.account.as_deref(), directory);
            memory.cache.learn(key, asking, lesson, memory.tick());
        }
        self.ask_of(&found, attempt, now).await
    }
}
