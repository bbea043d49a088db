//! `gatepost serve`: the daemon, and what to type next when it runs for the first time.

use std::io::{self, Write as _};

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    stat::{Mode, umask},
};

use super::{Common, Exit, exit_of};
use crate::{
    config::{Config, Endpoint, Loaded, Protocol},
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
    log::start(&loaded.config.log);
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
fn enough_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// What somebody who started this without a configuration wants to know next.
fn welcome(loaded: &Loaded) -> String {
    let socket = |wanted: Protocol| {
        let listeners = &loaded.config.listeners;
        listeners.iter().find(|listener| listener.protocol == wanted).map_or_else(String::new, |listener| {
            match &listener.endpoint {
                Endpoint::Unix { path, .. } => path.display().to_string(),
                Endpoint::Tcp { address, .. } => address.to_string(),
            }
        })
    };
    let (login, client) = (socket(Protocol::DovecotLogin), socket(Protocol::DovecotClient));
    let (master, userdb) = (socket(Protocol::DovecotMaster), socket(Protocol::DovecotUserdb));
    format!(
        "\
No configuration: running on an embedded user store in {state}.

  Add a user:     gatepost user add alice@example.org
  Try the login:  gatepost auth test alice@example.org
  Dovecot 2.3:    login socket {login}, auth_socket_path = {userdb},
                  service imap {{ executable = imap -a {master} }}
  Postfix:        smtpd_sasl_type = dovecot
                  smtpd_sasl_path = {client}

  conf.d/peers/ of the source has complete files for Dovecot, Postfix, Exim and systemd.

",
        state = loaded.config.server.state_dir.display(),
    )
}
