//! The desk of gatepost: bytes on one side, typed requests and replies on the other.
//!
//! Nothing in here opens a socket, reads a clock, writes a log or knows who is right. Everything is a plain
//! function over bytes that the daemon, its tests and the fuzz targets all call.
//!
//! - [`frame`] cuts a byte stream into lines. Netstrings, blocks and counted strings are cut beside the protocols that
//!   have them. Message borders and memory limits are settled in these places and only there.
//! - [`text`] holds the two encodings that the lines are made of: tab-escaping and base64.
//! - [`dovecot`] is the grammar of Dovecot's auth protocols, one module a protocol.
//! - [`postfix`] is the grammar of Postfix's lookup and policy protocols.
//! - [`saslauthd`] is that of Cyrus SASL's daemon.
//! - [`sasl`] is the grammar of what travels inside: the payloads of the SASL mechanisms.
//! - [`secret`] keeps what grants access away from logs.

#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm, reason = "a test matches the variant it is about"))]

#[cfg(feature = "codec")]
pub mod codec;
pub mod dovecot;
pub mod error;
pub mod frame;
pub mod postfix;
pub mod sasl;
pub mod saslauthd;
mod scan;
pub mod secret;
pub mod text;
