//! The event of a login.

use std::{
    borrow::Cow,
    net::IpAddr,
    time::{Duration, Instant},
};

use tracing::{error, field::display, info, warn};

use super::{
    Remote, app_password, micros,
    prepared::{self, Logged},
    room::Room,
};
use crate::{
    decision::{AppPassword, Refusal, TempFail},
    mechanism::Mechanism,
};

/// Where its events come from, as filters name it.
pub(super) const TARGET: &str = module_path!();

/// A login that was let in or refused, as its event tells it. All of it is borrowed: where an answer is at hand without
/// anything being allocated, its event is too.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// [`Decision::outcome`](crate::decision::Decision::outcome).
    pub outcome: &'static str,
    /// Who was let in, by their canonical name; who was refused, as typed.
    pub user: &'a [u8],
    /// The master user who acts as them.
    pub master: Option<&'a str>,
    /// The directory that knows who was let in.
    pub directory: Option<&'a str>,
    /// The provider that vouches for their token.
    pub provider: Option<&'a str>,
    /// Why they were refused.
    pub reason: Option<&'a Refusal>,
    /// The app password that was given.
    pub app_password: Option<&'a AppPassword>,
    /// What was to be used, as the peer spells it.
    pub service: &'a [u8],
    /// The address of the remote.
    pub remote: Option<IpAddr>,
    /// The peer's name of the session.
    pub session: Option<&'a [u8]>,
    /// How they wanted to prove who they are.
    pub mechanism: Mechanism,
    /// What somebody says of themselves who does not say who they are.
    pub trace: Option<&'a str>,
    /// `hit` for an answer from memory, `stale` for one that has outlived its time because the directory does not answer.
    pub cache: Option<&'static str>,
    /// From the question to its answer.
    pub took: Duration,
    /// When the question came, if it is just now that it took so long.
    pub asked: Option<Instant>,
}

impl Decided<'_> {
    /// Logs it as `info`. Not for what is temporary.
    pub fn tell(&self) {
        prepared::info(self.logged(), false, |line| self.put_into(line), || self.tell_fields());
    }

    /// The same where many come at once: it may wait for [`flush`](super::flush).
    pub fn tell_soon(&self) {
        prepared::info(self.logged(), true, |line| self.put_into(line), || self.tell_fields());
    }

    fn logged(&self) -> Option<Logged> {
        self.asked.map(|asked| Logged { asked, took: self.took })
    }

    #[inline]
    fn tell_fields(&self) {
        let Self { outcome, master, trace, cache, .. } = *self;
        let (user, service, session) = self.texts();
        let (user, service, session) = (&*user, &*service, session.as_deref());
        let (directory, reason) = (self.directory.map(display), self.reason.map(display));
        let provider = self.provider.map(display);
        let (app_password, label) = app_password(self.app_password);
        let (remote, mechanism, took_us) = (Remote(self.remote), self.mechanism.name(), micros(self.took));
        info!(
            %outcome, user, master, directory, provider, reason, app_password, label,
            service, %remote, session, mechanism, trace, cache, took_us, "auth decided",
        );
    }

    /// What others chose: name, service and session.
    fn texts(&self) -> (Cow<'_, str>, Cow<'_, str>, Option<Cow<'_, str>>) {
        let text = String::from_utf8_lossy;
        (text(self.user), text(self.service), self.session.map(text))
    }

    /// Logs that nobody could judge it.
    pub(super) fn tell_failure(&self, why: &TempFail) {
        let outcome = self.outcome;
        let (user, service, session) = self.texts();
        let (user, service, session) = (&*user, &*service, session.as_deref());
        let (remote, mechanism, took_us) = (Remote(self.remote), self.mechanism.name(), micros(self.took));
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
                %outcome, user, reason = self.reason.map(display),
                service, %remote, session, mechanism, took_us, "auth decided",
            ),
        }
    }

    /// The line of it, of those that are let in or refused all day long. It says what the fields say.
    #[inline]
    fn put_into(&self, line: &mut Room<'_>) -> Option<()> {
        if self.master.is_some() || self.app_password.is_some() || self.trace.is_some() {
            return None;
        }
        line.put(b"auth decided outcome=")?;
        line.word(self.outcome)?;
        line.put(b" user=\"")?;
        line.quoted(self.user)?;
        if let Some(directory) = self.directory {
            line.put(b" directory=")?;
            line.word(directory)?;
        }
        if let Some(provider) = self.provider {
            line.put(b" provider=")?;
            line.word(provider)?;
        }
        if let Some(reason) = self.reason {
            line.put(b" reason=")?;
            line.show(reason)?;
        }
        line.put(b" service=\"")?;
        line.quoted(self.service)?;
        line.put(b" remote=")?;
        line.address(self.remote)?;
        if let Some(session) = self.session {
            line.put(b" session=\"")?;
            line.quoted(session)?;
        }
        line.put(b" mechanism=\"")?;
        line.word(self.mechanism.name())?;
        if let Some(cache) = self.cache {
            line.put(b"\" cache=\"")?;
            line.word(cache)?;
        }
        line.put(b"\" took_us=")?;
        line.number(micros(self.took))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        time::{Duration, Instant},
    };

    use proptest::{option, prelude::*, sample::select};

    use super::Decided;
    use crate::{
        app_password::Scope,
        decision::{AppPassword, Refusal},
        mechanism::Mechanism,
        observe::{
            prepared,
            room::Room,
            tests::{by_the_library, lines},
        },
    };

    const LOGIN: Decided<'_> = Decided {
        outcome: "verified",
        user: b"alice@example.org",
        master: None,
        directory: Some("people"),
        provider: None,
        reason: None,
        app_password: None,
        service: b"imap",
        remote: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
        session: Some(b"tiSRKzdTAMwKAQAC"),
        mechanism: Mechanism::Plain,
        trace: None,
        cache: None,
        took: Duration::from_micros(1234),
        asked: None,
    };

    /// The line as it is prepared, as it is made from the fields, and as the library makes it.
    fn ways(event: &Decided<'_>) -> [Vec<String>; 3] {
        prepared::wanted(None);
        [lines(|| event.tell()), lines(|| event.tell_fields()), by_the_library(|| event.tell())]
    }

    fn is_prepared(event: &Decided<'_>) -> bool {
        event.put_into(&mut Room(&mut [0; 512])).is_some()
    }

    #[test]
    fn who_is_let_in_has_a_line_of_this_form() {
        let expected = " INFO auth decided outcome=verified user=\"alice@example.org\" directory=people \
            service=\"imap\" remote=192.0.2.7 session=\"tiSRKzdTAMwKAQAC\" mechanism=\"PLAIN\" took_us=1234";
        assert_eq!(ways(&LOGIN), [[expected]; 3]);
        let expected = expected.replace(" took", " cache=\"hit\" took");
        let hit = Decided { cache: Some("hit"), ..LOGIN };
        assert_eq!(ways(&hit), [[&*expected]; 3]);
        let token = Decided { provider: Some("idp"), ..hit };
        let expected = expected.replace(" service", " provider=idp service");
        assert_eq!(ways(&token), [[&*expected]; 3]);
        assert!(is_prepared(&LOGIN) && is_prepared(&hit) && is_prepared(&token));
    }

    #[test]
    fn who_is_refused_has_a_line_of_this_form() {
        let refused = Decided {
            outcome: "rejected",
            directory: None,
            reason: Some(&Refusal::PasswordMismatch),
            remote: None,
            session: None,
            cache: Some("hit"),
            ..LOGIN
        };
        let expected = " INFO auth decided outcome=rejected user=\"alice@example.org\" reason=wrong password \
            service=\"imap\" remote=- mechanism=\"PLAIN\" cache=\"hit\" took_us=1234";
        assert_eq!(ways(&refused), [[expected]; 3]);
        assert!(is_prepared(&refused));
    }

    #[test]
    fn a_line_that_was_not_wanted_is_not_that_of_another_event() {
        prepared::wanted(None);
        // Nobody takes it.
        LOGIN.tell();
        assert_eq!(lines(|| tracing::warn!("another")), [" WARN another"]);
        let both = lines(|| {
            LOGIN.tell();
            tracing::warn!("another");
        });
        assert_eq!(both.len(), 2);
        assert_eq!(both[1], " WARN another");
    }

    #[test]
    fn a_line_without_an_end_is_written_too() {
        let name = "a".repeat(100_000);
        let long = Decided { user: name.as_bytes(), ..LOGIN };
        let [ours, fields, library] = ways(&long);
        assert!(!is_prepared(&long) && ours == fields && ours == library && ours[0].len() > name.len());
    }

    /// What somebody may call themselves who wants to be taken for somebody else, or for another line.
    fn any_text() -> impl Strategy<Value = String> {
        let piece = select(&[
            "a",
            "@example.org",
            "\"",
            "\\",
            "\n",
            "\u{1b}[2J",
            " outcome=verified",
            "ü",
            "\u{9b}",
            "\0",
            "=",
        ]);
        prop_oneof![
            ".{0,40}",
            "[ -~]{0,40}",
            "[a-z]{1,600}",
            proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
        ]
    }

    fn any_remote() -> impl Strategy<Value = Option<IpAddr>> {
        option::of(prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from)
        ])
    }

    proptest! {
        #[test]
        fn a_line_says_the_same_whichever_way_it_is_made(
            (user, service) in (any_text(), any_text()),
            (master, session, trace) in (option::of(any_text()), option::of(any_text()), option::of("[a-z]{0,3}")),
            (remote, mechanism) in (any_remote(), select(&Mechanism::ALL)),
            (refused, token) in any::<(bool, bool)>(),
            app_password in option::of(any_text()),
            cache in option::of(select(&["hit", "stale"])),
            (took, looked) in (0..1u64 << 40, any::<bool>()),
        ) {
            let which = app_password.map(|label| AppPassword { id: "4k7mx2".into(), label: label.into(), own: None, scope: Scope::everything() });
            let event = Decided {
                user: user.as_bytes(),
                master: master.as_deref(),
                directory: (!refused).then_some("people"),
                provider: token.then_some("idp"),
                reason: refused.then_some(&Refusal::UserUnknown),
                app_password: which.as_ref(),
                service: service.as_bytes(),
                remote,
                session: session.as_deref().map(str::as_bytes),
                mechanism,
                trace: trace.as_deref(),
                cache,
                took: Duration::from_nanos(took),
                asked: Instant::now().checked_sub(Duration::from_nanos(took)).filter(|_| looked),
                ..LOGIN
            };
            let [ours, fields, library] = ways(&event);
            prop_assert_eq!(&ours, &fields);
            prop_assert_eq!(&ours, &library);
            prop_assert_eq!(ours.len(), 1);
            let plain = |text: &str| text.len() < 100 && text.is_ascii() && format!("{text:?}") == format!("\"{text}\"");
            let usual = event.master.is_none() && event.app_password.is_none() && event.trace.is_none();
            let usual = usual && [&*user, &*service, session.as_deref().unwrap_or("")].into_iter().all(plain);
            prop_assert!(is_prepared(&event) || !usual);
        }
    }
}
