//! Users who are made when they come with a token for the first time.

use std::thread;

use super::*;

/// Users are made of these fields.
fn fixture(fields: &str) -> Fixture {
    let home = TempDir::new().unwrap();
    let path = home.path().join("users.db");
    let config = config(&format!(
        "[[directory]]\nname = 'local'\ntype = 'sqlite'\nfile = '{}'\ndomains = ['example.org']\nprovision = true\n\
         [directory.provision_fields]\n{fields}\n\
         [[oidc]]\nname = 'id'\nissuer = 'https://i'\nclient_id = 'c'\naudience = ['a']\nvalidation = 'jwt'\n",
        path.display()
    ));
    Fixture { config, path, _home: home }
}

const FIELDS: &str = "home = '/m/{domain}/{local}'\nuid = '{number}'\ngid = 'daemon'\n\
    quota_rule = '*:bytes={quota:-7}'\nactive = '{on}'\nnote = '{user} {number} {name}'";

fn claims(list: &[&str]) -> Vec<Option<String>> {
    list.iter().map(|claim| (!claim.is_empty()).then(|| (*claim).to_owned())).collect()
}

#[tokio::test]
async fn who_is_made_has_what_the_templates_say_and_no_password() {
    let fixture = fixture(FIELDS);
    let users = fixture.users();
    let directory = fixture.directory();
    assert_eq!(directory.provision_claims().unwrap(), ["number", "quota", "on", "name"]);
    let alice = name("alice@example.org");
    let odd = "O'Hara \\ \"{quota}\"; DROP TABLE users; --\t%\n";
    assert_eq!(directory.provision(&alice, &claims(&["5000", "", "true", odd])).await, Ok(true));
    let details = users.details(&alice).unwrap().unwrap();
    assert_eq!(
        (details.scheme, details.active, details.uid, details.gid, details.home.as_deref()),
        (None, true, Some(5000), Some(1), Some("/m/example.org/alice"))
    );
    let note = format!("alice@example.org 5000 {odd}");
    assert_eq!(details.fields, pairs(&[("note", &note), ("quota_rule", "*:bytes=7")]));
    assert_eq!(ask(&directory, "alice@example.org").await, "none");

    let bob = name("bob@example.org");
    assert_eq!(directory.provision(&bob, &claims(&["daemon", "9", "0", "Bob"])).await, Ok(true));
    let details = users.details(&bob).unwrap().unwrap();
    assert_eq!((details.active, details.uid), (false, Some(1)), "by the name of an account of the system");
    assert_eq!(users.page("", 10).unwrap(), ["alice@example.org", "bob@example.org"]);
}

#[tokio::test]
async fn who_cannot_be_made_as_it_is_written_is_not_made() {
    let fixture = fixture(FIELDS);
    let users = fixture.users();
    let directory = fixture.directory();
    let table = [
        (["", "1", "yes", "A"], "provision_fields.uid needs {number}, and there is none"),
        (["5000", "1", "yes", ""], "provision_fields.note needs {name}, and there is none"),
        (["5000", "1", "", "A"], "provision_fields.active needs {on}, and there is none"),
        (["5000", "1", "maybe", "A"], "provision_fields: active is neither yes nor no"),
        (["twelve", "1", "yes", "A"], "provision_fields: uid is no number or name of a system account"),
        (["0", "1", "yes", "A"], "provision_fields: uid is no number or name of a system account"),
        (["-1", "1", "yes", "A"], "provision_fields: uid is no number or name of a system account"),
    ];
    for (claimed, why) in table {
        let refused = directory.provision(&name("alice@example.org"), &claims(&claimed)).await.unwrap_err();
        assert!(
            refused.to_string().starts_with(&format!("directory local is unavailable: {why}")),
            "{refused}"
        );
    }
    let bare = directory.provision(&name("alice"), &claims(&["5000", "1", "yes", "A"])).await.unwrap_err();
    assert!(bare.to_string().contains("home needs {domain}"), "{bare}");
    let none = directory.provision(&name("alice@example.org"), &[]).await;
    assert!(none.is_err());
    assert!(users.page("", 10).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_makes_a_user_whoever_they_are() {
    let fixture = fixture("home = '/{who}'\nwho = '{who}'");
    drop(fixture.users());
    // As in processes of their own: nothing is shared but the file.
    let directories: Vec<_> = (0..4).map(|_| fixture.directory()).collect();
    for round in 0..5 {
        let user = name(&format!("user{round}@example.org"));
        let by_hand = thread::spawn({
            let (mut users, user) = (fixture.users(), user.clone());
            let new = NewUser {
                home: Some("/hand".to_owned()),
                fields: pairs(&[("who", "hand")]),
                ..NewUser::default()
            };
            move || users.add(&user, &new)
        });
        let attempts = (0..12).map(|number| {
            let (directory, user) = (directories[number % 4].clone(), user.clone());
            tokio::spawn(async move { directory.provision(&user, &claims(&[&number.to_string()])).await })
        });
        let attempts: Vec<_> = attempts.collect();
        let mut made = 0;
        for attempt in attempts {
            made += usize::from(attempt.await.unwrap().unwrap());
        }
        made += match by_hand.join().unwrap() {
            Ok(()) => 1,
            Err(AddError::Exists) => 0,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(made, 1, "{user}");
        let details = fixture.users().details(&user).unwrap().unwrap();
        let [(_, who)] = details.fields.as_slice() else { panic!("{details:?}") };
        assert_eq!(details.home.as_deref(), Some(&*format!("/{who}")), "all of it is of the same one");
    }
}

#[tokio::test]
async fn who_is_there_already_stays_as_they_are() {
    let fixture = fixture("quota = '1'");
    let directory = fixture.directory();
    let alice = name("alice@example.org");
    fixture.users().add(&alice, &with_password("{PLAIN}a")).unwrap();
    let before = fixture.users().details(&alice).unwrap();
    assert_eq!(directory.provision(&alice, &[]).await, Ok(false));
    assert_eq!(fixture.users().details(&alice).unwrap(), before);
}

#[tokio::test]
async fn nobody_is_made_in_a_file_that_is_missing_or_empty() {
    let fixture = fixture("quota = '1'");
    let directory = fixture.directory();
    let alice = name("alice@example.org");
    assert!(directory.provision(&alice, &[]).await.is_err());
    assert!(!fixture.path.exists());
    fs::write(&fixture.path, "").unwrap();
    assert!(directory.provision(&alice, &[]).await.is_err());
    assert_eq!(fs::metadata(&fixture.path).unwrap().len(), 0, "all that is left of a full one, maybe");
}

#[tokio::test]
async fn a_database_that_users_come_to_is_made_at_the_start_in_the_state_directory_only() {
    let fixture = fixture("quota = '1'");
    let configs = std::slice::from_ref(&fixture.config);
    make_embedded(configs, Path::new("/elsewhere")).unwrap();
    assert!(!fixture.path.exists());
    make_embedded(configs, fixture.path.parent().unwrap()).unwrap();
    assert_eq!(ask(&fixture.directory(), "alice@example.org").await, "unknown");
    fixture.users().add(&name("alice@example.org"), &NewUser::default()).unwrap();
    make_embedded(configs, fixture.path.parent().unwrap()).unwrap();
    assert_eq!(ask(&fixture.directory(), "alice@example.org").await, "none", "what is there stays");
}

#[test]
fn fields_that_nobody_can_have_are_found_at_the_start() {
    for (fields, why) in [
        ("allow_nets = 'nonsense'", "provision_fields.allow_nets: allow_nets is no list of networks"),
        ("active = 'maybe'", "provision_fields.active: active is neither yes nor no"),
        ("nopassword = 'y'", "provision_fields.nopassword: nopassword is not supported"),
        ("allow_netz = '::1'", "provision_fields.allow_netz: a field has almost the name of allow_nets"),
    ] {
        let misfit = Directory::open(&fixture(fields).config, None).unwrap_err().to_string();
        assert!(misfit.contains(why), "{misfit}");
    }
    let nobody = Fixture::new().directory();
    assert_eq!(nobody.provision_claims(), None);
}
