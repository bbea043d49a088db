//! Postfix's lookup and policy protocols, for both ends: the daemon reads requests and writes replies, its command
//! line, tests and benchmarks do the reverse.
//!
//! - [`netstring`]: how messages of socketmap are framed.
//! - [`socketmap`]: lookups in maps of several names at one socket.
//! - [`tcp_table`]: lookups in one map, for what cannot do better.
//! - [`policy`]: whether a mail is to be taken.
//! - [`address`] and [`walk`]: what is asked for, and under which keys it may be found.
//!
//! For SMTP AUTH, Postfix speaks [`dovecot::auth`](crate::dovecot::auth).
//!
//! ```
//! use bytes::BytesMut;
//! use gatepost_protocol::error::Broken;
//! use gatepost_protocol::postfix::netstring::Netstrings;
//! use gatepost_protocol::postfix::socketmap::{self, Reply, Request};
//!
//! # fn main() -> Result<(), Broken> {
//! // What has arrived: a request, and the beginning of another.
//! let mut arrived = &b"25:mailboxes bob@example.org,25:mailb"[..];
//! let requests = Netstrings::new(socketmap::REQUEST);
//! let Some(payload) = requests.cut(&mut arrived)? else { unreachable!() };
//! let request = Request::parse(payload)?;
//! assert_eq!((request.name, request.key), (&b"mailboxes"[..], &b"bob@example.org"[..]));
//! assert_eq!(requests.cut(&mut arrived)?, None);
//!
//! let mut out = BytesMut::new();
//! Reply::Ok(b"example.org/bob/").encode(&mut out);
//! assert_eq!(out, "19:OK example.org/bob/,");
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod netstring;
pub mod policy;
pub mod socketmap;
pub mod tcp_table;
pub mod walk;

/// Longest reason in a reply, in bytes. Postfix logs no more of it.
const REASON: usize = 200;

/// A reason as it may be sent: at most [`REASON`] bytes of printable ASCII, anything else shown as `?`.
fn printable(reason: &[u8]) -> impl Iterator<Item = u8> {
    reason.iter().take(REASON).map(|&byte| if matches!(byte, b' '..=b'~') { byte } else { b'?' })
}
