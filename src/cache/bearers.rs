//! Who is in by the tokens of whom, so that their connections can be ended when the provider tells of a logout: a connection
//! outlives the token that it was opened with, and a logout names its user as the provider does.

use std::{
    collections::{HashMap, VecDeque},
    hash::RandomState,
};

use super::heard::key;
use crate::username::Username;

/// How many sessions and subjects are remembered, of some 150 bytes each. Who is forgotten stays in.
const MOST: usize = 65_536;

/// How many users are remembered of one of them. There is more than one only where somebody is a delegate.
const USERS: usize = 8;

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    known: HashMap<[u8; 16], Vec<Username>, RandomState>,
    order: VecDeque<[u8; 16]>,
}

/// By what of an issuer somebody is found again.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// `sid`.
    Session(&'a str),
    /// `sub`, whatever the session.
    Subject(&'a str),
    /// `sub` of tokens that do not say which session they are of.
    Sessionless(&'a str),
}

impl By<'_> {
    fn key(self, issuer: &str) -> [u8; 16] {
        match self {
            Self::Session(id) => key(&["session", issuer, id]),
            Self::Subject(id) => key(&["subject", issuer, id]),
            Self::Sessionless(id) => key(&["sessionless", issuer, id]),
        }
    }
}

impl Bearers {
    /// Takes note of somebody who was let in.
    pub(super) fn note(&mut self, issuer: &str, by: By<'_>, user: &Username) {
        let key = by.key(issuer);
        if let Some(users) = self.known.get_mut(&key) {
            if !users.contains(user) {
                if users.len() == USERS {
                    users.remove(0);
                }
                users.push(user.clone());
            }
            return;
        }
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
        self.known.insert(key, vec![user.clone()]);
    }

    /// Who was let in.
    pub(super) fn of(&self, issuer: &str, by: By<'_>) -> &[Username] {
        self.known.get(&by.key(issuer)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bearers, By, MOST, USERS};
    use crate::username::Username;

    #[test]
    fn the_last_ones_are_remembered_each_once_and_by_whose_word() {
        let user = |name: &str| Username::normalise(name.as_bytes(), None).unwrap();
        let mut bearers = Bearers::default();
        bearers.note("idp", By::Subject("1"), &user("alice"));
        bearers.note("idp", By::Subject("1"), &user("alice"));
        assert_eq!(bearers.of("idp", By::Subject("1")), [user("alice")]);
        for (issuer, by) in
            [("other", By::Subject("1")), ("idp", By::Session("1")), ("idp", By::Sessionless("1"))]
        {
            assert!(bearers.of(issuer, by).is_empty(), "{by:?} of {issuer}");
        }
        for number in 0..2 * USERS {
            bearers.note("idp", By::Session("s"), &user(&format!("u{number}")));
        }
        assert_eq!(bearers.of("idp", By::Session("s")).len(), USERS);
        for number in 0..MOST {
            bearers.note("idp", By::Session(&number.to_string()), &user("bob"));
        }
        assert!(bearers.of("idp", By::Subject("1")).is_empty());
        assert_eq!((bearers.known.len(), bearers.order.len()), (MOST, MOST));
    }
}
