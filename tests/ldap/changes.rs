//! Who has changed, told by what OpenLDAP keeps about entries.

use crate::{
    of, searching,
    support::{Place, Slapd, Table, Tree, Watching, side_by_side, slapd},
};

/// Whether the server tells what has happened last.
const SYNCPROV: [(&str, bool); 2] = [("without syncprov", false), ("with syncprov", true)];

fn table(place: &Place, slapd: &Slapd<'_>) -> Table {
    of(place, slapd).with("change_poll", "100ms").with("timeout", "2s").with("connect_timeout", "1s")
}

fn fields(table: Table, place: &Place) -> String {
    format!("{}user = \"{{mail}}\"\n", table.fields(place))
}

fn modify(uid: &str, change: &str) -> String {
    format!("dn: uid={uid},ou=people,dc=example,dc=org\nchangetype: modify\n{change}\n")
}

#[test]
fn whoever_is_changed_in_any_way_is_told_and_nobody_else() {
    side_by_side(SYNCPROV, |syncprov| {
        let place = Place::new(&Tree::bookworm());
        let slapd = Slapd::start_with(&place, syncprov);
        let watching = Watching::started(&fields(table(&place, &slapd), &place));
        watching.settles();
        slapd.modify(&modify("alice", "replace: userPassword\nuserPassword: other"), false);
        watching.tells(&["alice@example.org"], 1);
        // As people change their own.
        slapd.change_password("bob", "builder", "another");
        watching.tells(&["bob@example.org"], 1);
        // Twice within one second.
        slapd.modify(&modify("carol", "replace: description\ndescription: 1"), false);
        slapd.modify(&modify("carol", "replace: description\ndescription: 2"), false);
        watching.tells(&["carol@example.org"], 1);
        // What policies write, an administrator's lock among it.
        slapd.modify(
            &modify("grace", "replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z"),
            true,
        );
        watching.tells_at_least(&["grace@example.org"]);
        slapd.add(&slapd::person("dora", "people", "x"));
        watching.tells_at_least(&["dora@example.org"]);
        watching.settles();
        // Under the new name; and under the old one, which a poll has just seen.
        slapd.modify(&modify("dora", "replace: mail\nmail: theodora@example.org"), false);
        watching.tells(&["dora@example.org", "theodora@example.org"], 1);
        watching.settles();
        slapd.modify("dn: uid=bob,ou=people,dc=example,dc=org\nchangetype: delete\n", false);
        if syncprov {
            watching.tells_at_least(&["bob@example.org"]);
        }
        slapd.modify(&modify("alice", "replace: description\ndescription: 3"), false);
        watching.tells_at_least(&["alice@example.org"]);
    });
}

#[test]
fn everybody_is_told_by_all_names_that_lead_to_them() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let table = searching(&[format!("ldaps://{}", slapd.ldaps())], &place.outside("authority.pem"))
        .with("base_dn", format_args!("ou=people,{}", slapd::SUFFIX))
        .with("user_filter", "(&(objectClass=inetOrgPerson)(|(mail={user})(uid={local})(description=smtp:{user}))(!(title=gone)))")
        .with("change_poll", "100ms")
        .with_raw("domains = [\"example.org\", \"example.net\"]");
    let watching = Watching::started(&fields(table, &place));
    watching.settles();
    slapd.modify(
        &modify("alice", "add: description\ndescription: SMTP:Wonder@Example.net\ndescription: no name"),
        false,
    );
    let names = ["alice@example.net", "alice@example.org", "wonder@example.net"];
    watching.tells(&names, 1);
    // The operator's filter does not find her any more, and she is told all the same.
    slapd.modify(&modify("alice", "add: title\ntitle: gone"), false);
    watching.tells(&names, 1);
}

#[test]
fn a_change_of_the_group_is_everybodys() {
    let place = Place::new(&Tree::bookworm());
    let slapd = Slapd::start(&place);
    let group = format!("cn=mail,ou=groups,{}", slapd::SUFFIX);
    let watching = Watching::started(&fields(table(&place, &slapd).with("require_group", &group), &place));
    watching.settles();
    slapd.modify(
        &format!(
            "dn: {group}\nchangetype: modify\ndelete: member\nmember: uid=bob,ou=people,{}\n",
            slapd::SUFFIX
        ),
        false,
    );
    watching.tells_at_least(&["*"]);
}

#[test]
fn what_happened_while_the_server_was_away_is_told_when_it_is_back() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start(&place);
    let watching = Watching::started(&fields(table(&place, &slapd), &place));
    watching.settles();
    slapd.stop();
    slapd.start_again();
    slapd.modify(&modify("alice", "replace: description\ndescription: 1"), false);
    watching.tells(&["alice@example.org"], 1);
    slapd.freeze();
    slapd.thaw();
    slapd.modify(&modify("carol", "replace: description\ndescription: 1"), false);
    watching.tells(&["carol@example.org"], 1);
}

#[test]
fn more_than_the_server_gives_at_once_is_everybody_and_goes_on_behind_it() {
    side_by_side(SYNCPROV, |syncprov| {
        let place = Place::new(&Tree::bookworm());
        let mut slapd = Slapd::start_with(&place, syncprov);
        // Loaded while it was stopped, so that it does not know how late they are.
        slapd.stop();
        let loaded: String =
            (0..700).map(|number| slapd::person(&format!("loaded{number}"), "people", "x")).collect();
        slapd.load(&loaded);
        slapd.start_again();
        let watching = Watching::started(&fields(table(&place, &slapd), &place));
        watching.settles();
        let crowd: String =
            (0..700).map(|number| slapd::person(&format!("user{number}"), "people", "x")).collect();
        slapd.add(&crowd);
        watching.tells_at_least(&["*", "user699@example.org"]);
        watching.settles();
        slapd.modify(&modify("alice", "replace: description\ndescription: 1"), false);
        watching.tells_at_least(&["alice@example.org"]);
        watching.settles();
        slapd.modify(&modify("carol", "replace: description\ndescription: 1"), false);
        watching.tells(&["carol@example.org"], 1);
    });
}

#[test]
fn what_the_server_keeps_of_our_own_binds_is_no_change_and_that_of_others_is() {
    let place = Place::new(&Tree::bookworm());
    let mut slapd = Slapd::start_with(&place, true);
    slapd.reconfigure("dbnosync\n", "dbnosync\nlastbind on\n");
    let watching = Watching::started(&fields(table(&place, &slapd), &place));
    watching.settles();
    assert!(watching.binds("carol@example.org", "carol-secret"));
    assert!(!watching.binds("locked@example.org", "wrong"));
    assert!(
        slapd.attribute("carol", "pwdLastSuccess").is_some()
            && slapd.attribute("locked", "pwdFailureTime").is_some()
    );
    slapd.modify(&modify("alice", "replace: description\ndescription: 1"), false);
    watching.tells(&["alice@example.org"], 1);
    // Whoever changes something else is told, bound by us or not.
    slapd.change_password("carol", "carol-secret", "another");
    watching.tells(&["carol@example.org"], 1);
    slapd.modify(&modify("locked", "replace: description\ndescription: 1"), false);
    watching.tells(&["locked@example.org"], 1);
    slapd.fails_to_bind("grace", "wrong");
    slapd.modify(&modify("bob", "replace: description\ndescription: 1"), false);
    watching.tells_at_least(&["bob@example.org"]);
}
