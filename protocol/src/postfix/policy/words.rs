//! What actions are made of. Each of these is sound once it is there: valid UTF-8 without control characters, and of a
//! form that Postfix reads as what it is.

use std::borrow::Cow;
use std::fmt;

use crate::error::Malformed;

/// Longest text, in bytes. With the codes, and with a recipient of 254 bytes and what Postfix says of them in front, it
/// fits into a reply of SMTP, which has 512 and which Postfix cuts off there.
const TEXT: usize = 200;

/// Longest header line, in bytes without its CR LF (RFC 5322 section 2.1.1).
const HEADER: usize = 998;

/// Longest address, in bytes: 64 and 255 and the `@` (RFC 5321 section 4.5.3.1).
const ADDRESS: usize = 320;

/// What the remote or the log is told: at most 200 bytes without control characters or blanks around, and possibly
/// nothing, for which Postfix has words of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// A text that is meant as it is, as in a configuration. Blanks around it are taken off.
    pub fn new(text: impl Into<Cow<'a, str>>) -> Result<Self, Malformed> {
        let text = trimmed(text.into());
        if text.len() > TEXT || text.contains(char::is_control) {
            return Err(Malformed::new("text", "at most 200 bytes without control characters"));
        }
        Ok(Self(text))
    }

    /// A text that was put together from what others have said: `?` stands for each control character, and what is too
    /// long is cut off behind its last whole character.
    pub fn cleaned(text: impl Into<Cow<'a, str>>) -> Self {
        let mut text = text.into();
        if text.contains(char::is_control) {
            text = Cow::Owned(text.replace(char::is_control, "?"));
        }
        let text = match trimmed(text) {
            Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
            Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
        };
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub fn into_owned(self) -> Text<'static> {
        Text(owned(self.0))
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT)).rfind(|&at| text.is_char_boundary(at));
    text.get(..end.unwrap_or(0)).unwrap_or_default().trim_end()
}

/// A reply code of SMTP of the class 4 or 5, but for those after which Postfix hangs up, which are
/// [`Hangup`](super::Hangup).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code<const CLASS: u16>(u16);

impl<const CLASS: u16> Code<CLASS> {
    /// `None` for one of another class, and for 421 and 521. The second digit is 0 to 5 (RFC 5321 section 4.2).
    pub const fn new(code: u16) -> Option<Self> {
        match (CLASS, code / 100, code % 100) {
            (4 | 5, class, 0..=20 | 22..=59) if class == CLASS => Some(Self(code)),
            _ => None,
        }
    }

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// An enhanced status code (RFC 3463) without its class, which is that of the reply: Postfix sets it right anyway.
///
/// The default is x.7.1, "delivery not authorised", and so is Postfix's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enhanced {
    subject: u16,
    detail: u16,
}

impl Enhanced {
    /// `None` for a number of more than three digits.
    pub const fn new(subject: u16, detail: u16) -> Option<Self> {
        if subject > 999 || detail > 999 { None } else { Some(Self { subject, detail }) }
    }

    /// The first word of a text if it is such a code, of the class 2, 4 or 5, and the text behind it. That is how Postfix
    /// tells a code from a text (`dsn_split(3)`).
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        let (code, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let mut parts = code.split('.');
        let ("2" | "4" | "5") = parts.next()? else { return None };
        let [subject, detail] = [parts.next()?, parts.next()?].map(|part| {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        });
        parts.next().is_none().then_some(())?;
        Some((Self::new(subject?, detail?)?, rest.trim_start_matches([' ', '\t'])))
    }

    /// Writes it with that class in front.
    pub(super) fn write(self, class: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{class}.{}.{}", self.subject, self.detail)
    }
}

impl Default for Enhanced {
    fn default() -> Self {
        Self { subject: 7, detail: 1 }
    }
}

/// `<name> ":" SP <value>`: a header that is put before those of a mail, of at most 998 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl<'a> Header<'a> {
    /// A name of printable ASCII without blanks and colons, and a value, not empty, without control characters. Blanks
    /// around the value are taken off.
    pub fn new(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Result<Self, Malformed> {
        let (name, value) = (name.into(), trimmed(value.into()));
        let field = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        let sound = field && !value.is_empty() && !value.contains(char::is_control);
        if !sound || name.len() + ": ".len() + value.len() > HEADER {
            return Err(Malformed::new(
                "header",
                "<name>: <value>, at most 998 bytes, without control characters",
            ));
        }
        Ok(Self { name, value })
    }

    /// What stands before the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands behind it.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The same, to be kept.
    pub fn into_owned(self) -> Header<'static> {
        Header { name: owned(self.name), value: owned(self.value) }
    }
}

/// One address, bare: without `<>`, and not of a quoted local part with blanks or commas in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address<'a>(Cow<'a, str>);

impl<'a> Address<'a> {
    /// Both sides of the last `@` must be there. Without one, Postfix only logs that there is none.
    pub fn new(address: impl Into<Cow<'a, str>>) -> Result<Self, Malformed> {
        const ONE: Malformed = Malformed::new("address", "one address, as in user@example.org");
        let address = address.into();
        let wrong = |char: char| char.is_control() || char.is_whitespace() || matches!(char, ',' | '<' | '>');
        match address.rsplit_once('@') {
            Some(("", _) | (_, "")) | None => Err(ONE),
            Some(_) if address.len() > ADDRESS || address.contains(wrong) => Err(ONE),
            Some(_) => Ok(Self(address)),
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub fn into_owned(self) -> Address<'static> {
        Address(owned(self.0))
    }
}

/// `<transport> ":" [<nexthop>]`: where a mail is delivered to be filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination<'a> {
    transport: Cow<'a, str>,
    nexthop: Cow<'a, str>,
}

impl<'a> Destination<'a> {
    /// A transport of master.cf, and where it delivers to. Without a nexthop, since 2.7, it is the recipient's domain.
    pub fn new(
        transport: impl Into<Cow<'a, str>>,
        nexthop: impl Into<Cow<'a, str>>,
    ) -> Result<Self, Malformed> {
        let (transport, nexthop) = (transport.into(), nexthop.into());
        let service = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let graphic = nexthop.bytes().all(|byte| byte.is_ascii_graphic());
        if transport.is_empty() || !transport.bytes().all(service) || !graphic || nexthop.len() > HEADER {
            return Err(Malformed::new("filter", "<transport>:[<nexthop>], as in smtp:[127.0.0.1]:10025"));
        }
        Ok(Self { transport, nexthop })
    }

    /// A service of master.cf.
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// May be empty.
    pub fn nexthop(&self) -> &str {
        &self.nexthop
    }

    /// The same, to be kept.
    pub fn into_owned(self) -> Destination<'static> {
        Destination { transport: owned(self.transport), nexthop: owned(self.nexthop) }
    }
}

/// The name of a restriction, or of a class of restrictions in main.cf, that is to be applied: letters, digits, `_` and
/// `-`, beginning with a letter.
///
/// None that permits: `OK`, `RELAY` and all that begins with `permit` are refused, for they would skip the restrictions that
/// follow, and those before `reject_unauth_destination` would make an open relay of it. Words of other actions are
/// refused too. What a class of main.cf comes to is its author's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction<'a>(Cow<'a, str>);

impl<'a> Restriction<'a> {
    /// Words that are no restrictions, `HANGUP` among them, which Postfix has for its own tests.
    const TAKEN: [&'static str; 17] = [
        "OK",
        "RELAY",
        "DUNNO",
        "REJECT",
        "DEFER",
        "DEFER_IF_PERMIT",
        "DEFER_IF_REJECT",
        "HANGUP",
        "DELAY",
        "HOLD",
        "PREPEND",
        "WARN",
        "INFO",
        "BCC",
        "REDIRECT",
        "FILTER",
        "DISCARD",
    ];

    /// Whether there is a restriction of that name only Postfix knows: it makes 451 of one that it has not.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Result<Self, Malformed> {
        let name = name.into();
        let word = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let permits = name.get(..6).is_some_and(|first| first.eq_ignore_ascii_case("permit"));
        let taken = Self::TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken));
        if !word || permits || taken || name.len() > TEXT {
            return Err(Malformed::new(
                "restriction",
                "one that does not permit, as in reject_unverified_sender",
            ));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same, to be kept.
    pub fn into_owned(self) -> Restriction<'static> {
        Restriction(owned(self.0))
    }
}

#[cfg(test)]
mod tests;
