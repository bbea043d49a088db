//! Moves bytes between a socket and a session, and questions between a session and the engine.
//!
//! One task a connection. It reads what has arrived, has all complete lines taken, asks the engine about what they
//! amount to, and writes all replies with one call. An answer that needs no waiting is given on the spot; only the
//! others are kept beside, polled by the same task. Nothing is spawned for a request.

use std::{
    io,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;
use gatepost_protocol::frame::{AUTH_LINE, Lines, MASTER_LINE};
use tokio::{task::yield_now, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    answers::{Answers, WRITE_TIMEOUT, within},
    auth::{self, Handle},
    master,
    wire::{Cut, Go, Wire},
};
use crate::{
    account::Account,
    decision::{Attempt, Decision, Engine, Now, Recollection, Refusal, TempFail},
    directory::Unavailable,
    listener::Stream,
    mechanism::Sought,
    observe,
    password::Terms,
};

/// Where sessions find the engine: it is replaced as a whole when the configuration is read again.
pub type Engines = arc_swap::ArcSwap<Engine>;

/// How many questions are read before the first of them is answered. More would be answered no sooner, and their
/// replies, 8 KiB each at most, would have to be held all at once.
pub(super) const BATCH: usize = 64;

/// How many lines are read before the other connections of the same thread have their turn.
const TURN: u32 = 256;

/// So many bytes of replies, and nothing more is read until they are written. Dovecot's own mark.
pub(super) const HIGH_WATER: usize = 50 * 1024;

/// Serves one connection of the auth-client protocol to its end.
pub async fn auth(
    stream: Stream,
    mut session: auth::Session,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, Lines::new(AUTH_LINE));
    session.greet(&mut wire.out);
    let mut answers = Answers::new();
    let mut asked = Vec::new();
    let (mut next, mut turn) = (Go::On, 0);
    let mut stopping = false;
    let mut stopped = pin!(stop.cancelled());
    let why = loop {
        stopping |= stop.is_cancelled();
        if stopping {
            // If that was not known below, nothing else might wake this up before the failures are due.
            session.hurry(&mut wire.out);
        }
        if answers.flush(&mut wire).await.is_err() || (wire.ended() && !stopping) {
            break None;
        }
        if stopping && session.is_idle() {
            wire.stop_reading();
        }
        let next_tick = session.next_tick();
        if next == Go::Pause {
            turn = 0;
            yield_now().await;
        }
        // In this order, what is nearly always there is all that is looked at. None of the others is kept waiting by it:
        // answers and times are looked after below in any case, and whether to stop is asked above.
        tokio::select! {
            biased;
            () = std::future::ready(()), if next == Go::Pause || answers.any_ready() => {}
            read = wire.read(), if next == Go::On && !wire.ended() => match read {
                Ok(true) => {}
                // Nobody is left to answer, unless it is we who have closed that direction.
                Ok(false) if stopping => {}
                Ok(false) | Err(_) => break None,
            },
            () = answers.wait() => {}
            () = sleep_until(next_tick) => {}
            () = &mut stopped, if !stopping => stopping = true,
        }
        let (now, engine) = (Instant::now(), engines.load_full());
        let moment = engine.moment(now);
        let ended = wire.each_message(|line, out| {
            turn += 1;
            asked.extend(session.line(line, moment, &engine, out)?);
            Ok(if asked.len() < BATCH && out.len() < HIGH_WATER && turn < TURN { Go::On } else { Go::Pause })
        });
        // No reply leaves before its event is on its way.
        observe::flush();
        let mut closed = ended.err();
        next = ended.unwrap_or(Go::On);
        for question in asked.drain(..) {
            match question {
                auth::Question::Refresh { attempt } => refresh(&engine, attempt),
                auth::Question::Judge { handle, attempt } => {
                    answers.ask(judge(Arc::clone(&engine), handle, attempt, now));
                }
                auth::Question::Seek { handle, sought, service } => {
                    answers.ask(seek(Arc::clone(&engine), handle, sought, service, now));
                }
            }
        }
        for answer in answers.take() {
            closed = closed.or(answer.tell(&mut session, &engine, now, &mut wire).err());
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

/// What a question came to.
enum Answer {
    Decided { handle: Handle, attempt: Attempt, decision: Decision },
    Told { handle: Handle, terms: Result<Terms, TempFail>, took: Duration },
}

impl Answer {
    fn tell(
        self,
        session: &mut auth::Session,
        engine: &Engine,
        now: Instant,
        wire: &mut Wire,
    ) -> Result<(), Close> {
        match self {
            Self::Decided { handle, attempt, decision } => {
                let challenge = |name: &[u8]| engine.challenge_of(name);
                session.decided(handle, attempt, decision, challenge, now, &mut wire.out)
            }
            Self::Told { handle, terms, took } => session.told(handle, terms, took, now, &mut wire.out),
        }
    }
}

async fn judge(engine: Arc<Engine>, handle: Handle, attempt: Attempt, arrived: Instant) -> Answer {
    let decision = judged(&engine, &attempt, arrived).await;
    Answer::Decided { handle, attempt, decision }
}

/// Judges a login for as long as peers wait, with all that goes with it. `arrived` is when the question was read.
pub(super) async fn judged(engine: &Arc<Engine>, attempt: &Attempt, arrived: Instant) -> Decision {
    let judged = bounded(engine, engine.judge(attempt, Now::read())).await;
    let (decision, recollection) =
        judged.unwrap_or_else(|why| (Decision::Refuse(Refusal::TempFail(why)), None));
    engine.note_use(attempt, &decision);
    observe::decided(attempt, &decision, recollection.map(Recollection::as_str), arrived.elapsed());
    if recollection == Some(Recollection::Hit { refresh: true }) {
        attempt.again().into_iter().for_each(|again| refresh(engine, again));
    }
    decision
}

async fn seek(
    engine: Arc<Engine>,
    handle: Handle,
    sought: Sought,
    service: Box<str>,
    arrived: Instant,
) -> Answer {
    let terms = bounded(&engine, engine.terms(&sought, &service)).await;
    Answer::Told { handle, terms: terms.and_then(|terms| terms), took: arrived.elapsed() }
}

/// Has the directories asked about a login once more, before memory does not know about it any longer.
fn refresh(engine: &Arc<Engine>, attempt: Attempt) {
    let engine = Arc::clone(engine);
    tokio::spawn(async move { bounded(&engine, engine.refresh(&attempt)).await });
}

/// Lets an engine work for as long as peers wait. A driver that panics must cost the request that it was asked about, not
/// the others of this connection.
async fn bounded<T>(engine: &Engine, work: impl Future<Output = T>) -> Result<T, TempFail> {
    let work = pin!(AssertUnwindSafe(work).catch_unwind());
    match within(engine.deadline(), work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(_panic)) => Err(TempFail::Panicked),
        Err(_elapsed) => Err(TempFail::Deadline),
    }
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
    let mut answers = Answers::new();
    let mut asked = Vec::new();
    let (mut next, mut turn) = (Go::On, 0);
    let mut stopping = false;
    let mut stopped = pin!(stop.cancelled());
    let why = loop {
        if answers.flush(&mut wire).await.is_err() || (wire.ended() && next == Go::On && answers.is_empty()) {
            break None;
        }
        if stopping {
            wire.stop_reading();
        }
        if next == Go::Pause {
            turn = 0;
            yield_now().await;
        }
        tokio::select! {
            () = std::future::ready(()), if next == Go::Pause || answers.any_ready() => {}
            read = wire.read(), if next == Go::On && !wire.ended() => if read.is_err() { break None },
            () = answers.wait() => {}
            () = &mut stopped, if !stopping => stopping = true,
        }
        let now = Instant::now();
        let ended = wire.each_message(|line, out| {
            turn += 1;
            let question = session.line(line, now, out)?;
            // What comes behind these may depend on what they do.
            let alone =
                matches!(question, Some(master::Question::List { .. } | master::Question::Flush { .. }));
            asked.extend(question);
            let goes_on = !alone && asked.len() < BATCH && out.len() < HIGH_WATER && turn < TURN;
            Ok(if goes_on { Go::On } else { Go::Pause })
        });
        let closed = ended.err();
        next = ended.unwrap_or(Go::On);
        for question in asked.drain(..) {
            match question {
                master::Question::User { id, .. } | master::Question::Pass { id, .. }
                    if answers.len() >= master::MAX_LOOKUPS =>
                {
                    session.busy(id, &mut wire.out);
                }
                lookup @ (master::Question::User { .. } | master::Question::Pass { .. }) => {
                    answers.ask(look_up(engines.load_full(), lookup));
                }
                master::Question::List { id, mask } => {
                    let engine = engines.load_full();
                    if list(&engine, &session, id, &mask, &mut wire, &mut answers).await.is_err() {
                        return;
                    }
                }
                master::Question::Flush { id, users } => {
                    let engine = engines.load_full();
                    answers.beside(engine.chain().reload()).await;
                    let whom: Vec<_> = users.iter().map(|user| engine.whom(user)).collect();
                    let forgotten = u64::try_from(engine.flush_all_of(&whom)).unwrap_or(u64::MAX);
                    session.flushed(id, forgotten, &mut wire.out);
                }
            }
        }
        for answer in answers.take() {
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
            let looked = async {
                match &question {
                    master::Question::Pass { name, service, hop, .. } => {
                        engine.preview(name, service, hop, SystemTime::now()).await
                    }
                    master::Question::User { name, service, .. } => engine.lookup(name, service).await,
                    master::Question::List { .. } | master::Question::Flush { .. } => Ok(None),
                }
            };
            let looked = pin!(AssertUnwindSafe(looked).catch_unwind());
            let found = match within(engine.deadline(), looked).await {
                Ok(Ok(found)) => found,
                Ok(Err(_panic)) => Err(Unavailable::new("-", "the lookup panicked")),
                Err(_elapsed) => Err(Unavailable::new("-", "no answer within the deadline")),
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
    answers: &mut Answers<Found>,
) -> io::Result<()> {
    let mut names = engine.chain().list();
    let mut failed = false;
    while let Some(name) = answers.beside(names.recv()).await {
        match name {
            Ok(name) if mask.fits(name.as_str()) => session.listed(id, &name, &mut wire.out),
            Ok(_) => {}
            Err(unavailable) => {
                tracing::error!(%unavailable, "a listing is not complete");
                failed = true;
            }
        }
        if wire.out.len() >= LIST_CHUNK {
            answers.flush(wire).await?;
        }
    }
    session.list_done(id, failed, &mut wire.out);
    answers.flush(wire).await
}

/// The last words, and a line in the log if the end was not an ordinary one.
pub(super) async fn farewell<C: Cut>(mut wire: Wire<C>, why: Option<Close>) {
    let _ = timeout(WRITE_TIMEOUT, wire.flush()).await;
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
