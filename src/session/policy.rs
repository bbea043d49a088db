//! One connection of Postfix's policy protocol: what is to become of a mail.
//!
//! smtpd asks one thing at a time, and again where the answer does not reach it. Whatever is not known to a rule is its own
//! affair; what cannot be found out is 451, so that nothing gets through because of it and nobody is refused for good.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use futures_util::FutureExt as _;
use gatepost_protocol::{
    error::Malformed,
    postfix::policy::{Action, Blocks, Kind, REQUEST, Request},
};
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    answers::{WRITE_TIMEOUT, within},
    driver::{Engines, HIGH_WATER, farewell},
    wire::{Cut, Go, Wire},
};
use crate::{
    decision::{Engine, Verdict},
    directory::Unavailable,
    listener::Stream,
    observe,
};

/// How many questions are answered before the other connections of the same thread have their turn. smtpd has one at a time.
const BATCH: usize = 16;

impl Cut for Blocks {
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        Ok(self.cut_behind(searched, arrived)?)
    }
}

/// Serves one connection to its end.
pub async fn serve(stream: Stream, engines: Arc<Engines>, stop: CancellationToken) {
    let mut wire = Wire::new(stream, Blocks::new(REQUEST));
    let mut asked: Vec<Box<[u8]>> = Vec::new();
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
        let ended = wire.each_message(|block, _| {
            // Whoever says no request is not listened to any further, but for what came before.
            Request::parse(block)?;
            asked.push(block.into());
            Ok(if asked.len() < BATCH { Go::On } else { Go::Pause })
        });
        let engine = engines.load_full();
        let mut unread = false;
        for block in asked.drain(..) {
            match answer(&block, &engine).await {
                Ok(action) => action.encode(&mut wire.out),
                // It was none a moment ago either.
                Err(_) => continue,
            }
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
async fn flush(wire: &mut Wire<Blocks>) -> Option<()> {
    if wire.is_flushed() {
        return Some(());
    }
    let flushed = within(WRITE_TIMEOUT, pin!(wire.flush())).await;
    flushed.ok()?.ok()
}

async fn answer(block: &[u8], engine: &Engine) -> Result<Action<'static>, Malformed> {
    let request = Request::parse(block)?;
    if let Kind::Other(kind) = request.request {
        observe::no_such_request(kind);
        return Ok(Action::Dunno);
    }
    let started = Instant::now();
    let judged = pin!(AssertUnwindSafe(engine.police(&request, false, started)).catch_unwind());
    let verdict = match within(engine.deadline(), judged).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_panic)) => Verdict::unavailable(Unavailable::new("-", "a rule panicked")),
        Err(_elapsed) => Verdict::unavailable(Unavailable::new("-", "no answer within the deadline")),
    };
    observe::policed(&request, &verdict, started.elapsed());
    Ok(verdict.action)
}
