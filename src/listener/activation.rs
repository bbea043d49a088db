//! Sockets that systemd opened and keeps open (`LISTEN_FDS`, sd_listen_fds(3)).
//!
//! A socket is matched to a `[[listener]]` by where it is. One that no listener names is taken as well if its
//! `FileDescriptorName=` is the name of a protocol, so that the shipped units work without any configuration.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

use listenfd::ListenFd;

use crate::config::{Endpoint, Protocol};

/// What was handed over and has not been taken yet.
#[derive(Debug)]
pub(super) struct Inherited {
    sockets: Vec<Handed>,
}

/// One socket that was handed over.
#[derive(Debug)]
pub(super) struct Handed {
    /// `FileDescriptorName=`; systemd's default is the name of the unit.
    pub(super) name: Option<String>,
    pub(super) socket: HandedSocket,
}

#[derive(Debug)]
pub(super) enum HandedSocket {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener, SocketAddr),
}

impl Inherited {
    /// Takes over what the environment announces. Only sockets that listen are announced by systemd.
    pub(super) fn from_env() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..handed.len() {
            let name = names.next().filter(|name| !name.is_empty());
            let socket = match (handed.take_unix_listener(index), handed.take_tcp_listener(index)) {
                (Ok(Some(unix)), _) => path_of(&unix).map(|path| HandedSocket::Unix(unix, path)),
                (_, Ok(Some(tcp))) => tcp.local_addr().ok().map(|address| HandedSocket::Tcp(tcp, address)),
                _ => None,
            };
            match socket {
                Some(socket) => sockets.push(Handed { name, socket }),
                None => tracing::warn!(index, ?name, "an inherited descriptor is no socket of a known kind"),
            }
        }
        Self { sockets }
    }

    /// Takes the socket that is at `endpoint`, if there is one.
    pub(super) fn take(&mut self, endpoint: &Endpoint) -> Option<Handed> {
        let at = self.sockets.iter().position(|handed| match (&handed.socket, endpoint) {
            (HandedSocket::Unix(_, here), Endpoint::Unix { path, .. }) => here == path,
            (HandedSocket::Tcp(_, here), Endpoint::Tcp { address, .. }) => here == address,
            (HandedSocket::Unix(..), Endpoint::Tcp { .. })
            | (HandedSocket::Tcp(..), Endpoint::Unix { .. }) => false,
        })?;
        Some(self.sockets.remove(at))
    }

    /// Whether one of them says by its name what is to be spoken on it.
    pub(super) fn any_named(&self) -> bool {
        self.sockets.iter().any(|handed| handed.name.as_deref().and_then(Protocol::named).is_some())
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Vec<Handed> {
        self.sockets
    }
}

fn path_of(listener: &UnixListener) -> Option<PathBuf> {
    listener.local_addr().ok()?.as_pathname().map(Path::to_owned)
}
