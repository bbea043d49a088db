//! The known word that a misspelt one probably was.

/// The nearest of `known` to `word`, if it is near enough to be a slip: one edit in three letters.
pub(in crate::config) fn nearest<S: AsRef<str>>(
    word: &str,
    known: impl IntoIterator<Item = S>,
) -> Option<String> {
    // A dash for an underscore, or capitals, are no edits at all.
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let letters = word.chars().count();
    known
        .into_iter()
        .map(|known| (distance(&word, &plain(known.as_ref())), known.as_ref().to_owned()))
        .filter(|(edits, known)| *edits <= (letters.max(known.len()) / 3).max(1))
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, known)| known)
}

/// Letters to insert, drop, change or swap with their neighbour to make `b` of `a` (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    // Nobody misspells longer words than gatepost's longest key twice over.
    const LIMIT: usize = 64;
    let b: Vec<char> = b.chars().take(LIMIT).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, letter) in a.chars().take(LIMIT).enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        for (column, &other) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let change = at(&last, column) + usize::from(letter != other);
            let mut best = change.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column.checked_sub(1).filter(|&left| b.get(left) == Some(&letter));
            if let Some(left) = swapped.filter(|_| previous == Some(other)) {
                best = best.min(at(&before, left) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let known = [
            ("", "", 0),
            ("mode", "mode", 0),
            ("mdoe", "mode", 1),
            ("path", "pth", 1),
            ("user", "users", 1),
            ("a", "xyz", 3),
        ];
        for (a, b, edits) in known {
            assert_eq!((distance(a, b), distance(b, a)), (edits, edits), "{a} {b}");
        }
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_does_not() {
        let keys = ["state_dir", "runtime_dir", "default_domain", "path", "mode"];
        let known = [
            ("state-dir", Some("state_dir")),
            ("statedir", Some("state_dir")),
            ("STATE_DIR", Some("state_dir")),
            ("runtim_dri", Some("runtime_dir")),
            ("defaultdomain", Some("default_domain")),
            ("pth", Some("path")),
            ("moode", Some("mode")),
            ("socket", None),
            ("", None),
        ];
        for (word, expected) in known {
            assert_eq!(nearest(word, keys).as_deref(), expected, "{word}");
        }
    }
}
