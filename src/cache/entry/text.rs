//! The text of an entry: beside the rest of it where it is short, as most are.

use zeroize::Zeroize as _;

/// So many bytes have room in the entry itself: a name and where its mail lives, as a rule.
pub(super) const BESIDE: usize = 70;

/// Up to 64 KiB of text that never changes. What is short costs no second look into memory: among a million entries
/// each look is one that the processor has to wait for.
#[derive(Clone)]
pub(super) enum Text {
    /// The first so many bytes of these.
    Beside(u8, [u8; BESIDE]),
    /// Elsewhere.
    Apart(Box<[u8]>),
}

impl Text {
    /// All parts, one behind the other.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut beside = [0; BESIDE];
        let (Some(mut rest), Ok(short)) = (beside.get_mut(..length), u8::try_from(length)) else {
            return Self::Apart(parts.concat().into());
        };
        for part in parts {
            let (head, tail) = rest.split_at_mut(part.len());
            head.copy_from_slice(part);
            rest = tail;
        }
        Self::Beside(short, beside)
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Beside(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Apart(bytes) => bytes,
        }
    }

    /// Bytes of an allocation of its own; 0: it has none.
    pub(super) fn apart(&self) -> usize {
        match self {
            Self::Beside(..) => 0,
            Self::Apart(bytes) => bytes.len(),
        }
    }

    /// Overwrites it.
    pub(super) fn wipe(&mut self) {
        match self {
            Self::Beside(_, bytes) => bytes.zeroize(),
            Self::Apart(bytes) => bytes.zeroize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BESIDE, Text};

    #[test]
    fn what_was_put_in_comes_out_however_long_it_is() {
        for length in [0, 1, 22, BESIDE - 1, BESIDE, BESIDE + 1, 255, 256, 4000] {
            let whole: Vec<u8> = (0..=250).cycle().take(length).collect();
            for cut in [0, length / 3, length] {
                let (head, tail) = whole.split_at(cut);
                let text = Text::of(&[head, b"", tail]);
                assert_eq!(text.bytes(), whole, "{length} cut at {cut}");
                assert_eq!(text.apart(), if length > BESIDE { length } else { 0 });
            }
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_wiped() {
        for length in [22, 100] {
            let mut text = Text::of(&[&vec![b'x'; length]]);
            text.wipe();
            assert!(text.bytes().iter().all(|&byte| byte == 0));
        }
    }
}
