//! The line that nearly every login begins with, read for what memory is asked with and no more.

use std::net::IpAddr;

use crate::dovecot::params::address;
use crate::dovecot::{RequestId, grammar};
use crate::scan::{Marks, any_mark};
use crate::text::Encoded;

/// A mechanism with which everything is in the first response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneStep {
    /// `PLAIN`
    Plain,
    /// `OAUTHBEARER`
    OAuthBearer,
    /// `XOAUTH2`
    XOAuth2,
}

/// `"AUTH" TAB <id> TAB <mechanism> [TAB <param>]* TAB "resp=" <base64>`, with no escapes in it; the mechanism is `PLAIN`,
/// `OAUTHBEARER` or `XOAUTH2`, in any case.
///
/// Whatever is out of the ordinary (another mechanism, an escape, a parameter that is only nearly one of those below,
/// `forward_fields=`, no `resp=`) is left to [`Command::parse`](super::Command::parse); so is whatever is wrong. What
/// this reads, that reads the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usual<'a> {
    /// New on this connection, which the session checks.
    pub id: RequestId,
    /// How somebody wants to prove who they are.
    pub mechanism: OneStep,
    /// `service=` or `protocol=`
    pub service: &'a [u8],
    /// `session=`
    pub session: Option<&'a [u8]>,
    /// `rip=` as it was said, address or not.
    pub rip_text: Option<&'a [u8]>,
    /// `resp=`
    pub response: Encoded<'a>,
}

impl<'a> Usual<'a> {
    /// Reads a line without its end. `None`: it is to be read in the usual way.
    #[inline]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (args, id) = grammar::id(line.strip_prefix(b"AUTH")?).ok()?;
        let (mechanism, list) = match args.split_first_chunk::<7>()? {
            (name, list) if name.eq_ignore_ascii_case(b"\tPLAIN\t") => (OneStep::Plain, list),
            _ => of_tokens(args)?,
        };
        let (mut service, mut session, mut rip_text) = (None, None, None);
        let mut marks = Marks::of(list);
        let mut begin = 0;
        let response = loop {
            let rest = list.get(begin..)?;
            let key = u32::from_le_bytes(*rest.first_chunk()?);
            if key == RESP {
                break rest.strip_prefix(b"resp=")?;
            }
            let end = next_tab(&mut marks, list)?;
            // What is shorter than the key that was read is out of the ordinary.
            let segment = list.get(begin..end).filter(|segment| segment.len() >= 4)?;
            begin = end + 1;
            let (to, value) = match key {
                SERV => (&mut service, segment.strip_prefix(b"service=")?),
                PROT => (&mut service, segment.strip_prefix(b"protocol=")?),
                SESS => (&mut session, segment.strip_prefix(b"session=")?),
                RIP => (&mut rip_text, segment.get(4..)?),
                FORW => return None,
                _ => continue,
            };
            *to = Some(value);
        };
        // It must be the last one, and may be long.
        if any_mark(response) {
            return None;
        }
        let response = Encoded::of_field(response);
        Some(Self { id, mechanism, service: service?, session, rip_text, response })
    }

    /// `rip=`: the remote address, possibly forwarded by a proxy.
    #[inline]
    pub fn rip(&self) -> Option<IpAddr> {
        address(self.rip_text?)
    }
}

/// Where the next TAB stands; `None`: nowhere, or something else stands before it that means something on a line.
#[inline]
fn next_tab(marks: &mut Marks<'_>, list: &[u8]) -> Option<usize> {
    loop {
        let at = marks.next()?;
        match list.get(at)? {
            b'\t' => return Some(at),
            // Means nothing, and is taken for something behind a TAB.
            0x0e => {}
            _ => return None,
        }
    }
}

/// The mechanism, and what stands behind it.
fn of_tokens(args: &[u8]) -> Option<(OneStep, &[u8])> {
    match args.split_first_chunk::<9>()? {
        (name, list) if name.eq_ignore_ascii_case(b"\tXOAUTH2\t") => Some((OneStep::XOAuth2, list)),
        _ => {
            let (name, list) = args.split_first_chunk::<13>()?;
            name.eq_ignore_ascii_case(b"\tOAUTHBEARER\t").then_some((OneStep::OAuthBearer, list))
        }
    }
}

// How they begin, as numbers.
const FORW: u32 = u32::from_le_bytes(*b"forw");
const PROT: u32 = u32::from_le_bytes(*b"prot");
const RESP: u32 = u32::from_le_bytes(*b"resp");
const RIP: u32 = u32::from_le_bytes(*b"rip=");
const SERV: u32 = u32::from_le_bytes(*b"serv");
const SESS: u32 = u32::from_le_bytes(*b"sess");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{OneStep, Usual};
    use crate::dovecot::auth::Command;
    use crate::dovecot::testing::nearly_lines;

    /// What is read at once is what is read otherwise. Whether it was.
    fn agrees(line: &[u8]) -> bool {
        let Some(usual) = Usual::read(line) else { return false };
        let Ok(Command::Auth(auth)) = Command::parse(line) else {
            panic!("read and not parsed: {}", line.escape_ascii())
        };
        let mechanism: &[u8] = match usual.mechanism {
            OneStep::Plain => b"PLAIN",
            OneStep::OAuthBearer => b"OAUTHBEARER",
            OneStep::XOAuth2 => b"XOAUTH2",
        };
        assert!(auth.mechanism.eq_ignore_ascii_case(mechanism));
        assert_eq!(usual.id, auth.id);
        assert_eq!(Some(usual.service), auth.params.service().as_deref());
        assert_eq!(usual.session, auth.params.session().as_deref());
        assert_eq!(usual.rip_text, auth.params.rip_text().as_deref());
        assert_eq!(usual.rip(), auth.params.rip());
        assert_eq!(Some(usual.response), auth.response);
        assert!(auth.params.forward_fields().is_none());
        true
    }

    #[test]
    fn what_servers_send_all_day_is_usual() {
        for line in [
            &b"AUTH\t1\tPLAIN\tservice=imap\tsecured\tsession=e1\tlip=198.51.100.1\trip=203.0.113.9\tlport=993\trport=4242\tresp=AGEAYg=="[..],
            b"AUTH\t4294967295\tPLAIN\tprotocol=pop3\tfinal-resp-ok\tdebug\trip=192.0.2.1\tresp=AGEAYg==",
            b"AUTH\t1\tplain\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\tsecured\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=\trip=\tresp=",
            b"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tno-penalty\tnologin\tresp=!!!",
            b"AUTH\t2\tPLAIN\tservice=a\tservice=b\trip=1\trip=::1\tresp==",
            b"AUTH\t1\tXOAUTH2\tservice=imap\tsecured=tls\tsession=e1\trip=203.0.113.9\tresp=dXNlcj1h",
            b"AUTH\t1\toauthbearer\tservice=smtp\tnologin\tresp=bixhPWE=",
        ] {
            assert!(agrees(line), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_alone() {
        for line in [
            &b"AUTH\t1\tLOGIN\tservice=imap\tresp=AGEAYg=="[..],
            b"AUTH\t0\tPLAIN\tservice=imap\tresp=AGEAYg==",
            b"AUTH\t1\tXOAUTH2",
            b"AUTH\t1\tXOAUTH\tservice=imap\tresp=AGEAYg==",
            b"AUTH\t1\tOAUTHBEARER",
            b"AUTH\t1\tOAUTHBEARERS\tservice=imap\tresp=AGEAYg==",
            b"AUTH\t1\tXOAUTH2\tservice=imap",
            b"AUTH\t1\tPLAIN\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=imap",
            b"AUTH\t1\tPLAIN\tservice=imap\tresp",
            b"AUTH\t1\tPLAIN\tservice=imap\tresp=AGEAYg==\tnologin",
            b"AUTH\t1\tPLAIN\tservice=imap\tresp=AGEAYg==\t",
            b"AUTH\t1\tPLAIN\tservice=imap\trip\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=im\x01tap\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=imap\tforward_fields=a\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservices=imap\tservice=imap\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=imap\n\tresp=AGEAYg==",
            b"AUTH\t1\tPLAIN\tservice=imap\r\tresp=AGEAYg==",
            b"AUTHX\t1\tPLAIN\tservice=imap\tresp=AGEAYg==",
            b"AUTH 1\tPLAIN\tservice=imap\tresp=AGEAYg==",
        ] {
            assert!(!agrees(line), "{}", line.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_line_that_is_read_at_once_is_read_the_same(
            tail in nearly_lines(&["service=imap", "protocol=x", "AUTH"]),
            id in 0_u32..3,
            mechanism in prop::sample::select(&["PLAIN", "XOAUTH2", "OAUTHBEARER", "xoauth2", "LOGIN"][..]),
            response in prop::option::of("[A-Za-z0-9+/=]{0,12}"),
        ) {
            let mut line = format!("AUTH\t{id}\t{mechanism}\t").into_bytes();
            line.extend(tail);
            if let Some(response) = response {
                line.extend(format!("\tresp={response}").into_bytes());
            }
            agrees(&line);
        }

        #[test]
        fn any_bytes_that_are_read_at_once_are_read_the_same(
            mechanism in prop::sample::select(&["PLAIN", "XOAUTH2", "OAUTHBEARER"][..]),
            tail in prop::collection::vec(prop_oneof![
                prop::sample::select(&b"\t\n\r\0\x01\x0e=servic"[..]), any::<u8>()], 0..60),
        ) {
            let mut line = format!("AUTH\t7\t{mechanism}\tservice=imap\t").into_bytes();
            line.extend(tail);
            line.extend(b"\tresp=AGEAYg==");
            agrees(&line);
        }
    }
}
