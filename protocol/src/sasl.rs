//! What travels inside of `resp=` and CONT: the payloads of the SASL mechanisms, once base64 is off.
//!
//! Whatever is [`Malformed`](crate::error::Malformed) here is the remote user's fault: it ends their request and
//! nothing else.

pub mod anonymous;
pub mod cram_md5;
pub mod external;
pub mod login;
pub mod plain;
pub mod scram;

pub use self::{cram_md5::CramMd5, plain::Plain};

/// Longest response taken, in bytes. No honest name and password come near; whatever looks at them is spared the rest.
pub const RESPONSE: usize = 8192;
