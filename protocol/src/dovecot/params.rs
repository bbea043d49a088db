//! Parameters of AUTH, USER, PASS and LIST: what the peer knows of a request.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::error::Malformed;
use crate::scan::find;
use crate::text::{Encoded, Shown, unescape};

use super::fields::{Field, Fields, Segments, halves};
use super::grammar::{TWO_LINES, digits};

/// How the remote's connection is protected, as the peer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secured {
    /// Not said, so not at all.
    #[default]
    No,
    /// `secured`: by TLS, or because it is local or from a trusted network.
    Yes,
    /// `secured=tls`: by TLS up to the previous hop.
    Tls,
}

/// The parameters that have a meaning, and the list that they came in.
///
/// Made from a list by [`Params::of`], in one pass. What every login is judged by is kept where it stands in the list,
/// and is only read when it is asked for; all else is looked for in the list then. Of several parameters of one name the
/// last counts, as it does for Dovecot. Encoders write `fields` and nothing else of it.
///
/// Addresses and ports that are empty or unparsable are `None`: Postfix writes `rip=` when it knows none.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Params<'a> {
    /// All parameters, known and unknown, as they came; without `resp=`.
    pub fields: Fields<'a>,
    /// `secured` or `secured=tls`
    pub secured: Secured,
    /// `valid-client-cert`: the remote's certificate was verified.
    pub valid_client_cert: bool,
    /// `no-penalty`: failures of this request shall not count against its address.
    pub no_penalty: bool,
    /// `final-resp-ok`: the last SASL data of the server may come as `resp=` of OK.
    pub final_resp_ok: bool,
    /// `nologin`: no REQUEST will follow.
    pub nologin: bool,
    /// `debug`: the peer would like this request to be logged in detail.
    pub debug: bool,
    /// Whether anything in the list is escaped. If not, none of these has to be looked through for it.
    escaped: bool,
    service: Option<&'a [u8]>,
    session: Option<&'a [u8]>,
    cert_username: Option<&'a [u8]>,
    forward_fields: Option<&'a [u8]>,
    lip: Option<&'a [u8]>,
    rip: Option<&'a [u8]>,
    real_lip: Option<&'a [u8]>,
    lport: Option<&'a [u8]>,
}

impl<'a> Params<'a> {
    /// Reads a list.
    pub fn of(fields: Fields<'a>) -> Self {
        let mut params = Self { fields, ..Self::default() };
        for segment in Segments::of(fields.raw()) {
            params.note(segment);
        }
        params
    }

    /// Reads the list of AUTH into new parameters: `param [TAB param]* [TAB resp=<base64>]`.
    ///
    /// `resp=` must be the last one: it is the one that the remote user writes, so nothing that the remote user
    /// might have smuggled into it can become a parameter.
    pub(super) fn read(&mut self, raw: &'a [u8]) -> Result<Option<Encoded<'a>>, Malformed> {
        if raw.contains(&b'\n') {
            return Err(TWO_LINES);
        }
        self.fields = Fields::of_line(raw);
        let mut segments = Segments::of(raw);
        while let Some(segment) = segments.next() {
            if self.note(segment) == Noted::Response {
                return self.response(segment, raw, segments.rest().is_none());
            }
        }
        Ok(None)
    }

    /// `resp=` has come up, as the last part of the list or not.
    #[inline]
    fn response(
        &mut self,
        segment: &'a [u8],
        raw: &'a [u8],
        last: bool,
    ) -> Result<Option<Encoded<'a>>, Malformed> {
        let ((_, Some(text)), true) = (halves(segment), last) else {
            return Err(Malformed::new("AUTH", "resp=<base64> as its last parameter"));
        };
        let before = raw.len().saturating_sub(segment.len() + 1);
        self.fields = Fields::of_line(raw.get(..before).unwrap_or_default());
        Ok(Some(Encoded::of_field(text)))
    }

    /// `service=` (Dovecot 2.3, Postfix, Exim) or `protocol=` (Dovecot 2.4): imap, pop3, smtp, lmtp, doveadm ...
    #[inline]
    pub fn service(&self) -> Option<Cow<'a, [u8]>> {
        self.text(self.service)
    }

    /// Whether the peer says for which service it asks, as it must.
    pub(super) const fn has_service(&self) -> bool {
        self.service.is_some()
    }

    /// `session=`: the session's id for logs.
    #[inline]
    pub fn session(&self) -> Option<Cow<'a, [u8]>> {
        self.text(self.session)
    }

    /// `cert_username=`: the name in the remote's certificate.
    #[inline]
    pub fn cert_username(&self) -> Option<Cow<'a, [u8]>> {
        self.text(self.cert_username)
    }

    /// `client_id=`: what the remote said in IMAP's ID command, in IMAP's syntax.
    pub fn client_id(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"client_id")
    }

    /// `local_name=`: the name that the remote asked for in TLS (SNI).
    pub fn local_name(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"local_name")
    }

    /// `forward_fields=`: a list within the list, see [`Params::forward`].
    #[inline]
    pub fn forward_fields(&self) -> Option<Cow<'a, [u8]>> {
        self.text(self.forward_fields)
    }

    /// `ssl_ja3_hash=` (2.4.0)
    pub fn ssl_ja3_hash(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"ssl_ja3_hash")
    }

    /// `ssl_client_cert_fp=` (2.4.2)
    pub fn ssl_client_cert_fp(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"ssl_client_cert_fp")
    }

    /// `ssl_client_cert_pubkey_fp=` (2.4.2)
    pub fn ssl_client_cert_pubkey_fp(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"ssl_client_cert_pubkey_fp")
    }

    /// `transport=`: documented by Dovecot, though no release sends it; like the next four.
    pub fn transport(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"transport")
    }

    /// `tls_cipher=`
    pub fn tls_cipher(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"tls_cipher")
    }

    /// `tls_cipher_bits=`
    pub fn tls_cipher_bits(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"tls_cipher_bits")
    }

    /// `tls_pfs=`
    pub fn tls_pfs(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"tls_pfs")
    }

    /// `tls_protocol=`
    pub fn tls_protocol(&self) -> Option<Cow<'a, [u8]>> {
        self.other(b"tls_protocol")
    }

    /// `lip=`: the local address, possibly forwarded by a proxy.
    pub fn lip(&self) -> Option<IpAddr> {
        address(&self.text(self.lip)?)
    }

    /// `rip=`: the remote address, possibly forwarded by a proxy.
    pub fn rip(&self) -> Option<IpAddr> {
        address(&self.rip_text()?)
    }

    /// `rip=` as it was said, address or not.
    #[inline]
    pub fn rip_text(&self) -> Option<Cow<'a, [u8]>> {
        self.text(self.rip)
    }

    /// `lport=`
    pub fn lport(&self) -> Option<u16> {
        port(&self.text(self.lport)?)
    }

    /// `rport=`
    pub fn rport(&self) -> Option<u16> {
        port(&self.other(b"rport")?)
    }

    /// `real_lip=`: the local address of the socket. Sent, like the next three, only where it differs.
    pub fn real_lip(&self) -> Option<IpAddr> {
        address(&self.text(self.real_lip)?)
    }

    /// `real_rip=`: the remote address of the socket.
    pub fn real_rip(&self) -> Option<IpAddr> {
        address(&self.other(b"real_rip")?)
    }

    /// `real_lport=`
    pub fn real_lport(&self) -> Option<u16> {
        port(&self.other(b"real_lport")?)
    }

    /// `real_rport=`
    pub fn real_rport(&self) -> Option<u16> {
        port(&self.other(b"real_rport")?)
    }

    /// The fields that a trusted proxy passed on (`x-forward-*`), from the value of `forward_fields`.
    pub fn forward(fields: &[u8]) -> impl Iterator<Item = Field<'_>> {
        Fields::of_line(fields).iter()
    }

    fn note(&mut self, segment: &'a [u8]) -> Noted {
        let escaped = find(0x01, segment).is_some();
        let (key, value) = halves(segment);
        let key = if escaped { unescape(key) } else { Cow::Borrowed(key) };
        match &*key {
            b"service" | b"protocol" => self.service = value,
            b"session" => self.session = value,
            b"cert_username" => self.cert_username = value,
            b"forward_fields" => self.forward_fields = value,
            b"lip" => self.lip = value,
            b"rip" => self.rip = value,
            b"real_lip" => self.real_lip = value,
            b"lport" => self.lport = value,
            b"secured" if value == Some(b"tls") => self.secured = Secured::Tls,
            b"secured" => self.secured = Secured::Yes,
            b"valid-client-cert" => self.valid_client_cert = true,
            b"no-penalty" => self.no_penalty = true,
            b"final-resp-ok" => self.final_resp_ok = true,
            b"nologin" => self.nologin = true,
            b"debug" => self.debug = true,
            b"resp" => return Noted::Response,
            _ => {}
        }
        self.escaped |= escaped;
        Noted::Parameter
    }

    #[inline]
    fn text(&self, value: Option<&'a [u8]>) -> Option<Cow<'a, [u8]>> {
        match value {
            Some(value) if self.escaped => Some(unescape(value)),
            Some(value) => Some(Cow::Borrowed(value)),
            None => None,
        }
    }

    /// One that is not kept.
    fn other(&self, key: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.fields.find(key)?.value
    }
}

/// What a part of a list was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Parameter,
    /// `resp=`, which is none.
    Response,
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Params")
            .field("service", &self.service().as_deref().map(Shown))
            .field("secured", &self.secured)
            .field("session", &self.session().as_deref().map(Shown))
            .field("rip", &self.rip())
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// An address in its usual notation; `None` for anything else. Most are of IPv4.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    ipv4(text).map(IpAddr::V4).or_else(|| read(text))
}

/// `d.d.d.d`, each 0 to 255 without a needless 0 in front: some read that as octal.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (first, [b'.', rest @ ..]) = octet(text)? else { return None };
    let (second, [b'.', rest @ ..]) = octet(rest)? else { return None };
    let (third, [b'.', rest @ ..]) = octet(rest)? else { return None };
    let (fourth, []) = octet(rest)? else { return None };
    Some(Ipv4Addr::new(first, second, third, fourth))
}

#[inline]
fn octet(text: &[u8]) -> Option<(u8, &[u8])> {
    let value = |digit: &u8| u16::from(digit - b'0');
    let (number, rest) = match text {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            (100 * value(a) + 10 * value(b) + value(c), rest)
        }
        [a @ b'1'..=b'9', b @ b'0'..=b'9', rest @ ..] => (10 * value(a) + value(b), rest),
        [a @ b'0'..=b'9', rest @ ..] => (value(a), rest),
        _ => return None,
    };
    Some((number.try_into().ok()?, rest))
}

/// A port in its usual notation; `None` for anything else.
fn port(text: &[u8]) -> Option<u16> {
    match digits(text) {
        Ok(([], number)) => number.try_into().ok(),
        _ => read(text),
    }
}

/// A value in its usual notation; `None` for any other.
fn read<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
