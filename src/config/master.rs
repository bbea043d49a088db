//! `master` and `targets` of a `[[directory]]`: who may log in as somebody else, and as whom.

use super::{
    domain::DomainPattern,
    problem::{Wrong, quoted},
    reader::Reader,
};
use crate::username::Username;

/// What a directory of master users may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Master {
    /// `targets`: as whom its users may log in, each once. `None`: as everybody, bare names too.
    pub targets: Option<Vec<Target>>,
}

/// Somebody to log in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `alice@example.org`
    User(Username),
    /// `example.org` or `*.example.org`: everybody there.
    Domain(DomainPattern),
}

impl Master {
    /// Whether its users may log in as `user`.
    pub fn may_be(&self, user: &Username) -> bool {
        self.targets.as_ref().is_none_or(|targets| targets.iter().any(|target| target.is(user)))
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, Wrong> {
        if !text.contains('@') {
            return DomainPattern::parse(text).map(Self::Domain);
        }
        Username::normalise(text.as_bytes(), None).map(Self::User).map_err(|why| {
            let what = format!("{} is not a login name: {why}", quoted(text));
            Wrong::new(what, "write a whole name, \"example.org\" or \"*.example.org\"")
        })
    }

    fn is(&self, user: &Username) -> bool {
        match self {
            Self::User(name) => name == user,
            Self::Domain(pattern) => user.domain().is_some_and(|domain| pattern.matches(domain)),
        }
    }
}

/// Reads both.
pub(super) fn master(reader: &mut Reader<'_>) -> Option<Master> {
    let is_master = reader.boolean("master").unwrap_or(false);
    let listed = reader.list("targets", Target::parse);
    if reader.is_empty_list("targets") {
        let what = "is empty, so that its master users could log in as nobody";
        reader
            .wrong("targets", Wrong::new(what, "name domains or users, or leave the key out for everybody"));
    }
    if reader.has("targets") && !is_master {
        let what = "is for master users, and this directory has none";
        reader.wrong("targets", Wrong::new(what, "write master = true, or take targets away"));
    }
    let targets = listed.map(|listed| {
        let mut targets: Vec<Target> = Vec::with_capacity(listed.len());
        for (target, spot) in listed {
            if targets.contains(&target) {
                let wrong = Wrong::new("is listed twice", "keep one of the two");
                reader.found().at(spot, reader.path_of("targets"), wrong);
            } else {
                targets.push(target);
            }
        }
        targets
    });
    is_master.then_some(Master { targets })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_user_may_be_whom_the_targets_name() {
        let targets =
            ["example.org", "*.example.net", "Boss@other.test"].map(|text| Target::parse(text).unwrap());
        let some = Master { targets: Some(targets.to_vec()) };
        let all = Master::default();
        for (user, expected) in [
            ("alice@example.org", true),
            ("alice@sub.example.org", false),
            ("alice@example.net", false),
            ("alice@a.example.net", true),
            ("boss@other.test", true),
            ("alice@other.test", false),
            ("alice", false),
        ] {
            let user = Username::normalise(user.as_bytes(), None).unwrap();
            assert_eq!(some.may_be(&user), expected, "{user}");
            assert!(all.may_be(&user));
        }
        for text in ["", "*", "@example.org", "a b@example.org", "alice@"] {
            assert!(Target::parse(text).is_err(), "{text:?}");
        }
    }
}
