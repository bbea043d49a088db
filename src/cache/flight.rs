//! Logins that are the same wait for one answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::digest::Digest;

/// Questions that are being asked, by the digest of everything that their answer depends on.
#[derive(Debug)]
pub struct Flights<T> {
    flying: Mutex<HashMap<[u8; 16], watch::Receiver<Option<T>>>>,
    most: usize,
}

/// Too many questions are being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Who has to ask.
#[derive(Debug)]
struct Pilot<'f, T> {
    flights: &'f Flights<T>,
    digest: [u8; 16],
    tell: watch::Sender<Option<T>>,
}

/// What somebody with a question is to do.
#[derive(Debug)]
enum Place<'f, T> {
    /// Ask, and tell the others.
    Ask(Pilot<'f, T>),
    /// Wait for somebody who asks.
    Wait(Wait<T>),
    /// Go away: too many questions are being asked.
    Full,
}

/// Somebody asks already.
#[derive(Debug)]
struct Wait<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Flights<T> {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { flying: Mutex::default(), most }
    }

    /// Has one of all who ask the same ask it: `ask` is not begun before it is this caller's turn. Who waits takes the answer
    /// if it `fits`, and otherwise comes anew, as when whoever asked has gone without one.
    ///
    /// # Errors
    ///
    /// Too many questions are being asked.
    pub async fn once(
        &self,
        digest: &Digest,
        fits: impl Fn(&T) -> bool,
        ask: impl Future<Output = T>,
    ) -> Result<T, Full> {
        loop {
            match self.join(digest) {
                Place::Full => return Err(Full),
                Place::Wait(wait) => match wait.answer().await {
                    Some(answer) if fits(&answer) => return Ok(answer),
                    Some(_) | None => {}
                },
                Place::Ask(pilot) => {
                    let answer = ask.await;
                    pilot.tell(answer.clone());
                    return Ok(answer);
                }
            }
        }
    }

    /// The place of a question.
    fn join(&self, digest: &Digest) -> Place<'_, T> {
        let mut flying = self.lock();
        let full = flying.len() >= self.most;
        match flying.entry(digest.bytes()) {
            Entry::Occupied(under_way) => Place::Wait(Wait(under_way.get().clone())),
            Entry::Vacant(_) if full => Place::Full,
            Entry::Vacant(place) => {
                let (tell, told) = watch::channel(None);
                place.insert(told);
                Place::Ask(Pilot { flights: self, digest: digest.bytes(), tell })
            }
        }
    }

    /// How many are being asked.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Flights<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 16], watch::Receiver<Option<T>>>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Pilot<'_, T> {
    /// Tells everybody who waits.
    fn tell(self, answer: T) {
        let _ = self.tell.send(Some(answer));
    }
}

impl<T> Drop for Pilot<'_, T> {
    /// Whoever comes from now on asks anew. Who waits and was told nothing does too.
    fn drop(&mut self) {
        self.flights.lock().remove(&self.digest);
    }
}

impl<T: Clone> Wait<T> {
    /// The answer; `None`: whoever asked has gone without one.
    async fn answer(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::{Flights, Full, Place};
    use crate::cache::Digester;

    #[tokio::test]
    async fn one_asks_and_the_others_are_told() {
        let digester = Digester::new().unwrap();
        let [one, other] = ["alice", "bob"].map(|user| digester.password(user, b"x"));
        let flights = Flights::new(2);
        let Place::Ask(pilot) = flights.join(&one) else { panic!("nobody asks yet") };
        let Place::Wait(waiting) = flights.join(&one) else { panic!("somebody asks already") };
        let Place::Ask(_held) = flights.join(&other) else { panic!("another question") };
        assert!(matches!(flights.join(&digester.password("carol", b"x")), Place::Full));
        assert!(matches!(flights.join(&one), Place::Wait(_)), "to wait takes no room");
        pilot.tell(7);
        assert_eq!(waiting.answer().now_or_never(), Some(Some(7)));
        assert_eq!(flights.len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_fit_is_asked_for_anew() {
        let digest = Digester::new().unwrap().password("alice", b"x");
        let flights = Flights::new(1);
        let Place::Ask(pilot) = flights.join(&digest) else { panic!("nobody asks yet") };
        let mut fitting = Box::pin(flights.once(&digest, |answer| *answer == 7, async { 1 }));
        let mut other = Box::pin(flights.once(&digest, |answer| *answer == 8, async { 2 }));
        assert!((&mut fitting).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        pilot.tell(7);
        assert_eq!(fitting.await, Ok(7));
        assert_eq!(other.await, Ok(2));
        let _held = flights.join(&digest);
        let bob = Digester::new().unwrap().password("bob", b"x");
        assert_eq!(flights.once(&bob, |_| true, async { 3 }).await, Err(Full));
    }

    #[tokio::test]
    async fn who_waits_for_somebody_who_goes_away_asks_themselves() {
        let digest = Digester::new().unwrap().password("alice", b"x");
        let flights = Flights::<u8>::new(1);
        let Place::Ask(pilot) = flights.join(&digest) else { panic!("nobody asks yet") };
        let Place::Wait(waiting) = flights.join(&digest) else { panic!("somebody asks already") };
        drop(pilot);
        assert_eq!(waiting.answer().now_or_never(), Some(None));
        assert!(matches!(flights.join(&digest), Place::Ask(_)));
    }
}
