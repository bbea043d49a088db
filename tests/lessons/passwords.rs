//! What is typed as a password, and what is stored as one.

use crate::asking::{Auth, Master, PEOPLE, daemon};

#[test]
fn what_stands_behind_a_nul_counts() {
    let users = "good:{PLAIN}good::::::\nhash:{SHA}/BkxjdExKM4UNE0GZRCpgiacJBs=::::::\n";
    let gatepost = daemon(PEOPLE, users).started();
    let mut auth = Auth::connect(&gatepost);
    for user in ["good", "hash"] {
        assert_eq!(auth.plain(user, "good"), format!("OK\tuser={user}"));
        assert_eq!(auth.login(user, "good"), format!("OK\tuser={user}"));
        for password in ["good\0junk", "good\0", "\0good", "\0"] {
            // A third NUL is no PLAIN at all, and any is no LOGIN.
            assert_eq!(auth.plain(user, password), "FAIL", "{password:?}");
            assert_eq!(auth.login(user, password), "FAIL", "{password:?}");
        }
    }
    for name in ["good\0", "good\0junk", "\0good"] {
        assert_eq!(auth.login(name, "good"), "FAIL", "{name:?}");
    }
}

/// `{PLAIN}` with nothing after it is what an empty column of a database makes of itself, and an LDAP server takes an
/// empty password for an anonymous bind, which succeeds.
#[test]
fn an_empty_password_is_nobodys() {
    // The last two are what the hash functions make of nothing.
    let users = "plain:{PLAIN}::::::\nbare:::::::\nx:x::::::\nsha:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=::::::\n\
                 md5:{PLAIN-MD5}d41d8cd98f00b204e9800998ecf8427e::::::\n";
    let gatepost = daemon(PEOPLE, users).started();
    let mut auth = Auth::connect(&gatepost);
    for user in ["plain", "bare", "x", "sha", "md5", "nobody"] {
        assert_eq!(auth.plain(user, ""), format!("FAIL\tuser={user}"));
        assert_eq!(auth.login(user, ""), format!("FAIL\tuser={user}"));
    }
    assert_eq!(auth.plain("x", "x"), "FAIL\tuser=x", "the mark of a shadow file is no password");
}

/// The fields of a request, of a reply and of a line to another process are set apart by TAB.
#[test]
fn what_a_password_holds_becomes_no_field() {
    let password = "a\tnologin\x01b\rc";
    let users = format!(
        "carol:{{PLAIN}}{password}:5000:5000::/m::\n\
         proxied:{{PLAIN}}{password}::::::proxy host=192.0.2.1\n"
    );
    let gatepost = daemon(PEOPLE, &users).started();
    let mut auth = Auth::connect(&gatepost);
    for typed in [password, "b\tskip_password_check", "\tuser=root", "x\nOK\t2\tuser=root", "\x01t"] {
        let expected = if typed == password { "OK\tuser=carol" } else { "FAIL\tuser=carol" };
        assert_eq!(auth.plain("carol", typed), expected, "{typed:?}");
        assert_eq!(auth.login("carol", typed), expected, "{typed:?}");
    }
    let told = auth.plain("proxied", password);
    assert_eq!(told, "OK\tuser=proxied\tproxy\thost=192.0.2.1\tpass=a\x01tnologin\x011b\x01rc");
    assert_eq!(auth.plain("carol\tnologin", "x"), "FAIL\tuser=carol?nologin");
}

/// `crypt` returned nothing for a scheme that it did not know, and the daemon fell; another one compared nothing with
/// nothing. A login is refused for now, as nobody can say whether the password is right, and mail is delivered.
#[test]
fn an_unknown_scheme_lets_nobody_in_and_mail_through() {
    let stored =
        ["{NO-SUCH}secret", "{}secret", "$9$salt$secret", "{DES-CRYPT}x", "{ARGON2ID}$argon2id$", "{SSHA}"];
    let lines = stored.iter().enumerate().map(|(n, stored)| format!("u{n}:{stored}:5000:5000::/m/u{n}::\n"));
    let users = lines.collect::<String>() + "good:{PLAIN}good:5000:5000::/m/good::\n";
    let gatepost = daemon(PEOPLE, &users).started();
    let mut auth = Auth::connect(&gatepost);
    let mut master = Master::connect(&gatepost);
    for (n, stored) in stored.iter().enumerate() {
        for password in ["secret", stored, ""] {
            let reply = auth.plain(format!("u{n}"), password);
            assert_eq!(reply, format!("FAIL\tuser=u{n}\tcode=temp_fail\ttemp"), "{stored} {password:?}");
        }
        assert_eq!(master.user(&format!("u{n}")), format!("USER\tu{n}\tuid=5000\tgid=5000\thome=/m/u{n}"));
    }
    assert_eq!(auth.plain("good", "good"), "OK\tuser=good", "the others are not kept out");
}
