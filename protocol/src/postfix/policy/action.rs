//! What smtpd is told.

use std::fmt::{self, Write as _};

use bytes::{BufMut as _, BytesMut};

use crate::error::Malformed;

use super::{Address, Attributes, Code, Destination, Enhanced, Header, Restriction, Text};

/// What is to become of the mail, or of the recipient that is asked about.
///
/// `OK`, digits alone and nothing at all cannot be said: all of them permit, skip the restrictions that follow, and make an
/// open relay where `reject_unauth_destination` is one of those. Wherever one gives a text, it may be empty; with one,
/// Postfix says `<recipient>: Recipient address rejected: ` in front. An enhanced code is always written, so that no text
/// can be taken for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<'a> {
    /// `DUNNO`: nothing to say; the next restriction decides.
    Dunno,
    /// `"REJECT" <5.y.z> [<text>]`, or a code in place of the word: never.
    Reject {
        /// 554 without one, or what `access_map_reject_code` says.
        code: Option<Code<5>>,
        /// y and z.
        enhanced: Enhanced,
        /// For the remote.
        text: Text<'a>,
    },
    /// `"DEFER" <4.y.z> [<text>]`, or a code in place of the word: not now. Since 2.6.
    Defer {
        /// 450 without one, or what `access_map_defer_code` says.
        code: Option<Code<4>>,
        /// y and z.
        enhanced: Enhanced,
        /// For the remote.
        text: Text<'a>,
    },
    /// `"DEFER_IF_PERMIT" <4.y.z> [<text>]`: not now, unless something that follows refuses for good.
    DeferIfPermit {
        /// y and z.
        enhanced: Enhanced,
        /// For the remote.
        text: Text<'a>,
    },
    /// `"DEFER_IF_REJECT" <4.y.z> [<text>]`: if something that follows refuses for good, then not now.
    DeferIfReject {
        /// y and z.
        enhanced: Enhanced,
        /// For the remote.
        text: Text<'a>,
    },
    /// `("421" / "521") <x.y.z> [<text>]`: a refusal after which Postfix closes the connection.
    Hangup {
        /// With which of the two.
        code: Hangup,
        /// y and z.
        enhanced: Enhanced,
        /// For the remote.
        text: Text<'a>,
    },
    /// `"HOLD" [<text>]`: taken, and kept until somebody has looked at it. The text is for the log.
    Hold(Text<'a>),
    /// `"PREPEND" <name>: <value>`: taken with one more header. Not at `END-OF-MESSAGE`, nor before there is a sender.
    Prepend(Header<'a>),
    /// `"WARN" [<text>]`: for the log only.
    Warn(Text<'a>),
    /// `"INFO" [<text>]`: for the log only. Since 3.0; before that 451.
    Info(Text<'a>),
    /// `"BCC" <address>`: to that one as well. Since 3.0; before that 451.
    Bcc(Address<'a>),
    /// `"REDIRECT" <address>`: to that one instead of all recipients.
    Redirect(Address<'a>),
    /// `"FILTER" <transport>:[<nexthop>]`: delivered there.
    Filter(Destination<'a>),
    /// `"DISCARD" [<text>]`: taken and thrown away, with all its recipients. Skips the restrictions that follow. The text is
    /// for the log.
    Discard(Text<'a>),
    /// `<name>`: as that restriction has it.
    Restriction(Restriction<'a>),
}

/// A code after which Postfix closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hangup {
    /// 421: not now.
    ForNow,
    /// 521: never.
    ForGood,
}

impl<'a> Action<'a> {
    /// Appends a whole reply: `"action=" <action> LF LF`
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(b"action=");
        // A `BytesMut` grows, so this cannot fail.
        let _ = write!(out, "{self}");
        out.put_slice(b"\n\n");
    }

    /// Reads a reply, a block without its empty line, as Postfix does: of several actions the first one counts, other
    /// attributes do not, and the first word may be of either case.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for what Postfix does not understand, for what it understands as a permission, and for what this type
    /// cannot express, such as several restrictions.
    pub fn parse(block: &'a [u8]) -> Result<Self, Malformed> {
        let value = Attributes::of_block(block)?.find(b"action");
        let value = value.ok_or(Malformed::new("policy reply", "action=<action>"))?;
        let value = std::str::from_utf8(value).map_err(|_| Malformed::new("action", "UTF-8"))?;
        let (word, text) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        let text = text.trim_start_matches([' ', '\t']);
        let is = |known: &str| word.eq_ignore_ascii_case(known);
        let coded = || coded(text);
        Ok(if is("DUNNO") {
            Self::Dunno
        } else if is("REJECT") {
            let (enhanced, text) = coded()?;
            Self::Reject { code: None, enhanced, text }
        } else if is("DEFER") {
            let (enhanced, text) = coded()?;
            Self::Defer { code: None, enhanced, text }
        } else if is("DEFER_IF_PERMIT") {
            let (enhanced, text) = coded()?;
            Self::DeferIfPermit { enhanced, text }
        } else if is("DEFER_IF_REJECT") {
            let (enhanced, text) = coded()?;
            Self::DeferIfReject { enhanced, text }
        } else if is("HOLD") {
            Self::Hold(Text::new(text)?)
        } else if is("PREPEND") {
            let (name, value) = text.split_once(':').ok_or(Malformed::new("PREPEND", "<name>: <value>"))?;
            Self::Prepend(Header::new(name, value)?)
        } else if is("WARN") {
            Self::Warn(Text::new(text)?)
        } else if is("INFO") {
            Self::Info(Text::new(text)?)
        } else if is("BCC") {
            Self::Bcc(Address::new(text)?)
        } else if is("REDIRECT") {
            Self::Redirect(Address::new(text)?)
        } else if is("FILTER") {
            let parts = text.split_once(':').ok_or(Malformed::new("FILTER", "<transport>:[<nexthop>]"))?;
            Self::Filter(Destination::new(parts.0, parts.1)?)
        } else if is("DISCARD") {
            Self::Discard(Text::new(text)?)
        } else if let [b'4' | b'5', b'0'..=b'9', b'0'..=b'9'] = word.as_bytes() {
            Self::of_code(word, text)?
        } else {
            Self::Restriction(Restriction::new(value)?)
        })
    }

    /// The same, to be kept: as one that stands in a configuration is.
    pub fn into_owned(self) -> Action<'static> {
        match self {
            Self::Dunno => Action::Dunno,
            Self::Reject { code, enhanced, text } => {
                Action::Reject { code, enhanced, text: text.into_owned() }
            }
            Self::Defer { code, enhanced, text } => Action::Defer { code, enhanced, text: text.into_owned() },
            Self::DeferIfPermit { enhanced, text } => {
                Action::DeferIfPermit { enhanced, text: text.into_owned() }
            }
            Self::DeferIfReject { enhanced, text } => {
                Action::DeferIfReject { enhanced, text: text.into_owned() }
            }
            Self::Hangup { code, enhanced, text } => {
                Action::Hangup { code, enhanced, text: text.into_owned() }
            }
            Self::Hold(text) => Action::Hold(text.into_owned()),
            Self::Prepend(header) => Action::Prepend(header.into_owned()),
            Self::Warn(text) => Action::Warn(text.into_owned()),
            Self::Info(text) => Action::Info(text.into_owned()),
            Self::Bcc(address) => Action::Bcc(address.into_owned()),
            Self::Redirect(address) => Action::Redirect(address.into_owned()),
            Self::Filter(to) => Action::Filter(to.into_owned()),
            Self::Discard(text) => Action::Discard(text.into_owned()),
            Self::Restriction(name) => Action::Restriction(name.into_owned()),
        }
    }

    /// Whether the mail, or the recipient, is not taken, whatever else Postfix is told of it.
    pub const fn refuses(&self) -> bool {
        match self {
            Self::Reject { .. } | Self::Defer { .. } | Self::DeferIfPermit { .. } | Self::Hangup { .. } => {
                true
            }
            Self::Dunno
            | Self::DeferIfReject { .. }
            | Self::Hold(_)
            | Self::Prepend(_)
            | Self::Warn(_)
            | Self::Info(_)
            | Self::Bcc(_)
            | Self::Redirect(_)
            | Self::Filter(_)
            | Self::Discard(_)
            | Self::Restriction(_) => false,
        }
    }

    /// `<code> [x.y.z] <text>`. With nothing behind it, a code is digits alone, and so permits.
    fn of_code(code: &str, text: &'a str) -> Result<Self, Malformed> {
        const CODE: Malformed = Malformed::new("action", "a reply code of SMTP and a text");
        if text.is_empty() {
            return Err(CODE);
        }
        let (enhanced, text) = coded(text)?;
        let code = code.parse().map_err(|_| CODE)?;
        match (code, Code::new(code), Code::new(code)) {
            (421, ..) => Ok(Self::Hangup { code: Hangup::ForNow, enhanced, text }),
            (521, ..) => Ok(Self::Hangup { code: Hangup::ForGood, enhanced, text }),
            (_, code @ Some(_), _) => Ok(Self::Defer { code, enhanced, text }),
            (_, _, code @ Some(_)) => Ok(Self::Reject { code, enhanced, text }),
            _ => Err(CODE),
        }
    }
}

/// What follows a refusal. Without a code, it is x.7.1, as it is for Postfix.
fn coded(text: &str) -> Result<(Enhanced, Text<'_>), Malformed> {
    let (enhanced, text) = Enhanced::split(text).unwrap_or((Enhanced::default(), text));
    Ok((enhanced, Text::new(text)?))
}

/// The action as it is written, without `action=`. Made of words that hold no line end.
impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dunno => f.write_str("DUNNO"),
            Self::Reject { code: Some(code), enhanced, text } => refuse(f, code.get(), 5, *enhanced, text),
            Self::Reject { code: None, enhanced, text } => refuse(f, "REJECT", 5, *enhanced, text),
            Self::Defer { code: Some(code), enhanced, text } => refuse(f, code.get(), 4, *enhanced, text),
            Self::Defer { code: None, enhanced, text } => refuse(f, "DEFER", 4, *enhanced, text),
            Self::DeferIfPermit { enhanced, text } => refuse(f, "DEFER_IF_PERMIT", 4, *enhanced, text),
            Self::DeferIfReject { enhanced, text } => refuse(f, "DEFER_IF_REJECT", 4, *enhanced, text),
            Self::Hangup { code: Hangup::ForNow, enhanced, text } => refuse(f, 421, 4, *enhanced, text),
            Self::Hangup { code: Hangup::ForGood, enhanced, text } => refuse(f, 521, 5, *enhanced, text),
            Self::Hold(text) => say(f, "HOLD", text),
            Self::Prepend(header) => write!(f, "PREPEND {}: {}", header.name(), header.value()),
            Self::Warn(text) => say(f, "WARN", text),
            Self::Info(text) => say(f, "INFO", text),
            Self::Bcc(address) => write!(f, "BCC {}", address.as_str()),
            Self::Redirect(address) => write!(f, "REDIRECT {}", address.as_str()),
            Self::Filter(to) => write!(f, "FILTER {}:{}", to.transport(), to.nexthop()),
            Self::Discard(text) => say(f, "DISCARD", text),
            Self::Restriction(name) => f.write_str(name.as_str()),
        }
    }
}

fn refuse(
    f: &mut fmt::Formatter<'_>,
    word: impl fmt::Display,
    class: u8,
    enhanced: Enhanced,
    text: &Text<'_>,
) -> fmt::Result {
    write!(f, "{word} ")?;
    enhanced.write(class, f)?;
    say(f, "", text)
}

fn say(f: &mut fmt::Formatter<'_>, word: &str, text: &Text<'_>) -> fmt::Result {
    f.write_str(word)?;
    match text.as_str() {
        "" => Ok(()),
        text => write!(f, " {text}"),
    }
}

#[cfg(test)]
mod tests;
