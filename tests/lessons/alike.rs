//! That nobody can tell by the words of a refusal who exists. By the time that it takes neither: `tests/timing.rs`.

use crate::asking::{Auth, PEOPLE, daemon};

/// With a wrong password everybody is told the same, whatever a right one would be told.
#[test]
fn a_wrong_password_reads_the_same_for_everybody() {
    let users = "alice:{PLAIN}right::::::\nnone:::::::\nlocked:{CRYPT}!$6$saltsalt$x::::::\n\
                 off:{PLAIN}right::::::active=no\nold:{PLAIN}right::::::expired=yes\n\
                 closed:{PLAIN}right::::::nologin reason=Closed\naway:{PLAIN}right::::::proxy host=192.0.2.1\n\
                 near:{PLAIN}right::::::allow_nets=192.0.2.1\nsender:{PLAIN}right::::::services=smtp\n";
    let gatepost = daemon(PEOPLE, users).started();
    let mut auth = Auth::connect(&gatepost);
    let everybody =
        ["alice", "none", "locked", "off", "old", "closed", "away", "near", "sender", "nobody", "no one"];
    for user in everybody {
        let told = user.replace(' ', "?");
        assert_eq!(auth.plain(user, "wrong"), format!("FAIL\tuser={told}"));
        assert_eq!(auth.login(user, "wrong"), format!("FAIL\tuser={told}"));
    }
    assert_eq!(auth.plain("alice", "right"), "OK\tuser=alice");
    // Not from here, not for this: whoever guesses passwords from elsewhere does not learn that this one was right.
    for user in ["near", "sender"] {
        assert_eq!(auth.plain(user, "right"), format!("FAIL\tuser={user}"));
    }
}
