//! Which tokens count no longer, although whoever checks them may not know it yet.
//!
//! A signed token is good until it ends, whatever has happened since. What ends it sooner is noted here: that somebody's
//! tokens were revoked (`gatepost revoke`), or that the provider has ended a session or all sessions of somebody (OpenID
//! Connect Back-Channel Logout 1.0). A note voids what was *issued* until then, so that whoever logs in anew comes
//! in: by the `iat` of the token, or by when it was seen first, whichever is earlier. Where neither is told apart from
//! what comes later, the token itself is noted.
//!
//! A note is kept for as long as a token of before may live: as long as the longest one that was ever seen, and for
//! [`USER`] or [`SESSION`] at least. There are [`MOST`]; when they are all taken, the oldest go, and the tokens of
//! *everybody* that were issued until then are void, because nobody knows any more whose they may be. That costs some a new
//! login and lets nobody in.
//!
//! One for the life of the process: it is not made anew with the configuration. What has to outlive the process is written
//! down elsewhere; only that a single token is void is not, as what tells tokens apart is drawn anew.

use std::{
    hash::{Hash, Hasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use hashbrown::{Equivalent, HashMap};

use super::{
    bearers::{Bearers, By},
    digest::{Digest, Digester},
    heard::Heard,
};
use crate::username::Username;

/// How many notes are kept, of some 200 bytes each.
const MOST: usize = 65_536;

/// How long that the tokens of a user were revoked is kept at least: somebody has done it by hand, and few tokens live
/// longer.
pub const USER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The same of sessions, which end all day long: their tokens live for minutes, or an hour.
pub const SESSION: Duration = Duration::from_secs(24 * 3600);

/// What was revoked.
#[derive(Debug)]
pub struct Revocations {
    notes: Mutex<Notes>,
    /// Whether there are any. Most of the time there are none.
    any: AtomicBool,
    /// Seconds that the token was good for which was good for longest.
    longest: AtomicU64,
    /// What tells tokens apart. `None`: there are no random numbers, so that none is told apart or remembered.
    digester: Option<Digester>,
    /// Which logouts were told.
    heard: Mutex<Heard>,
    /// Who is in.
    bearers: Mutex<Bearers>,
}

#[derive(Debug, Default)]
struct Notes {
    kept: HashMap<Key, Note, RandomState>,
    /// What was issued until then is void, whoever it is of.
    all: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    /// What was issued until then is void.
    since: SystemTime,
    /// When it has no more to say, where that is known.
    until: Option<SystemTime>,
}

/// What a note is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    User(Box<str>),
    /// Of this issuer, all tokens of this subject.
    Subject(Box<str>, Box<str>),
    /// The same, as far as they do not say which session they are of.
    Sessionless(Box<str>, Box<str>),
    /// Of this issuer, all tokens of this session.
    Session(Box<str>, Box<str>),
    Token([u8; 16]),
}

/// The same, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sought<'a> {
    User(&'a str),
    Subject(&'a str, &'a str),
    Sessionless(&'a str, &'a str),
    Session(&'a str, &'a str),
    Token([u8; 16]),
}

/// A token that somebody shows, with all that it may be void by.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// Of the token.
    pub digest: Digest,
    /// Whose it is, by all names that are known.
    pub users: &'a [&'a str],
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `sid`.
    pub session: Option<&'a str>,
    /// When it was issued, or no later than then.
    pub issued: SystemTime,
}

/// A session that has ended, or all those of somebody: `iss`, with `sub` or `sid` or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logout<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// `sid`. `None`: all sessions of the subject have ended.
    pub session: Option<&'a str>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            notes: Mutex::default(),
            any: AtomicBool::new(false),
            longest: AtomicU64::new(0),
            digester: Digester::new().ok(),
            heard: Mutex::default(),
            bearers: Mutex::default(),
        }
    }
}

impl Revocations {
    /// What tells tokens apart.
    pub const fn digester(&self) -> Option<&Digester> {
        self.digester.as_ref()
    }

    /// Takes note that a user was let in by a token: with whose logout they are to go.
    pub fn note_bearer(&self, issuer: &str, subject: Option<&str>, session: Option<&str>, user: &Username) {
        let mut bearers = self.bearers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = session {
            bearers.note(issuer, By::Session(session), user);
        }
        if let Some(subject) = subject {
            bearers.note(issuer, By::Subject(subject), user);
            if session.is_none() {
                bearers.note(issuer, By::Sessionless(subject), user);
            }
        }
    }

    /// Those of the users who were let in that go with a logout.
    pub fn bearers(&self, logout: &Logout<'_>) -> Vec<Username> {
        let Logout { issuer, subject, session } = *logout;
        let bearers = self.bearers.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |by: Option<By<'_>>| by.map_or(&[][..], |by| bearers.of(issuer, by));
        match session {
            Some(_) => [of(session.map(By::Session)), of(subject.map(By::Sessionless))].concat(),
            None => of(subject.map(By::Subject)).to_vec(),
        }
    }

    /// Whether a provider tells of a logout (`jti`) for the first time. Told again, it would void what was issued since.
    pub fn is_news(&self, issuer: &str, id: &str) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).is_new(issuer, id)
    }

    /// Voids the tokens of a user that were issued until then.
    pub fn note_user(&self, user: &str, since: SystemTime) {
        self.note(Sought::User(user), since, None);
    }

    /// Voids the tokens of a session, or of all sessions of somebody, that were issued until then.
    ///
    /// Where the logout names a session, tokens of the same subject that do not say which session they are of may be
    /// of this one.
    pub fn note_logout(&self, logout: &Logout<'_>, since: SystemTime) {
        let issuer = logout.issuer;
        match (logout.session, logout.subject) {
            (Some(session), subject) => {
                self.note(Sought::Session(issuer, session), since, None);
                if let Some(subject) = subject {
                    self.note(Sought::Sessionless(issuer, subject), since, None);
                }
            }
            (None, Some(subject)) => self.note(Sought::Subject(issuer, subject), since, None),
            (None, None) => {}
        }
    }

    /// Voids all tokens, whoever they are of, that were issued until then: nobody knows which were revoked.
    pub fn note_everybody(&self, since: SystemTime) {
        let mut notes = self.notes();
        notes.all = notes.all.max(Some(since));
        self.any.store(true, Ordering::Release);
    }

    /// Voids a token until it ends.
    pub fn note_token(&self, token: Digest, since: SystemTime, until: SystemTime) {
        self.note(Sought::Token(token.bytes()), since, Some(until));
    }

    /// Takes note of how long a token is good for.
    pub fn note_life(&self, issued: SystemTime, expires: SystemTime) {
        let seconds = expires.duration_since(issued).unwrap_or_default().as_secs();
        if seconds > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(seconds, Ordering::Relaxed);
        }
    }

    /// Whether a token is void.
    pub fn void(&self, sighting: &Sighting<'_>) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let Sighting { digest, users, issuer, subject, session, issued } = *sighting;
        let notes = self.notes();
        let before = |sought: Sought<'_>| notes.kept.get(&sought).is_some_and(|note| issued <= note.since);
        notes.all.is_some_and(|since| issued <= since)
            || notes.kept.contains_key(&Sought::Token(digest.bytes()))
            || users.iter().any(|user| before(Sought::User(user)))
            || subject.is_some_and(|subject| {
                before(Sought::Subject(issuer, subject))
                    || (session.is_none() && before(Sought::Sessionless(issuer, subject)))
            })
            || session.is_some_and(|session| before(Sought::Session(issuer, session)))
    }

    fn note(&self, sought: Sought<'_>, since: SystemTime, until: Option<SystemTime>) {
        let longest = Duration::from_secs(self.longest.load(Ordering::Relaxed));
        let mut notes = self.notes();
        if notes.kept.len() >= MOST && !notes.kept.contains_key(&sought) {
            notes.make_room(since, longest);
        }
        let note = notes.kept.entry(sought.to_key()).or_insert(Note { since, until });
        note.since = note.since.max(since);
        note.until = note.until.max(until);
        self.any.store(true, Ordering::Release);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// Drops those that have no more to say, or else the older half.
    fn make_room(&mut self, now: SystemTime, longest: Duration) {
        self.kept.retain(|key, note| {
            let kept = longest.max(if matches!(key, Key::User(_)) { USER } else { SESSION });
            // What ends later than can be told does not end.
            note.until.or_else(|| note.since.checked_add(kept)).is_none_or(|until| until > now)
        });
        if self.kept.len() < MOST {
            return;
        }
        let mut times: Vec<SystemTime> = self.kept.values().map(|note| note.since).collect();
        let middle = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(middle);
        let middle = *middle;
        // Single tokens are not told apart by when they were issued, so that those stay as long as they can.
        let tokens = self.kept.keys().filter(|key| matches!(key, Key::Token(_))).count();
        let spare = tokens < MOST / 2;
        self.kept.retain(|key, note| note.since > middle || (spare && matches!(key, Key::Token(_))));
        self.all = self.all.max(Some(middle));
        tracing::warn!(
            kept = MOST,
            "more was revoked than is kept: tokens of everybody of before are refused"
        );
    }
}

impl Sought<'_> {
    fn to_key(self) -> Key {
        match self {
            Self::User(user) => Key::User(user.into()),
            Self::Subject(issuer, subject) => Key::Subject(issuer.into(), subject.into()),
            Self::Sessionless(issuer, subject) => Key::Sessionless(issuer.into(), subject.into()),
            Self::Session(issuer, session) => Key::Session(issuer.into(), session.into()),
            Self::Token(digest) => Key::Token(digest),
        }
    }
}

impl Key {
    fn sought(&self) -> Sought<'_> {
        match self {
            Self::User(user) => Sought::User(user),
            Self::Subject(issuer, subject) => Sought::Subject(issuer, subject),
            Self::Sessionless(issuer, subject) => Sought::Sessionless(issuer, subject),
            Self::Session(issuer, session) => Sought::Session(issuer, session),
            Self::Token(digest) => Sought::Token(*digest),
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sought().hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.sought()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Logout, MOST, Revocations, SESSION, Sighting, USER};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
    }

    fn token<'a>(revocations: &Revocations, users: &'a [&'a str], issued: SystemTime) -> Sighting<'a> {
        let digest = revocations.digester().unwrap().token(b"t");
        let (issuer, subject, session) = ("https://id.test", Some("sub1"), Some("sid1"));
        Sighting { digest, users, issuer, subject, session, issued }
    }

    #[test]
    fn what_was_issued_until_then_is_void_and_what_comes_later_is_not() {
        let revocations = Revocations::default();
        let void = |users: &[&str], issued| revocations.void(&token(&revocations, users, issued));
        assert!(!void(&["alice"], at(0)));
        revocations.note_user("alice", at(10));
        for (users, issued, expected) in [
            (&["alice"][..], at(9), true),
            (&["alice"], at(10), true),
            (&["alice"], at(11), false),
            (&["al", "alice"], at(9), true),
            (&["bob"], at(9), false),
            (&[], at(9), false),
        ] {
            assert_eq!(void(users, issued), expected, "{users:?} {issued:?}");
        }
        revocations.note_user("alice", at(5));
        assert!(void(&["alice"], at(10)), "what was void stays so");
    }

    #[test]
    fn a_logout_voids_its_session_or_all_of_its_subject() {
        let issuer = "https://id.test";
        let logout = |subject, session| Logout { issuer, subject, session };
        let (ours, other) = ((Some("sub1"), Some("sid1")), (Some("sub1"), Some("sid2")));
        let (none, stranger) = ((Some("sub1"), None), (Some("sub2"), Some("sid3")));
        for (logout, voids) in [
            (logout(Some("sub1"), None), vec![ours, other, none]),
            (logout(None, Some("sid1")), vec![ours]),
            (logout(Some("sub1"), Some("sid1")), vec![ours, none]),
            (logout(None, None), vec![]),
            (Logout { issuer: "https://other.test", ..logout(Some("sub1"), None) }, vec![]),
        ] {
            let revocations = Revocations::default();
            revocations.note_logout(&logout, at(10));
            for shown in [ours, other, none, stranger] {
                let (subject, session) = shown;
                let shown_at =
                    |issued| Sighting { subject, session, ..token(&revocations, &["alice"], issued) };
                assert_eq!(
                    revocations.void(&shown_at(at(10))),
                    voids.contains(&shown),
                    "{logout:?} {shown:?}"
                );
                assert!(!revocations.void(&shown_at(at(11))));
            }
        }
    }

    #[test]
    fn a_token_is_void_whenever_it_was_issued() {
        let revocations = Revocations::default();
        let shown = token(&revocations, &["alice"], at(100));
        revocations.note_token(shown.digest, at(10), at(1000));
        assert!(revocations.void(&shown));
        let digest = revocations.digester().unwrap().token(b"u");
        assert!(!revocations.void(&Sighting { digest, ..shown }));
    }

    #[test]
    fn notes_go_when_no_token_of_before_can_be_alive() {
        let revocations = Revocations::default();
        let fill = |from: usize, now| {
            (from..from + MOST).for_each(|number| revocations.note_user(&format!("user{number}"), now));
        };
        fill(0, at(0));
        let later = at(USER.as_secs() + 1);
        revocations.note_user("alice", later);
        assert_eq!(revocations.notes().kept.len(), 1);
        assert!(revocations.notes().all.is_none());
        // Those of sessions go sooner, unless a token was seen that lives longer.
        revocations.note_logout(&Logout { issuer: "i", subject: Some("s"), session: None }, later);
        let day = later + SESSION + Duration::from_secs(1);
        let longest = Duration::from_secs(3 * 24 * 3600);
        revocations.notes().make_room(day, longest);
        revocations.notes().make_room(day, Duration::MAX);
        assert_eq!(revocations.notes().kept.len(), 2);
        revocations.notes().make_room(day, Duration::ZERO);
        assert_eq!(revocations.notes().kept.len(), 1);
    }

    #[test]
    fn what_there_is_no_room_for_voids_too_much_rather_than_too_little() {
        let revocations = Revocations::default();
        for number in 0..u64::try_from(MOST).unwrap() {
            revocations.note_user(&format!("user{number}"), at(number));
        }
        assert!(!revocations.void(&token(&revocations, &["bob"], at(0))));
        revocations.note_user("one too many", at(100_000));
        assert!(revocations.notes().kept.len() <= MOST / 2 + 1);
        for number in 0..u64::try_from(MOST).unwrap() {
            let name = format!("user{number}");
            assert!(revocations.void(&token(&revocations, &[&name], at(number))), "{name}");
        }
        assert!(revocations.void(&token(&revocations, &["bob"], at(0))));
        assert!(!revocations.void(&token(&revocations, &["bob"], at(100_000))));
    }
}
