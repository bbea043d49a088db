//! Mechanisms other than PLAIN and LOGIN: to whom they are offered, and how they go.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gatepost_protocol::dovecot::Cookie;

use crate::{
    mechanism::{Client, Mechanism},
    session::{
        Close,
        auth::{RESPONSE_TIMEOUT, Role},
        master::{self, Peer},
        table::Ticket,
        testing::{COOKIE, DELAY, Desk, KEYS_PASSWORD, base64, engine, engine_over, id, keys, shared},
    },
};

const ALL: [Mechanism; 11] = Mechanism::ALL;
const OK: &str = "OK\t1\tuser=keys@example.org";

/// The challenge in a `CONT` for request 1, and what follows it.
fn challenge(said: &str) -> (String, String) {
    let rest = said.strip_prefix("CONT\t1\t").unwrap_or_else(|| panic!("{said:?}"));
    let (text, more) = rest.trim_end_matches('\n').split_once('\t').unwrap_or((rest.trim_end(), ""));
    (String::from_utf8(STANDARD.decode(text).unwrap()).unwrap(), more.to_owned())
}

/// Begins, and gives the client's second message.
fn up_to_the_proof(desk: &mut Desk<'_>, client: &mut Client, more: &str) -> String {
    let first = base64(client.first().as_bytes());
    let said = desk.say(&format!("AUTH\t1\tSCRAM-SHA-256\tservice=imap{more}\tresp={first}\n"));
    let (said, binding) = challenge(&said);
    assert_eq!(binding, "");
    base64(client.last(&said, b"").as_bytes())
}

#[test]
fn scram_ends_with_the_servers_proof_along_with_ok_for_who_can_take_it() {
    let (shared, engine) = (shared(), engine());
    for (role, minor) in [(Role::Login, 3), (Role::Login, 2), (Role::Client, 3)] {
        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        let mut client = Client::new("n,,", "keys@example.org", KEYS_PASSWORD);
        let last = up_to_the_proof(&mut desk, &mut client, "\tfinal-resp-ok");
        let said = desk.say(&format!("CONT\t1\t{last}\n"));
        assert_eq!(said, format!("{OK}\tresp={}\n", base64(client.answer.as_bytes())));
    }
}

/// R12: everybody else gets it as one more challenge, to which there is nothing to say.
#[test]
fn scram_ends_with_the_servers_proof_before_ok_for_all_others() {
    let (shared, engine) = (shared(), engine());
    for (role, minor) in [(Role::Login, 2), (Role::Client, 0)] {
        let until = |desk: &mut Desk<'_>| {
            let mut client = Client::new("n,,", "keys@example.org", KEYS_PASSWORD);
            let last = up_to_the_proof(desk, &mut client, "");
            let said = desk.say(&format!("CONT\t1\t{last}\n"));
            assert_eq!(said, format!("CONT\t1\t{}\n", base64(client.answer.as_bytes())));
            assert!(!desk.session().is_idle());
        };
        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        until(&mut desk);
        let ticket = ticket();
        assert!(shared.table.claim(&ticket, desk.now).is_none(), "not before it was heard");
        assert_eq!(desk.say("CONT\t1\t\n"), format!("{OK}\n"));
        assert_eq!(shared.table.claim(&ticket, desk.now).is_some(), role == Role::Login);
        drop(desk);

        // Postfix writes nothing as `=`.
        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        until(&mut desk);
        assert_eq!(desk.say("CONT\t1\t=\n"), format!("{OK}\n"));
        drop(desk);

        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        until(&mut desk);
        assert_eq!(desk.say("CONT\t1\teA==\n"), "");
        assert_eq!(desk.pass(DELAY * 2), "FAIL\t1\tuser=keys@example.org\n", "it was more than nothing");
        drop(desk);

        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        until(&mut desk);
        desk.say("CANCEL\t1\n");
        assert_eq!(
            desk.say("CONT\t1\t\n"),
            "FAIL\t1\treason=Authentication request timed out\n",
            "nobody waits for it any more"
        );
        drop(desk);

        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        until(&mut desk);
        desk.pass(RESPONSE_TIMEOUT + Duration::from_secs(1));
        assert!(desk.session().is_idle(), "for ever is too long");
    }
}

fn ticket() -> Ticket {
    Ticket { client_pid: 7, client_id: id(1), cookie: Cookie::parse(COOKIE.as_bytes()).unwrap() }
}

/// The proof is the master user's, and whom they act as is part of what it is made over.
#[test]
fn a_master_user_proves_themselves_by_scram_as_well() {
    let (shared, engine) = (shared(), engine());
    let try_one = |header: &str, user: &str, password: &str| {
        let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
        let mut client = Client::new(header, user, password);
        let last = up_to_the_proof(&mut desk, &mut client, "\tfinal-resp-ok");
        let said = desk.say(&format!("CONT\t1\t{last}\n"));
        let said = if said.is_empty() { desk.pass(DELAY * 2) } else { said };
        drop(desk);
        said.replace(&format!("\tresp={}", base64(client.answer.as_bytes())), "")
    };
    let (acting, master) = ("n,a=alice@example.org,", "keys@example.net");
    let names = format!("original_user={master}\tauth_user={master}");
    let said = try_one(acting, master, KEYS_PASSWORD);
    assert_eq!(said, format!("OK\t1\tuser=alice@example.org\t{names}\n"));
    assert_eq!(try_one(acting, master, "wrong"), format!("FAIL\t1\tuser={master}\n"));
    let ghost = try_one("n,a=ghost@example.org,", master, KEYS_PASSWORD);
    assert_eq!(ghost, format!("FAIL\t1\tuser={master}\tcode=authz_fail\n"));
}

#[test]
fn nobody_learns_from_scram_who_exists() {
    let hashed = "hashed@example.org:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:5011:5011::/srv/hashed::\n";
    let (shared, engine) = (shared(), engine_over(&(keys() + hashed)));
    let try_one = |user: &str, password: &str| {
        let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
        let mut client = Client::new("n,,", user, password);
        let first = base64(client.first().as_bytes());
        let (said, _) =
            challenge(&desk.say(&format!("AUTH\t1\tSCRAM-SHA-256\tservice=imap\tresp={first}\n")));
        let (nonce, terms) = said.split_once(',').unwrap();
        assert_eq!(nonce.len(), "r=abc".len() + 24);
        let last = base64(client.last(&said, b"").as_bytes());
        assert_eq!(desk.say(&format!("CONT\t1\t{last}\n")), "");
        let told = desk.pass(DELAY * 2);
        assert_eq!(told, format!("FAIL\t1\tuser={}\n", user.replace(' ', "?")));
        terms.to_owned()
    };
    let salt_of = |terms: &str| {
        let (salt, iterations) = terms.split_once(',').unwrap();
        assert_eq!(iterations, "i=4096");
        STANDARD.decode(salt.strip_prefix("s=").unwrap()).unwrap()
    };
    // Somebody with keys, somebody whose password is stored otherwise, nobody, and what nobody can be called.
    for user in ["keys@example.org", "hashed@example.org", "ghost@example.org", "gh ost@example.org"] {
        let (one, two) = (try_one(user, "wrong"), try_one(user, "other"));
        assert_eq!(one, two, "the same terms each time");
        assert_eq!(salt_of(&one).len(), 16, "{user}");
    }
    assert_ne!(try_one("ghost@example.org", "x"), try_one("other@example.org", "x"));
    assert_eq!(
        try_one("ghost@example.org", "x"),
        try_one("GHOST@EXAMPLE.ORG", "x").replace("GHOST", "ghost")
    );
}

#[test]
fn an_outage_in_the_middle_of_scram_is_temporary() {
    let (shared, engine) = (shared(), engine());
    let line = format!("AUTH\t1\tSCRAM-SHA-256\tservice=imap\tresp={}\n", base64(b"n,,n=keys,r=abc"));
    let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
    let question = desk.ask(&line);
    let (said, ended) = desk.fail(question);
    assert_eq!((said.as_str(), ended), ("FAIL\t1\tuser=keys\tcode=temp_fail\ttemp\n", Ok(())));
    assert!(desk.session().is_idle());

    // R5
    let mut desk = Desk::ready_for(&ALL, Role::Client, 0, &shared, &engine);
    let question = desk.ask(&line);
    assert_eq!(desk.fail(question), (String::new(), Err(Close::TempFail)));
}

#[test]
fn what_was_cancelled_while_it_was_looked_up_is_not_gone_on_with() {
    let (shared, engine) = (shared(), engine());
    let line = format!("AUTH\t1\tSCRAM-SHA-256\tservice=imap\tresp={}\n", base64(b"n,,n=keys,r=abc"));
    let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
    let first = desk.ask(&line);
    assert_eq!(desk.say("CANCEL\t1\n"), "");
    let second = desk.ask(&line);
    assert_eq!(desk.judge(first), "");
    assert!(desk.judge(second).starts_with("CONT\t1\t"), "the id is of another request now");

    let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
    let question = desk.ask(&line);
    assert_eq!(desk.say("CONT\t1\tAAAA\n"), "FAIL\t1\treason=Unexpected continuation\n");
    assert_eq!(desk.judge(question), "");
}

/// R1 to R3 for everybody whose version says nothing else.
#[test]
fn bound_mechanisms_are_announced_to_login_processes_that_know_them_and_to_nobody_else() {
    let (shared, engine) = (shared(), engine());
    let names = |greeting: &str| -> Vec<String> {
        let names = greeting.lines().filter_map(|line| line.strip_prefix("MECH\t"));
        names.map(|rest| rest.split('\t').next().unwrap().to_owned()).collect()
    };
    let all: Vec<&str> = ALL.map(Mechanism::name).into();
    let unbound: Vec<&str> = all.iter().copied().filter(|name| !name.ends_with("-PLUS")).collect();
    for (minor, expected) in [(0, &unbound), (2, &unbound), (3, &all), (4, &all)] {
        let mut desk = Desk::offered(&ALL, Role::Login, &shared, &engine);
        assert_eq!(desk.greeting, "VERSION\t1\t2\n");
        let rest = desk.say(&format!("VERSION\t1\t{minor}\n"));
        assert_eq!(&names(&rest), expected, "to minor {minor}");
        let (mech, spid, done) = (rest.rfind("MECH"), rest.find("SPID"), rest.ends_with("DONE\n"));
        assert!(mech < spid && done, "{rest}");
        assert_eq!(desk.say("CPID\t7\n"), "");
    }
    let client: Vec<&str> = unbound.iter().copied().filter(|name| *name != "ANONYMOUS").collect();
    for minor in [0, 2, 3, 4] {
        let mut desk = Desk::offered(&ALL, Role::Client, &shared, &engine);
        assert_eq!(names(&desk.greeting), client);
        assert!(desk.greeting.ends_with("DONE\n"));
        assert_eq!(desk.say(&format!("VERSION\t1\t{minor}\nCPID\t7\n")), "");
    }
    // Without them, nobody is waited for.
    let desk = Desk::offered(&[Mechanism::Plain, Mechanism::ScramSha256], Role::Login, &shared, &engine);
    assert!(
        desk.greeting.ends_with("DONE\n") && desk.greeting.contains("MECH\tSCRAM-SHA-256\tmutual-auth\n")
    );

    for (role, minor) in [(Role::Login, 2), (Role::Client, 4)] {
        let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
        desk.breaks("AUTH\t1\tSCRAM-SHA-256-PLUS\tservice=imap\n");
    }
}

#[test]
fn a_bound_exchange_takes_the_data_of_the_channel_from_the_login_process() {
    let (shared, engine) = (shared(), engine());
    let data = b"0123456789abcdef0123456789abcdef";
    let run = |told: &str| {
        let mut desk = Desk::ready_for(&ALL, Role::Login, 3, &shared, &engine);
        let mut client = Client::new("p=tls-exporter,,", "keys@example.org", KEYS_PASSWORD);
        let first = base64(client.first().as_bytes());
        let line =
            format!("AUTH\t1\tSCRAM-SHA-256-PLUS\tservice=imap\tfinal-resp-ok\tsecured=tls\tresp={first}\n");
        let (said, more) = challenge(&desk.say(&line));
        assert_eq!(more, "channel_binding=tls-exporter");
        let last = base64(client.last(&said, data).as_bytes());
        let said = desk.say(&format!("CONT\t1\t{last}{told}\n"));
        let good = format!("{OK}\tresp={}\n", base64(client.answer.as_bytes()));
        (said.clone() + &desk.pass(DELAY * 2), good)
    };
    let (said, good) = run(&format!("\tchannel_binding={}", base64(data)));
    assert_eq!(said, good);
    for told in
        ["".to_owned(), format!("\tchannel_binding={}", base64(b"another")), "\tchannel_binding=".into()]
    {
        assert_eq!(run(&told).0, "FAIL\t1\n", "{told}");
    }
    let (said, _) = run("\tchannel_binding=!");
    assert!(said.starts_with("FAIL\t1\tcode=invalid_base64"), "{said}");
}

/// A client that could bind and saw no offer says so; over TLS to Dovecot there was one, so somebody took it away.
#[test]
fn an_offer_that_was_taken_away_on_the_way_is_noticed() {
    let (shared, engine) = (shared(), engine());
    let unbound = [Mechanism::Plain, Mechanism::ScramSha256];
    let table: [(&[Mechanism], u32, &str, bool); 6] = [
        (&ALL, 3, "\tsecured=tls", false),
        (&ALL, 2, "\tsecured=tls", true),
        // TLS ended at a proxy, so that Dovecot had nothing to offer.
        (&ALL, 3, "\tsecured", true),
        (&ALL, 3, "", true),
        (&unbound, 3, "\tsecured=tls", true),
        (&[Mechanism::ScramSha256, Mechanism::ScramSha1Plus], 3, "\tsecured=tls", true),
    ];
    for (mechanisms, minor, more, good) in table {
        let mut desk = Desk::ready_for(mechanisms, Role::Login, minor, &shared, &engine);
        let first = base64(b"y,,n=keys@example.org,r=abc");
        let said = desk.say(&format!("AUTH\t1\tSCRAM-SHA-256\tservice=imap{more}\tresp={first}\n"));
        assert_eq!(said.starts_with("CONT\t1\t"), good, "{said:?} {more}");
        assert_eq!(desk.pass(DELAY * 2), if good { "" } else { "FAIL\t1\n" });
    }
}

/// R10, CVE-2019-3814: Postfix forwards AUTH EXTERNAL although it does not offer it.
#[test]
fn external_needs_a_certificate_that_was_verified_and_a_name_in_it() {
    let (shared, engine) = (shared(), engine());
    let table = [
        ("\tvalid-client-cert\tcert_username=alice@example.org", "", "OK\t1\tuser=alice@example.org\n"),
        (
            "\tvalid-client-cert\tcert_username=alice@example.org",
            "alice@example.org",
            "OK\t1\tuser=alice@example.org\n",
        ),
        (
            "\tvalid-client-cert\tcert_username=alice@example.org",
            "bob@example.org",
            "FAIL\t1\tuser=alice@example.org\tcode=authz_fail\n",
        ),
        ("\tvalid-client-cert\tcert_username=ghost@example.org", "", "FAIL\t1\tuser=ghost@example.org\n"),
        ("\tvalid-client-cert", "alice@example.org", "FAIL\t1\n"),
        ("\tvalid-client-cert\tcert_username=", "alice@example.org", "FAIL\t1\n"),
        ("\tcert_username=alice@example.org", "", "FAIL\t1\n"),
        ("\tcert_username=alice@example.org", "alice@example.org", "FAIL\t1\n"),
        ("", "alice@example.org", "FAIL\t1\n"),
        ("\tsecured=tls", "alice@example.org", "FAIL\t1\n"),
    ];
    for (more, response, expected) in table {
        for (role, minor) in [(Role::Login, 2), (Role::Login, 3), (Role::Client, 0), (Role::Client, 2)] {
            let mut desk = Desk::ready_for(&ALL, role, minor, &shared, &engine);
            let response = if response.is_empty() { "=".to_owned() } else { base64(response.as_bytes()) };
            let said = desk.say(&format!("AUTH\t1\tEXTERNAL\tservice=smtp{more}\tresp={response}\n"));
            assert_eq!(said + &desk.pass(DELAY * 2), expected, "{more} {response}");
        }
    }
    // Nor where it is not configured.
    let mut desk = Desk::ready(Role::Client, 0, &shared, &engine);
    desk.breaks(
        "AUTH\t1\tEXTERNAL\tservice=smtp\tvalid-client-cert\tcert_username=alice@example.org\tresp==\n",
    );
}

#[test]
fn anonymous_is_for_login_processes_and_says_so() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
    let trace = base64(b"sirhc@example.org");
    let said = desk.say(&format!("AUTH\t1\tANONYMOUS\tservice=imap\tresp={trace}\n"));
    assert_eq!(said, "OK\t1\tuser=bob@example.org\tanonymous\n");
    let mut master =
        master::Session::new(master::Role::Master, std::sync::Arc::clone(&shared), Peer::default());
    let mut out = bytes::BytesMut::new();
    for line in ["VERSION\t1\t2".to_owned(), format!("REQUEST\t5\t7\t1\t{COOKIE}")] {
        master.line(line.as_bytes(), desk.now, &mut out).unwrap();
    }
    let said = String::from_utf8_lossy(&out).into_owned();
    assert!(said.contains("\tauth_mech=ANONYMOUS\tanonymous\n"), "{said}");

    // An SMTP server would relay for anybody.
    let mut desk = Desk::ready_for(&ALL, Role::Client, 2, &shared, &engine);
    desk.breaks(&format!("AUTH\t1\tANONYMOUS\tservice=smtp\tresp={trace}\n"));
}

#[test]
fn cram_md5_is_asked_and_answered() {
    let (shared, engine) = (shared(), engine());
    for (password, good) in [("alice", true), ("wrong", false)] {
        let mut desk = Desk::ready_for(&ALL, Role::Client, 0, &shared, &engine);
        let (asked, _) = challenge(&desk.say("AUTH\t1\tCRAM-MD5\tservice=smtp\tnologin\n"));
        let response = format!("alice@example.org {}", cram(password, &asked));
        let said = desk.say(&format!("CONT\t1\t{}\n", base64(response.as_bytes())));
        let expected =
            if good { "OK\t1\tuser=alice@example.org\n" } else { "FAIL\t1\tuser=alice@example.org\n" };
        assert_eq!(said + &desk.pass(DELAY * 2), expected);
    }
}

/// HMAC-MD5 with a short key, as in RFC 2104.
fn cram(password: &str, message: &str) -> String {
    use md5::{Digest as _, Md5};
    let mut key = [0; 64];
    key[..password.len()].copy_from_slice(password.as_bytes());
    let inner = Md5::new().chain_update(key.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let digest = Md5::new().chain_update(key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The login process would log in to the next host with it, and there is none.
#[test]
fn no_password_is_handed_on_that_was_never_sent() {
    let (shared, engine) = (shared(), engine());
    let mut desk = Desk::ready_for(&ALL, Role::Login, 2, &shared, &engine);
    let (asked, _) = challenge(&desk.say("AUTH\t1\tCRAM-MD5\tservice=imap\n"));
    let response = format!("prox@example.org {}", cram("prox", &asked));
    let said = desk.say(&format!("CONT\t1\t{}\n", base64(response.as_bytes())));
    assert_eq!(said, "OK\t1\tuser=prox@example.org\tproxy\thost=192.0.2.7\tport=143\n");
}
