//! Questions that one connection has asked of the engine, and what it may wait for meanwhile.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::time::{error::Elapsed, timeout};

use super::wire::Wire;

/// How long a peer may take to read what it was told. One that does not read is not served: nothing more is read
/// from it meanwhile, so this is all that bounds it.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Questions of one connection that are being answered, and answers that were not told yet.
///
/// As long as one of them is pending, the connection must not wait for anything without looking after it: it may hold
/// a place in the queue for hashing, and a place that nobody takes up when it comes keeps all others waiting.
pub(super) struct Answers<T> {
    pending: FuturesUnordered<Answer<T>>,
    ready: Vec<T>,
}

impl<T> Answers<T> {
    pub(super) fn new() -> Self {
        Self { pending: FuturesUnordered::new(), ready: Vec::new() }
    }

    /// An answer that takes no waiting is ready with this.
    pub(super) fn ask(&mut self, answer: impl Future<Output = T> + Send + 'static) {
        let mut answer: Answer<T> = Box::pin(answer);
        match (&mut answer).now_or_never() {
            Some(answer) => self.ready.push(answer),
            None => self.pending.push(answer),
        }
    }

    pub(super) fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len() + self.ready.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Until one more is ready; for ever if none is pending.
    pub(super) async fn wait(&mut self) {
        match self.pending.next().await {
            Some(answer) => self.ready.push(answer),
            None => std::future::pending().await,
        }
    }

    /// All that are ready by now.
    pub(super) fn take(&mut self) -> Vec<T> {
        while let Some(Some(answer)) = self.pending.next().now_or_never() {
            self.ready.push(answer);
        }
        std::mem::take(&mut self.ready)
    }

    /// Waits for something else.
    pub(super) async fn beside<F: Future>(&mut self, other: F) -> F::Output {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                () = self.wait() => {}
            }
        }
    }

    /// Writes what is to be written.
    pub(super) async fn flush(&mut self, wire: &mut Wire) -> io::Result<()> {
        if wire.is_flushed() {
            return Ok(());
        }
        let flushed = pin!(wire.flush());
        let written = self.beside(within(WRITE_TIMEOUT, flushed)).await;
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// What takes longer than `limit` is given up. Only what is not ready at once gets a timer, and most things are.
pub(super) async fn within<F: Future>(
    limit: Duration,
    mut answer: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    match answer.as_mut().now_or_never() {
        Some(answer) => Ok(answer),
        None => timeout(limit, answer).await,
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{
        sync::{Semaphore, oneshot},
        time::timeout,
    };

    use super::Answers;

    /// A peer that does not read kept the hashing pool from everybody else.
    #[tokio::test]
    async fn what_is_asked_goes_on_while_the_connection_waits_for_something_else() {
        let places = Arc::new(Semaphore::new(0));
        let (done, other) = oneshot::channel();
        let mut answers = Answers::new();
        let queue = Arc::clone(&places);
        answers.ask(async move {
            // In a fair queue the place is this one's from the moment that it is free.
            drop(queue.acquire().await.unwrap());
            done.send(()).unwrap();
            7
        });
        assert!(!answers.any_ready());
        places.add_permits(1);
        timeout(Duration::from_secs(10), answers.beside(other)).await.unwrap().unwrap();
        assert_eq!(answers.take(), [7]);
        assert!(answers.is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_takes_no_waiting_is_there_at_once() {
        let mut answers = Answers::new();
        answers.ask(std::future::ready(1));
        answers.ask(std::future::ready(2));
        assert!(answers.any_ready());
        assert_eq!(answers.take(), [1, 2]);
        assert!(!answers.any_ready());
    }
}
