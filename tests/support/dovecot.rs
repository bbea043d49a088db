use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    process::{Command, Output},
};

use nix::sys::signal::Signal;

use super::{Imap, Lines, Place, Smtp, process::Process, wait_until, within_tls};

const IMAP: u16 = 10143;
const IMAPS: u16 = 10993;
const POP3: u16 = 10110;
const SIEVE: u16 = 14190;
const LMTP: u16 = 10024;

/// Dovecot with Debian's own configuration and the snippet of `conf.d/peers` dropped in, as an administrator
/// would do it; only what ties it to its place is added.
#[derive(Debug)]
pub struct Dovecot<'a> {
    place: &'a Place,
    process: Option<Process>,
}

impl<'a> Dovecot<'a> {
    pub fn start(place: &'a Place) -> Self {
        Self::start_with(place, &Place::snippet(snippet(place)))
    }

    /// The same with more settings, which have the last word.
    pub fn start_also(place: &'a Place, more: &str) -> Self {
        install(place, &Place::snippet(snippet(place)));
        place.write("dovecot/local.conf", &(place.read("dovecot/local.conf") + more));
        let mut dovecot = Self { place, process: None };
        dovecot.start_again();
        dovecot
    }

    /// The same with another snippet than that of `conf.d/peers`.
    pub fn start_with(place: &'a Place, snippet: &str) -> Self {
        install(place, snippet);
        let mut dovecot = Self { place, process: None };
        dovecot.start_again();
        dovecot
    }

    /// Judges by itself, as these settings have it; `more` have the last word.
    pub fn start_judging(place: &'a Place, settings: &str, more: &str) -> Self {
        install(place, settings);
        place.write("dovecot/local.conf", &(place.read("dovecot/local.conf") + more));
        // It would have the users of the machine besides.
        place.write("dovecot/conf.d/10-auth.conf", "");
        let mut dovecot = Self { place, process: None };
        dovecot.start_again();
        dovecot
    }

    /// Settings with the certificate `mail.pem` of its place, as Debian has them but for the port of IMAPS: whoever is not
    /// within TLS is offered no login that says a password or a token as it is.
    pub fn over_tls(place: &Place) -> String {
        let (certificate, key) = (place.inside("mail.pem"), place.inside("mail.key"));
        let settings = match place.tree().name() {
            "bookworm" => {
                format!("disable_plaintext_auth = yes\nssl_cert = <{certificate}\nssl_key = <{key}\n")
            }
            _ => format!(
                "auth_allow_cleartext = no\nssl_server_cert_file = {certificate}\nssl_server_key_file = {key}\n"
            ),
        };
        format!(
            "ssl = yes
{settings}service imap-login {{
  inet_listener imaps {{
    port = {IMAPS}
  }}
}}
"
        )
    }

    pub fn stop(&mut self) {
        let status = self.process.take().expect("Dovecot runs").stop();
        assert!(status.success(), "Dovecot ended with {status}");
    }

    pub fn start_again(&mut self) {
        let config = self.place.inside("dovecot/dovecot.conf");
        let mut command = self.place.tree().command("dovecot");
        let mut process = Process::start("Dovecot", command.args(["-F", "-c", &config]));
        wait_until("Dovecot listens", || {
            assert_eq!(process.ended(), None, "Dovecot did not start:\n{}", self.log());
            UnixStream::connect(self.place.outside("run/master")).is_ok()
                && [IMAP, POP3, SIEVE, LMTP]
                    .iter()
                    .all(|&port| TcpStream::connect(self.address(port)).is_ok())
        });
        self.process = Some(process);
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Makes it read its configuration again, and waits until it has.
    pub fn reload(&self) {
        let said = "SIGHUP received - reloading configuration";
        let before = self.log().matches(said).count();
        self.process.as_ref().expect("Dovecot runs").signal(Signal::SIGHUP);
        wait_until("Dovecot has reloaded", || self.log().matches(said).count() > before);
    }

    /// Where it takes IMAP, for clients that are programs of their own.
    pub fn imap_address(&self) -> SocketAddr {
        self.address(IMAP)
    }

    /// The same within TLS from the first byte, where [`over_tls`](Self::over_tls) has it.
    pub fn imaps_address(&self) -> SocketAddr {
        self.address(IMAPS)
    }

    pub fn sieve_address(&self) -> SocketAddr {
        self.address(SIEVE)
    }

    pub fn imap(&self) -> Imap {
        Imap::connect(self.address(IMAP))
    }

    /// The same line by line, after the greeting.
    pub fn imap_lines(&self) -> Lines {
        let mut lines = Lines::connect(self.address(IMAP));
        lines.expect("* OK");
        lines
    }

    /// The same within TLS, with the process that speaks it.
    pub fn imaps_lines(&self) -> (Lines, Process) {
        let (mut lines, tls) = within_tls(self.place, self.imaps_address(), None);
        lines.expect("* OK");
        (lines, tls)
    }

    pub fn pop3(&self) -> Lines {
        let mut lines = Lines::connect(self.address(POP3));
        lines.expect("+OK");
        lines
    }

    /// ManageSieve, after the server has said what it can do.
    pub fn sieve(&self) -> Lines {
        let mut lines = Lines::connect(self.address(SIEVE));
        lines.hear_until(|line| line.starts_with("OK"));
        lines
    }

    pub fn lmtp(&self) -> Smtp {
        Smtp::connect_lmtp(self.address(LMTP))
    }

    /// Where it takes mail in, for an MTA's configuration.
    pub fn lmtp_address(&self) -> SocketAddr {
        Self::lmtp_of(self.place)
    }

    /// The same of the one that is to be started in a place.
    pub fn lmtp_of(place: &Place) -> SocketAddr {
        place.port(LMTP).into()
    }

    pub fn doveadm(&self, arguments: &[&str]) -> Output {
        let config = self.place.inside("dovecot/dovecot.conf");
        self.place.tree().command("doveadm").args(["-c", &config]).args(arguments).output().unwrap()
    }

    pub fn log(&self) -> String {
        self.place.read("dovecot.log")
    }

    /// The names of the processes that Dovecot's master has started and that still run.
    pub fn processes(&self) -> Vec<String> {
        let master = self.process.as_ref().expect("Dovecot runs").pid().to_string();
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        all.filter_map(|dir| fs::read_to_string(dir.join("stat")).ok())
            .filter_map(|stat| {
                // pid (name) state ppid ...
                let (head, tail) = stat.rsplit_once(") ")?;
                let parent = tail.split(' ').nth(1)?;
                (parent == master).then(|| head.split_once(" (").map(|(_, name)| name.to_owned()))?
            })
            .collect()
    }

    fn address(&self, port: u16) -> SocketAddr {
        self.place.port(port).into()
    }
}

fn install(place: &Place, snippet: &str) {
    let tree = place.tree();
    let copied = Command::new("cp")
        .arg("-rT")
        .arg(tree.root().join("etc/dovecot"))
        .arg(place.outside("dovecot"))
        .status();
    assert!(copied.unwrap().success());

    // LMTP delivers as this user, whom only gatepost knows.
    place.dir("mail", 0o755, 5000, 5000);
    place.dir("run", 0o755, 0, 0);
    place.dir("run/login", 0o750, 0, tree.gid("dovenull"));

    let mail = match tree.name() {
        "bookworm" => "mail_location = maildir:~/Maildir\ndisable_plaintext_auth = no\n",
        _ => {
            "mail_driver = maildir\nmail_path = ~/Maildir\nmail_inbox_path = ~/Maildir\nauth_allow_cleartext = yes\n"
        }
    };
    place.write("dovecot/conf.d/99-gatepost.conf", snippet);
    place.write("dovecot/local.conf", &format!("{mail}{}", own(place)));
}

/// The snippet of `conf.d/peers` for the Dovecot of this tree.
fn snippet(place: &Place) -> &'static str {
    match place.tree().name() {
        "bookworm" => "dovecot-2.3.conf",
        _ => "dovecot-2.4.conf",
    }
}

/// What ties an instance to its place.
fn own(place: &Place) -> String {
    let (run, state, log) = (place.inside("run"), place.inside("state"), place.inside("dovecot.log"));
    let address = place.address();
    format!(
        "base_dir = {run}
state_dir = {state}
log_path = {log}
listen = {address}
ssl = no
service imap-login {{
  inet_listener imap {{
    port = {IMAP}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {POP3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {SIEVE}
  }}
  inet_listener sieve_deprecated {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {LMTP}
  }}
}}
"
    )
}
