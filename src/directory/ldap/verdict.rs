//! What a result code says (RFC 4511 4.1.9): the one table, without a default that lets anybody in.

use std::fmt;

use super::policy::{Policy, Trouble};
use crate::directory::Bound;

/// A result code with its diagnostic message, of which only what is known to be harmless is ever shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u32,
    pub(super) text: String,
}

/// Neither yes nor no: what a server said instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoVerdict {
    pub(super) code: u32,
    /// Active Directory's code, if there is one.
    pub(super) data: Option<u32>,
}

/// Reads the answer to the bind of a user.
///
/// Only 0 is a yes, and only 49 says anything against the password. Two codes of other servers are refusals in
/// spite of it: 389 Directory Server (FreeIPA) answers 53 for an entry that was switched off and 19 for one that is
/// locked after failures, both before it looks at the password; as nothing is said about that, both are told as locked.
///
/// # Errors
///
/// Every other code: nobody knows whether the password is right.
pub(super) fn of_bind(outcome: &Outcome, policy: Policy) -> Result<Bound, NoVerdict> {
    let data = active_directory(&outcome.text);
    match outcome.code {
        SUCCESS => match policy.error {
            None | Some(Trouble::Other) => Ok(Bound::Verified),
            Some(Trouble::PasswordExpired | Trouble::ChangeAfterReset) => Ok(Bound::Expired),
            Some(Trouble::AccountLocked) => Ok(Bound::Locked),
        },
        INVALID_CREDENTIALS => match policy.error {
            Some(Trouble::PasswordExpired | Trouble::ChangeAfterReset) => Ok(Bound::Expired),
            Some(Trouble::AccountLocked) => Ok(Bound::Locked),
            None | Some(Trouble::Other) => Ok(data.and_then(of_data).unwrap_or(Bound::Rejected)),
        },
        UNWILLING_TO_PERFORM if outcome.text.starts_with("Account inactivated") => Ok(Bound::Locked),
        CONSTRAINT_VIOLATION if outcome.text.starts_with("Exceed password retry limit") => Ok(Bound::Locked),
        // Some restrictions come with this code, and with the same text as others do with 49.
        UNWILLING_TO_PERFORM => match data.and_then(of_data) {
            Some(bound @ (Bound::Disabled | Bound::Expired | Bound::Locked)) => Ok(bound),
            Some(Bound::Verified | Bound::Rejected) | None => Err(NoVerdict { code: outcome.code, data }),
        },
        code => Err(NoVerdict { code, data }),
    }
}

/// `80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1`: the code behind `data`,
/// which is hexadecimal.
pub(super) fn active_directory(text: &str) -> Option<u32> {
    let (_, behind) = text.split_once("AcceptSecurityContext error, data ")?;
    let code = behind.split(|letter: char| !letter.is_ascii_hexdigit()).next()?;
    u32::from_str_radix(code, 16).ok()
}

/// Windows' error codes, as far as Active Directory gives them for a bind. All but 775 come with the right password
/// only.
fn of_data(data: u32) -> Option<Bound> {
    Some(match data {
        // No such user; wrong password.
        0x525 | 0x52e => Bound::Rejected,
        // Not at this time; not from here; not in this way; a restriction of the account; switched off.
        0x530 | 0x531 | 0x534 | 0x52f | 0x533 => Bound::Disabled,
        // The password has run out; the account has; it must be changed first.
        0x532 | 0x701 | 0x773 => Bound::Expired,
        0x775 => Bound::Locked,
        _ => return None,
    })
}

pub(super) const SUCCESS: u32 = 0;
pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
pub(super) const NO_SUCH_OBJECT: u32 = 32;
pub(super) const BUSY: u32 = 51;
pub(super) const UNAVAILABLE: u32 = 52;
pub(super) const INVALID_CREDENTIALS: u32 = 49;
const CONSTRAINT_VIOLATION: u32 = 19;
const UNWILLING_TO_PERFORM: u32 = 53;

/// The name of a result code in RFC 4511.
fn name(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral, which is never followed",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "a code without a name",
    }
}

impl NoVerdict {
    /// The same for an answer that was not to a bind of a user.
    pub(super) fn of(outcome: &Outcome) -> Self {
        Self { code: outcome.code, data: active_directory(&outcome.text) }
    }
}

impl fmt::Display for NoVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "result {} ({})", self.code, name(self.code))?;
        match self.data {
            Some(data) => write!(f, ", data {data:x}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoVerdict, Outcome, active_directory, of_bind};
    use crate::directory::{
        Bound,
        ldap::policy::{Policy, Trouble},
    };

    fn outcome(code: u32, text: &str) -> Outcome {
        Outcome { code, text: text.to_owned() }
    }

    fn refused(data: &str) -> String {
        format!("80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1")
    }

    #[test]
    fn only_0_is_a_yes_and_only_49_a_no() {
        for code in 0..=123 {
            let bound = of_bind(&outcome(code, ""), Policy::default());
            match code {
                0 => assert_eq!(bound, Ok(Bound::Verified)),
                49 => assert_eq!(bound, Ok(Bound::Rejected)),
                _ => assert_eq!(bound, Err(NoVerdict { code, data: None })),
            }
        }
    }

    #[test]
    fn active_directory_says_why_in_its_text() {
        let known = [
            ("52e", Bound::Rejected),
            ("525", Bound::Rejected),
            ("533", Bound::Disabled),
            ("530", Bound::Disabled),
            ("531", Bound::Disabled),
            ("532", Bound::Expired),
            ("701", Bound::Expired),
            ("773", Bound::Expired),
            ("775", Bound::Locked),
            ("999", Bound::Rejected),
        ];
        for (data, bound) in known {
            assert_eq!(of_bind(&outcome(49, &refused(data)), Policy::default()), Ok(bound), "{data}");
        }
        assert_eq!(of_bind(&outcome(53, &refused("533")), Policy::default()), Ok(Bound::Disabled));
        for data in ["52e", "999"] {
            assert!(of_bind(&outcome(53, &refused(data)), Policy::default()).is_err(), "{data}");
        }
        for code in [1, 8, 51, 52, 80] {
            assert!(of_bind(&outcome(code, &refused("533")), Policy::default()).is_err());
        }
        assert_eq!(active_directory("AcceptSecurityContext error, data , v1"), None);
    }

    #[test]
    fn a_policy_says_why_and_never_lets_somebody_in() {
        let table = [
            (0, Trouble::PasswordExpired, Bound::Expired),
            (0, Trouble::ChangeAfterReset, Bound::Expired),
            (0, Trouble::AccountLocked, Bound::Locked),
            (0, Trouble::Other, Bound::Verified),
            (49, Trouble::PasswordExpired, Bound::Expired),
            (49, Trouble::ChangeAfterReset, Bound::Expired),
            (49, Trouble::AccountLocked, Bound::Locked),
            (49, Trouble::Other, Bound::Rejected),
        ];
        for (code, error, bound) in table {
            let policy = Policy { error: Some(error), warning: None };
            assert_eq!(of_bind(&outcome(code, ""), policy), Ok(bound), "{code} {error:?}");
            assert!(of_bind(&outcome(52, ""), policy).is_err());
        }
    }

    #[test]
    fn servers_of_389_refuse_with_codes_of_their_own() {
        let off = "Account inactivated. Contact system administrator.";
        assert_eq!(of_bind(&outcome(53, off), Policy::default()), Ok(Bound::Locked));
        let tried = "Exceed password retry limit. Please try later.";
        assert_eq!(of_bind(&outcome(19, tried), Policy::default()), Ok(Bound::Locked));
    }

    #[test]
    fn what_is_shown_holds_nothing_of_the_servers_text() {
        let shown = NoVerdict::of(&outcome(53, "secret words")).to_string();
        assert_eq!(shown, "result 53 (unwillingToPerform)");
        let shown = NoVerdict::of(&outcome(49, &refused("52e"))).to_string();
        assert_eq!(shown, "result 49 (invalidCredentials), data 52e");
    }
}
