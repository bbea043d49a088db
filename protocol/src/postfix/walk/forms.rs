//! The keys of one form of a domain, one after the other.

use std::borrow::Cow;

use super::{Step, Walk};
use crate::postfix::address::Address;

/// Of each of a whole address and of one without its extension: the external form, and the internal one.
const FORMS: u8 = 4;

/// Longest name of a domain, in letters and dots (RFC 1035 2.3.4: 255 with the length of each label and the root).
const NAME: usize = 253;

/// Longest address of IP, as text: one of IPv6 with one of IPv4 in it.
const IP: usize = 45;

/// How far a walk has come.
#[derive(Debug, Clone)]
pub(super) struct Forms<'k> {
    walk: Walk,
    key: &'k str,
    address: Address<'k>,
    delimiters: &'k str,
    next: Next<'k>,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
enum Next<'k> {
    /// The key as it is, and nothing else.
    Key,
    /// `@` and the domain as they are.
    Domain,
    /// The form of the address with this number.
    Form(u8),
    /// What is for everybody of the domain.
    Everybody,
    /// A domain that may have parents, and what stands before those.
    Parent {
        domain: &'k str,
        above: bool,
        mark: &'static str,
    },
    /// An address of IP, or what is left of it.
    Network {
        rest: &'k str,
        is_all: bool,
    },
    /// The form with this number of the local part alone, or with `@`.
    Alone(u8),
    End,
}

impl<'k> Forms<'k> {
    pub(super) fn of(key: &'k str, walk: Walk, delimiters: &'k str) -> Self {
        let address = Address::asked(key);
        let parents = |mark| Next::Parent { domain: key, above: false, mark };
        let next = match walk {
            Walk::Exact => Next::Key,
            // The null sender, or a name that is asked for beside addresses.
            Walk::Address | Walk::Local | Walk::Transport | Walk::Access if address.domain.is_none() => {
                Next::Key
            }
            // Postfix asks for @domain itself nowhere; whoever else does is to be told what is there.
            Walk::Address | Walk::Local | Walk::Transport | Walk::Access if address.local.is_empty() => {
                Next::Domain
            }
            Walk::Address | Walk::Local | Walk::Transport | Walk::Access => Next::Form(0),
            Walk::Client if is_ip(key) => Next::Network { rest: key, is_all: true },
            // A number in the place of a name has none above it.
            Walk::Domain | Walk::Nexthop if is_ip(key) => Next::Key,
            Walk::Client | Walk::Domain => parents(""),
            // A host in brackets, or one with a port, is no domain.
            Walk::Nexthop if key.contains(['[', ':']) => Next::Key,
            Walk::Nexthop => parents("."),
        };
        Self { walk, key, address, delimiters, next }
    }

    /// One of the [`FORMS`] of the address, in this domain.
    fn form(&self, number: u8, domain: Option<&str>) -> Option<(String, bool)> {
        let (is_bare, is_internal) = (number >= 2, number % 2 == 1);
        let address = match is_bare {
            true => self.address.without_extension(self.delimiters)?.0,
            false => Address { local: Cow::Borrowed(&*self.address.local), domain: None },
        };
        let address = Address { domain, ..address };
        if is_internal && domain.is_none() && address.local.contains('@') {
            // Alone it would be somebody else's address.
            return None;
        }
        let key = if is_internal { address.internal()? } else { address.external() };
        Some((key, is_bare))
    }

    /// What comes behind the forms of the address.
    fn behind_forms(&self) -> Next<'k> {
        let domain = self.address.domain.unwrap_or_default();
        match self.walk {
            Walk::Address => Next::Everybody,
            Walk::Local => Next::Alone(0),
            Walk::Transport => Next::Parent { domain, above: false, mark: "." },
            Walk::Access => Next::Parent { domain, above: false, mark: "" },
            Walk::Exact | Walk::Client | Walk::Domain | Walk::Nexthop => Next::End,
        }
    }

    fn behind_parents(&self) -> Next<'k> {
        let has_both =
            !self.address.local.is_empty() && self.address.domain.is_some_and(|domain| !domain.is_empty());
        if self.walk == Walk::Access && has_both { Next::Alone(0) } else { Next::End }
    }

    /// `@` and the domain, as they stand in the key.
    fn everybody(&self) -> &'k str {
        let length = self.address.domain.map_or(0, |domain| domain.len() + 1);
        self.key.get(self.key.len() - length..).unwrap_or_default()
    }
}

impl<'k> Iterator for Forms<'k> {
    type Item = Step<'k>;

    fn next(&mut self) -> Option<Step<'k>> {
        let whole = |key: Cow<'k, str>, is_bare| Step { key, is_bare, is_whole: true };
        let wide = |key: Cow<'k, str>| Step { key, is_bare: false, is_whole: false };
        loop {
            match self.next {
                Next::Key => {
                    self.next = Next::End;
                    return Some(whole(self.key.into(), false));
                }
                Next::Domain => {
                    // Which is what is for everybody, unless there are quotes with nothing in them.
                    self.next = match self.walk {
                        Walk::Address | Walk::Local if self.key.starts_with('@') => Next::End,
                        Walk::Address | Walk::Local => Next::Everybody,
                        Walk::Exact
                        | Walk::Transport
                        | Walk::Access
                        | Walk::Client
                        | Walk::Domain
                        | Walk::Nexthop => self.behind_forms(),
                    };
                    return Some(wide(self.key.into()));
                }
                Next::Form(FORMS) => self.next = self.behind_forms(),
                Next::Form(number) => {
                    self.next = Next::Form(number + 1);
                    // As nearly all are written.
                    if number == 0 && self.address.is_plain() {
                        self.next = Next::Form(2);
                        return Some(whole(self.key.into(), false));
                    }
                    if let Some((key, is_bare)) = self.form(number, self.address.domain) {
                        return Some(whole(key.into(), is_bare));
                    }
                }
                Next::Everybody => {
                    self.next = Next::End;
                    return Some(wide(self.everybody().into()));
                }
                Next::Parent { domain, above, mark } => {
                    let parent = parent_of(domain);
                    self.next = match parent {
                        Some(domain) => Next::Parent { domain, above: true, mark },
                        None => self.behind_parents(),
                    };
                    return Some(wide(match above && !mark.is_empty() {
                        true => [mark, domain].concat().into(),
                        false => domain.into(),
                    }));
                }
                Next::Network { rest, is_all } => {
                    self.next = match network_of(rest, self.key) {
                        Some(rest) => Next::Network { rest, is_all: false },
                        None => Next::End,
                    };
                    return Some(Step { key: rest.into(), is_bare: false, is_whole: is_all });
                }
                Next::Alone(FORMS) => {
                    self.next = if self.walk == Walk::Local { Next::Everybody } else { Next::End };
                }
                Next::Alone(number) => {
                    self.next = Next::Alone(number + 1);
                    let domain = if self.walk == Walk::Local { None } else { Some("") };
                    if let Some((key, is_bare)) = self.form(number, domain) {
                        return Some(whole(key.into(), is_bare));
                    }
                }
                Next::End => return None,
            }
        }
    }
}

/// The next domain above one. A dot at the beginning is none between two names, and what is too long for a name is nobody's.
fn parent_of(domain: &str) -> Option<&str> {
    let mut rest = domain;
    loop {
        let at = rest.bytes().skip(1).position(|byte| byte == b'.')?;
        rest = rest.get(at + 2..)?;
        if !rest.is_empty() && is_name(rest) {
            return Some(rest);
        }
    }
}

/// What is left before the last dot, or colon, of an address of IP of which this much is left. What is too long for one is nobody's.
fn network_of<'k>(rest: &'k str, address: &str) -> Option<&'k str> {
    let delimiter = if address.contains(':') { ':' } else { '.' };
    let mut rest = rest;
    loop {
        let at = rest.rfind(delimiter)?;
        rest = rest.get(..at)?.trim_end_matches(delimiter);
        if !rest.is_empty() && rest.len() <= IP {
            return Some(rest);
        }
    }
}

/// Whether a domain can be as long as this. It has at least as many letters in its other form, each of at most four bytes here.
fn is_name(domain: &str) -> bool {
    domain.len() <= 4 * NAME && domain.chars().count() <= NAME
}

fn is_ip(key: &str) -> bool {
    let is_byte = |part: &str| part.parse::<u8>().is_ok();
    key.contains(':') || (key.split('.').count() == 4 && key.split('.').all(is_byte))
}
