//! Numbers of system users and groups.

use std::{collections::HashMap, sync::Mutex};

use nix::unistd::{Group, User};

/// Most names that are remembered of each kind. Further ones are asked for each time.
const REMEMBERED: usize = 1024;

/// Turns `uid` and `gid` as an administrator writes them into the numbers that the wire wants.
///
/// Names are asked of the system once: the question can go to a directory server of its own and take its time.
#[derive(Debug, Default)]
pub(super) struct Ids {
    users: Mutex<HashMap<String, u32>>,
    groups: Mutex<HashMap<String, u32>>,
}

impl Ids {
    /// The number of a user: digits, or a name that the system knows. `None` for root, which no mail process may
    /// become, for -1, which means "leave it" to the kernel, and for a name that nobody knows or nobody answered.
    pub(super) fn uid(&self, text: &str) -> Option<u32> {
        resolve(text, &self.users, |name| User::from_name(name).ok()?.map(|user| user.uid.as_raw()))
    }

    /// The number of a group, by the same rules.
    pub(super) fn gid(&self, text: &str) -> Option<u32> {
        resolve(text, &self.groups, |name| Group::from_name(name).ok()?.map(|group| group.gid.as_raw()))
    }
}

fn resolve(
    text: &str,
    known: &Mutex<HashMap<String, u32>>,
    ask: impl Fn(&str) -> Option<u32>,
) -> Option<u32> {
    let usable = |id: &u32| *id != 0 && *id != u32::MAX;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(usable);
    }
    // A panic cannot leave a map of numbers half done.
    let look = || known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(id) = look().get(text) {
        return Some(*id);
    }
    let id = ask(text).filter(usable)?;
    let mut known = look();
    if known.len() < REMEMBERED {
        known.insert(text.to_owned(), id);
    }
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn numbers_and_names_become_numbers_and_root_becomes_nothing() {
        let ids = Ids::default();
        let table = [
            ("5000", Some(5000)),
            ("0", None),
            ("root", None),
            ("4294967295", None),
            ("4294967296", None),
            ("-1", None),
            ("+5", None),
            ("", None),
            ("5 0", None),
            ("no-such-user-here", None),
            ("nul\0", None),
            // uid 1 on every Debian, gid 1 as well.
            ("daemon", Some(1)),
            ("daemon", Some(1)),
        ];
        for (text, expected) in table {
            assert_eq!(ids.uid(text), expected, "uid {text:?}");
            assert_eq!(ids.gid(text), expected, "gid {text:?}");
        }
    }
}
