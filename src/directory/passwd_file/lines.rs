//! Whose lines differ between two states of a file.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use crate::{directory::watch::Changed, username::Username};

/// Users that are told one by one.
pub(super) const MOST: usize = 10_000;

/// What each user's line was, as a number that only this process could make.
pub(super) struct Lines {
    hasher: RandomState,
    lines: HashMap<Username, u64>,
}

impl Lines {
    /// None so far. Those of one file have the same hasher.
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self { hasher: hasher.clone(), lines: HashMap::new() }
    }

    /// Notes the line that counts for a user.
    pub(super) fn note(&mut self, user: &Username, line: &[u8]) {
        self.lines.insert(user.clone(), self.hasher.hash_one(line));
    }

    /// Those who have other lines than they had, or none any more, or had none.
    pub(super) fn differ(&self, old: &Self) -> Vec<Changed> {
        let new = self.lines.iter().filter(|(user, line)| old.lines.get(*user) != Some(*line));
        let gone = old.lines.iter().filter(|(user, _)| !self.lines.contains_key(*user));
        let mut changed: Vec<Changed> =
            new.chain(gone).take(MOST + 1).map(|(user, _)| Changed::User(user.clone())).collect();
        if changed.len() > MOST {
            changed = vec![Changed::Everybody];
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::{Changed, Lines, MOST};
    use crate::username::Username;

    fn lines(hasher: &RandomState, text: &[String]) -> Lines {
        let mut lines = Lines::new(hasher);
        for line in text {
            let name = line.split(':').next().unwrap();
            lines.note(&Username::normalise(name.as_bytes(), None).unwrap(), line.as_bytes());
        }
        lines
    }

    #[test]
    fn who_has_another_line_or_none_is_told() {
        let hasher = RandomState::new();
        let of =
            |text: &[&str]| lines(&hasher, &text.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        let old = of(&["a:1", "b:1", "c:1"]);
        let new = of(&["d:1", "c:1", "b:2"]);
        let mut told = new.differ(&old);
        told.sort();
        let users =
            ["a", "b", "d"].map(|name| Changed::User(Username::normalise(name.as_bytes(), None).unwrap()));
        assert_eq!(told, users);
        assert_eq!(new.differ(&new), []);
        let crowd =
            |password| lines(&hasher, &(0..=MOST).map(|n| format!("u{n}:{password}")).collect::<Vec<_>>());
        assert_eq!(crowd(1).differ(&crowd(2)), [Changed::Everybody]);
    }
}
