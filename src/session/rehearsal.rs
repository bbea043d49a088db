//! A connection without a socket: bytes in, bytes out, and every question answered on the spot.
//!
//! What [`super::driver`] does over time and in turn with others, this does at once and always in the same order.
//! The fuzz target of a whole session and the unit tests are written against it.

use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use futures_util::FutureExt as _;
use gatepost_protocol::{
    frame::{AUTH_LINE, Lines, MASTER_LINE},
    postfix::policy::{Blocks, REQUEST},
};

use super::{Close, auth, lookup, master, policy, saslauthd, wire::Cut as _};
use crate::{
    decision::{Asker, Decision, Engine, Refusal, TempFail},
    directory::Unavailable,
};

/// One connection of the auth-client protocol.
#[derive(Debug)]
pub struct Rehearsal<'e> {
    session: auth::Session,
    engine: &'e Engine,
    /// What has arrived of a line that has no end yet.
    held: Vec<u8>,
}

impl<'e> Rehearsal<'e> {
    /// A connection that was just accepted; its greeting goes to `out`.
    pub fn new(session: auth::Session, engine: &'e Engine, out: &mut BytesMut) -> Self {
        session.greet(out);
        Self { session, engine, held: Vec::new() }
    }

    /// Takes bytes as one read from a socket: all complete lines first, then the questions that they came to.
    ///
    /// # Errors
    ///
    /// When the connection is over. What was said before goes to `out` all the same.
    pub fn receive(&mut self, bytes: &[u8], now: Instant, out: &mut BytesMut) -> Result<(), Close> {
        let mut questions = Vec::new();
        let mut closed = self.read(bytes, now, &mut questions, out);
        for question in questions {
            closed = closed.and(self.answer(question, now, out));
        }
        closed
    }

    /// The same without answers: the questions are left to the caller, who may answer them later or never.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub fn read(
        &mut self,
        bytes: &[u8],
        now: Instant,
        questions: &mut Vec<auth::Question>,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        self.held.extend_from_slice(bytes);
        let mut rest = &*self.held;
        let ended = loop {
            match Lines::new(AUTH_LINE).cut(&mut rest) {
                Ok(Some(line)) => match self.session.line(line, now, self.engine, out) {
                    Ok(question) => questions.extend(question),
                    Err(close) => break Err(close),
                },
                Ok(None) => break Ok(()),
                Err(too_long) => break Err(too_long.into()),
            }
        };
        self.held = rest.to_vec();
        ended
    }

    /// Takes one line.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub fn line(
        &mut self,
        line: &[u8],
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<Option<auth::Question>, Close> {
        self.session.line(line, now, self.engine, out)
    }

    /// Answers a question now. Only a directory in memory and a cheap password scheme can; with another it is a
    /// temporary failure.
    ///
    /// # Errors
    ///
    /// When the connection is over.
    pub fn answer(
        &mut self,
        question: auth::Question,
        now: Instant,
        out: &mut BytesMut,
    ) -> Result<(), Close> {
        match question {
            auth::Question::Judge { handle, attempt } => {
                let decided = self.engine.decide(&attempt, SystemTime::now()).now_or_never();
                let decision = decided.unwrap_or(Decision::Refuse(Refusal::TempFail(TempFail::Deadline)));
                let challenge = |name: &[u8]| self.engine.challenge_of(name);
                self.session.decided(handle, attempt, decision, challenge, now, out)
            }
            // Here nothing lasts so long.
            auth::Question::Refresh { .. } => Ok(()),
            auth::Question::Seek { handle, sought, service } => {
                let terms = self.engine.terms(&sought, &service).now_or_never();
                let terms = terms.unwrap_or(Err(TempFail::Deadline));
                self.session.told(handle, terms, Duration::ZERO, now, out)
            }
        }
    }

    /// The state machine itself.
    pub const fn session(&mut self) -> &mut auth::Session {
        &mut self.session
    }
}

/// One connection of the auth-master protocol. Names are not listed here: each listing ends as one that failed.
#[derive(Debug)]
pub struct Lookups<'e> {
    session: master::Session,
    engine: &'e Engine,
    held: Vec<u8>,
}

impl<'e> Lookups<'e> {
    /// A connection that was just accepted; its greeting goes to `out`.
    pub fn new(session: master::Session, engine: &'e Engine, out: &mut BytesMut) -> Self {
        session.greet(out);
        Self { session, engine, held: Vec::new() }
    }

    /// Takes bytes as one read from a socket and answers every line in its turn.
    ///
    /// # Errors
    ///
    /// When the connection is over. What was said before goes to `out` all the same.
    pub fn receive(&mut self, bytes: &[u8], now: Instant, out: &mut BytesMut) -> Result<(), Close> {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = &*held;
        while let Some(line) = Lines::new(MASTER_LINE).cut(&mut rest)? {
            if let Some(question) = self.session.line(line, now, out)? {
                self.answer(&question, out);
            }
        }
        self.held = rest.to_vec();
        Ok(())
    }

    fn answer(&self, question: &master::Question, out: &mut BytesMut) {
        let waiting = || Err(Unavailable::new("-", "it takes waiting"));
        match question {
            master::Question::User { id, name, service } => {
                let found = self.engine.lookup(name, service).now_or_never();
                self.session.user(*id, &found.unwrap_or_else(waiting), out);
            }
            master::Question::Pass { id, name, service, hop } => {
                let found = self.engine.preview(name, service, hop, SystemTime::now()).now_or_never();
                self.session.pass(*id, &found.unwrap_or_else(waiting), out);
            }
            master::Question::List { id, .. } => self.session.list_done(*id, true, out),
            master::Question::Flush { id, .. } => self.session.flushed(*id, 0, out),
        }
    }
}

/// One connection of a protocol that looks keys up.
#[derive(Debug)]
pub struct Keys<'e> {
    protocol: lookup::Protocol,
    engine: &'e Engine,
    held: Vec<u8>,
}

impl<'e> Keys<'e> {
    /// A connection that was just accepted.
    pub const fn new(protocol: lookup::Protocol, engine: &'e Engine) -> Self {
        Self { protocol, engine, held: Vec::new() }
    }

    /// Takes bytes as one read from a socket and answers every request in its turn.
    ///
    /// # Errors
    ///
    /// When the connection is over. What was said before goes to `out` all the same.
    pub fn receive(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<(), Close> {
        let searched = self.held.len();
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let (mut rest, mut searched) = (&*held, searched);
        while let Some(message) = self.protocol.cut(std::mem::take(&mut searched), &mut rest)? {
            let asked = self.protocol.read(message)?;
            self.protocol.tell(&asked.answer_now(self.engine, Asker::Unknown), out);
        }
        self.held = rest.to_vec();
        Ok(())
    }
}

/// One connection of Postfix's policy protocol.
#[derive(Debug)]
pub struct Mails<'e> {
    engine: &'e Engine,
    held: Vec<u8>,
}

impl<'e> Mails<'e> {
    /// A connection that was just accepted.
    pub const fn new(engine: &'e Engine) -> Self {
        Self { engine, held: Vec::new() }
    }

    /// Takes bytes as one read from a socket and answers every request in its turn.
    ///
    /// # Errors
    ///
    /// When the connection is over. What was said before goes to `out` all the same.
    pub fn receive(&mut self, bytes: &[u8], now: Instant, out: &mut BytesMut) -> Result<(), Close> {
        let mut searched = self.held.len();
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = &*held;
        while let Some(block) = Blocks::new(REQUEST).cut_behind(std::mem::take(&mut searched), &mut rest)? {
            policy::answer_now(block, self.engine, now)?.encode(out);
        }
        self.held = rest.to_vec();
        Ok(())
    }
}

/// One connection of saslauthd's protocol. Refusals are told at once here.
#[derive(Debug)]
pub struct Check<'e> {
    engine: &'e Engine,
    held: Vec<u8>,
}

impl<'e> Check<'e> {
    /// A connection that was just accepted.
    pub const fn new(engine: &'e Engine) -> Self {
        Self { engine, held: Vec::new() }
    }

    /// Takes bytes as one read from a socket. Whether the connection goes on: its one request is not all there.
    ///
    /// # Errors
    ///
    /// When the connection is over without a reply.
    pub fn receive(&mut self, bytes: &[u8], out: &mut BytesMut) -> Result<bool, Close> {
        self.held.extend_from_slice(bytes);
        let Some(message) = saslauthd::Requests.cut(0, &mut &*self.held)? else { return Ok(true) };
        let Some(attempt) = saslauthd::attempt(message)? else { return Ok(true) };
        let decided = self.engine.decide(&attempt, SystemTime::now()).now_or_never();
        let decision = decided.unwrap_or(Decision::Refuse(Refusal::TempFail(TempFail::Deadline)));
        saslauthd::reply(&decision).ok_or(Close::TempFail)?.encode(out);
        Ok(false)
    }
}
