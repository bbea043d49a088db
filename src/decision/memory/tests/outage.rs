//! What is said while a directory does not answer.

use futures_util::FutureExt as _;

use super::{FILE_ALONE, House, attempt};
use crate::decision::{Now, Refusal, TempFail};

#[tokio::test]
async fn an_outage_is_no_refusal_and_lets_in_who_is_known() {
    let house =
        House::new(FILE_ALONE, "alice:{PLAIN}right:5000:5000::/m::\noff:{PLAIN}right::::::active=no\n", "");
    for (name, password) in [("alice", "right"), ("off", "right"), ("nobody", "x"), ("alice", "wrong")] {
        house.judge(name, password).await;
    }
    house.engine.lookup(b"alice", "lmtp").await.unwrap();
    let own = house.own("alice");
    assert_eq!(house.judge("alice", &own).await.0, "verified");
    house.lose_users().await;
    // As long as it is young, nobody need be asked.
    assert_eq!(house.judge("alice", "right").await, ("verified", "hit"));
    assert_eq!(house.judge("alice", "wrong").await, ("rejected", "hit"));
    house.age();
    for (name, password, expected) in [
        ("alice", "right", ("verified", "stale")),
        ("ALICE@x.test", "right", ("verified", "stale")),
        ("alice", "wrong", ("unavailable", "asked")),
        ("alice", "other", ("unavailable", "asked")),
        ("alice", "", ("unavailable", "asked")),
        ("off", "right", ("unavailable", "asked")),
        ("nobody", "x", ("unavailable", "asked")),
        ("carol", "x", ("unavailable", "asked")),
    ] {
        assert_eq!(house.judge(name, password).await, expected, "{name} {password:?}");
        assert_eq!(house.recall(name, password.as_bytes()), None);
    }
    assert_eq!(house.judge("alice", &own).await.0, "verified");
    assert_eq!(house.own("carol").len(), own.len());
    assert_eq!(house.judge("carol", &house.own("carol")).await.0, "unavailable");
    let mail = house.engine.lookup(b"alice", "lmtp").await.unwrap().unwrap();
    assert_eq!(mail.userdb.as_fields().raw(), b"uid=5000\tgid=5000\thome=/m");
    assert!(house.engine.lookup(b"nobody", "lmtp").await.is_err());
    assert!(house.counts().stale >= 3);
    // Back, and nothing of it is left.
    house.users("alice:{PLAIN}other\n").await;
    assert_eq!(house.judge("alice", "right").await, ("rejected", "asked"));
    assert_eq!(house.judge("alice", "other").await, ("verified", "asked"));
}

#[tokio::test]
async fn nobody_is_stale_who_was_flushed() {
    let house = House::new(FILE_ALONE, "alice:{PLAIN}right\n", "");
    house.judge("alice", "right").await;
    assert_eq!(house.engine.flush(|name| name == "alice@x.test"), 1);
    house.lose_users().await;
    assert_eq!(house.judge("alice", "right").await, ("unavailable", "asked"));
}

const TWO: &str = "
[[directory]]
name = 'mail'
type = 'sqlite'
file = '@DIR@/mail.db'
user_query = 'SELECT user, source AS password_from, password, active FROM people WHERE user = :user'
app_password_query = 'SELECT user, id, password FROM apps WHERE user = :user'

[[directory]]
name = 'staff'
type = 'passwd-file'
file = '@DIR@/users'
domains = ['x.test']
";

const MAIL: &str = "
CREATE TABLE people (user, source, password, active DEFAULT 1);
INSERT INTO people (user, source, password) VALUES
 ('here@x.test', NULL, '{PLAIN}main'), ('there@x.test', 'staff', NULL), ('soon@x.test', NULL, '{PLAIN}main'),
 ('moved@x.test', NULL, '{PLAIN}main');
CREATE TABLE apps (user, id, password);
INSERT INTO apps VALUES ('here@x.test', 1, '{PLAIN}phone'), ('there@x.test', 2, '{PLAIN}phone');
";

const STAFF: &str = "there:{PLAIN}main\nmoved:{PLAIN}other\n";

async fn known() -> House {
    let house = House::new(TWO, STAFF, MAIL);
    for (name, password) in [
        ("here", "main"),
        ("here", "phone"),
        ("there", "main"),
        ("there", "phone"),
        ("soon", "main"),
        ("moved", "main"),
    ] {
        assert_eq!(house.judge(name, password).await, ("verified", "asked"), "{name} {password}");
        assert_eq!(house.judge(name, password).await, ("verified", "hit"), "{name} {password}");
    }
    house
}

#[tokio::test]
async fn who_checks_passwords_may_be_silent() {
    let house = known().await;
    house.lose_users().await;
    house.age();
    assert_eq!(house.judge("there", "main").await, ("verified", "stale"));
    assert_eq!(house.judge("there", "phone").await, ("verified", "stale"));
    assert_eq!(house.judge("there", "wrong").await, ("unavailable", "asked"));
    assert_eq!(house.judge("here", "main").await, ("verified", "asked"));
}

/// The old password was let in for as long as the other directory was silent.
#[tokio::test]
async fn what_the_other_directory_says_counts_all_the_same() {
    let house = known().await;
    house.lose_users().await;
    house.sql("DELETE FROM apps");
    house.age();
    assert_eq!(
        house.judge("there", "phone").await,
        ("unavailable", "asked"),
        "there is no such app password"
    );
    assert_eq!(house.judge("there", "main").await, ("verified", "stale"));
    house.sql("UPDATE people SET active = 0");
    assert_eq!(house.judge("there", "main").await, ("unavailable", "asked"), "switched off");
    house.sql("UPDATE people SET active = 1; UPDATE people SET source = 'staff', password = NULL WHERE user = 'moved@x.test'");
    assert_eq!(house.judge("moved", "main").await, ("unavailable", "asked"), "it was right in another place");
    house.sql("DELETE FROM people");
    let gone = house.judge("there", "main").await;
    assert_eq!(gone, ("unavailable", "asked"), "who knew her knows nobody; the other one may");
}

#[tokio::test]
async fn who_lists_app_passwords_may_be_silent() {
    let house = known().await;
    house.sql("ALTER TABLE apps RENAME TO lost; UPDATE people SET password = '{PLAIN}new' WHERE user = 'soon@x.test'");
    house.age();
    assert_eq!(house.judge("here", "main").await, ("verified", "asked"));
    assert_eq!(house.judge("here", "phone").await, ("verified", "stale"));
    assert_eq!(house.judge("here", "other").await, ("unavailable", "asked"), "it may be one");
    assert_eq!(house.judge("soon", "main").await, ("unavailable", "asked"), "the hash says that it is not");
    assert_eq!(house.judge("soon", "new").await, ("verified", "asked"));
    house.users("there:{PLAIN}new\nmoved:{PLAIN}other\n").await;
    assert_eq!(house.judge("there", "main").await, ("unavailable", "asked"), "so does the other directory");
}

/// Where app passwords could not be listed, whoever was shut out by the directory that checks the main one came in.
#[tokio::test]
async fn nobody_comes_in_by_an_app_password_whom_the_other_directory_shuts_out() {
    for staff in
        ["there:{PLAIN}main::::::active=no\n", "there:{PLAIN}main::::::expires_at=1000\n", "moved:{PLAIN}x\n"]
    {
        let house = known().await;
        house.sql("ALTER TABLE apps RENAME TO lost");
        house.age();
        assert_eq!(house.judge("there", "phone").await, ("verified", "stale"));
        house.users(staff).await;
        assert_eq!(house.judge("there", "phone").await, ("unavailable", "asked"), "{staff}");
        house.sql("ALTER TABLE lost RENAME TO apps");
        assert!(matches!(house.judge("there", "phone").await, ("disabled" | "expired", "asked")), "{staff}");
    }
}

/// Mail went to who was known, though the directory could not say any more who that is.
#[tokio::test]
async fn a_name_that_leads_to_several_accounts_is_no_outage() {
    let text = "[[directory]]\nname = 'mail'\ntype = 'sqlite'\nfile = '@DIR@/mail.db'\n\
        user_query = 'SELECT user, password FROM people WHERE :user IN (user, alias)'\n";
    let people = "CREATE TABLE people (user, alias, password);
        INSERT INTO people VALUES ('alice@x.test', NULL, '{PLAIN}right')";
    let house = House::new(text, "", people);
    assert!(house.engine.lookup(b"alice", "lmtp").await.unwrap().is_some());
    house.sql("INSERT INTO people VALUES ('bob@x.test', 'alice@x.test', '{PLAIN}other')");
    house.age();
    assert!(house.forgetful.lookup(b"alice", "lmtp").await.is_err());
    assert!(house.engine.lookup(b"alice", "lmtp").await.is_err());
    assert_eq!(house.counts().stale, 0);
}

/// A stored password that cannot be verified is one that was changed.
#[tokio::test]
async fn a_stored_password_that_nobody_can_verify_is_no_outage() {
    let house = known().await;
    house.sql("UPDATE people SET password = '{NO-SUCH}x' WHERE user = 'here@x.test'");
    house.age();
    assert_eq!(house.judge("here", "main").await, ("unavailable", "asked"));
    let decision = house.engine.judge(&attempt("here", "main", "imap"), Now::read()).await.0;
    let crate::decision::Decision::Refuse(why) = decision else { panic!("{decision:?}") };
    assert!(matches!(why, Refusal::TempFail(TempFail::Stored(_))), "{why:?}");
}

/// So a flood of others, who keep all threads that hash busy, keeps nobody out who is known.
#[tokio::test]
async fn what_was_found_right_by_the_same_hash_is_not_hashed_again() {
    // A vector of crypt_blowfish.
    let users = "alice:{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
    let house = House::new(FILE_ALONE, users, "");
    let attempt = attempt("alice", "U*U", "imap");
    let at_once = || {
        let _busy = house.pool.hold();
        house.engine.judge(&attempt, Now::read()).now_or_never().map(|judged| judged.0.outcome())
    };
    assert_eq!(at_once(), None, "it has to be hashed");
    assert_eq!(house.judge("alice", "U*U").await, ("verified", "asked"));
    house.age();
    assert_eq!(house.recall("alice@x.test", b"U*U"), None);
    assert_eq!(at_once(), Some("verified"));
    assert_eq!(house.recall("alice@x.test", b"U*U"), None, "which is too soon after all have been doubted");
    house.users("alice:{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK\n").await;
    assert_eq!(at_once(), None);
    assert_eq!(house.judge("alice", "U*U").await.0, "rejected");
}
