//! Secrets are found, and never shown.

use proptest::prelude::*;

use super::*;

const STATIC: &str = "[[directory]]\nname = 'a'\ntype = 'static'\n";

fn password(text: &str, credentials: Option<&Path>) -> Result<Vec<u8>, String> {
    let around = Surroundings { credentials_dir: credentials.map(Path::to_owned), ..around() };
    let text = format!("{STATIC}{text}\n");
    let config = Config::from_texts(&[(Path::new("a.toml"), &text)], &around);
    let directory = config.map_err(|problems| problems.to_string())?.directories.remove(0);
    let Kind::Static { password: Some(password), .. } = directory.kind else { panic!("{directory:?}") };
    Ok(password.expose().to_vec())
}

#[test]
fn a_secret_comes_from_the_file_itself_another_file_or_a_credential() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("secret");
    let known: [(&[u8], &[u8]); 4] = [
        (b"hunter2", b"hunter2"),
        (b"hunter2\n", b"hunter2"),
        (b"hunter2\r\n", b"hunter2"),
        (b" h\n\n", b" h\n"),
    ];
    for (content, expected) in known {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let by_file = format!("password_file = '{}'", file.display());
        assert_eq!(password(&by_file, None).unwrap(), expected);
        assert_eq!(password("password_credential = 'secret'", Some(base.path())).unwrap(), expected);
    }
    assert_eq!(password("password = '{PLAIN}hunter2 '", None).unwrap(), b"{PLAIN}hunter2 ");
}

#[test]
fn a_secret_that_others_can_read_or_that_is_none_is_a_problem() {
    let base = tempfile::tempdir().unwrap();
    let base = base.path();
    let write = |name: &str, content: &[u8], mode: u32| {
        fs::write(base.join(name), content).unwrap();
        fs::set_permissions(base.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("open", b"hunter2", 0o644);
    write("empty", b"\n", 0o600);
    write("nul", b"hunter2\0", 0o600);
    write("huge", &[b'h'; 64 * 1024 + 1], 0o600);
    fs::create_dir(base.join("directory")).unwrap();
    nix::unistd::mkfifo(&base.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for (name, expected) in [
        ("open", "names a file that everybody on this machine can get at (mode 0644)"),
        ("empty", "is an empty secret"),
        ("nul", "has a NUL in it"),
        ("huge", "names a file of more than 64KiB"),
        ("directory", "does not name an ordinary file"),
        ("fifo", "does not name an ordinary file"),
        ("gone", "cannot be read: No such file"),
    ] {
        let error = password(&format!("password_file = '{}'", base.join(name).display()), None).unwrap_err();
        assert!(error.starts_with(&format!("a.toml:4:17: directory.password_file: {expected}")), "{error}");
        assert!(!error.contains(base.to_str().unwrap()), "{error}");
    }
    for name in ["", ".", "..", "a/b", "/etc/passwd", "gone"] {
        let error = password(&format!("password_credential = '{name}'"), Some(base)).unwrap_err();
        assert!(error.starts_with("a.toml:4:23: directory.password_credential: "), "{error}");
    }
}

/// Files in which somebody has put a password where it belongs, beside it, or where it breaks the file.
const INDISCREET: &[&str] = &[
    "fields = { = name = 'a'\npassword = 'hunter2'\n[[directory]]\n,= password = 'hunter2'\n",
    "fields = { x = 1\ndomains = ['!'password = 'hunter2'\n",
    "password = 'hunter2'\npassword = 'hunter2'\n",
    "password = 'hunter2'\npassword_file = 'hunter2'\n",
    "password_file = 'hunter2'\n",
    "password_credential = 'hunter2/'\n",
    "pasword = 'hunter2'\n",
    "PASSWORD = 'hunter2'\n",
    "password = hunter2\n",
    "password = \"hunter2\n",
    "password = 'hunter2' x\n",
    "password = \"hunter2 \\q\"\n",
    "password = '''\nhunter2\n",
    "password = \"\"\"\nhunter2 \\q\"\"\"\n",
    "password 'hunter2'\n",
    "password: hunter2\n",
    "domains = ['!'] password = 'hunter2'\n",
    "domains = ['!'], password = 'hunter2'\n",
    "domains = ['!'] 'hunter2'\n",
    "password = ['hunter2']\n",
    "password = { x = 'hunter2' }\n",
    "password = [ 1,\n'hunter2'\n",
    "secrets = { password = 'hunter2', password = 'hunter2' }\n",
    "[directory.fields]\npass = 'hunter2{'\nproxy_pw = '}hunter2'\n",
    "[password]\nhunter = 1\npassword = 'hunter2'\n",
    "[cache]\nredis = 'redis://:hunter2@h/'\n",
    "[[directory]]\ntype = 'mysql'\nurl = 'mysql://u:hunter2@h/'\nx = 1\n",
];

fn assert_discreet(texts: &[(&Path, &str)], secret: &str) {
    if let Err(problems) = Config::from_texts(texts, &around()) {
        let json = serde_json::to_string(&problems).unwrap();
        for shown in [problems.to_string(), format!("{problems:?}"), json] {
            assert!(!shown.contains(secret), "{texts:?}\n{shown}");
        }
    }
}

#[test]
fn no_problem_shows_a_secret() {
    for text in INDISCREET {
        let text = format!("{STATIC}{text}");
        let texts = [(Path::new("1"), text.as_str())];
        assert!(Config::from_texts(&texts, &around()).is_err(), "{text}");
        assert_discreet(&texts, "hunter2");
        assert_discreet(&[texts[0], (Path::new("2"), "directory.password = 'hunter2'\n")], "hunter2");
    }
}

/// Pieces of configurations, whole lines and breakages.
const PIECES: &[&str] = &[
    "[[directory]]\n",
    "[[listener]]\n",
    "[directory]\n",
    "[directory.fields]\n",
    "[server]\n",
    "[sasl]\n",
    "name = 'a'\n",
    "type = 'static'\n",
    "type = 'sqlite'\n",
    "password = 'hunter2'\n",
    "password_file = 'hunter2'\n",
    "password_credential = 'hunter2'\n",
    "pass = 'hunter2'\n",
    "secret = \"hunter2\"\n",
    "path = '/a'\n",
    "protocol = 'dovecot-client'\n",
    "address = '1.2.3.4:5'\n",
    "mechanisms = [",
    "fields = { ",
    "domains = ['!'",
    "]",
    "}",
    "\n",
    ",",
    "= ",
    "x",
    ".",
    "\t",
    "\r\n",
    "# ü\n",
    "\\",
    "\0",
];

proptest! {
    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>(), more in "[\\[\\]{}=\"'a-z_.,# \n0-9]{0,200}") {
        for text in [text.as_str(), more.as_str()] {
            let result = Config::from_texts(&[(Path::new("a"), text), (Path::new("b"), SOME_DIRECTORY)], &around());
            let _ = result.map_err(|problems| problems.to_string());
        }
    }

    #[test]
    fn any_heap_of_pieces_is_judged_without_a_panic_or_a_secret(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24),
        at in any::<proptest::sample::Index>(),
    ) {
        let (first, second) = pieces.split_at(at.index(pieces.len() + 1));
        let (first, second) = (first.concat(), second.concat());
        assert_discreet(&[(Path::new("a"), &first), (Path::new("b"), &second)], "hunter2");
    }
}
