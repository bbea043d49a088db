//! What is said before anything was asked, and what is offered to whom.

use bytes::BytesMut;
use gatepost_protocol::dovecot::{MechFlags, reply::Reply};

use super::{Role, Session, VERSION};
use crate::mechanism::Mechanism;

impl Session {
    /// Says the whole greeting, unasked (R1: Exim waits for it) and with `SPID` after `MECH` (R3: Postfix takes
    /// the other order for a master socket and gives up).
    ///
    /// Only where mechanisms are offered that not every version of Dovecot can use, its login processes are first let say
    /// theirs, which they do unasked; nobody else connects there.
    pub fn greet(&self, out: &mut BytesMut) {
        Reply::Version(VERSION).encode(out);
        if !self.waits_to_announce() {
            self.announce(VERSION.minor, out);
        }
    }

    pub(super) fn waits_to_announce(&self) -> bool {
        self.role == Role::Login && self.offer.mechanisms.iter().any(|mechanism| mechanism.is_bound())
    }

    /// Whether a mechanism is for a client of this kind and minor version.
    pub(super) fn offers(&self, mechanism: Mechanism, minor: u32) -> bool {
        // A login process has the data of the TLS channel, and knows where strangers may be let in. An SMTP server that asks
        // here has neither, and would relay for anybody (R10).
        let for_logins = mechanism.is_bound() || mechanism == Mechanism::Anonymous;
        let fits = (self.role == Role::Login || !for_logins) && (minor >= 3 || !mechanism.is_bound());
        fits && self.offer.mechanisms.contains(&mechanism)
    }

    pub(super) fn announce(&self, minor: u32, out: &mut BytesMut) {
        for &mechanism in self.offer.mechanisms.iter().filter(|mechanism| self.offers(**mechanism, minor)) {
            let flags = MechFlags::of(mechanism.flags());
            Reply::Mech { name: mechanism.name(), flags }.encode(out);
        }
        Reply::Spid(self.shared.spid).encode(out);
        Reply::Cuid(self.connection).encode(out);
        Reply::Cookie(self.cookie).encode(out);
        Reply::Done.encode(out);
    }
}
