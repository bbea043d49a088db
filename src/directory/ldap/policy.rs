//! The password-policy control (draft-behera-ldap-password-policy-10, 6): what a server that has policies says of a
//! bind besides its result code.

use ldap3::controls::{Control, RawControl};

use super::ber::{self, Malformed};

/// Of the request, which has no value, and of the response.
const OID: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What the control of a response said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// Why the password is not enough.
    pub(super) error: Option<Trouble>,
    /// What will come about.
    pub(super) warning: Option<Warning>,
}

/// `error [1] ENUMERATED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// 0: the password was right, and has run out.
    PasswordExpired,
    /// 1: too many failures, or an administrator. Says nothing about the password.
    AccountLocked,
    /// 2: the password is right, and has to be changed before anything else is done.
    ChangeAfterReset,
    /// 3 to 8, about changes of passwords, and what is unknown.
    Other,
}

/// `warning [0] CHOICE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Warning {
    /// `timeBeforeExpiration [0] INTEGER`, in seconds.
    SecondsLeft(u32),
    /// `graceAuthNsRemaining [1] INTEGER`: logins that are left with a password that has run out.
    GraceLeft(u32),
}

/// Asks for it. Not critical: a server without policies binds all the same.
pub(super) fn request() -> RawControl {
    RawControl { ctype: OID.to_owned(), crit: false, val: None }
}

/// Finds it in a response. One that cannot be read says nothing.
pub(super) fn of(controls: &[Control]) -> Policy {
    let value = controls.iter().find(|Control(_, raw)| raw.ctype == OID);
    let value = value.and_then(|Control(_, raw)| raw.val.as_deref());
    value.and_then(|value| parse(value).ok()).unwrap_or_default()
}

/// `SEQUENCE { warning [0] CHOICE { [0] INTEGER, [1] INTEGER } OPTIONAL, error [1] ENUMERATED OPTIONAL }`
fn parse(value: &[u8]) -> Result<Policy, Malformed> {
    let (outer, _) = ber::element(value)?;
    if outer.tag != 0x30 {
        return Err(Malformed);
    }
    let mut policy = Policy::default();
    let mut rest = outer.content;
    while !rest.is_empty() {
        let (part, behind) = ber::element(rest)?;
        rest = behind;
        match part.tag {
            0xa0 => {
                let (warning, _) = ber::element(part.content)?;
                let amount = ber::number(warning.content)?;
                policy.warning = match warning.tag {
                    0x80 => Some(Warning::SecondsLeft(amount)),
                    0x81 => Some(Warning::GraceLeft(amount)),
                    _ => None,
                };
            }
            0x81 => {
                policy.error = Some(match ber::number(part.content)? {
                    0 => Trouble::PasswordExpired,
                    1 => Trouble::AccountLocked,
                    2 => Trouble::ChangeAfterReset,
                    _ => Trouble::Other,
                });
            }
            _ => {}
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Policy, Trouble, Warning, parse};

    #[test]
    fn what_servers_say_is_understood() {
        let known: [(&[u8], Option<Trouble>, Option<Warning>); 7] = [
            (b"\x30\x00", None, None),
            (b"\x30\x03\x81\x01\x00", Some(Trouble::PasswordExpired), None),
            (b"\x30\x03\x81\x01\x01", Some(Trouble::AccountLocked), None),
            (b"\x30\x03\x81\x01\x02", Some(Trouble::ChangeAfterReset), None),
            (b"\x30\x03\x81\x01\x63", Some(Trouble::Other), None),
            (b"\x30\x05\xa0\x03\x81\x01\x02", None, Some(Warning::GraceLeft(2))),
            (
                b"\x30\x09\xa0\x04\x80\x02\x0e\x10\x81\x01\x02",
                Some(Trouble::ChangeAfterReset),
                Some(Warning::SecondsLeft(3600)),
            ),
        ];
        for (value, error, warning) in known {
            assert_eq!(parse(value), Ok(Policy { error, warning }), "{}", value.escape_ascii());
        }
        for bad in
            [b"".as_slice(), b"\x31\x00", b"\x30\x03\x81\x02\x01", b"\x30\x02\x81\x00", b"\x30\x02\xa0\x00"]
        {
            assert!(parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_value_is_judged_without_a_panic(value: Vec<u8>) {
            let _ = parse(&value);
        }
    }
}
