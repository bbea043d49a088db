//! What the operator sees: one event for each decision, and what the service manager is told.

mod buffer;
mod decided;
mod line;
pub mod log;
mod policed;
mod prepared;
mod room;
pub mod systemd;
mod time;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use tracing::{Level, debug, error, field::display, info, level_filters::LevelFilter, warn};

pub use self::{
    decided::Decided,
    policed::{no_such_request, policed},
    prepared::flush,
};
use crate::{
    account::Account,
    decision::{Answer, AppPassword, Attempt, Decision, Refusal, TempFail},
    directory::Unavailable,
    mechanism::Mechanism,
    username::Username,
};

/// Whether anybody wants the events of judged logins.
pub fn tells_decisions() -> bool {
    Level::INFO <= LevelFilter::current()
}

/// The event of a judged login: everything that led to it, and never the password.
///
/// What was refused is `info` like what was let in: failed logins are what tools that watch the log look for. An
/// outage of a directory is `error`, because a part has stopped, and what was too much to be answered is `warn`.
///
/// What a remote or a peer chose (name, service, session) goes in as a string value, which is written in quotes and
/// escaped: it cannot end its line or pass for another field.
pub fn decided(attempt: &Attempt, decision: &Decision, cache: Option<&'static str>, took: Duration) {
    let event = Decided {
        outcome: decision.outcome(),
        user: &attempt.claim.authcid,
        master: None,
        directory: None,
        provider: None,
        reason: None,
        app_password: None,
        service: attempt.service.as_bytes(),
        remote: attempt.remote,
        session: attempt.session.as_deref().map(str::as_bytes),
        mechanism: attempt.mechanism,
        trace: attempt.claim.credential.trace(),
        cache,
        took,
        asked: None,
    };
    match decision {
        Decision::Accept(verified) => Decided {
            user: verified.user().as_str().as_bytes(),
            master: verified.master().map(Username::as_str),
            directory: Some(&verified.account().directory),
            provider: verified.by().provider(),
            app_password: verified.by().app_password(),
            ..event
        }
        .tell(),
        Decision::Refuse(refusal) => {
            let event = Decided { reason: Some(refusal), app_password: refusal.app_password(), ..event };
            if let Refusal::TempFail(why) = refusal { event.tell_failure(why) } else { event.tell() }
        }
    }
}

/// The event of a login that did not get to its judgement, because what its mechanism needed could not be looked up.
pub fn stalled(stalled: &Stalled<'_>, why: &TempFail, took: Duration) {
    let Stalled { name, mechanism, service, remote, session } = *stalled;
    let took_us = micros(took);
    let (user, remote) = (&*String::from_utf8_lossy(name), Remote(remote));
    let (mechanism, outcome) = (mechanism.name(), "unavailable");
    match why {
        TempFail::Directory(unavailable) => error!(
            %outcome, user, directory = %unavailable.directory, reason = %unavailable,
            service, %remote, session, mechanism, took_us, "auth decided",
        ),
        TempFail::Provider(unavailable) => error!(
            %outcome, user, provider = %unavailable.provider, reason = %unavailable,
            service, %remote, session, mechanism, took_us, "auth decided",
        ),
        TempFail::Stored(_)
        | TempFail::Hashing(_)
        | TempFail::NoProvider
        | TempFail::Panicked
        | TempFail::Deadline
        | TempFail::TooManyRequests
        | TempFail::Stopping => warn!(
            %outcome, user, reason = %why, service, %remote, session, mechanism, took_us, "auth decided",
        ),
    }
}

/// The event of a login that did not get to its judgement, because what was said does not follow its mechanism.
pub fn breached(
    refusal: &Refusal,
    mechanism: Mechanism,
    service: &str,
    remote: Option<IpAddr>,
    session: Option<&str>,
) {
    let (outcome, remote) = (refusal.outcome(), Remote(remote));
    let mechanism = mechanism.name();
    info!(%outcome, reason = %refusal, service, %remote, session, mechanism, "auth decided");
}

/// A login that was not judged.
#[derive(Debug, Clone, Copy)]
pub struct Stalled<'a> {
    /// Who says that they are there, as typed.
    pub name: &'a [u8],
    /// How they wanted to prove it.
    pub mechanism: Mechanism,
    /// What they wanted to use.
    pub service: &'a str,
    /// Their address.
    pub remote: Option<IpAddr>,
    /// The peer's name of the session.
    pub session: Option<&'a str>,
}

/// The event of somebody who wanted to be somebody else, whatever came of it: who is known to be a master user, and who
/// tried to pass for one, is to be found in one place. The event of the login itself follows.
pub fn master_login(master: &Username, user: &Username, attempt: &Attempt, verdict: Result<(), &Refusal>) {
    let (master, user, mechanism) = (master.as_str(), user.as_str(), attempt.mechanism.name());
    let (service, remote, session) = (&*attempt.service, Remote(attempt.remote), attempt.session.as_deref());
    let (outcome, reason) = match verdict {
        Ok(()) => ("verified", None),
        Err(refusal) => (refusal.outcome(), Some(refusal)),
    };
    let reason = reason.map(display);
    info!(%outcome, master, user, reason, service, %remote, session, mechanism, "master login");
}

/// Its id and its label.
fn app_password(which: Option<&AppPassword>) -> (Option<&str>, Option<&str>) {
    (which.map(|which| &*which.id), which.map(|which| &*which.label))
}

/// The event of a lookup without a credential. LMTP makes one a recipient, so it is for debugging, unless it failed.
pub fn looked_up(name: &[u8], found: &Result<Option<Arc<Account>>, Unavailable>, took: Duration) {
    let took_us = micros(took);
    let user = String::from_utf8_lossy(name);
    let user = &*user;
    match found {
        Ok(Some(account)) => debug!(user, directory = %account.directory, took_us, "user found"),
        Ok(None) => debug!(user, took_us, "user not found"),
        Err(unavailable) => {
            error!(user, directory = %unavailable.directory, reason = %unavailable, took_us, "user not looked up");
        }
    }
}

/// The event of a lookup in a map: of these, too, Postfix makes many a message.
pub fn mapped(name: &[u8], key: &[u8], found: &Result<Answer, Unavailable>, took: Duration) {
    if matches!(found, Ok(Answer::Found(_) | Answer::NotThere)) && LevelFilter::current() < Level::DEBUG {
        return;
    }
    let took_us = micros(took);
    let (map, key) = (name.escape_ascii(), String::from_utf8_lossy(key));
    let key = &*key;
    match found {
        Ok(Answer::Found(_)) => debug!(%map, key, took_us, "key found"),
        Ok(Answer::NotThere) => debug!(%map, key, took_us, "key not found"),
        // The configuration of whoever asks is wrong.
        Ok(Answer::NoSuchMap) => warn!(%map, "a map is asked for that there is none of"),
        Ok(Answer::NotForYou) => warn!(%map, "a map is asked for by somebody who is none of its readers"),
        Err(unavailable) => {
            error!(%map, key, directory = %unavailable.directory, reason = %unavailable, took_us, "key not looked up");
        }
    }
}

/// In whole microseconds.
fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// An address, `-` where there is none that is known.
struct Remote(Option<IpAddr>);

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None | Some(Attempt::UNKNOWN_REMOTE) => f.write_str("-"),
            Some(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;
    use tracing_subscriber::{Registry, filter::LevelFilter, fmt::MakeWriter, layer::SubscriberExt as _};

    use super::{Duration, Mechanism, Refusal, Stalled, TempFail, Unavailable, line::Lines};
    use crate::mechanism::Breach;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Written {
        /// Its lines without their times, which are those of RFC 3339 and of this minute.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let line = |line: &str| {
                let (time, rest) = line.split_once(' ').unwrap();
                // A clock may be set back meanwhile.
                let written = humantime::parse_rfc3339(time).unwrap();
                let since = written.elapsed().unwrap_or_else(|ahead| ahead.duration());
                assert!(since.as_secs() < 60 && time.len() == "2026-01-01T00:00:00.000000Z".len(), "{time}");
                rest.to_owned()
            };
            text.lines().map(line).collect()
        }
    }

    /// What some events are written as.
    pub(super) fn lines(events: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let lines = Lines({
            let written = written.clone();
            move |line: &[u8]| written.0.lock().unwrap().extend_from_slice(line)
        });
        with_default(Registry::default().with(LevelFilter::DEBUG).with(lines), events);
        written.lines()
    }

    /// What the library writes them as.
    pub(super) fn by_the_library(events: impl FnOnce()) -> Vec<String> {
        let written = Written::default();
        let library = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::DEBUG)
            .with_target(false)
            .with_ansi(false)
            .with_writer(written.clone());
        with_default(library.finish(), events);
        written.lines()
    }
    #[test]
    fn what_did_not_get_to_its_judgement_is_written_like_what_did() {
        let (mechanism, remote) = (Mechanism::Plain, Some("192.0.2.7".parse().unwrap()));
        let (service, session) = ("imap", Some("tiSR"));
        let stalled = Stalled { name: b"a\"b", mechanism, service, remote, session };
        let breach = Refusal::MechanismBreach(Breach::Grammar);
        let told = lines(|| {
            super::stalled(&stalled, &TempFail::Deadline, Duration::from_micros(7));
            let unavailable = Unavailable::new("people", "it is away");
            super::stalled(&stalled, &TempFail::Directory(unavailable), Duration::from_micros(7));
            super::breached(&breach, mechanism, service, remote, session);
            super::breached(&breach, mechanism, service, None, None);
        });
        let peer = "service=\"imap\" remote=192.0.2.7 session=\"tiSR\" mechanism=\"PLAIN\"";
        let user = "user=\"a\\\"b\"";
        let reason = breach.to_string();
        assert_eq!(
            told,
            [
                format!(
                    " WARN auth decided outcome=unavailable {user} reason={} {peer} took_us=7",
                    TempFail::Deadline
                ),
                format!(
                    "ERROR auth decided outcome=unavailable {user} directory=people reason=directory people is unavailable: it is away {peer} took_us=7"
                ),
                format!(" INFO auth decided outcome=mechanism_breach reason={reason} {peer}"),
                format!(
                    " INFO auth decided outcome=mechanism_breach reason={reason} service=\"imap\" remote=- \
                     mechanism=\"PLAIN\""
                ),
            ]
        );
    }
}
