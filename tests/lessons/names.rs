//! Who somebody says they are.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use crate::asking::{Auth, Master, PEOPLE, daemon, plain, separated};

/// One account has one name, however it is typed, or a limit on failures counts one spelling while the directory knows
/// another, and a name that is free in one spelling belongs to somebody in the next.
#[test]
fn spellings_of_a_name_are_one_account_or_none() {
    let users = "alice@example.org:{PLAIN}wonder:5000:5000::/m/alice::\n\
                 Alice@Example.ORG:{PLAIN}taken:0:0::/m/taken::\n\
                 jose\u{301}@example.org:{PLAIN}wonder:5000:5000::/m/jose::\n\
                 jos\u{e9}@example.org:{PLAIN}taken:5001:5001::/m/taken::\n";
    let gatepost = daemon(PEOPLE, users).started();
    let mut auth = Auth::connect(&gatepost);
    let mut master = Master::connect(&gatepost);
    let same = [
        ("alice@example.org", "alice@example.org", "/m/alice"),
        ("ALICE@EXAMPLE.ORG", "alice@example.org", "/m/alice"),
        ("Alice@example.Org", "alice@example.org", "/m/alice"),
        ("jos\u{e9}@example.org", "jos\u{e9}@example.org", "/m/jose"),
        ("jose\u{301}@example.org", "jos\u{e9}@example.org", "/m/jose"),
        ("JOSE\u{301}@example.org", "jos\u{e9}@example.org", "/m/jose"),
    ];
    for (typed, name, home) in same {
        // For the logs of login processes, as Dovecot's own service has it.
        let original = if typed == name { String::new() } else { format!("\toriginal_user={typed}") };
        assert_eq!(auth.plain(typed, "wonder"), format!("OK\tuser={name}{original}"), "{typed:?}");
        assert_eq!(auth.plain(typed, "taken"), format!("FAIL\tuser={typed}"), "{typed:?}");
        assert_eq!(master.user(typed), format!("USER\t{name}\tuid=5000\tgid=5000\thome={home}"), "{typed:?}");
    }
    let nobody = [
        "alice@example.org ",
        " alice@example.org",
        "alice @example.org",
        "alice@example.org\u{a0}",
        "alice@example.org\u{200b}",
        "alice@example.org.",
        "alice@@example.org",
        "\u{ff41}lice@example.org",
        "\u{430}lice@example.org",
        "alice@example.org@example.org",
        "alice",
        "jose@example.org",
    ];
    for typed in nobody {
        assert!(auth.plain(typed, "wonder").starts_with("FAIL\tuser="), "{typed:?}");
        assert_eq!(master.user(typed), "NOTFOUND", "{typed:?}");
    }
}

#[test]
fn a_name_that_is_taken_cannot_be_added_in_another_spelling() {
    let gatepost = daemon("[[directory]]\nname = 'local'\ntype = 'sqlite'\n", "").started();
    let add = |name: &str| gatepost.run(&["user", "add", name], "wonder\n").status.code();
    assert_eq!(add("jos\u{e9}@example.org"), Some(0));
    for name in [
        "jose\u{301}@example.org",
        "JOS\u{c9}@Example.org",
        "jos\u{e9}@example.org ",
        "jos\u{e9}@example.org",
    ] {
        assert_ne!(add(name), Some(0), "{name:?}");
    }
    let listed = gatepost.run(&["user", "list"], "").stdout;
    assert_eq!(String::from_utf8(listed).unwrap(), "jos\u{e9}@example.org\n");
}

/// Injection into the query of a database, a pattern, a path. The database is asked with bound values, and what could
/// mean something to it cannot be a name. It must not be an outage either.
#[test]
fn no_name_means_anything_to_a_directory() {
    let gatepost = daemon("[[directory]]\nname = 'local'\ntype = 'sqlite'\n", "").started();
    assert_eq!(gatepost.run(&["user", "add", "alice"], "wonder\n").status.code(), Some(0));
    let mut auth = Auth::connect(&gatepost);
    assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice");
    let bytes = (0..=255).map(|byte| [b"alice".as_slice(), &[byte]].concat());
    let meanings = [
        "' OR '1'='1",
        "alice' --",
        "alice'||'",
        "*",
        "a*",
        "al%",
        "alic_",
        "*)(uid=*",
        "../alice",
        "{user}",
        "%u",
        "",
    ];
    for name in bytes.chain(meanings.map(|name| name.as_bytes().to_vec())) {
        let shown = name.escape_ascii();
        let reply = auth.login(&name, "wonder");
        // With NUL in it, or without a name, there is not even an exchange.
        assert!(reply == "FAIL" || reply.starts_with("FAIL\tuser="), "{shown}: {reply}");
        assert!(!reply.contains("temp"), "{shown}: {reply}");
    }
    assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice");
}

/// A name that is no UTF-8 has felled a daemon, and one with TAB and LF in it has poisoned what it was written to.
#[test]
fn a_name_that_is_no_text_fails_cleanly_and_is_shown_on_one_line() {
    let mut gatepost = daemon(PEOPLE, "alice:{PLAIN}wonder::::::\n").started();
    let mut auth = Auth::connect(&gatepost);
    let names =
        [&b"\xff"[..], b"alice\xc3", b"\xed\xa0\x80", b"a\r\nOK\t9\tuser=alice", b"a\nfields=x", b"\x1b[31m"];
    for name in names {
        let reply = auth.login(name, "wonder");
        let shown = reply.strip_prefix("FAIL\tuser=").unwrap_or_else(|| panic!("{reply:?}"));
        assert!(!shown.contains(|c: char| c.is_control()), "{reply:?}");
    }
    assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice");
    gatepost.stop();
    let log = gatepost.log();
    assert_eq!(log.matches("auth decided").count(), names.len() + 1, "{log}");
    assert!(!log.lines().any(|line| line.contains('\x1b') || line.starts_with("fields")), "{log}");
}

/// Nobody is a master user: neither by an authorisation identity nor by a separator in the name.
#[test]
fn nobody_logs_in_as_somebody_else() {
    let gatepost = daemon(PEOPLE, "alice:{PLAIN}wonder::::::\nbob:{PLAIN}builder::::::\n").started();
    let mut auth = Auth::connect(&gatepost);
    let mut act = |authzid: &str, authcid: &str, password: &str| {
        auth.response(&BASE64.encode([authzid, authcid, password].join("\0")))
    };
    assert_eq!(act("bob", "bob", "builder"), "OK\tuser=bob");
    assert_eq!(act("BOB", "bob", "builder"), "OK\tuser=bob", "another spelling of oneself");
    assert_eq!(act("alice", "bob", "builder"), "FAIL\tuser=bob\tcode=authz_fail");
    // Whether the password is right is not told by it.
    assert_eq!(act("alice", "bob", "wrong"), "FAIL\tuser=bob\tcode=authz_fail");
    assert_eq!(act("alice", "nobody", "wrong"), "FAIL\tuser=nobody\tcode=authz_fail");
    for name in ["alice*bob", "bob*alice", "alice%bob", "alice/bob", "alice\\bob"] {
        assert_eq!(act("", name, "builder"), format!("FAIL\tuser={name}"));
    }
}

/// Where there are master users: they alone, by their own password, and only as whom they may be. What anybody else learns
/// from trying is what a wrong password tells.
#[test]
fn a_separator_makes_somebody_else_of_master_users_alone() {
    let directory = |name: &str, more: &str| {
        format!("[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '@DIR@/{name}'\n{more}")
    };
    let masters = "master = true\ntargets = ['example.org', 'bob@example.net']\n";
    let config = format!("{}{}", directory("users", ""), directory("masters", masters));
    let people = "alice@example.org:{PLAIN}wonder::::::\nbob@example.net:{PLAIN}builder::::::\n\
                  carol@example.net:{PLAIN}carol::::::\nboss@example.org:{PLAIN}b::::::user=carol@example.net\n";
    let gatepost = separated(&config, people);
    // The same name and password as somebody has.
    let masters = "root@example.org:{PLAIN}master::::::\nalice@example.org:{PLAIN}wonder2::::::\n";
    std::fs::write(gatepost.path("masters"), masters).unwrap();
    let gatepost = gatepost.started();
    let mut auth = Auth::connect(&gatepost);
    let by = |user: &str, typed: &str, master: &str| {
        format!("OK\tuser={user}\toriginal_user={typed}\tauth_user={master}")
    };
    let root = "root@example.org";
    for (name, user, typed) in [
        ("alice@example.org*root@example.org", "alice@example.org", "root@example.org"),
        ("Alice@EXAMPLE.org*Root@example.org", "alice@example.org", "Root@example.org"),
        ("bob@example.net*root@example.org", "bob@example.net", "root@example.org"),
    ] {
        assert_eq!(auth.plain(name, "master"), by(user, typed, root), "{name}");
        assert_eq!(auth.login(name, "master"), by(user, typed, root), "{name}");
    }
    let may_not = |name: &str| format!("FAIL\tuser={name}\tcode=authz_fail");
    for name in [
        "carol@example.net*root@example.org",
        "boss@example.org*root@example.org",
        "x@example.org*root@example.org",
    ] {
        assert_eq!(auth.plain(name, "master"), may_not(name));
    }
    let wrong = |name: &str| format!("FAIL\tuser={name}");
    for (name, password) in [
        ("alice@example.org*root@example.org", "wonder"),
        ("alice@example.org*bob@example.net", "builder"),
        ("carol@example.net*root@example.org", "wrong"),
        ("alice@example.org*nobody@example.org", "master"),
        ("root@example.org", "master"),
        ("root@example.org*root@example.org", "master"),
        ("alice@example.org", "wonder2"),
        ("alice@example.org*alice@example.org", "wonder2"),
        ("*root@example.org", "master"),
        ("alice@example.org*", "wonder"),
        ("alice@example.org*", ""),
        ("*", "master"),
        ("alice@example.org*bob@example.net*root@example.org", "master"),
        ("alice@example.org*root@example.org*root@example.org", "master"),
        ("alice@example.org**root@example.org", "master"),
        ("alice@example.org*root@example.org", ""),
    ] {
        assert_eq!(auth.plain(name, password), wrong(name), "{password:?}");
    }
    // Oneself is nobody else.
    let alice = "alice@example.org";
    assert_eq!(auth.plain("alice@example.org*alice@example.org", "wonder"), format!("OK\tuser={alice}"));
    let master = by("bob@example.net", alice, alice);
    assert_eq!(auth.plain("bob@example.net*alice@example.org", "wonder2"), master);
    // A master user is nobody to deliver mail to.
    assert_eq!(Master::connect(&gatepost).user(root), "NOTFOUND");
}

/// A certificate without the field that was to hold the name let the client say the name itself. No mechanism here takes
/// a name from a certificate, and what a peer tells of one changes nothing.
#[test]
fn a_certificate_is_nobodys_name() {
    let gatepost = daemon(PEOPLE, "alice:{PLAIN}wonder::::::\nbob:{PLAIN}builder::::::\n").started();
    let mut auth = Auth::connect(&gatepost);
    let with_certificate = "service=imap\tsecured=tls\tvalid-client-cert\tcert_username=alice";
    assert_eq!(auth.with(with_certificate, &plain("bob", "builder")), "OK\tuser=bob");
    assert_eq!(auth.with(with_certificate, &plain("alice", "")), "FAIL\tuser=alice");
    assert_eq!(auth.with(with_certificate, &plain("alice", "builder")), "FAIL\tuser=alice");
    for mechanism in ["EXTERNAL", "ANONYMOUS", "DOVECOT-TOKEN", "APOP"] {
        let mut auth = Auth::connect(&gatepost);
        auth.lines.say(&format!("AUTH\t1\t{mechanism}\t{with_certificate}\tresp=YWxpY2U="));
        auth.lines.closed();
    }
}
