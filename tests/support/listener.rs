use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{PermissionsExt, chown, symlink},
            net::UnixListener,
        },
    },
    path::PathBuf,
};

use super::Place;

/// A socket that gatepost listens on, as its configuration has it.
#[derive(Clone, Debug)]
pub struct Listener {
    pub protocol: &'static str,
    pub at: At,
    /// The table that it is, and the only one.
    pub map: Option<&'static str>,
}

/// Where: at a path with a mode and the number of a group, or at an address.
#[derive(Clone, Debug)]
pub enum At {
    Path { path: PathBuf, mode: u32, gid: u32, link: Option<PathBuf> },
    Address(SocketAddr),
}

impl Listener {
    /// A socket of the daemon's user, with the number of its group in the tree.
    pub fn unix(protocol: &'static str, path: PathBuf, mode: u32, gid: u32) -> Self {
        Self { protocol, at: At::Path { path, mode, gid, link: None }, map: None }
    }

    pub fn inet(protocol: &'static str, address: impl Into<SocketAddr>) -> Self {
        Self { protocol, at: At::Address(address.into()), map: None }
    }

    /// A table at an address, for every process of this machine.
    pub fn table(map: &'static str, address: impl Into<SocketAddr>) -> Self {
        Self { map: Some(map), ..Self::inet("postfix-tcp-table", address) }
    }

    /// All that a Dovecot in this place looks for, with the modes of the socket units.
    pub fn dovecot(place: &Place) -> Vec<Self> {
        let run = |path: &str| place.outside("run").join(path);
        let link = Some(run("login/login"));
        let login = At::Path { path: run("login/gatepost/login"), mode: 0o666, gid: 0, link };
        vec![
            Self { protocol: "dovecot-login", at: login, map: None },
            Self::unix("dovecot-login", run("auth-login"), 0o600, 0),
            Self::unix("dovecot-client", run("auth-client"), 0o600, 0),
            Self::unix("dovecot-master", run("auth-master"), 0o600, 0),
            Self::unix("dovecot-userdb", run("auth-userdb"), 0o666, 0),
        ]
    }

    /// Its table in gatepost's configuration.
    pub fn config(&self) -> String {
        let mut text = format!("\n[[listener]]\nprotocol = \"{}\"\n", self.protocol);
        match &self.at {
            At::Path { path, mode, gid, link } => {
                writeln!(text, "path = {path:?}\nmode = \"{mode:04o}\"").unwrap();
                if *gid != 0 {
                    writeln!(text, "group = \"{gid}\"").unwrap();
                }
                if let Some(link) = link {
                    writeln!(text, "link = {link:?}").unwrap();
                }
            }
            At::Address(address) => writeln!(text, "address = \"{address}\"").unwrap(),
        }
        if let Some(map) = self.map {
            writeln!(text, "map = \"{map}\"\nallow_from = [\"127.0.0.0/8\"]").unwrap();
        }
        text
    }

    /// The socket, and the link to it, as its socket unit makes them.
    pub fn bind(&self) -> OwnedFd {
        match &self.at {
            At::Path { path, mode, gid, link } => {
                let socket = UnixListener::bind(path).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
                chown(path, Some(0), Some(*gid)).unwrap();
                if let Some(link) = link {
                    let target = path.strip_prefix(link.parent().unwrap()).unwrap();
                    symlink(target, link).unwrap();
                }
                socket.into()
            }
            At::Address(address) => TcpListener::bind(address).unwrap().into(),
        }
    }
}
