//! Any interleaving of logins, changes, outages, expiry and flushes, held against the rules.
//!
//! A source with a history is asked as the engine asks it: a question is begun, at some later moment the source looks at
//! what is true, and at some later moment still the answer is there. Everything may happen in between. What memory says is
//! then held against what the *source* has said and when, which memory itself does not know:
//!
//! - **Right**: an answer that is younger than `ttl` found this password right, and no answer that the source gave later
//!   has shown anything else: another right password, this one wrong, another hash, nobody.
//! - **Wrong**, **nobody**: the same, within `negative_ttl`. Whom an answer let in is not refused by an earlier one.
//! - While the source does not answer: `ttl + max_stale`, and for what is right alone.
//! - Nothing that was asked before a flush. After a doubt, only while the source does not answer.
//! - The account is one that was given within `ttl`, and never another's.
//!
//! And it must be of use: what was found out, and contradicted by nothing since, is known as long as its time lasts.

mod rules;

use std::{collections::HashSet, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{RngSeed, TestCaseError},
};

use super::{cache, named};
use crate::{
    account::{Account, State},
    cache::{
        Asking, Cache, Digest, EntryBuf, Fingerprint, Holder, Lesson, Limits, Recall, Right, Said, Tick,
    },
};
/// In ticks.
const TTL: u32 = 80;
const NEGATIVE: u32 = 30;
const STALE: u32 = 300;

/// Who asks waits no longer.
const DEADLINE: u32 = 99;

/// Names that are asked for; the last is an alias of the first.
const NAMES: usize = 4;
const ALIAS: usize = 3;
const PEOPLE: usize = 3;
const PASSWORDS: u8 = 3;

/// What is true of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Truth {
    there: bool,
    password: u8,
    /// Another hash of the same password.
    salt: u32,
    active: bool,
    /// Whoever checks the password lets nobody in.
    shut: bool,
    /// Counts the changes.
    version: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Login(u8),
    Lookup,
}

/// What the source has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Outage,
    /// That this is true.
    Said(Truth),
}

/// A question, and what became of it. Moments are numbers of steps, times are ticks.
#[derive(Debug, Clone)]
struct Question {
    name: usize,
    what: What,
    asking: Asking,
    begun: (u32, Tick),
    heard: Option<(u32, Heard)>,
    ended: Option<(u32, Tick)>,
    /// Nobody heard the answer, or it was flushed in the meantime.
    void: bool,
}

impl Question {
    fn truth(&self) -> Option<Truth> {
        match self.heard {
            Some((_, Heard::Said(truth))) if self.ended.is_some() && !self.void => Some(truth),
            Some(_) | None => None,
        }
    }

    fn said_at(&self) -> u32 {
        self.heard.map_or(0, |(at, _)| at)
    }
}

/// What has had something forgotten: when, and of whom.
#[derive(Debug, Clone, Copy)]
struct Flush {
    at: (u32, Tick),
    whom: Whom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// Everybody of whom a rule says so. It is not known to whom it will apply, so of what is in flight nothing counts.
    Ruled(Option<usize>),
    /// This one, by name.
    Named(usize),
    /// Everybody, as long as the source answers.
    Doubted,
}

struct World {
    cache: Cache,
    names: Vec<String>,
    /// Whether the source has hashes, or checks passwords itself.
    hashes: bool,
    roomy: bool,
    /// Whether all want the same one, at once.
    crowded: bool,
    people: [Truth; PEOPLE],
    versions: u32,
    outage: bool,
    now: Tick,
    step: u32,
    questions: Vec<Question>,
    flushes: Vec<Flush>,
}

fn owner(name: usize) -> usize {
    if name == ALIAS { 0 } else { name }
}

impl World {
    fn new(hashes: bool, roomy: bool, crowded: bool) -> Self {
        let of = |ticks: u32| Duration::from_millis(u64::from(ticks) * 100);
        // For all of whom little is known, or for one of whom all is that can be, and two others.
        let max_memory = if roomy { 64 << 20 } else { 64 * 1150 };
        let limits = Limits { ttl: of(TTL), negative_ttl: of(NEGATIVE), max_stale: of(STALE), max_memory };
        let cache = cache(limits);
        let part = |name: &str| cache.hash(name.as_bytes(), b"").to_le_bytes()[5] % 64;
        let all = (0..).map(|number| format!("user{number}"));
        // Where there is no room, they are in each other's way. But nobody's answers are void along with somebody else's.
        let (mut parts, mut places) = (HashSet::new(), HashSet::new());
        let fits = |name: &String| {
            let (part, place) = (part(name), std::ptr::from_ref(cache.place(name)));
            let apart = if roomy { !parts.contains(&part) } else { part == 7 };
            apart && places.insert(place) && (parts.insert(part) || !roomy)
        };
        let names = all.filter(fits).take(NAMES).collect();
        let truth = Truth { there: true, password: 0, salt: 0, active: true, shut: false, version: 0 };
        let [second, third] =
            [1, 2].map(|number| Truth { password: number, version: number.into(), ..truth });
        Self {
            cache,
            names,
            hashes,
            roomy,
            crowded,
            people: [truth, second, third],
            versions: 2,
            outage: false,
            now: Tick::new(5),
            step: 0,
            questions: Vec::new(),
            flushes: Vec::new(),
        }
    }

    fn digest(&self, name: usize, password: u8) -> Digest {
        self.cache.digester().password(&self.names[name], &[password])
    }

    fn fingerprint(&self, name: usize, truth: Truth) -> Fingerprint {
        if self.hashes {
            self.cache
                .digester()
                .stored(|sink| sink(format!("{} {} {}", truth.password, truth.salt, owner(name)).as_bytes()))
        } else {
            self.cache.digester().check(self.names[owner(name)].as_bytes())
        }
    }

    fn account(&self, name: usize, truth: Truth) -> Account {
        let mut account = Account::named(&self.names[owner(name)]);
        account.state = if truth.active { State::Active } else { State::Disabled };
        account.userdb.push("version", truth.version.to_string());
        if !self.roomy {
            account.userdb.push("home", "x".repeat(60));
        }
        account
    }

    /// Asks, whatever memory says.
    fn ask(&mut self, name: usize, what: What) {
        let asking = self.cache.ask(self.now);
        let begun = (self.step, self.now);
        self.questions.push(Question { name, what, asking, begun, heard: None, ended: None, void: false });
    }

    /// The source looks at what is true.
    fn hear(&mut self, at: usize) {
        let heard = if self.outage {
            Heard::Outage
        } else {
            Heard::Said(self.people[owner(self.questions[at].name)])
        };
        self.questions[at].heard = Some((self.step, heard));
    }

    /// The answer is there.
    fn finish(&mut self, at: usize) -> Result<(), TestCaseError> {
        if self.questions[at].heard.is_none() {
            self.hear(at);
        }
        let Question { name, what, asking, heard, .. } = self.questions[at].clone();
        self.questions[at].ended = Some((self.step, self.now));
        let late = self.now.since(self.questions[at].begun.1) > DEADLINE;
        self.questions[at].void = late || self.flushed(&self.questions[at], true);
        if late {
            return Ok(());
        }
        let key = named(&self.names[name]);
        match heard {
            Some((_, Heard::Said(truth))) if truth.there => {
                let account = self.account(name, truth);
                let said = match what {
                    What::Lookup => Said::Nothing,
                    What::Login(_) if truth.shut => Said::Shut,
                    What::Login(password) if password == truth.password => {
                        Said::Right(self.digest(name, password))
                    }
                    What::Login(password) => Said::Wrong(self.digest(name, password)),
                };
                let fingerprint = Some(self.fingerprint(name, truth));
                let lesson =
                    Lesson::Somebody { account: &account, directory: 0, elsewhere: None, fingerprint, said };
                self.cache.learn(key, asking, lesson, self.now);
            }
            Some((_, Heard::Said(_))) => self.cache.learn(key, asking, Lesson::Nobody, self.now),
            Some((_, Heard::Outage)) | None => self.stale(name, what)?,
        }
        Ok(())
    }

    fn stale(&self, name: usize, what: What) -> Result<(), TestCaseError> {
        let key = named(&self.names[name]);
        match what {
            What::Login(password) => {
                if let Some(right) = self.cache.stale(key, &self.digest(name, password), self.now) {
                    self.check_right(name, password, right.look().entry, TTL + STALE)?;
                } else {
                    prop_assert!(!self.must_be_right(name, password, TTL + STALE), "forgotten in an outage");
                }
            }
            What::Lookup => {
                if let Some(known) = self.cache.stale_account(key, self.now) {
                    let entry = known.look();
                    prop_assert!(!entry.is_nobody());
                    self.check_account(name, entry, TTL + STALE)?;
                }
            }
        }
        Ok(())
    }

    /// What memory says, after it was held against the rules.
    fn recall(&self, name: usize, password: u8) -> Result<Recall<Holder>, TestCaseError> {
        let digest = self.digest(name, password);
        let share = |right: Right<'_>| Some(right.shared());
        let recall = self.cache.recall(named(&self.names[name]), &digest, self.now, share);
        self.check(name, password, &recall)?;
        Ok(recall)
    }

    /// Asks memory, and the source where memory does not know.
    fn login(&mut self, name: usize, password: u8) -> Result<(), TestCaseError> {
        let asks = match self.recall(name, password)? {
            Recall::Right { refresh, .. } => refresh,
            Recall::Nobody | Recall::Wrong => false,
            Recall::Nothing => true,
        };
        if asks {
            self.ask(name, What::Login(password));
        }
        Ok(())
    }

    fn look_up(&mut self, name: usize) -> Result<(), TestCaseError> {
        let known = self.cache.account(named(&self.names[name]), self.now);
        match known.as_ref().map(EntryBuf::look) {
            Some(entry) if entry.is_nobody() => self.check_nobody(name)?,
            Some(entry) => self.check_account(name, entry, TTL)?,
            None => {
                prop_assert!(!self.must_be_nobody(name), "that there is nobody is forgotten");
                self.ask(name, What::Lookup);
            }
        }
        Ok(())
    }

    fn flushed_by(&mut self, whom: Whom) {
        self.flushes.push(Flush { at: (self.step, self.now), whom });
    }

    fn change(&mut self, person: usize, change: impl FnOnce(&mut Truth)) {
        self.versions += 1;
        self.people[person].version = self.versions;
        change(&mut self.people[person]);
    }
}

/// One step of a story, out of a number.
fn take(world: &mut World, number: u32) -> Result<(), TestCaseError> {
    world.step += 1;
    let [_, _, byte, _] = number.to_le_bytes();
    let [kind, first, second, third] = number.to_le_bytes().map(usize::from);
    world.now = Tick::new(world.now.get() + u32::from(third & 1 == 1));
    let (name, person) = if world.crowded { (0, 0) } else { (first % NAMES, first % PEOPLE) };
    // The right one as often as not.
    let password = match byte % 6 {
        other @ 0..PASSWORDS => other,
        _ => world.people[owner(name)].password,
    };
    let open = |question: &&Question| question.ended.is_none();
    let pending: Vec<_> = (0..world.questions.len()).filter(|at| open(&&world.questions[*at])).collect();
    let chosen = (!pending.is_empty()).then(|| pending[second % pending.len()]);
    match kind % 32 {
        // One tick after the other, and nothing is forgotten.
        24.. if world.crowded && kind >= 64 => {}
        0..6 => world.login(name, password)?,
        6..9 => world.ask(name, if second % 7 == 0 { What::Lookup } else { What::Login(password) }),
        9 => world.look_up(name)?,
        10..14 => {
            let deaf = |at: &usize| world.questions[*at].heard.is_none();
            if let Some(at) = chosen.filter(deaf) {
                world.hear(at);
            }
        }
        14..20 => {
            if let Some(at) = chosen {
                world.finish(at)?;
            }
        }
        20 | 21 => world.change(person, |truth| truth.password = byte % PASSWORDS),
        22 => match (second % 4, world.hashes) {
            (0, true) => world.change(person, |truth| truth.salt += 1),
            (0, false) => world.change(person, |truth| truth.shut = !truth.shut),
            (1, _) => world.change(person, |truth| truth.active = !truth.active),
            _ => world.change(person, |truth| truth.there = !truth.there),
        },
        23 => world.outage = !world.outage,
        24..28 => {
            let eighth = TTL / 8;
            let times = [
                1,
                1,
                2,
                3,
                5,
                10,
                NEGATIVE - 1,
                NEGATIVE,
                NEGATIVE + 1,
                TTL - eighth - 1,
                TTL - 1,
                TTL,
                TTL + 1,
                STALE,
                STALE + TTL - 1,
                STALE + TTL,
            ];
            world.now = Tick::new(world.now.get() + times[second % times.len()]);
        }
        28 => {
            let whom = (second % 3 > 0).then_some(name);
            let names = world.names.clone();
            world.cache.flush(|name| whom.is_none_or(|whom| names[whom] == name));
            world.flushed_by(Whom::Ruled(whom));
        }
        29 => {
            world.cache.doubt(world.now);
            world.flushed_by(Whom::Doubted);
        }
        30 => {
            world.cache.forget(&HashSet::from([&*world.names[name].clone()]));
            world.flushed_by(Whom::Named(name));
        }
        _ => {}
    }
    world.recall(first / NAMES % NAMES, byte / 8 % PASSWORDS).map(drop)
}

fn story(steps: &[u32], hashes: bool, room: u8) -> Result<(), TestCaseError> {
    let roomy = !room.is_multiple_of(4);
    let mut world = World::new(hashes, roomy, roomy && room & 64 == 0);
    let told = steps.iter().try_for_each(|step| take(&mut world, *step));
    let all = || (0..NAMES).flat_map(|name| (0..PASSWORDS).map(move |password| (name, password)));
    let told =
        told.and_then(|()| all().try_for_each(|(name, password)| world.recall(name, password).map(drop)));
    told.map_err(|why| {
        let World { questions, flushes, now, .. } = &world;
        let asked: String = questions.iter().map(|question| format!("\n  {question:?}")).collect();
        TestCaseError::fail(format!("{why}, at {now:?} after{asked}\n  and {flushes:?}"))
    })
}

#[test]
fn whatever_happens_memory_keeps_to_the_rules() {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    // The same stories every time, unless somebody asks for more of them: then others.
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.rng_seed = RngSeed::Fixed(100_000);
    }
    config.cases = config.cases.max(100_000);
    let story_of = (prop::collection::vec(any::<u32>(), 4..40), any::<bool>(), any::<u8>());
    proptest!(config, |((steps, hashes, room) in story_of)| {
        story(&steps, hashes, room)?;
    });
}
