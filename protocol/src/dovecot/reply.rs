//! What the server says on an auth-client socket.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use nom::Parser as _;
use nom::combinator::{map_res, verify};

use crate::error::Malformed;
use crate::scan::any_mark;
use crate::text::{Encoded, Shown, base64_into, decimal, escape_into};

use super::grammar::{self, Parsed, whole};
use super::{
    Cookie, DIGITS, Fields, MechFlags, RequestId, Version, put, put_field, put_fields, put_head, put_number,
};

/// One line from the server. The handshake's come in the order given here, MECH before SPID: Postfix takes a SPID
/// that comes first for a sign that it is on the wrong socket.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `"VERSION" TAB <major> TAB <minor>`
    Version(Version),
    /// `"MECH" TAB <name> [TAB <flag>]*`
    Mech {
        /// As registered: upper case letters, digits, `-`, `_` (RFC 4422 section 3.1).
        name: &'a str,
        /// What may be said of it.
        flags: MechFlags<'a>,
    },
    /// `"SPID" TAB <u32>`: which life of which server this is, the same on all its sockets. Never 0.
    Spid(u32),
    /// `"CUID" TAB <u32>`: number of the connection.
    Cuid(u32),
    /// `"COOKIE" TAB <32 hexadecimal digits>`
    Cookie(Cookie),
    /// `"DONE"`: the handshake is over.
    Done,
    /// `"CONT" TAB <id> TAB <base64> [TAB "channel_binding=" <type>]`. Other fields, which no server sends, are dropped.
    Cont {
        /// The request that goes on.
        id: RequestId,
        /// For the remote, may be empty.
        challenge: Cow<'a, [u8]>,
        /// The kind of channel binding data to send with the answer (minor version 3).
        channel_binding: Option<Cow<'a, [u8]>>,
    },
    /// `"CONT" TAB <id> TAB "#" [TAB "channel_binding=" <type>]`: a question to the peer itself (minor version 3).
    OutOfBand {
        /// The request that goes on.
        id: RequestId,
        /// The kind of channel binding data to answer with.
        channel_binding: Option<Cow<'a, [u8]>>,
    },
    /// `"OK" TAB <id> TAB "user=" <user> [TAB key[=value]]*`
    Ok {
        /// The request that ends.
        id: RequestId,
        /// `user=`, without which Postfix and Exim take it for a failure, and all else. [`ok`] puts it there.
        fields: Fields<'a>,
    },
    /// `"FAIL" TAB <id> [TAB "user=" <user>] [TAB "code=" <code>] [TAB "reason=" <text>] [TAB key[=value]]*`
    Fail {
        /// The request that ends.
        id: RequestId,
        /// All of it.
        fields: Fields<'a>,
    },
    /// `"CANCELLED" TAB <id>`: answers CANCEL, for peers of minor version 4 or more. Older ones disconnect over it.
    Cancelled(RequestId),
}

impl<'a> Reply<'a> {
    /// Reads a line without its end.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (word, args) = grammar::word(line)?;
        match word {
            b"VERSION" => grammar::version(args).map(Self::Version),
            b"MECH" => {
                let (name, flags) =
                    whole("MECH", "<name> [TAB <flag>]*", (mechanism, grammar::fields), args)?;
                Ok(Self::Mech { name, flags: MechFlags::parse(flags.raw()) })
            }
            b"SPID" => whole("SPID", "<u32>, not 0", grammar::positive, args).map(Self::Spid),
            b"CUID" => whole("CUID", "<u32>", grammar::number, args).map(Self::Cuid),
            b"COOKIE" => Cookie::parse(whole("COOKIE", "<cookie>", grammar::raw, args)?).map(Self::Cookie),
            b"DONE" if args.is_empty() => Ok(Self::Done),
            b"DONE" => Err(Malformed::new("DONE", "nothing after it")),
            b"CONT" => Self::cont(args),
            b"OK" => {
                let (id, fields) = whole("OK", "<id> [TAB <field>]*", (grammar::id, grammar::fields), args)?;
                Ok(Self::Ok { id, fields })
            }
            b"FAIL" => {
                let (id, fields) =
                    whole("FAIL", "<id> [TAB <field>]*", (grammar::id, grammar::fields), args)?;
                Ok(Self::Fail { id, fields })
            }
            b"CANCELLED" => whole("CANCELLED", "<id>", grammar::id, args).map(Self::Cancelled),
            _ => Err(Malformed::new("line", "a reply of the auth-client protocol")),
        }
    }

    /// Appends the line with its LF.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Version(version) => version.encode(out),
            Self::Mech { name, flags } => {
                out.put_slice(b"MECH\t");
                out.put_slice(name.as_bytes());
                flags.encode(out);
                out.put_u8(b'\n');
            }
            Self::Spid(spid) => put_number(out, b"SPID\t", *spid),
            Self::Cuid(cuid) => put_number(out, b"CUID\t", *cuid),
            Self::Cookie(cookie) => {
                out.put_slice(b"COOKIE\t");
                cookie.encode(out);
                out.put_u8(b'\n');
            }
            Self::Done => out.put_slice(b"DONE\n"),
            Self::Cont { id, challenge, channel_binding } => {
                put(out, format_args!("CONT\t{id}\t"));
                base64_into(challenge, out);
                end_cont(out, channel_binding.as_deref());
            }
            Self::OutOfBand { id, channel_binding } => {
                put(out, format_args!("CONT\t{id}\t#"));
                end_cont(out, channel_binding.as_deref());
            }
            Self::Ok { id, fields } => line(out, b"OK\t", *id, *fields),
            Self::Fail { id, fields } => line(out, b"FAIL\t", *id, *fields),
            Self::Cancelled(id) => put(out, format_args!("CANCELLED\t{id}\n")),
        }
    }

    fn cont(args: &'a [u8]) -> Result<Self, Malformed> {
        let parts = (grammar::id, grammar::raw, grammar::fields);
        let (id, challenge, fields) = whole("CONT", "<id> TAB <base64>", parts, args)?;
        let channel_binding = fields.find(b"channel_binding").and_then(|field| field.value);
        let challenge = Encoded::of_field(challenge);
        if challenge.is_out_of_band() {
            return Ok(Self::OutOfBand { id, channel_binding });
        }
        let challenge = Cow::Owned(challenge.decode()?.expose().to_vec());
        Ok(Self::Cont { id, challenge, channel_binding })
    }
}

/// Appends `OK id user=<user>` and `fields`, which need not name the user again.
pub fn ok(out: &mut BytesMut, id: RequestId, user: &[u8], fields: Fields<'_>) {
    // Most names are short and need no escapes: such a line is put together first, and then appended with one copy.
    if fields.is_empty()
        && let Some(line) = short_ok(&mut [0; SHORT], id, user)
    {
        return out.put_slice(line);
    }
    // Once, if nothing is escaped.
    out.reserve("OK\t4294967295\tuser=\t\n".len() + user.len() + fields.raw().len());
    put_head(out, b"OK\t", id);
    put_user(out, user);
    put_fields(out, fields);
    out.put_u8(b'\n');
}

/// Room for a line with a name of 40 bytes.
const SHORT: usize = 64;

/// The line in `room`, from some place on to its end.
#[inline]
fn short_ok<'r>(room: &'r mut [u8; SHORT], id: RequestId, user: &[u8]) -> Option<&'r [u8]> {
    if any_mark(user) {
        return None;
    }
    let (before, end) = room.split_at_mut(SHORT - 1 - user.len().min(SHORT - 1));
    let (last, name) = end.split_last_mut()?;
    (name.len() == user.len()).then(|| name.copy_from_slice(user))?;
    *last = b'\n';
    let (before, word) = before.split_last_chunk_mut()?;
    *word = *b"\tuser=";
    let mut digits = [0; DIGITS];
    let digits = decimal(id.get().into(), &mut digits);
    let (before, number) = before.split_at_mut_checked(before.len().checked_sub(digits.len())?)?;
    number.copy_from_slice(digits);
    let (before, word) = before.split_last_chunk_mut()?;
    *word = *b"OK\t";
    let first = before.len();
    room.get(first..)
}

/// Appends `CONT id <challenge in base64>`.
pub fn cont(out: &mut BytesMut, id: RequestId, challenge: &[u8]) {
    put_head(out, b"CONT\t", id);
    out.put_u8(b'\t');
    base64_into(challenge, out);
    out.put_u8(b'\n');
}

/// Appends `FAIL id [user=] [code=] [temp] [reason=] [resp=]`.
///
/// With neither code nor `bare_temp` it means wrong credentials. `bare_temp` adds the word by which Dovecot before
/// 2.3, Prosody and others say [`FailCode::TempFail`]. `reason` is shown to the remote. `last` is what the mechanism has
/// to say at the end, for peers that say `final-resp-ok`.
pub fn fail(
    out: &mut BytesMut,
    id: RequestId,
    user: Option<&[u8]>,
    code: Option<FailCode>,
    reason: Option<&[u8]>,
    bare_temp: bool,
    last: Option<&[u8]>,
) {
    put_head(out, b"FAIL\t", id);
    if let Some(user) = user {
        put_user(out, user);
    }
    if let Some(code) = code {
        put_field(out, "code", code.as_str().as_bytes());
    }
    if bare_temp {
        out.put_slice(b"\ttemp");
    }
    if let Some(reason) = reason {
        put_field(out, "reason", reason);
    }
    if let Some(last) = last {
        out.put_slice(b"\tresp=");
        base64_into(last, out);
    }
    out.put_u8(b'\n');
}

/// `code=` of FAIL. Without one, the credentials were wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailCode {
    /// `temp_fail`: nobody could say; the remote should try again.
    TempFail,
    /// `authz_fail`: right credentials, but not for that user.
    AuthzFail,
    /// `user_disabled`
    UserDisabled,
    /// `pass_expired`
    PassExpired,
    /// `invalid_base64`: the remote's response was no base64.
    InvalidBase64,
}

impl FailCode {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::TempFail, Self::AuthzFail, Self::UserDisabled, Self::PassExpired, Self::InvalidBase64];

    /// As spelt on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TempFail => "temp_fail",
            Self::AuthzFail => "authz_fail",
            Self::UserDisabled => "user_disabled",
            Self::PassExpired => "pass_expired",
            Self::InvalidBase64 => "invalid_base64",
        }
    }

    /// The value of `code=`; `None` for one that this crate does not know.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str().as_bytes() == value)
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Mech { name, flags } => {
                f.debug_struct("Mech").field("name", name).field("flags", flags).finish()
            }
            Self::Spid(spid) => f.debug_tuple("Spid").field(spid).finish(),
            Self::Cuid(cuid) => f.debug_tuple("Cuid").field(cuid).finish(),
            Self::Cookie(cookie) => cookie.fmt(f),
            Self::Done => f.write_str("Done"),
            // A challenge may hold a token's echo or key material: its length is enough.
            Self::Cont { id, challenge, channel_binding } => f
                .debug_struct("Cont")
                .field("id", &id.get())
                .field("challenge_len", &challenge.len())
                .field("channel_binding", &channel_binding.as_deref().map(Shown))
                .finish(),
            Self::OutOfBand { id, channel_binding } => f
                .debug_struct("OutOfBand")
                .field("id", &id.get())
                .field("channel_binding", &channel_binding.as_deref().map(Shown))
                .finish(),
            Self::Ok { id, fields } => {
                f.debug_struct("Ok").field("id", &id.get()).field("fields", fields).finish()
            }
            Self::Fail { id, fields } => {
                f.debug_struct("Fail").field("id", &id.get()).field("fields", fields).finish()
            }
            Self::Cancelled(id) => f.debug_tuple("Cancelled").field(&id.get()).finish(),
        }
    }
}

/// `TAB <name>`, a mechanism's.
fn mechanism(input: &[u8]) -> Parsed<'_, &str> {
    let name = verify(grammar::raw, |name: &[u8]| {
        !name.is_empty() && name.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'))
    });
    map_res(name, std::str::from_utf8).parse(input)
}

fn end_cont(out: &mut BytesMut, channel_binding: Option<&[u8]>) {
    if let Some(binding) = channel_binding {
        put_field(out, "channel_binding", binding);
    }
    out.put_u8(b'\n');
}

fn put_user(out: &mut BytesMut, user: &[u8]) {
    out.put_slice(b"\tuser=");
    escape_into(user, out);
}

fn line<const N: usize>(out: &mut BytesMut, word: &[u8; N], id: RequestId, fields: Fields<'_>) {
    put_head(out, word, id);
    put_fields(out, fields);
    out.put_u8(b'\n');
}

#[cfg(test)]
mod tests;
