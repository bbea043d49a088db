mod embedded;

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::json;

use super::{House, attempt, of};
use crate::oidc::{Claims, Vouched};

/// Whose word the tests give themselves.
const PROVIDER: &str = "[[oidc]]
name = 'idp'
issuer = 'https://idp.test'
client_id = 'gatepost'
audience = ['gatepost']
validation = 'jwt'
";

const TABLE: &str = "
[[directory]]
name = 'mail'
type = 'sqlite'
file = '@DIR@/mail.db'
domains = ['x.test']
user_query = 'SELECT user, active, quota FROM people WHERE user = :user'
provision_query = 'INSERT INTO people VALUES (:user, :claim_name, COALESCE(:claim_quota, 7), :claim_enabled)'
[directory.fields]
quota_rule = '*:bytes={quota}'
";

fn house() -> (House, Connection) {
    let house = House::slow(&format!("{TABLE}{PROVIDER}"), "", Duration::from_millis(1));
    let database = Connection::open(house._dir.path().join("mail.db")).unwrap();
    let table = "CREATE TABLE people (user TEXT PRIMARY KEY, name TEXT, quota INTEGER, active INTEGER DEFAULT 1 NOT NULL)";
    database.execute_batch(table).unwrap();
    (house, database)
}

fn people(database: &Connection) -> Vec<String> {
    let mut query =
        database.prepare("SELECT user || ' ' || name || ' ' || quota FROM people ORDER BY 1").unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn token(user: &str, claims: serde_json::Value) -> Vouched {
    Vouched { claims: Arc::new(Claims::of(claims)), ..of(user, 3600) }
}

#[tokio::test]
async fn who_comes_for_the_first_time_is_made_once() {
    let (house, database) = house();
    let name = "x'); DROP TABLE people; --";
    house.say("t", Ok(token("alice", json!({ "name": name, "enabled": 1 }))));
    house.say("u", Ok(token("alice", json!({ "name": "other", "enabled": 1, "quota": 5 }))));
    let attempts: Vec<_> =
        (0..20).map(|number| attempt("", if number % 2 == 0 { "t" } else { "u" })).collect();
    let judged = join_all(attempts.iter().map(|attempt| house.engine.judge(attempt, house.at(1)))).await;
    assert!(judged.iter().all(|(decision, _)| decision.outcome() == "verified"), "{judged:?}");
    let made = people(&database);
    assert!(made == [format!("alice@x.test {name} 7")] || made == ["alice@x.test other 5"], "{made:?}");
}

#[tokio::test]
async fn who_cannot_be_made_is_nobodys_refusal_and_who_was_made_elsewhere_comes_in() {
    let (house, database) = house();
    house.say("bad", Ok(token("bob", json!({ "name": "b" }))));
    house.say("off", Ok(token("carol", json!({ "name": "c", "enabled": 0 }))));
    house.say("other", Ok(token("dave@y.test", json!({ "name": "d", "enabled": 1 }))));
    let judge = async |name: &str, token: &str, seconds| {
        house.engine.judge(&attempt(name, token), house.at(seconds)).await.0.outcome()
    };
    // A claim that the table needs is not there.
    assert_eq!(judge("", "bad", 1).await, "unavailable");
    assert_eq!(judge("", "off", 1).await, "disabled");
    assert_eq!(judge("", "other", 1).await, "no_such_user", "of a domain that nobody makes users of");
    house.say("frank", Ok(token("frank", json!({ "name": "f", "enabled": 1 }))));
    assert_eq!(judge("erin", "frank", 1).await, "token_of_another", "who is named is not made");
    assert_eq!(people(&database), ["carol@x.test c 7", "frank@x.test f 7"]);
    // On another machine, a moment before.
    database.execute_batch("INSERT INTO people VALUES ('bob@x.test', 'b', 1, 1)").unwrap();
    assert_eq!(judge("", "bad", 2).await, "verified");
}
