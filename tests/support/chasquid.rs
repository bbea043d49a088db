use std::{
    net::{SocketAddr, TcpStream},
    process::Stdio,
};

use super::{Listener, Place, Smtp, process::Process, wait_until, within_tls};

const SUBMISSION: u16 = 11587;

/// chasquid with its `dovecot_auth`, which asks gatepost about passwords and about who exists.
#[derive(Debug)]
pub struct Chasquid<'a> {
    place: &'a Place,
    _process: Process,
}

impl<'a> Chasquid<'a> {
    pub fn start(place: &'a Place) -> Self {
        let directory = |path: &str| place.dir(path, 0o755, 0, 0);
        directory("chasquid/data");
        directory("chasquid/domains/example.test");
        directory("chasquid/certs/mx.example.test");
        for (name, file) in
            [("fullchain.pem", "etc/ssl/certs/peer.pem"), ("privkey.pem", "etc/ssl/private/peer.key")]
        {
            let to = place.outside("chasquid/certs/mx.example.test").join(name);
            std::fs::copy(place.tree().root().join(file), to).unwrap();
        }
        let (home, log) = (place.inside("chasquid"), place.inside("chasquid.log"));
        let config = format!(
            r#"
hostname: "mx.example.test"
smtp_address: "{address}:11025"
submission_address: "{address}:{SUBMISSION}"
mail_delivery_agent_bin: "/bin/true"
data_dir: "{home}/data"
mail_log_path: "{log}"
dovecot_auth: true
dovecot_client_path: "{home}/client"
dovecot_userdb_path: "{home}/userdb"
"#,
            address = place.address()
        );
        place.write("chasquid/chasquid.conf", &config);

        let log = std::fs::File::create(place.outside("chasquid-stderr.log")).unwrap();
        let mut command = place.tree().command("/opt/chasquid/usr/bin/chasquid");
        command.arg(format!("--config_dir={home}")).stdout(Stdio::null()).stderr(log);
        let mut process = Process::start("chasquid", &mut command);
        let address: SocketAddr = place.port(SUBMISSION).into();
        wait_until("chasquid listens", || {
            assert_eq!(process.ended(), None, "chasquid did not start");
            TcpStream::connect(address).is_ok()
        });
        Self { place, _process: process }
    }

    pub fn listeners(place: &Place) -> Vec<Listener> {
        vec![
            Listener::unix("dovecot-client", place.outside("chasquid/client"), 0o600, 0),
            Listener::unix("dovecot-userdb", place.outside("chasquid/userdb"), 0o600, 0),
        ]
    }

    /// A session within TLS, as chasquid offers authentication in no other.
    pub fn connect(&self) -> Session {
        let (lines, tls) = within_tls(self.place, self.place.port(SUBMISSION).into(), Some("smtp"));
        Session { smtp: Smtp::over(lines), _tls: tls }
    }
}

/// A session and the process that speaks TLS for it.
pub struct Session {
    pub smtp: Smtp,
    _tls: Process,
}
