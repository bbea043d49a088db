use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{Authority, Place, Tree, process::Process, slapd::run, wait_until};

/// Where everything in it is.
pub const ROOT: &str = "DC=ad,DC=example,DC=org";

/// Who searches.
pub const SERVICE: (&str, &str) = ("CN=gatepost,OU=Service,DC=ad,DC=example,DC=org", "service-secret");

const ADMIN: (&str, &str) = ("Administrator@AD.EXAMPLE.ORG", "Adm1n-secret!");

/// An Active Directory: Samba's domain controller, with people and groups in it.
///
/// Its ports are those of LDAP, on the address of the place. A domain is made once a test program, and copied.
#[derive(Debug)]
pub struct Samba<'a> {
    place: &'a Place,
    process: Option<Process>,
}

impl<'a> Samba<'a> {
    /// Certified by an authority of its own, `authority.pem`.
    pub fn start(place: &'a Place) -> Self {
        let authority = Authority::found(place, "authority");
        let pristine = pristine(place.tree());
        let (from, to) = (pristine.outside("samba"), place.outside("samba"));
        let copied = Command::new("cp").arg("-aT").arg(from).arg(to).status();
        assert!(copied.unwrap().success());
        let conf =
            place.read("samba/etc/smb.conf").replace(&pristine.inside("samba"), &place.inside("samba"));
        place.write(
            "samba/etc/smb.conf",
            &conf.replace(&pristine.address().to_string(), &place.address().to_string()),
        );
        authority.certify("samba/tls/cert");
        fs::rename(place.outside("samba/tls/cert.key"), place.outside("samba/tls/key.pem")).unwrap();
        fs::copy(authority.file(), place.outside("samba/tls/ca.pem")).unwrap();
        place.dir("samba/tls", 0o700, 0, 0);
        let key = fs::Permissions::from_mode(0o600);
        fs::set_permissions(place.outside("samba/tls/key.pem"), key).unwrap();

        let mut samba = Self { place, process: None };
        samba.start_again();
        samba.tool("ldapadd", PEOPLE);
        samba
    }

    pub fn stop(&mut self) {
        drop(self.process.take().expect("samba runs"));
    }

    pub fn start_again(&mut self) {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.place.outside("samba.log")).unwrap();
        let conf = self.place.inside("samba/etc/smb.conf");
        let mut command = self.place.tree().command("samba");
        command.args(["-i", "-M", "single", "-s", &conf]);
        // It ends when this pipe does, with all that it has started.
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut process = Process::start("samba", &mut command);
        wait_until("samba listens", || {
            assert_eq!(process.ended(), None, "samba did not start:\n{}", self.place.read("samba.log"));
            TcpStream::connect(self.ldaps()).is_ok() && TcpStream::connect(self.ldap()).is_ok()
        });
        self.process = Some(process);
    }

    pub fn ldap(&self) -> SocketAddr {
        self.place.port(389).into()
    }

    pub fn ldaps(&self) -> SocketAddr {
        self.place.port(636).into()
    }

    /// Applies changes in LDIF.
    pub fn modify(&self, ldif: &str) {
        self.tool("ldapmodify", ldif);
    }

    /// Changes what the server does not let anybody change.
    pub fn modify_raw(&self, ldif: &str) {
        let database = self.place.inside("samba/private/sam.ldb.d/DC=AD,DC=EXAMPLE,DC=ORG.ldb");
        run(self.place.tree().command("ldbmodify").args(["-H", &database]), ldif);
    }

    /// One attribute of a user.
    pub fn attribute(&self, account: &str, name: &str) -> String {
        let filter = format!("(sAMAccountName={account})");
        let found =
            self.tool_with("ldapsearch", &["-LLL", "-o", "ldif-wrap=no", "-b", ROOT, &filter, name], "");
        let line = found.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{account} has no {name}:\n{found}")).to_owned()
    }

    fn tool(&self, program: &str, ldif: &str) {
        self.tool_with(program, &[], &with_passwords(ldif));
    }

    fn tool_with(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let url = format!("ldaps://{}", self.ldaps());
        let mut tool = self.place.tree().command(program);
        tool.args(["-x", "-H", &url, "-D", ADMIN.0, "-w", ADMIN.1]).args(arguments);
        tool.env("LDAPTLS_CACERT", self.place.inside("authority.pem"));
        run(&mut tool, input)
    }
}

/// A domain without anybody in it.
fn pristine(tree: &Tree) -> &'static Place {
    static PRISTINE: OnceLock<Place> = OnceLock::new();
    PRISTINE.get_or_init(|| {
        let place = Place::new(tree);
        let (dir, address) = (place.inside("samba"), place.address());
        let (_, password) = ADMIN;
        fs::create_dir_all(place.outside("samba")).unwrap();
        let script = format!(
            r#"set -e
mkdir -p {dir}/pid {dir}/cache {dir}/tls
# Otherwise Debian's own settings are taken over.
: > {dir}/seed.conf
samba-tool domain provision -q -s {dir}/seed.conf --targetdir={dir} --realm=AD.EXAMPLE.ORG --domain=EXAMPLE \
  --host-name=dc1 --host-ip={address} --adminpass='{password}' --dns-backend=NONE --server-role=dc \
  --option="interfaces={address}/8" --option="bind interfaces only=yes" --option="server services=ldap" \
  --option="ldb:nosync=yes" --option="pid directory={dir}/pid" --option="ncalrpc dir={dir}/ncalrpc" \
  --option="winbindd socket directory={dir}/winbindd" --option="ntp signd socket directory={dir}/ntp" \
  --option="log file={dir}/log" --option="tls certfile={dir}/tls/cert.pem" --option="tls keyfile={dir}/tls/key.pem" \
  --option="tls cafile={dir}/tls/ca.pem"
sed -i 's/^\[global\]/[global]\n\told password allowed period = 0/' {dir}/etc/smb.conf
samba-tool domain passwordsettings set -q -s {dir}/etc/smb.conf --complexity=off --history-length=0 \
  --min-pwd-length=1 --min-pwd-age=0 --max-pwd-age=0 --account-lockout-threshold=0
"#
        );
        run(tree.command("bash").arg("-s"), &script);
        place
    })
}

/// Puts passwords into the form in which they are set: quoted, in UTF-16, in base64.
fn with_passwords(ldif: &str) -> String {
    let line = |line: &str| match line.strip_prefix("unicodePwd: ") {
        Some(password) => {
            let quoted = format!("\"{password}\"");
            let bytes: Vec<u8> = quoted.encode_utf16().flat_map(u16::to_le_bytes).collect();
            format!("unicodePwd:: {}", BASE64.encode(bytes))
        }
        None => line.to_owned(),
    };
    ldif.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Alice is in the group of mail users, Bob in one that is in it, Carol in none. The others have something that keeps
/// them out.
const PEOPLE: &str = include_str!("samba.ldif");
