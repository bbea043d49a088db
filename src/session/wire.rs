//! A connection's bytes: what has arrived, what is to be written, and the socket between them and the peer.

use std::io;

use bytes::BytesMut;
use gatepost_protocol::frame::Lines;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Close,
    inbox::{Inbox, wipe},
};
use crate::listener::Stream;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    inbox: Inbox,
    /// What is to be written with the next [`Self::flush`].
    pub(super) out: BytesMut,
    /// So many bytes of `out` are written already.
    written: usize,
    lines: Lines,
    /// So many bytes of what has arrived are known to hold no line end.
    searched: usize,
    ended: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream, lines: Lines) -> Self {
        let out = BytesMut::with_capacity(1024);
        Self { stream, inbox: Inbox::new(), out, written: 0, lines, searched: 0, ended: false }
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

    /// Hands every complete line to `take`, in order, until one of them ends the connection or has the next one wait.
    pub(super) fn each_line(
        &mut self,
        mut take: impl FnMut(&[u8], &mut BytesMut) -> Result<Go, Close>,
    ) -> Result<Go, Close> {
        let mut rest = self.inbox.arrived();
        let before = rest.len();
        let mut searched = std::mem::take(&mut self.searched);
        let ended = loop {
            match self.lines.cut_behind(std::mem::take(&mut searched), &mut rest) {
                Ok(Some(line)) => match take(line, &mut self.out) {
                    Ok(Go::On) => {}
                    Ok(Go::Pause) => break Ok(Go::Pause),
                    Err(close) => break Err(close),
                },
                Ok(None) => {
                    self.searched = rest.len();
                    break Ok(Go::On);
                }
                Err(too_long) => break Err(too_long.into()),
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

/// Whether the next line may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// It may.
    On,
    /// It has to wait until what was read so far is answered.
    Pause,
}
