//! One connection of Postfix's policy protocol: what is to become of a mail.
//!
//! smtpd asks one thing at a time, and again where the answer does not reach it. Whatever is not known to a rule is its own
//! affair; what cannot be found out is 451, so that nothing gets through because of it and nobody is refused for good.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use gatepost_protocol::{
    error::Malformed,
    postfix::policy::{Action, Blocks, Kind, REQUEST, Request},
};
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    answers::within,
    driver::Engines,
    serial::{self, Serial},
    wire::Cut,
};
use crate::{
    decision::{Engine, Verdict},
    directory::Unavailable,
    listener::Stream,
    observe,
};

impl Cut for Blocks {
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        Ok(self.cut_behind(searched, arrived)?)
    }
}

impl Serial for Blocks {
    type Asked = Box<[u8]>;

    /// A rule takes longer than a look at a table, and smtpd asks one thing at a time.
    const BATCH: usize = 16;

    fn read(&self, block: &[u8]) -> Result<Box<[u8]>, Close> {
        Request::parse(block)?;
        Ok(block.into())
    }

    async fn answer(&self, block: Box<[u8]>, engine: &Engine, out: &mut BytesMut) {
        // It was a request a moment ago, and is one still.
        if let Ok(action) = answer(&block, engine).await {
            action.encode(out);
        }
    }
}

/// Serves one connection to its end.
pub async fn serve(stream: Stream, engines: Arc<Engines>, stop: CancellationToken) {
    serial::serve(stream, Blocks::new(REQUEST), engines, stop).await;
}

async fn answer(block: &[u8], engine: &Engine) -> Result<Action<'static>, Malformed> {
    let request = Request::parse(block)?;
    if is_for_others(&request) {
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

/// The same without waiting: what takes some is unavailable.
pub(super) fn answer_now(block: &[u8], engine: &Engine, now: Instant) -> Result<Action<'static>, Malformed> {
    let request = Request::parse(block)?;
    if is_for_others(&request) {
        return Ok(Action::Dunno);
    }
    let verdict = engine.police(&request, false, now).now_or_never();
    let waiting = || Verdict::unavailable(Unavailable::new("-", "it takes waiting"));
    Ok(verdict.unwrap_or_else(waiting).action)
}

/// Whether it is of a kind that no rule is about.
fn is_for_others(request: &Request<'_>) -> bool {
    let Kind::Other(kind) = request.request else { return false };
    observe::no_such_request(kind);
    true
}

#[cfg(test)]
mod tests;
