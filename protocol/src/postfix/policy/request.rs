//! What smtpd asks.

use std::fmt;
use std::net::IpAddr;

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;
use crate::text::Shown;

use super::{Attributes, REQUEST};

mod table;

use self::table::{ATTRIBUTES, place_of};

/// `"request=" <kind>`: Postfix only ever says the one.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind<'a> {
    /// `smtpd_access_policy`
    #[default]
    AccessPolicy,
    /// Anything else: for whoever answers to say that it does not concern them.
    Other(&'a [u8]),
}

/// `"protocol_state=" <state>`: how far SMTP has come.
///
/// With `smtpd_delay_reject = yes`, which is the default, whatever is configured for a client, its HELO and its sender is
/// asked at `RCPT` as well, once for each recipient.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State<'a> {
    /// `CONNECT`
    Connect,
    /// `EHLO`
    Ehlo,
    /// `HELO`
    Helo,
    /// `MAIL`
    Mail,
    /// `RCPT`
    Rcpt,
    /// `DATA`, also for BDAT.
    Data,
    /// `END-OF-MESSAGE`
    EndOfMessage,
    /// `VRFY`
    Vrfy,
    /// `ETRN`
    Etrn,
    /// One that this crate does not know. Not empty.
    Other(&'a [u8]),
}

impl<'a> State<'a> {
    const KNOWN: [Self; 9] = [
        Self::Connect,
        Self::Ehlo,
        Self::Helo,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::EndOfMessage,
        Self::Vrfy,
        Self::Etrn,
    ];

    /// As spelt on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Connect => b"CONNECT",
            Self::Ehlo => b"EHLO",
            Self::Helo => b"HELO",
            Self::Mail => b"MAIL",
            Self::Rcpt => b"RCPT",
            Self::Data => b"DATA",
            Self::EndOfMessage => b"END-OF-MESSAGE",
            Self::Vrfy => b"VRFY",
            Self::Etrn => b"ETRN",
            Self::Other(state) => state,
        }
    }

    fn of(value: &'a [u8]) -> Self {
        Self::KNOWN.into_iter().find(|state| state.as_bytes() == value).unwrap_or(Self::Other(value))
    }
}

impl fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.as_bytes()).fmt(f)
    }
}

impl<'a> Kind<'a> {
    const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::AccessPolicy => b"smtpd_access_policy",
            Self::Other(kind) => kind,
        }
    }

    fn of(value: &'a [u8]) -> Self {
        if value == Self::AccessPolicy.as_bytes() { Self::AccessPolicy } else { Self::Other(value) }
    }
}

/// Everything that Postfix up to 3.12 says of a mail, by name, and whatever else was said.
///
/// An empty value is an unknown one, and `None` here, like one that was not said at all. Of several of one name the first
/// one counts, even if it is empty, as it does for Postfix's own reader. Nothing is copied.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Request<'a> {
    /// `request`. Without it a block is no request.
    pub request: Kind<'a>,
    /// `protocol_state`
    pub protocol_state: Option<State<'a>>,
    /// `protocol_name`: `SMTP` or `ESMTP`.
    pub protocol_name: Option<&'a [u8]>,
    /// `client_address`, which [`Request::client_ip`] reads.
    pub client_address: Option<&'a [u8]>,
    /// `client_name`: `unknown` unless it leads to the address and back.
    pub client_name: Option<&'a [u8]>,
    /// `client_port`, since 3.0
    pub client_port: Option<u16>,
    /// `reverse_client_name`: `unknown` if the address leads to none.
    pub reverse_client_name: Option<&'a [u8]>,
    /// `server_address`, since 3.2
    pub server_address: Option<&'a [u8]>,
    /// `server_port`, since 3.2
    pub server_port: Option<u16>,
    /// `helo_name`, as typed.
    pub helo_name: Option<&'a [u8]>,
    /// `sender`, as typed, without `<>`. From `MAIL` on, none is the null sender.
    pub sender: Option<&'a [u8]>,
    /// `recipient`, as typed, without `<>`. At `RCPT` and `VRFY`; at `DATA` and after it only if there is exactly one.
    pub recipient: Option<&'a [u8]>,
    /// `recipient_count`, since 2.3: 0 before `DATA`.
    pub recipient_count: Option<u64>,
    /// `queue_id`: none before the first recipient was taken.
    pub queue_id: Option<&'a [u8]>,
    /// `instance`: the same in all requests of one mail. None before there is a mail.
    pub instance: Option<&'a [u8]>,
    /// `size` in bytes, since 2.2: what MAIL has announced, 0 for nothing; at `END-OF-MESSAGE` what it really is.
    pub size: Option<u64>,
    /// `etrn_domain`, since 2.3
    pub etrn_domain: Option<&'a [u8]>,
    /// `stress`, since 2.5: `yes` when all smtpds are busy.
    pub stress: Option<&'a [u8]>,
    /// `sasl_method`, since 2.2
    pub sasl_method: Option<&'a [u8]>,
    /// `sasl_username`, since 2.2: who has logged in, as the auth service said it.
    pub sasl_username: Option<&'a [u8]>,
    /// `sasl_sender`, since 2.2: `AUTH=` of MAIL in its xtext. Proves nothing.
    pub sasl_sender: Option<&'a [u8]>,
    /// `ccert_subject`, since 2.2, in xtext, and only of a trusted certificate.
    pub ccert_subject: Option<&'a [u8]>,
    /// `ccert_issuer`, since 2.2, as the subject.
    pub ccert_issuer: Option<&'a [u8]>,
    /// `ccert_fingerprint`, since 2.2: of any certificate, trusted or not.
    pub ccert_fingerprint: Option<&'a [u8]>,
    /// `ccert_pubkey_fingerprint`, since 2.9
    pub ccert_pubkey_fingerprint: Option<&'a [u8]>,
    /// `encryption_protocol`, since 2.3: none without TLS.
    pub encryption_protocol: Option<&'a [u8]>,
    /// `encryption_cipher`, since 2.3
    pub encryption_cipher: Option<&'a [u8]>,
    /// `encryption_keysize` in bits, since 2.3: 0 without TLS.
    pub encryption_keysize: Option<u64>,
    /// `tls_sni`, since 3.12
    pub tls_sni: Option<&'a [u8]>,
    /// `policy_context`, since 3.1: what main.cf says for this service.
    pub policy_context: Option<&'a [u8]>,
    /// `compatibility_level`, since 3.8
    pub compatibility_level: Option<&'a [u8]>,
    /// `mail_version`, since 3.8
    pub mail_version: Option<&'a [u8]>,
    /// All that was said; [`Request::others`] leaves out what has a place above. Of a request that was not read, what is
    /// to be said beside it.
    pub attributes: Attributes<'a>,
}

impl<'a> Request<'a> {
    /// Reads a block without its empty line.
    ///
    /// # Errors
    ///
    /// [`Malformed`] is the peer's fault, and the connection must end: for a line without `=`, a NUL, a number that is
    /// none (ports may be `unknown`), and no `request=`.
    pub fn parse(block: &'a [u8]) -> Result<Self, Malformed> {
        let attributes = Attributes::of_block(block)?;
        let mut request = Self { attributes, ..Self::default() };
        let mut seen = 0_u32;
        let mut next = 0;
        for (name, value) in attributes.iter() {
            let Some(at) = place_of(name, next) else { continue };
            next = at + 1;
            if seen & 1 << at == 0
                && let Some(&(what, access)) = ATTRIBUTES.get(at)
            {
                access(&mut request).fill(what, value)?;
            }
            seen |= 1 << at;
        }
        // It is the first of them all.
        if seen & 1 == 0 {
            return Err(Malformed::new("policy request", "request=<kind>"));
        }
        Ok(request)
    }

    /// Appends the block and its empty line: everything in the order of Postfix 3.12, what is unknown with an empty
    /// value, and then the other attributes. Fails, and appends nothing, where it would be read as something else.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), Malformed> {
        let start = out.len();
        let mut known = self.clone();
        for (name, access) in ATTRIBUTES {
            put(out, name.as_bytes(), &access(&mut known).to_text());
        }
        for (name, value) in self.others() {
            put(out, name, value);
        }
        let written = out.get(start..).unwrap_or_default();
        // A LF in a value would have made two lines of it.
        let lines = written.iter().filter(|&&byte| byte == b'\n').count();
        let sound = lines == ATTRIBUTES.len() + self.others().count()
            && written.len() <= REQUEST
            && Request::parse(written).is_ok_and(|read| read.same_but_for_attributes(self));
        if !sound {
            out.truncate(start);
            return Err(Malformed::new(
                "policy request",
                "values without LF and NUL, and at most 65536 bytes",
            ));
        }
        out.put_u8(b'\n');
        Ok(())
    }

    /// The attributes that have no place of their own, in their order; later ones of the same name too.
    pub fn others(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.attributes.iter().filter(|(name, _)| place_of(name, 0).is_none())
    }

    /// `client_address` as an address.
    pub fn client_ip(&self) -> Option<IpAddr> {
        ip(self.client_address)
    }

    /// `server_address` as an address.
    pub fn server_ip(&self) -> Option<IpAddr> {
        ip(self.server_address)
    }

    fn same_but_for_attributes(&self, other: &Self) -> bool {
        let attributes = Attributes::default();
        let bare = |request: &Self| Self { attributes, ..request.clone() };
        bare(self) == bare(other) && self.others().eq(other.others())
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut known = self.clone();
        let mut map = f.debug_map();
        for (name, access) in ATTRIBUTES {
            let text = access(&mut known).to_text();
            if !text.is_empty() {
                map.entry(&Shown(name.as_bytes()), &Shown(&text));
            }
        }
        map.entries(self.others().map(|(name, value)| (Shown(name), Shown(value)))).finish()
    }
}

fn put(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_u8(b'=');
    out.put_slice(value);
    out.put_u8(b'\n');
}

fn ip(text: Option<&[u8]>) -> Option<IpAddr> {
    std::str::from_utf8(text?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
