//! What the server says on an auth-master or auth-userdb socket.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use nom::Parser as _;
use nom::bytes::complete::tag;
use nom::combinator::opt;
use nom::sequence::preceded;

use crate::error::{Malformed, TooLong};
use crate::frame::MASTER_REPLY;
use crate::text::{Shown, escape_into, unescape};

use super::super::grammar::{self, whole};
use super::super::{Fields, RequestId, Version, put, put_field, put_fields};

/// One line from the server. VERSION and SPID come at once, in this order, and nothing else unasked.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `"VERSION" TAB <major> TAB <minor>`
    Version(Version),
    /// `"SPID" TAB <u32>`: which life of which server this is, the same on all its sockets. Never 0.
    Spid(u32),
    /// `"USER" TAB <id> TAB <user> [TAB key[=value]]*`: answers USER and REQUEST.
    User {
        /// The request that ends.
        id: RequestId,
        /// Their final name.
        user: Cow<'a, [u8]>,
        /// Where their mail lives: `uid`, `gid`, `home` ...
        fields: Fields<'a>,
    },
    /// `"PASS" TAB <id> TAB "user=" <user> [TAB key[=value]]*`
    Pass {
        /// The request that ends.
        id: RequestId,
        /// Their final name.
        user: Cow<'a, [u8]>,
        /// What a login of theirs would give, without the password.
        fields: Fields<'a>,
    },
    /// `"NOTFOUND" TAB <id>`: there is no such user, for certain.
    NotFound(RequestId),
    /// `"FAIL" TAB <id> [TAB "reason=" <text>] [TAB key[=value]]*`: nobody could say.
    Fail {
        /// The request that ends.
        id: RequestId,
        /// Shown to the remote; `None`: an internal error, which the peer logs.
        reason: Option<Cow<'a, [u8]>>,
        /// All of it, the reason too.
        fields: Fields<'a>,
    },
    /// `"LIST" TAB <id> TAB <user>`: one of those asked for.
    List {
        /// The request that goes on.
        id: RequestId,
        /// One name.
        user: Cow<'a, [u8]>,
    },
    /// `"DONE" TAB <id> TAB ["fail"]`: ends a list.
    Done {
        /// The request that ends.
        id: RequestId,
        /// The list is not complete.
        failed: bool,
    },
    /// `"OK" TAB <id> [TAB <field>]*`: answers CACHE-FLUSH (with a number) and CACHE-STATUS (with several).
    Ok {
        /// The request that ends.
        id: RequestId,
        /// A bare number, or `hits=` and its like.
        fields: Fields<'a>,
    },
}

impl<'a> Reply<'a> {
    /// Reads a line without its end.
    pub fn parse(line: &'a [u8]) -> Result<Self, Malformed> {
        let (word, args) = grammar::word(line)?;
        match word {
            b"VERSION" => grammar::version(args).map(Self::Version),
            b"SPID" => whole("SPID", "<u32>, not 0", grammar::positive, args).map(Self::Spid),
            b"USER" => {
                let parts = (grammar::id, grammar::text, grammar::fields);
                let (id, user, fields) = whole("USER", "<id> TAB <user>", parts, args)?;
                Ok(Self::User { id, user, fields })
            }
            b"PASS" => {
                let user = preceded(tag(&b"\tuser="[..]), grammar::segment).map(unescape);
                let parts = (grammar::id, user, grammar::fields);
                let (id, user, fields) = whole("PASS", "<id> TAB user=<user>", parts, args)?;
                Ok(Self::Pass { id, user, fields })
            }
            b"NOTFOUND" => whole("NOTFOUND", "<id>", grammar::id, args).map(Self::NotFound),
            b"FAIL" => {
                let parts = (grammar::id, grammar::fields);
                let (id, fields) = whole("FAIL", "<id> [TAB <field>]*", parts, args)?;
                let reason = fields.find(REASON.as_bytes()).and_then(|field| field.value);
                Ok(Self::Fail { id, reason, fields })
            }
            b"LIST" => {
                let (id, user) = whole("LIST", "<id> TAB <user>", (grammar::id, grammar::text), args)?;
                Ok(Self::List { id, user })
            }
            b"DONE" => {
                let end = (opt(tag(&b"\t"[..])), opt(tag(&b"fail"[..])));
                let (id, (tab, fail)) = whole("DONE", "<id> TAB [fail]", (grammar::id, end), args)?;
                match (tab, fail) {
                    (None, Some(_)) => Err(Malformed::new("DONE", "<id> TAB [fail]")),
                    _ => Ok(Self::Done { id, failed: fail.is_some() }),
                }
            }
            b"OK" => {
                let (id, fields) = whole("OK", "<id> [TAB <field>]*", (grammar::id, grammar::fields), args)?;
                Ok(Self::Ok { id, fields })
            }
            _ => Err(Malformed::new("line", "a reply of the auth-master protocol")),
        }
    }

    /// Appends the line with its LF.
    ///
    /// # Errors
    ///
    /// [`TooLong`] if the peer would not read it: its limit is 8191 bytes with the LF. `out` is as it was then, and
    /// the request still wants an answer, such as FAIL.
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), TooLong> {
        let before = out.len();
        self.put(out);
        if out.len() - before > MASTER_REPLY {
            out.truncate(before);
            return Err(TooLong { limit: MASTER_REPLY });
        }
        out.put_u8(b'\n');
        Ok(())
    }

    /// How many entries a CACHE-FLUSH took out, if this answers one.
    pub fn flushed(&self) -> Option<u64> {
        let Self::Ok { fields, .. } = self else {
            return None;
        };
        std::str::from_utf8(fields.raw()).ok()?.parse().ok()
    }

    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Version(Version { major, minor }) => put(out, format_args!("VERSION\t{major}\t{minor}")),
            Self::Spid(spid) => put(out, format_args!("SPID\t{spid}")),
            Self::User { id, user, fields } => {
                put(out, format_args!("USER\t{id}\t"));
                escape_into(user, out);
                put_fields(out, *fields);
            }
            Self::Pass { id, user, fields } => {
                put(out, format_args!("PASS\t{id}"));
                put_field(out, "user", user);
                put_fields(out, *fields);
            }
            Self::NotFound(id) => put(out, format_args!("NOTFOUND\t{id}")),
            Self::Fail { id, reason, fields } => {
                put(out, format_args!("FAIL\t{id}"));
                if let Some(reason) = reason
                    && !fields.has(REASON.as_bytes())
                {
                    put_field(out, REASON, reason);
                }
                put_fields(out, *fields);
            }
            Self::List { id, user } => {
                put(out, format_args!("LIST\t{id}\t"));
                escape_into(user, out);
            }
            Self::Done { id, failed } => {
                put(out, format_args!("DONE\t{id}\t{}", if *failed { "fail" } else { "" }));
            }
            Self::Ok { id, fields } => {
                put(out, format_args!("OK\t{id}"));
                put_fields(out, *fields);
            }
        }
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut found = |word: &str, id: &RequestId, user: &[u8], fields: &Fields<'_>| {
            f.debug_struct(word)
                .field("id", &id.get())
                .field("user", &Shown(user))
                .field("fields", fields)
                .finish()
        };
        match self {
            Self::User { id, user, fields } => found("User", id, user, fields),
            Self::Pass { id, user, fields } => found("Pass", id, user, fields),
            Self::Version(version) => version.fmt(f),
            Self::Spid(spid) => f.debug_tuple("Spid").field(spid).finish(),
            Self::NotFound(id) => f.debug_tuple("NotFound").field(&id.get()).finish(),
            Self::Fail { id, reason, fields } => f
                .debug_struct("Fail")
                .field("id", &id.get())
                .field("reason", &reason.as_deref().map(Shown))
                .field("fields", fields)
                .finish(),
            Self::List { id, user } => {
                f.debug_struct("List").field("id", &id.get()).field("user", &Shown(user)).finish()
            }
            Self::Done { id, failed } => {
                f.debug_struct("Done").field("id", &id.get()).field("failed", failed).finish()
            }
            Self::Ok { id, fields } => {
                f.debug_struct("Ok").field("id", &id.get()).field("fields", fields).finish()
            }
        }
    }
}

const REASON: &str = "reason";

#[cfg(test)]
mod tests;
