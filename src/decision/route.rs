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
use tokio::sync::Semaphore;

use super::Hop;
use crate::{account::Account, directory::Unavailable};

/// How long the system may take to find the addresses of a name. A login waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long addresses are used without asking again.
const FRESH: Duration = Duration::from_secs(30);

/// How long they are used where nobody answers: servers move seldom, and name servers fail.
const STALE: Duration = Duration::from_secs(3600);

/// How long it is not asked again after it had no answer.
const FAILED: Duration = Duration::from_secs(1);

/// How many names it is asked for at once.
const ASKING: usize = 16;

/// How many names are remembered.
const NAMES: usize = 1024;

/// What a proxy that would lead to its own server leaves behind: nothing. Dovecot's list.
const DROPPED: [&[u8]; 6] = [b"proxy", b"proxy_maybe", b"host", b"hostip", b"port", b"destuser"];

/// Knows which servers are this one, and where others are.
#[derive(Debug)]
pub(super) struct Router {
    /// Addresses of the servers that ask, besides the one that the remote came in at.
    own: Vec<IpAddr>,
    names: Mutex<HashMap<Box<str>, Arc<tokio::sync::Mutex<Known>>>>,
    asking: Semaphore,
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    /// When the system was asked last.
    asked: Option<Instant>,
    /// When it said the addresses.
    found: Option<Instant>,
    /// Whether it had no answer when it was asked last.
    failed: bool,
    addresses: Option<Arc<[IpAddr]>>,
}

impl Default for Router {
    fn default() -> Self {
        Self { own: Vec::new(), names: Mutex::default(), asking: Semaphore::new(ASKING) }
    }
}

impl Router {
    pub(super) fn new(own: Vec<IpAddr>) -> Self {
        Self { own, ..Self::default() }
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
                let addresses = self
                    .addresses(host, Instant::now())
                    .await
                    .map_err(|why| Unavailable::new(&account.directory, why))?;
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
    async fn addresses(&self, host: &str, now: Instant) -> Result<Arc<[IpAddr]>, &'static str> {
        let name = self.name(host, now).ok_or("too many hosts to proxy to")?;
        // One login asks, the others of the same name wait for its answer.
        match tokio::time::timeout(PATIENCE, name.lock()).await {
            Ok(mut known) => {
                known.refresh(host, &self.asking, now).await;
                known.addresses.clone().ok_or("the address of the host to proxy to was not found")
            }
            Err(_) => Err("the address of the host to proxy to was not found in time"),
        }
    }

    /// What is known of a name. `None`: too many are.
    fn name(&self, host: &str, now: Instant) -> Option<Arc<tokio::sync::Mutex<Known>>> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = names.get(host) {
            return Some(Arc::clone(name));
        }
        if names.len() >= NAMES {
            // Those that somebody waits for stay.
            names.retain(|_, name| name.try_lock().map_or(true, |known| known.is_fresh(now)));
        }
        if names.len() >= NAMES {
            return None;
        }
        Some(Arc::clone(names.entry(host.into()).or_default()))
    }
}

impl Known {
    /// Whether it is used without asking again.
    fn is_fresh(&self, now: Instant) -> bool {
        let limit = if self.failed { FAILED } else { FRESH };
        self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < limit)
    }

    /// Asks the system, if it is time to. What it does not say now stays as it was for a while.
    async fn refresh(&mut self, host: &str, asking: &Semaphore, now: Instant) {
        if self.is_fresh(now) {
            return;
        }
        let found = tokio::time::timeout(PATIENCE, async {
            // Each occupies a thread until the system gives up, however soon that is done here.
            let _place = asking.acquire().await.ok()?;
            let found = tokio::net::lookup_host((host, 0)).await.ok()?;
            let addresses: Arc<[IpAddr]> = found.map(|address| address.ip().to_canonical()).collect();
            Some(addresses).filter(|addresses| !addresses.is_empty())
        });
        let found = found.await.ok().flatten();
        self.asked = Some(now);
        self.failed = found.is_none();
        if found.is_some() {
            (self.found, self.addresses) = (Some(now), found);
        } else if self.found.is_none_or(|found| now.saturating_duration_since(found) >= STALE) {
            self.addresses = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::IpAddr,
        sync::Arc,
        time::{Duration, Instant},
    };

    use super::{Hop, Known, NAMES, Router};
    use crate::account::Account;

    fn account(words: &str) -> Arc<Account> {
        let mut passdb = gatepost_protocol::dovecot::FieldsBuf::default();
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) => passdb.push(key, value),
                None => passdb.flag(word),
            }
        }
        Arc::new(Account { passdb, ..Account::named("alice@example.org") })
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
        let known = router.name("mail.invalid", Instant::now()).unwrap();
        assert!(known.try_lock().unwrap().failed, "and is not asked for again at once");
    }

    #[tokio::test]
    async fn addresses_outlive_a_silence_of_the_name_server_for_a_while() {
        let router = Router::default();
        let addresses: Arc<[IpAddr]> = ["192.0.2.9".parse().unwrap()].into();
        let then = Instant::now();
        let known = Known {
            asked: Some(then),
            found: Some(then),
            failed: false,
            addresses: Some(Arc::clone(&addresses)),
        };
        *router.name("gone.invalid", then).unwrap().lock().await = known;
        for (seconds, expected) in [(0, true), (29, true), (31, true), (3599, true), (3605, false)] {
            let now = then + Duration::from_secs(seconds);
            let found = router.addresses("gone.invalid", now).await;
            assert_eq!(found.ok(), expected.then(|| Arc::clone(&addresses)), "after {seconds} s");
        }
    }

    #[tokio::test]
    async fn the_names_that_are_remembered_have_a_limit() {
        let router = Router::default();
        let now = Instant::now();
        let held = router.name("held", now).unwrap();
        let _held = held.lock().await;
        for number in 0..3 * NAMES {
            assert!(router.name(&format!("host{number}"), now).is_some());
        }
        assert!(router.names.lock().unwrap().len() <= NAMES);
        assert!(router.names.lock().unwrap().contains_key("held"), "somebody waits for it");
    }
}
