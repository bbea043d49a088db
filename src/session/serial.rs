//! One connection with a question, its answer, and the next question, as Postfix asks.
//!
//! Questions are answered in their order, one after the other. Postfix's processes keep a connection for some seconds or minutes
//! only, so there is nothing about one that takes long to begin.

use std::{pin::pin, sync::Arc};

use bytes::BytesMut;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    answers::{WRITE_TIMEOUT, within},
    driver::{Engines, HIGH_WATER, farewell},
    wire::{Cut, Go, Wire},
};
use crate::{decision::Engine, listener::Stream};

/// What is spoken on such a connection.
pub(super) trait Serial: Cut + Clone {
    /// A question.
    type Asked;

    /// How many questions are answered before the other connections of the same thread have their turn.
    const BATCH: usize;

    /// Reads a message. With one that is no question the connection ends, behind the answers to those before it.
    fn read(&self, message: &[u8]) -> Result<Self::Asked, Close>;

    /// Answers a question.
    fn answer(
        &self,
        asked: Self::Asked,
        engine: &Engine,
        out: &mut BytesMut,
    ) -> impl Future<Output = ()> + Send;
}

/// Serves one connection to its end.
pub(super) async fn serve<S: Serial>(
    stream: Stream,
    serial: S,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, serial.clone());
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
        let ended = wire.each_message(|message, _| {
            asked.push(serial.read(message)?);
            Ok(if asked.len() < S::BATCH { Go::On } else { Go::Pause })
        });
        let engine = engines.load_full();
        let mut unread = false;
        for question in asked.drain(..) {
            serial.answer(question, &engine, &mut wire.out).await;
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
async fn flush<C: Cut>(wire: &mut Wire<C>) -> Option<()> {
    if wire.is_flushed() {
        return Some(());
    }
    let flushed = within(WRITE_TIMEOUT, pin!(wire.flush())).await;
    flushed.ok()?.ok()
}
