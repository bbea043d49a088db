//! What a name in a row means, and to whom its value goes.

use super::{Audience, BadRow};

/// Where one value of a row ends up. Two values for one place: the template of `fields` wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// It decides over the login itself.
    Own(Own),
    /// It is told to the login process, in `OK`.
    Passdb(Option<ProxyWord>, &'a str),
    /// It is told to the mail process, in `USER`.
    Userdb(&'a str),
    /// It is there for templates only.
    Nowhere,
}

/// The reserved names that gatepost acts upon itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    User,
    Password,
    Active,
    Expired,
    ExpiresAt,
    PasswordFrom,
    PasswordUser,
    AllowNets,
    Services,
    Service(&'static str),
    Nologin,
    Reason,
}

/// `proxy` and its kin, which a row with `proxy = 0` does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyWord {
    /// `proxy` itself: bare on the wire, or not there at all.
    Proxy,
    /// `proxy_maybe`: the same, unless it leads to the server that asks.
    Maybe,
    /// Another one that is bare on the wire.
    Flag,
    /// `name=value`.
    Value,
}

impl<'a> Place<'a> {
    /// Finds the place of `name`.
    ///
    /// # Errors
    ///
    /// A name that would restrict or redirect a login in Dovecot and that gatepost does not act upon, a name that
    /// only gatepost itself may say on the wire, and a name that the wire could not carry.
    pub(super) fn of(audience: Audience, name: &'a str) -> Result<Self, BadRow> {
        match audience {
            Audience::Attribute => return Ok(Self::Nowhere),
            Audience::Column => return Self::of_column(name),
            Audience::Passdb | Audience::Userdb | Audience::Field => {}
        }
        if let Some(name) = name.strip_prefix("userdb_") {
            return Self::userdb(name);
        }
        if audience == Audience::Userdb {
            return Self::userdb(name);
        }
        if let Some(place) = Self::reserved(name)? {
            return Ok(place);
        }
        if let Some(meant) = meant(name) {
            return Err(BadRow::Slip(meant));
        }
        match audience {
            Audience::Passdb => Ok(Self::Passdb(None, checked(name)?)),
            Audience::Field | Audience::Column | Audience::Attribute | Audience::Userdb => {
                if PASSDB_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                    Ok(Self::Passdb(None, checked(name)?))
                } else {
                    Self::userdb(name)
                }
            }
        }
    }

    /// A column of a query is for templates, unless its name is reserved or one of the three of every passwd file.
    fn of_column(name: &'a str) -> Result<Self, BadRow> {
        match name {
            "uid" | "gid" | "home" => Ok(Self::Userdb(name)),
            _ => match name.strip_prefix("userdb_") {
                Some(name) => Self::userdb(name),
                None => Ok(Self::reserved(name)?.unwrap_or(Self::Nowhere)),
            },
        }
    }

    fn userdb(name: &'a str) -> Result<Self, BadRow> {
        match USERDB_REFUSED.iter().find(|refused| **refused == name) {
            Some(refused) => Err(BadRow::Refused(refused)),
            None => Ok(Self::Userdb(checked(name)?)),
        }
    }

    fn reserved(name: &'a str) -> Result<Option<Self>, BadRow> {
        if let Some(refused) = REFUSED.iter().find(|refused| **refused == name) {
            return Err(BadRow::Refused(refused));
        }
        let own = match name {
            "user" => Own::User,
            "password" => Own::Password,
            "active" => Own::Active,
            "expired" => Own::Expired,
            "expires_at" => Own::ExpiresAt,
            "password_from" => Own::PasswordFrom,
            "password_user" => Own::PasswordUser,
            "allow_nets" => Own::AllowNets,
            "services" => Own::Services,
            "imap" => Own::Service("imap"),
            "pop3" => Own::Service("pop3"),
            "smtp" => Own::Service("smtp"),
            "sieve" => Own::Service("sieve"),
            "lmtp" => Own::Service("lmtp"),
            "nologin" => Own::Nologin,
            "reason" => Own::Reason,
            // Dovecot's switch against the failure delay. Delays are gatepost's own.
            "nodelay" => return Ok(Some(Self::Nowhere)),
            _ => return Ok(proxy_word(name).map(|word| Self::Passdb(Some(word), name))),
        };
        Ok(Some(Self::Own(own)))
    }
}

/// dovecot-auth's passdb fields of these families are told to the login process and mean nothing to a mail process.
const PASSDB_PREFIXES: [&str; 3] = ["forward_", "event_", "user_"];

/// Fields of Dovecot's passdbs that restrict, redirect or open a login and that gatepost does not know, and words that
/// belong to the protocol. Dropping them would admit whom Dovecot would not: the account fails instead.
const REFUSED: [&str; 30] = [
    "allow_real_nets",
    "anonymous",
    "auth_user",
    "authz",
    "check_client_cert_fp",
    "check_client_fp",
    "check_client_pubkey_fp",
    "code",
    "delay_until",
    "deny",
    "domain",
    "fail",
    "k5principals",
    "login_user",
    "master_user",
    "noauthenticate",
    "nopassword",
    "original_user",
    "passdb_import",
    "pass_expired",
    "password_noscheme",
    // Dovecot's other word for a proxy that may be the server itself, for directors.
    "proxy_always",
    "resp",
    "temp",
    "tempfail",
    "user_disabled",
    "userdb_import",
    "username",
    "auth_token",
    "auth_mech",
];

/// The same in the userdb: a second name for the account, a failure on purpose, and what only a login can prove.
const USERDB_REFUSED: [&str; 11] = [
    "anonymous",
    "auth_mech",
    "auth_token",
    "auth_token_session_pid",
    "auth_user",
    "client_service",
    "master_user",
    "tempfail",
    "uidgid_file",
    "user",
    "userdb_import",
];

/// The reserved names that keep somebody out.
const GUARDS: [&str; 9] = [
    "allow_nets",
    "services",
    "nologin",
    "active",
    "expired",
    "expires_at",
    "password",
    "password_from",
    "password_user",
];

/// What people write for one of them.
const ALSO_CALLED: [(&str, &str); 3] =
    [("disabled", "active"), ("enabled", "active"), ("inactive", "active")];

/// The guard that a name was probably meant to be: `allow_net`, `Allow-Nets`, `nologn`. As an ordinary field it would
/// let everybody in.
fn meant(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let name = plain(name);
    let called = ALSO_CALLED.iter().find(|(other, _)| *other == name).map(|(_, guard)| *guard);
    called.or_else(|| GUARDS.into_iter().find(|guard| one_slip(name.as_bytes(), plain(guard).as_bytes())))
}

/// Whether at most one letter of one is missing, added or another in the other.
fn one_slip(a: &[u8], b: &[u8]) -> bool {
    let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let rest = |word: &[u8]| word.len() - before;
    let behind = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let behind = behind.min(rest(a)).min(rest(b));
    rest(a) - behind <= 1 && rest(b) - behind <= 1
}

fn proxy_word(name: &str) -> Option<ProxyWord> {
    Some(match name {
        "proxy" => ProxyWord::Proxy,
        "proxy_maybe" => ProxyWord::Maybe,
        "proxy_noauth"
        | "proxy_nopipelining"
        | "proxy_not_trusted"
        | "proxy_redirect_reauth"
        | "proxy_no_multiplex" => ProxyWord::Flag,
        "host"
        | "hostip"
        | "port"
        | "destuser"
        | "pass"
        | "master"
        | "source_ip"
        | "ssl"
        | "starttls"
        | "proxy_timeout"
        | "proxy_mech"
        | "proxy_refresh"
        | "proxy_host_immediate_failure_after" => ProxyWord::Value,
        _ => return None,
    })
}

/// A name that can stand before `=`, and that is none of Dovecot's `name:default` and `name:remove`.
fn checked(name: &str) -> Result<&str, BadRow> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'=' && byte != b':';
    if !name.is_empty() && name.bytes().all(plain) { Ok(name) } else { Err(BadRow::FieldName) }
}

#[cfg(test)]
mod tests {
    use super::{Audience, BadRow, Own, Place, ProxyWord};

    #[test]
    fn a_name_has_the_place_that_its_audience_gives_it() {
        use Audience::{Attribute, Column, Field, Passdb, Userdb};
        let table = [
            (Attribute, "uid", Place::Nowhere),
            (Attribute, "host", Place::Nowhere),
            (Attribute, "deny", Place::Nowhere),
            (Column, "password", Place::Own(Own::Password)),
            (Column, "sieve", Place::Own(Own::Service("sieve"))),
            (Column, "home", Place::Userdb("home")),
            (Column, "userdb_mail", Place::Userdb("mail")),
            (Column, "quota", Place::Nowhere),
            (Column, "host", Place::Passdb(Some(ProxyWord::Value), "host")),
            (Passdb, "userdb_mail", Place::Userdb("mail")),
            (Passdb, "nologin", Place::Own(Own::Nologin)),
            (Passdb, "proxy", Place::Passdb(Some(ProxyWord::Proxy), "proxy")),
            (Passdb, "proxy_maybe", Place::Passdb(Some(ProxyWord::Maybe), "proxy_maybe")),
            (Column, "expires_at", Place::Own(Own::ExpiresAt)),
            (Column, "password_from", Place::Own(Own::PasswordFrom)),
            (Field, "password_user", Place::Own(Own::PasswordUser)),
            (Passdb, "postlogin_socket", Place::Passdb(None, "postlogin_socket")),
            (Passdb, "nodelay", Place::Nowhere),
            (Userdb, "home", Place::Userdb("home")),
            (Userdb, "nologin", Place::Userdb("nologin")),
            (Field, "quota_rule", Place::Userdb("quota_rule")),
            (Field, "plugin/quota", Place::Userdb("plugin/quota")),
            (Field, "forward_x", Place::Passdb(None, "forward_x")),
            (Field, "allow_nets", Place::Own(Own::AllowNets)),
        ];
        for (audience, name, place) in table {
            assert_eq!(Place::of(audience, name), Ok(place), "{audience:?} {name}");
        }
    }

    #[test]
    fn a_slip_in_a_name_that_keeps_somebody_out_is_no_ordinary_field() {
        use Audience::{Column, Field, Passdb, Userdb};
        for (name, guard) in [
            ("allow_net", "allow_nets"),
            ("Allow-Nets", "allow_nets"),
            ("allownets", "allow_nets"),
            ("alow_nets", "allow_nets"),
            ("service", "services"),
            ("NOLOGIN", "nologin"),
            ("no_login", "nologin"),
            ("Active", "active"),
            ("disabled", "active"),
            ("expires", "expired"),
            ("passwort", "password"),
        ] {
            for audience in [Field, Passdb] {
                assert_eq!(Place::of(audience, name), Err(BadRow::Slip(guard)), "{audience:?} {name}");
            }
            assert_eq!(Place::of(Column, name), Ok(Place::Nowhere), "a column may have any name");
            assert_eq!(Place::of(Userdb, name), Ok(Place::Userdb(name)));
        }
        for name in
            ["mail", "quota_rule", "sieve_dir", "attive_x", "allow_all_users", "plugin/quota", "pass_x"]
        {
            assert_eq!(Place::of(Field, name), Ok(Place::Userdb(name)), "{name}");
        }
    }

    #[test]
    fn what_dovecot_would_obey_and_gatepost_does_not_know_is_refused() {
        use Audience::{Column, Field, Passdb, Userdb};
        for audience in [Column, Field, Passdb] {
            for name in ["allow_real_nets", "nopassword", "proxy_always", "resp"] {
                assert_eq!(Place::of(audience, name), Err(BadRow::Refused(name)), "{audience:?} {name}");
            }
            assert_eq!(Place::of(audience, "userdb_user"), Err(BadRow::Refused("user")));
        }
        assert_eq!(Place::of(Userdb, "master_user"), Err(BadRow::Refused("master_user")));
        for name in ["", "a=b", "a:default", "a b", "a\tb", "a\nb", "\u{e9}"] {
            assert_eq!(Place::of(Userdb, name), Err(BadRow::FieldName), "{name:?}");
            assert_eq!(Place::of(Passdb, name), Err(BadRow::FieldName), "{name:?}");
        }
    }
}
