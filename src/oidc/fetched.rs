//! Something of the provider's that is known until something newer is: its endpoints, its keys.

use std::{pin::Pin, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::{sync::Mutex, time::Instant};

use super::answer::Outage;

/// How long nobody asks for something newer after it was asked for. Whoever makes up names of keys could otherwise have
/// the provider asked as often as they like.
pub(super) const AGAIN: Duration = Duration::from_secs(10);

/// The same after a failure: what is missing altogether keeps everybody out.
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Fetches it. Boxed, as it is a lot and hardly ever done: a login that fetches nothing should not carry it along.
pub(super) type Fetch<'f, T> = Pin<Box<dyn Future<Output = Result<T, Outage>> + Send + 'f>>;

/// A value that was fetched, one fetch at a time.
pub(super) struct Fetched<T> {
    now: ArcSwapOption<T>,
    last: Mutex<Option<Last>>,
}

struct Last {
    at: Instant,
    outage: Option<Outage>,
}

impl<T> Fetched<T> {
    pub(super) fn new() -> Self {
        Self { now: ArcSwapOption::empty(), last: Mutex::new(None) }
    }

    /// What is known.
    pub(super) fn now(&self) -> Option<Arc<T>> {
        self.now.load_full()
    }

    /// What is known, or else what `fetch` brings. Whoever comes meanwhile waits for the same.
    ///
    /// # Errors
    ///
    /// Why nothing is known.
    pub(super) async fn get<'f>(&self, fetch: impl FnOnce() -> Fetch<'f, T>) -> Result<Arc<T>, Outage> {
        match self.now() {
            Some(known) => Ok(known),
            // With nothing that it could be older than, something newer is anything.
            None => self.newer(None, fetch).await?.ok_or(Outage::Resting),
        }
    }

    /// Something newer than `than`, if there is. `None`: it was asked for so short a time ago that this was not tried.
    ///
    /// # Errors
    ///
    /// Why it could not be fetched, now or a moment ago. What was known stays.
    pub(super) async fn newer<'f>(
        &self,
        than: Option<&Arc<T>>,
        fetch: impl FnOnce() -> Fetch<'f, T>,
    ) -> Result<Option<Arc<T>>, Outage> {
        let mut last = self.last.lock().await;
        let other = |known: &Arc<T>| than.is_none_or(|than| !Arc::ptr_eq(than, known));
        if let Some(known) = self.now().filter(other) {
            return Ok(Some(known));
        }
        match &*last {
            Some(Last { at, outage: Some(outage) }) if at.elapsed() < AGAIN_AFTER_FAILURE => Err(*outage),
            Some(Last { at, outage: None }) if at.elapsed() < AGAIN => Ok(None),
            Some(_) | None => self.fetch(&mut last, fetch()).await.map(Some),
        }
    }

    /// Fetches it in any case.
    ///
    /// # Errors
    ///
    /// Why it could not be fetched. What was known stays.
    pub(super) async fn refresh(&self, fetch: Fetch<'_, T>) -> Result<(), Outage> {
        let mut last = self.last.lock().await;
        self.fetch(&mut last, fetch).await.map(drop)
    }

    async fn fetch(&self, last: &mut Option<Last>, fetch: Fetch<'_, T>) -> Result<Arc<T>, Outage> {
        let fetched = fetch.await.map(Arc::new);
        *last = Some(Last { at: Instant::now(), outage: fetched.as_ref().err().copied() });
        let fetched = fetched?;
        self.now.store(Some(Arc::clone(&fetched)));
        Ok(fetched)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn something_newer_is_fetched_once_in_a_while_however_many_ask() {
        let (fetched, times) = (Fetched::new(), AtomicUsize::new(0));
        let fetch = || -> Fetch<'_, usize> {
            Box::pin(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(times.fetch_add(1, Relaxed) + 1)
            })
        };
        let (one, two) = tokio::join!(fetched.get(fetch), fetched.get(fetch));
        assert_eq!((*one.clone().unwrap(), *two.unwrap(), times.load(Relaxed)), (1, 1, 1));
        let known = one.unwrap();
        assert_eq!(fetched.newer(Some(&known), fetch).await, Ok(None), "it is fresh");
        tokio::time::advance(AGAIN).await;
        let (one, two) = tokio::join!(fetched.newer(Some(&known), fetch), fetched.newer(Some(&known), fetch));
        assert_eq!((one.unwrap(), two.unwrap()), (Some(Arc::new(2)), Some(Arc::new(2))));
        assert_eq!(times.load(Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_keeps_what_is_known_and_is_told_to_all_who_ask_soon_after() {
        let (fetched, times) = (Fetched::new(), AtomicUsize::new(0));
        let fail = || -> Fetch<'_, usize> {
            Box::pin(async {
                times.fetch_add(1, Relaxed);
                Err(Outage::TimedOut)
            })
        };
        for _ in 0..3 {
            assert_eq!(fetched.get(fail).await, Err(Outage::TimedOut));
        }
        assert_eq!(times.load(Relaxed), 1);
        tokio::time::advance(AGAIN_AFTER_FAILURE).await;
        let known = fetched.get(|| Box::pin(async { Ok(5) })).await.unwrap();
        tokio::time::advance(AGAIN).await;
        assert_eq!(fetched.newer(Some(&known), fail).await, Err(Outage::TimedOut));
        assert_eq!(fetched.refresh(fail()).await, Err(Outage::TimedOut));
        assert_eq!(fetched.now().as_deref(), Some(&5));
    }
}
