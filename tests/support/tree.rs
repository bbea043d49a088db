use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// A small Debian in a directory, with mail servers that run in it by `chroot`.
#[derive(Clone, Debug)]
pub struct Tree {
    name: &'static str,
    root: PathBuf,
}

impl Tree {
    /// Debian 12: Dovecot 2.3, Postfix 3.7, Exim 4.96, chasquid.
    pub fn bookworm() -> Self {
        Self::find("bookworm")
    }

    /// Debian 13: Dovecot 2.4, Postfix 3.10.
    pub fn trixie() -> Self {
        Self::find("trixie")
    }

    /// Who logs in by single sign-on: the OpenID provider, Roundcube, Chromium. No mail server.
    pub fn web() -> Self {
        Self::find("web")
    }

    /// Every tree with mail servers, for what has to hold with old servers and new ones.
    pub fn all() -> [Self; 2] {
        [Self::bookworm(), Self::trixie()]
    }

    fn find(name: &'static str) -> Self {
        let peers = std::env::var_os("GATEPOST_PEERS").unwrap_or_else(|| "/var/cache/gatepost-peers".into());
        let link = Path::new(&peers).join(name);
        assert!(
            link.join(".complete").is_file(),
            "there is no tree with Debian's mail servers at {}: run `tests/peers/make-tree` first, as root",
            link.display()
        );
        // The link may come to lead elsewhere while servers run in what it leads to now.
        let root = fs::canonicalize(&link).unwrap();
        let uid = fs::metadata("/proc/self").unwrap().uid();
        assert_eq!(
            uid, 0,
            "mail servers run under users of their own and in a chroot: run this test as root"
        );
        Self { name, root }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `program` of the tree, in the tree. It is ended when the thread that starts it ends, so that a test
    /// that is killed leaves nothing behind.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "chroot"]).arg(&self.root).arg(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// The same as a user of the tree, in a group of its.
    pub fn command_as(&self, user: &str, group: &str, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "chroot"]);
        command.arg(format!("--userspec={}:{}", self.uid(user), self.gid(group)));
        command.arg(&self.root).arg(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// The same for what starts processes that it does not wait for, and needs /proc: it has processes of its own, of
    /// which none is left once the command is killed. It has to be, as it heeds no other signal.
    pub fn secluded(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
        ]);
        command.arg(r#"mount -t proc proc "$0/proc" && exec chroot "$0" "$@""#).arg(&self.root).arg(program);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// The number of a user in the tree, which has another one on the host or none.
    pub fn uid(&self, user: &str) -> u32 {
        self.number("etc/passwd", user)
    }

    /// The number of a group in the tree.
    pub fn gid(&self, group: &str) -> u32 {
        self.number("etc/group", group)
    }

    fn number(&self, file: &str, name: &str) -> u32 {
        let text = fs::read_to_string(self.root.join(file)).unwrap();
        text.lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields[0] == name)
            .unwrap_or_else(|| panic!("no {name} in {file} of {}", self.name))[2]
            .parse()
            .unwrap()
    }
}
