//! Which logouts were told before.

use std::{
    collections::{HashSet, VecDeque},
    hash::RandomState,
};

/// How many are remembered, of 32 bytes each. A logout token lives for minutes.
const MOST: usize = 16_384;

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct Heard {
    known: HashSet<[u8; 16], RandomState>,
    order: VecDeque<[u8; 16]>,
}

impl Heard {
    /// Whether it is new. From now on it is not.
    pub(super) fn is_new(&mut self, issuer: &str, id: &str) -> bool {
        let key = key(&[issuer, id]);
        if !self.known.insert(key) {
            return false;
        }
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
        true
    }
}

/// What stands for these texts, however long they are.
pub(super) fn key(texts: &[&str]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
    }
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::{Heard, MOST};

    #[test]
    fn what_was_told_is_known_until_many_others_were() {
        let mut heard = Heard::default();
        assert!(heard.is_new("a", "bc") && heard.is_new("ab", "c"), "whose it is counts");
        assert!(!heard.is_new("a", "bc") && !heard.is_new("ab", "c"));
        for number in 0..MOST {
            assert!(heard.is_new("idp", &number.to_string()));
        }
        assert_eq!((heard.known.len(), heard.order.len()), (MOST, MOST));
        assert!(!heard.is_new("idp", "1") && heard.is_new("a", "bc"));
    }
}
