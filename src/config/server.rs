//! `[server]`: where gatepost keeps its things, and what it adds to bare names.

use std::{net::IpAddr, path::PathBuf};

use super::{
    domain,
    kick::KickCommand,
    listener::LONGEST_PATH,
    problem::{Wrong, quoted},
    reader::Reader,
    surroundings::Surroundings,
};

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `state_dir`: what must survive a restart, such as the embedded database and the app
    /// passwords. Absolute.
    /// Default: systemd's, `/var/lib/gatepost`, or the XDG one.
    pub state_dir: PathBuf,
    /// `runtime_dir`: sockets. Absolute, at most 99 bytes. Default: systemd's, `/run/gatepost`, or the XDG
    /// one.
    pub runtime_dir: PathBuf,
    /// `default_domain`: appended to a login name without `@`. Lower case, NFC. `None`: bare names stay bare.
    pub default_domain: Option<String>,
    /// `proxy_self`: addresses of the mail servers that ask here, each once. A `proxy_maybe` that leads to one of them
    /// is no proxying. Default: none, so that only the address counts at which the remote came in.
    pub proxy_self: Vec<IpAddr>,
    /// `kick_command`: what ends the connections of a user whose tokens are revoked, or who has logged out at a provider.
    /// Default: nothing, so that they go on until they end.
    pub kick_command: Option<KickCommand>,
}

/// Bytes that leave room for the longest name of a default socket, `/control`.
const LONGEST_RUNTIME_DIR: usize = LONGEST_PATH - 8;

/// Reads `[server]`.
pub(super) fn server(mut reader: Reader<'_>, around: &Surroundings) -> Server {
    let state_dir = directory(&mut reader, "state_dir", around.state_dir.as_ref());
    let runtime_dir = directory(&mut reader, "runtime_dir", around.runtime_dir.as_ref());
    if runtime_dir.as_os_str().len() > LONGEST_RUNTIME_DIR {
        let what = format!("is too long for sockets in it: it can have {LONGEST_RUNTIME_DIR} bytes");
        reader.wrong("runtime_dir", Wrong::new(what, "choose a shorter one"));
    }
    let default_domain = reader.text("default_domain", domain::domain);
    let listed = reader.list("proxy_self", address).unwrap_or_default();
    let mut proxy_self: Vec<IpAddr> = Vec::with_capacity(listed.len());
    for (address, spot) in listed {
        if proxy_self.contains(&address) {
            let wrong = Wrong::new(format!("{address} is listed twice"), "keep one of the two");
            reader.found().at(spot, reader.path_of("proxy_self"), wrong);
        } else {
            proxy_self.push(address);
        }
    }
    let kick_command = kick_command(&mut reader);
    reader.finish();
    Server { state_dir, runtime_dir, default_domain, proxy_self, kick_command }
}

fn directory(reader: &mut Reader<'_>, key: &str, default: Option<&PathBuf>) -> PathBuf {
    let given = reader.path(key);
    if given.is_none() && default.is_none() && !reader.has(key) {
        let what = "is not set, and there is no home directory to put it in";
        reader.wrong(key, Wrong::new(what, format!("write {key} = \"/PATH\" below [server]")));
    }
    // The empty path is never used: where there is no default, a problem has been noted.
    given.or_else(|| default.cloned()).unwrap_or_default()
}

fn kick_command(reader: &mut Reader<'_>) -> Option<KickCommand> {
    let words = reader.list("kick_command", |word| {
        let without = "take the NUL away";
        if word.contains('\0') { Err(Wrong::new("holds a NUL", without)) } else { Ok(word.to_owned()) }
    })?;
    match KickCommand::of(words.into_iter().map(|(word, _)| word).collect()) {
        Ok(command) => Some(command),
        Err(wrong) => {
            reader.wrong("kick_command", wrong);
            None
        }
    }
}

fn address(text: &str) -> Result<IpAddr, Wrong> {
    let address = text.parse::<IpAddr>();
    address.map(|address| address.to_canonical()).map_err(|_| {
        Wrong::new(format!("{} is no IP address", quoted(text)), "write it in numbers, as in \"192.0.2.7\"")
    })
}
