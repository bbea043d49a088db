//! `[maps]`: how the tables that Postfix looks addresses up in read them.

use super::{
    problem::{Wrong, quoted},
    reader::Reader,
};
use crate::decision::Map;

/// `[maps]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// `recipient_delimiter`: at each of these characters, the first of them in a local part, an extension begins, as in
    /// `anna+lists@example.org`. Postfix's setting of the same name should say the same. Empty: there are no extensions.
    /// Default `+`.
    pub recipient_delimiter: Box<str>,
}

impl Default for Maps {
    fn default() -> Self {
        Self { recipient_delimiter: "+".into() }
    }
}

/// What the tables are called.
pub(super) fn names() -> [&'static str; 3] {
    Map::ALL.map(Map::name)
}

/// Reads `[maps]`.
pub(super) fn maps(mut reader: Reader<'_>) -> Maps {
    let recipient_delimiter = reader.text("recipient_delimiter", delimiter);
    reader.finish();
    recipient_delimiter.map_or_else(Maps::default, |recipient_delimiter| Maps { recipient_delimiter })
}

fn delimiter(text: &str) -> Result<Box<str>, Wrong> {
    // What Postfix has never split at, or what would take a domain apart.
    let fits = |sign: char| sign.is_ascii_punctuation() && !matches!(sign, '@' | '"' | '\\' | '.' | ',');
    if text.chars().all(fits) {
        return Ok(text.into());
    }
    let what = format!("{} is no list of delimiters", quoted(text));
    Err(Wrong::new(what, "write signs of punctuation, as in \"+\" or \"+-\", or \"\" for none"))
}
