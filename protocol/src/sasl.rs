//! What travels inside of `resp=` and CONT: the payloads of the SASL mechanisms, once base64 is off.
//!
//! Whatever is [`Malformed`](crate::error::Malformed) here is the remote user's fault: it ends their request and
//! nothing else.

pub mod anonymous;
pub mod bearer;
pub mod cram_md5;
pub mod external;
pub mod login;
pub mod oauthbearer;
pub mod plain;
mod saslname;
pub mod scram;
pub mod xoauth2;

pub use self::{cram_md5::CramMd5, oauthbearer::OAuthBearer, plain::Plain, xoauth2::XOAuth2};

/// Longest response taken, in bytes. No honest name and password come near; whatever looks at them is spared the rest.
/// Tokens may be longer: [`bearer::RESPONSE`].
pub const RESPONSE: usize = 8192;
