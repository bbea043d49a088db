use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

use super::{Authority, Place, process::Process, wait_until};

/// Where everything in it is.
pub const SUFFIX: &str = "dc=example,dc=org";

/// Who may read everybody, passwords too.
pub const SERVICE: (&str, &str) = ("cn=gatepost,dc=example,dc=org", "service-secret");

/// Who may do anything.
const ADMIN: (&str, &str) = ("cn=admin,dc=example,dc=org", "admin-secret");

/// OpenLDAP's server with people in it, policies for their passwords, groups, and TLS.
#[derive(Debug)]
pub struct Slapd<'a> {
    place: &'a Place,
    number: u16,
    /// Whether it shows what has happened last (overlay syncprov).
    syncprov: bool,
    process: Option<Process>,
}

impl<'a> Slapd<'a> {
    /// The one of this place, certified by an authority of its own, `authority.pem`.
    pub fn start(place: &'a Place) -> Self {
        Self::start_with(place, false)
    }

    /// The same, which may have the overlay syncprov.
    pub fn start_with(place: &'a Place, syncprov: bool) -> Self {
        let authority = Authority::found(place, "authority");
        Self::start_as(place, &authority, 0, syncprov)
    }

    /// One of several.
    pub fn start_certified(place: &'a Place, authority: &Authority<'_>, number: u16) -> Self {
        Self::start_as(place, authority, number, false)
    }

    fn start_as(place: &'a Place, authority: &Authority<'_>, number: u16, syncprov: bool) -> Self {
        let mut slapd = Self { place, number, syncprov, process: None };
        authority.certify(&slapd.name());
        fs::create_dir_all(place.outside(&format!("{}/data", slapd.name()))).unwrap();
        place.write(&format!("{}/slapd.conf", slapd.name()), &slapd.configuration());
        slapd.start_again();
        slapd.add(&people());
        slapd.modify(AFTERWARDS, true);
        slapd
    }

    pub fn start_again(&mut self) {
        let log = self.place.outside(&format!("{}.log", self.name()));
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let config = self.place.inside(&format!("{}/slapd.conf", self.name()));
        let socket = self.place.inside(&format!("{}/ldapi", self.name())).replace('/', "%2F");
        let urls = format!("ldap://{} ldaps://{} ldapi://{socket}", self.ldap(), self.ldaps());
        let mut command = self.place.tree().command("slapd");
        command.args(["-d", "stats", "-f", &config, "-h", &urls]);
        let mut process = Process::start("slapd", command.stdout(Stdio::null()).stderr(log));
        wait_until("slapd listens", || {
            assert_eq!(process.ended(), None, "slapd did not start:\n{}", self.log());
            TcpStream::connect(self.ldap()).is_ok() && TcpStream::connect(self.ldaps()).is_ok()
        });
        self.process = Some(process);
    }

    pub fn stop(&mut self) {
        self.process.take().expect("slapd runs").stop();
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        self.process.take().expect("slapd runs").kill();
    }

    /// Stops it where it stands: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.process.as_ref().expect("slapd runs").signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.process.as_ref().expect("slapd runs").signal(Signal::SIGCONT);
    }

    pub fn ldap(&self) -> SocketAddr {
        self.place.port(10389 + 10 * self.number).into()
    }

    pub fn ldaps(&self) -> SocketAddr {
        self.place.port(10636 + 10 * self.number).into()
    }

    /// The URL of its socket, from outside.
    pub fn ldapi(&self) -> String {
        let socket = self.place.outside(&format!("{}/ldapi", self.name()));
        format!("ldapi://{}", socket.display().to_string().replace('/', "%2F"))
    }

    pub fn log(&self) -> String {
        self.place.read(&format!("{}.log", self.name()))
    }

    /// How often it was asked something, such as ` BIND dn="uid=alice` or ` SRCH base=`.
    pub fn asked(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    /// Adds entries in LDIF.
    pub fn add(&self, ldif: &str) {
        self.tool(&["ldapadd"], ldif);
    }

    /// Adds many entries at once, while it is stopped.
    pub fn load(&self, ldif: &str) {
        let config = self.place.inside(&format!("{}/slapd.conf", self.name()));
        run(self.place.tree().command("slapadd").args(["-q", "-f", &config, "-b", SUFFIX]), ldif);
    }

    /// Applies changes in LDIF; those of what only the server itself should change are `forced`.
    pub fn modify(&self, ldif: &str, forced: bool) {
        self.tool(if forced { &["ldapmodify", "-e", "relax"] } else { &["ldapmodify"] }, ldif);
    }

    /// Changes a password as its owner does, by the extended operation.
    pub fn change_password(&self, uid: &str, old: &str, new: &str) {
        let (url, dn) = (format!("ldap://{}", self.ldap()), format!("uid={uid},ou=people,{SUFFIX}"));
        let mut tool = self.place.tree().command("ldappasswd");
        run(tool.args(["-x", "-H", &url, "-D", &dn, "-w", old, "-s", new]), "");
    }

    /// Starts it again with another configuration.
    pub fn reconfigure(&mut self, from: &str, to: &str) {
        self.stop();
        let file = format!("{}/slapd.conf", self.name());
        let text = self.place.read(&file);
        assert!(text.contains(from), "{from} is not in {text}");
        self.place.write(&file, &text.replace(from, to));
        self.start_again();
    }

    /// One attribute of somebody, as the administrator sees it.
    pub fn attribute(&self, uid: &str, name: &str) -> Option<String> {
        let url = format!("ldap://{}", self.ldap());
        let mut tool = self.place.tree().command("ldapsearch");
        tool.args([
            "-x",
            "-LLL",
            "-o",
            "ldif-wrap=no",
            "-H",
            &url,
            "-D",
            ADMIN.0,
            "-w",
            ADMIN.1,
            "-b",
            SUFFIX,
        ]);
        let found = run(tool.args([&format!("(uid={uid})"), name]), "");
        found.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
    }

    /// Tries a password that is wrong.
    pub fn fails_to_bind(&self, uid: &str, password: &str) {
        let (url, dn) = (format!("ldap://{}", self.ldap()), format!("uid={uid},ou=people,{SUFFIX}"));
        let mut tool = self.place.tree().command("ldapwhoami");
        let output = tool.args(["-x", "-H", &url, "-D", &dn, "-w", password]).output().unwrap();
        assert_eq!(output.status.code(), Some(49), "{output:?}");
    }

    fn tool(&self, command: &[&str], ldif: &str) {
        let [program, arguments @ ..] = command else { panic!("a command has a program") };
        let url = format!("ldap://{}", self.ldap());
        let mut tool = self.place.tree().command(program);
        tool.args(arguments).args(["-x", "-H", &url, "-D", ADMIN.0, "-w", ADMIN.1]);
        run(&mut tool, ldif);
    }

    fn name(&self) -> String {
        format!("slapd{}", self.number)
    }

    fn configuration(&self) -> String {
        let inside = |path: &str| self.place.inside(path);
        let name = self.name();
        let (data, pid) = (inside(&format!("{name}/data")), inside(&format!("{name}/pid")));
        let (ca, cert) = (inside("authority.pem"), inside(&format!("{name}.pem")));
        let key = inside(&format!("{name}.key"));
        let (service, _) = SERVICE;
        let (admin, admin_password) = ADMIN;
        let (module, overlay) =
            if self.syncprov { ("moduleload syncprov\n", "overlay syncprov\n") } else { ("", "") };
        format!(
            "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
{module}pidfile {pid}
TLSCACertificateFile {ca}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
sizelimit 500
database mdb
suffix {SUFFIX}
rootdn {admin}
rootpw {admin_password}
directory {data}
maxsize 1073741824
dbnosync
limits dn.exact={service} size=500 size.prtotal=unlimited
index objectClass,uid,mail eq
overlay memberof
{overlay}overlay ppolicy
ppolicy_default cn=none,ou=policies,{SUFFIX}
ppolicy_use_lockout
access to attrs=userPassword by dn.exact={service} read by self =w by anonymous auth by * none
access to * by dn.exact={service} read by * auth
"
        )
    }
}

/// Runs it with `input`, and sees to it that it succeeds.
pub(super) fn run(command: &mut Command, input: &str) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The password of everybody is their name with `-secret`, unless they say otherwise.
fn people() -> String {
    let (service, service_password) = SERVICE;
    let mut text = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n
dn: {service}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: gatepost\nuserPassword: {service_password}\n"
    );
    for unit in ["people", "twins", "groups", "policies"] {
        write!(text, "\ndn: ou={unit},{SUFFIX}\nobjectClass: organizationalUnit\nou: {unit}\n").unwrap();
    }
    for (policy, rules) in [
        ("none", ""),
        ("strict", "pwdLockout: TRUE\npwdMaxFailure: 3\npwdLockoutDuration: 0\n"),
        ("aging", "pwdMaxAge: 86400\npwdMustChange: TRUE\n"),
        ("grace", "pwdMaxAge: 86400\npwdGraceAuthNLimit: 3\n"),
    ] {
        write!(
            text,
            "\ndn: cn={policy},ou=policies,{SUFFIX}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: {policy}\npwdAttribute: userPassword\n{rules}"
        )
        .unwrap();
    }
    for uid in ["alice", "bob", "carol", "locked", "expired", "reset", "grace", "o'brien"] {
        text.push_str(&person(uid, "people", &format!("{uid}-secret")));
    }
    // bob's is `builder`, as a hash.
    text = text.replace("bob-secret", "{SSHA}XuqZo8Cby0+8guq9OzyThG7lmKRzYWx0");
    for unit in ["people", "twins"] {
        text.push_str(&person("twin", unit, "twin-secret"));
    }
    let members = |uids: &[&str]| {
        uids.iter().map(|uid| format!("member: uid={uid},ou=people,{SUFFIX}\n")).collect::<String>()
    };
    write!(
        text,
        "\ndn: cn=mail,ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: mail\n{}",
        members(&["alice", "bob"])
    )
    .unwrap();
    text
}

/// One entry in LDIF, with a blank line before it.
pub fn person(uid: &str, unit: &str, password: &str) -> String {
    format!(
        "\ndn: uid={uid},ou={unit},{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {uid}@example.org\nuserPassword: {password}\n"
    )
}

/// Who has which policy, and passwords that are older than they can be by adding them.
const AFTERWARDS: &str = "dn: uid=locked,ou=people,dc=example,dc=org
changetype: modify
add: pwdPolicySubentry
pwdPolicySubentry: cn=strict,ou=policies,dc=example,dc=org

dn: uid=expired,ou=people,dc=example,dc=org
changetype: modify
add: pwdPolicySubentry
pwdPolicySubentry: cn=aging,ou=policies,dc=example,dc=org
-
replace: pwdChangedTime
pwdChangedTime: 20200101000000Z

dn: uid=reset,ou=people,dc=example,dc=org
changetype: modify
add: pwdPolicySubentry
pwdPolicySubentry: cn=aging,ou=policies,dc=example,dc=org
-
replace: pwdReset
pwdReset: TRUE

dn: uid=grace,ou=people,dc=example,dc=org
changetype: modify
add: pwdPolicySubentry
pwdPolicySubentry: cn=grace,ou=policies,dc=example,dc=org
-
replace: pwdChangedTime
pwdChangedTime: 20200101000000Z
";
