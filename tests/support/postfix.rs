use std::{
    net::{SocketAddr, TcpStream},
    process::{Command, Output},
};

use super::{Lines, Listener, Place, Smtp, process::fed, wait_until};

/// Where gatepost answers over TCP.
const INET: u16 = 10901;

/// Its tables there.
const TABLES: [(&str, u16); 3] = [("domains", 10911), ("mailboxes", 10912), ("senders", 10913)];

/// How Postfix asks for the tables of who there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tables {
    Socketmap,
    Tcp,
}

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

/// Postfix with the lines of `conf.d/peers/postfix-auth.cf` in its main.cf and four smtpds in its master.cf.
#[derive(Debug)]
pub struct Postfix<'a> {
    place: &'a Place,
    tables: Tables,
    running: bool,
}

impl Tables {
    pub const ALL: [Self; 2] = [Self::Socketmap, Self::Tcp];
}

impl<'a> Postfix<'a> {
    /// `deliver_to` takes the mail for example.test by LMTP.
    pub fn start(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to, &Place::snippet("postfix-auth.cf"));
        Self::started(place, Tables::Socketmap)
    }

    /// With the lines of `conf.d/peers/postfix-main.cf` instead, which is all that Postfix asks gatepost.
    pub fn start_whole(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to, &Place::snippet("postfix-main.cf"));
        let main = place.read("postfix/etc/main.cf").replace("virtual_mailbox_domains = example.test\n", "");
        place.write("postfix/etc/main.cf", &main);
        Self::started(place, Tables::Socketmap)
    }

    /// The same with the lines of `conf.d/peers/postfix-maps.cf` behind the others.
    pub fn start_with_maps(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        Self::start_with_tables(place, Tables::Socketmap, deliver_to)
    }

    /// The same with these lines, or those of `postfix-tcp-tables.cf` with the
    /// place's own address, and before a gatepost whose directory names example.test.
    pub fn start_with_tables(place: &'a Place, tables: Tables, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to, &Place::snippet("postfix-auth.cf"));
        let main = place.read("postfix/etc/main.cf").replace("virtual_mailbox_domains = example.test\n", "");
        let lines = match tables {
            Tables::Socketmap => Place::snippet("postfix-maps.cf"),
            Tables::Tcp => {
                Place::snippet("postfix-tcp-tables.cf").replace("127.0.0.1", &place.address().to_string())
            }
        };
        place.write("postfix/etc/main.cf", &(main + &lines));
        Self::started(place, tables)
    }

    /// The same with the lines of `conf.d/peers/postfix-policy.cf` behind the others, and then `lines`.
    pub fn start_with_policy(place: &'a Place, lines: &str) -> Self {
        install(place, None, &Place::snippet("postfix-auth.cf"));
        let main = place.read("postfix/etc/main.cf") + &Place::snippet("postfix-policy.cf");
        place.write("postfix/etc/main.cf", &(main + lines));
        Self::started(place, Tables::Socketmap)
    }

    /// The same with [`Smtpd::Submission`] besides, whose certificate is `mail.pem` of the place.
    pub fn start_over_tls(place: &'a Place, deliver_to: Option<SocketAddr>) -> Self {
        install(place, deliver_to, &Place::snippet("postfix-auth.cf"));
        let master = place.read("postfix/etc/master.cf");
        place.write("postfix/etc/master.cf", &(master + &submission(place)));
        Self::started(place, Tables::Socketmap)
    }

    /// The same with the lines of `conf.d/peers/postfix-cyrus.cf` in place of the others, and `cyrus-smtpd.conf` of Cyrus
    /// SASL. It knows one way to gatepost only, so that there is no difference between the smtpds but for their chroot.
    pub fn start_with_cyrus(place: &'a Place) -> Self {
        install(place, None, &Place::snippet("postfix-cyrus.cf"));
        place.write("postfix/etc/master.cf", &services(place, ""));
        place.write("postfix/etc/sasl/smtpd.conf", &Place::snippet("cyrus-smtpd.conf"));
        Self::started(place, Tables::Socketmap)
    }

    fn started(place: &'a Place, tables: Tables) -> Self {
        let main = place.read("postfix/etc/main.cf");
        place.write("postfix/etc/main.cf", &each_once(&main));
        let mut postfix = Self { place, tables, running: false };
        postfix.start_again();
        postfix
    }

    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// The same with these lines behind those of its main.cf, and these services besides in its master.cf.
    pub fn start_told(place: &'a Place, deliver_to: Option<SocketAddr>, main: &str, master: &str) -> Self {
        install(place, deliver_to, &Place::snippet("postfix-auth.cf"));
        place.write("postfix/etc/main.cf", &(place.read("postfix/etc/main.cf") + main));
        place.write("postfix/etc/master.cf", &(place.read("postfix/etc/master.cf") + master));
        Self::started(place, Tables::Socketmap)
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
        self.queried(self.place.tree().command("postmap"), &self.socket(), map, key)
    }

    /// The same over TCP.
    pub fn query_at(&self, address: SocketAddr, map: &str, key: &str) -> (i32, String) {
        self.queried(self.place.tree().command("postmap"), &format!("inet:{address}"), map, key)
    }

    /// The same as another user than root, in the group of Postfix.
    pub fn query_as(&self, user: &str, map: &str, key: &str) -> (i32, String) {
        self.queried(self.place.tree().command_as(user, "postfix", "postmap"), &self.socket(), map, key)
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.place.inside("postfix/spool/gatepost/map"))
    }

    fn queried(&self, mut command: Command, at: &str, map: &str, key: &str) -> (i32, String) {
        let table = match self.tables {
            Tables::Socketmap => format!("socketmap:{at}:{map}"),
            Tables::Tcp => {
                let (_, port) = TABLES.iter().find(|(name, _)| *name == map).unwrap();
                format!("tcp:{}", self.place.port(*port))
            }
        };
        self.asked(&mut command, &table, key)
    }

    /// How a map of gatepost is written as a table of Postfix's.
    pub fn table_of_gatepost(place: &Place, map: &str) -> String {
        format!("socketmap:unix:{}:{map}", place.inside("postfix/spool/gatepost/map"))
    }

    /// The same of any table.
    pub fn query_table(&self, table: &str, key: &str) -> (i32, String) {
        self.asked(&mut self.place.tree().command("postmap"), table, key)
    }

    fn asked(&self, command: &mut Command, table: &str, key: &str) -> (i32, String) {
        let config = self.place.inside("postfix/etc");
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
        let tables = TABLES.map(|(map, port)| Listener::table(map, place.port(port)));
        let others = [
            Listener::unix("dovecot-client", place.outside("postfix/spool/gatepost/auth"), 0o660, group),
            Listener::unix("postfix-socketmap", place.outside("postfix/spool/gatepost/map"), 0o660, group),
            Listener::unix("saslauthd", place.outside("postfix/spool/gatepost/saslauthd"), 0o660, group),
            Listener::inet("dovecot-client", place.port(INET)),
        ];
        others.into_iter().chain(tables).collect()
    }

    /// The socket of the policy service, as its unit makes it.
    pub fn policy(place: &Place) -> Listener {
        let path = place.outside("postfix/spool/gatepost/policy");
        Listener::unix("postfix-policy", path, 0o660, place.tree().gid("postfix"))
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

    /// Tries at once to deliver what was put off.
    pub fn flush(&self) {
        let flushed = self.control("flush");
        assert!(flushed.status.success(), "{flushed:?}\n{}", self.log());
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

/// The last of what is said of each parameter. Every process of Postfix would warn of the others, postlogd too, which waits
/// for itself for ever where there is no room for its warning.
fn each_once(main: &str) -> String {
    let mut entries: Vec<(&str, String)> = Vec::new();
    for line in main.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        match entries.last_mut() {
            Some((_, entry)) if line.starts_with([' ', '\t']) => *entry += &format!("{line}\n"),
            _ => {
                let name = line.split('=').next().unwrap().trim();
                entries.retain(|(other, _)| *other != name);
                entries.push((name, format!("{line}\n")));
            }
        }
    }
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// `lines` are of a file of `conf.d/peers`.
fn install(place: &Place, deliver_to: Option<SocketAddr>, lines: &str) {
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
{lines}"
    );
    place.write("postfix/etc/main.cf", &main);
    let inet = format!("-o smtpd_sasl_path=inet:{}:{INET}", place.address());
    place.write("postfix/etc/master.cf", &services(place, &inet));
}

/// `inet` is how those that are for it reach gatepost over TCP.
fn services(place: &Place, inet: &str) -> String {
    let address = place.address();
    let mut text = String::new();
    for (smtpd, chroot, path) in [
        (Smtpd::Unix, 'n', ""),
        (Smtpd::Inet, 'n', inet),
        (Smtpd::ChrootedUnix, 'y', ""),
        (Smtpd::ChrootedInet, 'y', inet),
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
