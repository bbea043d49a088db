//! What other caches have said of the wrong user, for too long, or for what they should never have kept.

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::{
    asking::{Auth, Master, PEOPLE, daemon, plain, separated},
    support::{Alone, wait_until},
};

/// How often memory has had the answer to a login.
fn hits(gatepost: &Alone) -> u64 {
    let status = gatepost.run(&["cache", "status", "--json"], "");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let counts = &status["cache"]["counts"];
    ["hits", "negative_hits"].iter().map(|what| counts[what].as_u64().unwrap()).sum()
}

/// Lets the directory say where it stands, as it does soon after the start: what was asked before is asked once more. How
/// often memory has had an answer by then.
fn settled(gatepost: &Alone) -> u64 {
    wait_until("the directory was looked at", || gatepost.log().contains("the directories have changed"));
    let mut auth = Auth::connect(gatepost);
    wait_until("memory is asked", || {
        let before = hits(gatepost);
        auth.plain("nobody.here", "x");
        hits(gatepost) > before
    });
    hits(gatepost)
}

/// Writes the passwd-file anew. Who is not in memory is asked about there from now on.
fn rewrite(gatepost: &Alone, users: &str) {
    // Put in its place in one move, as the daemon may look at any time.
    fs::write(gatepost.path("users.new"), users).unwrap();
    fs::rename(gatepost.path("users.new"), gatepost.path("users")).unwrap();
}

/// A key without the user, or without a part of it, let everybody in as whoever had come first. Here everybody has the
/// same password, and names that are each other's beginning and end.
#[test]
fn nobody_is_taken_for_who_was_there_before() {
    let names = ["alice", "alic", "ice", "alice@example.org", "alice@example.or", "alice@example.net", "bob"];
    let mut users: String = names
        .iter()
        .enumerate()
        .map(|(number, name)| format!("{name}:{{PLAIN}}same:{}:5000::/m/{number}::\n", 6000 + number))
        .collect();
    users.push_str("other:{PLAIN}same:1:1::/x::user=bob\n");
    let gatepost = daemon(&watched(PEOPLE), &users).started();
    let before = settled(&gatepost);
    let (mut auth, mut master) = (Auth::connect(&gatepost), Master::connect(&gatepost));
    for round in 0..3 {
        for params in
            ["service=imap", "service=pop3\trip=192.0.2.1", "service=smtp\tlip=192.0.2.1\tsecured=tls"]
        {
            for (number, name) in names.iter().enumerate() {
                let said = auth.with(params, &plain(name, "same"));
                assert_eq!(said, format!("OK\tuser={name}"), "{round} {params}");
                assert_eq!(auth.login(name, "same"), format!("OK\tuser={name}"), "{round}");
                let uid = 6000 + number;
                let account = format!("USER\t{name}\tuid={uid}\tgid=5000\thome=/m/{number}");
                assert_eq!(master.user(name), account, "{round}");
            }
            // Another name of somebody is theirs, with their mailbox and not with what stands beside it.
            assert_eq!(auth.plain("other", "same"), "OK\tuser=bob\toriginal_user=other");
            assert_eq!(master.user("other"), "USER\tbob\tuid=6006\tgid=5000\thome=/m/6");
            for nobody in ["ali", "alice@example", "same", "lice", "alice@", "6000"] {
                assert_eq!(auth.plain(nobody, "same"), format!("FAIL\tuser={nobody}"));
            }
        }
    }
    assert!(hits(&gatepost) - before > 60, "most of it was from memory");
}

/// A hit gave rights that the login itself would not have had: of another program, from another network, after its end.
#[test]
fn a_rule_holds_for_who_is_known_as_it_does_for_who_is_asked_about() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let ends = now + 3;
    let users = format!(
        "near:{{PLAIN}}x::::::allow_nets=192.0.2.0/24\nreader:{{PLAIN}}x::::::services=imap\n\
         temp:{{PLAIN}}x::::::expires_at={ends}\n"
    );
    let mut gatepost = daemon(PEOPLE, &users).started();
    let mut auth = Auth::connect(&gatepost);
    for _ in 0..3 {
        for (user, params, right) in [
            ("near", "service=imap\trip=192.0.2.7", true),
            ("near", "service=imap\trip=198.51.100.7", false),
            ("near", "service=imap", false),
            ("near", "service=imap\trip=192.0.2.8", true),
            ("reader", "service=imap", true),
            ("reader", "service=pop3", false),
            ("reader", "service=smtp", false),
        ] {
            let said = auth.with(params, &plain(user, "x"));
            let expected = if right { "OK" } else { "FAIL" };
            assert_eq!(said, format!("{expected}\tuser={user}"), "{params}");
        }
    }
    // The account ends, however long its password is known for.
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(ends);
    let in_time = auth.plain("temp", "x");
    assert!(in_time == "OK\tuser=temp" || SystemTime::now() >= end, "{in_time}");
    wait_until("the account has ended", || SystemTime::now() >= end);
    assert!(auth.plain("temp", "x").starts_with("FAIL\tuser=temp"));
    gatepost.stop();
}

/// Fields were lost, or those of the first login given again: an answer is the same whether it is the first or not.
#[test]
fn an_answer_from_memory_is_the_one_that_was_given_before() {
    let users = "away:{PLAIN}x::::::proxy=y host=192.0.2.1 destuser=them pass=hop\n\
                 closed:{PLAIN}x::::::nologin reason=Closed for good\n\
                 plenty:{PLAIN}x:7:8:gecos:/home/p::userdb_mail=maildir:~/M userdb_quota_rule=*:bytes=1 userdb_x=\n\
                 alias:{PLAIN}y::::::user=plenty\n";
    let gatepost = daemon(PEOPLE, users).started();
    let (mut auth, mut master) = (Auth::connect(&gatepost), Master::connect(&gatepost));
    let mut login = Auth::over(gatepost.connect("login"));
    let mut ask = || {
        let mut said = Vec::new();
        for (user, password) in
            [("away", "x"), ("closed", "x"), ("plenty", "x"), ("alias", "y"), ("alias", "x")]
        {
            said.push(auth.plain(user, password));
            said.push(login.plain(user, password));
            said.push(auth.login(user, password));
            said.push(master.user(user));
            said.push(master.pass(user));
        }
        said
    };
    let first = ask();
    assert!(first[1].contains("\thost=192.0.2.1") && first[1].contains("\tpass=hop"), "{first:?}");
    assert!(first[13].contains("quota_rule"), "{first:?}");
    for _ in 0..3 {
        assert_eq!(ask(), first);
    }
    assert_eq!(gatepost.run(&["cache", "flush"], "").status.code(), Some(0));
    assert_eq!(ask(), first, "and asked for once more");
}

/// One-time passwords were kept and could be used again. What does not send the password leaves nothing to be kept, and a
/// password that is known opens nothing but what asks for it.
#[test]
fn what_is_proven_by_a_challenge_is_asked_about_each_time() {
    let sasl = "failure_delay = \"0s\"\nmechanisms = [\"PLAIN\", \"CRAM-MD5\"]\n";
    let config = clients_with(sasl);
    let gatepost = Alone::new(&config, "alice:{PLAIN}wonder::::::\n").started();
    let before = settled(&gatepost);
    let mut auth = Auth::connect(&gatepost);
    let mut cram = |id: u32, password: &str| {
        let asked = auth.lines.ask(&format!("AUTH\t{id}\tCRAM-MD5\tservice=imap"), "CONT\t");
        let challenge = BASE64.decode(asked.rsplit('\t').next().unwrap()).unwrap();
        let mut mac = Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(&challenge);
        let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let said = auth.lines.ask(&format!("CONT\t{id}\t{}", BASE64.encode(format!("alice {digest}"))), "");
        said.starts_with("OK\t")
    };
    let mut other = Auth::connect(&gatepost);
    assert!(cram(1, "wonder") && cram(2, "wonder"));
    assert_eq!(hits(&gatepost), before, "nothing was kept of it");
    assert_eq!(other.plain("alice", "wonder"), "OK\tuser=alice");
    assert_eq!(other.plain("alice", "wonder"), "OK\tuser=alice");
    assert_eq!(hits(&gatepost), before + 1);
    rewrite(&gatepost, "alice:{PLAIN}other::::::\n");
    let mut id = 2;
    wait_until("the file was read again", || {
        id += 1;
        cram(id, "other")
    });
    assert!(!cram(id + 1, "wonder"), "the password that PLAIN is still let in by from memory");
}

/// One socket, and these settings of SASL.
fn clients_with(sasl: &str) -> String {
    format!(
        "[sasl]\n{sasl}\n[[listener]]\nprotocol = \"dovecot-client\"\npath = \"@DIR@/client\"\n{}",
        watched(PEOPLE)
    )
}

/// With a log in which it is seen when a directory has been looked at.
fn watched(directories: &str) -> String {
    format!("[log]\nfilter = \"debug\"\n{directories}")
}

/// A right that depends on whom somebody wants to be is nobody's from then on.
#[test]
fn a_master_user_is_asked_about_each_time() {
    let directory = |name: &str, more: &str| {
        format!("[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '@DIR@/{name}'\n{more}")
    };
    let config =
        directory("users", "") + &directory("masters", "master = true\ntargets = ['alice@a.test']\n");
    let gatepost = separated(&config, "alice@a.test:{PLAIN}w::::::\nbob@a.test:{PLAIN}b::::::\n");
    fs::write(gatepost.path("masters"), "root@a.test:{PLAIN}master::::::\n").unwrap();
    let gatepost = gatepost.started();
    let mut auth = Auth::connect(&gatepost);
    for _ in 0..3 {
        assert!(auth.plain("alice@a.test*root@a.test", "master").starts_with("OK\tuser=alice@a.test"));
        assert_eq!(
            auth.plain("bob@a.test*root@a.test", "master"),
            "FAIL\tuser=bob@a.test*root@a.test\tcode=authz_fail"
        );
        assert_eq!(auth.plain("alice@a.test", "master"), "FAIL\tuser=alice@a.test");
        assert_eq!(auth.plain("root@a.test", "master"), "FAIL\tuser=root@a.test");
    }
    fs::write(gatepost.path("masters"), "root@a.test:{PLAIN}changed::::::\n").unwrap();
    let known = Instant::now();
    wait_until("the old password is refused", || {
        auth.plain("alice@a.test*root@a.test", "master").starts_with("FAIL")
    });
    // Far sooner than what is remembered of others: the file is looked at once a second at most.
    assert!(known.elapsed() < Duration::from_secs(5), "{:?}", known.elapsed());
    assert!(auth.plain("alice@a.test*root@a.test", "changed").starts_with("OK\t"));
}

/// Failures that were kept for as long as a session refused the right password. Here they are about one password each.
#[test]
fn a_failure_is_remembered_of_one_password_and_stands_in_the_way_of_no_other() {
    let gatepost = daemon(&watched(PEOPLE), "alice:{PLAIN}wonder::::::\n").started();
    let before = settled(&gatepost);
    let mut auth = Auth::connect(&gatepost);
    for number in 0..20 {
        for _ in 0..2 {
            assert_eq!(auth.plain("alice", format!("wrong{number}")), "FAIL\tuser=alice");
        }
        assert_eq!(auth.plain("alice", "wonder"), "OK\tuser=alice");
    }
    // What begins or ends as one that is known is another one.
    for almost in ["wonde", "wonder ", "wonder0", "Wonder", "wonder\u{301}", "wrong0wonder"] {
        assert_eq!(auth.plain("alice", almost), "FAIL\tuser=alice", "{almost:?}");
    }
    // From memory: 19 right ones, and each wrong one the second time.
    assert_eq!(hits(&gatepost) - before, 39);
}

/// A refusal that comes at once, or reads differently, tells that somebody was here, and whether they exist.
#[test]
fn a_refusal_from_memory_reads_and_takes_as_long_as_any_other() {
    let config = clients_with("failure_delay = \"300ms\"\n");
    let gatepost = Alone::new(&config, "alice:{PLAIN}wonder::::::\n").started();
    let before = settled(&gatepost);
    let mut auth = Auth::connect(&gatepost);
    for user in ["alice", "nobody"] {
        let mut seen = Vec::new();
        for _ in 0..3 {
            let begun = Instant::now();
            seen.push(auth.plain(user, "wrong"));
            assert!(begun.elapsed() >= Duration::from_millis(250), "{user}: {:?}", begun.elapsed());
        }
        assert_eq!(seen, vec![format!("FAIL\tuser={user}"); 3]);
    }
    assert_eq!(hits(&gatepost) - before, 4);
}
