//! Asking providers about tokens that memory does not know, and about passwords that they take.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use gatepost_protocol::secret::Secret;

use super::{
    known::{Asking, Recall, Tokens},
    vouching::Vouching,
};
use crate::{
    cache::{Digest, Digester, Full},
    decision::{Engine, Now, Recollection, Refusal, TempFail, memory::in_time},
    mechanism::Claim,
    oidc::NotVouched,
    username::Username,
};

/// What came of a token, before it is looked at who shows it.
pub(super) struct Vouched {
    pub(super) verdict: Result<Shown, Refusal>,
    pub(super) recollection: Option<Recollection>,
}

/// A token that a provider vouches for.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) vouching: Arc<Vouching>,
    /// When it was shown first, as far as that is known.
    pub(super) seen: SystemTime,
}

/// What a provider was asked, and said.
#[derive(Debug)]
pub(in crate::decision) struct Asked {
    asking: Asking,
    verdict: Result<Shown, Refusal>,
    recollection: Option<Recollection>,
}

/// A token or a password, and what its answer is found by.
struct Question<'a> {
    secret: &'a Secret,
    /// Whose password it is. `None`: it is a token.
    of: Option<&'a Username>,
    digest: Digest,
    /// Whose domain it is shown for.
    domain: Option<&'a str>,
    key: Digest,
}

impl<'a> Question<'a> {
    fn of_token(digester: &Digester, token: &'a Secret, named: Option<&'a Username>) -> Self {
        let (digest, domain) = (digester.token(token.expose()), named.and_then(Username::domain));
        Self { secret: token, of: None, digest, domain, key: digester.routed(&digest, domain) }
    }

    fn of_password(digester: &Digester, user: &'a Username, password: &'a Secret) -> Self {
        let digest = digester.password(user.as_str(), password.expose());
        Self { secret: password, of: Some(user), digest, domain: user.domain(), key: digest }
    }
}

impl Asked {
    /// Whether it holds for somebody who came then. That nobody could tell holds for everybody who waits.
    fn holds_for(&self, come: &Asking) -> bool {
        matches!(self.verdict, Err(Refusal::TempFail(_))) || self.asking.covers(come)
    }
}

impl Vouched {
    const fn refused(refusal: Refusal) -> Self {
        Self { verdict: Err(refusal), recollection: None }
    }

    fn of(asked: &Asked) -> Self {
        Self { verdict: asked.verdict.clone(), recollection: asked.recollection }
    }
}

impl Engine {
    /// Finds out whether a provider vouches for a token: by memory, or else by asking, once for all who show it.
    pub(super) async fn vouch(&self, token: &Secret, claim: &Claim, now: Now) -> Vouched {
        if self.providers.is_empty() {
            return Vouched::refused(TempFail::NoProvider.into());
        }
        let (digester, named) = match (self.tells_tokens(), self.named(claim)) {
            (Ok(digester), Ok(named)) => (digester, named),
            (Err(why), _) => return Vouched::refused(why.into()),
            (_, Err(refusal)) => return Vouched::refused(refusal),
        };
        self.answer(&Question::of_token(digester, token, named.as_ref()), now).await
    }

    /// The same of a password, which a provider takes.
    pub(super) async fn vouch_password(&self, user: &Username, password: &Secret, now: Now) -> Vouched {
        match self.tells_tokens() {
            Ok(digester) => self.answer(&Question::of_password(digester, user, password), now).await,
            Err(why) => Vouched::refused(why.into()),
        }
    }

    async fn answer(&self, question: &Question<'_>, now: Now) -> Vouched {
        let Some(tokens) = self.memory.as_ref().map(|memory| &memory.tokens) else {
            return Vouched { verdict: Box::pin(self.ask_provider(question, now)).await, recollection: None };
        };
        if let Some(vouched) = remembered(tokens, question, now) {
            return vouched;
        }
        Vouched::of(&*Box::pin(self.ask_provider_once(tokens, question, now, false)).await)
    }

    /// Asks about a token that was let in from memory, before its time is over.
    pub(in crate::decision) async fn refresh_token(&self, token: &Secret, claim: &Claim, now: Now) {
        let Some(tokens) = self.memory.as_ref().map(|memory| &memory.tokens) else { return };
        let Ok(_place) = tokens.ahead.try_acquire() else { return };
        let (Ok(digester), Ok(named)) = (self.tells_tokens(), self.named(claim)) else { return };
        let question = Question::of_token(digester, token, named.as_ref());
        // What comes of it is for the next one who shows it.
        drop(self.ask_provider_once(tokens, &question, now, true).await);
    }

    /// Has one of all who ask the same question ask it.
    async fn ask_provider_once(
        &self,
        tokens: &Tokens,
        question: &Question<'_>,
        now: Now,
        ahead: bool,
    ) -> Arc<Asked> {
        let (started, come) = (Instant::now(), tokens.ask(now));
        let ask = async {
            let now = now.after(started.elapsed());
            Arc::new(self.ask_for_all(tokens, question, now, ahead).await)
        };
        match tokens.flights.once(&question.key, |asked| asked.holds_for(&come), ask).await {
            Ok(asked) => asked,
            Err(Full) => Arc::new(stale(tokens, question, come, now, TempFail::TooManyRequests)),
        }
    }

    async fn ask_for_all(&self, tokens: &Tokens, question: &Question<'_>, now: Now, ahead: bool) -> Asked {
        let asking = tokens.ask(now);
        // Somebody may have been told since memory was asked.
        let known = if ahead { None } else { remembered(tokens, question, now) };
        match known {
            Some(Vouched { verdict, recollection }) => Asked { asking, verdict, recollection },
            None => {
                if !ahead {
                    tokens.missed();
                }
                let started = Instant::now();
                match self.ask_provider(question, now).await {
                    Err(Refusal::TempFail(why)) => {
                        stale(tokens, question, asking, now.after(started.elapsed()), why)
                    }
                    verdict => Asked { asking, verdict, recollection: None },
                }
            }
        }
    }

    /// Asks a provider, and takes note of what it says.
    async fn ask_provider(&self, question: &Question<'_>, now: Now) -> Result<Shown, Refusal> {
        let Question { secret, of, digest, domain, key } = *question;
        let tokens = self.memory.as_ref().map(|memory| &memory.tokens);
        let asking = tokens.map(|tokens| (tokens, tokens.ask(now)));
        let asked = async {
            match of {
                None => Some(self.providers.check(secret, domain, now.wall).await),
                Some(user) => self.providers.password(user.as_str(), secret, domain, now.wall).await,
            }
        };
        match in_time(self.patience(), asked).await {
            Err(_) => Err(TempFail::Deadline.into()),
            Ok(None) => Err(TempFail::NoProvider.into()),
            Ok(Some(Err(NotVouched::Unavailable(unavailable)))) => {
                Err(TempFail::Provider(unavailable).into())
            }
            Ok(Some(Err(NotVouched::Rejected { why, until, .. }))) => {
                if let Some((tokens, asking)) = asking {
                    tokens.learn_rejected(&key, asking, why, until);
                }
                Err(Refusal::TokenRejected(why))
            }
            Ok(Some(Ok(vouched))) => {
                let vouching = Arc::new(self.vouching(vouched, digest));
                let seen = asking.map_or(now.wall, |(tokens, asking)| tokens.learn(&key, asking, &vouching));
                let issued = vouching.issued_at.unwrap_or(seen);
                self.revocations.note_life(issued, vouching.expires_at);
                Ok(Shown { vouching, seen })
            }
        }
    }
}

/// What memory says of a token.
fn remembered(tokens: &Tokens, question: &Question<'_>, now: Now) -> Option<Vouched> {
    let hit = |refresh| Some(Recollection::Hit { refresh });
    match tokens.recall(&question.key, now) {
        Recall::Nothing => None,
        Recall::Rejected(why) => {
            Some(Vouched { verdict: Err(Refusal::TokenRejected(why)), recollection: hit(false) })
        }
        Recall::Vouched { vouching, seen, refresh } => {
            Some(Vouched { verdict: Ok(Shown { vouching, seen }), recollection: hit(refresh) })
        }
    }
}

/// What is to be said while nobody can tell.
fn stale(tokens: &Tokens, question: &Question<'_>, asking: Asking, now: Now, why: TempFail) -> Asked {
    match tokens.stale(&question.key, now) {
        Some((vouching, seen)) => {
            Asked { asking, verdict: Ok(Shown { vouching, seen }), recollection: Some(Recollection::Stale) }
        }
        None => Asked { asking, verdict: Err(why.into()), recollection: None },
    }
}
