use std::{path::Path, time::Instant};

use bytes::BytesMut;

use crate::{
    config::{Config, Surroundings},
    daemon,
    decision::Engine,
    session::{rehearsal::Mails, testing::text},
};

const RULES: &str = "
[server]
state_dir = '/nowhere'
runtime_dir = '/nowhere'
[[directory]]
name = 'people'
type = 'static'
users = ['anna@example.org']
[[directory]]
name = 'away'
type = 'passwd-file'
file = '/nowhere/users'
domains = ['away.test']
[[policy.rule]]
name = 'closed'
recipient = ['@closed.test']
action = 'reject'
[[policy.rule]]
name = 'own'
sender_authorisation = true
";

const REQUEST: &str = "request=smtpd_access_policy\nprotocol_state=RCPT\n";
const DUNNO: &str = "action=DUNNO\n\n";
const REJECT: &str = "action=REJECT 5.7.1\n\n";
const LATER: &str = "action=451 4.3.0 Temporary lookup failure\n\n";

fn engine() -> Engine {
    daemon::engine(&Config::from_texts(&[(Path::new("test.toml"), RULES)], &Surroundings::none()).unwrap())
        .unwrap()
}

/// What is said to bytes that arrive in these pieces, and whether the connection stays.
fn says(engine: &Engine, pieces: &[&[u8]]) -> (String, bool) {
    let (mut mails, mut out) = (Mails::new(engine), BytesMut::new());
    let stays = pieces.iter().all(|bytes| mails.receive(bytes, Instant::now(), &mut out).is_ok());
    (text(&out), stays)
}

#[test]
fn each_request_has_one_answer_and_what_is_none_ends_the_connection() {
    let engine = engine();
    let request = |attributes: &str| format!("{REQUEST}{attributes}\n");
    for (block, said, stays) in [
        (request(""), DUNNO, true),
        (request("recipient=x@Closed.test\n"), REJECT, true),
        (request("recipient=x@closed.test\nrecipient=x@open.test\n"), REJECT, true),
        (request("recipient=x@open.test\nrecipient=x@closed.test\n"), DUNNO, true),
        (request("sender=anna+x@example.org\nsasl_username=anna@example.org\n"), DUNNO, true),
        (request("sender=x@away.test\nsasl_username=anna@example.org\n"), LATER, true),
        ("request=other\nrecipient=x@closed.test\n\n".to_owned(), DUNNO, true),
        ("request=\n\n".to_owned(), DUNNO, true),
        (REQUEST.to_owned(), "", true),
        ("protocol_state=RCPT\n\n".to_owned(), "", false),
        ("\n".to_owned(), "", false),
        (request("size=x\n"), "", false),
        (request("recipient\n"), "", false),
        (request("recipient=\0\n"), "", false),
    ] {
        assert_eq!(says(&engine, &[block.as_bytes()]), (said.to_owned(), stays), "{block:?}");
        // What was asked before is answered.
        let (both, expected) = (format!("{}{block}", request("")), format!("{DUNNO}{said}"));
        assert_eq!(says(&engine, &[both.as_bytes()]), (expected, stays), "{both:?}");
    }
}

#[test]
fn what_is_said_of_mails_is_the_same_however_the_bytes_arrive() {
    let engine = engine();
    let blocks =
        format!("{REQUEST}recipient=x@closed.test\n\n{REQUEST}sender=x@away.test\n\nrequest=other\n\n");
    let whole = says(&engine, &[blocks.as_bytes()]);
    assert_eq!(whole, (format!("{REJECT}{DUNNO}{DUNNO}"), true));
    for at in 0..=blocks.len() {
        let (head, tail) = blocks.as_bytes().split_at(at);
        assert_eq!(says(&engine, &[head, tail]), whole, "split at byte {at}");
    }
}
