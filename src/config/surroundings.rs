//! What the process was started with, as far as the configuration depends on it.

use std::{ffi::OsString, path::PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

/// The user that the shipped service runs as (gatepost.sysusers.conf).
pub const SERVICE: &str = "gatepost";

/// Where systemd puts the credentials of the shipped service, for as long as it runs.
const CREDENTIALS: &str = "/run/credentials/gatepost.service";

/// What the process was started with: the environment, and who knows the names of users and groups.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// For `state_dir` where it is not set. `None`: there is no home to keep anything in.
    pub state_dir: Option<PathBuf>,
    /// For `runtime_dir` where it is not set.
    pub runtime_dir: Option<PathBuf>,
    /// systemd's `$CREDENTIALS_DIRECTORY`, or that of the service while it runs.
    pub credentials_dir: Option<PathBuf>,
    /// The id of a user. `None`: nobody has this name.
    pub uid_of: fn(&str) -> Option<Uid>,
    /// The id of a group. `None`: no group has this name.
    pub gid_of: fn(&str) -> Option<Gid>,
}

impl Surroundings {
    /// None: there is nothing but what a configuration says itself.
    pub const fn none() -> Self {
        Self { state_dir: None, runtime_dir: None, credentials_dir: None, uid_of: |_| None, gid_of: |_| None }
    }

    /// Those of this process.
    ///
    /// systemd's `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY` come first. Otherwise: for root, for the user of the
    /// shipped service (`sudo -u gatepost gatepost user list`), and for everybody where `system` says that the
    /// configuration is the one of the whole machine, `/var/lib/gatepost` and `/run/gatepost`; for an ordinary user `gatepost` in `$XDG_STATE_HOME` (or
    /// `~/.local/state`) and in `$XDG_RUNTIME_DIR` (or `run` in the state directory: nobody else can put
    /// anything there, which cannot be said of `/tmp`).
    pub fn of_this_process(system: bool) -> Self {
        let uid = Uid::effective();
        let user = User::from_uid(uid).ok().flatten();
        let system = system || is_system(uid, user.as_ref().map(|user| user.name.as_str()));
        let mut around = Self::from_env(|name| std::env::var_os(name), system, || user.map(|user| user.dir));
        // A command beside the running service may look where that one does.
        let beside = PathBuf::from(CREDENTIALS);
        around.credentials_dir = around.credentials_dir.or_else(|| Some(beside).filter(|dir| dir.is_dir()));
        around
    }

    /// The same over any environment.
    fn from_env(
        variable: impl Fn(&str) -> Option<OsString>,
        system: bool,
        home: impl FnOnce() -> Option<PathBuf>,
    ) -> Self {
        // The XDG specification and systemd both want relative paths ignored.
        let path = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        // systemd joins several directories with colons.
        let first = |name: &str| {
            let value = variable(name)?.into_string().ok()?;
            value.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let state_dir = first("STATE_DIRECTORY").or_else(|| {
            if system {
                return Some(PathBuf::from("/var/lib/gatepost"));
            }
            let base = path("XDG_STATE_HOME");
            let base = base.or_else(|| Some(path("HOME").or_else(home)?.join(".local/state")));
            Some(base?.join("gatepost"))
        });
        let runtime_dir = first("RUNTIME_DIRECTORY").or_else(|| {
            if system {
                return Some(PathBuf::from("/run/gatepost"));
            }
            let base = path("XDG_RUNTIME_DIR");
            base.map(|base| base.join("gatepost")).or_else(|| Some(state_dir.as_ref()?.join("run")))
        });
        Self { state_dir, runtime_dir, credentials_dir: path("CREDENTIALS_DIRECTORY"), uid_of, gid_of }
    }
}

/// Whether this user has no gatepost of their own, but the one of the machine.
fn is_system(uid: Uid, name: Option<&str>) -> bool {
    uid.is_root() || name == Some(SERVICE)
}

fn uid_of(name: &str) -> Option<Uid> {
    User::from_name(name).ok().flatten().map(|user| user.uid)
}

fn gid_of(name: &str) -> Option<Gid> {
    Group::from_name(name).ok().flatten().map(|group| group.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(
        variables: &[(&str, &str)],
        system: bool,
        home: Option<&str>,
    ) -> (Option<String>, Option<String>) {
        let variable = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let around = Surroundings::from_env(variable, system, || home.map(PathBuf::from));
        let text = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        (text(around.state_dir), text(around.runtime_dir))
    }

    #[test]
    fn the_system_knows_root_and_nobody_of_a_made_up_name() {
        let around = Surroundings::of_this_process(true);
        assert_eq!((around.uid_of)("root"), Some(Uid::from_raw(0)));
        assert_eq!((around.gid_of)("root"), Some(Gid::from_raw(0)));
        assert_eq!(((around.uid_of)("no such user"), (around.gid_of)("no such group")), (None, None));
    }

    #[test]
    fn root_and_the_services_user_share_one_gatepost() {
        let user = Uid::from_raw(1000);
        assert!(is_system(Uid::from_raw(0), Some("root")) && is_system(user, Some("gatepost")));
        assert!(!is_system(user, Some("anna")) && !is_system(user, None));
    }

    #[test]
    fn directories_follow_systemd_then_the_kind_of_user() {
        let xdg = [("XDG_STATE_HOME", "/x/state"), ("XDG_RUNTIME_DIR", "/run/user/1"), ("HOME", "/home/a")];
        let systemd = [("STATE_DIRECTORY", "/s/a:/s/b"), ("RUNTIME_DIRECTORY", "/r"), ("HOME", "/home/a")];
        let relative = [("XDG_STATE_HOME", "x"), ("XDG_RUNTIME_DIR", ""), ("HOME", "/home/a")];
        let known = [
            (&xdg[..], true, None, Some("/var/lib/gatepost"), Some("/run/gatepost")),
            (&xdg, false, None, Some("/x/state/gatepost"), Some("/run/user/1/gatepost")),
            (&systemd, true, None, Some("/s/a"), Some("/r")),
            (&systemd, false, None, Some("/s/a"), Some("/r")),
            (
                &relative,
                false,
                None,
                Some("/home/a/.local/state/gatepost"),
                Some("/home/a/.local/state/gatepost/run"),
            ),
            (
                &[][..],
                false,
                Some("/h"),
                Some("/h/.local/state/gatepost"),
                Some("/h/.local/state/gatepost/run"),
            ),
            (&[][..], false, None, None, None),
        ];
        for (variables, system, home, state, runtime) in known {
            let (got_state, got_runtime) = dirs(variables, system, home);
            assert_eq!(
                (got_state.as_deref(), got_runtime.as_deref()),
                (state, runtime),
                "{variables:?} {system} {home:?}"
            );
        }
    }
}
