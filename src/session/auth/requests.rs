//! The requests of one connection: which are in flight, what each waits for, and for how long.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use bytes::BytesMut;
use gatepost_protocol::dovecot::RequestId;

use super::RESPONSE_TIMEOUT;
use crate::{
    decision::{Attempt, Hop, Verified},
    mechanism::{Exchange, Seeking},
    session::delay::{Delayed, Failure},
};

/// Names one request for the life of a connection, although a peer may use an id again once it is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    pub(super) id: RequestId,
    number: u64,
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Requests {
    live: HashMap<RequestId, Request>,
    /// Those that want a response, by number and so by age, and when each of them has waited too long.
    waiting: BTreeMap<u64, (Instant, RequestId)>,
    /// Questions that were not answered yet, those of cancelled requests too.
    undecided: usize,
    delayed: Delayed,
    last_number: u64,
}

#[derive(Debug)]
struct Request {
    number: u64,
    arrived: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    WantResponse {
        exchange: Exchange,
        context: Context,
    },
    /// Something is being looked up that the exchange needs.
    Seeking {
        seeking: Box<Seeking>,
        context: Context,
    },
    Deciding {
        final_response: bool,
    },
    /// The remote has to say that it has heard the last of the mechanism.
    WantNothing(Box<Accepted>),
    /// The remote has to say that it has heard why it is refused, which this line then does.
    WantDummy(BytesMut),
    Delayed,
}

/// A login that is good, and about which there was one more thing to say.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) attempt: Attempt,
    pub(super) verified: Verified,
}

/// The circumstances of a request, told with `AUTH` and needed once there is a claim.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) service: Box<str>,
    pub(super) remote: Option<std::net::IpAddr>,
    pub(super) session: Option<Box<str>>,
    pub(super) hop: Hop,
    /// Whether the last data of a mechanism may come along with `OK` (`final-resp-ok`).
    pub(super) final_response: bool,
}

/// A response that was waited for has come.
#[derive(Debug)]
pub(super) enum Response {
    /// The exchange goes on with it.
    Next(Resumed),
    /// It was not to say anything.
    Last(Handle, Box<Accepted>),
    /// Nor this, and the request is over with this line.
    Dummy(BytesMut),
}

/// What was looked up for an exchange is known.
#[derive(Debug)]
pub(super) struct Sought {
    pub(super) arrived: Instant,
    pub(super) seeking: Box<Seeking>,
    pub(super) context: Context,
}

/// A request whose question was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) arrived: Instant,
    pub(super) final_response: bool,
}

/// An exchange that was waiting for the remote's response, which has come.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) handle: Handle,
    pub(super) arrived: Instant,
    pub(super) exchange: Exchange,
    pub(super) context: Context,
}

/// Why a response continues nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotWaiting {
    /// There is no such request, or not any more.
    Unknown,
    /// It wanted no response. It is over now.
    Unexpected,
}

impl Requests {
    /// None; `epoch` is what the slots of delayed failures are counted from.
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            live: HashMap::new(),
            waiting: BTreeMap::new(),
            undecided: 0,
            delayed: Delayed::new(epoch),
            last_number: 0,
        }
    }

    /// Whether a request of this id has not been answered.
    pub(super) fn has(&self, id: RequestId) -> bool {
        self.live.contains_key(&id)
    }

    /// How many have not been answered.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// How many take room: what was cancelled does until nothing of it is left anywhere.
    pub(super) fn in_flight(&self) -> usize {
        self.waiting.len() + self.undecided + self.delayed.len()
    }

    /// Whether one waits for the peer to send more.
    pub(super) fn want_response(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Names a new request.
    pub(super) fn open(&mut self, id: RequestId) -> Handle {
        self.last_number += 1;
        Handle { id, number: self.last_number }
    }

    /// It waits for a response now, until [`RESPONSE_TIMEOUT`] after it `arrived`.
    pub(super) fn wait(&mut self, handle: Handle, arrived: Instant, exchange: Exchange, context: Context) {
        self.waiting.insert(handle.number, (arrived + RESPONSE_TIMEOUT, handle.id));
        self.put(handle, arrived, State::WantResponse { exchange, context });
    }

    /// It waits for the remote to have heard the last, until [`RESPONSE_TIMEOUT`] from `now`.
    pub(super) fn hold(&mut self, handle: Handle, now: Instant, accepted: Accepted) {
        self.waiting.insert(handle.number, (now + RESPONSE_TIMEOUT, handle.id));
        self.put(handle, now, State::WantNothing(Box::new(accepted)));
    }

    /// Tells how it has failed. With a challenge it waits for the remote to have heard that, until [`RESPONSE_TIMEOUT`]
    /// from `now`; without a time it does not.
    pub(super) fn refuse(
        &mut self,
        handle: Handle,
        now: Option<Instant>,
        failure: Failure,
        out: &mut BytesMut,
    ) {
        self.forget(handle.id);
        match (failure.challenge, now) {
            (Some(challenge), Some(now)) => {
                out.extend_from_slice(&challenge);
                self.waiting.insert(handle.number, (now + RESPONSE_TIMEOUT, handle.id));
                self.put(handle, now, State::WantDummy(failure.line));
            }
            (None, _) | (Some(_), None) => out.extend_from_slice(&failure.line),
        }
    }

    /// It waits for its question to be answered.
    pub(super) fn ask(&mut self, handle: Handle, arrived: Instant, final_response: bool) {
        self.undecided += 1;
        self.put(handle, arrived, State::Deciding { final_response });
    }

    /// It waits for something to be looked up.
    pub(super) fn seek(&mut self, handle: Handle, arrived: Instant, seeking: Box<Seeking>, context: Context) {
        self.undecided += 1;
        self.put(handle, arrived, State::Seeking { seeking, context });
    }

    /// Its question was answered. `None` if nobody wants to know any more.
    pub(super) fn answered(&mut self, handle: Handle) -> Option<Answered> {
        self.undecided = self.undecided.saturating_sub(1);
        let request = self.live.get(&handle.id).filter(|request| request.number == handle.number)?;
        let final_response = matches!(request.state, State::Deciding { final_response: true });
        Some(Answered { arrived: request.arrived, final_response })
    }

    /// What it waited for was looked up. `None` if nobody wants to know any more.
    pub(super) fn sought(&mut self, handle: Handle) -> Option<Sought> {
        self.undecided = self.undecided.saturating_sub(1);
        let here = self.live.get(&handle.id).is_some_and(|request| {
            request.number == handle.number && matches!(request.state, State::Seeking { .. })
        });
        let request = here.then(|| self.live.remove(&handle.id)).flatten()?;
        match request.state {
            State::Seeking { seeking, context } => {
                Some(Sought { arrived: request.arrived, seeking, context })
            }
            State::WantResponse { .. }
            | State::Deciding { .. }
            | State::WantNothing(_)
            | State::WantDummy(_)
            | State::Delayed => None,
        }
    }

    /// It has failed; to be told at `due`, or when the present slot ends.
    pub(super) fn delay(&mut self, handle: Handle, due: Instant, now: Instant, failure: Failure) {
        self.put(handle, now, State::Delayed);
        self.delayed.add(due, now, handle, failure);
    }

    /// A response has come for the request of this id.
    pub(super) fn resume(&mut self, id: RequestId) -> Result<Response, NotWaiting> {
        let request = self.forget(id).ok_or(NotWaiting::Unknown)?;
        let handle = Handle { id, number: request.number };
        match request.state {
            State::WantResponse { exchange, context } => {
                Ok(Response::Next(Resumed { handle, arrived: request.arrived, exchange, context }))
            }
            State::WantNothing(accepted) => Ok(Response::Last(handle, accepted)),
            State::WantDummy(line) => Ok(Response::Dummy(line)),
            State::Seeking { .. } | State::Deciding { .. } | State::Delayed => Err(NotWaiting::Unexpected),
        }
    }

    /// Nobody wants to know any more, wherever it stands.
    pub(super) fn cancel(&mut self, id: RequestId) {
        self.forget(id);
    }

    /// The peer has gone on without those that wait for a response.
    pub(super) fn abandon_waiting(&mut self) {
        for (_, id) in std::mem::take(&mut self.waiting).into_values() {
            self.live.remove(&id);
        }
    }

    /// When the next failure is to be told, or the next request has waited too long.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let expiry = self.waiting.values().next().map(|(due, _)| *due);
        [self.delayed.next(), expiry].into_iter().flatten().min()
    }

    /// Forgets what has waited too long for its remote.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(entry) = self.waiting.first_entry() {
            let (due, id) = *entry.get();
            if due > now {
                break;
            }
            entry.remove();
            self.live.remove(&id);
        }
    }

    /// Tells the failures whose time has come; all of them, without a time, and then nobody is waited for any more.
    pub(super) fn tell(&mut self, now: Option<Instant>, out: &mut BytesMut) {
        let due = match now {
            Some(now) => self.delayed.due(now),
            None => self.delayed.all(),
        };
        for (handle, failure) in due {
            if self.live.get(&handle.id).is_some_and(|request| request.number == handle.number) {
                self.refuse(handle, now, failure, out);
            }
        }
    }

    fn put(&mut self, handle: Handle, arrived: Instant, state: State) {
        self.live.insert(handle.id, Request { number: handle.number, arrived, state });
    }

    fn forget(&mut self, id: RequestId) -> Option<Request> {
        let request = self.live.remove(&id)?;
        self.waiting.remove(&request.number);
        Some(request)
    }
}
