//! `[[listener]]`: the sockets that peers connect to.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use nix::unistd::{Gid, Uid};

use super::{
    problem::{Place, Wrong, choice, quoted},
    reader::Reader,
    server::Server,
    surroundings::Surroundings,
    tree::Spot,
    value,
};

mod place;

pub(super) use self::place::{LONGEST_PATH, network, owner};
use self::place::{socket_address, socket_path};

/// One `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `protocol`: what is spoken there.
    pub protocol: Protocol,
    /// `path` or `address`: where. No two listeners have the same.
    pub endpoint: Endpoint,
    /// `map`: the one table that is asked there. Of `postfix-tcp-table`, and of no other.
    pub map: Option<Arc<str>>,
    /// Where it was configured; `None` for a default socket.
    pub place: Option<Place>,
}

/// What is spoken at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `dovecot-login`: the auth-client protocol as Dovecot's login processes need it.
    DovecotLogin,
    /// `dovecot-client`: the same for whoever only wants to know whether a password is right.
    DovecotClient,
    /// `dovecot-master`: the auth-master protocol for Dovecot's own processes, with everything in it.
    DovecotMaster,
    /// `dovecot-userdb`: the auth-master protocol for whoever may only look users up.
    DovecotUserdb,
    /// `postfix-socketmap`: tables that Postfix looks things up in.
    PostfixSocketmap,
    /// `postfix-policy`: what Postfix asks before it takes mail.
    PostfixPolicy,
    /// `postfix-tcp-table`: one such table.
    PostfixTcpTable,
    /// `saslauthd`: whether a password is right, for Cyrus SASL.
    Saslauthd,
    /// `http`: what OpenID providers tell gatepost.
    Http,
}

impl Protocol {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DovecotLogin => "dovecot-login",
            Self::DovecotClient => "dovecot-client",
            Self::DovecotMaster => "dovecot-master",
            Self::DovecotUserdb => "dovecot-userdb",
            Self::PostfixSocketmap => "postfix-socketmap",
            Self::PostfixPolicy => "postfix-policy",
            Self::PostfixTcpTable => "postfix-tcp-table",
            Self::Saslauthd => "saslauthd",
            Self::Http => "http",
        }
    }

    /// The protocol of that name.
    pub fn named(name: &str) -> Option<Self> {
        PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol)
    }

    /// Whether any process of this machine may connect over TCP. Otherwise `allow_from` has to name who may, this
    /// machine too: over a Unix socket the kernel says who asks, and over TCP nobody does.
    pub const fn loopback_is_enough(self) -> bool {
        match self {
            // Whatever is said over HTTP is signed.
            Self::DovecotClient | Self::Http => true,
            Self::DovecotLogin
            | Self::DovecotMaster
            | Self::DovecotUserdb
            | Self::PostfixSocketmap
            | Self::PostfixPolicy
            | Self::PostfixTcpTable
            | Self::Saslauthd => false,
        }
    }

    /// Whether its answers depend on who asks.
    pub const fn asks_who(self) -> bool {
        match self {
            Self::DovecotMaster | Self::DovecotUserdb | Self::PostfixSocketmap => true,
            Self::DovecotLogin
            | Self::DovecotClient
            | Self::PostfixPolicy
            | Self::PostfixTcpTable
            | Self::Saslauthd
            | Self::Http => false,
        }
    }

    /// Why it cannot be spoken over a Unix socket.
    const fn not_over_unix(self) -> Option<&'static str> {
        match self {
            Self::PostfixTcpTable => Some("is a Unix socket, and Postfix asks these tables over TCP only"),
            Self::DovecotLogin
            | Self::DovecotClient
            | Self::DovecotMaster
            | Self::DovecotUserdb
            | Self::PostfixSocketmap
            | Self::PostfixPolicy
            | Self::Saslauthd
            | Self::Http => None,
        }
    }

    /// Why it cannot be spoken over TCP.
    const fn not_over_tcp(self) -> Option<&'static str> {
        match self {
            Self::Saslauthd => Some("is TCP, and Cyrus SASL asks over a Unix socket only"),
            Self::DovecotLogin
            | Self::DovecotClient
            | Self::DovecotMaster
            | Self::DovecotUserdb
            | Self::PostfixSocketmap
            | Self::PostfixTcpTable
            | Self::PostfixPolicy
            | Self::Http => None,
        }
    }

    /// The bits of its socket where `mode` is not set: those that Dovecot gives to the same socket of its own, if any.
    pub const fn default_mode(self) -> u32 {
        match self {
            Self::DovecotLogin | Self::DovecotUserdb => 0o666,
            Self::DovecotClient
            | Self::DovecotMaster
            | Self::PostfixSocketmap
            | Self::PostfixPolicy
            | Self::PostfixTcpTable
            | Self::Saslauthd
            | Self::Http => 0o600,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix stream socket.
    Unix {
        /// `path`: absolute, at most 107 bytes.
        path: PathBuf,
        /// `mode`: permission bits, `0o000` to `0o777`.
        mode: u32,
        /// `user`: whom the socket file is given to. `None`: it stays with the user that gatepost runs as.
        user: Option<Uid>,
        /// `group`: likewise.
        group: Option<Gid>,
        /// `link`: a symbolic link to keep beside it, pointing at `path`. Absolute, and not `path` itself.
        link: Option<PathBuf>,
    },
    /// A TCP socket.
    Tcp {
        /// `address`: where to listen. Port 0 lets the system choose.
        address: SocketAddr,
        /// `allow_from`: who may connect, besides this machine itself if [`Protocol::loopback_is_enough`]. Not
        /// empty unless that is so and `address` is a loopback one.
        allow_from: Vec<IpNet>,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "{address}"),
        }
    }
}

const PROTOCOLS: &[(&str, Protocol)] = &[
    (Protocol::DovecotLogin.name(), Protocol::DovecotLogin),
    (Protocol::DovecotClient.name(), Protocol::DovecotClient),
    (Protocol::DovecotMaster.name(), Protocol::DovecotMaster),
    (Protocol::DovecotUserdb.name(), Protocol::DovecotUserdb),
    (Protocol::PostfixSocketmap.name(), Protocol::PostfixSocketmap),
    (Protocol::PostfixPolicy.name(), Protocol::PostfixPolicy),
    (Protocol::PostfixTcpTable.name(), Protocol::PostfixTcpTable),
    (Protocol::Saslauthd.name(), Protocol::Saslauthd),
    (Protocol::Http.name(), Protocol::Http),
];

/// Protocols that have a name, and no code in this version.
const LATER: &[&str] = &["dovecot-dict"];

/// Where a listener stands in a file, with what it must not share with another.
type Taken<'a> = (Claim, &'a Spot);

#[derive(PartialEq, Eq)]
enum Claim {
    Path(PathBuf),
    Address(SocketAddr),
}

/// Reads all `[[listener]]`. Without any: one socket a protocol under the runtime directory. `maps` are those that there
/// are; `None`: nobody knows.
pub(super) fn listeners(
    readers: Vec<Reader<'_>>,
    server: &Server,
    around: &Surroundings,
    maps: Option<&[&str]>,
) -> Vec<Listener> {
    if readers.is_empty() {
        return defaults(&server.runtime_dir);
    }
    let mut taken = Vec::new();
    readers.into_iter().filter_map(|reader| listener(reader, around, maps, &mut taken)).collect()
}

fn defaults(runtime_dir: &Path) -> Vec<Listener> {
    let names = [
        ("login", Protocol::DovecotLogin),
        ("client", Protocol::DovecotClient),
        ("master", Protocol::DovecotMaster),
        ("userdb", Protocol::DovecotUserdb),
    ];
    let listener = |(name, protocol): (&str, Protocol)| {
        let (path, mode) = (runtime_dir.join(name), protocol.default_mode());
        let endpoint = Endpoint::Unix { path, mode, user: None, group: None, link: None };
        Listener { protocol, endpoint, map: None, place: None }
    };
    names.into_iter().map(listener).collect()
}

fn listener<'a>(
    mut reader: Reader<'a>,
    around: &Surroundings,
    maps: Option<&[&str]>,
    taken: &mut Vec<Taken<'a>>,
) -> Option<Listener> {
    let protocol = reader.one_of("protocol", PROTOCOLS, LATER);
    reader.need("protocol", "write what is spoken there, as in protocol = \"dovecot-client\"");
    let map = map(&mut reader, protocol, maps);
    let endpoint = match (reader.has("path"), reader.has("address")) {
        (true, false) => unix(&mut reader, protocol, around, taken),
        (false, true) => tcp(&mut reader, protocol, taken),
        (true, true) => {
            let wrong = Wrong::new(
                "stands beside path, but a listener is at one place only",
                "keep one of the two, or make it two listeners",
            );
            reader.wrong("address", wrong);
            reader.know(&["path", "address", "mode", "user", "group", "link", "allow_from"]);
            None
        }
        (false, false) => {
            let wrong = Wrong::new(
                "has neither path nor address",
                "write path = \"/PATH\" for a Unix socket or address = \"127.0.0.1:PORT\" for TCP",
            );
            reader.wrong("", wrong);
            reader.know(&["path", "address", "mode", "user", "group", "link", "allow_from"]);
            None
        }
    };
    let place = reader.spot().map(Spot::place);
    reader.finish();
    Some(Listener { protocol: protocol?, endpoint: endpoint?, map, place })
}

/// The table of a listener that has one.
fn map(reader: &mut Reader<'_>, protocol: Option<Protocol>, maps: Option<&[&str]>) -> Option<Arc<str>> {
    match protocol {
        Some(Protocol::PostfixTcpTable) => {
            reader.need("map", "write which map is asked there, as in map = \"mailboxes\"");
            reader.text("map", |name| match maps {
                Some(maps) if !maps.contains(&name) => {
                    let what = format!("there is no map {}", quoted(name));
                    Err(Wrong::new(what, format!("write {}", choice(maps.iter().copied()))))
                }
                Some(_) | None => Ok(Arc::from(name)),
            })
        }
        Some(_) => {
            reader.refuse(&["map"], "is for postfix-tcp-table only", "take it away");
            None
        }
        // Nobody knows whether it is one.
        None => {
            reader.know(&["map"]);
            None
        }
    }
}

fn unix<'a>(
    reader: &mut Reader<'a>,
    protocol: Option<Protocol>,
    around: &Surroundings,
    taken: &mut Vec<Taken<'a>>,
) -> Option<Endpoint> {
    let path = reader.text("path", socket_path);
    if let Some(why) = protocol.and_then(Protocol::not_over_unix) {
        reader.wrong("path", Wrong::new(why, "write address = \"127.0.0.1:PORT\""));
    }
    claim(reader, "path", path.clone().map(Claim::Path), taken);
    let mode = reader.text("mode", value::mode);
    let user = reader.text_or_number("user", |name| {
        owner(name, "user", |name| (around.uid_of)(name).map(Uid::as_raw)).map(Uid::from_raw)
    });
    let group = reader.text_or_number("group", |name| {
        owner(name, "group", |name| (around.gid_of)(name).map(Gid::as_raw)).map(Gid::from_raw)
    });
    let link = reader.path("link");
    claim(reader, "link", link.clone().map(Claim::Path), taken);
    reader.refuse(&["allow_from"], "is for TCP only", "say with user, group and mode who may connect");
    let mode = mode.or_else(|| protocol.map(Protocol::default_mode))?;
    Some(Endpoint::Unix { path: path?, mode, user, group, link })
}

fn tcp<'a>(
    reader: &mut Reader<'a>,
    protocol: Option<Protocol>,
    taken: &mut Vec<Taken<'a>>,
) -> Option<Endpoint> {
    let address = reader.text("address", socket_address);
    claim(reader, "address", address.map(Claim::Address), taken);
    let allow_from: Option<Vec<IpNet>> = reader
        .list("allow_from", network)
        .map(|networks| networks.into_iter().map(|(network, _)| network).collect());
    let unix_only = "is for a Unix socket only";
    reader.refuse(&["mode", "user", "group"], unix_only, "say with allow_from who may connect");
    reader.refuse(&["link"], unix_only, "take it away");
    let address = address?;
    if let Some(why) = protocol.and_then(Protocol::not_over_tcp) {
        reader.wrong("address", Wrong::new(why, "write path = \"/PATH\""));
        return None;
    }
    let nobody_named = allow_from.as_ref().is_none_or(Vec::is_empty) && !reader.has_items("allow_from");
    let loopback = address.ip().to_canonical().is_loopback();
    if let Some(protocol) = protocol.filter(|protocol| !protocol.loopback_is_enough())
        && nobody_named
    {
        let what = format!("{protocol} tells about everybody, and over TCP nobody knows whom");
        let remedy = match protocol.not_over_unix() {
            None => "write path = \"/PATH\", or name who may connect, as in allow_from = [\"127.0.0.1/32\"]",
            Some(_) => "name who may connect, as in allow_from = [\"127.0.0.1/32\"]",
        };
        reader.wrong("address", Wrong::new(what, remedy));
    } else if !loopback && nobody_named {
        let what = if protocol == Some(Protocol::Http) {
            "is no loopback address, and there is no TLS here: that is for a web server before it"
        } else {
            "is no loopback address, so that anybody who can reach it could try passwords in the clear"
        };
        let remedy = "write 127.0.0.1, or name who may connect, as in allow_from = [\"172.22.1.0/24\"]";
        reader.wrong("address", Wrong::new(what, remedy));
    }
    Some(Endpoint::Tcp { address, allow_from: allow_from.unwrap_or_default() })
}

/// Notes a place that is taken already; else it is taken from now on.
fn claim<'a>(reader: &Reader<'a>, key: &str, claim: Option<Claim>, taken: &mut Vec<Taken<'a>>) {
    let (Some(claim), Some(spot)) = (claim, reader.spot_of(key)) else { return };
    match taken.iter().find(|(other, _)| collide(other, &claim)) {
        Some((_, first)) => {
            let what = format!("is taken already at {}", first.place());
            reader.wrong(key, Wrong::new(what, "give each listener a place of its own"));
        }
        None => taken.push((claim, spot)),
    }
}

fn collide(a: &Claim, b: &Claim) -> bool {
    match (a, b) {
        (Claim::Path(a), Claim::Path(b)) => a == b,
        (Claim::Address(a), Claim::Address(b)) => {
            let any = a.ip().is_unspecified() || b.ip().is_unspecified();
            let same = a.ip() == b.ip() || (any && a.is_ipv4() == b.is_ipv4());
            a.port() == b.port() && a.port() != 0 && same
        }
        (Claim::Path(_), Claim::Address(_)) | (Claim::Address(_), Claim::Path(_)) => false,
    }
}
