//! What a server announces of a SASL mechanism.

use std::fmt;

use bytes::{BufMut as _, BytesMut};

use crate::text::Shown;

use super::fields::Segments;

/// A property of a mechanism, by which peers decide whether to offer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MechFlag {
    /// `private`: usable, but never to be offered.
    Private,
    /// `anonymous`: proves nothing.
    Anonymous,
    /// `plaintext`: who reads the exchange has the password; not offered without TLS, as a rule.
    Plaintext,
    /// `dictionary`: who reads the exchange can try passwords on it.
    Dictionary,
    /// `active`: open to active attacks.
    Active,
    /// `forward-secrecy`: one broken session does not break others.
    ForwardSecrecy,
    /// `mutual-auth`: the server proves itself too.
    MutualAuth,
    /// `channel-binding` (minor version 3): bound to the TLS channel; not offered without TLS.
    ChannelBinding,
}

impl MechFlag {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 8] = [
        Self::Private,
        Self::Anonymous,
        Self::Plaintext,
        Self::Dictionary,
        Self::Active,
        Self::ForwardSecrecy,
        Self::MutualAuth,
        Self::ChannelBinding,
    ];

    /// As spelt on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Anonymous => "anonymous",
            Self::Plaintext => "plaintext",
            Self::Dictionary => "dictionary",
            Self::Active => "active",
            Self::ForwardSecrecy => "forward-secrecy",
            Self::MutualAuth => "mutual-auth",
            Self::ChannelBinding => "channel-binding",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// `<flag> [TAB <flag>]*`: the flags of one mechanism, written in the order of [`MechFlag::ALL`], with those that
/// this crate does not know after them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MechFlags<'a> {
    known: u8,
    unknown: Vec<&'a [u8]>,
}

impl<'a> MechFlags<'a> {
    /// These flags and no others.
    pub const fn of(flags: &[MechFlag]) -> Self {
        let mut known = 0;
        let mut rest = flags;
        while let [flag, after @ ..] = rest {
            known |= flag.bit();
            rest = after;
        }
        Self { known, unknown: Vec::new() }
    }

    /// Whether it is among them.
    pub const fn has(&self, flag: MechFlag) -> bool {
        self.known & flag.bit() != 0
    }

    /// The known ones.
    pub fn iter(&self) -> impl Iterator<Item = MechFlag> + '_ {
        MechFlag::ALL.into_iter().filter(|&flag| self.has(flag))
    }

    /// The unknown ones, as they came.
    pub fn unknown(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.unknown.iter().copied()
    }

    /// Reads the flags behind a mechanism's name. Takes any word: newer servers have more of them.
    pub(super) fn parse(raw: &'a [u8]) -> Self {
        let mut flags = Self::default();
        for word in Segments::of(raw).filter(|word| !word.is_empty()) {
            match MechFlag::ALL.into_iter().find(|flag| flag.as_str().as_bytes() == word) {
                Some(flag) => flags.known |= flag.bit(),
                None => flags.unknown.push(word),
            }
        }
        flags
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        for flag in self.iter().map(|flag| flag.as_str().as_bytes()).chain(self.unknown()) {
            out.put_u8(b'\t');
            out.put_slice(flag);
        }
    }
}

impl fmt::Debug for MechFlags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).entries(self.unknown().map(Shown)).finish()
    }
}
