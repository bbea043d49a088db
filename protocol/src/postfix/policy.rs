//! Policy delegation: what smtpd asks a `check_policy_service` before it takes mail, and what it may be told.
//!
//! - [`Blocks`] cuts a byte stream into messages.
//! - [`Request`]: who says what to whom, and how far SMTP has come.
//! - [`Action`]: what is to become of it.
//!
//! A message is a block of `name=value` lines and an empty one. A connection belongs to one process and one service, and
//! has one request at a time. Postfix says it twice, a second later, where there is no answer that it understands, and then
//! does as its `default_action` says: counters must know a request again (by its instance, state and recipient).
//!
//! <https://www.postfix.org/SMTPD_POLICY_README.html>
//!
//! ```
//! use bytes::BytesMut;
//! use gatepost_protocol::error::Malformed;
//! use gatepost_protocol::postfix::policy::{Action, Enhanced, Request, State, Text};
//!
//! # fn main() -> Result<(), Malformed> {
//! let block = b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=bob@example.org\nsasl_username=alice\n";
//! let request = Request::parse(block)?;
//! assert_eq!(request.protocol_state, Some(State::Rcpt));
//! assert_eq!(request.sasl_username, Some(&b"alice"[..]));
//!
//! let text = Text::cleaned("not your address\n");
//! let mut out = BytesMut::new();
//! Action::Reject { code: None, enhanced: Enhanced::default(), text }.encode(&mut out);
//! assert_eq!(out, "action=REJECT 5.7.1 not your address?\n\n");
//! # Ok(())
//! # }
//! ```

mod action;
pub(crate) mod block;
mod request;
mod words;

pub use self::action::{Action, Hangup};
pub use self::block::{Attributes, Blocks};
pub use self::request::{Kind, Request, State};
pub use self::words::{Address, Code, Destination, Enhanced, Header, Restriction, Text};

/// Longest block of a request, in bytes without its empty line. Postfix has no limit and sends some 1000 bytes.
pub const REQUEST: usize = 65_536;

/// Longest block of a reply that is read, in bytes without its empty line. Postfix has no limit here either.
pub const REPLY: usize = 65_536;
