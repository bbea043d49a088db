use std::{path::Path, sync::Arc};

use super::{Chain, Check, Directory, Found, Inquiry, Known, Misfit, Unavailable, Uncheckable};
use crate::{
    account::{Account, Password},
    config::{self, Config, Surroundings},
    password::Stored,
    username::Username,
};

/// All directories of a configuration text.
pub(super) fn configs(text: &str) -> Vec<config::Directory> {
    let mut around = Surroundings::of_this_process(false);
    around.state_dir = Some("/nonexistent/state".into());
    around.runtime_dir = Some("/nonexistent/run".into());
    Config::from_texts(&[(Path::new("test.toml"), text)], &around).unwrap().directories
}

/// The only one.
pub(super) fn config(text: &str) -> config::Directory {
    let mut configs = configs(text);
    assert_eq!(configs.len(), 1);
    configs.remove(0)
}

/// What is known of a password: its scheme, "none" or "unusable".
pub(super) fn kind_of(password: &Password) -> String {
    match password {
        Password::Missing => "none".to_owned(),
        Password::Locked => "locked".to_owned(),
        Password::Stored(stored) => stored.scheme().to_string(),
        Password::Bind(_) => "bind".to_owned(),
        Password::Elsewhere(_) => "elsewhere".to_owned(),
        Password::Unusable(_) => "unusable".to_owned(),
    }
}

pub(super) fn name(text: &str) -> Username {
    Username::normalise(text.as_bytes(), None).unwrap()
}

pub(super) fn inquiry(user: &Username) -> Inquiry<'_> {
    Inquiry { user, service: "imap" }
}

pub(super) fn the_account(answer: Result<Known, Unavailable>) -> Arc<Account> {
    match answer.unwrap() {
        Known::Account(account) => account,
        other => panic!("{other:?}"),
    }
}

fn stored(found: &Found<'_>) -> Stored {
    match found.check().unwrap() {
        Check::Stored(stored) => stored,
        other => panic!("{other:?}"),
    }
}

fn chain(text: &str) -> Chain {
    Chain::open(&configs(text), None).unwrap()
}

pub(super) async fn names(
    mut listing: tokio::sync::mpsc::Receiver<Result<Username, Unavailable>>,
) -> Vec<Result<String, String>> {
    let mut names = Vec::new();
    while let Some(name) = listing.recv().await {
        names.push(
            name.map(|name| name.as_str().to_owned())
                .map_err(|unavailable| unavailable.directory.to_string()),
        );
    }
    names.sort();
    names
}

/// Who answers for a name, and with which password.
async fn who(chain: &Chain, user: &str) -> Result<Option<String>, String> {
    match chain.lookup(&inquiry(&name(user))).await {
        Ok(found) => Ok(found.account.map(|account| account.directory.to_string())),
        Err(Unavailable { directory, .. }) => Err(directory.to_string()),
    }
}

#[tokio::test]
async fn the_first_directory_that_knows_a_name_has_the_say() {
    let chain = chain(
        "[[directory]]\nname = 'one'\ntype = 'static'\nusers = ['a@x.test', 'b@x.test']\n\
         [[directory]]\nname = 'two'\ntype = 'static'\nusers = ['b@x.test', 'c@x.test']\n",
    );
    for (user, expected) in [("a@x.test", Some("one")), ("b@x.test", Some("one")), ("c@x.test", Some("two"))]
    {
        assert_eq!(who(&chain, user).await, Ok(expected.map(str::to_owned)), "{user}");
    }
    assert_eq!(who(&chain, "d@x.test").await, Ok(None));
    let all = ["a@x.test", "b@x.test", "b@x.test", "c@x.test"].map(|name| Ok(name.to_owned()));
    assert_eq!(names(chain.list()).await, all);
}

#[tokio::test]
async fn an_outage_ends_the_walk_and_is_no_refusal() {
    let chain = chain(
        "[[directory]]\nname = 'one'\ntype = 'static'\nusers = ['a@x.test']\n\
         [[directory]]\nname = 'dead'\ntype = 'passwd-file'\nfile = '/nonexistent/passwd'\ndomains = ['x.test']\n\
         [[directory]]\nname = 'three'\ntype = 'static'\nusers = ['a@x.test', 'b@x.test', 'b@y.test']\n",
    );
    assert_eq!(who(&chain, "a@x.test").await, Ok(Some("one".to_owned())), "found before it");
    assert_eq!(who(&chain, "b@x.test").await, Err("dead".to_owned()), "although a later one knows the name");
    assert_eq!(who(&chain, "nobody@x.test").await, Err("dead".to_owned()));
    assert_eq!(who(&chain, "b@y.test").await, Ok(Some("three".to_owned())), "not asked for this domain");
    let listed = names(chain.list()).await;
    assert_eq!(listed.iter().filter(|name| name.is_err()).count(), 1);
    assert_eq!(listed.len(), 5, "the others are listed all the same");
}

#[tokio::test]
async fn two_directories_of_one_file_are_two_directories() {
    let home = tempfile::TempDir::new().unwrap();
    let file = home.path().join("passwd");
    std::fs::write(&file, "a@x.test:{PLAIN}secret\na@y.test:{PLAIN}secret\n").unwrap();
    let one = |name: &str, domain: &str, nets: &str| {
        format!(
            "[[directory]]\nname = '{name}'\ntype = 'passwd-file'\nfile = '{}'\ndomains = ['{domain}']\n\
             [directory.fields]\nallow_nets = '{nets}'\n",
            file.display()
        )
    };
    let chain =
        chain(&[one("one", "x.test", "192.0.2.0/24"), one("two", "y.test", "198.51.100.0/24")].concat());
    for (user, directory, admitted) in [("a@x.test", "one", true), ("a@y.test", "two", false)] {
        let account = chain.lookup(&inquiry(&name(user))).await.unwrap().account.unwrap();
        assert_eq!(&*account.directory, directory);
        assert_eq!(account.admits("192.0.2.1".parse().ok()), admitted, "{user}");
    }
}

#[tokio::test]
async fn a_directory_is_asked_for_its_own_domains_only() {
    let one = "[[directory]]\nname = 'one'\ntype = 'static'\ndomains = ['example.org', '*.example.net']\n";
    let chain = chain(one);
    let table = [
        ("a@example.org", true),
        ("a@sub.example.org", false),
        ("a@sub.example.net", true),
        ("a@example.net", false),
        ("a@badexample.net", false),
        ("a", false),
    ];
    for (user, served) in table {
        assert_eq!(who(&chain, user).await.unwrap().is_some(), served, "{user}");
    }
}

#[tokio::test]
async fn a_static_directory_without_a_password_answers_the_userdb_alone() {
    let text = "[[directory]]\nname = 'all'\ntype = 'static'\n\
                [directory.fields]\nuid = '5000'\nhome = '/m/{domain}/{local}'\n";
    let chain = chain(text);
    let found = chain.lookup(&inquiry(&name("alice@example.org"))).await.unwrap();
    let account = found.account.unwrap();
    assert!(matches!(account.password, Password::Missing));
    assert_eq!(account.userdb.as_fields().raw(), b"uid=5000\thome=/m/example.org/alice");
    assert_eq!(names(chain.list()).await, [], "everybody cannot be listed");
}

#[tokio::test]
async fn the_decoy_costs_what_the_asked_directory_costs() {
    let chain = chain(
        "[[directory]]\nname = 'cheap'\ntype = 'static'\ndomains = ['cheap.test']\nusers = ['a@cheap.test']\n\
         password = '{PLAIN}secret'\n",
    );
    let unknown = chain.lookup(&inquiry(&name("b@cheap.test"))).await.unwrap();
    assert!(unknown.account.is_none());
    assert_eq!(stored(&unknown).cost(), crate::password::Cost::Cheap);
    assert!(!stored(&unknown).matches(b"secret").unwrap());
    let strange = chain.lookup(&inquiry(&name("b@other.test"))).await.unwrap();
    assert!(matches!(stored(&strange).cost(), crate::password::Cost::Slow { .. }));
}

#[test]
fn what_no_account_could_be_made_with_is_told_before_the_start() {
    let table = [
        ("type = 'static'\npassword = '{NO-SUCH}abc'", "password"),
        ("type = 'static'\nusers = ['a*b']", "users"),
        ("type = 'passwd-file'\nfile = '/nonexistent'\ndefault_scheme = 'NO-SUCH'", "default_scheme"),
        ("type = 'static'\n[directory.fields]\nnopassword = 'y'", "fields.nopassword"),
        ("type = 'static'\n[directory.fields]\nallow_nets = '10.0.0.0/33'", "fields.allow_nets"),
        ("type = 'static'\n[directory.fields]\nactive = 'maybe'", "fields.active"),
    ];
    for (text, key) in table {
        let config = config(&format!("[[directory]]\nname = 'bad'\n{text}\n"));
        let misfit: Misfit = Directory::open(&config, None).unwrap_err();
        let message = misfit.to_string();
        assert!(message.contains(&format!("directory bad: {key}: ")), "{message}");
        assert!(!message.contains("abc"), "{message}");
    }
}

/// Static users with the password of their directory's name, and their own fields.
fn directory(name: &str, users: &str, more: &str) -> String {
    format!(
        "[[directory]]\nname = '{name}'\ntype = 'static'\npassword = '{{PLAIN}}{name}'\nusers = [{users}]\n{more}"
    )
}

#[tokio::test]
async fn master_users_are_asked_for_as_such_and_never_otherwise() {
    let chain = chain(&format!(
        "{}{}{}",
        directory(
            "admins",
            "'admin@x.test', 'a@x.test'",
            "master = true\ntargets = ['x.test', 'boss@y.test']\n"
        ),
        directory("people", "'a@x.test', 'b@y.test'", ""),
        directory("robots", "'robot@x.test'", "master = true\n"),
    ));
    assert!(chain.has_masters());
    assert_eq!(who(&chain, "admin@x.test").await, Ok(None), "nobody logs in as a master user");
    assert_eq!(who(&chain, "a@x.test").await, Ok(Some("people".to_owned())));
    let listed = ["a@x.test", "b@y.test"].map(|name| Ok(name.to_owned()));
    assert_eq!(names(chain.list()).await, listed, "nor are they listed");
    for (master, target, expected) in [
        ("admin@x.test", "a@x.test", Some(true)),
        ("admin@x.test", "boss@y.test", Some(true)),
        ("admin@x.test", "b@y.test", Some(false)),
        ("a@x.test", "a@x.test", Some(true)),
        ("robot@x.test", "b@y.test", Some(true)),
        ("b@y.test", "a@x.test", None),
    ] {
        let (master, target) = (name(master), name(target));
        let found = chain.master(&inquiry(&master)).await.unwrap();
        let may_be = found.account.as_ref().map(|_| found.may_be(&target));
        assert_eq!(may_be, expected, "{master} as {target}");
        // A name that no directory has costs what a known one costs.
        assert!(matches!(found.check(), Ok(Check::Stored(_))));
    }
    let found = chain.lookup(&inquiry(&name("a@x.test"))).await.unwrap();
    assert!(!found.may_be(&name("b@y.test")));
    assert!(!Chain::open(&configs(&directory("people", "'a@x.test'", "")), None).unwrap().has_masters());
}

#[tokio::test]
async fn a_row_may_leave_the_password_to_another_directory() {
    let home = tempfile::TempDir::new().unwrap();
    let file = home.path().join("passwd");
    let line = |user: &str, more: &str| format!("{user}@x.test:{{PLAIN}}own::::::{more}\n");
    let lines = [
        line("plain", ""),
        line("a", "password_from=staff"),
        line("alias", "password_from=staff password_user=a@x.test"),
        line("gone", "password_from=staff"),
        line("typo", "password_from=stuff"),
        line("outside", "password_from=staff password_user=a@z.test"),
        line("loop", "password_from=people"),
        line("admin", "password_from=admins"),
        line("down", "password_from=dead"),
        line("off", "password_from=retired"),
        line("other", "password_from=renamed"),
    ];
    std::fs::write(&file, lines.concat()).unwrap();
    let chain = chain(&format!(
        "[[directory]]\nname = 'people'\ntype = 'passwd-file'\nfile = '{}'\n{}{}{}{}{}",
        file.display(),
        directory("renamed", "'other@x.test'", "[directory.fields]\nuser = 'a@x.test'\n"),
        directory("staff", "'a@x.test'", "domains = ['x.test']\n"),
        directory("retired", "'off@x.test'", "[directory.fields]\nactive = 'no'\n"),
        directory("admins", "'admin@x.test'", "master = true\n"),
        "[[directory]]\nname = 'dead'\ntype = 'passwd-file'\nfile = '/nonexistent/passwd'\n",
    ));
    let check = |user: &'static str| {
        let chain = &chain;
        async move {
            let user = name(&format!("{user}@x.test"));
            let found = chain.login(&inquiry(&user)).await.unwrap();
            let account = found.account.as_ref().unwrap();
            assert_eq!((&account.user, &*account.directory), (&user, "people"), "the account stays its own");
            let stored = match found.check() {
                Ok(Check::Stored(stored)) => stored,
                Err(Uncheckable::Elsewhere(unavailable)) => return Err(unavailable.to_string()),
                other => panic!("{user}: {other:?}"),
            };
            let right =
                ["own", "staff", "retired"].iter().find(|text| stored.matches(text.as_bytes()).unwrap());
            Ok(format!("{} {:?}", right.unwrap_or(&"none"), found.state_elsewhere()))
        }
    };
    for (user, expected) in [
        ("plain", Ok("own Active")),
        ("a", Ok("staff Active")),
        ("alias", Ok("staff Active")),
        ("gone", Ok("none Active")),
        ("off", Ok("retired Disabled")),
        ("typo", Err("directory people is unavailable: password_from names no directory of users")),
        ("admin", Err("directory people is unavailable: password_from names no directory of users")),
        ("other", Err("directory people is unavailable: password_from leads to the account of another name")),
        (
            "outside",
            Err(
                "directory people is unavailable: password_from names a directory that does not serve the domain of the user",
            ),
        ),
        (
            "loop",
            Err(
                "directory people is unavailable: password_from leads to an account that has password_from itself",
            ),
        ),
    ] {
        assert_eq!(check(user).await, expected.map(str::to_owned).map_err(str::to_owned), "{user}");
    }
    assert!(check("down").await.unwrap_err().starts_with("directory dead is unavailable"));
}

#[test]
fn a_password_that_is_left_to_nobody_is_told_before_the_start() {
    for (named, why) in [
        ("stuff", "stuff is the name of no directory"),
        ("people", "people is the directory itself"),
        ("admins", "admins is a directory of master users"),
    ] {
        let from = format!("[directory.fields]\npassword_from = '{named}'\n");
        let text =
            directory("people", "'a@x.test'", &from) + &directory("admins", "'a@x.test'", "master = true\n");
        let misfits = Chain::open(&configs(&text), None).unwrap_err();
        let told: Vec<String> = misfits.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with(&format!("directory people: fields.password_from: {why}")), "{told:?}");
    }
    let from = "[directory.fields]\npassword_from = 'staff'\n";
    chain(&(directory("people", "'a@x.test'", from) + &directory("staff", "'a@x.test'", "")));
}
