//! gatepost: one daemon that answers every question a mail stack asks about people.
//!
//! A request walks through rooms. Each takes one type, gives one type, and does not know the others.
//!
//! ```text
//! Dovecot / Postfix                                              LDAP · SQL · passwd-file · static
//!      │ bytes                                                                     ▲
//! ┌────▼─────┐ frame  ┌─────────┐ request ┌───────────┐  claim   ┌─────────────────┴───────────────┐
//! │ listener ├───────►│ protocol├────────►│ mechanism ├─────────►│ decision                        │
//! │  (door)  │◄───────┤ (desk)  │◄────────┤ (parlour) │◄─────────┤ look up → verify → rules        │
//! └──────────┘ bytes  └─────────┘  reply  └───────────┘ decision └─────────────────────────────────┘
//! ```
//!
//! | Room | Takes → gives | Must not know |
//! |---|---|---|
//! | [`listener`] | sockets → connections; owners, modes, activation | what a byte means |
//! | `gatepost_protocol` | bytes ↔ typed requests and replies | sockets, clocks, logs, who is right |
//! | [`session`] | one connection: handshake, requests in flight, order and time of replies | how users are found |
//! | [`mechanism`] | SASL responses → next challenge, or a claim | directories, sockets, time |
//! | [`decision`] | an attempt → a decision with its reason | which protocol asked |
//! | [`directory`] | a user → an account, nobody, or no answer | mechanisms, wire |
//! | [`oidc`] | a token → whose it is, a verdict against it, or no answer | mechanisms, wire, mailboxes |
//! | [`password`] | a stored password and a given one → whether they match, at a bounded price | users |
//! | [`cache`] | a name and the digest of a password, or that of a token → what was said of them, for a while | directories, mechanisms, wire |
//! | [`app_password`] | a password for one program → its row, with what it is good for | directories, who is let in |
//!
//! [`daemon`] puts them together, [`config`] tells it how, [`command`] is the command line, [`control`] lets commands
//! talk to a running daemon, and [`observe`] is what the operator sees.
#![cfg_attr(test, allow(clippy::wildcard_enum_match_arm, reason = "a test matches the variant it is about"))]

pub mod account;
pub mod app_password;
pub mod bench;
pub mod cache;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decision;
pub mod directory;
mod hyper_io;
pub mod listener;
pub mod mechanism;
pub mod observe;
pub mod oidc;
pub mod password;
pub mod session;
pub mod tls;
pub mod username;
