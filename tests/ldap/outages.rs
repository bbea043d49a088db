//! What goes wrong between gatepost and a server, and what a mail user sees of it: never a refusal.
//!
//! Nobody is known from memory here; what that does for people meanwhile is in `brownout`.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    House, Table, searching,
    support::{Authority, FORGETFUL, Place, Proxy, Slapd, Tree, Wire, slapd::SUFFIX, wait_until},
};

/// The `timeout` of these tests.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a login takes besides: Dovecot, a delay after failures, and two cores with much to do.
const BESIDES: Duration = Duration::from_millis(900);

/// How long a directory may be missed after it is back.
const HEALED: Duration = Duration::from_secs(5);

/// A table over proxies or servers.
fn table(place: &Place, addresses: &[std::net::SocketAddr]) -> Table {
    let urls: Vec<_> = addresses.iter().map(|address| format!("ldaps://{address}")).collect();
    let servers = searching(&urls, &place.outside("authority.pem"));
    Table(format!("{FORGETFUL}{}", servers.0))
        .with("base_dn", format_args!("ou=people,{SUFFIX}"))
        .with("user_filter", "(mail={user})")
        .with("connect_timeout", "1s")
        .with("timeout", "2s")
}

impl House<'_> {
    /// Whether alice gets in; anything but a yes and a temporary failure fails the test.
    fn alice_gets_in(&self) -> bool {
        let answer = self.login("alice@example.org", "alice-secret");
        assert!(answer.starts_with("OK") || answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
        answer.starts_with("OK")
    }

    /// A right and a wrong password are temporary failures, in time.
    #[track_caller]
    fn fails_in_time(&self, what: &str) {
        for password in ["alice-secret", "wrong"] {
            let begun = Instant::now();
            let answer = self.login("alice@example.org", password);
            let took = begun.elapsed();
            assert!(answer.starts_with("NO [UNAVAILABLE]"), "{what}: {answer}\n{}", self.gatepost.log());
            assert!(took < TIMEOUT + BESIDES, "{what}: took {took:?}\n{}", self.gatepost.log());
        }
    }

    #[track_caller]
    fn heals(&self, what: &str) {
        let begun = Instant::now();
        while !self.alice_gets_in() {
            assert!(begun.elapsed() < HEALED, "{what}: not healed in {HEALED:?}\n{}", self.gatepost.log());
        }
        eprintln!("{what}: healed after {:?}", begun.elapsed());
    }
}

#[test]
fn whatever_happens_to_the_wire_is_a_temporary_failure_in_time_and_heals() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let house = House::open(&place, &table(&place, &[proxy.address()]).fields(&place));
    house.admits("alice@example.org", "alice-secret");
    for (what, wire) in [
        ("a refused connection", Wire::Refused),
        ("a connection that is taken and silent", Wire::Silent),
        ("a TLS failure", Wire::Garbage),
    ] {
        proxy.set(wire);
        if wire == Wire::Garbage {
            // Only new connections meet it.
            proxy.cut();
        }
        house.fails_in_time(what);
        house.fails_in_time(what);
        proxy.set(Wire::Open);
        house.heals(what);
    }
    house.refuses("alice@example.org", "wrong");
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_question_is_a_temporary_failure_and_heals() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let house = House::open(&place, &table(&place, &[slapd.ldaps()]).fields(&place));
    house.admits("alice@example.org", "alice-secret");

    slapd.freeze();
    let answer = thread::scope(|scope| {
        let login = scope.spawn(|| house.login("alice@example.org", "alice-secret"));
        wait_until("the question has arrived", || has_unread(slapd.ldaps()));
        slapd.kill();
        login.join().unwrap()
    });
    assert!(answer.starts_with("NO [UNAVAILABLE]"), "{answer}");
    slapd.start_again();
    house.heals("a server that was killed");

    // Stopped where it stands, it is silent; afterwards it has forgotten nothing.
    slapd.freeze();
    house.fails_in_time("a frozen server");
    slapd.thaw();
    house.heals("a frozen server");
}

/// Whether something was sent to `address` that nobody has read.
fn has_unread(address: std::net::SocketAddr) -> bool {
    let std::net::SocketAddr::V4(address) = address else { panic!("{address}") };
    let local = format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port());
    let connections = fs::read_to_string("/proc/net/tcp").unwrap();
    // sl local_address rem_address st tx_queue:rx_queue; 01 is an established connection.
    connections.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|fields| {
        fields.get(1) == Some(&local.as_str()) && fields[3] == "01" && !fields[4].ends_with(":00000000")
    })
}

#[test]
fn a_service_account_that_is_refused_is_a_temporary_failure_and_heals() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let house = House::open(&place, &table(&place, &[proxy.address()]).fields(&place));
    house.admits("alice@example.org", "alice-secret");
    let service = |password: &str| {
        let dn = crate::slapd::SERVICE.0;
        slapd.modify(
            &format!("dn: {dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n"),
            false,
        );
    };
    service("another");
    proxy.cut();
    let tried = slapd.asked("BIND dn=\"cn=gatepost,");
    for _ in 0..3 {
        house.fails_in_time("a wrong service password");
    }
    house.says(&["the server cannot be used", "bind_dn is refused: result 49"]);
    let tries = slapd.asked("BIND dn=\"cn=gatepost,") - tried;
    assert!(tries <= 3, "{tries} binds with a wrong password would lock the account in many a directory");
    service(crate::slapd::SERVICE.1);
    house.heals("a wrong service password");
}

#[test]
fn a_dead_connection_costs_two_seconds_at_most() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let table = table(&place, &[proxy.address()]).0.replace("timeout = \"2s\"\n", "timeout = \"10s\"\n");
    let mut house = House::open(&place, &Table(table).fields(&place));
    for _ in 0..3 {
        house.admits("alice@example.org", "alice-secret");
        proxy.forget();
        let begun = Instant::now();
        house.admits("alice@example.org", "alice-secret");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2) + BESIDES, "took {took:?}\n{}", house.gatepost.log());
        eprintln!("over a dead connection: {took:?}");
    }
    // Another login at once meets no dead connection any more.
    let begun = Instant::now();
    house.admits("bob@example.org", "builder");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    house.gatepost.stop();
}

#[test]
fn a_dead_connection_costs_no_more_where_there_is_only_a_bind() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let proxy = Proxy::start(slapd.ldaps());
    let (url, ca) = (proxy.address(), place.outside("authority.pem"));
    let table = Table(format!(
        "{FORGETFUL}[[directory]]\nname = \"staff\"\ntype = \"ldap\"\nurls = [\"ldaps://{url}\"]\nca_file = {ca:?}\ntimeout = \"7s\"\n"
    ));
    let house = House::open(
        &place,
        &table.with("user_dn", format_args!("uid={{local}},ou=people,{SUFFIX}")).fields(&place),
    );
    house.admits("alice@example.org", "alice-secret");
    let quiet = Instant::now();
    proxy.forget();
    // What was heard a moment ago is not asked whether it is there.
    wait_until("the connection was quiet for a moment", || quiet.elapsed() > Duration::from_millis(300));
    let begun = Instant::now();
    house.admits("alice@example.org", "alice-secret");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2) + BESIDES, "took {took:?}\n{}", house.gatepost.log());
}

#[test]
fn the_second_server_answers_while_the_first_does_not_and_no_longer() {
    let place = Place::new(&Tree::bookworm());
    let authority = Authority::found(&place, "authority");
    let first = Slapd::start_certified(&place, &authority, 0);
    let second = Slapd::start_certified(&place, &authority, 1);
    let proxy = Proxy::start(first.ldaps());
    let house = House::open(&place, &table(&place, &[proxy.address(), second.ldaps()]).fields(&place));
    let binds = || [&first, &second].map(|slapd| slapd.asked("BIND dn=\"uid=alice,"));
    house.admits("alice@example.org", "alice-secret");
    assert_eq!(binds()[1], 0);

    for wire in [Wire::Refused, Wire::Silent, Wire::Garbage] {
        eprintln!("{wire:?}");
        proxy.set(wire);
        if wire == Wire::Garbage {
            proxy.cut();
        }
        let before = binds();
        let begun = Instant::now();
        // No login fails, and only those that meet the outage take longer.
        for _ in 0..5 {
            house.admits("alice@example.org", "alice-secret");
        }
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "took {:?}\n{}",
            begun.elapsed(),
            house.gatepost.log()
        );
        let after = binds();
        assert_eq!((after[0] - before[0], after[1] > before[1]), (0, true));

        proxy.set(Wire::Open);
        let begun = Instant::now();
        while binds()[0] == after[0] {
            house.admits("alice@example.org", "alice-secret");
            assert!(begun.elapsed() < HEALED, "not back at the first server\n{}", house.gatepost.log());
        }
        let back = binds();
        house.admits("alice@example.org", "alice-secret");
        assert_eq!(binds()[1], back[1], "the first is preferred again");
    }
}

#[test]
fn a_certificate_of_somebody_else_is_a_temporary_failure() {
    let place = Place::new(&Tree::bookworm());
    let authority = Authority::found(&place, "authority");
    let mut slapd = Slapd::start_certified(&place, &authority, 0);
    let stranger = Authority::found(&place, "stranger");
    let urls = [format!("ldaps://{}", slapd.ldaps()), format!("ldap://{}", slapd.ldap())];
    let untrusted = |ca: &std::path::Path| {
        for (url, more) in urls.iter().zip(["", "starttls = true"]) {
            let table = searching(std::slice::from_ref(url), ca)
                .with_raw(more)
                .with("base_dn", format_args!("ou=people,{SUFFIX}"))
                .with("user_filter", "(mail={user})");
            let mut house = House::open(&place, &table.fields(&place));
            house.refuses_as("alice@example.org", "alice-secret", "UNAVAILABLE");
            house.says(&["the server cannot be used", "certificate"]);
            house.gatepost.stop();
            house.dovecot.stop();
        }
    };
    // Of an authority that is not trusted; then of the right one, for another machine.
    untrusted(&stranger.file());
    authority.certify_for("slapd0", "ldap.elsewhere.test", &[std::net::Ipv4Addr::new(192, 0, 2, 1)]);
    slapd.stop();
    slapd.start_again();
    untrusted(&authority.file());
    assert_eq!(slapd.asked("BIND dn=\"cn=gatepost,"), 0, "no password was sent");
}
