use std::net::{SocketAddr, TcpStream};

use super::{Listener, Place, Smtp, process::Process, wait_until};

const SMTP: u16 = 10025;

/// Exim with `conf.d/peers/exim.conf` included in its authenticators.
///
/// Debian 12's 4.96 says nothing before it has read gatepost's whole greeting, which a server that waits for
/// the client's VERSION never sends.
#[derive(Debug)]
pub struct Exim<'a> {
    place: &'a Place,
    _process: Process,
}

impl<'a> Exim<'a> {
    pub fn start(place: &'a Place) -> Self {
        let tree = place.tree();
        let exim = tree.uid("Debian-exim");
        place.dir("exim", 0o750, exim, tree.gid("Debian-exim"));
        place.write("gatepost-exim.conf", &Place::snippet("exim.conf"));
        place.write("exim.conf", &config(place));

        let mut command = tree.command("/opt/exim4/usr/sbin/exim4");
        let mut process = Process::start("Exim", command.args(["-C", &place.inside("exim.conf"), "-bdf"]));
        let address: SocketAddr = place.port(SMTP).into();
        wait_until("Exim listens", || {
            assert_eq!(process.ended(), None, "Exim did not start");
            TcpStream::connect(address).is_ok()
        });
        Self { place, _process: process }
    }

    pub fn listeners(place: &Place) -> Vec<Listener> {
        let group = place.tree().gid("Debian-exim");
        vec![Listener::unix("dovecot-client", place.outside("gatepost-exim"), 0o660, group)]
    }

    pub fn connect(&self) -> Smtp {
        Smtp::connect(self.place.port(SMTP))
    }
}

fn config(place: &Place) -> String {
    let (socket, snippet, spool) =
        (place.inside("gatepost-exim"), place.inside("gatepost-exim.conf"), place.inside("exim"));
    format!(
        "GATEPOST_SOCKET = {socket}
GATEPOST_ADVERTISE = yes

exim_path = /opt/exim4/usr/sbin/exim4
spool_directory = {spool}
log_file_path = {spool}/%s.log
primary_hostname = mx.example.test
local_interfaces = {}
daemon_smtp_ports = {SMTP}
host_lookup =
acl_smtp_rcpt = rcpt
tls_advertise_hosts =

begin acl
rcpt:
  accept authenticated = *
  deny

begin routers
drop:
  driver = redirect
  data = :blackhole:

begin authenticators
.include {snippet}
",
        place.address()
    )
}
