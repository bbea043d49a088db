//! Several directories beside each other.

use crate::asking::{Auth, Master, daemon};
use crate::support::wait_until;

/// Dovecot took two passdbs of one driver with one set of arguments for one, with the filters of the first.
#[test]
fn directories_that_are_alike_but_for_the_name_stay_two() {
    let users = "alice@one.test:{PLAIN}wonder:::::: \nalice@two.test:{PLAIN}wonder::::::\nalice:{PLAIN}wonder::::::\n";
    let twin = |name: &str, more: &str| {
        format!("[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '@DIR@/users'\n{more}")
    };
    let config = twin("one", "domains = ['one.test']\n[directory.fields]\nhome = '/one/{local}'\n")
        + &twin(
            "two",
            "domains = ['two.test']\n[directory.fields]\nhome = '/two/{local}'\nnologin = 'yes'\n",
        );
    let mut gatepost = daemon(&config, users).started();
    let mut auth = Auth::connect(&gatepost);
    let mut master = Master::connect(&gatepost);
    for _ in 0..2 {
        assert_eq!(auth.plain("alice@two.test", "wonder"), "OK\tuser=alice@two.test\tnologin");
        assert_eq!(auth.plain("alice@one.test", "wonder"), "OK\tuser=alice@one.test");
        assert_eq!(auth.plain("alice", "wonder"), "FAIL\tuser=alice", "neither serves bare names");
        assert_eq!(master.user("alice@one.test"), "USER\talice@one.test\thome=/one/alice");
        assert_eq!(master.user("alice@two.test"), "USER\talice@two.test\thome=/two/alice");
    }
    gatepost.stop();
    let log = gatepost.log();
    for (user, directory) in [("alice@one.test", "one"), ("alice@two.test", "two")] {
        let verified = log.lines().filter(|line| line.contains("outcome=verified") && line.contains(user));
        let by_directory = verified.clone().filter(|line| line.contains(&format!("directory={directory}")));
        assert_eq!((verified.count(), by_directory.count()), (2, 2), "{user}:\n{log}");
    }
}

/// With the two taken for one, every user was a master user, or none was kept from anything.
#[test]
fn a_directory_of_master_users_and_one_of_users_may_have_one_file() {
    let twin = |name: &str, more: &str| {
        format!("[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '@DIR@/users'\n{more}")
    };
    let users = "alice@users.test:{PLAIN}wonder::::::\nroot@masters.test:{PLAIN}master::::::\n";
    for masters_first in [true, false] {
        let (users_domain, masters_domain) =
            ("domains = ['users.test']\n", "domains = ['masters.test']\nmaster = true\n");
        let (one, two) = (twin("users", users_domain), twin("masters", masters_domain));
        let config = if masters_first { two + &one } else { one + &two };
        let gatepost = crate::asking::separated(&config, users).started();
        let mut auth = Auth::connect(&gatepost);
        assert!(
            auth.plain("alice@users.test*root@masters.test", "master")
                .starts_with("OK\tuser=alice@users.test\t")
        );
        assert_eq!(auth.plain("alice@users.test", "wonder"), "OK\tuser=alice@users.test");
        for (name, password) in [
            ("root@masters.test*alice@users.test", "wonder"),
            ("alice@users.test*alice@masters.test", "wonder"),
            ("root@masters.test", "master"),
        ] {
            assert_eq!(auth.plain(name, password), format!("FAIL\tuser={name}"));
        }
    }
}

/// A wrong password in one directory is no reason to ask the next one, nor is an outage: whoever has the name there is
/// somebody else.
#[test]
fn the_same_name_in_a_later_directory_never_logs_in() {
    let directory =
        |name: &str| format!("[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '@DIR@/{name}'\n");
    let gatepost = daemon(&(directory("first") + &directory("users")), "alice:{PLAIN}later::::::\n");
    std::fs::write(gatepost.path("first"), "alice:{PLAIN}sooner::::::\noff:{PLAIN}x::::::active=no\n")
        .unwrap();
    let gatepost = gatepost.started();
    let mut auth = Auth::connect(&gatepost);
    assert_eq!(auth.plain("alice", "sooner"), "OK\tuser=alice");
    assert_eq!(auth.plain("alice", "later"), "FAIL\tuser=alice");

    std::fs::remove_file(gatepost.path("first")).unwrap();
    let temporary = "FAIL\tuser=alice\tcode=temp_fail\ttemp";
    wait_until("the first directory is missed", || {
        // Or they would be let in from memory, which knows them from there.
        assert_eq!(gatepost.run(&["cache", "flush"], "").status.code(), Some(0));
        auth.plain("alice", "sooner") == temporary
    });
    assert_eq!(auth.plain("alice", "later"), temporary);
    assert_eq!(Master::connect(&gatepost).user("alice"), "FAIL\treason=Temporary internal error");
}

/// An address that a proxy tells is believed because of the socket that it comes over, and nothing else of a request is
/// taken for it.
#[test]
fn only_rip_decides_where_somebody_comes_from() {
    let users = "alice:{PLAIN}wonder::::::allow_nets=192.0.2.0/24\n";
    let gatepost = daemon(crate::asking::PEOPLE, users).started();
    let mut auth = Auth::connect(&gatepost);
    let right = crate::asking::plain("alice", "wonder");
    let mut from = |params: &str| auth.with(&format!("service=imap{params}"), &right).starts_with("OK");
    assert!(from("\trip=192.0.2.7"));
    assert!(from("\trip=::ffff:192.0.2.7"));
    for params in [
        "",
        "\trip=",
        "\trip=198.51.100.7",
        "\tlip=192.0.2.7",
        "\trip=198.51.100.7\treal_rip=192.0.2.7",
        "\treal_rip=192.0.2.7",
        "\trip=198.51.100.7\tforward_fields=rip=192.0.2.7",
        "\trip=198.51.100.7\tclient_id=rip=192.0.2.7",
        "\trip=198.51.100.7\tx-rip=192.0.2.7",
        "\trip=192.0.2.7.example.org",
    ] {
        assert!(!from(params), "{params:?}");
    }
}
