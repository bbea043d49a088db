//! Masks of user names, as `LIST` has them: `*` for any text, `?` for one character. Case does not matter.

/// A mask. `user=` of `LIST` is a hint to Dovecot 2.3, which filters again, and an order to 2.4, which does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask(Vec<char>);

impl Mask {
    /// A mask as a peer spelt it.
    pub fn new(text: &[u8]) -> Self {
        let mut mask: Vec<char> = String::from_utf8_lossy(text).to_lowercase().chars().collect();
        // Several stars in a row say no more than one and cost more.
        mask.dedup_by(|a, b| *a == '*' && *b == '*');
        Self(mask)
    }

    /// Whether the whole of `name`, which is lower case already, fits. At most mask times name steps.
    pub fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut next) = (0, 0);
        // Where to go on if the present reading fails: behind the last star, with one more character in it.
        let mut retry = None;
        loop {
            match (self.0.get(next), name.get(at)) {
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
        assert!(!mask.fits(&"a".repeat(255)));
    }
}
