//! What nobody may read in the log.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use nix::sys::signal::Signal;

use crate::{
    asking::{Auth, Master, PEOPLE, daemon, plain},
    support::wait_until,
};

/// Passwords that occur nowhere else.
const RIGHT: &str = "sesame-Opens-1";
const WRONG: &str = "sesame-Shuts-2";
const ADDED: &str = "sesame-Added-3";
const CHANGED: &str = "sesame-Other-4";

/// SSHA of [`RIGHT`] with the salt `salt`, in base64.
const HASH: &str = "QFT3OmrcEK2ZGRRSTt6Ofax3lcZzYWx0";

#[test]
fn no_secret_is_in_the_log_at_its_finest() {
    let config = format!("[log]\nfilter = 'trace'\n{PEOPLE}[[directory]]\nname = 'local'\ntype = 'sqlite'\n");
    let users = format!(
        "alice:{{PLAIN}}{RIGHT}:5000:5000::/m::\n\
         hash:{{SSHA}}{HASH}:5000:5000::/m::\n\
         proxied:{{PLAIN}}{RIGHT}::::::proxy host=192.0.2.1\n\
         bad:{{PLAIN}}{RIGHT}:0:0::/m::allow_nets={RIGHT}\n\
         worse:{{NO-SUCH}}{RIGHT}::::::\n\
         al ice:{{PLAIN}}{RIGHT}::::::\n"
    );
    let mut gatepost = daemon(&config, &users).started();
    let mut secrets: Vec<String> = [RIGHT, WRONG, ADDED, CHANGED].map(str::to_owned).into();
    let mut said = Vec::new();

    // What an administrator does.
    let commands: [(&[&str], &str); 9] = [
        (&["user", "add", "dora"], ADDED),
        (&["user", "add", "dora"], ADDED),
        (&["user", "passwd", "dora"], CHANGED),
        (&["user", "show", "dora"], ""),
        (&["user", "show", "dora", "--json"], ""),
        (&["user", "list"], ""),
        (&["auth", "test", "dora"], CHANGED),
        (&["auth", "test", "hash"], WRONG),
        (&["lookup", "dora"], ""),
    ];
    for (args, password) in commands {
        let output = gatepost.run(args, &format!("{password}\n"));
        said.push(format!("{args:?}: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat())));
    }

    // What remotes and peers do, the things that break the protocol last.
    let mut login = gatepost.connect("login");
    login.say("VERSION\t1\t2\nCPID\t4711");
    let greeting = login.hear_until(|line| line == "DONE");
    let cookie = greeting.iter().find_map(|line| line.strip_prefix("COOKIE\t")).unwrap().to_owned();
    login.ask(&format!("AUTH\t1\tPLAIN\tservice=imap\tresp={}", plain("alice", RIGHT)), "OK\t1\tuser=alice");
    let mut master = Master::connect(&gatepost);
    let pid = std::process::id();
    let request = format!("REQUEST\t7\t4711\t1\t{cookie}\tsession_pid={pid}\trequest_auth_token");
    let told = master.lines.ask(&request, "USER\t7\talice");
    secrets.push(told.split_once("auth_token=").expect("a token").1.to_owned());
    master.lines.ask(&request, "FAIL\t7");
    secrets.push(cookie);
    for name in ["alice", "hash", "proxied", "bad", "worse", "dora"] {
        master.user(name);
        master.pass(name);
    }
    let mut auth = Auth::connect(&gatepost);
    for user in ["alice", "hash", "proxied", "bad", "worse", "dora", "nobody", "no body", "\u{1}"] {
        for password in [RIGHT, WRONG, CHANGED] {
            secrets.extend([plain(user, password), BASE64.encode(password)]);
            auth.plain(user, password);
            auth.login(user, password);
        }
    }
    auth.response(&BASE64.encode(format!("\0alice\0{RIGHT}\0{WRONG}")));
    auth.response(&format!("{}!", plain("alice", RIGHT)));
    auth.response(RIGHT);
    for line in [
        format!("AUTH\t1\tPLAIN\tservice=imap\tresp={}\tlip=192.0.2.1", plain("alice", RIGHT)),
        format!("AUTH\t1\tNONE\tservice=imap\tresp={}", plain("alice", RIGHT)),
        format!("AUTH\tx\tPLAIN\tservice=imap\tresp={}", plain("alice", RIGHT)),
        format!("CONT\tx\t{}", BASE64.encode(RIGHT)),
        format!("CONT\t1\t{0}\tchannel_binding={0}\tchannel_binding={0}", BASE64.encode(RIGHT)),
        BASE64.encode(RIGHT),
        RIGHT.to_owned(),
        format!("AUTH\t1\tPLAIN\tservice=imap\tresp={}", plain("alice", RIGHT).repeat(1000)),
    ] {
        let mut auth = Auth::connect(&gatepost);
        auth.lines.say(&line);
        auth.lines.closed();
    }
    // A reload that fails, and what is in flight at the end.
    gatepost.configure(&format!("[[directory]]\nname = 'x'\ntype = 'static'\npassword = ['{RIGHT}']\n"));
    gatepost.process().signal(Signal::SIGHUP);
    wait_until("the configuration was found wrong", || gatepost.log().contains("gatepost.toml:"));
    gatepost.stop();

    let log = gatepost.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not at its finest:\n{log}");
    assert!(log.matches("auth decided").count() > 40, "the log has lost its events:\n{log}");
    secrets.push(HASH.to_owned());
    let stored = fs::read(gatepost.path("state/users.db")).unwrap();
    assert!(stored.windows(10).any(|window| window == b"{ARGON2ID}"), "the database has a hash");
    secrets.extend(["$argon2id$".to_owned(), "{SSHA}".to_owned(), "{PLAIN}".to_owned()]);
    for secret in secrets {
        let found =
            log.lines().chain(said.iter().flat_map(|text| text.lines())).find(|line| line.contains(&secret));
        assert_eq!(found, None, "{secret:?} can be read");
    }
}
