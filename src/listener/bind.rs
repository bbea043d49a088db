//! Opens the sockets of a configuration, or takes over those that systemd opened.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::Path,
    time::Duration,
};

use nix::{
    fcntl::AtFlags,
    libc,
    unistd::{Gid, Uid, fchownat},
};
use socket2::{Domain, SockAddr, Socket as RawSocket, Type};

use super::{
    Access, BindError, Listener, Socket,
    activation::{Handed, HandedSocket, Inherited},
    path_of, place,
};
use crate::config::{self, Endpoint, Protocol};

/// How many connections may wait to be accepted: as many as the kernel lets (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Opens every socket, or says of each that could not be had why. Needs a tokio runtime around it.
///
/// Where sockets were inherited under the name of a protocol, the default ones are not opened beside them: who wrote
/// no listener down and enabled a socket unit wants the sockets of the unit.
pub fn bind(configured: &[config::Listener]) -> Result<Vec<Listener>, Vec<BindError>> {
    let mut inherited = Inherited::from_env();
    let (mut listeners, mut errors) = (Vec::new(), Vec::new());
    let by_name = inherited.any_named();
    let is_default = |wanted: &config::Listener| wanted.place.is_none();
    for wanted in configured.iter().filter(|wanted| !(by_name && is_default(wanted))) {
        let opened = match inherited.take(&wanted.endpoint) {
            Some(handed) => adopt(handed, wanted),
            None => open(wanted),
        };
        match opened {
            Ok(listener) => listeners.push(listener),
            Err(error) => errors.push(error),
        }
    }
    for handed in inherited.rest() {
        match handed.name.as_deref().and_then(Protocol::named) {
            Some(protocol) => match adopt_unnamed(handed, protocol) {
                Ok(listener) => listeners.push(listener),
                Err(error) => errors.push(error),
            },
            None => tracing::warn!(
                name = ?handed.name,
                "an inherited socket is not used: no listener has its path and its name is no protocol",
            ),
        }
    }
    if errors.is_empty() { Ok(listeners) } else { Err(errors) }
}

fn open(wanted: &config::Listener) -> Result<Listener, BindError> {
    let place = place(&wanted.endpoint);
    let socket = match &wanted.endpoint {
        Endpoint::Unix { path, mode, user, group, link } => {
            let opened = unix(path, *mode, *user, *group).map_err(|(error, remedy)| BindError {
                place: place.clone(),
                error,
                remedy,
            })?;
            if let Some(link) = link {
                link_to(path, link).map_err(|error| BindError {
                    place: link.display().to_string(),
                    error,
                    remedy: "the link that login processes find the socket by could not be made",
                })?;
            }
            opened
        }
        Endpoint::Tcp { address, allow_from } => tcp(*address)
            .map(|listener| Socket::Tcp { listener, allow_from: allow_from.clone() })
            .map_err(|error| BindError {
                place: place.clone(),
                error,
                remedy: "is another daemon on this port, or may this user not use it?",
            })?,
    };
    Ok(Listener { protocol: wanted.protocol, place: place.into(), map: wanted.map.clone(), socket })
}

/// Opens a socket at `path` that is the owner's alone.
pub fn private(path: &Path) -> Result<tokio::net::UnixListener, BindError> {
    let refused = |(error, remedy)| BindError { place: path.display().to_string(), error, remedy };
    match unix(path, 0o600, None, None).map_err(refused)? {
        Socket::Unix { listener, .. } => Ok(listener),
        Socket::Tcp { .. } => Err(refused((io::ErrorKind::Unsupported.into(), ""))),
    }
}

type Refused = (io::Error, &'static str);

fn unix(path: &Path, mode: u32, user: Option<Uid>, group: Option<Gid>) -> Result<Socket, Refused> {
    if let Some(parent) = path.parent() {
        make_dirs(parent).map_err(|error| (error, "make its directory, or let this user make it"))?;
    }
    clear(path)?;
    let unusable = |error| (error, "may this user write to its directory?");
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None).map_err(unusable)?;
    socket.bind(&SockAddr::unix(path).map_err(unusable)?).map_err(unusable)?;
    // Between bind and listen a connection is refused, so nobody gets in before owner and mode are right.
    let access = give(path, mode, user, group)?;
    socket.listen(BACKLOG).map_err(unusable)?;
    socket.set_nonblocking(true).map_err(unusable)?;
    let listener = tokio::net::UnixListener::from_std(socket.into()).map_err(unusable)?;
    Ok(Socket::Unix { listener, access })
}

/// Gives the socket file that was just made its mode and its owner.
///
/// Never through a link: in a directory that is somebody else's, such as Postfix's, another file could have the name
/// by now, and root would hand that one out.
fn give(path: &Path, mode: u32, user: Option<Uid>, group: Option<Gid>) -> Result<Access, Refused> {
    let unusable = |error| (error, "may this user write to its directory?");
    let file = pin(path, 0).map_err(unusable)?;
    if !file.metadata().map_err(unusable)?.file_type().is_socket() {
        let error = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err((
            error,
            "somebody has put another file in its place; who else may write to its directory?",
        ));
    }
    set_mode(&file, mode).map_err(unusable)?;
    if user.is_some() || group.is_some() {
        fchownat(&file, "", user, group, AtFlags::AT_EMPTY_PATH).map_err(|error| {
            (error.into(), "only root may give a socket away; let systemd open it (gatepost.socket)")
        })?;
    }
    let metadata = file.metadata().map_err(unusable)?;
    Ok(Access::of(&metadata))
}

/// Holds on to a file whatever happens to its name, without opening it.
fn pin(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW | flags).open(path)
}

/// Sets the mode of a file that is held on to; fchmod(2) would want it opened.
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Makes a directory and those above it, each open to be passed through: what is in it says who may use it. The
/// process's umask, which keeps its files private, would lock peers out.
pub fn make_dirs(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => set_mode(&pin(dir, libc::O_DIRECTORY)?, 0o755),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes way: a dead socket goes, everything else is an error and stays.
fn clear(path: &Path) -> Result<(), Refused> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err((error, "may this user read its directory?")),
    };
    if !metadata.file_type().is_socket() {
        let error = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err((error, "it is not a socket; remove it if it is not needed"));
    }
    if is_live(path).map_err(|error| (error, "whether somebody listens on it could not be found out"))? {
        let error = io::Error::from(io::ErrorKind::AddrInUse);
        return Err((
            error,
            "another process listens on it: a second gatepost, or Dovecot's own auth service?",
        ));
    }
    fs::remove_file(path).map_err(|error| (error, "a dead socket is in the way and could not be removed"))
}

fn is_live(path: &Path) -> io::Result<bool> {
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full backlog would block for ever, and means that somebody is there.
    socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes `link` a relative symbolic link to `path`. Relative, because login processes see it from inside a chroot.
fn link_to(path: &Path, link: &Path) -> io::Result<()> {
    let from = link.parent().unwrap_or(Path::new("/"));
    let target = path.strip_prefix(from).unwrap_or(path);
    match fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() && fs::read_link(link)? == target => return Ok(()),
        // The socket of the auth service that was here before, or a link to somewhere else.
        Ok(found) if found.is_symlink() || (found.file_type().is_socket() && !is_live(link)?) => {
            fs::remove_file(link)?;
        }
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_dirs(from)?,
        Err(error) => return Err(error),
    }
    std::os::unix::fs::symlink(target, link)
}

fn tcp(address: std::net::SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket.into())
}

fn adopt(handed: Handed, wanted: &config::Listener) -> Result<Listener, BindError> {
    let config::Listener { protocol, endpoint, map, .. } = wanted;
    let allow_from = match endpoint {
        Endpoint::Tcp { allow_from, .. } => allow_from.clone(),
        Endpoint::Unix { .. } => Vec::new(),
    };
    let place = place(endpoint);
    if let (Some(path), Endpoint::Unix { link: Some(link), .. }) = (path_of(endpoint), endpoint)
        && let Err(error) = link_to(path, link)
    {
        // Whoever opened the socket had the rights to make the link; this user may have none.
        tracing::warn!(link = %link.display(), %error, "the link to an inherited socket could not be made");
    }
    convert(handed.socket, allow_from)
        .map(|socket| Listener {
            protocol: *protocol,
            place: place.as_str().into(),
            map: map.clone(),
            socket,
        })
        .map_err(|error| BindError { place, error, remedy: "the inherited socket could not be used" })
}

fn adopt_unnamed(handed: Handed, protocol: Protocol) -> Result<Listener, BindError> {
    let place = match &handed.socket {
        HandedSocket::Unix(_, path) => path.display().to_string(),
        HandedSocket::Tcp(_, address) => address.to_string(),
    };
    if protocol == Protocol::PostfixTcpTable {
        let error = io::ErrorKind::InvalidInput.into();
        let remedy = "which table it is has to be said: write a [[listener]] with its address and a map";
        return Err(BindError { place, error, remedy });
    }
    convert(handed.socket, Vec::new())
        .map(|socket| Listener { protocol, place: place.as_str().into(), map: None, socket })
        .map_err(|error| BindError { place, error, remedy: "the inherited socket could not be used" })
}

fn convert(handed: HandedSocket, allow_from: Vec<ipnet::IpNet>) -> io::Result<Socket> {
    match handed {
        HandedSocket::Unix(listener, path) => {
            listener.set_nonblocking(true)?;
            // Whoever opened it may have put it where this user cannot look: /run/dovecot/login is closed to all but
            // Dovecot's login processes.
            let access = fs::metadata(&path).map_or(Access::UNSEEN, |metadata| Access::of(&metadata));
            Ok(Socket::Unix { listener: tokio::net::UnixListener::from_std(listener)?, access })
        }
        HandedSocket::Tcp(listener, _) => {
            listener.set_nonblocking(true)?;
            Ok(Socket::Tcp { listener: tokio::net::TcpListener::from_std(listener)?, allow_from })
        }
    }
}

impl Access {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{
            fs::{MetadataExt as _, PermissionsExt as _, symlink},
            net::UnixListener,
        },
        path::Path,
    };

    use super::{give, make_dirs};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_file_that_took_the_place_of_the_socket_keeps_its_owner_and_mode() {
        let home = tempfile::tempdir().unwrap();
        let (secret, other) = (home.path().join("secret"), home.path().join("other"));
        fs::write(&secret, "").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let _elsewhere = UnixListener::bind(&other).unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        for target in [&secret, &other] {
            let place = home.path().join("auth");
            symlink(target, &place).unwrap();
            give(&place, 0o666, None, None).unwrap_err();
            assert_eq!(mode(target), 0o600);
            fs::remove_file(&place).unwrap();
        }
        give(&secret, 0o666, None, None).unwrap_err();
        assert_eq!(mode(&secret), 0o600);
    }

    #[test]
    fn a_socket_and_its_directories_have_the_modes_that_were_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b/auth");
        make_dirs(path.parent().unwrap()).unwrap();
        assert_eq!((mode(&home.path().join("a")), mode(&home.path().join("a/b"))), (0o755, 0o755));
        let _socket = UnixListener::bind(&path).unwrap();
        for bits in [0o600, 0o666, 0o660] {
            let access = give(&path, bits, None, None).unwrap();
            assert_eq!((mode(&path), access.mode & 0o777), (bits, bits));
        }
    }
}
