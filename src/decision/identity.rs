//! Who proves, and whom they want to be.

use super::Refusal;
use crate::{
    mechanism::Claim,
    username::{InvalidName, Username},
};

/// The sign between the name of a user and that of a master user, `user*master`; `None`: names are not taken apart.
pub type Separator = Option<char>;

/// The one that a claim is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    /// Somebody who wants to be who they are.
    Own(Username),
    /// A master user, by whose password it is proven, and whom they want to act as.
    Master { master: Username, target: Username },
}

/// Finds out who a claim is about.
///
/// A name is taken apart at its first separator, here and nowhere else: what comes before it is whom somebody wants
/// to be, what comes after it is who they are, and a second one makes that no name. PLAIN can say the same with an
/// authorisation identity; who says both says the same twice or is refused. Two spellings of one name are one name,
/// so who wants to be themselves in another spelling needs no right to be somebody else.
pub(super) fn identify(
    claim: &Claim,
    separator: Separator,
    normalise: impl Fn(&[u8]) -> Result<Username, InvalidName>,
) -> Result<Identity, Refusal> {
    of_names(&claim.authcid, claim.authzid.as_deref(), separator, normalise)
}

/// The same where no more than the names is known.
pub(super) fn of_names(
    authcid: &[u8],
    authzid: Option<&[u8]>,
    separator: Separator,
    normalise: impl Fn(&[u8]) -> Result<Username, InvalidName>,
) -> Result<Identity, Refusal> {
    let (inner, authcid) = split(authcid, separator);
    let user = normalise(authcid)?;
    let inner = inner.map(&normalise).transpose()?;
    let outer = authzid.map(|name| normalise(name).map_err(|_| Refusal::AuthzDenied)).transpose()?;
    let target = match (inner, outer) {
        (Some(inner), Some(outer)) if inner != outer => return Err(Refusal::AuthzDenied),
        (Some(target), _) | (None, Some(target)) => target,
        (None, None) => return Ok(Identity::Own(user)),
    };
    if target == user {
        return Ok(Identity::Own(user));
    }
    Ok(Identity::Master { master: user, target })
}

/// Whether somebody says who they are and whom they want to be, which may be the same.
pub(super) fn are_two(authcid: &[u8], authzid: Option<&[u8]>, separator: Separator) -> bool {
    let sign = separator.and_then(|sign| u8::try_from(sign).ok());
    authzid.is_some() || sign.is_some_and(|sign| authcid.contains(&sign))
}

/// The name of who proves, as it was typed.
pub(super) fn typed(claim: &Claim, separator: Separator) -> &[u8] {
    split(&claim.authcid, separator).1
}

/// Whom to act as, and who that is.
fn split(name: &[u8], separator: Separator) -> (Option<&[u8]>, &[u8]) {
    let Some(separator) = separator.and_then(|sign| u8::try_from(sign).ok()) else { return (None, name) };
    let mut parts = name.splitn(2, |&byte| byte == separator);
    match (parts.next(), parts.next()) {
        (Some(target), Some(master)) => (Some(target), master),
        (_, None) | (None, _) => (None, name),
    }
}

#[cfg(test)]
mod tests {
    use gatepost_protocol::secret::Secret;
    use proptest::prelude::*;

    use super::{Identity, identify};
    use crate::{
        decision::Refusal,
        mechanism::{Claim, Credential},
        username::{InvalidName, Username},
    };

    fn identity(authzid: Option<&str>, authcid: &str, separator: Option<char>) -> Result<String, Refusal> {
        let claim = Claim {
            authzid: authzid.map(|name| name.as_bytes().to_vec()),
            authcid: authcid.as_bytes().to_vec(),
            credential: Credential::Password(Secret::new(b"x".to_vec())),
        };
        let found = identify(&claim, separator, |name| Username::normalise(name, Some("x.test")))?;
        Ok(match found {
            Identity::Own(user) => user.as_str().to_owned(),
            Identity::Master { master, target } => format!("{master} as {target}"),
        })
    }

    #[test]
    fn a_name_is_taken_apart_once_and_at_one_place() {
        let star = Some('*');
        let invalid = |why| Err(Refusal::InvalidName(why));
        let denied = || Err(Refusal::AuthzDenied);
        let ok = |text: &str| Ok(text.to_owned());
        for (authzid, authcid, separator, expected) in [
            (None, "alice", star, ok("alice@x.test")),
            (None, "alice*admin", star, ok("admin@x.test as alice@x.test")),
            (None, "Alice@y.test*ADMIN@z.test", star, ok("admin@z.test as alice@y.test")),
            (None, "alice*admin", None, invalid(InvalidName::Character)),
            (None, "alice%admin", star, invalid(InvalidName::Character)),
            (None, "alice%admin", Some('%'), ok("admin@x.test as alice@x.test")),
            (None, "*admin", star, invalid(InvalidName::Empty)),
            (None, "alice*", star, invalid(InvalidName::Empty)),
            (None, "*", star, invalid(InvalidName::Empty)),
            (None, "a*b*c", star, invalid(InvalidName::Character)),
            (None, "a**c", star, invalid(InvalidName::Character)),
            // Oneself, however it is spelt.
            (None, "alice*alice", star, ok("alice@x.test")),
            (None, "ALICE@x.test*alice", star, ok("alice@x.test")),
            (None, "rene\u{301}*ren\u{e9}", star, ok("ren\u{e9}@x.test")),
            (Some("Alice@X.test"), "alice", star, ok("alice@x.test")),
            (Some("alice"), "admin", star, ok("admin@x.test as alice@x.test")),
            (Some("alice"), "admin", None, ok("admin@x.test as alice@x.test")),
            // Both ways at once.
            (Some("alice"), "alice*admin", star, ok("admin@x.test as alice@x.test")),
            (Some("bob"), "alice*admin", star, denied()),
            (Some("admin"), "alice*admin", star, denied()),
            (Some("alice*admin"), "admin", star, denied()),
            (Some("a b"), "admin", star, denied()),
            (Some(""), "admin", star, denied()),
        ] {
            assert_eq!(
                identity(authzid, authcid, separator),
                expected,
                "{authzid:?} {authcid:?} {separator:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn nobody_is_anybody_elses_without_saying_so(name in "\\PC{0,20}") {
            // Without a separator in it, a name is that name or none.
            prop_assume!(!name.contains('*'));
            if let Ok(found) = identity(None, &name, Some('*')) {
                let same = Username::normalise(name.as_bytes(), Some("x.test")).unwrap();
                prop_assert_eq!(found, same.as_str());
            }
        }
    }
}
