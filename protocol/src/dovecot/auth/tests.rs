use std::borrow::Cow;

use proptest::prelude::*;

use super::{Auth, Command, Cont};
use crate::dovecot::testing::{any_fields, any_id, any_text, id, nearly_lines, unframed, written};
use crate::dovecot::{Fields, FieldsBuf, Params, Secured, Version};
use crate::text::{Encoded, base64_into};

/// Seen on real sockets or of the same form; all spelt as we would write them.
const LINES: &[&str] = &[
    "VERSION\t1\t0",
    "VERSION\t1\t4",
    "CPID\t27612",
    // imap-login of 2.3
    "AUTH\t1\tPLAIN\tservice=imap\tsecured\tsession=e1\tlip=198.51.100.1\trip=203.0.113.9\tlport=993\trport=4242\
     \treal_lip=127.0.0.1\treal_rip=127.0.0.1\treal_lport=11143\treal_rport=37440\
     \tclient_id=\"name\" \"thunder\u{1}tbird\"\tforward_fields=foo=b=ar\
     \tresp=AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==",
    "AUTH\t2\tLOGIN\tservice=imap\tsecured\tsession=e/tH9fJgTJJ/AAAB\tlip=127.0.0.1\trip=127.0.0.1\tlport=11143\
     \trport=37452",
    // imap-login and doveadm of 2.4
    "AUTH\t1\tSCRAM-SHA-256-PLUS\tprotocol=imap\tfinal-resp-ok\tsecured=tls\tsession=4Zq+7PNgiI1/AAAB\
     \tlip=127.0.0.1\trip=127.0.0.1\tlport=21993\trport=36232\tssl_ja3_hash=8a9d5d0f12f7d43ee3af1c51d2998d99\
     \tresp=cD10bHMtZXhwb3J0ZXIsLG49eCxyPXk=",
    "AUTH\t1\tPLAIN\tprotocol=pop3\tfinal-resp-ok\tdebug\trip=192.0.2.1\tresp=AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==",
    // Postfix, its remote having answered nothing, "=", something, and by way of an unknown address
    "AUTH\t1\tplain\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1",
    "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\tsecured\tresp==",
    "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\tsecured\
     \tresp=AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXI=",
    "AUTH\t3\tPLAIN\tservice=smtp\tnologin\tlip=\trip=",
    // Exim
    "AUTH\t1\tSCRAM-SHA-256\tservice=smtp\tsecured\trip=127.0.0.1\tlip=127.0.0.1\tnologin\tresp=",
    // chasquid
    "AUTH\t1\tPLAIN\tservice=smtp\tsecured\tno-penalty\tnologin\tresp=ZHJvcEBleGFtcGxlLnRlc3QAZHJvcEBleGFtcGxlLnRlc3QAeA==",
    // what a remote made of base64
    "AUTH\t4\tPLAIN\tprotocol=imap\tfinal-resp-ok\tsecured\tresp=!!!",
    "CONT\t1\tYWxpY2VAZXhhbXBsZS5vcmcgNjQwZWY4MjViYjRlYjBhNDllY2MyZmM1NzcyMjgzOTk=",
    "CONT\t1\t",
    "CONT\t1\t=",
    "CONT\t1\t#\tchannel_binding=01BmMw7c17n+VvTcA3I27H/+nlHSQM03nswp0hI8/hQ=",
    "CONT\t1\tY2xpZW50LWZpbmFs\tchannel_binding=01BmMw7c17n+VvTcA3I27H/+nlHSQM03nswp0hI8/hQ=",
    "CANCEL\t4294967295",
];

#[test]
fn lines_as_on_real_sockets_are_read_and_written_the_same() {
    for line in LINES {
        let command = Command::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(unframed(&encoded(&command)), line.as_bytes(), "{line:?}");
    }
}

#[test]
fn what_the_peer_must_not_do_is_malformed() {
    for line in [
        "",
        "\t",
        "auth\t1\tPLAIN\tservice=imap",
        "AUTHX\t1\tPLAIN\tservice=imap",
        " AUTH\t1\tPLAIN\tservice=imap",
        "USER\t1\talice\tservice=imap",
        "VERSION",
        "VERSION\t1",
        "VERSION\t1\tx",
        "VERSION\t1\t-1",
        "VERSION\t1\t2\t",
        "VERSION\t1\t2\t3",
        "VERSION 1 2",
        "CPID",
        "CPID\t",
        "CPID\t0",
        "CPID\t7\t8",
        "CPID\t4294967296",
        "AUTH",
        "AUTH\t1",
        "AUTH\t0\tPLAIN\tservice=imap",
        "AUTH\t\tPLAIN\tservice=imap",
        "AUTH\tx\tPLAIN\tservice=imap",
        "AUTH\t1x\tPLAIN\tservice=imap",
        "AUTH\t-1\tPLAIN\tservice=imap",
        "AUTH\t+1\tPLAIN\tservice=imap",
        "AUTH\t 1\tPLAIN\tservice=imap",
        "AUTH\t4294967296\tPLAIN\tservice=imap",
        "AUTH\t1\t\tservice=imap",
        "AUTH\t1\t\u{1}\tservice=imap",
        "AUTH\t1\tPL\nAIN\tservice=imap",
        "AUTH\t1\tPLAIN\tservice=imap\tlip=\n",
        "AUTH\t1\tPLAIN\tservice=imap\tresp=AAAA\n",
        "AUTH\t1\tPLAIN",
        "AUTH\t1\tPLAIN\t",
        "AUTH\t1\tPLAIN\tsecured\trip=192.0.2.1",
        "AUTH\t1\tPLAIN\tservice",
        "AUTH\t1\tPLAIN\tresp=AGEAYg==",
        "AUTH\t1\tPLAIN\tservice=imap\tresp",
        "CONT",
        "CONT\t1",
        "CONT\t0\tAGEAYg==",
        "CONT\tx\tAGEAYg==",
        "CONT\t1\t#\tchannel_binding=AA==\tchannel_binding=AQ==",
        "CANCEL",
        "CANCEL\t0",
        "CANCEL\t1\t",
        "CANCEL\t1\tPLAIN",
        "CANCEL\t1\nCANCEL\t2",
    ] {
        assert!(Command::parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

/// What the remote writes comes last, so that whatever it holds, nothing of it becomes a parameter of the peer.
#[test]
fn nothing_may_follow_the_response() {
    for tail in ["\t", "\tsecured", "\tservice=imap", "\tresp=AGEAYg==", "\t\t"] {
        for response in ["resp=AGEAYg==", "resp=", "resp==", "re\u{1}sp=AGEAYg=="] {
            let line = format!("AUTH\t1\tPLAIN\tservice=imap\t{response}{tail}");
            assert!(Command::parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}

/// CVE-2025-59028: one remote's bad base64 cost the connection, and with it the logins of all others.
#[test]
fn bad_base64_is_no_fault_of_the_peer() {
    for text in ["!!!!", "AGEAYg", "AGEAYh==", "AGEA Yg==", "\u{1}t", "#", "AGEAYg=="] {
        let good = text == "AGEAYg==";
        let line = format!("AUTH\t1\tPLAIN\tservice=imap\tresp={text}");
        let Command::Auth(auth) = Command::parse(line.as_bytes()).unwrap() else { panic!("{line:?}") };
        assert_eq!(auth.response.unwrap().decode().is_ok(), good, "{line:?}");
        let line = format!("CONT\t1\t{text}");
        let Command::Cont(cont) = Command::parse(line.as_bytes()).unwrap() else { panic!("{line:?}") };
        assert_eq!(cont.response.decode().is_ok(), good, "{line:?}");
    }
}

#[test]
fn no_response_a_blank_one_and_an_empty_one_are_three_things() {
    let response = |line: &'static str| match Command::parse(line.as_bytes()).unwrap() {
        Command::Auth(auth) => auth.response,
        other => panic!("{other:?}"),
    };
    assert_eq!(response("AUTH\t1\tPLAIN\tservice=smtp"), None);
    let blank = response("AUTH\t1\tPLAIN\tservice=smtp\tresp=").unwrap();
    assert!(blank.is_blank() && blank.decode().unwrap().is_empty());
    let empty = response("AUTH\t1\tPLAIN\tservice=smtp\tresp==").unwrap();
    assert!(!empty.is_blank() && empty.decode().unwrap().is_empty());
}

#[test]
fn auth_is_read_without_copying_anything() {
    let line = LINES[5].as_bytes();
    let Command::Auth(auth) = Command::parse(line).unwrap() else { panic!() };
    let Auth { id: request, mechanism, params, response } = auth;
    assert_eq!(request, id(1));
    assert!(matches!(mechanism, Cow::Borrowed(b"SCRAM-SHA-256-PLUS")));
    assert!(matches!(params.service(), Some(Cow::Borrowed(b"imap"))));
    assert!(matches!(params.session(), Some(Cow::Borrowed(b"4Zq+7PNgiI1/AAAB"))));
    assert!(matches!(params.ssl_ja3_hash(), Some(Cow::Borrowed(b"8a9d5d0f12f7d43ee3af1c51d2998d99"))));
    assert_eq!(params.secured, Secured::Tls);
    assert!(params.final_resp_ok);
    assert_eq!(response.unwrap().decode().unwrap().expose(), b"p=tls-exporter,,n=x,r=y");
    assert!(!params.fields.has(b"resp"), "what the remote said is not among what the peer said");
}

#[test]
fn an_escape_in_a_name_is_taken_off() {
    let Command::Auth(auth) = Command::parse(b"AUTH\t1\tX\x01tY\tservice=i\x01nmap").unwrap() else {
        panic!()
    };
    assert_eq!(*auth.mechanism, *b"X\tY");
    assert_eq!(auth.params.service().as_deref(), Some(&b"i\nmap"[..]));
}

#[test]
fn an_escape_in_the_name_of_the_response_says_nothing_of_the_parameters() {
    let command = Command::parse(b"AUTH\t1\tPLAIN\tservice=imap\tre\x01sp=AGEAYg==").unwrap();
    assert_eq!(encoded(&command), b"AUTH\t1\tPLAIN\tservice=imap\tresp=AGEAYg==\n");
    comes_back(&command);
}

#[test]
fn channel_binding_is_found_and_written_wherever_it_stands() {
    let Command::Cont(cont) = Command::parse(b"CONT\t1\t#\tx=y\tchannel_binding=AQ==\tz").unwrap() else {
        panic!()
    };
    assert!(cont.response.is_out_of_band());
    assert_eq!(cont.channel_binding.unwrap().decode().unwrap().expose(), [1]);
    assert_eq!(encoded(&Command::Cont(cont)), b"CONT\t1\t#\tx=y\tchannel_binding=AQ==\tz\n");
    let mut cont = Cont::new(id(1), Encoded::new(b"AAAA").unwrap());
    assert_eq!(encoded(&Command::Cont(cont.clone())), b"CONT\t1\tAAAA\n");
    cont.channel_binding = Some(Encoded::new(b"AQ==").unwrap());
    assert_eq!(encoded(&Command::Cont(cont)), b"CONT\t1\tAAAA\tchannel_binding=AQ==\n");
}

#[test]
fn a_client_can_put_a_login_together() {
    let mut fields = FieldsBuf::default();
    fields.push("service", "imap");
    fields.flag("secured");
    fields.push("client_id", "\"name\" \"thunder\tbird\"");
    let response = written(|out| base64_into(b"\0alice\0secret", out));
    let auth = Auth {
        id: id(7),
        mechanism: b"PLAIN".into(),
        params: Params::of(fields.as_fields()),
        response: Some(Encoded::new(&response).unwrap()),
    };
    assert_eq!(
        encoded(&Command::Auth(auth)),
        b"AUTH\t7\tPLAIN\tservice=imap\tsecured\tclient_id=\"name\" \"thunder\x01tbird\"\tresp=AGFsaWNlAHNlY3JldA==\n",
    );
}

proptest! {
    #[test]
    fn commands_without_lists_come_back(major: u32, minor: u32, pid in 1_u32.., id in any_id()) {
        for command in [Command::Version(Version { major, minor }), Command::Cpid(pid), Command::Cancel(id)] {
            comes_back(&command);
        }
    }

    #[test]
    fn auth_comes_back(
        id in any_id(),
        mechanism in any_text().prop_filter("a mechanism has a name", |name| !name.is_empty()),
        fields in any_fields(),
        response in proptest::option::of("[A-Za-z0-9+/=!# ]{0,9}"),
    ) {
        let auth = Command::Auth(Auth {
            id,
            mechanism: Cow::Borrowed(&mechanism),
            params: Params::of(fields.as_fields()),
            response: response.as_ref().map(|text| Encoded::new(text.as_bytes()).unwrap()),
        });
        comes_back(&auth);
    }

    #[test]
    fn cont_comes_back(id in any_id(), text in "[A-Za-z0-9+/=!# ]{0,9}", fields in any_fields()) {
        let response = Encoded::new(text.as_bytes()).unwrap();
        for fields in [Fields::default(), fields.as_fields()] {
            let cont = Command::Cont(Cont { fields, ..Cont::new(id, response) });
            comes_back(&cont);
        }
    }

    #[test]
    fn whatever_is_read_is_written_as_one_line_that_means_the_same(
        line in nearly_lines(&["VERSION", "CPID", "AUTH", "AUTH\t1\tPLAIN", "CONT", "CONT\t1", "CANCEL"])
    ) {
        if let Ok(command) = Command::parse(&line) {
            comes_back(&command);
        }
    }

    #[test]
    fn no_bytes_upset_the_parser(tail: Vec<u8>) {
        for word in [&b"AUTH\t1\tPLAIN\t"[..], b"AUTH\t", b"CONT\t1\t", b""] {
            if let Ok(command) = Command::parse(&[word, &tail].concat()) {
                unframed(&encoded(&command));
            }
        }
    }
}

fn comes_back(command: &Command<'_>) {
    let line = encoded(command);
    assert_eq!(Command::parse(unframed(&line)).as_ref(), Ok(command));
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    written(|out| command.encode(out))
}
