//! One connection of saslauthd's protocol: whether a password is right, once, for Postfix with Cyrus SASL, Cyrus IMAP and
//! others. S1 to S5 are rules of [`super::rules`].

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use gatepost_protocol::saslauthd::{Reply, Request, remote};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    delay::told_at,
    driver::{Engines, farewell, judged},
    shared::{Offer, Shared},
    wire::{Cut, Go, Wire},
    words,
};
use crate::{
    decision::{Attempt, Decision, Hop, Verified},
    listener::Stream,
    mechanism::{Claim, Credential, Mechanism},
};

/// How long a request may take to arrive. The library sends it with one call.
const READ: Duration = Duration::from_secs(5);

/// Cuts a request off, together with what has come along behind it: there is nothing else to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests;

impl Cut for Requests {
    fn cut<'a>(&self, _searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        let whole = Request::length(arrived)?.is_some();
        Ok(whole.then(|| std::mem::take(arrived)))
    }
}

/// Serves one connection to its end.
pub async fn serve(
    stream: Stream,
    shared: Arc<Shared>,
    offer: Arc<Offer>,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    let mut wire = Wire::new(stream, Requests);
    let why = match timeout(READ, request(&mut wire, &stop)).await {
        Ok(Ok(Some(attempt))) => {
            let arrived = Instant::now();
            let decision = judged(&engines.load_full(), &attempt, arrived).await;
            // Nobody needs the password while a refusal waits to be told.
            drop(attempt);
            answer(&mut wire, &decision, arrived, &shared, &offer, &stop).await
        }
        Ok(Ok(None)) => None,
        Ok(Err(close)) => Some(close),
        Err(_elapsed) => {
            tracing::debug!("a connection of saslauthd's protocol asked nothing in time");
            None
        }
    };
    farewell(wire, why).await;
}

/// Waits for the request. `None`: there is none, or not all of one.
async fn request(wire: &mut Wire<Requests>, stop: &CancellationToken) -> Result<Option<Attempt>, Close> {
    let mut stopping = false;
    let mut stopped = pin!(stop.cancelled());
    loop {
        let mut asked = None;
        wire.each_message(|message, _| {
            asked = attempt(message)?;
            Ok(Go::Pause)
        })?;
        if asked.is_some() || wire.ended() {
            return Ok(asked);
        }
        tokio::select! {
            biased;
            read = wire.read() => if read.is_err() { return Ok(None) },
            () = &mut stopped, if !stopping => {
                stopping = true;
                wire.stop_reading();
            }
        }
    }
}

/// What is asked, of all that has arrived. `None`: it is not all there.
pub(super) fn attempt(arrived: &[u8]) -> Result<Option<Attempt>, Close> {
    let mut rest = arrived;
    let Some(request) = Request::cut(&mut rest)? else { return Ok(None) };
    let authcid = request.user().into_owned();
    let claim = Claim { authzid: None, authcid, credential: Credential::Password(request.password) };
    Ok(Some(Attempt {
        claim,
        // S3: or LOGIN, or none at all. The peer knows, and it makes no difference to the password.
        mechanism: Mechanism::Plain,
        service: words::lossy(request.service, words::SERVICE),
        remote: Some(remote(rest).unwrap_or(Attempt::UNKNOWN_REMOTE)),
        session: None,
        hop: Hop::default(),
    }))
}

/// Tells what came of it, or closes the connection instead.
async fn answer(
    wire: &mut Wire<Requests>,
    decision: &Decision,
    arrived: Instant,
    shared: &Shared,
    offer: &Offer,
    stop: &CancellationToken,
) -> Option<Close> {
    let Some(reply) = reply(decision) else { return Some(Close::TempFail) };
    if reply == Reply::No && !offer.failure_delay.is_zero() {
        let due = told_at(shared.started, arrived + offer.failure_delay, Instant::now());
        // A stopping daemon tells it at once.
        let _ = stop.run_until_cancelled(sleep_until(due.into())).await;
    }
    reply.encode(&mut wire.out);
    None
}

/// What a decision is told as. `None`: the connection is closed without a reply (S2).
pub(super) fn reply(decision: &Decision) -> Option<Reply> {
    match decision {
        Decision::Accept(verified) => Some(accept(verified)),
        Decision::Refuse(refusal) if refusal.is_temporary() => None,
        Decision::Refuse(_) => Some(Reply::No),
    }
}

/// S4: there is no word for somebody who is who they say they are and may not log in.
fn accept(verified: &Verified) -> Reply {
    if verified.account().nologin.is_some() { Reply::No } else { Reply::Ok }
}

#[cfg(test)]
mod tests;
