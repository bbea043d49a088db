use std::{
    fs,
    net::SocketAddr,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{Authority, Place, process::Process, wait_until};

const PORT: u16 = 15432;
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// A PostgreSQL server in a place, with a socket, a port and a certificate for its address.
///
/// The service user `gatepost` (password `service`) owns the database `mail`.
#[derive(Debug)]
pub struct Postgres<'a> {
    place: &'a Place,
    process: Option<Process>,
}

impl<'a> Postgres<'a> {
    pub fn start(place: &'a Place) -> Self {
        let tree = place.tree();
        let (uid, gid) = (tree.uid("postgres"), tree.gid("postgres"));
        place.dir("pg", 0o755, uid, gid);
        Authority::found(place, "pg/ca").certify("pg/server");
        let key = place.outside("pg/server.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&key, Some(uid), Some(gid)).unwrap();
        let mut server = Self { place, process: None };
        let log = fs::File::create(place.outside("postgres-install.txt")).unwrap();
        let data = place.inside("pg/data");
        let made = server
            .command(&format!("{BIN}/initdb"))
            .args(["-D", &data, "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status();
        assert!(made.unwrap().success(), "{}", place.read("postgres-install.txt"));
        server.admit("host");
        server.start_again();
        server.sql("postgres", "CREATE USER gatepost PASSWORD 'service'");
        server.sql("postgres", "CREATE DATABASE mail OWNER gatepost");
        server
    }

    pub fn start_again(&mut self) {
        let inside = self.place.inside("pg");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.place.outside("postgres.log"));
        let mut command = self.command(&format!("{BIN}/postgres"));
        command.args(["-D", &format!("{inside}/data")]);
        for setting in [
            format!("listen_addresses={}", self.place.address()),
            format!("port={PORT}"),
            format!("unix_socket_directories={inside}"),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={inside}/server.pem"),
            format!("ssl_key_file={inside}/server.key"),
            // Nothing of this is to survive a power failure.
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "shared_buffers=32MB".to_owned(),
            "max_connections=40".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.unwrap());
        let mut process = Process::start("PostgreSQL", &mut command);
        wait_until("PostgreSQL takes connections", || {
            let said = || self.place.read("postgres.log");
            assert_eq!(process.ended(), None, "PostgreSQL did not start:\n{}", said());
            // The socket is there before it answers.
            UnixStream::connect(self.socket().join(format!(".s.PGSQL.{PORT}"))).is_ok() && self.answers()
        });
        self.process = Some(process);
    }

    pub fn stop(&mut self) {
        // SIGTERM waits for all clients to leave.
        let mut process = self.process.take().expect("PostgreSQL runs");
        process.signal(nix::sys::signal::Signal::SIGINT);
        process.stop();
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("PostgreSQL runs")
    }

    /// The directory of its socket, from outside the tree.
    pub fn socket(&self) -> PathBuf {
        self.place.outside("pg")
    }

    pub fn port(&self) -> u16 {
        PORT
    }

    pub fn address(&self) -> SocketAddr {
        self.place.port(PORT).into()
    }

    /// Who vouches for its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.place.outside("pg/ca.pem")
    }

    /// Runs statements as its administrator and returns what they print, with TABs between columns.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        super::process::fed(&mut self.psql(database), statements)
    }

    pub fn log(&self) -> String {
        self.place.read("postgres.log")
    }

    /// Ends all connections of the service user from the server's side. How many there were.
    pub fn end_connections(&self) -> usize {
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gatepost'";
        self.sql("postgres", ended).lines().count()
    }

    /// Takes connections over TCP by TLS alone, or in any way.
    pub fn require_tls(&self, required: bool) {
        self.admit(if required { "hostssl" } else { "host" });
        self.sql("postgres", "SELECT pg_reload_conf()");
        let rules = "SELECT count(*) FROM pg_hba_file_rules WHERE type = 'hostssl'";
        let expected = if required { "1" } else { "0" };
        wait_until("PostgreSQL has read its rules", || self.sql("postgres", rules).trim() == expected);
    }

    /// Its administrator may do anything over the socket; everybody else has a password.
    fn admit(&self, over: &str) {
        let rules = format!(
            "local all postgres trust\nlocal all all scram-sha-256\n{over} all all 0.0.0.0/0 scram-sha-256\n"
        );
        self.place.write("pg/data/pg_hba.conf", &rules);
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = self.place.tree().command("psql");
        command.args(["-X", "-q", "-t", "-A", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        command.args(["-h", &self.place.inside("pg"), "-p", &PORT.to_string(), database]);
        command
    }

    fn answers(&self) -> bool {
        let mut command = self.psql("postgres");
        command.args(["-c", "SELECT 1"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// A program of the tree, as the server's own user.
    fn command(&self, program: &str) -> Command {
        let mut command = self.place.tree().command_as("postgres", "postgres", program);
        command.env("LC_ALL", "C.UTF-8");
        command
    }
}

impl Drop for Postgres<'_> {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.signal(nix::sys::signal::Signal::SIGINT);
        }
    }
}
