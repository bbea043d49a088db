use std::borrow::Cow;

use proptest::prelude::*;

use super::{FailCode, Reply, cont, fail, ok};
use crate::dovecot::testing::{any_fields, any_id, any_text, id, nearly_lines, unframed, written};
use crate::dovecot::{Cookie, FieldsBuf, MechFlag, MechFlags, Version};

/// Seen on real sockets or of the same form; all spelt as we would write them.
const LINES: &[&str] = &[
    "VERSION\t1\t2",
    "MECH\tPLAIN\tplaintext",
    "MECH\tCRAM-MD5\tdictionary\tactive",
    "MECH\tDIGEST-MD5\tdictionary\tactive\tmutual-auth",
    "MECH\tSCRAM-SHA-256-PLUS\tmutual-auth\tchannel-binding",
    "MECH\tAPOP\tprivate\tdictionary\tactive",
    "MECH\tEXTERNAL",
    "MECH\tX_NEW\tforward-secrecy\tpost-quantum\tlucky",
    "SPID\t14433",
    "CUID\t0",
    "CUID\t25",
    "COOKIE\t69e1a8ba17881df894b135f8a8d853f9",
    "DONE",
    "CONT\t1\t",
    "CONT\t2\tVXNlcm5hbWU6",
    "CONT\t1\tUGFzc3dvcmQ6",
    "CONT\t1\tc2VydmVyLWZpcnN0\tchannel_binding=tls-exporter",
    "CONT\t1\t#\tchannel_binding=tls-exporter",
    "OK\t1\tuser=alice@example.org",
    "OK\t1\tuser=disabled\tnologin\treason=Account suspended",
    "OK\t1\tuser=prox\tproxy\thost=127.0.0.1\tport=11143\tdestuser=alice@example.org\tpass=secret",
    "OK\t1\tuser=alice@example.org\tresp=dj1DeWk1ZGh5SjNWZFVXdldKclJSdkI2Zi91SFhVNnRGRXIxcFlCaCtsT1NzPQ==",
    "FAIL\t1",
    "FAIL\t1\tuser=locked\tcode=user_disabled",
    "FAIL\t1\tuser=alice@example.test\tcode=temp_fail\ttemp",
    "FAIL\t3\tuser=reason\treason=Come back\u{1}tlater",
    "FAIL\t4\tcode=invalid_base64\treason=Invalid base64 data",
    "CANCELLED\t7",
];

#[test]
fn lines_as_on_real_sockets_are_read_and_written_the_same() {
    for line in LINES {
        let reply = Reply::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(unframed(&encoded(&reply)), line.as_bytes(), "{line:?}");
    }
}

#[test]
fn what_a_server_must_not_say_is_malformed() {
    for line in [
        "",
        "USER\t1\talice",
        "VERSION\t1",
        "MECH",
        "MECH\t",
        "MECH\tplain\tplaintext",
        "MECH\tPL\u{1}AIN",
        "SPID\t0",
        "SPID",
        "CUID\tx",
        "COOKIE\t69e1a8ba17881df894b135f8a8d853f",
        "COOKIE\t69e1a8ba17881df894b135f8a8d853f9\tx",
        "COOKIE",
        "DONE\t",
        "DONE\tx",
        "CONT\t1",
        "CONT\t0\t",
        "CONT\t1\t!!!",
        "CONT\t1\tUGFzc3dvcmQ",
        "OK",
        "OK\t0\tuser=alice",
        "OK\tuser=alice",
        "FAIL",
        "FAIL\tx",
        "CANCELLED",
        "CANCELLED\t1\t",
    ] {
        assert!(Reply::parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

#[test]
fn flags_are_written_in_one_order() {
    let flags = MechFlags::of(&[MechFlag::Active, MechFlag::Dictionary, MechFlag::Active]);
    assert!(flags.has(MechFlag::Active) && !flags.has(MechFlag::Plaintext));
    let mech = Reply::Mech { name: "CRAM-MD5", flags };
    assert_eq!(encoded(&mech), b"MECH\tCRAM-MD5\tdictionary\tactive\n");
    let Reply::Mech { flags, .. } = Reply::parse(b"MECH\tX\tlucky\tprivate\t\tlucky").unwrap() else {
        panic!()
    };
    assert_eq!(flags.iter().collect::<Vec<_>>(), [MechFlag::Private]);
    assert_eq!(flags.unknown().collect::<Vec<_>>(), [b"lucky", b"lucky"]);
}

#[test]
fn every_flag_is_known_by_its_own_name() {
    for flag in MechFlag::ALL {
        let line = format!("MECH\tX\t{}", flag.as_str());
        let flags = MechFlags::of(&[flag]);
        assert_eq!(Reply::parse(line.as_bytes()), Ok(Reply::Mech { name: "X", flags }));
    }
    assert_eq!(MechFlags::of(&MechFlag::ALL).iter().collect::<Vec<_>>(), MechFlag::ALL);
}

#[test]
fn every_code_is_known_by_its_own_name() {
    for code in FailCode::ALL {
        assert_eq!(FailCode::parse(code.as_str().as_bytes()), Some(code));
    }
    assert_eq!(FailCode::parse(b"TEMP_FAIL"), None);
    assert_eq!(FailCode::parse(b""), None);
}

#[test]
fn the_short_ways_say_what_the_long_ones_do() {
    let mut fields = FieldsBuf::default();
    fields.flag("nologin");
    let line = written(|out| ok(out, id(1), b"al\tice", fields.as_fields()));
    assert_eq!(line, b"OK\t1\tuser=al\x01tice\tnologin\n");
    assert_eq!(written(|out| ok(out, id(1), b"alice", Default::default())), b"OK\t1\tuser=alice\n");

    assert_eq!(written(|out| cont(out, id(2), b"Username:")), b"CONT\t2\tVXNlcm5hbWU6\n");
    assert_eq!(written(|out| cont(out, id(2), b"")), b"CONT\t2\t\n");

    assert_eq!(written(|out| fail(out, id(3), None, None, None, false, None)), b"FAIL\t3\n");
    let temp = Some(FailCode::TempFail);
    assert_eq!(
        written(|out| fail(out, id(3), Some(b"alice"), temp, None, true, None)),
        b"FAIL\t3\tuser=alice\tcode=temp_fail\ttemp\n",
    );
    assert_eq!(
        written(|out| fail(
            out,
            id(3),
            Some(b"a\nb"),
            Some(FailCode::PassExpired),
            Some(b"x\tcode=y"),
            false,
            None
        )),
        b"FAIL\t3\tuser=a\x01nb\tcode=pass_expired\treason=x\x01tcode=y\n",
    );
    assert_eq!(
        written(|out| fail(out, id(3), Some(b"alice"), None, None, false, Some(b"{}"))),
        b"FAIL\t3\tuser=alice\tresp=e30=\n",
    );
}

#[test]
fn a_challenge_of_a_single_equals_sign_is_empty() {
    let Reply::Cont { challenge, .. } = Reply::parse(b"CONT\t1\t=").unwrap() else { panic!() };
    assert!(challenge.is_empty());
}

proptest! {
    #[test]
    fn the_handshake_comes_back(major: u32, minor: u32, spid in 1_u32.., cuid: u32, cookie: [u8; 16]) {
        comes_back(&Reply::Version(Version { major, minor }));
        comes_back(&Reply::Spid(spid));
        comes_back(&Reply::Cuid(cuid));
        comes_back(&Reply::Cookie(Cookie::new(cookie)));
    }

    #[test]
    fn mechanisms_come_back(name in "[A-Z0-9_-]{1,20}", flags in prop::sample::subsequence(MechFlag::ALL.to_vec(), 0..9)) {
        comes_back(&Reply::Mech { name: &name, flags: MechFlags::of(&flags) });
    }

    #[test]
    fn challenges_come_back(id in any_id(), challenge: Vec<u8>, kind in proptest::option::of(any_text())) {
        let channel_binding = kind.as_deref().map(Cow::from);
        comes_back(&Reply::Cont { id, challenge: (&challenge).into(), channel_binding: channel_binding.clone() });
        comes_back(&Reply::OutOfBand { id, channel_binding });
    }

    #[test]
    fn ends_come_back(id in any_id(), fields in any_fields()) {
        let fields = fields.as_fields();
        comes_back(&Reply::Ok { id, fields });
        comes_back(&Reply::Fail { id, fields });
        comes_back(&Reply::Cancelled(id));
    }

    #[test]
    fn nothing_a_user_is_named_can_say_more_than_their_name(id in any_id(), user in any_text(), reason in any_text()) {
        let line = written(|out| ok(out, id, &user, Default::default()));
        let Reply::Ok { fields, .. } = Reply::parse(unframed(&line)).unwrap() else { panic!() };
        prop_assert_eq!(fields.iter().count(), 1);
        let found = fields.find(b"user").unwrap();
        prop_assert_eq!(found.value.as_deref(), Some(&user[..]));

        let line = written(|out| fail(out, id, Some(&user), None, Some(&reason), false, None));
        let Reply::Fail { fields, .. } = Reply::parse(unframed(&line)).unwrap() else { panic!() };
        prop_assert_eq!(fields.iter().count(), 2);
        let found = fields.find(b"reason").unwrap();
        prop_assert_eq!(found.value.as_deref(), Some(&reason[..]));
    }

    #[test]
    fn whatever_is_read_is_written_as_one_line_that_means_the_same(
        line in nearly_lines(&["VERSION", "MECH", "SPID", "CUID", "COOKIE", "DONE", "CONT", "OK", "FAIL", "CANCELLED"])
    ) {
        if let Ok(reply) = Reply::parse(&line) {
            comes_back(&reply);
        }
    }
}

fn comes_back(reply: &Reply<'_>) {
    let line = encoded(reply);
    assert_eq!(Reply::parse(unframed(&line)).as_ref(), Ok(reply));
}

fn encoded(reply: &Reply<'_>) -> Vec<u8> {
    written(|out| reply.encode(out))
}
