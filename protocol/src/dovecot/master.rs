//! The auth-master and auth-userdb protocol: what post-login processes, LMTP and doveadm ask, and the answers.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;
use crate::text::{Shown, escape_into};

use super::grammar::{self, whole};
use super::{Params, RequestId, Version, put, put_field, put_fields};

mod reply;
mod request;

pub use self::reply::Reply;
pub use self::request::Request;

/// One line from a peer. A userdb socket is meant for VERSION, USER, PASS and LIST only, which the session sees to.
#[derive(Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `"VERSION" TAB <major> TAB <minor>`
    Version(Version),
    /// `"CPID" TAB <pid>`: the peer believes to be on an auth-client socket.
    Cpid(u32),
    /// `"USER" TAB <id> TAB <user> TAB <param> [TAB <param>]*`: where is their mail?
    User {
        /// Number of the request.
        id: RequestId,
        /// As the peer knows them.
        user: Cow<'a, [u8]>,
        /// `service=` or `protocol=` is among them.
        params: Params<'a>,
    },
    /// `"PASS" TAB <id> TAB <user> TAB <param> [TAB <param>]*`: do they exist, and may they be proxied where?
    Pass {
        /// Number of the request.
        id: RequestId,
        /// As the peer knows them.
        user: Cow<'a, [u8]>,
        /// `service=` or `protocol=` is among them.
        params: Params<'a>,
    },
    /// `"LIST" TAB <id> [TAB "user=" <mask>] [TAB <param>]*`: who is there?
    List {
        /// Number of the request.
        id: RequestId,
        /// Names wanted, with `*` and `?`; `None`: all. Peers since 2.4 rely on it, older ones filter themselves.
        mask: Option<Cow<'a, [u8]>>,
        /// All parameters, the mask's too.
        params: Params<'a>,
    },
    /// A post-login process takes over a login.
    Request(Request<'a>),
    /// `"CACHE-FLUSH" TAB <id> [TAB <user>]*`
    CacheFlush {
        /// Number of the request.
        id: RequestId,
        /// Names or, since 2.4.3, masks; none: everybody. An empty name is nobody's, and not everybody's.
        users: Vec<Cow<'a, [u8]>>,
    },
    /// `"CACHE-STATUS" TAB <id> [TAB "reset"]` (after 2.4.4)
    CacheStatus {
        /// Number of the request.
        id: RequestId,
        /// Whether to count from 0 again afterwards.
        reset: bool,
    },
}

impl<'a> Command<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    ///
    /// [`Malformed`] is the peer's fault, and the connection must end.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (word, args) = grammar::word(line)?;
        match word {
            b"VERSION" => grammar::version(args).map(Self::Version),
            b"CPID" => whole("CPID", "<pid>", grammar::positive, args).map(Self::Cpid),
            b"USER" => {
                let (id, user, params) = lookup("USER", args)?;
                Ok(Self::User { id, user, params })
            }
            b"PASS" => {
                let (id, user, params) = lookup("PASS", args)?;
                Ok(Self::Pass { id, user, params })
            }
            b"LIST" => {
                let parts = (grammar::id, grammar::fields);
                let (id, fields) = whole("LIST", "<id> [TAB <param>]*", parts, args)?;
                let mask = fields.find(MASK.as_bytes()).and_then(|field| field.value);
                Ok(Self::List { id, mask, params: Params::of(fields) })
            }
            b"REQUEST" => Request::parse(args).map(Self::Request),
            b"CACHE-FLUSH" => {
                let parts = (grammar::id, nom::multi::many0(grammar::text));
                let (id, users) = whole("CACHE-FLUSH", "<id> [TAB <user>]*", parts, args)?;
                Ok(Self::CacheFlush { id, users })
            }
            b"CACHE-STATUS" => {
                let reset = nom::combinator::opt(nom::bytes::complete::tag(&b"\treset"[..]));
                let (id, reset) = whole("CACHE-STATUS", "<id> [TAB reset]", (grammar::id, reset), args)?;
                Ok(Self::CacheStatus { id, reset: reset.is_some() })
            }
            _ => Err(Malformed::new("line", "a command of the auth-master protocol")),
        }
    }

    /// Appends the line with its LF.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Version(version) => return version.encode(out),
            Self::Cpid(pid) => put(out, format_args!("CPID\t{pid}")),
            Self::User { id, user, params } => {
                put(out, format_args!("USER\t{id}\t"));
                escape_into(user, out);
                put_fields(out, params.fields);
            }
            Self::Pass { id, user, params } => {
                put(out, format_args!("PASS\t{id}\t"));
                escape_into(user, out);
                put_fields(out, params.fields);
            }
            Self::List { id, mask, params } => {
                put(out, format_args!("LIST\t{id}"));
                if let Some(mask) = mask
                    && !params.fields.has(MASK.as_bytes())
                {
                    put_field(out, MASK, mask);
                }
                put_fields(out, params.fields);
            }
            Self::Request(request) => request.encode(out),
            Self::CacheFlush { id, users } => {
                put(out, format_args!("CACHE-FLUSH\t{id}"));
                for user in users {
                    out.put_u8(b'\t');
                    escape_into(user, out);
                }
            }
            Self::CacheStatus { id, reset } => {
                put(out, format_args!("CACHE-STATUS\t{id}{}", if *reset { "\treset" } else { "" }));
            }
        }
        out.put_u8(b'\n');
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lookup = |word: &str, id: &RequestId, user: Option<&[u8]>, params: &Params<'_>| {
            f.debug_struct(word)
                .field("id", &id.get())
                .field("user", &user.map(Shown))
                .field("params", params)
                .finish()
        };
        match self {
            Self::User { id, user, params } => lookup("User", id, Some(user), params),
            Self::Pass { id, user, params } => lookup("Pass", id, Some(user), params),
            Self::List { id, mask, params } => lookup("List", id, mask.as_deref(), params),
            Self::Version(version) => version.fmt(f),
            Self::Cpid(pid) => f.debug_tuple("Cpid").field(pid).finish(),
            Self::Request(request) => request.fmt(f),
            Self::CacheFlush { id, users } => f
                .debug_struct("CacheFlush")
                .field("id", &id.get())
                .field("users", &users.iter().map(|user| Shown(user)).collect::<Vec<_>>())
                .finish(),
            Self::CacheStatus { id, reset } => {
                f.debug_struct("CacheStatus").field("id", &id.get()).field("reset", reset).finish()
            }
        }
    }
}

const MASK: &str = "user";

/// `TAB <id> TAB <user> TAB <param> [TAB <param>]*`
fn lookup<'a>(
    what: &'static str,
    args: &'a [u8],
) -> Result<(RequestId, Cow<'a, [u8]>, Params<'a>), Malformed> {
    let parts = (grammar::id, grammar::text, grammar::fields);
    let (id, user, fields) = whole(what, "<id> TAB <user> TAB <param>", parts, args)?;
    let params = Params::of(fields);
    if !params.has_service() {
        return Err(Malformed::new(what, "service= or protocol="));
    }
    Ok((id, user, params))
}

#[cfg(test)]
mod tests;
