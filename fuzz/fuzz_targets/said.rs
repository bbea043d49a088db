//! What was said to `serial`, read as simply as can be: the requests, up to the first one that is none.

use std::fmt;

/// Longest request of socketmap, and digits of its length.
const LONGEST: u64 = 65_536;
const DIGITS: usize = 20;

/// Longest string of saslauthd's protocol.
const STRING: usize = 8192;

/// Names of attributes that are numbers, and those that are ports.
const NUMBERS: [&str; 3] = ["recipient_count", "size", "encryption_keysize"];
const PORTS: [&str; 2] = ["client_port", "server_port"];

/// The payloads of netstrings with a blank in them, and whether something else comes behind them.
pub fn netstrings(mut bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut payloads = Vec::new();
    loop {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let Some(&sign) = bytes.get(digits) else {
            let too_long = digits > DIGITS || number(bytes).is_none_or(|length| length > LONGEST);
            return (payloads, digits > 0 && too_long);
        };
        let length = number(&bytes[..digits]).filter(|&length| length <= LONGEST && digits <= DIGITS);
        let (Some(length), b':') = (length, sign) else { return (payloads, true) };
        let behind = &bytes[digits + 1..];
        let length = usize::try_from(length).expect("not above the limit");
        let Some((payload, rest)) = behind.split_at_checked(length) else { return (payloads, false) };
        match rest.split_first() {
            None => return (payloads, false),
            Some((b',', rest)) if payload.contains(&b' ') && !payload.contains(&0) => {
                payloads.push(payload);
                bytes = rest;
            }
            Some(_) => return (payloads, true),
        }
    }
}

/// The keys of lines with `get`, without their `%XX`, `None` for those with `put`, and whether another line comes behind
/// them.
pub fn lines(bytes: &[u8]) -> (Vec<Option<Vec<u8>>>, bool) {
    let mut keys = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"put ") {
            keys.push(None);
            continue;
        }
        let key = line.strip_prefix(b"get ").filter(|key| !key.iter().any(u8::is_ascii_whitespace));
        match key.and_then(percent).filter(|key| !key.contains(&0)) {
            Some(key) => keys.push(Some(key)),
            None => return (keys, true),
        }
    }
    (keys, false)
}

fn percent(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut parts = text.split(|&byte| byte == b'%');
    let mut bytes = parts.next()?.to_vec();
    for part in parts {
        let (&[high, low], rest) = part.split_first_chunk()?;
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).expect("two digits"));
        bytes.extend_from_slice(rest);
    }
    Some(bytes)
}

/// The four strings of saslauthd's protocol. `None`: they are not all there, or too long.
pub fn counted(mut bytes: &[u8]) -> Option<[&[u8]; 4]> {
    let mut strings = [&b""[..]; 4];
    for string in &mut strings {
        let (length, rest) = bytes.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        (*string, bytes) = rest.split_at_checked(length).filter(|_| length <= STRING)?;
    }
    Some(strings)
}

/// A request about a mail.
pub struct Block<'a>(&'a [u8]);

impl<'a> Block<'a> {
    /// The first value of that name.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        let start = [name.as_bytes(), b"="].concat();
        self.0.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(&*start))
    }

    fn is_sound(&self) -> bool {
        let mut lines = self.0.split_inclusive(|&byte| byte == b'\n');
        let numeric =
            |name: &str| self.value(name).is_none_or(|value| value.is_empty() || number(value).is_some());
        let port = |name: &str| {
            let value = self.value(name).unwrap_or_default();
            value == b"unknown" || value.is_empty() || number(value).is_some_and(|port| port < 1 << 16)
        };
        !self.0.contains(&0)
            && lines.all(|line| line.contains(&b'='))
            && self.value("request").is_some()
            && NUMBERS.into_iter().all(numeric)
            && PORTS.into_iter().all(port)
    }
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The blocks that are requests about mails, and whether another one comes behind them.
pub fn blocks(mut bytes: &[u8]) -> (Vec<Block<'_>>, bool) {
    let mut blocks = Vec::new();
    loop {
        let end = match bytes {
            [b'\n', ..] => Some(0),
            _ => bytes.windows(2).position(|two| two == b"\n\n").map(|at| at + 1),
        };
        let Some(end) = end else { return (blocks, false) };
        let block = Block(&bytes[..end]);
        if !block.is_sound() {
            return (blocks, true);
        }
        blocks.push(block);
        bytes = &bytes[end + 1..];
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether somebody of that name may be meant: in other letters it may be spelt in many ways.
pub fn calls(bytes: &[u8], name: &str) -> bool {
    !bytes.is_ascii() || bytes.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether it is an address of that domain that anybody would have.
pub fn is_plain(address: &[u8], domain: &str) -> bool {
    let mut parts = address.split(|&byte| byte == b'@');
    let local = parts.next().unwrap_or_default();
    (1..=100).contains(&local.len())
        && local.iter().all(u8::is_ascii_alphanumeric)
        && parts.next().is_some_and(|part| part.eq_ignore_ascii_case(domain.as_bytes()))
        && parts.next().is_none()
}
