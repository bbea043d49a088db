//! What is in the tables, and what they are asked: the same each time.

use std::collections::BTreeSet;

/// How many keys there are.
pub(super) const KEYS: usize = 10_000;

/// How many addresses have something in the tables.
const ROWS: usize = 2_000;

/// Numbers that are the same each time (SplitMix64).
pub(super) struct Dice(u64);

/// One address, or one part of one, and what is there.
pub(super) struct Row {
    pub(super) address: String,
    /// In their order. `None` is NULL.
    pub(super) values: Vec<Option<String>>,
}

/// Domains with something in them. The last but one has a label for each of `%1` to `%9`.
pub(super) const DOMAINS: [&str; 10] = [
    "example.org",
    "example.net",
    "mail.example.org",
    "deep.mail.example.org",
    "second.test",
    "bücher.example",
    "пример.example",
    "single",
    "a.b.c.d.e.f.g.h.i.example",
    "xn--bcher-kva.example",
];

/// Local parts in their internal form, without quotes.
const LOCALS: [&str; 44] = [
    "anna",
    "ben",
    "sales",
    "shop",
    "info",
    "first.last",
    "o'brien",
    "x_y",
    "a%b",
    "back\\slash",
    "two words",
    "two  words",
    "quo\"ted",
    "\"anna\"",
    "\"two words\"",
    "quo\"ted\\\"",
    "at@sign",
    "at@example.org",
    "par(en)s",
    "st*r",
    "semi;colon",
    "com,ma",
    "co:lon",
    "a<b>c",
    ".dot",
    "dot.",
    "dot..dot",
    "=?utf-8?q?a?=",
    "-dash",
    "--",
    "owner-list",
    "list-request",
    "postmaster",
    "mailer-daemon",
    "double-bounce",
    "jürgen",
    "żółw",
    "李雷",
    "мария",
    "e\u{301}le\u{300}ve",
    "smile😀",
    "x' or '1'='1",
    "*)(uid=*",
    "#hash",
];

const EXTENSIONS: [&str; 12] =
    ["+x", "+lists", "+", "++", "+a+b", "+a b", "+\"", "+ü", "+'", "+%s", "+anna@example.org", "-x"];

/// Addresses that are in the tables, and asked for.
const SURE: [&str; 4] =
    ["two words@plain.test", "straße@example.org", "οδος@example.org", "\"quo\\\"ted\"@second.test"];

/// Of which two things can be made.
const ASKED: [&str; 5] = [
    r#""\"two words\""@plain.test"#,
    r#""\"two words\"+x"@plain.test"#,
    "Straße+x@example.org",
    "ΟΔΟΣ@example.org",
    r#""quo\"ted"@second.test"#,
];

/// What somebody tries who is up to no good, and keys that are no address.
const ODD: [&str; 52] = [
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "\\\\'",
    "%",
    "%s",
    "%%",
    "_",
    "*",
    "(",
    ")",
    "*)",
    "*)(objectClass=*",
    "(|(uid=*))",
    "\\2a",
    "\\5c",
    "&",
    "|",
    "!",
    "' or '1'='1",
    "' OR 1=1 -- ",
    "'; DROP TABLE alias; -- ",
    "\\' OR 1=1 #",
    "' UNION SELECT 'x",
    "%@example.org",
    "_nna@example.org",
    "anna@%",
    "anna@example.%",
    "*@example.org",
    "a*@example.org",
    "@",
    "@@",
    "@@example.org",
    "a@",
    "a@@example.org",
    "a@.",
    "a@.example.org",
    "a@example.org.",
    "a@example..org",
    "a@..",
    ".",
    "..",
    ".example.org",
    "example..org",
    " ",
    " anna@example.org",
    "anna@example.org ",
    "anna @example.org",
    "<>",
    "anna@example.org,ben@example.org",
];

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `sides` - 1.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % sides as u64).unwrap()
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// What is in the tables. An address is there once, in its external form or, now and then, in the internal one.
pub(super) fn rows() -> Vec<Row> {
    let mut dice = Dice::new(1);
    let sure = |address: &str| Row {
        address: address.to_owned(),
        values: vec![Some("sure@elsewhere.test".to_owned())],
    };
    let mut rows: Vec<Row> = SURE.map(sure).into_iter().collect();
    let mut seen: BTreeSet<_> = SURE.map(str::to_owned).into_iter().collect();
    let mut put = |address: String, dice: &mut Dice| {
        // As a server of LDAP would tell them apart.
        if seen.insert(address.split_whitespace().collect::<Vec<_>>().join(" ")) {
            let values = values(rows.len(), dice);
            rows.push(Row { address, values });
        }
        rows.len()
    };
    for domain in DOMAINS {
        if dice.roll(2) == 0 {
            put(format!("@{domain}"), &mut dice);
        }
        if dice.roll(2) == 0 {
            put(domain.to_owned(), &mut dice);
        }
        if dice.roll(3) == 0 {
            put(format!(".{domain}"), &mut dice);
        }
    }
    for local in ["ben", "two words", "ben+x", "info"] {
        put(format!("{}@", external(local)), &mut dice);
    }
    // Never a local part alone: that is for domains which are Postfix's own.
    for domain in ["<>", "example", "org", ".org", "test"] {
        put(domain.to_owned(), &mut dice);
    }
    loop {
        let mut local = (*dice.pick(&LOCALS)).to_owned();
        if dice.roll(2) == 0 {
            local += &dice.roll(60).to_string();
        }
        if dice.roll(4) == 0 {
            local += dice.pick(&EXTENSIONS);
        }
        let written = if dice.roll(5) == 0 { local } else { external(&local) };
        let domain = dice.pick(&DOMAINS);
        if put(format!("{written}@{domain}"), &mut dice) >= ROWS {
            return rows;
        }
    }
}

fn values(number: usize, dice: &mut Dice) -> Vec<Option<String>> {
    if dice.roll(20) == 0 {
        return vec![Some("@elsewhere.test".to_owned())];
    }
    let one = |dice: &mut Dice| {
        Some(match dice.roll(12) {
            0 => return None,
            1 => String::new(),
            3 => format!("Über{number}@Elsewhere.TEST"),
            4 => format!("\"the number {number}\"@elsewhere.test"),
            5 => format!("to{number}+own@elsewhere.test"),
            _ => format!("to{number}-{}@elsewhere.test", dice.roll(1000)),
        })
    };
    let more = dice.roll(6).saturating_sub(3);
    (0..=more).map(|_| one(dice)).collect()
}

/// A local part as in SMTP: in quotes, if it has to be.
pub(super) fn external(local: &str) -> String {
    let atom = |sign: char| !sign.is_ascii_control() && !" \"(),:;<>@[\\]".contains(sign);
    if local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
        return local.to_owned();
    }
    format!("\"{}\"", local.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a local part is, whatever is in it, and where: half of the time of an address that is there.
fn address(rows: &[Row], dice: &mut Dice) -> (String, String) {
    let of_row = |dice: &mut Dice| {
        let (local, domain) = rows[dice.roll(rows.len())].address.rsplit_once('@')?;
        let local = unquoted(local).unwrap_or_else(|| local.to_owned());
        (!local.is_empty() && !domain.is_empty()).then(|| (local, domain.to_owned()))
    };
    let (mut local, mut domain) = loop {
        let found = match dice.roll(4) {
            0 => Some(((*dice.pick(&LOCALS)).to_owned(), (*dice.pick(&DOMAINS)).to_owned())),
            1 => Some((format!("nobody{}", dice.roll(100)), (*dice.pick(&DOMAINS)).to_owned())),
            _ => of_row(dice),
        };
        if let Some(found) = found {
            break found;
        }
    };
    match dice.roll(8) {
        0..3 => local += dice.pick(&EXTENSIONS),
        3 => {
            local += dice.pick(&EXTENSIONS);
            local += dice.pick(&EXTENSIONS);
        }
        _ => {}
    }
    match dice.roll(12) {
        0 => local = local.to_uppercase(),
        1 => domain = domain.to_uppercase(),
        2 => domain = format!("sub.{domain}"),
        3 => domain = format!("Deep.Below.{domain}"),
        4 => "elsewhere.example".clone_into(&mut domain),
        5 if dice.roll(4) == 0 => local = "Long".repeat(1 + dice.roll(200)) + &local,
        _ => {}
    }
    (local, domain)
}

/// A local part that is in quotes because it has to be, without them.
pub(super) fn unquoted(local: &str) -> Option<String> {
    let mut signs = local.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut out = String::new();
    while let Some(sign) = signs.next() {
        out.push(if sign == '\\' { signs.next().unwrap_or(sign) } else { sign });
    }
    (external(&out) == local).then_some(out)
}

/// Addresses as they stand in SMTP.
pub(super) fn addresses(rows: &[Row]) -> Vec<String> {
    let mut dice = Dice::new(2);
    let one = |_| {
        let (local, domain) = address(rows, &mut dice);
        format!("{}@{domain}", external(&local))
    };
    let asked = ASKED.map(str::to_owned);
    asked.into_iter().chain((ASKED.len()..KEYS).map(one)).collect()
}

/// Keys of all kinds, as a program may write them on a line.
pub(super) fn keys(rows: &[Row]) -> Vec<String> {
    let mut dice = Dice::new(3);
    let one = |_| {
        let (local, domain) = address(rows, &mut dice);
        match dice.roll(20) {
            0..6 => rows[dice.roll(rows.len())].address.clone(),
            6 => rows[dice.roll(rows.len())].address.to_uppercase(),
            7..11 => format!("{}@{domain}", external(&local)),
            11 | 12 => format!("{local}@{domain}"),
            13 => domain,
            14 => format!("@{domain}"),
            15 => local,
            16 => format!("{local}@"),
            17 => format!("{}{}", dice.pick(&ODD), dice.pick(&ODD)),
            18 => (*dice.pick(&ODD)).to_owned(),
            _ if dice.roll(50) == 0 => "very-long.".repeat(900) + &domain,
            _ => format!("{}@{}.{domain}", external(&local), dice.pick(&["x", "", "x.", "x..y", "-", "%"])),
        }
    };
    let asked = ASKED.map(str::to_owned);
    asked.into_iter().chain((ASKED.len()..KEYS).map(one)).collect()
}
