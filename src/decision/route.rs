//! Where a login goes on that another server is to take: `proxy`, `proxy_maybe`, `host`.
//!
//! The login process connects to a number and knows nothing of `proxy_maybe`, so both are settled here, as Dovecot's
//! own service does it: a `host` that is a name gets its address as `hostip`, and `proxy_maybe` becomes `proxy`, or
//! nothing at all if it leads to the very server that asks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use gatepost_protocol::dovecot::FieldsBuf;

use super::Hop;
use crate::{account::Account, directory::Unavailable};

/// How long the system may take to find the addresses of a name. A login waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long addresses are used without asking again.
const FRESH: Duration = Duration::from_secs(30);

/// How long they are used where nobody answers: servers move seldom, and name servers fail.
const STALE: Duration = Duration::from_secs(3600);

/// How many names are remembered.
const NAMES: usize = 1024;

/// What a proxy that would lead to its own server leaves behind: nothing. Dovecot's list.
const DROPPED: [&[u8]; 6] = [b"proxy", b"proxy_maybe", b"host", b"hostip", b"port", b"destuser"];

/// Knows which servers are this one, and where others are.
#[derive(Debug, Default)]
pub(super) struct Router {
    /// Addresses of the servers that ask, besides the one that the remote came in at.
    own: Vec<IpAddr>,
    names: Mutex<HashMap<Box<str>, Known>>,
}

#[derive(Debug)]
struct Known {
    at: Instant,
    addresses: Arc<[IpAddr]>,
}

impl Router {
    pub(super) fn new(own: Vec<IpAddr>) -> Self {
        Self { own, names: Mutex::default() }
    }

    /// The account as the login process is to be told of it: the same, unless it goes on elsewhere.
    ///
    /// # Errors
    ///
    /// The host has no address that could be found out now.
    pub(super) async fn route(&self, account: Arc<Account>, hop: &Hop) -> Result<Arc<Account>, Unavailable> {
        let fields = account.passdb.as_fields();
        let (always, maybe) = (fields.has(b"proxy"), fields.has(b"proxy_maybe"));
        if !always && !maybe {
            return Ok(account);
        }
        let value = |key: &[u8]| {
            let value = fields.find(key).and_then(|field| field.value)?;
            Some(String::from_utf8_lossy(&value).into_owned())
        };
        let (host, hostip) = (value(b"host"), value(b"hostip"));
        let mut found = None;
        let addresses: Arc<[IpAddr]> = match (host.as_deref(), hostip.as_deref()) {
            (Some(host), _) if host.parse::<IpAddr>().is_ok() => host.parse().into_iter().collect(),
            (Some(_), Some(hostip)) => hostip.parse().into_iter().collect(),
            (Some(host), None) => {
                let addresses =
                    self.addresses(host).await.map_err(|why| Unavailable::new(&account.directory, why))?;
                found = addresses.first().copied();
                addresses
            }
            (None, _) => Arc::default(),
        };
        let itself = !always && self.is_own(&addresses, value(b"port").as_deref(), hop);
        if always && found.is_none() {
            return Ok(account);
        }
        let mut passdb = FieldsBuf::default();
        for field in fields.iter() {
            let key = &*field.key;
            let name = String::from_utf8_lossy(key);
            match field.value {
                _ if itself && DROPPED.contains(&key) => {}
                None if key == b"proxy_maybe" => passdb.flag("proxy"),
                None => passdb.flag(&name),
                Some(value) => passdb.push(&name, value),
            }
            if let (b"host", Some(address), false) = (key, found, itself) {
                passdb.push("hostip", address.to_string());
            }
        }
        Ok(Arc::new(Account { passdb, ..Account::clone(&account) }))
    }

    /// Whether the next hop is the server that asks: one of its addresses, and the port that the remote came in at.
    fn is_own(&self, addresses: &[IpAddr], port: Option<&str>, hop: &Hop) -> bool {
        let own = |address: &IpAddr| {
            let address = address.to_canonical();
            self.own.contains(&address) || hop.local.is_some_and(|local| local.to_canonical() == address)
        };
        let same_port = port.is_none_or(|port| port.parse().ok() == hop.port && hop.port.is_some());
        same_port && addresses.iter().any(own)
    }

    /// The addresses of a name, from memory or from the system.
    async fn addresses(&self, host: &str) -> Result<Arc<[IpAddr]>, &'static str> {
        let now = Instant::now();
        let known = |limit: Duration| {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let known = names.get(host).filter(|known| now.saturating_duration_since(known.at) < limit)?;
            Some(Arc::clone(&known.addresses))
        };
        if let Some(addresses) = known(FRESH) {
            return Ok(addresses);
        }
        match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await {
            Ok(Ok(found)) => {
                let addresses: Arc<[IpAddr]> = found.map(|address| address.ip().to_canonical()).collect();
                if addresses.is_empty() {
                    return Err("the host to proxy to has no address");
                }
                self.remember(host, &addresses, now);
                Ok(addresses)
            }
            Ok(Err(_)) => known(STALE).ok_or("the address of the host to proxy to was not found"),
            Err(_) => known(STALE).ok_or("the address of the host to proxy to was not found in time"),
        }
    }

    fn remember(&self, host: &str, addresses: &Arc<[IpAddr]>, now: Instant) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES {
            names.retain(|_, known| now.saturating_duration_since(known.at) < FRESH);
        }
        if names.len() < NAMES {
            names.insert(host.into(), Known { at: now, addresses: Arc::clone(addresses) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Hop, Router};
    use crate::{
        account::{Account, Password, Services, State},
        username::Username,
    };

    fn account(words: &str) -> Arc<Account> {
        let mut passdb = gatepost_protocol::dovecot::FieldsBuf::default();
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => passdb.push(key, value),
                None => passdb.flag(word),
            }
        }
        Arc::new(Account {
            user: Username::normalise(b"alice@example.org", None).unwrap(),
            directory: "test".into(),
            password: Password::Missing,
            state: State::Active,
            allow_nets: None,
            services: Services::default(),
            nologin: None,
            passdb,
            userdb: Default::default(),
        })
    }

    async fn routed(router: &Router, words: &str, local: &str, port: Option<u16>) -> Result<String, String> {
        let hop = Hop { local: local.parse().ok(), port, forward: None };
        let account = router.route(account(words), &hop).await.map_err(|unavailable| unavailable.why)?;
        Ok(String::from_utf8(account.passdb.as_fields().raw().to_vec()).unwrap().replace('\t', " "))
    }

    #[tokio::test]
    async fn a_proxy_that_leads_to_the_server_itself_is_none() {
        let router = Router::new(vec!["192.0.2.7".parse().unwrap()]);
        for (words, local, port, expected) in [
            ("", "192.0.2.1", Some(143), ""),
            ("host=192.0.2.9", "192.0.2.9", Some(143), "host=192.0.2.9"),
            // Always, even to itself.
            ("proxy host=192.0.2.9", "192.0.2.9", Some(143), "proxy host=192.0.2.9"),
            ("proxy_maybe host=192.0.2.9", "192.0.2.1", Some(143), "proxy host=192.0.2.9"),
            ("proxy_maybe host=192.0.2.9", "192.0.2.9", Some(143), ""),
            ("proxy_maybe host=192.0.2.9", "::ffff:192.0.2.9", Some(143), ""),
            ("proxy_maybe host=192.0.2.7", "192.0.2.1", Some(143), ""),
            ("proxy_maybe host=2001:db8::1", "2001:db8:0::1", None, ""),
            ("proxy_maybe host=192.0.2.9 port=143 destuser=x pass=y", "192.0.2.9", Some(143), "pass=y"),
            // Another service on the same machine.
            ("proxy_maybe host=192.0.2.9 port=144", "192.0.2.9", Some(143), "proxy host=192.0.2.9 port=144"),
            ("proxy_maybe host=192.0.2.9 port=143", "192.0.2.9", None, "proxy host=192.0.2.9 port=143"),
            ("proxy_maybe host=192.0.2.9 port=x", "192.0.2.9", None, "proxy host=192.0.2.9 port=x"),
            ("proxy_maybe host=192.0.2.9", "", Some(143), "proxy host=192.0.2.9"),
            ("proxy_maybe", "192.0.2.9", Some(143), "proxy"),
            ("proxy_maybe host=mx hostip=192.0.2.9", "192.0.2.9", Some(143), ""),
            (
                "proxy_maybe host=mx hostip=192.0.2.8",
                "192.0.2.9",
                Some(143),
                "proxy host=mx hostip=192.0.2.8",
            ),
        ] {
            assert_eq!(
                routed(&router, words, local, port).await.as_deref(),
                Ok(expected),
                "{words:?} at {local}"
            );
        }
    }

    #[tokio::test]
    async fn a_host_that_is_a_name_gets_its_address() {
        let router = Router::default();
        let named = routed(&router, "proxy host=localhost port=1143", "192.0.2.1", Some(143)).await.unwrap();
        assert!(
            ["proxy host=localhost hostip=127.0.0.1 port=1143", "proxy host=localhost hostip=::1 port=1143"]
                .contains(&&*named),
            "{named}"
        );
        assert_eq!(routed(&router, "proxy_maybe host=localhost", "127.0.0.1", None).await.as_deref(), Ok(""));
        assert_eq!(router.names.lock().unwrap().len(), 1);
        let lost = routed(&router, "proxy host=mail.invalid", "192.0.2.1", Some(143)).await;
        assert!(lost.unwrap_err().contains("was not found"));
    }
}
