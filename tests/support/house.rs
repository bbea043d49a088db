use std::{fmt::Display, fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{Dovecot, Gatepost, Imap, Listener, Place, wait_until};

/// A `[[directory]]` of type `ldap`.
pub struct Table(pub String);

impl Table {
    /// Over servers at `urls`, whose certificates `authority` has signed.
    pub fn new(urls: &[String], authority: &Path) -> Self {
        Self(format!(
            "[[directory]]\nname = \"staff\"\ntype = \"ldap\"\nurls = {urls:?}\nca_file = {authority:?}\n"
        ))
    }

    /// One of `conf.d/examples`, as it is but for addresses: the servers', and those of files on this machine.
    ///
    /// `password` is that of its service account.
    pub fn example(place: &Place, name: &str, urls: &[String], password: &str) -> String {
        let secret = place.outside("secret");
        fs::write(&secret, format!("{password}\n")).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let (authority, home) = (place.outside("authority.pem"), place.inside("mail"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d/examples").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let line = |line: &str| {
            if line.starts_with("urls = ") {
                format!("urls = {urls:?}")
            } else if line.starts_with("ca_file = ") {
                format!("ca_file = {authority:?}")
            } else if line.starts_with("bind_password_credential = ") {
                format!("bind_password_file = {secret:?}")
            } else {
                line.replace("/var/vmail", &home)
            }
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
    }

    pub fn with(self, key: &str, value: impl Display) -> Self {
        Self(format!("{}{key} = \"{value}\"\n", self.0))
    }

    pub fn with_raw(self, line: &str) -> Self {
        Self(format!("{}{line}\n", self.0))
    }

    /// Finishes it with what Dovecot needs.
    pub fn fields(self, place: &Place) -> String {
        let home = place.inside("mail/{local}");
        format!("{}[directory.fields]\nhome = \"{home}\"\nuid = \"5000\"\ngid = \"5000\"\n", self.0)
    }
}

/// gatepost over a directory, and Dovecot before it.
pub struct House<'a> {
    pub gatepost: Gatepost<'a>,
    pub dovecot: Dovecot<'a>,
}

impl<'a> House<'a> {
    pub fn open(place: &'a Place, directories: &str) -> Self {
        let gatepost = Gatepost::start_over(place, &Listener::dovecot(place), directories);
        Self { gatepost, dovecot: Dovecot::start(place) }
    }

    pub fn imap(&self) -> Imap {
        self.dovecot.imap()
    }

    /// The answer to one login, by AUTHENTICATE, which can carry any bytes.
    pub fn login(&self, user: &str, password: &str) -> String {
        self.imap().authenticate_at_once(user, password)
    }

    /// Waits until one line of the log has all of these.
    pub fn says(&self, words: &[&str]) {
        wait_until(&format!("gatepost says {words:?}"), || {
            self.gatepost.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
        });
    }

    /// Asks maps for keys, each of which leads to this value or to none.
    #[track_caller]
    pub fn maps(&self, expected: &[(&str, &str, Option<&str>)]) {
        for (map, key, value) in expected {
            let output = self.gatepost.command(&["map", "query", map, key]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let expected = value.map_or("not found\n".to_owned(), |value| format!("found: {value}\n"));
            assert_eq!(said, expected, "{map} {key}: {output:?}\n{}", self.gatepost.log());
        }
    }

    #[track_caller]
    pub fn admits(&self, user: &str, password: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with("OK"), "{user} {password:?}: {answer}\n{}", self.gatepost.log());
    }

    #[track_caller]
    pub fn refuses(&self, user: &str, password: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with("NO [AUTHENTICATIONFAILED]"), "{user} {password:?}: {answer}");
    }

    /// Refused with Dovecot's own word for it.
    #[track_caller]
    pub fn refuses_as(&self, user: &str, password: &str, code: &str) {
        let answer = self.login(user, password);
        assert!(answer.starts_with(&format!("NO [{code}]")), "{user} {password:?}: {answer}");
    }
}
