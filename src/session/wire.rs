//! A connection's bytes: what has arrived, what is to be written, and the socket between them and the peer.

use std::io;

use bytes::BytesMut;
use gatepost_protocol::{frame::Lines, postfix::netstring::Netstrings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Close,
    inbox::{Inbox, wipe},
};
use crate::listener::Stream;

/// Cuts messages off what has arrived.
pub(super) trait Cut {
    /// Takes the first one off `arrived`. `None`, and `arrived` as it was, while it is not all there; `searched` bytes were
    /// there already when that was last said.
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close>;
}

impl Cut for Lines {
    #[inline]
    fn cut<'a>(&self, searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        Ok(self.cut_behind(searched, arrived)?)
    }
}

impl Cut for Netstrings {
    fn cut<'a>(&self, _searched: usize, arrived: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Close> {
        Ok(Self::cut(self, arrived)?)
    }
}

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Wire<C = Lines> {
    stream: Stream,
    inbox: Inbox,
    /// What is to be written with the next [`Self::flush`].
    pub(super) out: BytesMut,
    /// So many bytes of `out` are written already.
    written: usize,
    cutter: C,
    /// So many bytes of what has arrived are known to be no whole message.
    searched: usize,
    ended: bool,
}

impl<C: Cut> Wire<C> {
    pub(super) fn new(stream: Stream, cutter: C) -> Self {
        let out = BytesMut::with_capacity(1024);
        Self { stream, inbox: Inbox::new(), out, written: 0, cutter, searched: 0, ended: false }
    }

    /// Waits for bytes. `false` at the end of the stream. Nothing is lost if this is cancelled.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        let count = self.stream.read_buf(self.inbox.with_room()).await?;
        self.ended |= count == 0;
        Ok(count != 0)
    }

    /// Whether the peer will send nothing more.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// Hands every complete message to `take`, in order, until one of them ends the connection or has the next one wait.
    pub(super) fn each_message(
        &mut self,
        mut take: impl FnMut(&[u8], &mut BytesMut) -> Result<Go, Close>,
    ) -> Result<Go, Close> {
        let mut rest = self.inbox.arrived();
        let before = rest.len();
        let mut searched = std::mem::take(&mut self.searched);
        let ended = loop {
            match self.cutter.cut(std::mem::take(&mut searched), &mut rest) {
                Ok(Some(line)) => match take(line, &mut self.out) {
                    Ok(Go::On) => {}
                    Ok(Go::Pause) => break Ok(Go::Pause),
                    Err(close) => break Err(close),
                },
                Ok(None) => {
                    self.searched = rest.len();
                    break Ok(Go::On);
                }
                Err(close) => break Err(close),
            }
        };
        let consumed = before - rest.len();
        self.inbox.consume(consumed);
        ended
    }

    /// Whether nothing is to be written.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes everything that is to be written, with one system call unless the peer is slow. Nothing is lost or
    /// said twice if this is cancelled.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.out.get(self.written..) {
            match self.stream.write(rest).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => self.written += count,
            }
        }
        // Replies may hold a password (`pass=` of a proxied login).
        wipe(&mut self.out);
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Takes nothing new from the peer. See [`Stream::stop_reading`].
    pub(super) fn stop_reading(&self) {
        // A peer that has hung up in the meantime is none to worry about.
        let _ = self.stream.stop_reading();
    }
}

/// Whether the next message may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// It may.
    On,
    /// It has to wait until what was read so far is answered.
    Pause,
}
