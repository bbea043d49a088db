//! One connection of Postfix's socketmap protocol: tables of who there is.
//!
//! Requests are answered in their order, one after the other, as Postfix sends them. Its processes keep a connection for some
//! seconds only, so there is nothing about one that takes long to begin. What nobody could tell is `TEMP`, and never
//! `NOTFOUND`: mail is deferred then, and nobody is called unknown.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use gatepost_protocol::postfix::{
    netstring::Netstrings,
    socketmap::{REQUEST, Reply, Request},
};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::{
    answers::{WRITE_TIMEOUT, within},
    driver::{BATCH, Engines, HIGH_WATER, farewell},
    wire::{Go, Wire},
};
use crate::{
    decision::{Answer, Asker, Engine},
    directory::Unavailable,
    listener::Stream,
    observe,
};

/// What a map is asked.
struct Asked {
    name: Box<[u8]>,
    key: Box<[u8]>,
}

/// What comes of it. `None`: nobody can tell.
struct Told(Option<Answer>);

/// Serves one connection to its end.
///
/// `asker`: who is at the other end.
pub async fn serve(stream: Stream, asker: Asker, engines: Arc<Engines>, stop: CancellationToken) {
    let mut wire = Wire::new(stream, Netstrings::new(REQUEST));
    let mut asked = Vec::new();
    let mut next = Go::On;
    let mut stopping = false;
    let mut stopped = pin!(stop.cancelled());
    let why = loop {
        if flush(&mut wire).await.is_none() || (wire.ended() && next == Go::On) {
            break None;
        }
        if stopping {
            wire.stop_reading();
        }
        if next == Go::Pause {
            yield_now().await;
        }
        tokio::select! {
            biased;
            () = std::future::ready(()), if next == Go::Pause => {}
            read = wire.read(), if next == Go::On && !wire.ended() => if read.is_err() { break None },
            () = &mut stopped, if !stopping => stopping = true,
        }
        let ended = wire.each_message(|payload, _| {
            asked.push(Asked::of(Request::parse(payload)?));
            Ok(if asked.len() < BATCH { Go::On } else { Go::Pause })
        });
        let engine = engines.load_full();
        let mut unread = false;
        for request in asked.drain(..) {
            request.answer(&engine, asker).await.as_reply().encode(&mut wire.out);
            unread = wire.out.len() > HIGH_WATER && flush(&mut wire).await.is_none();
            if unread {
                break;
            }
        }
        match ended {
            Ok(_) if unread => break None,
            Ok(go) => next = go,
            Err(close) => break Some(close),
        }
    };
    farewell(wire, why).await;
}

/// `None`: nobody reads.
async fn flush(wire: &mut Wire<Netstrings>) -> Option<()> {
    if wire.is_flushed() {
        return Some(());
    }
    let flushed = within(WRITE_TIMEOUT, pin!(wire.flush())).await;
    flushed.ok()?.ok()
}

impl Asked {
    fn of(Request { name, key }: Request<'_>) -> Self {
        Self { name: name.into(), key: key.into() }
    }

    async fn answer(&self, engine: &Engine, asker: Asker) -> Told {
        let started = Instant::now();
        let looked = pin!(AssertUnwindSafe(engine.map(&self.name, &self.key, asker)).catch_unwind());
        let found = match within(engine.deadline(), looked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_panic)) => Err(Unavailable::new("-", "the lookup panicked")),
            Err(_elapsed) => Err(Unavailable::new("-", "no answer within the deadline")),
        };
        observe::mapped(&self.name, &self.key, &found, started.elapsed());
        Told(found.ok())
    }
}

impl Told {
    fn as_reply(&self) -> Reply<'_> {
        match &self.0 {
            Some(Answer::Found(value)) => Reply::Ok(value.as_str().as_bytes()),
            Some(Answer::NotThere) => Reply::NotFound,
            // Who it is that does not answer is for the log of gatepost.
            None => Reply::Temp(b"the directory does not answer"),
            Some(Answer::NoSuchMap) => Reply::Perm(b"there is no such map"),
            Some(Answer::NotForYou) => Reply::Perm(b"the map is for others"),
        }
    }
}
