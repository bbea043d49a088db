//! What a peer says on an auth-client socket.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;
use crate::scan::any_mark;
use crate::text::{Encoded, Shown, escape_into, unescape};

mod usual;

pub use self::usual::{OneStep, Usual};
use super::grammar::{self, TWO_LINES, whole};
use super::{Fields, Params, RequestId, Version, put, put_fields};

/// One line from a login process, Postfix, Exim or doveadm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `"VERSION" TAB <major> TAB <minor>`
    Version(Version),
    /// `"CPID" TAB <pid>`: who the peer is; ends its half of the handshake. Never 0.
    Cpid(u32),
    /// A login begins.
    Auth(Auth<'a>),
    /// A login goes on.
    Cont(Cont<'a>),
    /// `"CANCEL" TAB <id>`: a login is given up.
    Cancel(RequestId),
}

impl<'a> Command<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    ///
    /// [`Malformed`] is the peer's fault, and the connection must end. Base64 is not looked at here: that it is
    /// wrong is the remote user's fault and ends one request only.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        if let Some((b"AUTH", args)) = line.split_first_chunk() {
            // The usual one is looked at only once: what reads its parts refuses a LF as well.
            return Auth::parse(args);
        }
        let (word, args) = grammar::word(line)?;
        match word {
            b"VERSION" => grammar::version(args).map(Self::Version),
            b"CPID" => whole("CPID", "<pid>", grammar::positive, args).map(Self::Cpid),
            b"CONT" => Cont::parse(args).map(Self::Cont),
            b"CANCEL" => whole("CANCEL", "<id>", grammar::id, args).map(Self::Cancel),
            _ => Err(Malformed::new("line", "VERSION, CPID, AUTH, CONT or CANCEL")),
        }
    }

    /// Appends the line with its LF.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Version(version) => version.encode(out),
            Self::Cpid(pid) => put(out, format_args!("CPID\t{pid}\n")),
            Self::Auth(auth) => auth.encode(out),
            Self::Cont(cont) => cont.encode(out),
            Self::Cancel(id) => put(out, format_args!("CANCEL\t{id}\n")),
        }
    }
}

/// `"AUTH" TAB <id> TAB <mechanism> [TAB <param>]* [TAB "resp=" <base64>]`
#[derive(Clone, PartialEq, Eq)]
pub struct Auth<'a> {
    /// New on this connection, which the session checks.
    pub id: RequestId,
    /// As the remote typed it: compare ignoring case. Not empty.
    pub mechanism: Cow<'a, [u8]>,
    /// `service=` or `protocol=` is among them.
    pub params: Params<'a>,
    /// The initial response: `None` without `resp=`, [blank](Encoded::is_blank) with nothing after it.
    pub response: Option<Encoded<'a>>,
}

impl<'a> Auth<'a> {
    #[inline]
    fn parse(args: &'a [u8]) -> Result<Command<'a>, Malformed> {
        const HEAD: Malformed = Malformed::new("AUTH", "<id> TAB <mechanism>");
        let (rest, id) = grammar::id(args).map_err(|_| HEAD)?;
        let (list, name) = grammar::raw(rest).map_err(|_| HEAD)?;
        let mechanism = match any_mark(name) {
            false => Cow::Borrowed(name),
            true if name.contains(&b'\n') => return Err(TWO_LINES),
            true => unescape(name),
        };
        if mechanism.is_empty() {
            return Err(HEAD);
        }
        let mut params = Params::default();
        let response = params.read(list.get(1..).unwrap_or_default())?;
        if !params.has_service() {
            return Err(Malformed::new("AUTH", "service= or protocol="));
        }
        Ok(Command::Auth(Self { id, mechanism, params, response }))
    }

    fn encode(&self, out: &mut BytesMut) {
        put(out, format_args!("AUTH\t{}\t", self.id));
        escape_into(&self.mechanism, out);
        put_fields(out, self.params.fields);
        if let Some(response) = &self.response {
            out.put_slice(b"\tresp=");
            out.put_slice(response.expose());
        }
        out.put_u8(b'\n');
    }
}

impl fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("id", &self.id.get())
            .field("mechanism", &Shown(&self.mechanism))
            .field("params", &self.params)
            .field("response", &self.response)
            .finish()
    }
}

/// `"CONT" TAB <id> TAB <base64> [TAB "channel_binding=" <base64>]`: the peer hands on the remote's answer to
/// our challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cont<'a> {
    /// The request that was challenged.
    pub id: RequestId,
    /// The answer, or [`#`](Encoded::is_out_of_band) if the remote was not asked.
    pub response: Encoded<'a>,
    /// Data of the TLS channel, if the challenge asked for it (since minor version 3).
    pub channel_binding: Option<Encoded<'a>>,
    /// All that follows the answer, as it came, `channel_binding=` too. Peers below minor version 3 send nothing.
    pub fields: Fields<'a>,
}

impl<'a> Cont<'a> {
    /// An answer and nothing else.
    pub fn new(id: RequestId, response: Encoded<'a>) -> Self {
        Self { id, response, channel_binding: None, fields: Fields::default() }
    }

    fn parse(args: &'a [u8]) -> Result<Self, Malformed> {
        let parts = (grammar::id, grammar::raw, grammar::fields);
        let (id, response, fields) = whole("CONT", "<id> TAB <base64>", parts, args)?;
        let mut bindings = fields.values(BINDING.as_bytes());
        let channel_binding = bindings.next().map(Encoded::of_field);
        if bindings.next().is_some() {
            // Two could only serve to show one to one reader and the other to another.
            return Err(Malformed::new("CONT", "one channel_binding="));
        }
        Ok(Self { id, response: Encoded::of_field(response), channel_binding, fields })
    }

    fn encode(&self, out: &mut BytesMut) {
        put(out, format_args!("CONT\t{}\t", self.id));
        out.put_slice(self.response.expose());
        if let Some(binding) = &self.channel_binding
            && !self.fields.has(BINDING.as_bytes())
        {
            put(out, format_args!("\t{BINDING}="));
            out.put_slice(binding.expose());
        }
        put_fields(out, self.fields);
        out.put_u8(b'\n');
    }
}

const BINDING: &str = "channel_binding";

#[cfg(test)]
mod tests;
