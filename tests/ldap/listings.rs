use std::{fs, process::Output};

use crate::{
    House, Table, of,
    support::{Place, Slapd, Tree, slapd},
};

fn lines(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn house<'a>(place: &'a Place, table: Table) -> House<'a> {
    House::open(place, &format!("{}user = \"{{mail}}\"\n", table.fields(place)))
}

#[test]
fn everybody_is_listed_whom_the_filter_finds_and_the_group_has() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    slapd.add("\ndn: uid=nameless,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: nameless\ncn: x\nsn: x\n");
    let table = || of(&place, &slapd).with("list_filter", "(objectClass=inetOrgPerson)");
    let mut all = house(&place, table());
    let expected: Vec<String> =
        ["alice", "bob", "carol", "expired", "grace", "locked", "o'brien", "reset", "twin"]
            .map(|uid| format!("{uid}@example.org"))
            .into();
    assert_eq!(lines(&all.dovecot.doveadm(&["user", "*"])), expected);
    assert_eq!(lines(&all.dovecot.doveadm(&["user", "*ob*"])), ["bob@example.org"]);
    all.gatepost.stop();
    all.dovecot.stop();

    let mut group =
        house(&place, table().with("require_group", format_args!("cn=mail,ou=groups,{}", slapd::SUFFIX)));
    assert_eq!(lines(&group.dovecot.doveadm(&["user", "*"])), ["alice@example.org", "bob@example.org"]);
    group.gatepost.stop();
    group.dovecot.stop();

    // Half a list is no list, nor is one that nobody has asked for.
    let house = house(&place, of(&place, &slapd));
    assert_ne!(house.dovecot.doveadm(&["user", "*"]).status.code(), Some(0));
}

#[test]
fn a_hundred_thousand_users_are_listed_and_take_no_memory() {
    /// More than any answer of this server has, which ends at 500 entries.
    const MANY: usize = 100_000;
    /// A tenth of what the entries alone would take.
    const GROWTH_KIB: usize = 4 * 1024;

    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    slapd.stop();
    let people: String =
        (0..MANY).map(|number| slapd::person(&format!("u{number}"), "people", "x")).collect();
    slapd.load(&people);
    slapd.start_again();
    let house = house(&place, of(&place, &slapd).with("list_filter", "(uid=u*)"));
    house.admits("alice@example.org", "alice-secret");
    assert_eq!(lines(&house.dovecot.doveadm(&["user", "u1*7@*"])).len(), 1111);
    let before = peak_kib(house.gatepost.pid());
    assert_eq!(lines(&house.dovecot.doveadm(&["user", "*"])).len(), MANY);
    let after = peak_kib(house.gatepost.pid());
    eprintln!("{before} KiB before, {after} KiB after");
    assert!(after < before + GROWTH_KIB, "{before} KiB before, {after} KiB after");
}

/// The most memory that a process has had.
fn peak_kib(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
