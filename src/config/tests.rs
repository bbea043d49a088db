use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::{Gid, Uid};

use super::*;
use crate::mechanism::Mechanism;

mod bad;
mod changes;
mod oidc;
mod provision;
mod secrets;
mod shipped;
mod sql;

/// A machine with the users that mail servers bring along.
fn around() -> Surroundings {
    Surroundings {
        state_dir: Some(PathBuf::from("/state")),
        runtime_dir: Some(PathBuf::from("/run/gatepost")),
        credentials_dir: None,
        uid_of: |name| {
            let known = [("root", 0), ("dovecot", 101), ("postfix", 102)];
            known.iter().find(|(user, _)| *user == name).map(|&(_, id)| Uid::from_raw(id))
        },
        gid_of: |name| (name == "postfix").then(|| Gid::from_raw(103)),
    }
}

fn checked(text: &str) -> Result<Config, Problems> {
    Config::from_texts(&[(Path::new("a.toml"), text)], &around())
}

/// The heads of all problems of `texts`.
fn heads(texts: &[(&str, &str)]) -> Vec<String> {
    let texts: Vec<_> = texts.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
    match Config::from_texts(&texts, &around()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::head).collect(),
    }
}

/// Whose users may be made in directories, beside one whose accounts are made of claims.
const ANOTHER_PROVIDER: &str = "[[oidc]]\nname = 'another'\nissuer = 'https://another.test'\nclient_id = 'c'\naudience = ['a']\nvalidation = 'jwt'\n";

const SOME_DIRECTORY: &str = "[[directory]]\nname = 'some'\ntype = 'sqlite'\n";

#[test]
fn without_files_there_are_an_embedded_directory_and_the_default_sockets() {
    let config = Config::embedded(&around()).unwrap();
    assert_eq!(config.server.state_dir, Path::new("/state"));
    assert_eq!(config.server.runtime_dir, Path::new("/run/gatepost"));
    assert_eq!(config.server.default_domain, None);
    assert_eq!(config.sasl.mechanisms, [Mechanism::Plain, Mechanism::Login]);
    assert_eq!(config.sasl.failure_delay, Duration::from_secs(2));
    assert_eq!(config.cache, Cache::default());
    assert_eq!(config.hashing, Hashing { threads: 0, memory: 1 << 30, queue: 1024 });
    assert_eq!(config.log, Log { filter: "info".to_owned(), format: Format::Text });
    let [directory] = config.directories.as_slice() else { panic!("{:?}", config.directories) };
    assert_eq!(&*directory.name, "local");
    assert!(
        matches!(&directory.kind, Kind::Sqlite { file, provision: None } if file == Path::new("/state/users.db"))
    );
    assert!(directory.serves(None) && directory.serves(Some("example.org")));
    let sockets: Vec<_> = config
        .listeners
        .iter()
        .map(|listener| {
            let Endpoint::Unix { path, mode, user: None, group: None, link: None } = &listener.endpoint
            else {
                panic!("{listener:?}")
            };
            (listener.protocol, path.to_str().unwrap(), *mode)
        })
        .collect();
    assert_eq!(
        sockets,
        [
            (Protocol::DovecotLogin, "/run/gatepost/login", 0o666),
            (Protocol::DovecotClient, "/run/gatepost/client", 0o600),
            (Protocol::DovecotMaster, "/run/gatepost/master", 0o600),
            (Protocol::DovecotUserdb, "/run/gatepost/userdb", 0o666),
        ]
    );
}

#[test]
fn without_a_home_the_embedded_default_says_what_to_write() {
    let around = Surroundings { state_dir: None, runtime_dir: Some("/r".repeat(60).into()), ..around() };
    let problems = Config::embedded(&around).unwrap_err();
    assert_eq!(
        problems.iter().map(Problem::head).collect::<Vec<_>>(),
        [
            "server.state_dir: is not set, and there is no home directory to put it in",
            "server.runtime_dir: is too long for sockets in it: it can have 99 bytes",
        ]
    );
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let config = checked(
        r#"
        [server]
        state_dir = "/s"
        runtime_dir = "/r"
        default_domain = "Example.ORG"
        [sasl]
        mechanisms = ["login"]
        failure_delay = "1s500ms"
        [cache]
        ttl = '10m'
        negative_ttl = '30s'
        max_stale = '1h'
        max_memory = '32MiB'
        [hashing]
        threads = 3
        memory = "128MiB"
        queue = 7
        [log]
        filter = "warn,gatepost::session=debug"
        format = "json"
        [[listener]]
        protocol = "dovecot-login"
        path = "/run/dovecot/login/gatepost/login"
        mode = "0660"
        user = "dovecot"
        group = 1234
        link = "/run/dovecot/login/login"
        [[listener]]
        protocol = "dovecot-client"
        address = "0.0.0.0:12345"
        allow_from = ["172.22.1.0/24", "2001:db8::1"]
        [[listener]]
        protocol = "dovecot-client"
        address = "[::1]:12346"
        [[directory]]
        name = "one"
        type = "passwd-file"
        file = "/etc/users"
        default_scheme = "sha512-crypt"
        domains = ["example.org", "*.example.net"]
        [directory.fields]
        uid = "5000"
        home = "/var/vmail/{domain}/{local}"
        [[directory]]
        name = "two"
        type = "static"
        users = ["a@b.c"]
        password = "{PLAIN}x"
        "#,
    )
    .unwrap();
    assert_eq!(config.server.default_domain.as_deref(), Some("example.org"));
    assert_eq!(config.sasl.mechanisms, [Mechanism::Login]);
    assert_eq!(config.sasl.failure_delay, Duration::from_millis(1500));
    let (ttl, negative_ttl) = (Duration::from_secs(600), Duration::from_secs(30));
    let max_stale = Duration::from_secs(3600);
    assert_eq!(config.cache, Cache { ttl, negative_ttl, max_stale, max_memory: 32 << 20 });
    assert_eq!(config.hashing, Hashing { threads: 3, memory: 128 << 20, queue: 7 });
    assert_eq!(config.log.format, Format::Json);
    assert_eq!(config.log.filter, "warn,gatepost::session=debug");
    let [login, far, near] = config.listeners.as_slice() else { panic!("{:?}", config.listeners) };
    assert_eq!(
        login.endpoint,
        Endpoint::Unix {
            path: "/run/dovecot/login/gatepost/login".into(),
            mode: 0o660,
            user: Some(Uid::from_raw(101)),
            group: Some(Gid::from_raw(1234)),
            link: Some("/run/dovecot/login/login".into()),
        }
    );
    assert_eq!(login.place.as_ref().unwrap().to_string(), "a.toml:21:9");
    assert_eq!(
        far.endpoint,
        Endpoint::Tcp {
            address: "0.0.0.0:12345".parse().unwrap(),
            allow_from: vec!["172.22.1.0/24".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
        }
    );
    assert_eq!(near.endpoint.to_string(), "[::1]:12346");
    let [one, two] = config.directories.as_slice() else { panic!("{:?}", config.directories) };
    let Kind::PasswdFile { file, default_scheme } = &one.kind else { panic!("{one:?}") };
    assert_eq!((file.to_str(), default_scheme.as_deref()), (Some("/etc/users"), Some("SHA512-CRYPT")));
    let fields: Vec<_> = one.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, ["uid", "home"], "in the order of the file");
    assert!(one.serves(Some("example.org")) && one.serves(Some("a.example.net")));
    assert!(!one.serves(Some("example.net")) && !one.serves(None));
    let Kind::Static { password: Some(password), users: Some(users) } = &two.kind else { panic!("{two:?}") };
    assert_eq!(
        (password.expose(), users.as_slice()),
        (b"{PLAIN}x".as_slice(), ["a@b.c".to_owned()].as_slice())
    );
}

#[test]
fn tables_merge_and_lists_of_tables_append() {
    let more = "[server]\ndefault_domain = 'b.c'\n[[directory]]\nname = 'more'\ntype = 'static'\n";
    let first = format!("[server]\nstate_dir = '/s'\n{SOME_DIRECTORY}");
    let texts = [(Path::new("1"), first.as_str()), (Path::new("2"), more)];
    let config = Config::from_texts(&texts, &around()).unwrap();
    assert_eq!(config.server.state_dir, Path::new("/s"));
    assert_eq!(config.server.default_domain.as_deref(), Some("b.c"));
    let names: Vec<_> = config.directories.iter().map(|directory| &*directory.name).collect();
    assert_eq!(names, ["some", "more"]);
}

#[test]
fn the_files_that_are_installed_are_accepted() {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf.d");
    let mut files: Vec<PathBuf> =
        fs::read_dir(installed).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() >= 3, "{files:?}");
    let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let names = [files.as_slice(), &["another.toml".into()]].concat();
    let named = |texts: &[String]| {
        let texts: Vec<_> =
            names.iter().map(PathBuf::as_path).zip(texts.iter().map(String::as_str)).collect();
        let credentials = tempfile::tempdir().unwrap();
        fs::write(credentials.path().join("robots"), "{PLAIN}x\n").unwrap();
        fs::write(credentials.path().join("mail"), "x\n").unwrap();
        fs::write(credentials.path().join("ldap"), "x\n").unwrap();
        fs::write(credentials.path().join("oidc"), "x\n").unwrap();
        let around = Surroundings { credentials_dir: Some(credentials.path().to_owned()), ..around() };
        Config::from_texts(&texts, &around).unwrap_or_else(|problems| panic!("{problems}"))
    };
    // As they are, they are the embedded default.
    let (config, embedded) = (named(&texts), Config::embedded(&around()).unwrap());
    assert_eq!((config.server, config.sasl), (embedded.server, embedded.sasl));
    assert_eq!((config.listeners, config.hashing), (embedded.listeners, embedded.hashing));
    assert_eq!((config.log, config.policy), (embedded.log, embedded.policy));
    assert!(
        matches!(&config.directories[0].kind, Kind::Sqlite { file, provision: None } if file == Path::new("/state/users.db"))
    );
    // With every example in force: a comment has a blank behind its #, an example has none.
    let uncommented: Vec<String> = texts
        .iter()
        .map(|text| {
            let line = |line: &str| {
                line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned()
            };
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        })
        .collect();
    let config = named(&[uncommented.as_slice(), &[ANOTHER_PROVIDER.to_owned()]].concat());
    assert_eq!((config.listeners.len(), config.directories.len(), config.oidc.len()), (10, 8, 2));
    assert_eq!(config.policy.rules.len(), 3);
}

fn write(path: PathBuf, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What `--config` with `path` finds, each without `base`.
fn found(base: &Path, path: &str) -> Vec<String> {
    let loaded = Config::load(Some(&base.join(path))).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!loaded.is_embedded());
    let files = loaded.files.iter();
    files.map(|file| file.strip_prefix(base).unwrap().to_str().unwrap().to_owned()).collect()
}

/// What is wrong with `--config` with `path`.
fn lost(base: &Path, path: &str) -> Vec<String> {
    let problems = Config::load(Some(&base.join(path))).unwrap_err();
    let base = format!("{}/", base.display());
    problems.iter().map(|problem| problem.head().replace(&base, "")).collect()
}

#[test]
fn a_directory_is_read_as_its_main_file_and_fragments_in_name_order() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    write(base.join("both/gatepost.toml"), SOME_DIRECTORY);
    write(base.join("both/conf.d/20.toml"), "[log]\nformat = 'json'\n");
    write(base.join("both/conf.d/10.toml"), "");
    write(base.join("both/conf.d/.hidden.toml"), "x");
    write(base.join("both/conf.d/README"), "x");
    write(base.join("both/other.toml"), "x");
    write(base.join("flat/b.toml"), "");
    write(base.join("flat/a.toml"), SOME_DIRECTORY);
    assert_eq!(found(base, "both"), ["both/gatepost.toml", "both/conf.d/10.toml", "both/conf.d/20.toml"]);
    assert_eq!(found(base, "flat"), ["flat/a.toml", "flat/b.toml"]);
    assert_eq!(found(base, "flat/a.toml"), ["flat/a.toml"]);
}

#[test]
fn a_path_that_holds_no_configuration_is_a_problem() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    write(base.join("empty/README"), "");
    assert_eq!(lost(base, "empty"), ["empty: holds no configuration"]);
    assert_eq!(lost(base, "nowhere"), ["nowhere: does not exist"]);
}

#[test]
fn a_file_that_cannot_be_read_does_not_keep_the_others_from_being_checked() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    write(base.join("1.toml"), b"# \xc3\xa4\n\n# \xff\n");
    fs::create_dir(base.join("2.toml")).unwrap();
    write(base.join("3.toml"), "[log]\nfilter = 'loud'\n");
    write(base.join("4.toml"), vec![b'#'; (1 << 20) + 1]);
    std::os::unix::fs::symlink("gone", base.join("5.toml")).unwrap();
    write(base.join("6.toml"), "[log\n");
    assert_eq!(
        lost(base, ""),
        [
            "1.toml: is not UTF-8 in line 3",
            "2.toml: is no ordinary file",
            "3.toml:2:10: log.filter: \"loud\" is no log filter",
            "4.toml: has more than 1MiB",
            "5.toml: does not exist",
            "6.toml:1:5: unclosed table, expected `]`",
        ],
        "and nothing of a missing directory, for it may be in one of these"
    );
}

#[test]
fn an_unreadable_directory_is_no_empty_one() {
    let base = tempfile::tempdir().unwrap();
    write(base.path().join("conf.d"), "");
    let heads = lost(base.path(), "");
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with("conf.d: cannot be read: "), "{heads:?}");
}

#[test]
fn the_main_password_may_be_used_everywhere_unless_a_list_says_where() {
    let of = |line: &str| {
        let text = format!("[[directory]]\nname = 'a'\ntype = 'sqlite'\n{line}\n");
        let config = Config::from_texts(&[(Path::new("a.toml"), &text)], &around()).unwrap();
        config.directories.into_iter().next().unwrap().primary_password_services
    };
    assert_eq!(of(""), None);
    assert_eq!(of("primary_password_services = []"), Some(Vec::new()));
    assert_eq!(
        of("primary_password_services = ['IMAP', 'my-dav']"),
        Some(vec!["imap".into(), "my-dav".into()])
    );
}

#[test]
fn mechanisms_are_offered_by_their_names_in_any_case() {
    for names in ["'SCRAM-SHA-1', 'CRAM-MD5'", "'scram-sha-1', 'Cram-MD5'"] {
        let text = format!("{SOME_DIRECTORY}[sasl]\nmechanisms = ['PLAIN', {names}]\n");
        let config = checked(&text).unwrap();
        assert_eq!(config.sasl.mechanisms, [Mechanism::Plain, Mechanism::ScramSha1, Mechanism::CramMd5]);
    }
}
