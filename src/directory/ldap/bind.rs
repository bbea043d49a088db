//! The bind: the only place where a password leaves for a server.
//!
//! ldap3 copies what it sends and does not wipe its copies; a password lives on in freed memory until that is used again.

use ldap3::Ldap;

use super::{
    policy::{self, Policy},
    verdict::Outcome,
};

/// What a server said of a bind. Its code must be read: an answer is no success.
#[must_use = "whether a bind has succeeded says only its code"]
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    pub(super) policy: Policy,
}

/// Why there was no bind.
#[derive(Debug)]
pub(super) enum Unasked {
    /// There is no entry or no password to ask about. A server may take such a bind for no authentication at all and
    /// call that a success (RFC 4513 5.1.1 and 5.1.2).
    Empty,
    /// The password is no UTF-8, as every simple password must be (RFC 4513 5.1.3), or has a NUL in it, behind which
    /// a server may not look.
    Unsendable,
    /// The connection is gone.
    Lost,
}

/// Binds `dn` with `password`. Whoever calls bounds the time.
///
/// # Errors
///
/// The server was not asked, or has not answered.
#[expect(clippy::disallowed_methods, reason = "this is the one place that binds")]
pub(super) async fn bind(ldap: &mut Ldap, dn: &str, password: &[u8]) -> Result<Answered, Unasked> {
    if dn.is_empty() || password.is_empty() {
        return Err(Unasked::Empty);
    }
    let text = std::str::from_utf8(password).map_err(|_| Unasked::Unsendable)?;
    if text.contains('\0') {
        return Err(Unasked::Unsendable);
    }
    let result =
        ldap.with_controls(policy::request()).simple_bind(dn, text).await.map_err(|_| Unasked::Lost)?;
    let policy = policy::of(&result.ctrls);
    Ok(Answered { outcome: Outcome { code: result.rc, text: result.text }, policy })
}
