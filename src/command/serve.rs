//! `gatepost serve`: the daemon, and what to type next when it runs for the first time.

use std::io::{self, Write as _};

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    stat::{Mode, umask},
};

use super::{Common, Exit, exit_of};
use crate::{
    config::{Config, Loaded, Protocol},
    daemon,
    observe::log,
};

pub(super) fn serve(common: &Common) -> Exit {
    // Before there are threads: what is created from here on is the owner's alone unless it says otherwise.
    umask(Mode::from_bits_truncate(0o077));
    let loaded = match Config::load(common.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            return Exit::Config;
        }
    };
    let log = log::start(&loaded.config.log);
    no_core();
    enough_descriptors();
    if loaded.is_embedded() {
        let _ = io::stderr().write_all(welcome(&loaded).as_bytes());
    }
    let config = common.config.clone();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return Exit::Temporary;
        }
    };
    let ended = runtime.block_on(daemon::run(loaded, move || Config::load(config.as_deref())));
    // A hash that still runs would hold up the end for nobody.
    runtime.shutdown_background();
    drop(log);
    match ended {
        Ok(()) => Exit::Yes,
        Err(failure) => {
            let exit = exit_of(&failure);
            let _ = writeln!(io::stderr(), "{failure}");
            exit
        }
    }
}

/// Passwords are in this memory: it is not to end up in a file when something fails.
fn no_core() {
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::warn!(%error, "core files could not be forbidden");
    }
    if let Err(error) = nix::sys::prctl::set_dumpable(false) {
        tracing::warn!(%error, "this process could not be made undumpable");
    }
}

/// As many descriptors as this process may have: each connection takes one.
pub(super) fn enough_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// What somebody who started this without a configuration wants to know next.
fn welcome(loaded: &Loaded) -> String {
    let socket = |wanted: Protocol| {
        let mut listeners = loaded.config.listeners.iter();
        let listener = listeners.find(|listener| listener.protocol == wanted);
        listener.map_or_else(String::new, |listener| listener.endpoint.to_string())
    };
    let gatepost = std::env::args().next().unwrap_or_else(|| "gatepost".to_owned());
    format!(
        "\
No configuration: running on an embedded user store in {state}.

Add a user, and try the login:
  {gatepost} user add alice@example.org
  {gatepost} auth test alice@example.org

Dovecot, in a file of its own under conf.d (the same for pop3 as for imap):
  auth_socket_path = {userdb}
  service imap-login {{
    chroot =
    executable = imap-login {login}
  }}
  service imap {{
    executable = imap -a {master}
  }}

Postfix, in main.cf, after `chgrp postfix {client}; chmod 660 {client}`
(where smtpd runs in a chroot, the socket has to be inside):
  smtpd_sasl_auth_enable = yes
  smtpd_sasl_type = dovecot
  smtpd_sasl_path = {client}

A configuration in /etc/gatepost takes the place of all this; conf.d/ of the source has
every key explained, and conf.d/peers/ complete files for Dovecot, Postfix, Exim and systemd.

",
        state = loaded.config.server.state_dir.display(),
        userdb = socket(Protocol::DovecotUserdb),
        login = socket(Protocol::DovecotLogin),
        master = socket(Protocol::DovecotMaster),
        client = socket(Protocol::DovecotClient),
    )
}
