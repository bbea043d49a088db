//! Moves bytes between a socket and a session, and questions between a session and the engine.
//!
//! One task a connection. It reads what has arrived, has all complete lines taken, asks the engine about what they
//! amount to, and writes all replies with one call. An answer that needs no waiting is given on the spot; only the
//! others are kept beside, polled by the same task. Nothing is spawned for a request.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, poll, stream::FuturesUnordered};
use gatepost_protocol::frame::{AUTH_LINE, Lines, MASTER_LINE};
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    auth::{self, Handle},
    master,
    wire::{Go, Wire},
};
use crate::{
    account::Account,
    decision::{Attempt, Decision, Engine, Refusal, TempFail},
    directory::Unavailable,
    listener::Stream,
    observe,
};

/// Where sessions find the engine: it is replaced as a whole when the configuration is read again.
pub type Engines = arc_swap::ArcSwap<Engine>;

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Serves one connection of the auth-client protocol to its end.
pub async fn auth(
    stream: Stream,
    mut session: auth::Session,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, Lines::new(AUTH_LINE));
    session.greet(&mut wire.out);
    let mut deciding = FuturesUnordered::new();
    let mut asked = Vec::new();
    let mut stopping = false;
    let why = loop {
        if wire.flush().await.is_err() || (wire.ended() && !stopping) {
            break None;
        }
        if stopping && session.is_idle() {
            wire.stop_reading();
        }
        let next_tick = session.next_tick();
        let mut answered = None;
        tokio::select! {
            read = wire.read(), if !wire.ended() => match read {
                Ok(true) => {}
                // Nobody is left to answer, unless it is we who have closed that direction.
                Ok(false) if stopping => {}
                Ok(false) | Err(_) => break None,
            },
            Some(answer) = deciding.next() => answered = Some(answer),
            () = sleep_until(next_tick) => {}
            () = stop.cancelled(), if !stopping => {
                stopping = true;
            }
        }
        let now = Instant::now();
        let ended = wire.each_line(|line, out| {
            asked.extend(session.line(line, now, out)?);
            Ok(Go::On)
        });
        let mut closed = ended.err();
        for question in asked.drain(..) {
            let mut decision: Answer<Decided> = Box::pin(decide(engines.load_full(), question));
            match poll!(&mut decision) {
                Poll::Ready(answer) => {
                    closed = closed.or(answer.tell(&mut session, &mut wire).err());
                }
                Poll::Pending => deciding.push(decision),
            }
        }
        while let Some(answer) = answered.take().or_else(|| deciding.next().now_or_never().flatten()) {
            closed = closed.or(answer.tell(&mut session, &mut wire).err());
        }
        session.tick(now, &mut wire.out);
        if stopping {
            session.hurry(&mut wire.out);
        }
        if closed.is_some() {
            break closed;
        }
        if stopping && session.is_idle() && wire.ended() {
            break Some(Close::Drained);
        }
    };
    farewell(wire, why).await;
}

struct Decided {
    handle: Handle,
    attempt: Attempt,
    decision: Decision,
}

impl Decided {
    fn tell(self, session: &mut auth::Session, wire: &mut Wire) -> Result<(), Close> {
        session.decided(self.handle, &self.attempt, &self.decision, Instant::now(), &mut wire.out)
    }
}

async fn decide(engine: Arc<Engine>, question: auth::Question) -> Decided {
    let auth::Question { handle, attempt } = question;
    let started = Instant::now();
    let judged = tokio::time::timeout(engine.deadline(), engine.decide(&attempt));
    // A driver that panics must cost the request that it was asked about, not the others of this connection.
    let decision = match AssertUnwindSafe(judged).catch_unwind().await {
        Ok(Ok(decision)) => decision,
        Ok(Err(_elapsed)) => Decision::Refuse(Refusal::TempFail(TempFail::Deadline)),
        Err(_panic) => Decision::Refuse(Refusal::TempFail(TempFail::Panicked)),
    };
    observe::decided(&attempt, &decision, started.elapsed());
    Decided { handle, attempt, decision }
}

/// Serves one connection of the auth-master protocol to its end.
pub async fn master(
    stream: Stream,
    mut session: master::Session,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, Lines::new(MASTER_LINE));
    session.greet(&mut wire.out);
    let mut lookups = FuturesUnordered::new();
    let mut asked = Vec::new();
    let mut stopping = false;
    let why = loop {
        if wire.flush().await.is_err() || (wire.ended() && lookups.is_empty()) {
            break None;
        }
        if stopping {
            wire.stop_reading();
        }
        let mut found = None;
        tokio::select! {
            read = wire.read(), if !wire.ended() => if read.is_err() { break None },
            Some(answer) = lookups.next() => found = Some(answer),
            () = stop.cancelled(), if !stopping => stopping = true,
        }
        let now = Instant::now();
        // More lines may stand behind one that has to be answered first.
        let closed = loop {
            let ended = wire.each_line(|line, out| {
                let question = session.line(line, now, out)?;
                let pause =
                    matches!(question, Some(master::Question::List { .. } | master::Question::Flush { .. }));
                asked.extend(question);
                Ok(if pause { Go::Pause } else { Go::On })
            });
            let mut again = false;
            for question in asked.drain(..) {
                match question {
                    master::Question::User { id, .. } | master::Question::Pass { id, .. }
                        if lookups.len() >= master::MAX_LOOKUPS =>
                    {
                        session.busy(id, &mut wire.out);
                    }
                    lookup @ (master::Question::User { .. } | master::Question::Pass { .. }) => {
                        let mut answer: Answer<Found> = Box::pin(look_up(engines.load_full(), lookup));
                        match poll!(&mut answer) {
                            Poll::Ready(found) => found.tell(&session, &mut wire),
                            Poll::Pending => lookups.push(answer),
                        }
                    }
                    master::Question::List { id, mask } => {
                        again = true;
                        let engine = engines.load_full();
                        if list(&engine, &session, id, &mask, &mut wire).await.is_err() {
                            return;
                        }
                    }
                    master::Question::Flush { id, .. } => {
                        again = true;
                        engines.load_full().chain().reload().await;
                        session.flushed(id, 0, &mut wire.out);
                    }
                }
            }
            if ended.is_err() || !again {
                break ended.err();
            }
        };
        while let Some(answer) = found.take().or_else(|| lookups.next().now_or_never().flatten()) {
            answer.tell(&session, &mut wire);
        }
        if closed.is_some() {
            break closed;
        }
    };
    farewell(wire, why).await;
}

struct Found {
    question: master::Question,
    found: Result<Option<Arc<Account>>, Unavailable>,
}

impl Found {
    fn tell(self, session: &master::Session, wire: &mut Wire) {
        match self.question {
            master::Question::User { id, .. } => session.user(id, &self.found, &mut wire.out),
            master::Question::Pass { id, .. } => session.pass(id, &self.found, &mut wire.out),
            master::Question::List { .. } | master::Question::Flush { .. } => {}
        }
    }
}

async fn look_up(engine: Arc<Engine>, question: master::Question) -> Found {
    let found = match &question {
        master::Question::User { name, .. } | master::Question::Pass { name, .. } => {
            let started = Instant::now();
            let looked = tokio::time::timeout(engine.deadline(), engine.lookup(name));
            let found = match AssertUnwindSafe(looked).catch_unwind().await {
                Ok(Ok(found)) => found,
                Ok(Err(_elapsed)) => Err(Unavailable::new("-", "no answer within the deadline")),
                Err(_panic) => Err(Unavailable::new("-", "the lookup panicked")),
            };
            observe::looked_up(name, &found, started.elapsed());
            found
        }
        master::Question::List { .. } | master::Question::Flush { .. } => Ok(None),
    };
    Found { question, found }
}

/// How many bytes of a listing are written at once.
const LIST_CHUNK: usize = 32 * 1024;

async fn list(
    engine: &Engine,
    session: &master::Session,
    id: gatepost_protocol::dovecot::RequestId,
    mask: &super::mask::Mask,
    wire: &mut Wire,
) -> std::io::Result<()> {
    let mut names = engine.chain().list();
    let mut failed = false;
    while let Some(name) = names.recv().await {
        match name {
            Ok(name) if mask.fits(name.as_str()) => session.listed(id, &name, &mut wire.out),
            Ok(_) => {}
            Err(unavailable) => {
                tracing::error!(%unavailable, "a listing is not complete");
                failed = true;
            }
        }
        if wire.out.len() >= LIST_CHUNK {
            wire.flush().await?;
        }
    }
    session.list_done(id, failed, &mut wire.out);
    wire.flush().await
}

/// The last words, and a line in the log if the end was not an ordinary one.
async fn farewell(mut wire: Wire, why: Option<Close>) {
    let _ = wire.flush().await;
    match why {
        None | Some(Close::Drained) => {}
        Some(Close::TempFail) => tracing::debug!("a connection was closed to tell of a temporary failure"),
        Some(close @ (Close::Malformed(_) | Close::TooLong(_) | Close::OutOfOrder(_))) => {
            tracing::info!(reason = %close, "a connection was closed: the peer does not follow the protocol");
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

/// How long a stopping daemon waits for its connections.
pub const DRAIN: Duration = Duration::from_secs(8);
