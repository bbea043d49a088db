use std::{
    fs,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixDatagram},
    },
    process::{Command, Stdio},
};

use command_fds::{CommandFdExt, FdMapping};

use super::{Listener, Place, listener::At, people::PROBE, process::Process, wait_until};

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// The daemon under test, outside the tree, listening inside it.
#[derive(Debug)]
pub struct Gatepost<'a> {
    place: &'a Place,
    /// Sockets that outlive the daemon, as a socket unit's do; none when it makes its own.
    sockets: Vec<OwnedFd>,
    /// Without any right, as in its unit.
    confined: bool,
    process: Option<Process>,
    /// Where it tells its supervisor how it is.
    supervisor: UnixDatagram,
}

impl<'a> Gatepost<'a> {
    /// Starts it and waits until it is ready. It makes its sockets itself.
    pub fn start(place: &'a Place, listeners: &[Listener]) -> Self {
        prepare(place, listeners);
        Self::start_with(place, Vec::new(), false)
    }

    /// Starts it over other directories than the people of the place, as tables of its configuration.
    pub fn start_over(place: &'a Place, listeners: &[Listener], directories: &str) -> Self {
        prepare_over(place, listeners, directories);
        Self::start_with(place, Vec::new(), false)
    }

    /// The same with further SASL settings in place of the usual mechanisms.
    pub fn start_offering(place: &'a Place, listeners: &[Listener], sasl: &str, directories: &str) -> Self {
        prepare_with(place, listeners, sasl, directories);
        Self::start_with(place, Vec::new(), false)
    }

    /// Starts it with its sockets open already, as systemd does for a socket unit: what connects while it is
    /// away waits in the backlog.
    pub fn start_activated(place: &'a Place, listeners: &[Listener]) -> Self {
        prepare(place, listeners);
        Self::start_with(place, listeners.iter().map(Listener::bind).collect(), false)
    }

    /// The same under a user who may do nothing, such as enter the directories of its sockets.
    pub fn start_confined(place: &'a Place, listeners: &[Listener]) -> Self {
        prepare(place, listeners);
        place.dir("gatepost", 0o755, NOBODY, NOBODY);
        // Where the program is, nobody may be kept out.
        fs::copy(env!("CARGO_BIN_EXE_gatepost"), place.outside("gatepost.bin")).unwrap();
        Self::start_with(place, listeners.iter().map(Listener::bind).collect(), true)
    }

    fn start_with(place: &'a Place, sockets: Vec<OwnedFd>, confined: bool) -> Self {
        // Of one that was here before.
        let _ = fs::remove_file(place.outside("notify"));
        let supervisor = UnixDatagram::bind(place.outside("notify")).unwrap();
        supervisor.set_nonblocking(true).unwrap();
        fs::set_permissions(place.outside("notify"), fs::Permissions::from_mode(0o666)).unwrap();
        let mut gatepost = Self { place, sockets, confined, process: None, supervisor };
        gatepost.start_again();
        gatepost
    }

    pub fn start_again(&mut self) {
        let mut command = handing_over(&self.sockets);
        if self.confined {
            command.args(["setpriv", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
            command.arg(self.place.outside("gatepost.bin"));
        } else {
            command.arg(env!("CARGO_BIN_EXE_gatepost"));
        }
        command.args(["serve", "--config"]).arg(self.place.outside("gatepost.toml"));
        self.process = Some(launch(self.place, &self.supervisor, command));
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("gatepost runs").pid()
    }

    pub fn stop(&mut self) {
        let status = self.process.take().expect("gatepost runs").stop();
        assert!(status.success(), "gatepost ended with {status}:\n{}", self.log());
    }

    /// Ends it as a crash would: its sockets stay behind, and nobody is told.
    pub fn kill(&mut self) {
        self.process.take().expect("gatepost runs").kill();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    pub fn log(&self) -> String {
        self.place.read("gatepost.log")
    }

    /// The command line, with this daemon's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(self.place, arguments)
    }

    /// Forgets what was answered about everybody, as an administrator would have it do.
    pub fn forget(&self) {
        forget(self.place);
    }
}

/// The command line with the configuration of the daemon of a place.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.arg("--config").arg(place.outside("gatepost.toml")).args(arguments);
    command
}

/// Has the daemon of a place forget everybody.
pub(super) fn forget(place: &Place) {
    let output = command(place, &["cache", "flush"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A command that runs its arguments with `sockets` from descriptor 3 on.
fn handing_over(sockets: &[OwnedFd]) -> Command {
    let mut command = Command::new("sh");
    if sockets.is_empty() {
        command.args(["-c", r#"exec "$@""#, "sh"]);
        return command;
    }
    // LISTEN_PID can only be known after the fork: the shell's own pid becomes that of what it runs.
    command.args(["-c", r#"export LISTEN_PID=$$; exec "$@""#, "sh"]);
    command.env("LISTEN_FDS", sockets.len().to_string());
    let mappings = sockets.iter().zip(3..).map(|(socket, child_fd)| FdMapping {
        parent_fd: socket.as_fd().try_clone_to_owned().unwrap(),
        child_fd,
    });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

/// Writes the configuration and makes the directories of the sockets.
fn prepare(place: &Place, listeners: &[Listener]) {
    let people = place.outside("people");
    let directory = format!(
        "[[directory]]\nname = \"people\"\ntype = \"passwd-file\"\nfile = \"{}\"\n",
        people.display()
    );
    prepare_over(place, listeners, &directory);
}

fn prepare_over(place: &Place, listeners: &[Listener], directories: &str) {
    prepare_with(place, listeners, "mechanisms = [\"PLAIN\", \"LOGIN\"]", directories);
}

fn prepare_with(place: &Place, listeners: &[Listener], sasl: &str, directories: &str) {
    place.write("gatepost.toml", &configuration(place, listeners, sasl, directories));
    for listener in listeners {
        if let At::Path { path, .. } = &listener.at {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
    }
    if place.outside("run/login").exists() {
        place.dir("run/login", 0o750, 0, place.tree().gid("dovenull"));
    }
}

fn configuration(place: &Place, listeners: &[Listener], sasl: &str, directories: &str) -> String {
    let (state, runtime) = (place.outside("gatepost/state"), place.outside("gatepost/run"));
    let (state, runtime) = (state.display(), runtime.display());
    let mut text = format!(
        r#"
[server]
state_dir = "{state}"
runtime_dir = "{runtime}"

[sasl]
{sasl}
failure_delay = "200ms"

{directories}"#
    );
    let probe = Listener::unix("dovecot-userdb", place.outside(PROBE), 0o600, 0);
    for listener in listeners.iter().chain([&probe]) {
        text.push_str(&listener.config());
    }
    text
}

/// Starts it and waits until it says to its supervisor that it is ready.
fn launch(place: &Place, supervisor: &UnixDatagram, mut command: Command) -> Process {
    let mut message = [0; 1024];
    // What the one before had to say.
    while supervisor.recv(&mut message).is_ok() {}

    let log = fs::OpenOptions::new().create(true).append(true).open(place.outside("gatepost.log")).unwrap();
    command.env("NOTIFY_SOCKET", place.outside("notify"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut process = Process::start("gatepost", &mut command);
    wait_until("gatepost is ready", || {
        assert_eq!(process.ended(), None, "gatepost did not start:\n{}", place.read("gatepost.log"));
        supervisor
            .recv(&mut message)
            .is_ok_and(|length| message[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1"))
    });
    process
}
