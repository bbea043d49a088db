//! What memory may say, and what it must, by what the source has said and when.

use proptest::{prelude::*, test_runner::TestCaseError};

use super::{Heard, NEGATIVE, Question, TTL, Truth, What, Whom, World, owner};
use crate::cache::{Entry, Holder, Recall, Tick};

impl World {
    /// Whether what was asked then is forgotten. `in_flight`: the answer to it is not there yet.
    ///
    /// Whose other name it is, where nobody has it, nobody knows.
    pub(super) fn flushed(&self, question: &Question, in_flight: bool) -> bool {
        let (name, begun) = (question.name, question.begun.0);
        let there = matches!(question.heard, Some((_, Heard::Said(truth))) if truth.there);
        let is = |whom: usize| whom == name || (there && whom == owner(name));
        self.flushes.iter().any(|flush| {
            flush.at.0 > begun
                && match flush.whom {
                    Whom::Ruled(whom) => in_flight || whom.is_none_or(is),
                    Whom::Named(whom) => is(whom),
                    Whom::Doubted => in_flight,
                }
        })
    }

    fn doubted(&self, begun: u32) -> bool {
        self.flushes.iter().any(|flush| flush.at.0 > begun && flush.whom == Whom::Doubted)
    }

    /// The answers about a name that memory may remember, with what they said.
    fn known(&self, name: usize) -> impl Iterator<Item = (&Question, Truth)> + Clone {
        let kept = move |question: &&Question| question.name == name && !self.flushed(question, false);
        self.questions.iter().filter(kept).filter_map(|question| Some((question, question.truth()?)))
    }

    fn young(&self, question: &Question, limit: u32) -> bool {
        let fresh = limit > TTL || !self.doubted(question.begun.0);
        self.now.since(question.begun.1) < limit && fresh
    }

    /// Whether an answer shows memory that a password is right.
    fn shows(&self, question: &Question, truth: Truth, password: u8) -> bool {
        truth.there
            && truth.password == password
            && ((question.what == What::Login(password) && !truth.shut) || self.hashes)
    }

    /// Whether an answer shows memory that it is not, or not any more.
    fn denies(&self, question: &Question, truth: Truth, password: u8) -> bool {
        let another = truth.password != password;
        match question.what {
            // That there was nobody may have had to make room.
            _ if !truth.there => self.roomy,
            What::Login(_) if truth.shut => true,
            _ if self.hashes => another,
            What::Login(tried) => another && (tried == password || tried == truth.password),
            What::Lookup => false,
        }
    }

    pub(super) fn check(
        &self,
        name: usize,
        password: u8,
        recall: &Recall<Holder>,
    ) -> Result<(), TestCaseError> {
        match recall {
            Recall::Right { taken, .. } => self.check_right(name, password, taken.look().entry, TTL),
            Recall::Wrong => self.check_wrong(name, password),
            Recall::Nobody => self.check_nobody(name),
            Recall::Nothing => {
                let right = self.must_be_right(name, password, TTL - TTL / 8);
                prop_assert!(!right, "a right password is forgotten");
                prop_assert!(!self.must_be_wrong(name, password), "a wrong password is forgotten");
                prop_assert!(!self.must_be_nobody(name), "that there is nobody is forgotten");
                Ok(())
            }
        }
    }

    pub(super) fn check_right(
        &self,
        name: usize,
        password: u8,
        entry: Entry<'_>,
        limit: u32,
    ) -> Result<(), TestCaseError> {
        let login = |question: &Question, truth: Truth| {
            question.what == What::Login(password) && truth.there && !truth.shut && truth.password == password
        };
        prop_assert!(
            self.known(name).any(|(question, truth)| login(question, truth)),
            "nobody has found that right"
        );
        let shown = self.known(name).filter(|(question, truth)| self.shows(question, *truth, password));
        prop_assert!(shown.clone().any(|(question, _)| self.young(question, limit)), "older than it may be");
        let last = shown.map(|(question, _)| question.said_at()).max().unwrap_or(0);
        let denied = self
            .known(name)
            .find(|(question, truth)| question.said_at() > last && self.denies(question, *truth, password));
        prop_assert!(denied.is_none(), "the source has said otherwise since: {denied:?}");
        self.check_account(name, entry, limit)
    }

    fn check_wrong(&self, name: usize, password: u8) -> Result<(), TestCaseError> {
        let refused = self.known(name).filter(|(question, truth)| {
            question.what == What::Login(password)
                && truth.there
                && truth.password != password
                && self.young(question, NEGATIVE)
        });
        let Some(last) = refused.clone().map(|(question, _)| question.said_at()).max() else {
            return Err(TestCaseError::fail("nobody has found that wrong"));
        };
        if self.hashes {
            // By the hash that is known last.
            let newest =
                self.known(name).filter(|(_, truth)| truth.there).max_by_key(|(one, _)| one.said_at());
            let hash = |truth: Truth| (truth.password, truth.salt);
            let same =
                |(_, then): (&Question, Truth)| newest.is_some_and(|(_, truth)| hash(truth) == hash(then));
            prop_assert!(refused.clone().any(same), "it was wrong by another hash");
            return Ok(());
        }
        let taken_back = self.known(name).find(|(question, truth)| {
            // Unless it is another one by now.
            let again = self.known(name).any(|(other, truth)| {
                other.said_at() > question.said_at() && self.denies(other, truth, password)
            });
            question.said_at() > last && self.shows(question, *truth, password) && !again
        });
        prop_assert!(taken_back.is_none(), "the source has said otherwise since: {taken_back:?}");
        Ok(())
    }

    pub(super) fn check_nobody(&self, name: usize) -> Result<(), TestCaseError> {
        let none =
            self.known(name).filter(|(question, truth)| !truth.there && self.young(question, NEGATIVE));
        let Some(last) = none.map(|(question, _)| question.said_at()).max() else {
            return Err(TestCaseError::fail("nobody has said that there is nobody"));
        };
        let there = self.known(name).find(|(question, truth)| truth.there && question.said_at() > last);
        prop_assert!(there.is_none(), "the source has said otherwise since: {there:?}");
        Ok(())
    }

    pub(super) fn check_account(
        &self,
        name: usize,
        entry: Entry<'_>,
        limit: u32,
    ) -> Result<(), TestCaseError> {
        prop_assert_eq!(entry.user(), &self.names[name]);
        prop_assert_eq!(entry.canonical(), &self.names[owner(name)]);
        let fields = std::str::from_utf8(entry.userdb()).unwrap();
        let version = fields.split('\t').next().and_then(|field| field.strip_prefix("version=")).unwrap();
        let version: u32 = version.parse().unwrap();
        let given = self.known(name).filter(|(_, truth)| truth.there && version == truth.version);
        let young = given.clone().find(|(question, _)| self.young(question, limit));
        let Some((_, truth)) = young else {
            return Err(TestCaseError::fail("nobody has given this account, or too long ago"));
        };
        prop_assert_eq!(entry.admits("imap", None, std::time::UNIX_EPOCH), truth.active);
        let last = given.map(|(question, _)| question.said_at()).max().unwrap_or(0);
        let gone = self
            .known(name)
            .find(|(question, truth)| self.roomy && !truth.there && question.said_at() > last);
        prop_assert!(gone.is_none(), "the source has said otherwise since: {gone:?}");
        Ok(())
    }

    /// Whether something must be known that was `found` less than `limit` ago: nothing overlapped with it, and
    /// nothing was said afterwards that it does not agree with.
    fn clear(
        &self,
        name: usize,
        limit: u32,
        found: impl Fn(&Question, Truth) -> bool,
        agrees: impl Fn(&Question, Truth, Truth) -> bool,
    ) -> bool {
        // A doubt is of all that was asked in its tick.
        let doubted =
            |begun: Tick| self.flushes.iter().any(|flush| flush.at.1 >= begun && flush.whom == Whom::Doubted);
        let before = |other: &Question, begun: Tick| other.ended.is_some_and(|(_, ended)| ended < begun);
        self.roomy
            && self.known(name).any(|(one, truth)| {
                one.ended.is_some_and(|(_, ended)| {
                    found(one, truth)
                        && self.now.since(one.begun.1) < limit
                        && !doubted(one.begun.1)
                        && self.questions.iter().filter(|other| other.name == name).all(|other| {
                            let Some(another) = other.truth() else { return true };
                            let later = other.begun.1 > ended && !self.flushed(other, false);
                            std::ptr::eq(one, other)
                                || before(other, one.begun.1)
                                || (later && agrees(other, truth, another))
                        })
                })
            })
    }

    pub(super) fn must_be_right(&self, name: usize, password: u8, limit: u32) -> bool {
        let found = |question: &Question, truth: Truth| {
            question.what == What::Login(password) && truth.there && !truth.shut && truth.password == password
        };
        let same = |question: &Question, truth: Truth, other: Truth| {
            let hash = |truth: Truth| (truth.password, truth.salt);
            other.there && hash(truth) == hash(other) && !(other.shut && question.what != What::Lookup)
        };
        self.clear(name, limit, found, same)
    }

    fn must_be_wrong(&self, name: usize, password: u8) -> bool {
        let found = |question: &Question, truth: Truth| {
            question.what == What::Login(password) && truth.there && !truth.shut && truth.password != password
        };
        let same = |question: &Question, truth: Truth, other: Truth| {
            let hash = |truth: Truth| (truth.password, truth.salt);
            // Three passwords: not so many are wrong that they push each other out.
            other.there && hash(truth) == hash(other) && (!other.shut || question.what == What::Lookup)
        };
        self.clear(name, NEGATIVE, found, same)
    }

    pub(super) fn must_be_nobody(&self, name: usize) -> bool {
        self.clear(name, NEGATIVE, |_, truth| !truth.there, |_, _, other| !other.there)
    }
}
