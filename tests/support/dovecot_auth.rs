use std::os::unix::net::UnixStream;

use super::{Place, Subject, process::Process, wait_until};

/// Dovecot's own auth service, the one that gatepost replaces, with a passwd-file of users and one of master users.
#[derive(Debug)]
pub struct DovecotAuth<'a> {
    place: &'a Place,
    _process: Process,
}

impl<'a> DovecotAuth<'a> {
    pub fn start(place: &'a Place, users: &str, masters: &str) -> Self {
        place.write("masters", masters);
        place.write("users", users);
        place.write("dovecot.conf", &config(place));
        place.dir("run", 0o755, 0, 0);
        let mut command = place.tree().command("dovecot");
        let mut process =
            Process::start("Dovecot", command.args(["-F", "-c", &place.inside("dovecot.conf")]));
        wait_until("Dovecot listens", || {
            assert_eq!(process.ended(), None, "Dovecot did not start:\n{}", place.read("dovecot.log"));
            UnixStream::connect(place.outside("run/auth-client")).is_ok()
        });
        Self { place, _process: process }
    }

    pub fn subject(&self) -> Subject {
        let socket = |path: &str| self.place.outside("run").join(path);
        let sockets = [
            ("login", socket("login/login")),
            ("client", socket("auth-client")),
            ("master", socket("auth-master")),
            ("userdb", socket("auth-userdb")),
        ];
        Subject { is_dovecot: true, sockets: sockets.into() }
    }
}

/// A wrong password makes nobody wait, neither at once nor by the penalty that the addresses share.
fn config(place: &Place) -> String {
    let (run, state, log) = (place.inside("run"), place.inside("state"), place.inside("dovecot.log"));
    let (users, address) = (place.inside("users"), place.address());
    let (head, databases) = match place.tree().name() {
        "bookworm" => (
            "protocols =\ndisable_plaintext_auth = no\nauth_failure_delay = 0\n",
            format!("driver = passwd-file\n  args = {users}"),
        ),
        _ => (
            "dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols {
}
auth_allow_cleartext = yes
auth_failure_delay = 0s
",
            format!("driver = passwd-file\n  passwd_file_path = {users}"),
        ),
    };
    let masters = place.inside("masters");
    let masters = match place.tree().name() {
        "bookworm" => format!("passdb {{\n  driver = passwd-file\n  args = {masters}"),
        _ => format!("passdb masters {{\n  driver = passwd-file\n  passwd_file_path = {masters}"),
    };
    let [passdb, userdb] = ["passdb", "userdb"].map(|kind| match place.tree().name() {
        "bookworm" => format!("{kind} {{\n  {databases}\n}}"),
        _ => format!("{kind} passwd-file {{\n  {databases}\n}}"),
    });
    format!(
        "{head}base_dir = {run}
state_dir = {state}
log_path = {log}
listen = {address}
ssl = no
auth_mechanisms = plain login
auth_verbose = yes
auth_master_user_separator = *
{masters}
  master = yes
  result_success = continue
}}
{passdb}
{userdb}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"
    )
}
