//! Where a listener is and who may come, as written.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

use crate::config::{
    problem::{Wrong, quoted},
    reader,
};

/// Bytes of a path that fit into `sun_path` with its NUL (unix(7)).
pub(in crate::config) const LONGEST_PATH: usize = 107;

/// The path of a Unix socket.
pub(super) fn socket_path(text: &str) -> Result<PathBuf, Wrong> {
    let path = reader::path(text)?;
    if text.ends_with('/') {
        return Err(Wrong::new("names a directory", "write the path of the socket in it"));
    }
    if text.len() > LONGEST_PATH {
        return Err(Wrong::new(
            format!("has {} bytes, and the path of a socket can have {LONGEST_PATH}", text.len()),
            "choose a shorter one",
        ));
    }
    Ok(path)
}

/// `address:port`, in numbers: a name could be another address tomorrow.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(
            format!("{} is no address with a port", quoted(text)),
            "write it in numbers, as in \"127.0.0.1:12345\" or \"[::1]:12345\"",
        )
    })
}

/// A network in CIDR form, or one address.
pub(in crate::config) fn network(text: &str) -> Result<IpNet, Wrong> {
    let network =
        text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
            Wrong::new(
                format!("{} is no network", quoted(text)),
                "write it in numbers, as in \"172.22.1.0/24\" or \"2001:db8::/32\"",
            )
        })?;
    if network.trunc() != network {
        let what = format!("{} is an address within a network", quoted(text));
        return Err(Wrong::new(what, format!("write \"{}\"", network.trunc())));
    }
    Ok(network)
}

/// A number as it is, a name as the system knows it.
pub(in crate::config) fn owner(
    name: &str,
    kind: &str,
    lookup: impl FnOnce(&str) -> Option<u32>,
) -> Result<u32, Wrong> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = name.parse().ok().filter(|&number: &u32| number != u32::MAX);
        return number.ok_or_else(|| {
            Wrong::new(format!("{name} is no id of a {kind}"), "write one that fits into 32 bits")
        });
    }
    lookup(name).ok_or_else(|| {
        Wrong::new(
            format!("this machine knows no {kind} {}", quoted(name)),
            format!("install what brings it along, or write the name or number of another {kind}"),
        )
    })
}
