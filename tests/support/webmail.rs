use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};

use super::{Lines, Place, Provider, process::Process, provider::WEBMAIL_PORT, wait_until};

/// The mail servers that webmail logs in to, each over TLS.
#[derive(Debug)]
pub struct Servers {
    pub imaps: SocketAddr,
    /// With STARTTLS, as all but `imaps`.
    pub sieve: SocketAddr,
    pub submission: SocketAddr,
    /// The certificate of who vouches for theirs.
    pub authority: PathBuf,
}

/// Who vouches for the certificates of the mail servers, in the place of webmail.
const AUTHORITY: &str = "mail-authority.pem";

/// Debian's Roundcube, whose people log in at a [`Provider`] in the same place.
#[derive(Debug)]
pub struct Webmail<'a> {
    place: &'a Place,
    process: Process,
}

impl<'a> Webmail<'a> {
    /// `format` is what its access tokens are to be, see [`super::provider::Wanted`].
    pub fn start(place: &'a Place, provider: &Provider<'_>, servers: &Servers, format: &str) -> Self {
        for dir in ["roundcube", "roundcube/logs", "roundcube/temp"] {
            fs::create_dir_all(place.outside(dir)).unwrap();
        }
        for file in ["defaults.inc.php", "mimetypes.php"] {
            let there = Path::new("/etc/roundcube").join(file);
            symlink(there, place.outside(&format!("roundcube/{file}"))).unwrap();
        }
        place.write("roundcube/config.inc.php", &configuration(place, provider, servers, format));
        let schema = "/usr/share/roundcube/SQL/sqlite.initial.sql";
        let database = place.inside("roundcube/mail.db");
        let made = "(new PDO('sqlite:' . $argv[1]))->exec(file_get_contents($argv[2]));";
        let made = place.tree().command("php").args(["-r", made, "--", &database, schema]).status();
        assert!(made.unwrap().success());
        let process = serve(place);
        let webmail = Self { place, process };
        webmail.trusts(&servers.authority);
        webmail
    }

    /// Takes the certificates of mail servers that this authority vouches for from now on, and no others.
    pub fn trusts(&self, authority: &Path) {
        fs::copy(authority, self.place.outside(AUTHORITY)).unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.place.port(WEBMAIL_PORT))
    }

    /// What PHP and Roundcube have complained about.
    pub fn log(&self) -> String {
        self.place.read("php.log") + &self.place.read("roundcube/logs/errors.log")
    }
}

impl Drop for Webmail<'_> {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// PHP's own web server, with several processes, as Roundcube's pages ask for several things at a time.
fn serve(place: &Place) -> Process {
    let address = place.port(WEBMAIL_PORT);
    let log = fs::File::create(place.outside("php.log")).unwrap();
    let mut command = place.tree().secluded("php");
    command.args(["-q", "-d", &format!("session.save_path={}", place.inside("roundcube/temp"))]);
    command.args(["-S", &address.to_string(), "-t", "/var/lib/roundcube/public_html"]);
    command.env("ROUNDCUBE_CONFIG_DIR", place.inside("roundcube")).env("PHP_CLI_SERVER_WORKERS", "4");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut process = Process::start("PHP", &mut command);
    wait_until("PHP listens", || {
        assert_eq!(process.ended(), None, "PHP did not start:\n{}", place.read("php.log"));
        TcpStream::connect(address).is_ok()
    });
    process
}

fn configuration(place: &Place, provider: &Provider<'_>, servers: &Servers, format: &str) -> String {
    let (home, issuer) = (place.inside("roundcube"), provider.issuer());
    let authority = place.inside("authority.pem");
    let mail_authority = place.inside(AUTHORITY);
    let Servers { imaps, sieve, submission, .. } = servers;
    format!(
        "<?php
$config['db_dsnw'] = 'sqlite:///{home}/mail.db?mode=0600';
$config['log_dir'] = '{home}/logs/';
$config['temp_dir'] = '{home}/temp/';
$config['des_key'] = '0123456789abcdefABCDEFGH';
$config['plugins'] = ['managesieve'];
$config['skin'] = 'elastic';
$config['enable_spellcheck'] = false;
$config['create_default_folders'] = true;
$verified = ['ssl' => ['verify_peer' => true, 'verify_peer_name' => true, 'cafile' => '{mail_authority}']];
$config['imap_host'] = 'ssl://{imaps}';
$config['imap_conn_options'] = $verified;
$config['smtp_host'] = 'tls://{submission}';
$config['smtp_conn_options'] = $verified;
$config['managesieve_host'] = 'tls://{sieve}';
$config['managesieve_conn_options'] = $verified;
$config['oauth_provider'] = 'generic';
$config['oauth_provider_name'] = 'the house';
$config['oauth_client_id'] = 'webmail';
$config['oauth_client_secret'] = 'webmail-secret';
$config['oauth_auth_uri'] = '{issuer}/auth';
$config['oauth_token_uri'] = '{issuer}/token';
$config['oauth_identity_uri'] = '{issuer}/me';
$config['oauth_verify_peer'] = '{authority}';
$config['oauth_scope'] = 'openid email offline_access mail';
$config['oauth_identity_fields'] = ['email'];
// There is no refresh token without this prompt, and no audience without the resource.
$config['oauth_auth_parameters'] = ['prompt' => 'consent', 'resource' => 'urn:{format}:gatepost'];
"
    )
}

/// Headless Chromium with a person before it, as `tests/peers/web/browser.mjs` plays it.
pub struct Browser<'a> {
    place: &'a Place,
    lines: Lines,
    process: Process,
}

impl<'a> Browser<'a> {
    /// It trusts the authority of its place besides those that everybody trusts.
    pub fn start(place: &'a Place) -> Self {
        let database = format!("sql:{}", place.inside("home/.pki/nssdb"));
        fs::create_dir_all(place.outside("home/.pki/nssdb")).unwrap();
        let authority = place.inside("authority.pem");
        for arguments in
            [&["-N", "--empty-password"][..], &["-A", "-t", "C,,", "-n", "house", "-i", &authority]]
        {
            let mut command = place.tree().command("certutil");
            let done = command.args(["-d", &database]).args(arguments).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        }
        let mut command = place.tree().secluded("node");
        command.arg(place.inside("browser.mjs")).arg(place.inside("home"));
        command.env("HOME", place.inside("home"));
        let log = fs::File::create(place.outside("browser.log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process::start("the browser", &mut command);
        let (input, output) = process.streams();
        let mut browser = Self { place, lines: Lines::over(output, input), process };
        browser.done();
        browser
    }

    /// Has the person do something, and returns what they see. See `browser.mjs` for what they can do.
    pub fn does(&mut self, what: &str, how: Value) -> Value {
        self.lines.say(&json!({ "does": what, "how": how }).to_string());
        self.done()
    }

    /// Keeps a picture of what is on the screen, `target/artefacts/NAME.png`. Where it is.
    pub fn picture(&mut self, name: &str) -> PathBuf {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let kept = target.join("artefacts").join(name).with_extension("png");
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        self.does("picture", json!({ "file": self.place.inside("picture.png") }));
        fs::copy(self.place.outside("picture.png"), &kept).unwrap();
        kept
    }

    /// It says every few seconds that it is still at work.
    fn done(&mut self) -> Value {
        let said = self.lines.hear_until(|line| line.starts_with('{')).pop().unwrap();
        let said: Value = serde_json::from_str(&said).unwrap();
        if let Some(failure) = said.get("failed") {
            panic!("{}\n{}", failure.as_str().unwrap(), self.place.read("browser.log"));
        }
        said["sees"].clone()
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        self.process.kill();
    }
}
