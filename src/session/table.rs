//! Logins that were accepted and wait to be claimed.
//!
//! After `OK` on a login socket the login process hands the connection over to a mail process, and that one asks,
//! on a master socket, for what belongs to the login (`REQUEST`). The ticket it shows is the login process's pid,
//! its request id and the cookie of its connection. Each is honoured once.
//! D5 and M2 of [`super::rules`].

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gatepost_protocol::dovecot::{Cookie, RequestId};
use subtle::ConstantTimeEq as _;

use crate::{account::Account, mechanism::Mechanism, username::Username};

/// How long a login waits to be claimed. Dovecot's own limit for a request's life.
pub const LIFETIME: Duration = Duration::from_secs(150);

/// How many logins may wait. A mail process claims within milliseconds; only a peer that has gone wrong gets here,
/// and then the oldest gives way.
pub const CAPACITY: usize = 65_536;

/// The table of the daemon. All login and master sockets share one.
#[derive(Debug, Default)]
pub struct Table {
    inner: Mutex<Inner>,
}

/// An accepted login.
#[derive(Debug)]
pub struct Login {
    /// Whose.
    pub account: Arc<Account>,
    /// How it was proven.
    pub mechanism: Mechanism,
    /// The service it was for, as the peer spelt it.
    pub service: Box<str>,
    /// The peer's name of the session.
    pub session: Option<Box<str>>,
    /// The master user who logged in as them.
    pub master: Option<Username>,
    /// Their name as it was typed, where that is not the canonical one.
    pub original: Option<Box<[u8]>>,
}

/// What a mail process shows to claim a login.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// `CPID` of the login process.
    pub client_pid: u32,
    /// The id of its `AUTH`.
    pub client_id: RequestId,
    /// The cookie of its connection.
    pub cookie: Cookie,
}

#[derive(Debug, Default)]
struct Inner {
    connections: HashMap<u32, Connection>,
    /// A pid may name several connections: those of a process that reconnects, and those of containers, whose pid
    /// namespaces know nothing of each other. The cookie tells them apart, so it is compared and not hashed.
    by_pid: HashMap<u32, Vec<u32>>,
    /// Logins in order of age; may name some that have gone.
    ages: VecDeque<(Instant, u32, RequestId, u64)>,
    last: u64,
    count: usize,
}

#[derive(Debug)]
struct Connection {
    pid: u32,
    cookie: Cookie,
    logins: HashMap<RequestId, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    expires: Instant,
    login: Login,
}

impl Table {
    /// A login process has introduced itself on the connection with this `CUID`.
    pub fn open(&self, connection: u32, pid: u32, cookie: Cookie) {
        let mut inner = self.lock();
        inner.connections.insert(connection, Connection { pid, cookie, logins: HashMap::new() });
        inner.by_pid.entry(pid).or_default().push(connection);
    }

    /// The connection is over, and with it what waited on it.
    pub fn close(&self, connection: u32) {
        let mut inner = self.lock();
        let Some(closed) = inner.connections.remove(&connection) else { return };
        inner.count -= closed.logins.len();
        if let Entry::Occupied(mut same_pid) = inner.by_pid.entry(closed.pid) {
            same_pid.get_mut().retain(|&other| other != connection);
            if same_pid.get().is_empty() {
                same_pid.remove();
            }
        }
    }

    /// Keeps a login until it is claimed, cancelled or too old. `false`, and nothing changes, if one of the same id
    /// waits on the connection already: its ticket would be good for either.
    #[must_use]
    pub fn keep(&self, connection: u32, id: RequestId, login: Login, now: Instant) -> bool {
        let mut inner = self.lock();
        inner.expire(now);
        inner.last += 1;
        let (number, expires) = (inner.last, now + LIFETIME);
        let Some(open) = inner.connections.get_mut(&connection) else { return false };
        let Entry::Vacant(place) = open.logins.entry(id) else { return false };
        place.insert(Waiting { number, expires, login });
        inner.count += 1;
        inner.ages.push_back((expires, connection, id, number));
        true
    }

    /// Hands a login out, once. `None` for a wrong, unknown, used or expired ticket alike.
    pub fn claim(&self, ticket: &Ticket, now: Instant) -> Option<Login> {
        let mut inner = self.lock();
        let mut holder = None;
        for connection in inner.by_pid.get(&ticket.client_pid)? {
            let open = inner.connections.get(connection)?;
            // No early end: it would tell which of several was compared.
            if bool::from(open.cookie.as_bytes().ct_eq(ticket.cookie.as_bytes())) {
                holder = Some(*connection);
            }
        }
        let waiting = inner.connections.get_mut(&holder?)?.logins.remove(&ticket.client_id)?;
        inner.count -= 1;
        (waiting.expires > now).then_some(waiting.login)
    }

    /// Forgets one login: its request was cancelled.
    pub fn cancel(&self, connection: u32, id: RequestId) {
        let mut inner = self.lock();
        let open = inner.connections.get_mut(&connection);
        if open.is_some_and(|open| open.logins.remove(&id).is_some()) {
            inner.count -= 1;
        }
    }

    /// How many logins wait.
    pub fn len(&self) -> usize {
        self.lock().count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn expire(&mut self, now: Instant) {
        // One login that nobody claims must not make the list of ages grow behind it.
        if self.ages.len() > 2 * CAPACITY {
            let mut ages = std::mem::take(&mut self.ages);
            ages.retain(|&(_, connection, id, number)| self.waits(connection, id, number));
            self.ages = ages;
        }
        while let Some(&(expires, connection, id, number)) = self.ages.front() {
            let waits = self.waits(connection, id, number);
            if waits && expires > now && self.count < CAPACITY {
                break;
            }
            self.ages.pop_front();
            if waits && let Some(open) = self.connections.get_mut(&connection) {
                open.logins.remove(&id);
                self.count -= 1;
            }
        }
    }

    fn waits(&self, connection: u32, id: RequestId, number: u64) -> bool {
        let open = self.connections.get(&connection);
        open.and_then(|open| open.logins.get(&id)).is_some_and(|waiting| waiting.number == number)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use gatepost_protocol::dovecot::{Cookie, RequestId};

    use super::{CAPACITY, LIFETIME, Login, Table, Ticket};
    use crate::{account::Account, mechanism::Mechanism};

    fn ticket(pid: u32, id: u32, cookie: u8) -> Ticket {
        let client_id = RequestId::try_from(id).unwrap();
        Ticket { client_pid: pid, client_id, cookie: Cookie::new([cookie; 16]) }
    }

    fn login(user: &str) -> Login {
        Login {
            account: Arc::new(Account::named(user)),
            mechanism: Mechanism::Plain,
            service: "imap".into(),
            session: None,
            master: None,
            original: None,
        }
    }

    fn id(id: u32) -> RequestId {
        RequestId::try_from(id).unwrap()
    }

    /// A table with connection 70 of pid 7, cookie 1.
    fn table() -> Table {
        let table = Table::default();
        table.open(70, 7, Cookie::new([1; 16]));
        table
    }

    #[test]
    fn a_login_is_claimed_once_and_only_with_its_whole_ticket() {
        let (table, now) = (table(), Instant::now());
        assert!(table.keep(70, id(1), login("alice"), now));
        for wrong in [ticket(8, 1, 1), ticket(7, 2, 1), ticket(7, 1, 2)] {
            assert!(table.claim(&wrong, now).is_none());
        }
        assert_eq!(table.claim(&ticket(7, 1, 1), now).unwrap().account.user.as_str(), "alice");
        assert!(table.claim(&ticket(7, 1, 1), now).is_none());
        assert!(table.is_empty());
    }

    #[test]
    fn equal_pids_of_two_containers_do_not_meet() {
        let (table, now) = (table(), Instant::now());
        table.open(71, 7, Cookie::new([2; 16]));
        assert!(table.keep(70, id(1), login("alice"), now));
        assert!(table.keep(71, id(1), login("bob"), now));
        assert_eq!(table.claim(&ticket(7, 1, 2), now).unwrap().account.user.as_str(), "bob");
        assert_eq!(table.claim(&ticket(7, 1, 1), now).unwrap().account.user.as_str(), "alice");
    }

    #[test]
    fn an_old_login_is_not_handed_out() {
        let (table, now) = (table(), Instant::now());
        assert!(table.keep(70, id(1), login("alice"), now));
        assert!(table.claim(&ticket(7, 1, 1), now + LIFETIME).is_none());
        assert!(table.keep(70, id(1), login("alice"), now));
        assert!(table.keep(70, id(2), login("bob"), now + LIFETIME));
        assert_eq!(table.len(), 1, "the expired one left when the next came");
    }

    #[test]
    fn a_cancelled_login_is_gone_and_so_are_those_of_a_closed_connection() {
        let (table, now) = (table(), Instant::now());
        assert!(table.keep(70, id(1), login("alice"), now));
        assert!(table.keep(70, id(2), login("alice"), now));
        table.cancel(70, id(1));
        assert!(table.claim(&ticket(7, 1, 1), now).is_none());
        table.close(70);
        assert!(table.claim(&ticket(7, 2, 1), now).is_none());
        assert!(table.is_empty());
    }

    #[test]
    fn the_table_has_a_limit_and_the_oldest_gives_way() {
        let (table, now) = (table(), Instant::now());
        let account = login("alice").account;
        let kept = u32::try_from(CAPACITY).unwrap() + 10;
        for number in 1..=kept {
            let login = Login { account: Arc::clone(&account), ..login("alice") };
            assert!(table.keep(70, id(number), login, now + Duration::from_micros(number.into())));
        }
        assert_eq!(table.len(), CAPACITY);
        assert!(table.claim(&ticket(7, 1, 1), now).is_none());
        assert!(table.claim(&ticket(7, kept, 1), now).is_some());
    }

    #[test]
    fn logins_that_are_claimed_leave_nothing_behind() {
        let (table, now) = (table(), Instant::now());
        assert!(table.keep(70, id(1), login("alice"), now));
        for number in 2..=5 * u32::try_from(CAPACITY).unwrap() {
            assert!(table.keep(70, id(number), login("bob"), now));
            table.claim(&ticket(7, number, 1), now).unwrap();
        }
        assert!(table.inner.lock().unwrap().ages.len() <= 2 * CAPACITY + 1);
        assert_eq!(table.len(), 1);
    }
}
