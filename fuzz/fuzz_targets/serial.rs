//! A whole connection of each protocol with one question at a time: socketmap, tcp_table, saslauthd and policy, over fixed
//! directories and rules.
//!
//! The first two bytes say which and how the rest arrives. What may not be is found out by looking at the bytes alone, and not
//! by asking the code that is under test.
#![no_main]

use std::{path::Path, sync::LazyLock, time::Instant};

use bytes::BytesMut;
use gatepost::{
    config::{Config, Surroundings},
    daemon,
    decision::Engine,
    session::{
        lookup::Protocol,
        rehearsal::{Check, Keys, Mails},
    },
};
use gatepost_protocol::{
    postfix::{netstring::Netstrings, policy::Blocks, socketmap, tcp_table},
    saslauthd,
};
use libfuzzer_sys::fuzz_target;

mod said;

use said::{Block, blocks, calls, counted, is_plain, lines, netstrings};

/// Who is there, and their password.
const ALICE: (&str, &str) = ("alice@example.org", "secret");

/// Who is there and may not log in, with the same password.
const CLOSED: &str = "nologin@example.org";

/// Whose directory never answers: its file is not there.
const AWAY: &str = "away.example";

/// The maps that the table of one map can be. No directory in memory has tables of its own.
const MAPS: [&str; 6] = ["mailboxes", "senders", "recipients", "domains", "aliases", "alias_domains"];

const RULES: &str = r#"
[[policy.rule]]
name = "closed"
recipient = ["postmaster@shut.example", "!@shut.example", "*.shut.example"]
action = "reject 5.7.9 shut"
[[policy.rule]]
name = "own"
sender_authorisation = true
also_when_not_logged_in = true
[[policy.rule]]
name = "large"
min_size = "1MiB"
action = "552 5.3.4 large"
[[policy.rule]]
name = "seen"
network = ["192.0.2.0/24"]
action = "prepend X-Seen: yes"
"#;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut text = "[server]\nstate_dir = \"/nowhere\"\nruntime_dir = \"/nowhere\"\n".to_owned();
    for (name, nologin) in [(ALICE.0, ""), (CLOSED, "[directory.fields]\nnologin = \"yes\"\n")] {
        text += &format!("[[directory]]\nname = \"{}\"\ntype = \"static\"\n", local(name));
        text += &format!("users = [\"{name}\"]\n");
        text += &format!("password = \"{{PLAIN}}{}\"\n{nologin}", ALICE.1);
    }
    text += "[[directory]]\nname = \"away\"\ntype = \"passwd-file\"\nfile = \"/nowhere/users\"\n";
    text += &format!("domains = [\"{AWAY}\"]\n{RULES}");
    let config =
        Config::from_texts(&[(Path::new("fuzz"), &text)], &Surroundings::none()).expect("a configuration");
    daemon::engine(&config).expect("directories")
});

fuzz_target!(|data: &[u8]| {
    let [which, chunk, bytes @ ..] = data else { return };
    let piece = usize::from(*chunk) * 8 + 1;
    match which % 4 {
        0 => socketmap(bytes, piece),
        1 => tcp_table(MAPS[usize::from(which / 4) % MAPS.len()], bytes, piece),
        2 => saslauthd(bytes, piece),
        _ => policy(bytes, piece),
    }
});

/// What a connection says to bytes, and whether it goes on: the same however they arrive.
fn heard<C>(
    bytes: &[u8],
    piece: usize,
    open: impl Fn() -> C,
    take: impl Fn(&mut C, &[u8], &mut BytesMut) -> bool,
) -> (BytesMut, bool) {
    let arrive = |piece| {
        let (mut connection, mut out) = (open(), BytesMut::new());
        let stays = bytes.chunks(piece).all(|bytes| take(&mut connection, bytes, &mut out));
        (out, stays)
    };
    let whole = arrive(bytes.len().max(1));
    assert_eq!(arrive(piece), whole, "it depends on how the bytes arrive");
    whole
}

fn looked_up(protocol: &Protocol, bytes: &[u8], piece: usize) -> (BytesMut, bool) {
    let open = || Keys::new(protocol.clone(), &ENGINE);
    heard(bytes, piece, open, |keys, bytes, out| keys.receive(bytes, out).is_ok())
}

fn socketmap(bytes: &[u8], piece: usize) {
    let (out, stays) = looked_up(&Protocol::Socketmap, bytes, piece);
    let (requests, broken) = netstrings(bytes);
    assert_eq!(stays, !broken, "it ends at what is no request, and nowhere else");
    let mut rest = &*out;
    for payload in requests {
        let (name, key) = payload.split_at(payload.iter().position(|&byte| byte == b' ').expect("a blank"));
        let reply = Netstrings::new(socketmap::REPLY).cut(&mut rest).expect("netstrings");
        let told = match socketmap::Reply::parse(reply.expect("an answer to each")).expect("a reply") {
            socketmap::Reply::Ok(value) => Told::Value(value),
            socketmap::Reply::NotFound => Told::NotThere,
            socketmap::Reply::Temp(_) => Told::Outage,
            socketmap::Reply::Perm(_) => Told::NoSuchMap,
            socketmap::Reply::Timeout(_) => panic!("nothing takes time here"),
        };
        judge(name, &key[1..], &told);
    }
    assert!(rest.is_empty(), "more answers than questions");
}

fn tcp_table(map: &str, bytes: &[u8], piece: usize) {
    let (out, stays) = looked_up(&Protocol::TcpTable(map.into()), bytes, piece);
    let (requests, broken) = lines(bytes);
    assert_eq!(stays, !broken, "it ends at what is no request, and nowhere else");
    let mut replies = out.split_inclusive(|&byte| byte == b'\n');
    for key in requests {
        let line = replies.next().expect("an answer to each");
        assert!(line.len() <= 4096, "Postfix would not read this");
        let line = line.strip_suffix(b"\n").expect("a LF at the end");
        match (tcp_table::Reply::parse(line).expect("a reply"), key) {
            (tcp_table::Reply::Ok(value), Some(key)) => judge(map.as_bytes(), &key, &Told::Value(&value)),
            (tcp_table::Reply::NotFound, Some(key)) => judge(map.as_bytes(), &key, &Told::NotThere),
            (tcp_table::Reply::Temp(_), Some(key)) => judge(map.as_bytes(), &key, &Told::Outage),
            (reply, None) => assert_eq!(reply, tcp_table::Reply::NotFound, "nothing can be put"),
        }
    }
    assert_eq!(replies.next(), None, "more answers than questions");
}

/// What a map says.
enum Told<'a> {
    Value(&'a [u8]),
    NotThere,
    Outage,
    NoSuchMap,
}

/// A value is of who was asked about, and an outage is told as one: of those who are asked about, and of nobody else.
fn judge(map: &[u8], key: &[u8], told: &Told<'_>) {
    let shown = || format!("{} {}", map.escape_ascii(), key.escape_ascii());
    let known = MAPS.iter().any(|known| known.as_bytes() == map);
    // Spelt in other letters, or with quotes, it may be anybody.
    let may_be = |name: &str| calls(key, name);
    let people = matches!(map, b"mailboxes" | b"senders" | b"recipients");
    match told {
        Told::NoSuchMap => assert!(!known, "{}", shown()),
        Told::Value(value) if map == b"domains" => {
            assert!(may_be(AWAY) && (!key.is_ascii() || value.eq_ignore_ascii_case(key)), "{}", shown());
        }
        Told::Value(value) => {
            assert!(people, "a value of nothing: {}", shown());
            let owner = [ALICE.0, CLOSED].into_iter().find(|owner| owner.as_bytes() == *value);
            let owner = owner.expect("somebody who exists");
            assert!(may_be(local(owner)) && may_be("@example.org"), "{owner} for {}", shown());
        }
        Told::Outage => assert!(known && may_be(AWAY), "an outage of nobody: {}", shown()),
        Told::NotThere => {
            let there = match map {
                b"domains" => key.eq_ignore_ascii_case(AWAY.as_bytes()),
                b"alias_domains" => false,
                _ => is_plain(key, AWAY) || (people && is_alices(key)),
            };
            assert!(known && !there, "called unknown: {}", shown());
        }
    }
}

/// What stands before the `@`.
fn local(owner: &str) -> &str {
    owner.split('@').next().unwrap_or_default()
}

/// Her address, with an extension or without.
fn is_alices(address: &[u8]) -> bool {
    let at = address.iter().position(|&byte| byte == b'@').unwrap_or(address.len());
    let (local, domain) = address.split_at(at);
    let bare = local.split(|&byte| byte == b'+').next().unwrap_or_default();
    let extension = local.get(bare.len() + 1..).unwrap_or_default();
    extension.iter().all(u8::is_ascii_alphanumeric)
        && local.len() <= 100
        && [bare, domain].concat().eq_ignore_ascii_case(ALICE.0.as_bytes())
}

fn saslauthd(bytes: &[u8], piece: usize) {
    let take = |check: &mut Check<'_>, bytes: &[u8], out: &mut BytesMut| {
        let stays = check.receive(bytes, out) == Ok(true);
        assert!(!stays || out.is_empty(), "an answer to half a request");
        stays
    };
    let (out, waits) = heard(bytes, piece, || Check::new(&ENGINE), take);
    let Some(strings) = counted(bytes) else {
        assert!(out.is_empty(), "an answer to what is no request");
        return;
    };
    assert!(!waits, "a request that nobody takes up");
    let [login, password, _, realm] = strings;
    let user = if realm.is_empty() { login.to_vec() } else { [login, b"@", realm].concat() };
    let is_sound = !strings.concat().contains(&0);
    let proven = password == ALICE.1.as_bytes();
    if out.is_empty() {
        assert!(!is_sound || calls(&user, AWAY), "no answer");
        return;
    }
    assert!(is_sound, "an answer to what is no request");
    assert!(!is_plain(&user, AWAY), "an outage is told as a refusal");
    match &*out {
        b"\0\x02OK" => assert!(proven && calls(&user, ALICE.0), "{}", user.escape_ascii()),
        b"\0\x02NO" => {
            let right = proven && user.eq_ignore_ascii_case(ALICE.0.as_bytes());
            assert!(!right, "the right password is refused");
        }
        other => panic!("neither yes nor no: {}", other.escape_ascii()),
    }
    let _ = saslauthd::Reply::cut(&mut &*out).expect("a reply").expect("all of it");
}

fn policy(bytes: &[u8], piece: usize) {
    let now = Instant::now();
    let take =
        |mails: &mut Mails<'_>, bytes: &[u8], out: &mut BytesMut| mails.receive(bytes, now, out).is_ok();
    let (out, stays) = heard(bytes, piece, || Mails::new(&ENGINE), take);
    let (requests, broken) = blocks(bytes);
    assert_eq!(stays, !broken, "it ends at what is no request, and nowhere else");
    let mut rest = &*out;
    for request in requests {
        let reply = Blocks::new(1024).cut(&mut rest).expect("not too long").expect("an answer to each");
        let line =
            reply.strip_suffix(b"\n").and_then(|line| line.strip_prefix(b"action=")).expect("an action");
        let action = std::str::from_utf8(line).expect("UTF-8");
        assert!(!action.contains(char::is_control), "more than one line: {action:?}");
        policed(&request, action);
    }
    assert!(rest.is_empty(), "more answers than questions");
}

/// Nothing is said but what a rule says, of whom it is for. The rules in their order.
fn policed(request: &Block<'_>, action: &str) {
    let of = |name: &str| request.value(name).unwrap_or_default();
    let (sender, login) = (of("sender"), of("sasl_username"));
    let (state, kind) = (of("protocol_state"), of("request"));
    let asked = kind == b"smtpd_access_policy";
    let at = |states: &[&str]| asked && states.iter().any(|known| known.as_bytes() == state);
    let shown = || format!("{action:?} for {request:?}");

    let recipient = of("recipient");
    let postmaster = recipient.eq_ignore_ascii_case(b"postmaster@shut.example");
    let open = is_plain(recipient, "shut.example") && !postmaster;
    let shut = at(&["RCPT"]) && calls(recipient, "shut.example") && !open;
    let surely_shut = shut && (postmaster || is_plain(recipient, "in.shut.example"));
    let own = at(&["MAIL", "RCPT"]);
    let owned = [ALICE.0, CLOSED].iter().any(|owner| calls(sender, local(owner)));
    let theirs = [ALICE.0, CLOSED].iter().any(|owner| calls(login, owner) && calls(sender, local(owner)));
    // Who has a login of Alice's spelling, and her address, is her.
    let surely_theirs = login.eq_ignore_ascii_case(ALICE.0.as_bytes()) && is_alices(sender);
    let surely_not =
        (!login.is_empty() && !sender.is_empty() && !theirs) || (login.is_empty() && is_alices(sender));
    let size = std::str::from_utf8(of("size")).ok().and_then(|size| size.parse::<u64>().ok());
    let large = at(&["RCPT", "END-OF-MESSAGE"]) && size.is_some_and(|size| size >= 1 << 20);
    let client = of("client_address");
    // The same in hexadecimal, within an address of IPv6.
    let seen = at(&["RCPT"]) && (calls(client, "192.0.2.") || calls(client, "c000:"));
    let surely_seen = at(&["RCPT"]) && client == b"192.0.2.7";

    match action {
        "REJECT 5.7.9 shut" => assert!(shut, "{}", shown()),
        "451 4.3.0 Temporary lookup failure" => assert!(own && calls(sender, AWAY), "{}", shown()),
        "552 5.3.4 large" => assert!(large, "{}", shown()),
        "PREPEND X-Seen: yes" => assert!(seen, "{}", shown()),
        "DUNNO" => assert!(!large && !surely_seen, "{}", shown()),
        _ => {
            let text = action.strip_prefix("553 5.7.1 ").unwrap_or_default();
            assert!(text.starts_with('<') && text.len() <= 200, "{}", shown());
            assert!(own && !sender.is_empty() && !surely_theirs, "{}", shown());
            assert!(owned || !login.is_empty(), "{}", shown());
        }
    }
    if surely_shut {
        assert_eq!(action, "REJECT 5.7.9 shut", "{}", shown());
    } else if own && !shut && is_plain(sender, AWAY) {
        assert_eq!(action, "451 4.3.0 Temporary lookup failure", "{}", shown());
    } else if own && !shut && surely_not {
        assert!(action.starts_with("553 ") || action.starts_with("451 "), "{}", shown());
    }
}
