//! The small languages of values: durations, sizes, modes. Plain functions over text.

use std::time::Duration;

use super::problem::{Wrong, quoted};

/// Units of a duration with their milliseconds, largest first.
const TIMES: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units of a size with their bytes, largest first.
const SIZES: &[(&str, u64)] =
    &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// `1*(digits unit)`, units `d h m s ms` from large to small, each at most once: `500ms`, `2s`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, Wrong> {
    let wrong = || {
        Wrong::new(
            format!("{} is no duration", quoted(text)),
            "write whole numbers with units, as in \"500ms\", \"2s\", \"10m\", \"1h30m\" or \"7d\"",
        )
    };
    let mut units = TIMES.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    loop {
        let (number, unit, after) = quantity(rest).ok_or_else(wrong)?;
        // Going on from the last unit refuses both "1m1h" and "1s1s".
        let &(_, milliseconds) = units.find(|&&(name, _)| name == unit).ok_or_else(wrong)?;
        let part = number.checked_mul(milliseconds).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        if after.is_empty() {
            return Ok(Duration::from_millis(total));
        }
        rest = after;
    }
}

/// `digits unit`, units `B KiB MiB GiB TiB`, in bytes. `MB` and its kin are refused: half the world means
/// `MiB` by it.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let wrong = || {
        Wrong::new(
            format!("{} is no size", quoted(text)),
            "write a whole number with a unit, B, KiB, MiB, GiB or TiB, as in \"64MiB\"",
        )
    };
    let (number, unit, after) = quantity(text).ok_or_else(wrong)?;
    let &(_, bytes) = SIZES.iter().find(|&&(name, _)| name == unit).ok_or_else(wrong)?;
    number.checked_mul(bytes).filter(|_| after.is_empty()).ok_or_else(wrong)
}

/// Three octal digits, with or without a zero before them: `0660`. The bits of a socket file.
pub(super) fn mode(text: &str) -> Result<u32, Wrong> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let octal = digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(digits, 8).ok().filter(|_| octal).ok_or_else(|| {
        Wrong::new(
            format!("{} is no file mode", quoted(text)),
            "write the three octal digits of owner, group and others, as in \"0660\"",
        )
    })
}

/// The duration in the form in which it is written.
pub(super) fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    show(milliseconds, TIMES, "s")
}

/// The size in the form in which it is written.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, SIZES, "B")
}

/// A number, the letters after it, and the rest.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, rest) = text.split_at_checked(digits)?;
    let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(letters)?;
    Some((number.parse().ok()?, unit, rest))
}

/// In the largest unit that needs no fraction.
fn show(amount: u64, units: &[(&str, u64)], none: &str) -> String {
    if amount == 0 {
        return format!("0{none}");
    }
    let unit = units.iter().find(|&&(_, size)| amount.is_multiple_of(size));
    unit.map_or_else(|| amount.to_string(), |&(name, size)| format!("{}{name}", amount / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let known = [
            ("500ms", 500),
            ("0s", 0),
            ("2s", 2000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1m30s250ms", 90_250),
            ("7d", 604_800_000),
        ];
        for (text, milliseconds) in known {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "2",
            "s",
            "2 s",
            " 2s",
            "2s ",
            "-2s",
            "2.5s",
            "1m1h",
            "1s1s",
            "2S",
            "2x",
            "1h30",
            "99999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [("0B", 0), ("17B", 17), ("1KiB", 1024), ("64MiB", 1 << 26), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "64", "MiB", "64MB", "64M", "64mib", "1.5GiB", "64 MiB", "1GiB1MiB", "99999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, bits) in [("0660", 0o660), ("660", 0o660), ("0000", 0), ("777", 0o777)] {
            assert_eq!(mode(text), Ok(bits), "{text}");
        }
        for text in ["", "0", "66", "06600", "1777", "0o660", "0888", "+660", "rw-rw----"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_written() {
        for text in ["500ms", "2s", "90s", "10m", "7d"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(show_duration(Duration::ZERO), "0s");
        for text in ["17B", "64MiB", "1GiB", "0B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
    }
}
