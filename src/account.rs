//! What a directory knows of one person: who they are, how they prove it, where they may go and what a mail
//! process is told about them.

use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use gatepost_protocol::dovecot::FieldsBuf;
use ipnet::IpNet;

use crate::{
    password::{Stored, Unusable},
    username::Username,
};

/// One account, as one directory answered. Shared between the cache, the request table and replies.
#[derive(Debug, Clone)]
pub struct Account {
    /// The canonical login; every reply carries it.
    pub user: Username,
    /// The name of the directory that knows it.
    pub directory: Arc<str>,
    /// What a given password is compared with.
    pub password: Password,
    /// Whether the account may be used at all.
    pub state: State,
    /// Where a login may come from; `None` means everywhere.
    pub allow_nets: Option<Vec<Net>>,
    /// Which services it may use.
    pub services: Services,
    /// Set: the password is right but nobody may log in (Dovecot's `nologin`, with its `reason`).
    pub nologin: Option<Nologin>,
    /// Further fields of the passdb: what `OK` carries after `user=` (`proxy`, `host=` ...).
    pub passdb: FieldsBuf,
    /// The fields of the userdb: `uid=`, `gid=`, `home=` and whatever else the mail processes are told.
    pub userdb: FieldsBuf,
}

/// The stored password of an account.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// There is none, as far as the directory knows.
    #[default]
    Missing,
    /// It is locked: nobody is to log in with one, whoever says that it is right.
    Locked,
    /// This one.
    Stored(Stored),
    /// The directory itself checks it, for the entry of this name (of an LDAP directory: its DN).
    Bind(Arc<str>),
    /// Another directory knows it, and says whether it may still be used. Everything else is as this account has it.
    Elsewhere(Arc<Elsewhere>),
    /// There is one that cannot be verified here. Nobody can say whether a given password is right, so a login is a
    /// temporary failure; that does not keep mail from being delivered.
    Unusable(Unusable),
}

/// Where to have a password checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The name of the directory.
    pub directory: Arc<str>,
    /// As whom to be looked up there, if not by the canonical name.
    pub user: Option<Username>,
}

/// Whether somebody may log in to an account at all. Mail is delivered to it whatever this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// They may.
    Active,
    /// They may until so many seconds after 1970 began, in UTC; from then on the account has expired.
    Until(i64),
    /// The password has run out, or the account.
    Expired,
    /// Switched off by an administrator (`active = 0`).
    Disabled,
}

impl State {
    /// What it is at that moment: never [`State::Until`].
    pub fn at(self, now: SystemTime) -> Self {
        match self {
            Self::Until(end) => {
                let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                if i64::try_from(now).is_ok_and(|now| now < end) { Self::Active } else { Self::Expired }
            }
            Self::Active | Self::Expired | Self::Disabled => self,
        }
    }

    /// The stricter of two.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disabled, _) | (_, Self::Disabled) => Self::Disabled,
            (Self::Expired, _) | (_, Self::Expired) => Self::Expired,
            (Self::Until(one), Self::Until(another)) => Self::Until(one.min(another)),
            (Self::Until(end), Self::Active) | (Self::Active, Self::Until(end)) => Self::Until(end),
            (Self::Active, Self::Active) => Self::Active,
        }
    }
}

/// A login that is refused after the password was found right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nologin {
    /// Text for the person, shown as it is.
    pub reason: Option<String>,
}

/// One entry of `allow_nets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// An address range.
    Range(IpNet),
    /// Dovecot's `local`: requests that carry no address at all.
    Local,
}

/// The services that an account may use. All, until a row says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Services {
    /// Only these, if set.
    only: Option<Vec<String>>,
    /// Never these.
    never: Vec<String>,
}

impl Password {
    /// The same, of the account with this name: what some schemes hash along with it.
    #[must_use]
    pub fn belonging_to(self, user: &str) -> Self {
        match self {
            Self::Stored(stored) => Self::Stored(stored.belonging_to(user)),
            Self::Missing | Self::Locked | Self::Bind(_) | Self::Elsewhere(_) | Self::Unusable(_) => self,
        }
    }

    /// The stored one, if it can be verified.
    pub const fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Missing | Self::Locked | Self::Bind(_) | Self::Elsewhere(_) | Self::Unusable(_) => None,
        }
    }
}

impl Account {
    /// The same account, whose line says only that it is called by another name, with what the directory has under that
    /// name: where mail lives, which is one place for all names of somebody, and whether it is switched off, which
    /// another name must not lead around. Who may log in by this name, from where and with which password, stays.
    #[must_use]
    pub fn owned_by(&self, owner: &Self) -> Self {
        Self { userdb: owner.userdb.clone(), state: self.state.and(owner.state), ..self.clone() }
    }

    /// Whether a request from `remote` satisfies `allow_nets`.
    pub fn admits(&self, remote: Option<IpAddr>) -> bool {
        admits(self.allow_nets.as_deref(), remote)
    }
}

#[cfg(test)]
impl Account {
    /// Somebody of whom nothing but the name is known.
    pub(crate) fn named(user: &str) -> Self {
        Self {
            user: Username::normalise(user.as_bytes(), None).unwrap(),
            directory: "people".into(),
            password: Password::Missing,
            state: State::Active,
            allow_nets: None,
            services: Services::default(),
            nologin: None,
            passdb: Default::default(),
            userdb: Default::default(),
        }
    }
}

/// Whether a request from `remote` satisfies `nets`; `None` admits every one.
pub fn admits(nets: Option<&[Net]>, remote: Option<IpAddr>) -> bool {
    let Some(nets) = nets else { return true };
    // An IPv4 client behind a dual-stack listener shows up as ::ffff:a.b.c.d.
    let remote = remote.map(|address| address.to_canonical());
    nets.iter().any(|net| match (net, remote) {
        (Net::Range(range), Some(address)) => range.contains(&address),
        (Net::Local, None) => true,
        (Net::Range(_), None) | (Net::Local, Some(_)) => false,
    })
}

impl Services {
    /// Only the services of a list such as `imap pop3` or `imap,pop3`.
    pub fn only(list: &str) -> Self {
        let names = list.split([',', ' ', '\t']).filter(|name| !name.is_empty());
        Self { only: Some(names.map(|name| canonical(name).into_owned()).collect()), never: Vec::new() }
    }

    /// Takes one service away or leaves it (`imap = 0`).
    pub fn set(&mut self, service: &str, allowed: bool) {
        let service = canonical(service);
        self.never.retain(|name| **name != *service);
        if !allowed {
            self.never.push(service.into_owned());
        }
    }

    /// Whether no row has said anything.
    pub fn are_all(&self) -> bool {
        self.only.is_none() && self.never.is_empty()
    }

    /// The names of all services that something is said of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.only.iter().flatten().chain(&self.never).map(String::as_str)
    }

    /// Whether mail is taken in for the account by `service`, as a peer spells it, or told about where it lives.
    ///
    /// Only `lmtp = no` says that it is not, to LMTP and Dovecot's delivery agent. A list of services is one of logins:
    /// who may use IMAP alone gets mail all the same.
    pub fn deliver(&self, service: &str) -> bool {
        !is_delivery(service) || !self.never.iter().any(|name| name == LMTP)
    }

    /// Whether `service`, as a peer spells it, may be used.
    pub fn allow(&self, service: &str) -> bool {
        if self.are_all() {
            return true;
        }
        let service = canonical(service);
        let listed = self.only.as_ref().is_none_or(|names| names.iter().any(|name| **name == *service));
        listed && !self.never.iter().any(|name| **name == *service)
    }
}

const LMTP: &str = "lmtp";

/// Whether a service, as a peer spells it, takes mail in and logs nobody in.
pub fn is_delivery(service: &str) -> bool {
    canonical(service) == LMTP
}

/// One name for the spellings of one service: Dovecot says `sieve` or `managesieve`, submission is SMTP to a user, its
/// delivery agent does what LMTP does, and who writes `IMAP` means `imap`.
fn canonical(service: &str) -> Cow<'_, str> {
    let service = if service.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(service.to_ascii_lowercase())
    } else {
        Cow::Borrowed(service)
    };
    match &*service {
        "managesieve" => Cow::Borrowed("sieve"),
        "submission" => Cow::Borrowed("smtp"),
        "lda" => Cow::Borrowed(LMTP),
        _ => service,
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

/// Not an address, a range or `local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidNet;

impl std::str::FromStr for Net {
    type Err = InvalidNet;

    fn from_str(text: &str) -> Result<Self, InvalidNet> {
        if text.eq_ignore_ascii_case("local") {
            return Ok(Self::Local);
        }
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        range.map(Self::Range).map_err(|_| InvalidNet)
    }
}

impl Net {
    /// Reads `allow_nets`: ranges, addresses and `local`, separated by commas or spaces.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, InvalidNet> {
        text.split([',', ' ', '\t']).filter(|part| !part.is_empty()).map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::{Account, InvalidNet, Net, Services, State};

    fn account(nets: Option<&str>) -> Account {
        let allow_nets = nets.map(|text| Net::parse_list(text).unwrap());
        Account { allow_nets, ..Account::named("alice@example.org") }
    }

    #[test]
    fn allow_nets_admits_only_what_it_names() {
        let table: &[(Option<&str>, Option<&str>, bool)] = &[
            (None, Some("203.0.113.9"), true),
            (None, None, true),
            (Some("203.0.113.0/24"), Some("203.0.113.9"), true),
            (Some("203.0.113.0/24"), Some("::ffff:203.0.113.9"), true),
            (Some("203.0.113.0/24"), Some("203.0.114.9"), false),
            (Some("203.0.113.0/24"), None, false),
            (Some("local"), None, true),
            (Some("local"), Some("127.0.0.1"), false),
            (Some("2001:db8::/32,198.51.100.7"), Some("2001:db8::1"), true),
            (Some("2001:db8::/32 198.51.100.7"), Some("198.51.100.7"), true),
            (Some(""), Some("198.51.100.7"), false),
        ];
        for (nets, remote, expected) in table {
            let remote = remote.map(|text| text.parse().unwrap());
            assert_eq!(account(*nets).admits(remote), *expected, "{nets:?} {remote:?}");
        }
        assert_eq!(Net::parse_list("10.0.0.0/8,nonsense"), Err(InvalidNet));
    }

    #[test]
    fn only_lmtp_itself_keeps_mail_out() {
        for (list, switch, service, delivered) in [
            (None, None, "lmtp", true),
            (None, Some(("lmtp", false)), "lmtp", false),
            (None, Some(("lmtp", false)), "LMTP", false),
            (None, Some(("lmtp", false)), "lda", false),
            (None, Some(("lmtp", false)), "doveadm", true),
            (None, Some(("lmtp", false)), "", true),
            (None, Some(("lmtp", true)), "lmtp", true),
            (None, Some(("imap", false)), "lmtp", true),
            (Some("imap"), None, "lmtp", true),
            (Some(""), None, "lmtp", true),
            (Some("imap lmtp"), Some(("lmtp", false)), "lmtp", false),
        ] {
            let mut services = list.map(Services::only).unwrap_or_default();
            if let Some((name, allowed)) = switch {
                services.set(name, allowed);
            }
            assert_eq!(services.deliver(service), delivered, "{list:?} {switch:?} {service}");
        }
    }

    #[test]
    fn an_account_runs_out_at_its_second() {
        use State::{Active, Disabled, Expired, Until};
        let at = |seconds| UNIX_EPOCH + std::time::Duration::from_millis(seconds);
        assert_eq!(Until(2).at(at(1_999)), Active);
        assert_eq!(Until(2).at(at(2_000)), Expired);
        assert_eq!(Until(0).at(at(0)), Expired);
        assert_eq!(Until(-5).at(at(0)), Expired);
        assert_eq!(Until(i64::MAX).at(at(0)), Active);
        for state in [Active, Expired, Disabled] {
            assert_eq!(state.at(at(0)), state);
        }
        for (one, another, stricter) in [
            (Active, Active, Active),
            (Active, Until(5), Until(5)),
            (Until(7), Until(5), Until(5)),
            (Until(7), Expired, Expired),
            (Disabled, Expired, Disabled),
            (Active, Disabled, Disabled),
        ] {
            assert_eq!((one.and(another), another.and(one)), (stricter, stricter));
        }
    }

    #[test]
    fn services_are_all_until_a_row_says_otherwise() {
        let mut services = Services::default();
        assert!(services.allow("imap") && services.allow("anything"));
        services.set("imap", false);
        assert!(!services.allow("imap") && services.allow("pop3"));
        services.set("imap", true);
        assert!(services.allow("imap"));
        services.set("smtp", false);
        assert!(!services.allow("SMTP") && !services.allow("Submission"), "a capital opens no door");
        assert!(Services::only("IMAP ManageSieve").allow("imap"));
        assert!(Services::only("IMAP ManageSieve").allow("sieve"));
        let mut listed = Services::only("imap, sieve");
        assert!(listed.allow("imap") && listed.allow("managesieve") && !listed.allow("smtp"));
        listed.set("imap", false);
        assert!(!listed.allow("imap"));
        assert!(!Services::only("").allow("imap"));
    }
}
