//! Masks of user names, as `LIST` has them: `*` for any text, `?` for one character. Case does not matter.

/// A mask. `user=` of `LIST` is a hint to Dovecot 2.3, which filters again, and an order to 2.4, which does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    mask: Vec<char>,
    /// Characters that a name has at least; all of the mask but its stars.
    least: usize,
}

impl Mask {
    /// A mask as a peer spelt it.
    pub fn new(text: &[u8]) -> Self {
        let mut mask: Vec<char> = String::from_utf8_lossy(text).to_lowercase().chars().collect();
        // Several stars in a row say no more than one and cost more.
        mask.dedup_by(|a, b| *a == '*' && *b == '*');
        let least = mask.iter().filter(|&&c| c != '*').count();
        Self { mask, least }
    }

    /// Whether the whole of `name`, which is lower case already, fits. Takes at most a few steps for each pair of the
    /// name's characters, however long the mask is: a name that is too short for it is not compared.
    pub fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        if name.len() < self.least {
            return false;
        }
        let (mut at, mut next) = (0, 0);
        // Where to go on if the present reading fails: behind the last star, with one more character in it.
        let mut retry = None;
        loop {
            match (self.mask.get(next), name.get(at)) {
                (None, None) => return true,
                (Some('*'), _) => {
                    retry = Some((next + 1, at));
                    next += 1;
                }
                (Some(wanted), Some(given)) if *wanted == '?' || wanted == given => {
                    next += 1;
                    at += 1;
                }
                _ => {
                    let Some((star, from)) = retry.filter(|(_, from)| *from < name.len()) else {
                        return false;
                    };
                    retry = Some((star, from + 1));
                    (next, at) = (star, from + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mask;

    #[test]
    fn masks_fit_whole_names() {
        let table = [
            ("*", "alice@example.org", true),
            ("", "", true),
            ("", "a", false),
            ("b*", "bob", true),
            ("B*", "bob", true),
            ("b*", "alice", false),
            ("*@example.org", "alice@example.org", true),
            ("*@example.org", "alice@example.orgx", false),
            ("a?ice@*", "alice@example.org", true),
            ("a?ice", "aice", false),
            ("**a**b**", "xxaxxbxx", true),
            ("*a*b*c", "abcabcab", false),
            ("?", "é", true),
            ("alice", "alice", true),
            ("alice", "alic", false),
        ];
        for (mask, name, expected) in table {
            assert_eq!(Mask::new(mask.as_bytes()).fits(name), expected, "{mask} {name}");
        }
    }

    #[test]
    fn a_hostile_mask_does_not_take_long() {
        let mask = Mask::new("*a".repeat(4000).as_bytes());
        let name = "a".repeat(255);
        let begun = std::time::Instant::now();
        for _ in 0..10_000 {
            assert!(!mask.fits(&name));
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(Mask::new(("*a".repeat(255) + "*").as_bytes()).fits(&name));
    }
}
