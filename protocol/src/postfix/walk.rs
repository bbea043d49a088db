//! Under which keys a table is asked, one after the other.
//!
//! Postfix does this itself with a file or a database, and not with a socketmap, which it asks once, with the whole key:
//! user+ext@example.org. Here is what it does with the others, so that a table behind a socketmap says the same.
//!
//! <https://www.postfix.org/virtual.5.html>, <https://www.postfix.org/transport.5.html>,
//! <https://www.postfix.org/access.5.html>: TABLE SEARCH ORDER.

mod forms;

use std::borrow::Cow;

use self::forms::Forms;
use super::address::halves;

/// How a table is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// `exact`: the key alone.
    Exact,
    /// `address`: user+ext@domain, user@domain, @domain.
    Address,
    /// `local`: user+ext@domain, user@domain, user+ext, user, @domain. Of addresses that are known to be local.
    Local,
    /// `transport`: user+ext@domain, user@domain, domain, .parent and so on up. `*` Postfix asks for itself.
    Transport,
    /// `access`: user+ext@domain, user@domain, domain, parent and so on up, user+ext@, user@.
    Access,
    /// `client`: a name, and its parents; or an address of IP, and the networks at its dots or colons: 192.0.2.1, 192.0.2,
    /// 192.0, 192.
    Client,
    /// `domain`: a domain, and its parents.
    Domain,
    /// `nexthop`: a domain, and its parents with a dot before: .example.org.
    Nexthop,
}

/// How restrictions about the servers of a domain end.
const SERVERS: [&str; 3] = ["_mx_access", "_ns_access", "_a_access"];

/// What Postfix asks for.
///
/// In lower case, as the keys of all tables of fixed strings. A domain of other letters has two forms, as U-label and as A-label
/// (RFC 5890 2.3.2.1), and is asked for in both: Postfix has it as the remote wrote it.
#[derive(Debug, Clone)]
pub struct Key<'a> {
    typed: &'a str,
    lower: Cow<'a, str>,
    /// The same with the other form of its domain.
    other: Option<String>,
}

/// One key under which it may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'k> {
    /// What is asked for.
    pub key: Cow<'k, str>,
    /// Whether an extension was taken off the local part.
    pub is_bare: bool,
    /// Whether it is an address with a local part: all that any other key finds is for everybody of a domain.
    pub is_whole: bool,
}

/// The keys for what Postfix asks for, in their order, each once. Each is made when it is asked for: most are found by the first.
#[derive(Debug, Clone)]
pub struct Steps<'k> {
    forms: Forms<'k>,
    /// Those of the other form of the domain, which have their turn one by one.
    others: Option<Others<'k>>,
}

#[derive(Debug, Clone)]
struct Others<'k> {
    forms: Forms<'k>,
    is_next: bool,
    seen: Vec<Cow<'k, str>>,
}

impl Walk {
    /// All, with their names in the configuration.
    pub const ALL: [(&'static str, Self); 8] = [
        ("exact", Self::Exact),
        ("address", Self::Address),
        ("local", Self::Local),
        ("transport", Self::Transport),
        ("access", Self::Access),
        ("client", Self::Client),
        ("domain", Self::Domain),
        ("nexthop", Self::Nexthop),
    ];

    /// How Postfix walks the tables of a parameter, or of a restriction such as `check_sender_access`. `None`: it is
    /// none that looks up in tables.
    pub fn of_parameter(name: &str) -> Option<Self> {
        let walk = match name {
            "virtual_mailbox_domains"
            | "virtual_alias_domains"
            | "mydestination"
            | "check_sasl_access"
            | "smtpd_milter_maps"
            | "smtpd_discard_ehlo_keyword_address_maps" => Self::Exact,
            "virtual_mailbox_maps"
            | "virtual_alias_maps"
            | "canonical_maps"
            | "sender_canonical_maps"
            | "recipient_canonical_maps"
            | "smtp_generic_maps"
            | "relocated_maps"
            | "relay_recipient_maps"
            | "sender_bcc_maps"
            | "recipient_bcc_maps"
            | "smtpd_sender_login_maps"
            | "sender_dependent_relayhost_maps"
            | "sender_dependent_default_transport_maps"
            | "smtp_sasl_password_maps" => Self::Address,
            // Postfix looks up a local part alone where the domain is its own, and asks this table of no other.
            "local_recipient_maps" => Self::Local,
            "transport_maps" => Self::Transport,
            "check_sender_access" | "check_recipient_access" => Self::Access,
            "check_client_access" => Self::Client,
            "relay_domains" | "check_helo_access" => Self::Domain,
            "smtp_tls_policy_maps" => Self::Nexthop,
            // Of the servers of a domain, by name and by address: check_recipient_mx_access and its kin.
            _ if name.starts_with("check_") && SERVERS.iter().any(|of| name.ends_with(of)) => Self::Client,
            _ => return None,
        };
        Some(walk)
    }
}

impl<'a> Key<'a> {
    /// As Postfix, or whoever else, asks.
    pub fn of(typed: &'a str) -> Self {
        // All of them are looked at, which is quicker than to stop.
        let is_lower =
            typed.bytes().fold(true, |so_far, byte| so_far & byte.is_ascii() & !byte.is_ascii_uppercase());
        let lower = if is_lower { Cow::Borrowed(typed) } else { Cow::Owned(typed.to_lowercase()) };
        let other = in_other_letters(&lower);
        Self { typed, lower, other }
    }

    /// As it was asked for.
    pub const fn typed(&self) -> &'a str {
        self.typed
    }

    /// In lower case.
    pub fn lower(&self) -> &str {
        &self.lower
    }

    /// The keys that a table is asked for; an extension begins at one of the `delimiters`.
    pub fn steps<'k>(&'k self, walk: Walk, delimiters: &'k str) -> Steps<'k> {
        let others = self.other.as_deref().map(|other| Others {
            forms: Forms::of(other, walk, delimiters),
            is_next: false,
            seen: Vec::new(),
        });
        Steps { forms: Forms::of(&self.lower, walk, delimiters), others }
    }
}

impl<'k> Iterator for Steps<'k> {
    type Item = Step<'k>;

    fn next(&mut self) -> Option<Step<'k>> {
        let Some(others) = &mut self.others else { return self.forms.next() };
        loop {
            let (first, second) = match others.is_next {
                false => (&mut self.forms, &mut others.forms),
                true => (&mut others.forms, &mut self.forms),
            };
            others.is_next = !others.is_next;
            let step = first.next().or_else(|| second.next())?;
            // Their parents may be the same.
            if !others.seen.contains(&step.key) {
                others.seen.push(step.key.clone());
                return Some(step);
            }
        }
    }
}

/// The key with the other form of its domain, or of the domain that it is. `None`: it has but one.
///
/// Some letters come to signs of ASCII (UTS 46 4): `＠` to `@`, which would make another address of it.
fn in_other_letters(key: &str) -> Option<String> {
    let (local, domain) = match halves(key) {
        (local, Some(domain)) => (Some(local), domain),
        (whole, None) => (None, whole),
    };
    let other = if domain.contains("xn--") {
        match idna::domain_to_unicode(domain) {
            (other, Ok(())) => other,
            (_, Err(_)) => return None,
        }
    } else if domain.is_ascii() {
        return None;
    } else {
        idna::domain_to_ascii(domain).ok()?
    };
    let other = other.to_lowercase();
    let of_name = |sign: char| !sign.is_ascii() || sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    (other != domain && !other.is_empty() && other.chars().all(of_name)).then(|| match local {
        Some(local) => [local, "@", &other].concat(),
        None => other,
    })
}

#[cfg(test)]
mod tests;
