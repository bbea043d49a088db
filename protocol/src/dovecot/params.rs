//! Parameters of AUTH, USER, PASS and LIST: what the peer knows of a request.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::error::Malformed;
use crate::text::{Encoded, Shown, unescape};

use super::fields::{Field, Fields, Segments, halves};

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
/// Made from a list by [`Params::of`], in one pass and without an allocation, unless something is escaped. Of several
/// parameters of one name the last counts, as it does for Dovecot. Encoders write `fields` and nothing else of it.
///
/// Addresses and ports that are empty or unparsable are `None`: Postfix writes `rip=` when it knows none.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Params<'a> {
    /// `service=` (Dovecot 2.3, Postfix, Exim) or `protocol=` (Dovecot 2.4): imap, pop3, smtp, lmtp, doveadm ...
    pub service: Option<Cow<'a, [u8]>>,
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
    /// `session=`: the session's id for logs.
    pub session: Option<Cow<'a, [u8]>>,
    /// `cert_username=`: the name in the remote's certificate.
    pub cert_username: Option<Cow<'a, [u8]>>,
    /// `client_id=`: what the remote said in IMAP's ID command, in IMAP's syntax.
    pub client_id: Option<Cow<'a, [u8]>>,
    /// `local_name=`: the name that the remote asked for in TLS (SNI).
    pub local_name: Option<Cow<'a, [u8]>>,
    /// `forward_fields=`: a list within the list, see [`Params::forwarded`].
    pub forward_fields: Option<Cow<'a, [u8]>>,
    /// `ssl_ja3_hash=` (2.4.0)
    pub ssl_ja3_hash: Option<Cow<'a, [u8]>>,
    /// `ssl_client_cert_fp=` (2.4.2)
    pub ssl_client_cert_fp: Option<Cow<'a, [u8]>>,
    /// `ssl_client_cert_pubkey_fp=` (2.4.2)
    pub ssl_client_cert_pubkey_fp: Option<Cow<'a, [u8]>>,
    /// `transport=`: documented by Dovecot, though no release sends it; like the next four.
    pub transport: Option<Cow<'a, [u8]>>,
    /// `tls_cipher=`
    pub tls_cipher: Option<Cow<'a, [u8]>>,
    /// `tls_cipher_bits=`
    pub tls_cipher_bits: Option<Cow<'a, [u8]>>,
    /// `tls_pfs=`
    pub tls_pfs: Option<Cow<'a, [u8]>>,
    /// `tls_protocol=`
    pub tls_protocol: Option<Cow<'a, [u8]>>,
    /// `lip=`: the local address, possibly forwarded by a proxy.
    pub lip: Option<IpAddr>,
    /// `rip=`: the remote address, possibly forwarded by a proxy.
    pub rip: Option<IpAddr>,
    /// `lport=`
    pub lport: Option<u16>,
    /// `rport=`
    pub rport: Option<u16>,
    /// `real_lip=`: the local address of the socket. Sent, like the next three, only where it differs.
    pub real_lip: Option<IpAddr>,
    /// `real_rip=`: the remote address of the socket.
    pub real_rip: Option<IpAddr>,
    /// `real_lport=`
    pub real_lport: Option<u16>,
    /// `real_rport=`
    pub real_rport: Option<u16>,
    /// All parameters, known and unknown, as they came; without `resp=`.
    pub fields: Fields<'a>,
}

impl<'a> Params<'a> {
    /// Reads a list.
    pub fn of(fields: Fields<'a>) -> Self {
        let mut params = Self { fields, ..Self::default() };
        for (key, value) in Segments::of(fields.raw()).map(halves) {
            params.note(key, value);
        }
        params
    }

    /// Reads the list of AUTH: `param [TAB param]* [TAB resp=<base64>]`.
    ///
    /// `resp=` must be the last one: it is the one that the remote user writes, so nothing that the remote user
    /// might have smuggled into it can become a parameter.
    pub(super) fn with_response(raw: &'a [u8]) -> Result<(Self, Option<Encoded<'a>>), Malformed> {
        let mut params = Self { fields: Fields::of_line(raw), ..Self::default() };
        let mut segments = Segments::of(raw);
        let mut before = 0;
        while let Some(segment) = segments.next() {
            let (key, value) = halves(segment);
            if is_response(key) {
                return match (value, segments.rest()) {
                    (Some(text), None) => {
                        params.fields = Fields::of_line(raw.get(..before).unwrap_or_default());
                        Ok((params, Some(Encoded::of_field(text))))
                    }
                    _ => Err(Malformed::new("AUTH", "resp=<base64> as its last parameter")),
                };
            }
            params.note(key, value);
            before = raw.len() - segments.rest().map_or(0, |rest| rest.len() + 1);
        }
        Ok((params, None))
    }

    /// The fields that a trusted proxy passed on (`x-forward-*`), from `forward_fields`.
    pub fn forwarded(&self) -> impl Iterator<Item = Field<'_>> {
        Self::forward(self.forward_fields.as_deref().unwrap_or_default())
    }

    /// The same of a value that was kept.
    pub fn forward(fields: &[u8]) -> impl Iterator<Item = Field<'_>> {
        Fields::of_line(fields).iter()
    }

    fn note(&mut self, key: &[u8], value: Option<&'a [u8]>) {
        if !self.set(key, value)
            && let Cow::Owned(key) = unescape(key)
        {
            self.set(&key, value);
        }
    }

    /// Whether `key` is one of ours.
    fn set(&mut self, key: &[u8], value: Option<&'a [u8]>) -> bool {
        let text = || value.map(unescape);
        match key {
            b"service" | b"protocol" => self.service = text(),
            b"secured" if value == Some(b"tls") => self.secured = Secured::Tls,
            b"secured" => self.secured = Secured::Yes,
            b"valid-client-cert" => self.valid_client_cert = true,
            b"no-penalty" => self.no_penalty = true,
            b"final-resp-ok" => self.final_resp_ok = true,
            b"nologin" => self.nologin = true,
            b"debug" => self.debug = true,
            b"session" => self.session = text(),
            b"cert_username" => self.cert_username = text(),
            b"client_id" => self.client_id = text(),
            b"local_name" => self.local_name = text(),
            b"forward_fields" => self.forward_fields = text(),
            b"ssl_ja3_hash" => self.ssl_ja3_hash = text(),
            b"ssl_client_cert_fp" => self.ssl_client_cert_fp = text(),
            b"ssl_client_cert_pubkey_fp" => self.ssl_client_cert_pubkey_fp = text(),
            b"transport" => self.transport = text(),
            b"tls_cipher" => self.tls_cipher = text(),
            b"tls_cipher_bits" => self.tls_cipher_bits = text(),
            b"tls_pfs" => self.tls_pfs = text(),
            b"tls_protocol" => self.tls_protocol = text(),
            b"lip" => self.lip = read(value),
            b"rip" => self.rip = read(value),
            b"lport" => self.lport = read(value),
            b"rport" => self.rport = read(value),
            b"real_lip" => self.real_lip = read(value),
            b"real_rip" => self.real_rip = read(value),
            b"real_lport" => self.real_lport = read(value),
            b"real_rport" => self.real_rport = read(value),
            _ => return false,
        }
        true
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Params")
            .field("service", &self.service.as_deref().map(Shown))
            .field("secured", &self.secured)
            .field("session", &self.session.as_deref().map(Shown))
            .field("rip", &self.rip)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

fn is_response(key: &[u8]) -> bool {
    key == b"resp" || (key.contains(&0x01) && *unescape(key) == *b"resp")
}

/// A value in its usual notation; `None` for any other.
fn read<T: std::str::FromStr>(value: Option<&[u8]>) -> Option<T> {
    let value = unescape(value?);
    std::str::from_utf8(&value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
