//! Many bytes, many connections, and peers that do not read.

use std::{
    io::Read,
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Daemon, auth, base64, good,
    peer::{Peer, To},
    plain,
    support::{Alone, wait_until},
    table::saslauthd::asks,
    watch::Watch,
};

const READY: To = To::Auth("login", 2);

/// Nobody has more connections open than this.
const CROWD: usize = 500;

/// More than any buffer on the way can hold.
const MUCH: usize = 64 << 20;

fn crowd(gatepost: &Alone, to: To, say: &[u8]) -> Vec<Peer> {
    let peers = (0..CROWD).map(|_| {
        let peer = Peer::connect(gatepost, to);
        peer.say(say);
        peer
    });
    peers.collect()
}

/// The login of somebody whose password takes long to hash.
fn slow(id: u32) -> String {
    auth(id, &plain("slow@example.org", "slow"))
}

#[test]
fn floods_of_connections_keep_nobody_out() {
    let mut daemon = Daemon::start();
    let gatepost = &mut daemon.gatepost;
    Watch::over("500 peers that say nothing", gatepost, |gatepost| crowd(gatepost, To::Bare("login"), b""));
    Watch::over("500 peers that stop in the middle of a line", gatepost, |gatepost| {
        crowd(gatepost, READY, b"AUTH\t1\tPLAIN\tservice=im")
    });
    Watch::over("500 peers that hang up at once", gatepost, |gatepost| {
        drop(crowd(gatepost, To::Bare("login"), b""));
    });
    Watch::over("500 peers that talk nonsense", gatepost, |gatepost| {
        for mut peer in crowd(gatepost, READY, &[b'x'; 20_000]) {
            assert_eq!(peer.all(), "");
        }
    });
    Watch::over("500 peers that log in at once", gatepost, |gatepost| {
        for mut peer in crowd(gatepost, READY, good(1).as_bytes()) {
            assert_eq!(peer.lines(1), "OK\t1\tuser=alice@example.org\n");
        }
    });
    Watch::over("500 peers with a wrong password", gatepost, |gatepost| {
        for mut peer in crowd(gatepost, READY, auth(1, &plain("alice@example.org", "x")).as_bytes()) {
            assert_eq!(peer.lines(1), "FAIL\t1\tuser=alice@example.org\n");
        }
    });
    Watch::over("500 peers at the master socket", gatepost, |gatepost| {
        crowd(gatepost, To::Master("master"), b"USER\t1\tnobody\tservice=x\nUSER\t2\tno")
    });
    Watch::over("500 peers that stop in the middle of a string", gatepost, |gatepost| {
        for mut peer in crowd(gatepost, To::Once("sasl"), b"\0\x05al") {
            assert_eq!(peer.all(), "");
        }
    });
    Watch::over("500 peers with a wrong password for Cyrus SASL", gatepost, |gatepost| {
        for mut peer in crowd(gatepost, To::Once("sasl"), &asks("alice", "x", "smtp", "example.org")) {
            assert_eq!(peer.all(), "\0\u{2}NO");
        }
    });
    daemon.end();
}

/// On the loopback anybody can be a peer, and open more connections than the daemon has descriptors.
#[test]
fn a_socket_that_is_full_leaves_the_others_open() {
    let mut daemon = Daemon::with_descriptors(300);
    let gatepost = &mut daemon.gatepost;
    // What the daemon does not accept is in the backlog, and so connected as far as this side can tell.
    let path = gatepost.path("login");
    let flood: Vec<_> = (0..CROWD).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut last = flood.last().unwrap();
    last.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(last.read(&mut [0]).is_err(), "it has not been accepted");

    let mut client = Peer::connect(gatepost, To::Auth("client", 0));
    client.say(good(1));
    assert_eq!(client.lines(1), "OK\t1\tuser=alice@example.org\n");
    let mut userdb = Peer::connect(gatepost, To::Master("userdb"));
    userdb.say("USER\t1\tbob@example.org\tservice=lmtp\n");
    assert_eq!(userdb.lines(1), "USER\t1\tbob@example.org\tuid=5001\tgid=5001\thome=/srv/bob\n");

    drop(flood);
    let mut login = Peer::connect(gatepost, READY);
    login.say(good(1));
    assert_eq!(login.lines(1), "OK\t1\tuser=alice@example.org\n");
    assert!(!gatepost.log().contains("could not be accepted"), "{}", gatepost.log());
    daemon.end();
}

#[test]
fn a_login_that_arrives_in_drops_is_a_login() {
    let mut daemon = Daemon::start();
    Watch::over("50 peers that say a byte a millisecond", &mut daemon.gatepost, |gatepost| {
        let mut peers: Vec<_> = (0..50).map(|_| Peer::connect(gatepost, READY)).collect();
        for byte in good(1).bytes() {
            peers.iter().for_each(|peer| peer.say([byte]));
            thread::sleep(Duration::from_millis(1));
        }
        for peer in &mut peers {
            assert_eq!(peer.lines(1), "OK\t1\tuser=alice@example.org\n");
        }
    });
    Watch::over("a line of 16 KiB, byte by byte", &mut daemon.gatepost, |gatepost| {
        let mut peer = Peer::connect(gatepost, READY);
        let mouth = peer.mouth();
        (0..16_385).for_each(|_| mouth.say(b"x"));
        assert_eq!(peer.all(), "");
    });
    daemon.end();
}

#[test]
fn who_does_not_read_is_not_read_and_takes_no_memory() {
    let mut daemon = Daemon::start();
    let gatepost = &mut daemon.gatepost;
    let user = "USER\t1\talice@example.org\tservice=lmtp\n".repeat(1000);
    let wrong: String = (1..=1000).map(|id| auth(id, "!!!!")).collect();
    let listing = "LIST\t1\tservice=doveadm\n".repeat(1000);
    let stuck: Vec<_> = [
        ("who reads none of its failures", READY, wrong),
        ("who reads none of its cancellations", To::Auth("login", 4), "CANCEL\t1\n".repeat(1000)),
        ("who reads none of its lookups", To::Master("userdb"), user),
        ("who reads none of its listings", To::Master("master"), listing),
    ]
    .into_iter()
    .map(|(name, to, lines)| {
        let mut held = None;
        Watch::over(name, gatepost, |gatepost| {
            let peers: Vec<_> = (0..8).map(|_| Peer::connect(gatepost, to)).collect();
            thread::scope(|scope| {
                for peer in &peers {
                    scope.spawn(|| {
                        let said = peer.say_until_stuck(lines.as_bytes(), MUCH);
                        assert!(said < MUCH, "{name}: all of it was read");
                    });
                }
            });
            held = Some(peers);
        });
        held
    })
    .collect();
    // Those who do not read do not keep the daemon from ending, either.
    let begun = Instant::now();
    daemon.end();
    assert!(begun.elapsed() < Duration::from_secs(15), "took {:?} to end", begun.elapsed());
    drop(stuck);
}

/// Who is next in the queue for hashing holds its place; if it does not take it up, nobody else gets one.
#[test]
fn who_does_not_read_does_not_hold_up_the_hashing_of_others() {
    let mut daemon = Daemon::forgetful();
    Watch::over("who does not read and has passwords to be hashed", &mut daemon.gatepost, |gatepost| {
        let mut peer = Peer::connect(gatepost, READY);
        let begun = Instant::now();
        peer.say(slow(1000));
        peer.lines(1);
        // Enough of them for three seconds: long before they are hashed nothing more can be written to this peer, and
        // whoever comes after them need not wait for longer than peers do.
        let count = (3000 / begun.elapsed().as_millis().max(1)).clamp(5, 500);
        peer.say((1..=u32::try_from(count).unwrap()).map(slow).collect::<String>());
        peer.say_until_stuck("CONT\t99\tAAAA\n".repeat(1000).as_bytes(), MUCH);
        let mut other = Peer::connect(gatepost, READY);
        let begun = Instant::now();
        other.say(slow(1));
        assert_eq!(other.lines(1), "OK\t1\tuser=slow@example.org\n");
        assert!(begun.elapsed() < Duration::from_secs(8), "took {:?}", begun.elapsed());
        peer
    });
    daemon.end();
}

#[test]
fn more_to_hash_than_can_be_hashed_is_put_off_and_holds_up_nobody() {
    let mut daemon = Daemon::forgetful();
    Watch::over("two thousand passwords to be hashed at once", &mut daemon.gatepost, |gatepost| {
        let peers: Vec<_> = (0..20)
            .map(|_| {
                let peer = Peer::connect(gatepost, READY);
                peer.say((1..=100).map(slow).collect::<String>());
                peer
            })
            .collect();
        // The queue holds 1024: what came first to find it full is told so while the others wait.
        let mut told = Vec::new();
        thread::scope(|scope| {
            let busy = "code=temp_fail\ttemp\n";
            let ask = |mut peer: Peer| (peer.lines(1), peer);
            let asked: Vec<_> = peers.into_iter().map(|peer| scope.spawn(move || ask(peer))).collect();
            for asked in asked {
                let (line, peer) = asked.join().unwrap();
                assert!(line.starts_with("OK\t") || line.ends_with(busy), "{line}");
                told.push((line.starts_with("OK\t"), peer));
            }
        });
        assert!(told.iter().any(|(ok, _)| *ok) && told.iter().any(|(ok, _)| !*ok));
        told
    });
    daemon.end();
}

#[test]
fn a_thousand_requests_of_each_of_a_hundred_peers_take_little() {
    let mut daemon = Daemon::start();
    let exchanges: String = (1..=1024).map(|id| format!("AUTH\t{id}\tLOGIN\tservice=imap\n")).collect();
    Watch::over("a hundred peers with 1024 exchanges each", &mut daemon.gatepost, |gatepost| {
        let mut peers: Vec<_> = (0..100).map(|_| Peer::connect(gatepost, READY)).collect();
        for peer in &mut peers {
            peer.say(&exchanges);
            assert!(peer.lines(1024).ends_with("CONT\t1024\tVXNlcm5hbWU6\n"));
        }
        peers
    });
    Watch::over("twenty peers with 1024 exchanges of 11 KiB each", &mut daemon.gatepost, |gatepost| {
        let long = format!("service={}\tsession={}", "s".repeat(4000), "t".repeat(6000));
        let resp = base64(vec![b'n'; 1024]);
        let mut peers: Vec<_> = (0..20).map(|_| Peer::connect(gatepost, READY)).collect();
        for peer in &mut peers {
            let mouth = peer.mouth();
            thread::scope(|scope| {
                let lines = (1..=1024).map(|id| format!("AUTH\t{id}\tLOGIN\t{long}\tresp={resp}\n"));
                scope.spawn(|| lines.for_each(|line| mouth.say(line)));
                assert!(peer.lines(1024).ends_with("CONT\t1024\tUGFzc3dvcmQ6\n"));
            });
        }
        peers
    });
    // What memory refuses is refused before it is cancelled, and counts until it would have been told: of these, some
    // hundreds are read in a second.
    for (name, passwords, count) in [
        ("a peer that begins and cancels for ever", 50_000, 50_000),
        ("a peer that cancels what memory has refused", 1, 2000),
    ] {
        let lines: String = (0..count)
            .map(|number| {
                let wrong = auth(2, &plain("alice@example.org", format!("x{}", number % passwords)));
                format!("AUTH\t1\tLOGIN\tservice=imap\nCANCEL\t1\n{wrong}CANCEL\t2\n")
            })
            .collect();
        Watch::over(name, &mut daemon.gatepost, |gatepost| {
            let mut peer = Peer::connect(gatepost, READY);
            peer.say(auth(2, &plain("alice@example.org", "x0")));
            assert_eq!(peer.lines(1), "FAIL\t2\tuser=alice@example.org\n");
            let mouth = peer.mouth();
            thread::scope(|scope| {
                scope.spawn(|| mouth.say(&lines));
                peer.lines(count);
            });
            peer
        });
    }
    daemon.end();
}

/// `session=` can be set over IMAP's ID command where Dovecot trusts the network, and a name by anybody.
#[test]
fn nobody_writes_the_log_but_the_daemon() {
    let daemon = Daemon::start();
    let forged = "2026-01-01T00:00:00Z  INFO auth decided outcome=verified user=\"root\"";
    let mut peer = Peer::connect(&daemon.gatepost, READY);
    let resp = plain("alice@example.org", "wonder");
    let escaped = forged.replace('\t', "\u{1}t");
    let params = format!("service=im\u{1}n{escaped}\tsession=s\u{1}n{escaped}\u{1}r\u{1}0\u{1b}[2J");
    peer.say(format!("AUTH\t1\tPLAIN\t{params}\tresp={resp}\n"));
    assert_eq!(peer.lines(1), "OK\t1\tuser=alice@example.org\n");
    for name in [
        &format!("x\n{forged}"),
        "x outcome=verified",
        "x\" outcome=verified user=\"root",
        "\u{1b}[2J",
        "\u{9b}2J",
    ] {
        peer.say(auth(2, &plain(name, "x")));
        peer.lines(1);
    }
    peer.say(format!("AUTH\t3\tPLAIN\tservice=im\u{1}nap {forged}\tresp=AAAA\n"));
    peer.lines(1);
    let mut once = Peer::connect(&daemon.gatepost, To::Once("sasl"));
    once.say(asks(&format!("x\n{forged}"), "x", &format!("smtp\n{forged}"), "y"));
    assert_eq!(once.all(), "\0\u{2}NO");
    let mut master = Peer::connect(&daemon.gatepost, To::Master("master"));
    master.say(format!("USER\t1\tx\u{1}n{escaped}\tservice=x\n"));
    master.lines(1);
    wait_until("all of it is logged", || daemon.gatepost.log().matches("auth decided").count() >= 8);
    for line in daemon.gatepost.log().lines() {
        assert!(!line.starts_with(forged), "{line}");
        let unquoted: String = line.replace("\\\"", "").split('"').step_by(2).collect();
        assert!(!unquoted.contains("outcome=verified") || line.contains("alice@example.org"), "{line}");
        assert!(!unquoted.contains("root"), "{line}");
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
    daemon.end();
}
