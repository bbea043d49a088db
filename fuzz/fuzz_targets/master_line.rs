//! One line of the auth-master protocol, either way, and the mask in it.
#![no_main]

use bytes::BytesMut;
use gatepost::session::mask::Mask;
use gatepost_protocol::{
    dovecot::master::{Command, Reply},
    frame::MASTER_REPLY,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Ok(command) = Command::parse(line) {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        assert_eq!(Command::parse(one_line(&out)).as_ref(), Ok(&command));
        if let Command::List { mask: Some(mask), .. } = &command {
            Mask::new(mask).fits("alice+lists@example.org");
        }
        let _ = format!("{command:?}");
    }
    if let Ok(reply) = Reply::parse(line) {
        let mut out = BytesMut::new();
        match reply.encode(&mut out) {
            Ok(()) => {
                let again = one_line(&out);
                assert!(again.len() <= MASTER_REPLY);
                assert_eq!(Reply::parse(again).as_ref(), Ok(&reply));
            }
            Err(_) => assert!(out.is_empty()),
        }
        let _ = format!("{reply:?}");
    }
});

fn one_line(out: &[u8]) -> &[u8] {
    let line = out.strip_suffix(b"\n").expect("a LF at the end");
    assert!(!line.contains(&b'\n'), "one line became two");
    line
}
