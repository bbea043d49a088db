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

const PORT: u16 = 13306;

/// A MariaDB server in a place, with a socket, a port and a certificate for its address.
///
/// The service user `gatepost` (password `service`) may do what it likes to the database `mail`.
#[derive(Debug)]
pub struct MariaDb<'a> {
    place: &'a Place,
    process: Option<Process>,
}

impl<'a> MariaDb<'a> {
    pub fn start(place: &'a Place) -> Self {
        let tree = place.tree();
        let (uid, gid) = (tree.uid("mysql"), tree.gid("mysql"));
        place.dir("maria", 0o755, uid, gid);
        // Temporary tables are named by a process id, and two in one tree may have the same.
        place.dir("maria/tmp", 0o755, uid, gid);
        Authority::found(place, "maria/ca").certify("maria/server");
        let key = place.outside("maria/server.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&key, Some(uid), Some(gid)).unwrap();
        let inside = place.inside("maria");
        let log = fs::File::create(place.outside("mariadb-install.txt")).unwrap();
        let installed = tree
            .command("mariadb-install-db")
            .args([
                "--no-defaults",
                "--user=mysql",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .args([format!("--datadir={inside}/data"), format!("--tmpdir={inside}/tmp")])
            .arg("--innodb-log-file-size=8M")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status();
        assert!(installed.unwrap().success(), "{}", place.read("mariadb-install.txt"));
        let mut server = Self { place, process: None };
        server.start_again();
        server.sql(
            "",
            "CREATE DATABASE mail CHARACTER SET utf8mb4;
             CREATE USER gatepost@'%' IDENTIFIED BY 'service';
             CREATE USER gatepost@localhost IDENTIFIED BY 'service';
             GRANT ALL ON mail.* TO gatepost@'%';
             GRANT ALL ON mail.* TO gatepost@localhost;",
        );
        server
    }

    pub fn start_again(&mut self) {
        let inside = self.place.inside("maria");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.place.outside("mariadb.log"));
        let mut command = self.place.tree().command("mariadbd");
        command
            .args(["--no-defaults", "--user=mysql", "--skip-name-resolve", "--skip-log-bin"])
            .args(["--performance-schema=off", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M"])
            // Nothing of this is to survive a power failure.
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync"])
            .args([format!("--datadir={inside}/data"), format!("--tmpdir={inside}/tmp")])
            .arg(format!("--socket={inside}/sock"))
            .args([format!("--pid-file={inside}/pid"), format!("--port={PORT}")])
            .args([format!("--bind-address={}", self.place.address())])
            .args([format!("--ssl-ca={inside}/ca.pem"), format!("--ssl-cert={inside}/server.pem")])
            .arg(format!("--ssl-key={inside}/server.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        let mut process = Process::start("MariaDB", &mut command);
        wait_until("MariaDB takes connections", || {
            let said = || self.place.read("mariadb.log");
            assert_eq!(process.ended(), None, "MariaDB did not start:\n{}", said());
            UnixStream::connect(self.socket()).is_ok()
        });
        self.process = Some(process);
    }

    pub fn stop(&mut self) {
        self.process.take().expect("MariaDB runs").stop();
    }

    /// Ends it as a power failure would.
    pub fn kill(&mut self) {
        self.process.take().expect("MariaDB runs").kill();
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("MariaDB runs")
    }

    /// The socket, from outside the tree.
    pub fn socket(&self) -> PathBuf {
        self.place.outside("maria/sock")
    }

    pub fn address(&self) -> SocketAddr {
        self.place.port(PORT).into()
    }

    /// Who vouches for its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.place.outside("maria/ca.pem")
    }

    /// Runs statements as root and returns what they print, with TABs between columns.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut command: Command = self.place.tree().command("mariadb");
        command.args(["--no-defaults", "--skip-column-names", "--batch", "--raw", "--user=root"]).args([
            "--default-character-set=utf8mb4",
            &format!("--socket={}", self.place.inside("maria/sock")),
        ]);
        super::process::fed(command.args([database].iter().filter(|name| !name.is_empty())), statements)
    }

    /// A number of `SHOW GLOBAL STATUS`.
    pub fn status(&self, name: &str) -> u64 {
        let said = self.sql("", &format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        said.split_whitespace().last().unwrap().parse().unwrap()
    }

    /// Ends all connections of the service user from the server's side. How many there were.
    pub fn end_connections(&self) -> usize {
        let ids = self.sql("", "SELECT id FROM information_schema.processlist WHERE user = 'gatepost'");
        let kills: String = ids.lines().map(|id| format!("KILL {id};")).collect();
        self.sql("", &kills);
        ids.lines().count()
    }
}
