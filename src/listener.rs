//! The door: sockets become connections. What a byte means is not known here.
//!
//! Who may connect is settled before anybody can: a Unix socket has its owner and mode before it listens, a TCP
//! socket is on the loopback unless the configuration names networks, and then for those only. Sockets are never unlinked on the way out:
//! what is not listening for a moment costs a login process 180 s and a port of Postfix 60 s, so the file stays
//! and, with socket activation, the socket itself.

mod accept;
mod activation;
mod bind;
mod desks;
mod stream;

use std::{io, path::PathBuf, sync::Arc};

use tokio::net::{TcpListener, UnixListener};

pub use self::{
    accept::{Slots, accept},
    bind::{bind, make_dirs, private},
    desks::Desks,
    stream::Stream,
};
use crate::config::{Endpoint, Protocol};

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where it is, as the operator wrote it.
    pub place: Arc<str>,
    /// The one table that is asked there, if it is for one.
    pub map: Option<Arc<str>>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix { listener: UnixListener, access: Access },
    Tcp { listener: TcpListener, allow_from: Vec<ipnet::IpNet> },
}

/// A listener that no runtime looks after. Each that is to do so gets a descriptor of its own.
struct Parted {
    protocol: Protocol,
    place: Arc<str>,
    map: Option<Arc<str>>,
    socket: PartedSocket,
}

enum PartedSocket {
    Unix(std::os::unix::net::UnixListener, Access),
    Tcp(std::net::TcpListener, Vec<ipnet::IpNet>),
}

impl Listener {
    fn part(self) -> io::Result<Parted> {
        let socket = match self.socket {
            Socket::Unix { listener, access } => PartedSocket::Unix(listener.into_std()?, access),
            Socket::Tcp { listener, allow_from } => PartedSocket::Tcp(listener.into_std()?, allow_from),
        };
        Ok(Parted { protocol: self.protocol, place: self.place, map: self.map, socket })
    }
}

impl Parted {
    /// The listener, in the runtime that this is called in.
    fn join(&self) -> io::Result<Listener> {
        let socket = match &self.socket {
            PartedSocket::Unix(listener, access) => {
                let listener = UnixListener::from_std(listener.try_clone()?)?;
                Socket::Unix { listener, access: *access }
            }
            PartedSocket::Tcp(listener, allow_from) => {
                let listener = TcpListener::from_std(listener.try_clone()?)?;
                Socket::Tcp { listener, allow_from: allow_from.clone() }
            }
        };
        Ok(Listener {
            protocol: self.protocol,
            place: Arc::clone(&self.place),
            map: self.map.clone(),
            socket,
        })
    }
}

/// Owner and mode of a socket file, as far as Dovecot's rule for userdb sockets needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// A socket that could not be had.
#[derive(Debug)]
pub struct BindError {
    /// Which.
    pub place: String,
    /// What went wrong.
    pub error: io::Error,
    /// What the operator can do.
    pub remedy: &'static str,
}

impl Access {
    /// The mode at which anybody may connect, and therefore nobody may see others. Dovecot's rule, to the bit.
    const OPEN: u32 = 0o666;

    /// Of a socket that cannot be looked at: nobody but root may see others.
    const UNSEEN: Self = Self { uid: 0, gid: 0, mode: Self::OPEN };

    /// Whom a peer may ask about: itself only, if the socket is open to all and the peer is nobody special.
    fn restriction(self, uid: u32, gid: u32) -> Option<u32> {
        let open = self.mode & 0o777 == Self::OPEN;
        (open && uid != 0 && uid != self.uid && gid != self.gid).then_some(uid)
    }
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.error, self.remedy)
    }
}

impl std::error::Error for BindError {}

fn place(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Unix { path, .. } => path.display().to_string(),
        Endpoint::Tcp { address, .. } => address.to_string(),
    }
}

fn path_of(endpoint: &Endpoint) -> Option<&PathBuf> {
    match endpoint {
        Endpoint::Unix { path, .. } => Some(path),
        Endpoint::Tcp { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Access;

    #[test]
    fn only_the_mode_0666_restricts_and_only_strangers() {
        let access = |mode| Access { uid: 100, gid: 200, mode };
        let table = [
            (0o140_666, 1000, 1000, Some(1000)),
            (0o666, 1000, 1000, Some(1000)),
            (0o666, 100, 1000, None),
            (0o666, 1000, 200, None),
            (0o666, 0, 0, None),
            (0o660, 1000, 1000, None),
            (0o777, 1000, 1000, None),
            (0o600, 1000, 1000, None),
        ];
        for (mode, uid, gid, expected) in table {
            assert_eq!(access(mode).restriction(uid, gid), expected, "{mode:o} {uid}:{gid}");
        }
    }
}
