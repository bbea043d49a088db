//! One line of the auth-client protocol, either way, and the SASL payload in it.
#![no_main]

use bytes::BytesMut;
use gatepost_protocol::{
    dovecot::{
        Params,
        auth::{Command, OneStep, Usual},
        reply::Reply,
    },
    sasl::Plain,
    secret::Scratch,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    // The line that most are is read in a quicker way, to the same result.
    if let Some(usual) = Usual::read(line) {
        let Ok(Command::Auth(auth)) = Command::parse(line) else { panic!("read and not parsed") };
        let mechanism: &[u8] = match usual.mechanism {
            OneStep::Plain => b"PLAIN",
            OneStep::OAuthBearer => b"OAUTHBEARER",
            OneStep::XOAuth2 => b"XOAUTH2",
        };
        assert!(auth.mechanism.eq_ignore_ascii_case(mechanism) && auth.params.forward_fields().is_none());
        assert_eq!((usual.id, Some(usual.response)), (auth.id, auth.response));
        assert_eq!(Some(usual.service), auth.params.service().as_deref());
        assert_eq!(usual.session, auth.params.session().as_deref());
        assert_eq!((usual.rip_text, usual.rip()), (auth.params.rip_text().as_deref(), auth.params.rip()));
    }
    if let Ok(command) = Command::parse(line) {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        let again = one_line(&out);
        assert_eq!(Command::parse(again).as_ref(), Ok(&command));
        // What is behind `resp=` is none of them.
        if let Command::Auth(auth) = &command {
            assert_eq!(auth.params, Params::of(auth.params.fields));
        }
        let response = match &command {
            Command::Auth(auth) => auth.response,
            Command::Cont(cont) => Some(cont.response),
            Command::Version(_) | Command::Cpid(_) | Command::Cancel(_) => None,
        };
        if let Some(response) = response {
            let mut scratch = Scratch::new();
            let held = response.decode_into(&mut scratch).ok();
            let owned = response.decode().ok();
            assert_eq!(held.as_ref().map(|held| held.expose()), owned.as_ref().map(|owned| owned.expose()));
        }
        if let Some(response) = response
            && let Ok(response) = response.decode()
            && let Ok(plain) = Plain::parse(response.expose())
        {
            assert_eq!(plain.encode().expect("was read").expose(), response.expose());
        }
        // What is logged of it.
        let _ = format!("{command:?}");
    }
    if let Ok(reply) = Reply::parse(line) {
        let mut out = BytesMut::new();
        reply.encode(&mut out);
        assert_eq!(Reply::parse(one_line(&out)).as_ref(), Ok(&reply));
        let _ = format!("{reply:?}");
    }
});

fn one_line(out: &[u8]) -> &[u8] {
    let line = out.strip_suffix(b"\n").expect("a LF at the end");
    assert!(!line.contains(&b'\n'), "one line became two");
    line
}
