//! One connection: the handshake, and then a fixed number of requests in flight.

use std::{
    cell::Cell,
    future::poll_fn,
    io::{self, Write as _},
    pin::Pin,
    process,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf as _, BufMut as _, BytesMut};
use gatepost_protocol::{
    dovecot::{RequestId, Version, auth::Command, reply::Reply},
    frame::{AUTH_LINE, Lines},
};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::{Draw, Phase, Target, Turn, alarm::Alarm, load};
use crate::listener::Stream;

/// What is announced: Dovecot 2.3's. All servers answer it alike.
const VERSION: Version = Version::new(1, 2);

/// One connection, greeted and ready.
pub(super) struct Connection {
    stream: Stream,
    received: BytesMut,
    /// What is to be written.
    out: BytesMut,
    /// As many as there may be requests in flight.
    places: Vec<Place>,
    /// The indices of those that are free.
    free: Vec<usize>,
}

/// Room for one request in flight. Its ids are `index + 1`, that plus the number of places, and so on, so that an id
/// says where it belongs and none comes again for a long time.
#[derive(Clone, Copy)]
struct Place {
    id: u32,
    asked: Option<Asked>,
}

/// What a connection can send after what it is sending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// There is no room for it before the next answer.
    Full,
    /// There is something then.
    At(Instant),
    Nothing,
}

#[derive(Clone, Copy)]
struct Asked {
    kind: load::Kind,
    due: Instant,
}

impl Connection {
    /// Connects and says who it is. `depth` requests will be in flight.
    ///
    /// VERSION and CPID go out at once: Dovecot 2.4 tells its mechanisms only to who has named a version, 2.3 and
    /// gatepost tell them unasked.
    pub(super) async fn open(
        target: &Target,
        mechanism: load::Mechanism,
        number: u32,
        depth: u32,
    ) -> io::Result<Self> {
        let stream = match target {
            Target::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        let mut out = BytesMut::with_capacity(4096);
        Command::Version(VERSION).encode(&mut out);
        Command::Cpid(cpid(number)).encode(&mut out);
        let places: Vec<_> = (0..depth).map(|index| Place { id: index + 1, asked: None }).collect();
        let free = (0..places.len()).rev().collect();
        let mut connection = Self { stream, received: BytesMut::with_capacity(16_384), out, places, free };
        poll_fn(|cx| connection.poll_greeting(cx, mechanism)).await?;
        Ok(connection)
    }

    /// Sends what `phase` has to send, until it has no more and everything is answered.
    pub(super) async fn run(&mut self, phase: &Phase<'_>, mut turn: Turn) -> io::Result<()> {
        let mut alarm = phase.pace.is_some().then(Alarm::new).transpose()?;
        poll_fn(|cx| self.poll(cx, phase, &mut turn, alarm.as_mut())).await
    }

    fn poll_greeting(&mut self, cx: &mut Context<'_>, mechanism: load::Mechanism) -> Poll<io::Result<()>> {
        let mut offered = false;
        loop {
            self.poll_write(cx)?;
            ready!(self.poll_read(cx))?;
            let mut rest = &self.received[..];
            // `received` stays as it is until the last line is there: a greeting is read from its beginning.
            while let Some(line) = Lines::new(AUTH_LINE).cut(&mut rest).map_err(io::Error::other)? {
                match Reply::parse(line).map_err(broken)? {
                    Reply::Mech { name, .. } => offered |= name == mechanism.name(),
                    Reply::Done if offered => {
                        let size = self.received.len() - rest.len();
                        self.received.advance(size);
                        return Poll::Ready(Ok(()));
                    }
                    Reply::Done => {
                        let why = format!("the server does not offer {}", mechanism.name());
                        return Poll::Ready(Err(broken(why)));
                    }
                    Reply::Version(_) | Reply::Spid(_) | Reply::Cuid(_) | Reply::Cookie(_) => {}
                    Reply::Cont { .. }
                    | Reply::OutOfBand { .. }
                    | Reply::Ok { .. }
                    | Reply::Fail { .. }
                    | Reply::Cancelled(_) => {
                        return Poll::Ready(Err(broken("an answer before there was a request")));
                    }
                }
            }
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        phase: &Phase<'_>,
        turn: &mut Turn,
        mut alarm: Option<&mut Alarm>,
    ) -> Poll<io::Result<()>> {
        loop {
            // One look at the clock for all that goes out together, and one for all that came in together.
            let next = self.ask(phase, turn, Instant::now());
            self.poll_write(cx)?;
            if let (Next::At(at), Some(alarm)) = (next, alarm.as_deref_mut())
                && alarm.poll_until(cx, at)?.is_ready()
            {
                continue;
            }
            if next == Next::Nothing && self.free.len() == self.places.len() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_read(cx))?;
            self.hear(phase, Instant::now())?;
        }
    }

    /// Waits for the answers to what is in flight.
    fn poll_answers(&mut self, cx: &mut Context<'_>, phase: &Phase<'_>) -> Poll<io::Result<()>> {
        while self.free.len() < self.places.len() {
            self.poll_write(cx)?;
            ready!(self.poll_read(cx))?;
            self.hear(phase, Instant::now())?;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what can be written now; the rest is for the next time. Never waits, so that a server that waits for
    /// its replies to be read is not waited for.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.out.is_empty() {
            match poll_write_buf(Pin::new(&mut self.stream), cx, &mut self.out) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => written.map(drop)?,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let count = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.received))?;
        let end = || io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection");
        Poll::Ready(if count == 0 { Err(end()) } else { Ok(()) })
    }

    /// Fills the places that are free.
    fn ask(&mut self, phase: &Phase<'_>, turn: &mut Turn, now: Instant) -> Next {
        while !self.free.is_empty() {
            match phase.draw(turn, now) {
                Draw::Now { request, due } => self.put(&request, due),
                Draw::Wait(at) => return Next::At(at),
                Draw::End => return Next::Nothing,
            }
        }
        Next::Full
    }

    /// Puts a request into a free place, and with what is to be written.
    fn put(&mut self, request: &load::Request<'_>, due: Instant) {
        let Some(place) = self.free.pop().and_then(|free| self.places.get_mut(free)) else { return };
        place.asked = Some(Asked { kind: request.kind, due });
        self.out.put_slice(b"AUTH\t");
        // Writing to a buffer that grows cannot fail.
        let _ = write!((&mut self.out).writer(), "{}", place.id);
        self.out.put_slice(&request.tail);
    }

    /// Takes all replies that are complete.
    fn hear(&mut self, phase: &Phase<'_>, now: Instant) -> io::Result<()> {
        let depth = self.places.len();
        let mut tally = phase.tally.borrow_mut();
        let mut rest = &self.received[..];
        while let Some(line) = Lines::new(AUTH_LINE).cut(&mut rest).map_err(io::Error::other)? {
            let reply = Reply::parse(line).map_err(broken)?;
            if matches!(reply, Reply::Cont { .. }) {
                // To whom takes it along with the refusal, it is told there.
                return Err(broken("a token was not taken"));
            }
            let id = answered(&reply).ok_or_else(|| broken("a reply that nobody asked for"))?.get();
            let index = usize::try_from(id - 1).map_err(broken)? % depth;
            let asked = self.places.get_mut(index).filter(|place| place.id == id).and_then(|place| {
                // Back to the first id rather than past the last one.
                let (index, depth) = (u32::try_from(index).ok()?, u32::try_from(depth).ok()?);
                place.id = id.checked_add(depth).unwrap_or(index + 1);
                place.asked.take()
            });
            let asked = asked.ok_or_else(|| broken("an answer to a request that was not asked"))?;
            tally.note(&reply, asked.kind, now.duration_since(asked.due));
            self.free.push(index);
        }
        let size = self.received.len() - rest.len();
        self.received.advance(size);
        Ok(())
    }
}

/// Sends each request that `phase` has over a connection of its own, until it has no more. `opened` gives each its number.
pub(super) async fn one_each(
    phase: &Phase<'_>,
    mut turn: Turn,
    target: &Target,
    opened: &Cell<u32>,
) -> io::Result<()> {
    let mut alarm = phase.pace.is_some().then(Alarm::new).transpose()?;
    loop {
        match (phase.draw(&mut turn, Instant::now()), alarm.as_mut()) {
            (Draw::Now { request, due }, _) => {
                let number = opened.get();
                opened.set(number.wrapping_add(1));
                let mut connection = Connection::open(target, phase.load.mechanism(), number, 1).await?;
                connection.put(&request, due);
                poll_fn(|cx| connection.poll_answers(cx, phase)).await?;
            }
            (Draw::Wait(at), Some(alarm)) => poll_fn(|cx| alarm.poll_until(cx, at)).await?,
            (Draw::Wait(_), None) | (Draw::End, _) => return Ok(()),
        }
    }
}

/// The request that a reply ends.
const fn answered(reply: &Reply<'_>) -> Option<RequestId> {
    match reply {
        Reply::Ok { id, .. } | Reply::Fail { id, .. } => Some(*id),
        // What is all in the initial response leads to none of these.
        Reply::Cont { .. } | Reply::OutOfBand { .. } | Reply::Cancelled(_) => None,
        Reply::Version(_)
        | Reply::Mech { .. }
        | Reply::Spid(_)
        | Reply::Cuid(_)
        | Reply::Cookie(_)
        | Reply::Done => None,
    }
}

/// A `CPID` of its own for each connection. They are above all pids that there can be (2^22 at most), so that none is
/// taken for that of a login process when the server is in use.
fn cpid(number: u32) -> u32 {
    let runs = process::id() & 0x7fff;
    1 << 31 | runs << 16 | number & 0xffff
}

/// The server does not speak the protocol.
fn broken(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
