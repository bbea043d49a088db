//! What an app password of gatepost's looks like.
//!
//! `gpap` `-` `<id: 6>` `<secret: 20>` `<check: 2>`, 32 characters in groups of four:
//! `gpap-4k7m-x29q-...`. All but the first four are of Crockford's 32 (digits and letters without i, l, o and u), so the
//! secret has 100 bits, of the system's generator. Capitals, blanks and hyphens do not matter; i and l are read as 1,
//! o as 0, for people read them off a screen.
//!
//! The first four letters begin no word, so that no passphrase begins with them, and of random passwords that are as
//! long as these and have nothing but letters and digits, one in two million does. What looks like one is never asked
//! of a directory, whether it is right or has a slip of the finger in it: see [`recognise`].
//!
//! The two checks are those of a Reed-Solomon code over the field of 32 elements. Any one or two wrong characters, and
//! so any two that changed places, are noticed without asking anything.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What all of them begin with.
const MARK: &[u8; 4] = b"gpap";

/// The symbols, in the order of their values.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Symbols of an id: a thousand million of them.
const ID: usize = 6;

/// Symbols of the secret.
const SECRET: usize = 20;

/// Symbols of the checks.
const CHECKS: usize = 2;

/// Symbols in all, without the mark.
const WHOLE: usize = ID + SECRET + CHECKS;

/// How many more or less are still taken for one: some were not copied, or typed twice.
const ASTRAY: usize = 4;

/// Longest text that is looked at, in bytes: every character with a blank behind it.
const LONGEST: usize = 2 * (MARK.len() + WHOLE + ASTRAY);

/// Characters of a group.
const GROUP: usize = 4;

/// Set before what is hashed: the digest of anything else is never that of an app password.
const DOMAIN: &[u8] = b"gatepost app password 1\0";

/// Picks the row of an app password. No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id([u8; ID]);

/// An app password, made or typed.
pub struct AppPassword {
    id: Id,
    secret: Zeroizing<[u8; SECRET]>,
}

/// What a password that looks like an app password is.
#[derive(Debug)]
pub enum Seen {
    /// One that may exist.
    Whole(AppPassword),
    /// One that was not copied as it is.
    Mistyped,
}

/// Looks at a password; `None`: it does not look like an app password at all.
///
/// Nothing secret decides how long this takes: the mark, the length and whether the checks fit are known to who sent it.
pub fn recognise(password: &[u8]) -> Option<Seen> {
    if password.len() > LONGEST || !begins_with_mark(password) {
        return None;
    }
    let mut symbols = Zeroizing::new([0; MARK.len() + WHOLE + ASTRAY]);
    let mut count = 0;
    for byte in password {
        match byte {
            b' ' | b'\t' | b'-' => {}
            byte if byte.is_ascii_alphanumeric() => {
                *symbols.get_mut(count)? = byte.to_ascii_lowercase();
                count += 1;
            }
            _ => return None,
        }
    }
    let symbols = symbols.get(..count)?.strip_prefix(MARK)?;
    if symbols.len() + ASTRAY < WHOLE {
        return None;
    }
    Some(AppPassword::read(symbols).map_or(Seen::Mistyped, Seen::Whole))
}

/// Whether the mark is the first that there is beside blanks. Of most passwords one letter is looked at, and nothing is
/// copied of them that would have to be wiped.
fn begins_with_mark(password: &[u8]) -> bool {
    let mut symbols = password.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'-'));
    MARK.iter().all(|mark| symbols.next().is_some_and(|byte| byte.eq_ignore_ascii_case(mark)))
}

impl Id {
    /// An id as an administrator types it, alone.
    pub fn parse(text: &str) -> Option<Self> {
        let values = values(text.trim().as_bytes())?;
        Some(Self(values.map(letter)))
    }

    /// As it is shown and stored.
    pub fn as_str(&self) -> &str {
        // All of the alphabet is ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl AppPassword {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Without random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; ID + SECRET]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Self::of(&bytes))
    }

    /// That of these values, of which the lower five bits count.
    fn of(values: &[u8; ID + SECRET]) -> Self {
        let mut id = [0; ID];
        let mut secret = Zeroizing::new([0; SECRET]);
        for (to, value) in id.iter_mut().chain(secret.iter_mut()).zip(values) {
            *to = letter(*value);
        }
        Self { id: Id(id), secret }
    }

    /// Reads what stands behind the mark.
    fn read(symbols: &[u8]) -> Option<Self> {
        let values: Zeroizing<[u8; WHOLE]> = Zeroizing::new(values(symbols)?);
        let (data, given) = values.split_first_chunk::<{ ID + SECRET }>()?;
        (checks(data) == *given).then(|| Self::of(data))
    }

    /// Which row it belongs to.
    pub const fn id(&self) -> Id {
        self.id
    }

    /// What is stored of it.
    ///
    /// One round of SHA-256 is enough: nobody tries 2^100 secrets, however fast each try is. Slow hashes make up for
    /// passwords that people think of; here one would cost the daemon a tenth of a second a login and an attacker
    /// nothing that matters. The id does what a salt does: no two rows have the same.
    pub fn digest(&self) -> [u8; 32] {
        let digest =
            Sha256::new().chain_update(DOMAIN).chain_update(self.id.0).chain_update(self.secret.as_slice());
        digest.finalize().into()
    }

    /// As it is shown to its owner, once.
    pub fn text(&self) -> Zeroizing<String> {
        let mut values = Zeroizing::new([0; ID + SECRET]);
        for (to, symbol) in values.iter_mut().zip(self.id.0.iter().chain(self.secret.iter())) {
            *to = value(*symbol).unwrap_or_default();
        }
        let checks = checks(&values).map(letter);
        let symbols = MARK.iter().chain(&self.id.0).chain(self.secret.iter()).chain(&checks);
        // As long as it can get: a growing string leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * (MARK.len() + WHOLE)));
        for (at, symbol) in symbols.enumerate() {
            if at > 0 && at.is_multiple_of(GROUP) {
                text.push('-');
            }
            text.push(char::from(*symbol));
        }
        text
    }
}

/// The symbol of a value.
fn letter(value: u8) -> u8 {
    // Five bits are less than 32.
    ALPHABET.get(usize::from(value & 31)).copied().unwrap_or_default()
}

/// The value of a symbol, and of what is taken for one.
fn value(symbol: u8) -> Option<u8> {
    let symbol = match symbol.to_ascii_lowercase() {
        b'i' | b'l' => b'1',
        b'o' => b'0',
        symbol => symbol,
    };
    let at = ALPHABET.iter().position(|known| *known == symbol)?;
    u8::try_from(at).ok()
}

fn values<const N: usize>(symbols: &[u8]) -> Option<[u8; N]> {
    let symbols: &[u8; N] = symbols.try_into().ok()?;
    let mut values = [0; N];
    for (to, symbol) in values.iter_mut().zip(symbols) {
        *to = value(*symbol)?;
    }
    Some(values)
}

/// The remainder of the data by `x^2 + (a + a^2) x + a^3`, whose roots are `a` and `a^2`; `a` is the element 2. At most
/// 31 symbols with the checks, two different texts differ in three symbols or more.
fn checks(data: &[u8; ID + SECRET]) -> [u8; CHECKS] {
    const MIDDLE: u8 = 0b00110;
    const LAST: u8 = 0b01000;
    let (mut first, mut second) = (0, 0);
    for value in data {
        let out = value ^ first;
        first = second ^ times(out, MIDDLE);
        second = times(out, LAST);
    }
    [first, second]
}

/// The product in GF(32), modulo `x^5 + x^2 + 1`.
const fn times(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut at = 0;
    while at < 5 {
        product <<= 1;
        if product & 0b10_0000 != 0 {
            product ^= 0b10_0101;
        }
        if (b >> (4 - at)) & 1 == 1 {
            product ^= a;
        }
        at += 1;
    }
    product
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppPassword({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{AppPassword, ID, Id, SECRET, Seen, WHOLE, checks, letter, recognise, times, value};

    fn whole(text: &[u8]) -> Option<AppPassword> {
        match recognise(text) {
            Some(Seen::Whole(password)) => Some(password),
            Some(Seen::Mistyped) | None => None,
        }
    }

    fn is_mistyped(text: &[u8]) -> bool {
        matches!(recognise(text), Some(Seen::Mistyped))
    }

    fn same(a: &AppPassword, b: &AppPassword) -> bool {
        (a.id, *a.secret) == (b.id, *b.secret)
    }

    fn some() -> impl Strategy<Value = AppPassword> {
        prop::array::uniform26(0u8..32).prop_map(|values| AppPassword::of(&values))
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_however_it_is_typed(password in some(), gaps in prop::collection::vec(0..4usize, 64)) {
            let text = password.text();
            prop_assert_eq!(text.len(), 39);
            prop_assert!(same(&whole(text.as_bytes()).unwrap(), &password));
            let typed = [
                text.to_uppercase(),
                text.replace('-', " "),
                text.replace('-', ""),
                format!(" {} ", &**text),
                text.replace('0', "o").replace('1', "L"),
                text.replace('0', "O").replace('1', "i"),
                text.chars().zip(&gaps).map(|(c, gap)| if *gap == 0 { format!("{c} ") } else { c.to_string() }).collect(),
            ];
            for typed in typed {
                prop_assert!(same(&whole(typed.as_bytes()).unwrap(), &password), "{}", typed);
            }
            prop_assert_eq!(Id::parse(password.id().as_str()), Some(password.id()));
        }

        #[test]
        fn one_or_two_wrong_characters_are_noticed_and_still_look_like_one(
            password in some(), at in 0..WHOLE, other in 0..WHOLE, by in 1u8..32, and in 0u8..32,
        ) {
            let mut text = password.text().replace('-', "").into_bytes();
            for (at, by) in [(at, by), (other, and)] {
                if at != other || by != and {
                    let symbol = &mut text[4 + at];
                    *symbol = letter(value(*symbol).unwrap() ^ by);
                }
            }
            prop_assert!(is_mistyped(&text) || same(&whole(&text).unwrap(), &password));
            let changed = text != password.text().replace('-', "").into_bytes();
            prop_assert_eq!(is_mistyped(&text), changed);
        }

        #[test]
        fn two_that_changed_places_one_too_many_and_one_too_few_are_noticed(password in some(), at in 4..WHOLE + 3) {
            let text = password.text().replace('-', "").into_bytes();
            let mut swapped = text.clone();
            swapped.swap(at, at + 1);
            prop_assert!(swapped == text || is_mistyped(&swapped));
            let mut twice = text.clone();
            twice.insert(at, text[at]);
            prop_assert!(is_mistyped(&twice));
            let mut without = text;
            without.remove(at);
            prop_assert!(is_mistyped(&without));
        }

        #[test]
        fn what_people_have_as_passwords_is_none(text in "[ -~]{0,80}") {
            prop_assume!(!text.to_lowercase().replace([' ', '-'], "").starts_with("gpap"));
            prop_assert!(recognise(text.as_bytes()).is_none());
        }

        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = recognise(&bytes);
            let _ = recognise(&[b"gpap", bytes.as_slice()].concat());
        }
    }

    #[test]
    fn known_texts_stay_what_they_are() {
        let table = [
            (AppPassword::of(&[0; ID + SECRET]), "gpap-0000-0000-0000-0000-0000-0000-0000"),
            (
                AppPassword::of(&std::array::from_fn(|at| u8::try_from(at).unwrap())),
                "gpap-0123-4567-89ab-cdef-ghjk-mnpq-rsct",
            ),
        ];
        for (password, text) in table {
            assert_eq!(password.text().as_str(), text);
        }
    }

    #[test]
    fn only_what_has_the_mark_and_about_the_length_looks_like_one() {
        let text = AppPassword::random().unwrap().text().replace('-', "");
        let near = |count: usize| is_mistyped(&text.as_bytes()[..4 + count]);
        assert_eq!((0..28).filter(|&count| near(count)).collect::<Vec<_>>(), [24, 25, 26, 27]);
        let more = |extra: usize| is_mistyped(format!("{text}{}", "x".repeat(extra)).as_bytes());
        assert_eq!((1..9).filter(|&extra| more(extra)).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for other in
            [text.split_at(4).1, "gpap", "", "hunter2", "gpap correct horse battery staple!", "g\u{e9}pap"]
        {
            assert!(recognise(other.as_bytes()).is_none(), "{other}");
        }
        assert!(recognise(format!("{text}\0").as_bytes()).is_none(), "a NUL is in none");
        assert!(recognise(" ".repeat(1 << 20).as_bytes()).is_none());
        assert!(
            is_mistyped(format!("gpap-u{}", text.split_at(5).1).as_bytes()),
            "u is no symbol, and a slip"
        );
    }

    #[test]
    fn the_field_has_32_elements_and_2_makes_them_all() {
        let powers: HashSet<u8> =
            (0..31).scan(1, |power, _| Some(std::mem::replace(power, times(*power, 2)))).collect();
        assert_eq!(powers.len(), 31);
        for a in 0..32 {
            assert_eq!((times(a, 1), times(1, a), times(a, 0)), (a, a, 0));
            for b in 0..32 {
                assert_eq!(times(a, b), times(b, a));
            }
        }
        // The roots of the generator: a + a^2, a^3.
        assert_eq!((2 ^ times(2, 2), times(2, times(2, 2))), (0b00110, 0b01000));
        assert_eq!(checks(&[0; ID + SECRET]), [0, 0]);
        // A text is right when both roots are roots of it.
        let data: [u8; ID + SECRET] = std::array::from_fn(|at| u8::try_from(at * at % 32).unwrap());
        for root in [2, times(2, 2)] {
            let whole =
                data.iter().chain(checks(&data).iter()).fold(0, |sum, value| times(sum, root) ^ value);
            assert_eq!(whole, 0, "at {root}");
        }
    }

    #[test]
    fn nothing_of_the_secret_is_shown_and_the_digest_depends_on_all_of_it() {
        let password = AppPassword::random().unwrap();
        assert_eq!(format!("{password:?}"), format!("AppPassword({})", password.id()));
        let mut digests = HashSet::from([password.digest()]);
        let values: [u8; ID + SECRET] = std::array::from_fn(|at| {
            value(*password.id.0.iter().chain(password.secret.iter()).nth(at).unwrap()).unwrap()
        });
        for at in 0..ID + SECRET {
            let mut other = values;
            other[at] ^= 1;
            assert!(digests.insert(AppPassword::of(&other).digest()), "symbol {at}");
        }
    }
}
