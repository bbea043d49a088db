//! PostgreSQL's binary values as the text that the server would print.

use std::{
    error::Error,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio_postgres::types::{FromSql, Kind, Type};

/// A value of any type that has a plain text.
pub(super) struct Text(pub(super) Vec<u8>);

type Failed = Box<dyn Error + Sync + Send>;

impl<'a> FromSql<'a> for Text {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        text(kind, raw).map(Self).ok_or_else(|| "no plain text".into())
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Days and microseconds are counted from 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;

const DAY_US: i64 = 86_400_000_000;

/// Whether values of this type have a plain text.
pub(super) fn prints(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Enum(_) => true,
        Kind::Domain(of) | Kind::Array(of) => prints(of),
        Kind::Simple | Kind::Pseudo | Kind::Range(_) | Kind::Multirange(_) | Kind::Composite(_) | _ => {
            PRINTED.contains(kind) || kind.name() == "citext"
        }
    }
}

const PRINTED: [Type; 24] = [
    Type::BOOL,
    Type::INT2,
    Type::INT4,
    Type::INT8,
    Type::OID,
    Type::FLOAT4,
    Type::FLOAT8,
    Type::NUMERIC,
    Type::DATE,
    Type::TIME,
    Type::TIMESTAMP,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::INET,
    Type::CIDR,
    Type::JSONB,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::NAME,
    Type::CHAR,
    Type::JSON,
    Type::XML,
    Type::BYTEA,
];

fn text(kind: &Type, raw: &[u8]) -> Option<Vec<u8>> {
    match kind.kind() {
        Kind::Enum(_) => return Some(raw.to_vec()),
        Kind::Domain(of) => return text(of, raw),
        Kind::Array(of) => return list(of, raw),
        Kind::Simple | Kind::Pseudo | Kind::Range(_) | Kind::Multirange(_) | Kind::Composite(_) | _ => {}
    }
    let printed = match *kind {
        Type::BOOL => if raw == [0] { "f" } else { "t" }.to_owned(),
        Type::INT2 => i16::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::INT4 => i32::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::INT8 => i64::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::OID => u32::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::FLOAT4 => f32::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::FLOAT8 => f64::from_be_bytes(raw.try_into().ok()?).to_string(),
        Type::NUMERIC => numeric(raw)?,
        Type::DATE => date(i64::from(i32::from_be_bytes(raw.try_into().ok()?)))?,
        Type::TIME => time(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::TIMESTAMP => timestamp(i64::from_be_bytes(raw.try_into().ok()?))?,
        Type::TIMESTAMPTZ => format!("{}+00", timestamp(i64::from_be_bytes(raw.try_into().ok()?))?),
        Type::UUID => uuid(raw.try_into().ok()?),
        Type::INET | Type::CIDR => inet(raw)?,
        // In the binary form with the number of its format before it.
        Type::JSONB => return raw.strip_prefix(&[1]).map(<[u8]>::to_vec),
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::CHAR
        | Type::JSON
        | Type::XML
        | Type::BYTEA => return Some(raw.to_vec()),
        // Extensions have no fixed numbers.
        _ if kind.name() == "citext" => return Some(raw.to_vec()),
        _ => return None,
    };
    Some(printed.into_bytes())
}

/// A flat array as a list, the way gatepost reads `allow_nets` and `services`.
fn list(of: &Type, raw: &[u8]) -> Option<Vec<u8>> {
    let (dimensions, rest) = number(raw)?;
    let (_, rest) = number(rest)?;
    let (_, mut rest) = number(rest)?;
    match dimensions {
        0 => return Some(Vec::new()),
        1 => {}
        _ => return None,
    }
    let (length, after) = number(rest)?;
    (_, rest) = number(after)?;
    let mut printed = Vec::new();
    for at in 0..length {
        let (size, after) = number(rest)?;
        let (item, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
        if at > 0 {
            printed.push(b',');
        }
        printed.extend(text(of, item)?);
        rest = after;
    }
    Some(printed)
}

fn number(raw: &[u8]) -> Option<(i32, &[u8])> {
    let (head, rest) = raw.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*head), rest))
}

/// Digits to the base 10000: how many, the weight of the first, the sign, and how many decimals to show.
fn numeric(raw: &[u8]) -> Option<String> {
    let mut words =
        raw.chunks_exact(2).map(|pair| pair.try_into().map(i16::from_be_bytes).unwrap_or_default());
    let (count, weight, sign, scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let digits: Vec<i16> = words.collect();
    if usize::try_from(count).ok()? != digits.len() {
        return None;
    }
    let mut printed = match sign.cast_unsigned() {
        0x0000 => String::new(),
        0x4000 => "-".to_owned(),
        0xC000 => return Some("NaN".to_owned()),
        _ => return None,
    };
    let digit = |at: i16| usize::try_from(at).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    if weight < 0 {
        printed.push('0');
    }
    for at in 0..=weight {
        let write =
            if at == 0 { write!(printed, "{}", digit(at)) } else { write!(printed, "{:04}", digit(at)) };
        write.ok()?;
    }
    let scale = usize::try_from(scale).ok()?;
    if scale > 0 {
        let mut decimals = String::new();
        let mut at = weight.checked_add(1)?;
        while decimals.len() < scale {
            write!(decimals, "{:04}", digit(at)).ok()?;
            at = at.checked_add(1)?;
        }
        decimals.truncate(scale);
        printed.push('.');
        printed.push_str(&decimals);
    }
    Some(printed)
}

fn timestamp(microseconds: i64) -> Option<String> {
    match microseconds {
        i64::MAX => return Some("infinity".to_owned()),
        i64::MIN => return Some("-infinity".to_owned()),
        _ => {}
    }
    let day = date(microseconds.div_euclid(DAY_US))?;
    Some(format!("{day} {}", time(microseconds.rem_euclid(DAY_US))))
}

fn time(microseconds: i64) -> String {
    let seconds = microseconds / 1_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A day of the Gregorian calendar, as counted from 2000-01-01.
///
/// After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn date(days: i64) -> Option<String> {
    if days == i64::from(i32::MAX) {
        return Some("infinity".to_owned());
    }
    if days == i64::from(i32::MIN) {
        return Some("-infinity".to_owned());
    }
    let shifted = days.checked_add(EPOCH_DAYS + 719_468)?;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

fn uuid(raw: [u8; 16]) -> String {
    let mut printed = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            printed.push('-');
        }
        let _ = write!(printed, "{byte:02x}");
    }
    printed
}

/// Family, bits, whether it is a `cidr`, length, address.
fn inet(raw: &[u8]) -> Option<String> {
    let ([_, bits, is_cidr, _], address) = raw.split_first_chunk::<4>()?;
    let (address, all) = match address.len() {
        4 => (IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)), 32),
        16 => (IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)), 128),
        _ => return None,
    };
    Some(if *bits == all && *is_cidr == 0 { address.to_string() } else { format!("{address}/{bits}") })
}

#[cfg(test)]
mod tests {
    use tokio_postgres::types::Type;

    use super::{prints, text};

    fn printed(kind: &Type, raw: &[u8]) -> Option<String> {
        text(kind, raw).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn values_become_the_text_that_the_server_would_print() {
        let table: &[(Type, Vec<u8>, Option<&str>)] = &[
            (Type::BOOL, vec![1], Some("t")),
            (Type::BOOL, vec![0], Some("f")),
            (Type::INT2, vec![0xff, 0xfb], Some("-5")),
            (Type::INT8, 5000_i64.to_be_bytes().to_vec(), Some("5000")),
            (Type::FLOAT8, 0.5_f64.to_be_bytes().to_vec(), Some("0.5")),
            (Type::TEXT, b"a'b".to_vec(), Some("a'b")),
            (Type::JSONB, b"\x01{}".to_vec(), Some("{}")),
            (Type::JSONB, b"\x02{}".to_vec(), None),
            (Type::DATE, 0_i32.to_be_bytes().to_vec(), Some("2000-01-01")),
            (Type::DATE, 9823_i32.to_be_bytes().to_vec(), Some("2026-11-23")),
            (Type::DATE, (-1_i32).to_be_bytes().to_vec(), Some("1999-12-31")),
            (Type::DATE, i32::MAX.to_be_bytes().to_vec(), Some("infinity")),
            (Type::TIMESTAMP, 1_000_000_i64.to_be_bytes().to_vec(), Some("2000-01-01 00:00:01")),
            (Type::TIMESTAMPTZ, (-1_000_000_i64).to_be_bytes().to_vec(), Some("1999-12-31 23:59:59+00")),
            (Type::TIMESTAMP, i64::MAX.to_be_bytes().to_vec(), Some("infinity")),
            (Type::UUID, (0..16).collect(), Some("00010203-0405-0607-0809-0a0b0c0d0e0f")),
            (Type::INET, vec![2, 32, 0, 4, 192, 0, 2, 1], Some("192.0.2.1")),
            (Type::CIDR, vec![2, 24, 1, 4, 192, 0, 2, 0], Some("192.0.2.0/24")),
            (Type::INTERVAL, vec![0; 16], None),
            (Type::INT4, vec![1], None),
        ];
        for (kind, raw, expected) in table {
            assert_eq!(printed(kind, raw).as_deref(), *expected, "{kind} {raw:?}");
            assert!(expected.is_none() || prints(kind), "{kind}");
        }
        assert!(prints(&Type::INET_ARRAY) && !prints(&Type::INTERVAL) && !prints(&Type::INTERVAL_ARRAY));
    }

    #[test]
    fn numbers_of_any_size_are_printed_in_decimal() {
        let words = |words: &[i16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let table: &[(&[i16], Option<&str>)] = &[
            (&[0, 0, 0, 0], Some("0")),
            (&[1, 0, 0, 0, 42], Some("42")),
            (&[2, 1, 0, 0, 1, 2], Some("10002")),
            (&[1, 2, 0, 0, 1], Some("100000000")),
            (&[2, 0, 0x4000, 2, 3, 1400], Some("-3.14")),
            (&[1, -1, 0, 4, 5], Some("0.0005")),
            (&[1, -2, 0, 8, 5], Some("0.00000005")),
            (&[0, 0, -0x4000, 0], Some("NaN")),
            (&[2, 0, 0, 0, 1], None),
        ];
        for (raw, expected) in table {
            assert_eq!(printed(&Type::NUMERIC, &words(raw)).as_deref(), *expected, "{raw:?}");
        }
    }

    #[test]
    fn a_flat_array_is_a_list() {
        let mut raw = Vec::new();
        for number in [1_i32, 0, 25, 2, 1] {
            raw.extend(number.to_be_bytes());
        }
        for item in ["imap", "smtp"] {
            raw.extend(4_i32.to_be_bytes());
            raw.extend(item.as_bytes());
        }
        assert_eq!(printed(&Type::TEXT_ARRAY, &raw).as_deref(), Some("imap,smtp"));
        let mut empty = Vec::new();
        for number in [0_i32, 0, 25] {
            empty.extend(number.to_be_bytes());
        }
        assert_eq!(printed(&Type::TEXT_ARRAY, &empty).as_deref(), Some(""));
        assert_eq!(printed(&Type::TEXT_ARRAY, &raw[..30]), None);
    }
}
