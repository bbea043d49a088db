use std::{
    fs,
    io::Write,
    os::unix::net::{UnixDatagram, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use super::{DEADLINE, Lines, process::Process, wait_until};

/// A daemon without any mail server around it, in a temporary directory.
#[derive(Debug)]
pub struct Alone {
    dir: TempDir,
    process: Option<Process>,
}

/// How it ended, for tests of what does not start.
#[derive(Debug)]
pub struct Refused {
    pub code: Option<i32>,
    pub said: String,
}

impl Alone {
    /// Writes a configuration, in which `@DIR@` is the directory, and `users`, a passwd-file of that name.
    pub fn new(config: &str, users: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gp").tempdir_in("/tmp").unwrap();
        let alone = Self { dir, process: None };
        alone.configure(config);
        fs::write(alone.path("users"), users).unwrap();
        alone
    }

    pub fn configure(&self, config: &str) {
        let head = "[server]\nstate_dir = \"@DIR@/state\"\nruntime_dir = \"@DIR@/run\"\n";
        let text = format!("{head}{config}").replace("@DIR@", &self.dir.path().display().to_string());
        fs::write(self.path("gatepost.toml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn started(mut self) -> Self {
        self.start();
        self
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(["serve", "--config"]).arg(self.path("gatepost.toml"));
        self.start_with(command);
    }

    pub fn start_with(&mut self, mut command: Command) {
        let notify = self.path("notify");
        let _ = fs::remove_file(&notify);
        let supervisor = UnixDatagram::bind(&notify).unwrap();
        supervisor.set_read_timeout(Some(std::time::Duration::from_millis(10))).unwrap();
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        command.env("NOTIFY_SOCKET", &notify).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = Process::start("gatepost", &mut command);
        let mut message = [0; 1024];
        wait_until("gatepost is ready", || {
            assert_eq!(process.ended(), None, "gatepost did not start:\n{}", self.log());
            supervisor
                .recv(&mut message)
                .is_ok_and(|length| String::from_utf8_lossy(&message[..length]).contains("READY=1"))
        });
        self.process = Some(process);
    }

    /// Starts it where it should not: waits for its end.
    pub fn refused(&self) -> Refused {
        let output = self.command(&["serve"]).stdin(Stdio::null()).output().unwrap();
        Refused { code: output.status.code(), said: String::from_utf8_lossy(&output.stderr).into_owned() }
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("gatepost runs")
    }

    pub fn stop(&mut self) {
        let status = self.process.take().expect("gatepost runs").stop();
        assert!(status.success(), "gatepost ended with {status}:\n{}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The command line, with this daemon's configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.arg("--config").arg(self.path("gatepost.toml")).args(args);
        command
    }

    /// Runs a command with `input` as its standard input.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Who needs no input may end before it has read any.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Connects to one of its sockets.
    pub fn connect(&self, name: &str) -> Lines {
        connect(&self.path(name))
    }
}

pub fn connect(path: &Path) -> Lines {
    let stream = UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    Lines::over(stream.try_clone().unwrap(), stream)
}
