use std::{
    net::{SocketAddr, TcpStream},
    process::{Command, Output},
};

use super::{Lines, Listener, Place, Smtp, process::fed, wait_until};

/// Where gatepost answers over TCP.
const INET: u16 = 10901;

/// The four ways in which an smtpd reaches gatepost, each on its own port, and the one for mail programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Smtpd {
    Unix = 10587,
    Inet = 10588,
    ChrootedUnix = 10589,
    ChrootedInet = 10590,
    /// Nobody does anything there but within TLS. There is one where the place has a certificate for it.
    Submission = 10591,
}

impl Smtpd {
    pub const ALL: [Self; 4] = [Self::Unix, Self::Inet, Self::ChrootedUnix, Self::ChrootedInet];

    /// Whether a restart of gatepost is out of the remote's sight: on TCP the first request after one is lost.
    pub fn is_unix(self) -> bool {
        matches!(self, Self::Unix | Self::ChrootedUnix | Self::Submission)
    }
}

/// Postfix with the lines of `conf.d/peers/postfix-main.cf` in its main.cf and four smtpds in its master.cf.
#[derive(Debug)]
pub struct Postfix<'a> {
    place: &'a Place,
    running: bool,
}

impl<'a> Postfix<'a> {
    /// `deliver_to` takes the mail for example.test by LMTP.
    pub fn start(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to);
        let mut postfix = Self { place, running: false };
        postfix.start_again();
        postfix
    }

    /// The same with the lines of `conf.d/peers/postfix-maps.cf` behind the others, and before a gatepost whose directory
    /// names example.test.
    pub fn start_with_maps(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to);
        let main = place.read("postfix/etc/main.cf").replace("virtual_mailbox_domains = example.test\n", "");
        place.write("postfix/etc/main.cf", &(main + &Place::snippet("postfix-maps.cf")));
        let mut postfix = Self { place, running: false };
        postfix.start_again();
        postfix
    }

    /// The same with [`Smtpd::Submission`] besides, whose certificate is `mail.pem` of the place.
    pub fn start_over_tls(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to);
        place.write("postfix/etc/master.cf", &(services(place) + &submission(place)));
        let mut postfix = Self { place, running: false };
        postfix.start_again();
        postfix
    }

    /// The same with `main` and `services` behind what else is in its main.cf and master.cf.
    pub fn start_adding(place: &'a Place, main: &str, services: &str) -> Self {
        install(place, None);
        for (file, more) in [("main.cf", main), ("master.cf", services)] {
            let file = format!("postfix/etc/{file}");
            place.write(&file, &(place.read(&file) + more));
        }
        let mut postfix = Self { place, running: false };
        postfix.start_again();
        postfix
    }

    /// `postmap -q -`: what a table such as `mysql:FILE` has for each of many keys, which are fed to it a line each.
    pub fn query_all(&self, table: &str, keys: &[String]) -> Vec<Option<String>> {
        let config = self.place.inside("postfix/etc");
        let mut command = self.place.tree().command("postmap");
        command.args(["-c", &config, "-q", "-", table]);
        let printed = fed(&mut command, &(keys.join("\n") + "\n"));
        let mut lines = printed.lines().peekable();
        let found = keys.iter().map(|key| {
            let of_key =
                |line: &&str| line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('\t'));
            lines.next_if(of_key).map(|line| line.split_at(key.len() + 1).1.to_owned())
        });
        let found = found.collect();
        assert_eq!(lines.next(), None, "{table}: a line that is of no key");
        found
    }

    /// `postmap -q`: its exit code, and what it prints.
    pub fn query(&self, map: &str, key: &str) -> (i32, String) {
        self.query_table(&Self::table_of_gatepost(self.place, map), key)
    }

    /// How a map of gatepost is written as a table of Postfix's.
    pub fn table_of_gatepost(place: &Place, map: &str) -> String {
        format!("socketmap:unix:{}:{map}", place.inside("postfix/spool/gatepost/map"))
    }

    /// The same of any table.
    pub fn query_table(&self, table: &str, key: &str) -> (i32, String) {
        let config = self.place.inside("postfix/etc");
        let mut command = self.place.tree().command("postmap");
        let output = command.args(["-c", &config, "-q", key, table]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    pub fn start_again(&mut self) {
        let started = self.control("start");
        assert!(started.status.success(), "{started:?}\n{}", self.log());
        self.running = true;
        wait_until("Postfix listens", || {
            Smtpd::ALL.iter().all(|&smtpd| TcpStream::connect(self.address(smtpd)).is_ok())
        });
    }

    pub fn stop(&mut self) {
        self.running = false;
        let stopped = self.control("stop");
        assert!(stopped.status.success(), "{stopped:?}\n{}", self.log());
    }

    /// Every socket that gatepost has to hold for this Postfix.
    pub fn listeners(place: &Place) -> Vec<Listener> {
        let group = place.tree().gid("postfix");
        vec![
            Listener::unix("dovecot-client", place.outside("postfix/spool/gatepost/auth"), 0o660, group),
            Listener::unix("postfix-socketmap", place.outside("postfix/spool/gatepost/map"), 0o660, group),
            Listener::inet("dovecot-client", place.port(INET)),
        ]
    }

    pub fn connect(&self, smtpd: Smtpd) -> Smtp {
        Smtp::connect(self.address(smtpd))
    }

    /// A connection whose banner has not been waited for.
    pub fn connect_unheard(&self, smtpd: Smtpd) -> Lines {
        Lines::connect(self.address(smtpd))
    }

    /// A connection line by line, after EHLO.
    pub fn connect_heard(&self, smtpd: Smtpd) -> Lines {
        let mut lines = self.connect_unheard(smtpd);
        lines.expect("220");
        lines.say("EHLO client.example.test");
        lines.hear_until(|line| line.starts_with("250 "));
        lines
    }

    pub fn log(&self) -> String {
        self.place.read("postfix.log")
    }

    /// Where it takes mail from who is logged in.
    pub fn address(&self, smtpd: Smtpd) -> SocketAddr {
        self.place.port(smtpd as u16).into()
    }

    fn control(&self, action: &str) -> Output {
        let config = self.place.inside("postfix/etc");
        self.place.tree().command("postfix").args(["-c", &config, action]).output().unwrap()
    }
}

impl Drop for Postfix<'_> {
    fn drop(&mut self) {
        if self.running {
            let _ = self.control("stop");
        }
    }
}

fn install(place: &Place, deliver_to: Option<SocketAddr>) {
    let tree = place.tree();
    let postfix = tree.uid("postfix");
    place.dir("postfix/etc", 0o755, 0, 0);
    place.dir("postfix/spool", 0o755, 0, 0);
    place.dir("postfix/data", 0o755, postfix, postfix);
    for file in ["postfix-files", "postfix-files.d", "dynamicmaps.cf", "dynamicmaps.cf.d"] {
        let from = tree.root().join("etc/postfix").join(file);
        if from.exists() {
            let copied = Command::new("cp").arg("-r").arg(from).arg(place.outside("postfix/etc")).status();
            assert!(copied.unwrap().success());
        }
    }

    let (home, log) = (place.inside("postfix"), place.inside("postfix.log"));
    let delivery = deliver_to.map_or("discard".to_owned(), |address| format!("lmtp:inet:{address}"));
    let main = format!(
        "compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = {home}/etc
mail_owner = postfix
setgid_group = postdrop
# An address that the interface has; the smtpds listen on the place's own.
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
# As every remote is this machine: only who is logged in may send.
mynetworks =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_transport = {delivery}
# Nothing leaves this machine.
default_transport = discard
maillog_file = {log}
maillog_file_prefixes = /var/log, /srv
{}",
        Place::snippet("postfix-main.cf")
    );
    place.write("postfix/etc/main.cf", &main);
    place.write("postfix/etc/master.cf", &services(place));
}

fn services(place: &Place) -> String {
    let address = place.address();
    let inet = format!("-o smtpd_sasl_path=inet:{address}:{INET}");
    let mut text = String::new();
    for (smtpd, chroot, path) in [
        (Smtpd::Unix, 'n', ""),
        (Smtpd::Inet, 'n', &*inet),
        (Smtpd::ChrootedUnix, 'y', ""),
        (Smtpd::ChrootedInet, 'y', &*inet),
    ] {
        let port = smtpd as u16;
        text += &format!("{address}:{port} inet n - {chroot} - - smtpd -o smtpd_tls_auth_only=no {path}\n");
    }
    text + "cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
}

/// As it is in Debian's master.cf, commented out.
fn submission(place: &Place) -> String {
    let (address, port) = (place.address(), Smtpd::Submission as u16);
    let (certificate, key) = (place.inside("mail.pem"), place.inside("mail.key"));
    format!(
        "{address}:{port} inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_cert_file={certificate}
  -o smtpd_tls_key_file={key}
tlsmgr unix - - n 1000? 1 tlsmgr
"
    )
}
