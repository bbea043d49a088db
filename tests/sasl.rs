//! SASL mechanisms other than PLAIN and LOGIN: GNU SASL's client logs in to real Dovecot 2.3 and 2.4, over TLS where that
//! matters, and real Postfix is asked for what it must not let happen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod support;

use std::process::{Command, Output, Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use support::{Authority, Dovecot, Gatepost, Lines, Listener, Place, Postfix, Smtpd, Tree, wait_until};

const ALL: &str = "mechanisms = [\"PLAIN\", \"LOGIN\", \"CRAM-MD5\", \"SCRAM-SHA-1\", \"SCRAM-SHA-1-PLUS\", \
     \"SCRAM-SHA-256\", \"SCRAM-SHA-256-PLUS\", \"EXTERNAL\", \"ANONYMOUS\"]\nanonymous_user = \"guest@example.test\"";

/// People whose passwords are stored in the clear, as keys (made by `doveadm pw`), and otherwise. All but the first have
/// the password "secret".
const PEOPLE: &[(&str, &str)] = &[
    ("alice", "{PLAIN}wonder"),
    (
        "keys256",
        "{SCRAM-SHA-256}4096,nlTHw+0il1o99qAVxl7kTw==,r7RFzH7RbjAv2izJ0p3zKJCqO93uOTyIxDfySwzTT/o=,0pohWniH1mn3+wmfCOizhyxBI7epIYB0L/EUcvga8eQ=",
    ),
    (
        "keys1",
        "{SCRAM-SHA-1}4096,ZpAIrkqiBcLw3nvN8UT6ag==,7dG0ZlAfsXH7YU3Wo4D815pyLLE=,TMI9nCiq80ztwEZDOo6ZZ478vR8=",
    ),
    ("context", "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56"),
    ("hashed", "{SSHA}gfW6CDitAo92JenYKjnio4tl5eWQ7Arv"),
    ("digest", "{DIGEST-MD5}12ba4deb9b8a3562d770873c7138569b"),
    ("guest", "!"),
];

struct Host<'a> {
    place: &'a Place,
    gatepost: Gatepost<'a>,
    dovecot: Dovecot<'a>,
}

impl<'a> Host<'a> {
    fn start(place: &'a Place, sasl: &str, more: &str) -> Self {
        let gatepost = gatepost(place, &Listener::dovecot(place), sasl);
        Self { place, gatepost, dovecot: Dovecot::start_also(place, more) }
    }

    /// Has GNU SASL log in; `options` are its own.
    fn gsasl(&self, mechanism: &str, user: &str, password: &str, options: &[&str]) -> Output {
        let mut command = self.place.tree().command("gsasl");
        command.args(["--imap", "--mechanism", mechanism, "--no-starttls", "--quiet"]);
        command.args(["--password", password, "--authentication-id", user]);
        self.run(command, options)
    }

    fn run(&self, mut command: Command, options: &[&str]) -> Output {
        let address = self.dovecot.imap_address();
        command.args(["--connect", &address.to_string()]).args(options);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The log once it has this in it.
    fn logged(&self, text: &str) -> String {
        wait_until("it is in the log", || self.gatepost.log().contains(text));
        self.gatepost.log()
    }

    /// The same over TLS.
    fn gsasl_tls(&self, mechanism: &str, user: &str, password: &str, options: &[&str]) -> Output {
        let mut command = self.place.tree().command("gsasl");
        command.args(["--imap", "--mechanism", mechanism, "--starttls", "--quiet"]);
        command.args(["--password", password, "--authentication-id", user]);
        command.args(["--x509-ca-file", &self.place.inside("authority.pem")]);
        self.run(command, options)
    }
}

fn gatepost<'a>(place: &'a Place, listeners: &[Listener], sasl: &str) -> Gatepost<'a> {
    let line = |(name, password): &(&str, &str)| {
        let home = place.inside(&format!("mail/{name}"));
        format!("{name}@example.test:{password}:5000:5000::{home}::\n")
    };
    place.write("people", &PEOPLE.iter().map(line).collect::<String>());
    let file = place.outside("people");
    let directory = format!("[[directory]]\nname = \"people\"\ntype = \"passwd-file\"\nfile = {file:?}\n");
    Gatepost::start_offering(place, listeners, sasl, &directory)
}

fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{:?}\n{out}\n{err}", output.status.code())
}

#[test]
fn gnu_sasl_logs_in_by_each_mechanism_with_the_right_password_and_with_no_other() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let host = Host::start(&place, ALL, "");
        for (mechanism, user, password) in [
            ("PLAIN", "alice", "wonder"),
            ("CRAM-MD5", "alice", "wonder"),
            ("CRAM-MD5", "context", "secret"),
            ("SCRAM-SHA-1", "alice", "wonder"),
            ("SCRAM-SHA-1", "keys1", "secret"),
            ("SCRAM-SHA-256", "alice", "wonder"),
            ("SCRAM-SHA-256", "keys256", "secret"),
            // The stored forms of one mechanism verify the password of another.
            ("PLAIN", "keys256", "secret"),
            ("PLAIN", "keys1", "secret"),
            ("PLAIN", "context", "secret"),
        ] {
            let user = format!("{user}@example.test");
            let good = host.gsasl(mechanism, &user, password, &[]);
            assert!(good.status.success(), "{mechanism} {user}: {}", said(&good));
            let bad = host.gsasl(mechanism, &user, "wrong", &[]);
            assert!(!bad.status.success(), "{mechanism} {user}: {}", said(&bad));
        }
        // Nothing is stored that would do.
        for (mechanism, user) in [
            ("SCRAM-SHA-256", "hashed"),
            ("SCRAM-SHA-1", "keys256"),
            ("CRAM-MD5", "hashed"),
            ("SCRAM-SHA-1", "context"),
        ] {
            let refused = host.gsasl(mechanism, &format!("{user}@example.test"), "secret", &[]);
            assert!(!refused.status.success(), "{mechanism} {user}: {}", said(&refused));
            host.logged(&format!("no {mechanism} credentials"));
        }
        // The owner's name is part of what is stored, and it is another one.
        let digest = host.gsasl("PLAIN", "digest@example.test", "secret", &[]);
        assert!(!digest.status.success(), "{}", said(&digest));

        let anonymous = host.run(
            {
                let mut command = place.tree().command("gsasl");
                command.args(["--imap", "--mechanism", "ANONYMOUS", "--no-starttls", "--quiet"]);
                command.args(["--anonymous-token", "sirhc\u{1b}[2J"]);
                command
            },
            &[],
        );
        assert!(anonymous.status.success(), "{}", said(&anonymous));
        let log = host.logged("sirhc");
        assert!(log.contains("mechanism=\"ANONYMOUS\"") && !log.contains('\u{1b}'), "{log}");
    }
}

/// What is sent before anything was proven must not tell who exists.
#[test]
fn scram_says_the_same_of_somebody_who_does_not_exist() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let host = Host::start(&place, ALL, "");
        let ask = |user: &str| {
            let mut lines = Lines::connect(host.dovecot.imap_address());
            lines.expect("* OK");
            lines.ask("1 AUTHENTICATE SCRAM-SHA-256", "+");
            lines.say(&BASE64.encode(format!("n,,n={user}@example.test,r=abcdefgh")));
            let challenge = BASE64.decode(lines.expect("+ ").trim_start_matches("+ ")).unwrap();
            let challenge = String::from_utf8(challenge).unwrap();
            let (nonce, terms) = challenge.split_once(',').unwrap();
            lines.say(&BASE64.encode(format!("c=biws,{nonce},p={}", BASE64.encode([7; 32]))));
            let end = lines.hear_until(|line| line.starts_with("1 "));
            (nonce.len(), terms.to_owned(), end)
        };
        let mut ends = Vec::new();
        for user in ["keys256", "alice", "hashed", "ghost", "gh*st"] {
            let (one, two) = (ask(user), ask(user));
            assert_eq!(one, two, "the same each time");
            let (salt, iterations) = one.1.split_once(',').unwrap();
            assert_eq!((salt.len(), iterations), ("s=".len() + 24, "i=4096"), "{user}");
            ends.push((one.0, one.2));
        }
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
        assert!(ends[0].1.last().unwrap().starts_with("1 NO [AUTHENTICATIONFAILED]"), "{ends:?}");
    }
}

fn with_tls(place: &Place, authority: &Authority<'_>) -> String {
    authority.certify("server");
    let [certificate, key, authority] =
        ["server.pem", "server.key", "authority.pem"].map(|name| place.inside(name));
    match place.tree().name() {
        "bookworm" => format!(
            "ssl = yes\nssl_cert = <{certificate}\nssl_key = <{key}\nssl_ca = <{authority}\nssl_require_crl = no\n\
             ssl_verify_client_cert = yes\nauth_ssl_username_from_cert = yes\n"
        ),
        _ => format!(
            "ssl = yes\nssl_server_cert_file = {certificate}\nssl_server_key_file = {key}\n\
             ssl_server_ca_file = {authority}\nssl_server_require_crl = no\n\
             ssl_server_request_client_cert = yes\nauth_ssl_username_from_cert = yes\n"
        ),
    }
}

#[test]
fn a_certificate_proves_its_name_and_nothing_else_does() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let (authority, stranger) =
            (Authority::found(&place, "authority"), Authority::found(&place, "stranger"));
        let more = with_tls(&place, &authority);
        authority.certify_person("alice@example.test");
        authority.certify_person("ghost@example.test");
        stranger.certify_person("keys256@example.test");
        let host = Host::start(&place, ALL, &more);
        let external = |certificate: Option<&str>, authzid: &str| {
            let files =
                certificate.map(|name| [".pem", ".key"].map(|end| place.inside(&format!("{name}{end}"))));
            let mut options = vec!["--authorization-id", authzid];
            if let Some([certificate, key]) = &files {
                options.extend(["--x509-cert-file", certificate, "--x509-key-file", key]);
            }
            host.gsasl_tls("EXTERNAL", authzid, "", &options)
        };
        for (certificate, authzid, good) in [
            (Some("alice@example.test"), "", true),
            (Some("alice@example.test"), "alice@example.test", true),
            (Some("alice@example.test"), "keys256@example.test", false),
            (Some("ghost@example.test"), "ghost@example.test", false),
            (Some("keys256@example.test"), "keys256@example.test", false),
            (None, "alice@example.test", false),
        ] {
            let output = external(certificate, authzid);
            assert_eq!(output.status.success(), good, "{certificate:?} {authzid}: {}", said(&output));
        }
        host.logged("no TLS certificate that was verified");
    }
}

#[test]
fn scram_is_bound_to_the_tls_channel_where_dovecot_can_tell_of_it() {
    for tree in Tree::all() {
        eprintln!("with the Dovecot of {}", tree.name());
        let place = Place::new(&tree);
        let authority = Authority::found(&place, "authority");
        let host = Host::start(&place, ALL, &with_tls(&place, &authority));
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-1"] {
            let keys =
                if mechanism == "SCRAM-SHA-256" { "keys256@example.test" } else { "keys1@example.test" };
            let plus = format!("{mechanism}-PLUS");
            let bound = host.gsasl_tls(&plus, keys, "secret", &[]);
            if tree.name() == "bookworm" {
                // 2.3 knows nothing of it, and so is told nothing of it.
                assert!(!bound.status.success(), "{}", said(&bound));
                let plain = host.gsasl_tls(mechanism, keys, "secret", &["--no-cb"]);
                assert!(plain.status.success(), "{}", said(&plain));
                continue;
            }
            assert!(bound.status.success(), "{}", said(&bound));
            let log = host.logged(&format!("mechanism=\"{plus}\""));
            assert!(log.contains("outcome=verified"), "{log}");
            let wrong = host.gsasl_tls(&plus, keys, "wrong", &[]);
            assert!(!wrong.status.success(), "{}", said(&wrong));
        }
        let mut imap = host.dovecot.imap();
        let offered = imap.lines_of("CAPABILITY").join(" ");
        assert!(
            offered.contains("AUTH=SCRAM-SHA-256") && !offered.contains("-PLUS"),
            "without TLS: {offered}"
        );
    }
}

/// R10: Postfix hides EXTERNAL from its clients and forwards it all the same when one asks for it.
#[test]
fn nobody_relays_through_postfix_by_external_or_anonymous() {
    for tree in Tree::all() {
        let place = Place::new(&tree);
        let gatepost = gatepost(&place, &Postfix::listeners(&place), ALL);
        let postfix = Postfix::start(&place, None);
        for smtpd in Smtpd::ALL {
            eprintln!("with {smtpd:?} of {}", tree.name());
            for name in ["alice@example.test", ""] {
                let mut smtp = postfix.connect(smtpd);
                let response = if name.is_empty() { "=".to_owned() } else { BASE64.encode(name) };
                let reply = smtp.command(&format!("AUTH EXTERNAL {response}"));
                assert_eq!(reply.code, 535, "{}", reply.text);
                let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "spam");
                assert_ne!(reply.code, 250, "{}", reply.text);
                // In several steps.
                let reply = smtp.command("AUTH EXTERNAL");
                assert_eq!(reply.code, 334, "{}", reply.text);
                let reply = smtp.command(&response);
                assert_eq!(reply.code, 535, "{}", reply.text);
            }
            let mut smtp = postfix.connect(smtpd);
            let reply = smtp.command(&format!("AUTH ANONYMOUS {}", BASE64.encode("x")));
            assert!(reply.code >= 400, "{}", reply.text);
            let reply = smtp.send("alice@example.test", "friend@elsewhere.test", "spam");
            assert_ne!(reply.code, 250, "{}", reply.text);
            let reply = postfix.connect(smtpd).auth_plain("alice@example.test", "wonder");
            assert_eq!(reply.code, 235, "{}", reply.text);
        }
        let log = gatepost.log();
        let mut accepted = log.lines().filter(|line| line.contains("outcome=verified"));
        assert!(accepted.all(|line| line.contains("mechanism=\"PLAIN\"")), "{log}");
    }
}
