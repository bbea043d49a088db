//! One connection of a protocol that looks keys up. What nobody could tell is a failure for now, and never "not there": mail
//! is deferred then, and nobody is called unknown.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Instant};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use gatepost_protocol::{
    error::Malformed,
    frame::Lines,
    postfix::{netstring::Netstrings, socketmap::REQUEST as SOCKETMAP, tcp_table::REQUEST as TCP_TABLE},
};
use tokio_util::sync::CancellationToken;

use super::{
    Close,
    answers::within,
    driver::{self, Engines},
    serial::{self, Serial},
    socketmap, tcp_table,
    wire::Cut,
};
use crate::{
    decision::{Answer, Asker, Engine},
    directory::{Mapped, Unavailable},
    listener::Stream,
    observe,
};

/// What is spoken on the connection.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// Socketmap: each request names its map.
    Socketmap,
    /// tcp_table: the listener has one map.
    TcpTable(Arc<str>),
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// What a map has under a key.
    Key { map: Arc<[u8]>, key: Box<[u8]> },
    /// Something that is not there, whatever the map.
    Nothing,
}

/// What comes of it.
#[derive(Debug)]
pub(super) enum Told {
    Found(Mapped),
    NotFound,
    Unavailable,
    NoSuchMap,
    NotForYou,
}

impl Told {
    /// To the peer. Who it is that does not answer is for the log of gatepost.
    pub(super) const UNAVAILABLE: &[u8] = b"the directory does not answer";
    pub(super) const NO_SUCH_MAP: &[u8] = b"there is no such map";
    pub(super) const NOT_FOR_YOU: &[u8] = b"the map is for others";
}

impl Protocol {
    pub(super) fn read(&self, message: &[u8]) -> Result<Asked, Malformed> {
        match self {
            Self::Socketmap => socketmap::read(message),
            Self::TcpTable(map) => tcp_table::read(message, map),
        }
    }

    pub(super) fn tell(&self, told: &Told, out: &mut BytesMut) {
        match self {
            Self::Socketmap => socketmap::tell(told, out),
            Self::TcpTable(_) => tcp_table::tell(told, out),
        }
    }
}

impl Cut for Protocol {
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        match self {
            Self::Socketmap => Cut::cut(&Netstrings::new(SOCKETMAP), searched, arrived),
            Self::TcpTable(_) => Cut::cut(&Lines::new(TCP_TABLE), searched, arrived),
        }
    }
}

/// The same with who is at the other end.
#[derive(Debug, Clone)]
struct Connection {
    protocol: Protocol,
    asker: Asker,
}

impl Cut for Connection {
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        self.protocol.cut(searched, arrived)
    }
}

impl Serial for Connection {
    type Asked = Asked;

    const BATCH: usize = driver::BATCH;

    fn read(&self, message: &[u8]) -> Result<Asked, Close> {
        Ok(self.protocol.read(message)?)
    }

    async fn answer(&self, asked: Asked, engine: &Engine, out: &mut BytesMut) {
        self.protocol.tell(&asked.answer(engine, self.asker).await, out);
    }
}

/// Serves one connection to its end. `asker`: who is at the other end.
pub async fn serve(
    stream: Stream,
    protocol: Protocol,
    asker: Asker,
    engines: Arc<Engines>,
    stop: CancellationToken,
) {
    serial::serve(stream, Connection { protocol, asker }, engines, stop).await;
}

impl Asked {
    /// Asks the engine for as long as peers wait.
    async fn answer(&self, engine: &Engine, asker: Asker) -> Told {
        let Self::Key { map, key } = self else { return Told::NotFound };
        let started = Instant::now();
        let looked = pin!(AssertUnwindSafe(engine.map(map, key, asker)).catch_unwind());
        let found = match within(engine.deadline(), looked).await {
            Ok(Ok(found)) => found,
            Ok(Err(_panic)) => Err(Unavailable::new("-", "the lookup panicked")),
            Err(_elapsed) => Err(Unavailable::new("-", "no answer within the deadline")),
        };
        observe::mapped(map, key, &found, started.elapsed());
        found.into()
    }

    /// The same without waiting: what takes some is unavailable.
    pub(super) fn answer_now(&self, engine: &Engine, asker: Asker) -> Told {
        let Self::Key { map, key } = self else { return Told::NotFound };
        engine.map(map, key, asker).now_or_never().map_or(Told::Unavailable, Told::from)
    }
}

impl From<Result<Answer, Unavailable>> for Told {
    fn from(found: Result<Answer, Unavailable>) -> Self {
        match found {
            Ok(Answer::Found(value)) => Self::Found(value),
            Ok(Answer::NotThere) => Self::NotFound,
            Ok(Answer::NoSuchMap) => Self::NoSuchMap,
            Ok(Answer::NotForYou) => Self::NotForYou,
            Err(_) => Self::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests;
