//! What the operator sees: one event for each decision, and what the service manager is told.

mod buffer;
mod line;
pub mod log;
pub mod systemd;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tracing::{debug, error, field::display, info, warn};

use crate::{
    account::Account,
    decision::{AppPassword, Attempt, Decision, Refusal, TempFail, Verified},
    directory::Unavailable,
    mechanism::Mechanism,
    username::Username,
};

/// The event of a judged login: everything that led to it, and never the password.
///
/// What was refused is `info` like what was let in: failed logins are what tools that watch the log look for. An
/// outage of a directory is `error`, because a part has stopped, and what was too much to be answered is `warn`.
///
/// What a remote or a peer chose (name, service, session) goes in as a string value, which is written in quotes and
/// escaped: it cannot end its line or pass for another field.
pub fn decided(attempt: &Attempt, decision: &Decision, cache: Option<&'static str>, took: Duration) {
    let user = String::from_utf8_lossy(&attempt.claim.authcid);
    let event = Decided {
        outcome: decision.outcome(),
        user: &user,
        master: None,
        directory: None,
        reason: None,
        app_password: None,
        service: &attempt.service,
        remote: attempt.remote,
        session: attempt.session.as_deref(),
        mechanism: attempt.mechanism,
        trace: attempt.claim.credential.trace(),
        cache,
        took,
    };
    match decision {
        Decision::Accept(verified) => Decided {
            user: verified.user().as_str(),
            master: verified.master().map(Username::as_str),
            directory: Some(&verified.account().directory),
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

/// A login that was let in or refused, as its event tells it. All of it is borrowed: where an answer is at hand without
/// anything being allocated, its event is too.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// [`Decision::outcome`].
    pub outcome: &'static str,
    /// Who was let in, by their canonical name; who was refused, as typed.
    pub user: &'a str,
    /// The master user who acts as them.
    pub master: Option<&'a str>,
    /// The directory that knows who was let in.
    pub directory: Option<&'a str>,
    /// Why they were refused.
    pub reason: Option<&'a Refusal>,
    /// The app password that was given.
    pub app_password: Option<&'a AppPassword>,
    /// What was to be used, as the peer spells it.
    pub service: &'a str,
    /// The address of the remote.
    pub remote: Option<IpAddr>,
    /// The peer's name of the session.
    pub session: Option<&'a str>,
    /// How they wanted to prove who they are.
    pub mechanism: Mechanism,
    /// What somebody says of themselves who does not say who they are.
    pub trace: Option<&'a str>,
    /// `hit` for an answer from memory, `stale` for one that has outlived its time because the directory does not answer.
    pub cache: Option<&'static str>,
    /// From the question to its answer.
    pub took: Duration,
}

impl Decided<'_> {
    /// Logs it as `info`. Not for what is temporary.
    pub fn tell(&self) {
        let Self { outcome, user, master, service, session, trace, cache, .. } = *self;
        let (directory, reason) = (self.directory.map(display), self.reason.map(display));
        let (app_password, label) = app_password(self.app_password);
        let (remote, mechanism, took_us) = (Shown(&self.remote), self.mechanism.name(), micros(self.took));
        info!(
            %outcome, user, master, directory, reason, app_password, label,
            service, %remote, session, mechanism, trace, cache, took_us, "auth decided",
        );
    }

    /// Logs that nobody could judge it.
    fn tell_failure(&self, why: &TempFail) {
        let Self { outcome, user, service, session, .. } = *self;
        let (remote, mechanism, took_us) = (Shown(&self.remote), self.mechanism.name(), micros(self.took));
        match why {
            TempFail::Directory(unavailable) => error!(
                %outcome, user, directory = %unavailable.directory, reason = %unavailable,
                service, %remote, session, mechanism, took_us, "auth decided",
            ),
            TempFail::Stored(_)
            | TempFail::Hashing(_)
            | TempFail::Panicked
            | TempFail::Deadline
            | TempFail::TooManyRequests
            | TempFail::Stopping => warn!(
                %outcome, user, reason = self.reason.map(display),
                service, %remote, session, mechanism, took_us, "auth decided",
            ),
        }
    }
}

/// The event of a login that did not get to its judgement, because what its mechanism needed could not be looked up.
pub fn stalled(stalled: &Stalled<'_>, why: &TempFail, took: Duration) {
    let Stalled { name, mechanism, service, remote, session } = *stalled;
    let took_us = micros(took);
    let (user, remote) = (&*String::from_utf8_lossy(name), Shown(&remote));
    let (mechanism, outcome) = (mechanism.name(), "unavailable");
    match why {
        TempFail::Directory(unavailable) => error!(
            outcome, user, directory = %unavailable.directory, reason = %unavailable,
            service, %remote, session, mechanism, took_us, "auth decided",
        ),
        TempFail::Stored(_)
        | TempFail::Hashing(_)
        | TempFail::Panicked
        | TempFail::Deadline
        | TempFail::TooManyRequests
        | TempFail::Stopping => warn!(
            outcome, user, reason = %why, service, %remote, session, mechanism, took_us, "auth decided",
        ),
    }
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
pub fn master_login(
    master: &Username,
    user: &Username,
    attempt: &Attempt,
    verdict: &Result<Verified, Refusal>,
) {
    let (master, user, mechanism) = (master.as_str(), user.as_str(), attempt.mechanism.name());
    let (service, remote, session) = (&*attempt.service, Shown(&attempt.remote), attempt.session.as_deref());
    let (outcome, reason) = match verdict {
        Ok(_) => ("verified", None),
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

/// In whole microseconds.
fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Shows what may be missing as `-`.
struct Shown<'a, T>(&'a Option<T>);

impl<T: std::fmt::Display> std::fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
