//! Whatever ends up in a log by way of `{:?}`: no type of this crate may show what grants access.

use std::fmt::Debug;

use bytes::BytesMut;
use gatepost_protocol::dovecot::{Cookie, FieldsBuf, auth, master, reply};
use gatepost_protocol::postfix::{socketmap, tcp_table};
use gatepost_protocol::sasl::{OAuthBearer, Plain, XOAuth2};
use gatepost_protocol::saslauthd;
use gatepost_protocol::secret::{Scratch, Secret};
use gatepost_protocol::text::{Encoded, base64_into};

const PASSWORD: &str = "hunter2";
const COOKIE: &str = "69e1a8ba17881df894b135f8a8d853f9";

#[test]
fn debug_shows_no_password_in_any_spelling() {
    let response = format!("\0alice\0{PASSWORD}");
    let encoded = base64(&response);
    let auth =
        format!("AUTH\t1\tPLAIN\tservice=imap\tsession=e1\tforward_fields=pass={PASSWORD}\tpass={PASSWORD}");
    let mut fields = FieldsBuf::default();
    fields.push("user", "alice");
    fields.push("pass", PASSWORD);
    fields.push("resp", &encoded);

    let mut shown = String::new();
    for line in [
        format!("{auth}\tresp={encoded}"),
        format!("{auth}\tresp={PASSWORD}"),
        format!("CONT\t1\t{encoded}"),
        format!("CONT\t1\t{encoded}\tchannel_binding={encoded}\tpass={PASSWORD}"),
    ] {
        show(&mut shown, &auth::Command::parse(line.as_bytes()).unwrap());
    }
    for line in [
        format!("CONT\t1\t{}", base64(PASSWORD)),
        format!("OK\t1\tuser=alice\tproxy\tpass={PASSWORD}\tresp={encoded}"),
        format!("FAIL\t1\tresp={encoded}\tpass={PASSWORD}"),
    ] {
        show(&mut shown, &reply::Reply::parse(line.as_bytes()).unwrap());
    }
    for word in ["USER", "PASS"] {
        let line = format!("{word}\t1\talice\tservice=lmtp\tpass={PASSWORD}");
        show(&mut shown, &master::Command::parse(line.as_bytes()).unwrap());
    }
    for line in [
        format!("USER\t1\talice\tauth_token={PASSWORD}"),
        format!("PASS\t1\tuser=alice\tproxy\tpass={PASSWORD}"),
        format!("FAIL\t1\treason=x\tpass={PASSWORD}"),
        format!("OK\t1\tpass={PASSWORD}"),
    ] {
        show(&mut shown, &master::Reply::parse(line.as_bytes()).unwrap());
    }
    show(&mut shown, &fields);
    show(&mut shown, &fields.as_fields());
    show(&mut shown, &fields.as_fields().find(b"pass"));
    show(&mut shown, &Plain::parse(response.as_bytes()).unwrap());
    show(&mut shown, &Plain::parse(response.as_bytes()).unwrap().encode());
    for (pairs, bearer) in [("user=alice", false), ("n,a=alice,", true)] {
        let response = format!("{pairs}\x01auth=Bearer {PASSWORD}\x01\x01");
        if bearer {
            show(&mut shown, &OAuthBearer::parse(response.as_bytes()).unwrap());
        } else {
            show(&mut shown, &XOAuth2::parse(response.as_bytes()).unwrap());
        }
    }
    show(&mut shown, &Secret::new(PASSWORD.into()));
    show(&mut shown, &Encoded::new(encoded.as_bytes()).unwrap());
    show(&mut shown, &Encoded::new(encoded.as_bytes()).unwrap().decode());
    let mut scratch = Scratch::new();
    show(&mut shown, &Encoded::new(encoded.as_bytes()).unwrap().decode_into(&mut scratch));
    show(&mut shown, &scratch);
    let saslauthd = [b"\0\x05alice\0\x07", PASSWORD.as_bytes(), b"\0\x04imap\0\0"].concat();
    let request = saslauthd::Request::cut(&mut &saslauthd[..]).unwrap().unwrap();
    show(&mut shown, &request);
    show(&mut shown, &request.encode());
    // Maps may hold passwords, as `smtp_sasl_password_maps` does.
    let value = format!("alice:{PASSWORD}");
    show(&mut shown, &socketmap::Reply::parse(format!("OK {value}").as_bytes()).unwrap());
    show(&mut shown, &tcp_table::Reply::parse(format!("200 {value}").as_bytes()).unwrap());

    assert!(shown.contains("alice") && shown.contains("imap"), "something is shown at all: {shown}");
    let numbers = PASSWORD.bytes().take(3).map(|byte| byte.to_string()).collect::<Vec<_>>();
    for spelling in
        [PASSWORD.to_owned(), encoded.clone(), base64(PASSWORD), numbers.join(", "), numbers.join(",\n")]
    {
        assert!(!shown.contains(&spelling), "{spelling:?} is in {shown}");
    }
}

#[test]
fn debug_shows_no_cookie_in_any_spelling() {
    let mut shown = String::new();
    show(&mut shown, &Cookie::parse(COOKIE.as_bytes()).unwrap());
    show(&mut shown, &reply::Reply::parse(format!("COOKIE\t{COOKIE}").as_bytes()).unwrap());
    let request = format!("REQUEST\t1\t4711\t3\t{COOKIE}\tsession_pid=5");
    show(&mut shown, &master::Command::parse(request.as_bytes()).unwrap());

    assert!(shown.contains("4711"), "something is shown at all: {shown}");
    for spelling in
        [COOKIE.to_owned(), COOKIE.to_uppercase(), "69, e1".into(), "105, 225".into(), "\\xe1".into()]
    {
        assert!(!shown.contains(&spelling), "{spelling:?} is in {shown}");
    }
}

#[test]
fn an_error_does_not_quote_the_line_that_it_is_about() {
    let mut shown = String::new();
    for line in [
        format!("{PASSWORD}\t1"),
        format!("AUTH\t{PASSWORD}\tPLAIN\tservice=imap"),
        format!("AUTH\t1\tPLAIN\tresp={PASSWORD}"),
        format!("CONT\t{PASSWORD}\t1"),
        format!("REQUEST\t1\t2\t3\t{PASSWORD}"),
    ] {
        show(&mut shown, &auth::Command::parse(line.as_bytes()).unwrap_err());
        show(&mut shown, &master::Command::parse(line.as_bytes()).unwrap_err());
        show(&mut shown, &reply::Reply::parse(line.as_bytes()).unwrap_err());
        shown.push_str(&auth::Command::parse(line.as_bytes()).unwrap_err().to_string());
    }
    assert!(!shown.contains(PASSWORD), "{shown}");
}

fn show(shown: &mut String, value: &impl Debug) {
    shown.push_str(&format!("{value:?}\n{value:#?}\n"));
}

fn base64(value: &str) -> String {
    let mut out = BytesMut::new();
    base64_into(value.as_bytes(), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
