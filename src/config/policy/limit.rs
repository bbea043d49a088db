//! `limit` of a rule: how much somebody may send.

use std::time::Duration;

use super::pattern::{AddressPattern, Listed, item};
use crate::config::{problem::Wrong, reader::Reader};

/// `[policy.rule.limit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// `per`: whose mails are counted together.
    pub per: Per,
    /// `window`: 10s to 31d. No more than the limit is sent in any time of this length; what was sent is forgotten a
    /// sixtieth of it later at the latest.
    pub window: Duration,
    /// `messages`, `recipients`, `bytes`. At least one of them.
    pub most: Most,
    /// `suspend`: for how long nothing at all is taken once it trips, 1s to 31d. `None`: what fits in again is.
    pub suspend: Option<Duration>,
    /// `[[policy.rule.limit.override]]`, of which the first that fits counts.
    pub overrides: Vec<Override>,
}

/// Whose mails are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Per {
    /// `user`: of one login.
    User,
    /// `domain`: of all logins of a domain.
    Domain,
    /// `address`: under one sender, with any extension. The null sender is not counted.
    Address,
}

/// How much fits into a window. What is `None` is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Most {
    /// Mails.
    pub messages: Option<u64>,
    /// Recipients of all of them.
    pub recipients: Option<u64>,
    /// Bytes of all of them, each counted once, however many recipients it has.
    pub bytes: Option<u64>,
}

/// How much some may send instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `for`: who.
    pub whom: Listed<AddressPattern>,
    /// What counts for them. What is not written there is as it is for everybody; with `unlimited` there is no limit.
    pub most: Most,
}

impl Limit {
    /// What fits into a window of whoever is counted under `key`.
    pub fn most_for(&self, key: &str) -> Most {
        let fits = |exception: &&Override| exception.whom.says(|pattern| pattern.fits(key));
        self.overrides.iter().find(fits).map_or(self.most, |exception| exception.most)
    }
}

const PER: &[(&str, Per)] = &[("user", Per::User), ("domain", Per::Domain), ("address", Per::Address)];

/// A month of 31 days.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// So much may be written for messages and recipients. No smtpd accepts as many a month.
const LARGEST: usize = 1 << 40;

/// Reads the table.
pub(super) fn limit(mut reader: Reader<'_>, default_domain: Option<&str>) -> Option<Limit> {
    let per = reader.one_of("per", PER, &[]);
    reader.need("per", "write whose mails are counted together, as in per = \"user\"");
    let window = reader.duration("window", Duration::from_secs(10)..=LONGEST);
    reader.need("window", "write a length of time, as in window = \"1h\"");
    let most = most(&mut reader, Most::default());
    let counts = ["messages", "recipients", "bytes"].iter().any(|key| reader.has(key));
    if !counts {
        let remedy = "write messages = 100, recipients = 500, bytes = \"1GiB\", or several of them";
        reader.wrong("", Wrong::new("limits nothing", remedy));
    }
    let suspend = reader.duration_or_zero("suspend", Duration::from_secs(1)..=LONGEST);
    let exceptions = reader.tables("override");
    let overrides = exceptions.into_iter().filter_map(|table| exception(table, most, per, default_domain));
    let overrides = overrides.collect();
    reader.finish();
    let suspend = suspend.filter(|time| !time.is_zero());
    Some(Limit { per: per?, window: window?, most, suspend, overrides })
}

/// Reads the three amounts, in place of `usual`.
fn most(reader: &mut Reader<'_>, usual: Most) -> Most {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Most {
        messages: reader.number("messages", 0..=LARGEST).map(count).or(usual.messages),
        recipients: reader.number("recipients", 0..=LARGEST).map(count).or(usual.recipients),
        bytes: reader.size("bytes", 0..=1 << 50).or(usual.bytes),
    }
}

fn exception(
    mut reader: Reader<'_>,
    usual: Most,
    per: Option<Per>,
    default_domain: Option<&str>,
) -> Option<Override> {
    let named = |text: &str| match per {
        Some(Per::User) => AddressPattern::of_login(text, default_domain),
        Some(Per::Domain | Per::Address) | None => AddressPattern::of_address(text),
    };
    let whom = reader.list("for", |text| item(text, named));
    reader.need("for", "write whom it is for, as in for = [\"newsletter@example.org\", \"@example.net\"]");
    if reader.is_empty_list("for") {
        reader.wrong(
            "for",
            Wrong::new("is empty, so that it is for nobody", "name somebody, or take the table away"),
        );
    }
    let most = most(&mut reader, usual);
    let unlimited = reader.boolean("unlimited").unwrap_or(false);
    if unlimited {
        let why = "is a limit for whom there is none";
        reader.refuse(&["messages", "recipients", "bytes"], why, "take it or unlimited away");
    }
    reader.finish();
    let most = if unlimited { Most::default() } else { most };
    Some(Override { whom: Listed::of(whom?.into_iter().map(|(item, _)| item).collect()), most })
}
