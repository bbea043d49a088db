//! Whatever happens in whatever order: nobody comes in with a token that has ended or was revoked, and nobody is refused who
//! has a good one.

use std::time::Duration;

use futures_util::FutureExt as _;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{House, attempt, house, rejected, start, unavailable};
use crate::{
    decision::{Logout, Recollection},
    oidc::{How, TokenFault, Vouched, scripted::vouched},
};

const USERS: [&str; 2] = ["alice", "bob"];
/// How many tokens are about at once.
const TOKENS: usize = 3;
const ISSUER: &str = "https://id.example.org";

#[derive(Debug, Clone)]
enum Step {
    /// Time goes by, in seconds.
    Pass(u64),
    /// Somebody shows a token, and says a name.
    Show { token: usize, named: Option<usize> },
    /// A token is issued anew.
    Issue { token: usize, user: usize, lives: u64, dated: bool, signed: bool },
    /// The provider revokes a token.
    End(usize),
    /// The provider does not answer, or does again.
    Outage(bool),
    /// An administrator revokes the tokens of a user.
    Revoke(usize),
    /// The provider says that all sessions of a user have ended.
    Logout(usize),
    /// An administrator has memory forget a user, or everybody.
    Flush(Option<usize>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let lives = prop_oneof![1..60_u64, 60..400_u64, 400..1500_u64];
    let issue = (0..TOKENS, 0..2_usize, lives, any::<bool>(), any::<bool>());
    prop_oneof![
        6 => prop_oneof![1..30_u64, 30..120_u64, 120..400_u64].prop_map(Step::Pass),
        12 => (0..TOKENS, prop::option::of(0..2_usize)).prop_map(|(token, named)| Step::Show { token, named }),
        2 => issue.prop_map(|(token, user, lives, dated, signed)| Step::Issue { token, user, lives, dated, signed }),
        1 => (0..TOKENS).prop_map(Step::End),
        1 => any::<bool>().prop_map(Step::Outage),
        1 => (0..2_usize).prop_map(Step::Revoke),
        1 => (0..2_usize).prop_map(Step::Logout),
        1 => prop::option::of(0..2_usize).prop_map(Step::Flush),
    ]
}

/// A token as it is in truth.
#[derive(Debug, Clone)]
struct Truth {
    /// Each has a text of its own: a new token is another one.
    text: String,
    user: usize,
    issued: u64,
    ends: u64,
    dated: bool,
    signed: bool,
    /// When its provider has ended it.
    ended: Option<u64>,
    /// When it was shown first.
    shown: Option<u64>,
}

struct World {
    house: House,
    now: u64,
    tokens: [Option<Truth>; TOKENS],
    away: bool,
    revoked: [Option<u64>; 2],
    issued: usize,
}

impl World {
    fn new() -> Self {
        Self {
            house: house(),
            now: 1,
            tokens: Default::default(),
            away: false,
            revoked: [None; 2],
            issued: 0,
        }
    }

    /// Has the provider say what is so.
    fn tell(&self) {
        for truth in self.tokens.iter().flatten() {
            let said = if self.away {
                unavailable()
            } else if truth.ends <= self.now {
                rejected(TokenFault::Expired)
            } else if truth.ended.is_some() && !truth.signed {
                rejected(TokenFault::Inactive)
            } else {
                let claims =
                    if truth.dated { json!({ "iat": 1_800_000_000 + truth.issued }) } else { json!({}) };
                let expires = start() + Duration::from_secs(truth.ends);
                let how = if truth.signed { How::Jwt } else { How::Introspection };
                Ok(Vouched { how, ..vouched(USERS[truth.user], expires, claims) })
            };
            self.house.say(&truth.text, said);
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Pass(seconds) => self.now += seconds,
            Step::Issue { token, user, lives, dated, signed } => {
                self.issued += 1;
                let (text, issued) = (format!("token {}", self.issued), self.now);
                let ends = self.now + lives;
                let truth = Truth { text, user, issued, ends, dated, signed, ended: None, shown: None };
                self.tokens[token] = Some(truth);
            }
            Step::End(token) => {
                if let Some(truth) = &mut self.tokens[token] {
                    truth.ended.get_or_insert(self.now);
                }
            }
            Step::Outage(away) => self.away = away,
            Step::Revoke(user) => {
                let name = USERS[user].as_bytes();
                self.house.engine.revoke(name, self.house.at(self.now)).now_or_never().unwrap().unwrap();
                self.revoked[user] = Some(self.now);
            }
            Step::Logout(user) => {
                let logout = Logout { issuer: ISSUER, subject: Some(USERS[user]), session: None };
                self.house.engine.logged_out(&logout, self.house.at(self.now));
                self.revoked[user] = Some(self.now);
            }
            Step::Flush(user) => {
                let whom: Vec<_> =
                    user.iter().map(|user| self.house.engine.whom(USERS[*user].as_bytes())).collect();
                self.house.engine.flush_all_of(&whom);
                // When they were seen first is forgotten with the rest.
                let flushed = self
                    .tokens
                    .iter_mut()
                    .flatten()
                    .filter(|truth| user.is_none_or(|user| user == truth.user));
                flushed.for_each(|truth| truth.shown = None);
            }
            Step::Show { token, named } => {
                self.tell();
                return self.show(token, named);
            }
        }
        self.tell();
        Ok(())
    }

    fn show(&mut self, token: usize, named: Option<usize>) -> Result<(), TestCaseError> {
        let Some(truth) = self.tokens[token].clone() else { return Ok(()) };
        let name = named.map_or_else(String::new, |user| format!("{}@x.test", USERS[user]));
        let attempt = attempt(&name, &truth.text);
        let (decision, recollection) = self.house.decide(&attempt, self.now);
        let outcome = decision.outcome();
        let shown = truth.shown.unwrap_or(self.now);
        if let Some(Recollection::Hit { refresh: true }) = recollection {
            self.house.engine.refresh_token_at(&attempt, self.house.at(self.now));
        }
        let others = named.is_some_and(|user| user != truth.user);
        let over = self.now >= truth.ends;
        // Certainly of before; and certainly of after, as far as that can be known. What takes place in one second may have
        // been in either order.
        let revoked = self.revoked[truth.user];
        let void = revoked
            .is_some_and(|since| truth.issued <= since && (truth.dated || truth.signed || shown < since));
        let clean = revoked.is_none_or(|since| truth.issued > since && (truth.dated || !truth.signed));
        let context =
            || format!("{outcome} at {} of {truth:?}, revoked {revoked:?}, away {}", self.now, self.away);
        if outcome == "verified" {
            prop_assert!(!over, "ended: {}", context());
            prop_assert!(!void, "revoked: {}", context());
            prop_assert!(!others, "of another: {}", context());
            // What its provider has ended is seen when it is asked about next.
            let unseen = truth.ended.filter(|_| !truth.signed).map_or(0, |ended| self.now - ended);
            let longest = if self.away { 300 + 60 } else { 300 };
            prop_assert!(unseen < longest, "ended by the provider: {}", context());
        } else if outcome == "unavailable" {
            prop_assert!(self.away, "nobody is away: {}", context());
        } else if !over && clean && truth.ended.is_none() {
            prop_assert!(others && outcome == "token_of_another", "it is a good one: {}", context());
        }
        if outcome != "unavailable" {
            self.tokens[token].as_mut().unwrap().shown = Some(shown);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_only_good_tokens_come_in_and_all_of_them_do(steps in vec(any_step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step)?;
        }
    }
}
