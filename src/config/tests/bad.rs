//! Bad configurations and all that is said about them.

use super::*;

mod maps;
mod memory;
mod policy;

/// Of a listener that is right but for what follows.
const CLIENT: &str = "[[listener]]\nprotocol = 'dovecot-client'\n";
/// Of a directory that is right but for what follows.
const SQLITE: &str = "[[directory]]\nname = 'a'\ntype = 'sqlite'\n";
const STATIC: &str = "[[directory]]\nname = 'a'\ntype = 'static'\n";

/// What stands before the text, the text, and the heads of its problems without `a.toml:`.
const BAD: &[(&str, &str, &[&str])] = &[
    // Not TOML.
    ("", "[server", &["1:8: unclosed table, expected `]`"]),
    ("", "x = \ny = /z\n", &["1:5: string values must be quoted", "2:5: string values must be quoted"]),
    (CLIENT, "path = '/a'\nmode = 0660\n", &["4:8: unexpected leading zero"]),
    // Tables and keys.
    ("", "[sevrer]\n", &["1:2: sevrer: is no key of gatepost"]),
    ("", "[cluster]\n[policy]\n", &["1:2: cluster: is not in this version yet"]),
    ("", "server = 1\n", &["1:10: server: a table is wanted here, not a whole number"]),
    ("", "[[log]]\n", &["1:1: log: a table is wanted here, not a list of tables"]),
    ("", "listener = 'a'\n", &["1:12: listener: there can be several of these, and this is a string"]),
    ("", "listener = [1]\n", &["1:13: listener: a table is wanted here, not a whole number"]),
    (
        "",
        "[listener]\nprotocol = 'dovecot-client'\npath = '/a'\n",
        &["1:1: listener: there can be several of these, and this is a table"],
    ),
    ("", "[log]\nformat = 'text'\nformat = 'json'\n", &["3:1: format: is set twice: here and at a.toml:2:1"]),
    // [server]
    ("", "[server]\nstate_dir = 'var'\n", &["2:13: server.state_dir: is no absolute path"]),
    ("", "[server]\nstate-dir = '/var'\n", &["2:1: server.state-dir: is no key of gatepost"]),
    (
        "",
        "[server]\nruntime_dir = true\n",
        &["2:15: server.runtime_dir: a string is wanted here, not true or false"],
    ),
    (
        "",
        "[server]\ndefault_domain = '@example.org'\n",
        &["2:18: server.default_domain: \"@example.org\" does not look like a domain"],
    ),
    (
        "",
        "server.runtime_dir = '/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789'\n",
        &["1:22: server.runtime_dir: is too long for sockets in it: it can have 99 bytes"],
    ),
    (
        "",
        "[server]\nproxy_self = ['mx1', '192.0.2.1', '::ffff:192.0.2.1', 1]\n",
        &[
            "2:15: server.proxy_self: \"mx1\" is no IP address",
            "2:35: server.proxy_self: 192.0.2.1 is listed twice",
            "2:55: server.proxy_self: a string is wanted here, not a whole number",
        ],
    ),
    // [sasl]
    (
        "",
        "[sasl]\nmaster_user_separator = '+'\n",
        &["2:25: sasl.master_user_separator: is no sign that separates names, or one that a name may hold"],
    ),
    ("", "[sasl]\nmaster_user_separator = ''\n", &["2:25: sasl.master_user_separator: is not one sign"]),
    ("", "[sasl]\nmaster_user_separator = '**'\n", &["2:25: sasl.master_user_separator: is not one sign"]),
    (
        "",
        "[sasl]\nmechanisms = []\n",
        &[
            "2:14: sasl.mechanisms: offers no way to log in: Postfix closes its port over that, for a minute at a time",
        ],
    ),
    (
        "",
        "[sasl]\nmechanisms = ['PLAIN', 'plain', 'LOGN', 'scram-sha-512', 'MAGIC', 1]\n",
        &[
            "2:24: sasl.mechanisms: PLAIN is listed twice",
            "2:33: sasl.mechanisms: \"LOGN\" is not known here",
            "2:41: sasl.mechanisms: \"scram-sha-512\" is not in this version yet",
            "2:58: sasl.mechanisms: \"MAGIC\" is not known here",
            "2:67: sasl.mechanisms: a string is wanted here, not a whole number",
        ],
    ),
    ("", "[sasl]\nmechanisms = ['PLAIN', 'ANONYMOUS']\n", &["1:1: sasl.anonymous_user: is missing"]),
    (
        "",
        "[sasl]\nmechanisms = ['SCRAM-SHA-256-PLUS', 'ANONYMOUS']\nanonymous_user = 'a b'\n",
        &[
            "2:14: sasl.mechanisms: offers what only some of Dovecot's clients can use, and nothing to all the others",
            "3:18: sasl.anonymous_user: \"a b\" is no login name",
        ],
    ),
    ("", "sasl.mechanisms = 'PLAIN'\n", &["1:19: sasl.mechanisms: a list is wanted here, not a string"]),
    ("", "sasl.failure_delay = '9s'\n", &["1:22: sasl.failure_delay: is out of range"]),
    ("", "sasl.failure_delay = '2'\n", &["1:22: sasl.failure_delay: \"2\" is no duration"]),
    (
        "",
        "sasl.failure_delay = 2\n",
        &["1:22: sasl.failure_delay: a duration is wanted here, not a whole number"],
    ),
    (
        "[[directory]]\nname = 'r'\ntype = 'static'\nrehash = 'ARGON2ID'\n",
        "[[directory]]\nname = 's'\ntype = 'sqlite'\nrehash = 'MD5'\n",
        &[
            "4:10: directory.rehash: needs a directory that gatepost can write to",
            "8:10: directory.rehash: \"MD5\" is not known here",
        ],
    ),
    // [[listener]]
    (
        "",
        "[[listener]]\n",
        &["1:1: listener.protocol: is missing", "1:1: listener: has neither path nor address"],
    ),
    (
        "",
        "[[listener]]\nprotocol = 'dovecot-dict'\npath = '/a'\n",
        &["2:12: listener.protocol: \"dovecot-dict\" is not in this version yet"],
    ),
    (
        "",
        "[[listener]]\nprotocol = 'dovecot'\npath = '/a'\n",
        &["2:12: listener.protocol: \"dovecot\" is not known here"],
    ),
    (
        CLIENT,
        "path = '/a'\naddress = '127.0.0.1:1'\nmode = '0600'\n",
        &["4:11: listener.address: stands beside path, but a listener is at one place only"],
    ),
    (CLIENT, "path = 'a'\n", &["3:8: listener.path: is no absolute path"]),
    (CLIENT, "path = '/a/'\n", &["3:8: listener.path: names a directory"]),
    (
        CLIENT,
        "path = '/a'\nmode = 660\n",
        &["4:8: listener.mode: a string is wanted here, not a whole number"],
    ),
    (
        CLIENT,
        "path = '/a'\nuser = 'nobody-of-this-name'\ngroup = '4294967295'\n",
        &[
            "4:8: listener.user: this machine knows no user \"nobody-of-this-name\"",
            "5:9: listener.group: 4294967295 is no id of a group",
        ],
    ),
    (CLIENT, "path = '/a'\nallow_from = ['10.0.0.0/8']\n", &["4:1: listener.allow_from: is for TCP only"]),
    (CLIENT, "path = '/a'\nlink = '/a'\n", &["4:8: listener.link: is taken already at a.toml:3:8"]),
    (
        CLIENT,
        "path = '/run/a'\n[[listener]]\nprotocol = 'dovecot-login'\npath = '/run//a'\n",
        &["6:8: listener.path: is taken already at a.toml:3:8"],
    ),
    (
        CLIENT,
        "address = 'localhost:1'\n",
        &["3:11: listener.address: \"localhost:1\" is no address with a port"],
    ),
    (
        CLIENT,
        "address = '192.0.2.1:1'\n",
        &[
            "3:11: listener.address: is no loopback address, so that anybody who can reach it could try passwords in the clear",
        ],
    ),
    (
        CLIENT,
        "address = '[::]:1'\nallow_from = []\n",
        &[
            "3:11: listener.address: is no loopback address, so that anybody who can reach it could try passwords in the clear",
        ],
    ),
    (
        CLIENT,
        "address = '0.0.0.0:1'\nallow_from = ['10.0.0.1/8', 'lan']\n",
        &[
            "4:15: listener.allow_from: \"10.0.0.1/8\" is an address within a network",
            "4:29: listener.allow_from: \"lan\" is no network",
        ],
    ),
    (
        CLIENT,
        "address = '127.0.0.1:1'\nmode = '0600'\nmdoe = '0600'\n[[listener]]\nprotocol = 'dovecot-client'\naddress = '127.0.0.1:1'\n",
        &[
            "4:1: listener.mode: is for a Unix socket only",
            "5:1: listener.mdoe: is no key of gatepost",
            "8:11: listener.address: is taken already at a.toml:3:11",
        ],
    ),
    (
        "",
        "[[listener]]\nprotocol = 'dovecot-master'\naddress = '127.0.0.1:1'\n",
        &["3:11: listener.address: dovecot-master tells about everybody, and over TCP nobody knows whom"],
    ),
    (
        "",
        "[[listener]]\nprotocol = 'saslauthd'\naddress = '127.0.0.1:1'\nallow_from = ['127.0.0.1/32']\n",
        &["3:11: listener.address: is TCP, and Cyrus SASL asks over a Unix socket only"],
    ),
    // [[directory]]
    (STATIC, "master = 'yes'\n", &["4:10: directory.master: true or false is wanted here, not a string"]),
    (
        STATIC,
        "targets = ['x.test']\n",
        &["4:11: directory.targets: is for master users, and this directory has none"],
    ),
    (
        STATIC,
        "master = true\ntargets = []\n",
        &["5:11: directory.targets: is empty, so that its master users could log in as nobody"],
    ),
    (
        STATIC,
        "master = true\ntargets = ['x.test', 'X.test', '*', 'a b@x.test']\n",
        &[
            "5:22: directory.targets: is listed twice",
            "5:32: directory.targets: \"*\" does not look like a domain",
            "5:37: directory.targets: \"a b@x.test\" is not a login name: holds a character that no login name may have",
        ],
    ),
    (
        STATIC,
        "[directory.fields]\nhome = '/m/{local:-{user}}'\n",
        &["5:8: directory.fields.home: has a brace in the text that stands in for a missing value"],
    ),
    ("", "[[directory]]\n", &["1:1: directory.name: is missing", "1:1: directory.type: is missing"]),
    (
        "",
        "[[directory]]\nname = 'a b'\ntype = 'sqlite'\n",
        &["2:8: directory.name: \"a b\" is no name for a directory"],
    ),
    (
        "",
        "[[directory]]\nname = 'a'\ntype = 'passwd_file'\n",
        &["3:8: directory.type: \"passwd_file\" is not known here"],
    ),
    (
        SQLITE,
        "[[directory]]\nname = 'a'\ntype = 'static'\n",
        &["5:8: directory.name: \"a\" is taken already at a.toml:2:8"],
    ),
    (
        SQLITE,
        "users = []\nurl = ''\n",
        &["4:1: directory.users: is no key of gatepost", "5:1: directory.url: is no key of gatepost"],
    ),
    (
        SQLITE,
        "file = 'users.db'\ndomains = []\n",
        &[
            "4:8: directory.file: is no absolute path",
            "5:11: directory.domains: is empty, so that this directory would never be asked",
        ],
    ),
    (
        SQLITE,
        "domains = ['a.b', 'A.b', '*', '*.*.c', 'a@b']\n",
        &[
            "4:19: directory.domains: a.b is listed twice",
            "4:26: directory.domains: \"*\" does not look like a domain",
            "4:31: directory.domains: \"*.c\" does not look like a domain",
            "4:40: directory.domains: \"a@b\" does not look like a domain",
        ],
    ),
    (
        SQLITE,
        "[directory.fields]\nhome = '/m/{user'\nmail = 'a}'\nuid = 5000\n'a b' = ''\npass = '{password}'\ngid = '{g i d}'\n",
        &[
            "5:8: directory.fields.home: has an open brace that is never closed",
            "6:8: directory.fields.mail: has a closing brace that nothing opens",
            "7:7: directory.fields.uid: a string is wanted here, not a whole number",
            "8:1: directory.fields.a b: is no name for a field",
            "9:8: directory.fields.pass: would hand the stored password to the peer",
            "10:7: directory.fields.gid: has something in braces that is no name",
        ],
    ),
    (
        "",
        "[[directory]]\nname = 'a'\ntype = 'passwd-file'\ndefault_scheme = '{PLAIN}'\n",
        &[
            "1:1: directory.file: is missing",
            "4:18: directory.default_scheme: \"{PLAIN}\" is no name of a password scheme",
        ],
    ),
    (
        SQLITE,
        "primary_password_services = ['imap', 'imap smtp', '']\n",
        &[
            "4:38: directory.primary_password_services: \"imap smtp\" is no name of a service",
            "4:51: directory.primary_password_services: \"\" is no name of a service",
        ],
    ),
    (
        SQLITE,
        "primary_password_services = 'imap'\n",
        &["4:29: directory.primary_password_services: a list is wanted here, not a string"],
    ),
    (
        STATIC,
        "users = ['', 'a b', 'a@b']\n",
        &["4:10: directory.users: \"\" is no login name", "4:14: directory.users: \"a b\" is no login name"],
    ),
    (
        STATIC,
        "fields.home = '/m/{home}'\nfields.mail = '{local}@{domain}'\n",
        &["4:15: directory.fields.home: needs a column, and a static directory has none"],
    ),
    (STATIC, "password = ''\n", &["4:12: directory.password: is an empty secret"]),
    (
        STATIC,
        "password_file = 'a'\npassword_credential = 'a'\n",
        &[
            "4:17: directory.password_file: is no absolute path",
            "5:23: directory.password_credential: needs systemd's credentials, and $CREDENTIALS_DIRECTORY is not set",
            "5:23: directory.password_credential: is a second source of one secret, besides password_file",
        ],
    ),
    // [hashing]
    (
        "",
        "[hashing]\nthreads = -1\nmemory = '1GB'\nqueue = 0\n",
        &[
            "2:11: hashing.threads: is out of range",
            "3:10: hashing.memory: \"1GB\" is no size",
            "4:9: hashing.queue: is out of range",
        ],
    ),
    (
        "",
        "[hashing]\nthreads = 99999999999999999999\nmemory = '1MiB'\nqueue = 1.5\n",
        &[
            "2:11: hashing.threads: is out of range",
            "3:10: hashing.memory: is out of range",
            "4:9: hashing.queue: a whole number is wanted here, not a number with a fraction",
        ],
    ),
    // [log]
    (
        "",
        "[log]\nfilter = 'inof'\nformat = 'jsn'\nlevel = 'info'\n",
        &[
            "2:10: log.filter: \"inof\" is no log filter",
            "3:10: log.format: \"jsn\" is not known here",
            "4:1: log.level: is no key of gatepost",
        ],
    ),
];

#[test]
fn every_mistake_is_said_where_it_stands() {
    assert!(BAD.len() >= 30);
    for (before, text, expected) in BAD.iter().chain(maps::BAD).chain(memory::BAD).chain(policy::BAD) {
        let expected: Vec<String> = expected
            .iter()
            .map(|head| {
                if head.starts_with(|letter: char| letter.is_ascii_digit()) {
                    format!("a.toml:{head}")
                } else {
                    (*head).to_owned()
                }
            })
            .collect();
        let text = format!("{before}{text}");
        assert_eq!(heads(&[("a.toml", &text), ("z.toml", SOME_DIRECTORY)]), expected, "{text}");
    }
}

#[test]
fn a_socket_path_has_at_most_107_bytes() {
    for (length, expected) in
        [(107, None), (108, Some("has 108 bytes, and the path of a socket can have 107"))]
    {
        let text = format!("{CLIENT}path = '/{}'\n{SOME_DIRECTORY}", "a".repeat(length - 1));
        let expected: Vec<_> =
            expected.map(|what| format!("a.toml:3:8: listener.path: {what}")).into_iter().collect();
        assert_eq!(heads(&[("a.toml", &text)]), expected);
    }
}

#[test]
fn a_key_that_two_files_set_is_a_problem_that_names_both() {
    let first = format!("[log]\nformat = 'text'\n[sasl]\n{SOME_DIRECTORY}");
    let second = "sasl = 1\n[log]\n\n  format = 'text'\n[directory]\n";
    assert_eq!(
        heads(&[("conf.d/1.toml", &first), ("conf.d/2.toml", second)]),
        [
            "conf.d/2.toml:1:1: sasl: is set twice: here and at conf.d/1.toml:3:2",
            "conf.d/2.toml:4:3: log.format: is set twice: here and at conf.d/1.toml:2:1",
            "conf.d/2.toml:5:2: directory: is set twice: here and at conf.d/1.toml:4:3",
        ]
    );
}

#[test]
fn problems_come_in_the_order_of_files_and_lines() {
    assert_eq!(
        heads(&[
            ("z", "[log]\nfilter = 1\n[server]\nx = 1\n"),
            ("m", "[server"),
            ("a", "y = 1\n[[listener]]\n")
        ]),
        [
            "z:2:10: log.filter: a string is wanted here, not a whole number",
            "z:4:1: server.x: is no key of gatepost",
            "m:1:8: unclosed table, expected `]`",
            "a:1:1: y: is no key of gatepost",
            "a:2:1: listener.protocol: is missing",
            "a:2:1: listener: has neither path nor address",
        ]
    );
}

#[test]
fn nobody_to_log_in_is_a_problem_and_no_listener_is_none() {
    assert_eq!(heads(&[("a", "[log]\n")]), ["directory: is not configured, so that nobody could log in"]);
    assert_eq!(
        heads(&[("a", "directory = []\n")]),
        ["a:1:13: directory: is not configured, so that nobody could log in"]
    );
    assert_eq!(checked(SOME_DIRECTORY).unwrap().listeners.len(), 4);
}

#[test]
fn a_problem_is_shown_with_its_line_and_a_caret() {
    let text = format!(
        "{SOME_DIRECTORY}[[listener]]\nprotocol = 'dovecot-client'\n\tpath = '/a' # there\n\tmode = '0999'\n[sasl]\nfailuredelay = '1s'\n"
    );
    assert_eq!(
        checked(&text).unwrap_err().to_string(),
        "a.toml:7:9: listener.mode: \"0999\" is no file mode; write the three octal digits of owner, group and \
         others, as in \"0660\"\n  7 |  mode = '0999'\n    |         ^^^^^^\n\
         a.toml:9:1: sasl.failuredelay: is no key of gatepost; did you mean \"failure_delay\"?\n  \
         9 | failuredelay = ***\n    | ^^^^^^^^^^^^"
    );
}

#[test]
fn columns_are_characters_and_long_lines_are_cut() {
    let domains = "domains = ['ä', 'ö.ö', 'ü ü', 'z']
";
    let head = heads(&[("a.toml", &format!("{SOME_DIRECTORY}{domains}"))]);
    assert_eq!(head, ["a.toml:4:24: directory.domains: \"ü ü\" does not look like a domain"]);

    let many: String = (0..60).map(|number| format!("'d{number}.example', ")).collect();
    let problems =
        checked(&format!("{SOME_DIRECTORY}domains = [{many}'!', {}]\n", many.replace('d', "e"))).unwrap_err();
    let shown = problems.to_string();
    let mut lines = shown.lines().skip(1);
    let (line, caret) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(line.len() < 120 && line.contains("| ...") && line.ends_with("..."), "{shown}");
    let at = caret.find('^').unwrap();
    assert_eq!((line.get(at..at + 3), caret.matches('^').count()), (Some("'!'"), 3), "{shown}");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let shown = checked("[log]\nfilter = \"\u{1b}[2J\"\n").unwrap_err().to_string();
    let more = checked("[log]\nfilter = \"\\u001b[2J\"\n").unwrap_err().to_string();
    for shown in [shown, more] {
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}

#[test]
fn a_problem_is_json_too() {
    let text = format!("{SOME_DIRECTORY}[log]\nformat = 'xml'\n[hashing]\nqueue = 'a'\n");
    let problems = checked(&text).unwrap_err();
    let json: serde_json::Value = serde_json::to_value(&problems).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(
        json[0],
        serde_json::json!({
            "file": "a.toml", "line": 5, "column": 10, "key": "log.format",
            "what": "\"xml\" is not known here", "remedy": "write \"text\" or \"json\"",
            "excerpt": { "text": "format = 'xml'", "indent": 9, "width": 5 },
        })
    );
    let nowhere = serde_json::to_value(checked("").unwrap_err()).unwrap();
    assert_eq!(nowhere[0]["key"], "directory");
    assert!(nowhere[0].get("file").is_none() && nowhere[0]["excerpt"].is_null());
}
