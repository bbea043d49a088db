//! What an app password is good for.

use std::{fmt, net::IpAddr};

use super::Moment;
use crate::account::{Net, Services, admits};

/// Where, for what and how long an app password lets somebody in. It takes away only: the account's own rules are
/// applied besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Whether it is in use at all.
    pub active: bool,
    /// For which services.
    pub services: Services,
    /// From where; `None`: from everywhere.
    pub allow_nets: Option<Vec<Net>>,
    /// From when on no more; `None`: never.
    pub expires_at: Option<Moment>,
}

/// Why a right app password lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// It is switched off.
    Inactive,
    /// Its time is over.
    Expired,
    /// It is for other services.
    Service,
    /// It is for other networks.
    Network,
    /// It is for its owner, and not for who wants to act as somebody else.
    OnBehalf,
}

impl Scope {
    /// Everything, for ever.
    pub fn everything() -> Self {
        Self { active: true, services: Services::default(), allow_nets: None, expires_at: None }
    }

    /// Whether it lets somebody in to `service` from `remote`.
    ///
    /// # Errors
    ///
    /// The first thing that speaks against it.
    pub fn admit(&self, service: &str, remote: Option<IpAddr>, now: Moment) -> Result<(), Barred> {
        if !self.active {
            return Err(Barred::Inactive);
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Barred::Expired);
        }
        if !self.services.allow(service) {
            return Err(Barred::Service);
        }
        if !admits(self.allow_nets.as_deref(), remote) {
            return Err(Barred::Network);
        }
        Ok(())
    }
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "is switched off",
            Self::Expired => "has expired",
            Self::Service => "is not for this service",
            Self::Network => "is not for the remote address",
            Self::OnBehalf => "lets nobody act as somebody else",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Barred, Moment, Scope};
    use crate::account::{Net, Services};

    #[test]
    fn each_rule_keeps_somebody_out_and_the_first_is_told() {
        let now = Moment::of_unix(1000);
        let scope = |change: &dyn Fn(&mut Scope)| {
            let mut scope = Scope::everything();
            change(&mut scope);
            scope.admit("imap", Some("192.0.2.7".parse().unwrap()), now)
        };
        assert_eq!(scope(&|_| {}), Ok(()));
        assert_eq!(scope(&|scope| scope.active = false), Err(Barred::Inactive));
        assert_eq!(scope(&|scope| scope.expires_at = Some(Moment::of_unix(1000))), Err(Barred::Expired));
        assert_eq!(scope(&|scope| scope.expires_at = Some(Moment::of_unix(1001))), Ok(()));
        assert_eq!(scope(&|scope| scope.services = Services::only("smtp")), Err(Barred::Service));
        assert_eq!(scope(&|scope| scope.services = Services::only("smtp IMAP")), Ok(()));
        let nets =
            |text: &'static str| move |scope: &mut Scope| scope.allow_nets = Net::parse_list(text).ok();
        assert_eq!(scope(&nets("198.51.100.0/24")), Err(Barred::Network));
        assert_eq!(scope(&nets("192.0.2.0/24")), Ok(()));
        let nothing = |scope: &mut Scope| {
            *scope = Scope {
                active: false,
                services: Services::only(""),
                allow_nets: Some(Vec::new()),
                expires_at: Some(Moment::of_unix(0)),
            }
        };
        assert_eq!(scope(&nothing), Err(Barred::Inactive));
    }
}
