//! What a login costs the database.

use crate::{
    asking::{Auth, Master, daemon},
    database::{Database, QUERY},
    support::{FORGETFUL, Place, Tree, wait_until},
};

#[test]
fn a_login_is_one_execution_of_a_statement_that_is_prepared_once() {
    for kind in ["mysql", "postgres"] {
        eprintln!("with {kind}");
        let place = Place::new(&Tree::bookworm());
        let database = Database::start(kind, &place);
        database.count_statements();
        // Each of them is to reach the database.
        let directory = database.directory(&database.source(), QUERY, &place);
        let gatepost = daemon(&(directory + FORGETFUL), "").started();
        let (mut auth, mut master) = (Auth::connect(&gatepost), Master::connect(&gatepost));
        assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");
        // Both may be on their way to the log.
        let settled = || {
            let mut before = database.statements();
            wait_until("the count is settled", || {
                std::thread::sleep(std::time::Duration::from_millis(100));
                let last = std::mem::replace(&mut before, database.statements());
                last == before
            });
            before
        };
        let before = settled();
        for _ in 0..10 {
            assert_eq!(auth.plain("alice@example.test", "wonder"), "OK\tuser=alice@example.test");
            assert_eq!(auth.plain("alice@example.test", "wrong"), "FAIL\tuser=alice@example.test");
            assert_eq!(auth.plain("nobody@example.test", "wrong"), "FAIL\tuser=nobody@example.test");
            assert!(master.user("bob@example.test").starts_with("USER\tbob@example.test\t"));
        }
        let after = settled();
        assert_eq!(after.executed - before.executed, 40, "{kind}");
        assert_eq!(after.prepared - before.prepared, 0, "{kind}");
        assert_eq!(after.others - before.others, 0, "{kind}");
    }
}
