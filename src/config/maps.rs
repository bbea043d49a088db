//! `[maps]`: how the tables that Postfix looks things up in are read.

use std::sync::Arc;

use gatepost_protocol::postfix::walk::Walk;
use nix::unistd::Uid;

use super::{
    listener::owner,
    problem::{Found, Wrong, quoted},
    reader::Reader,
    surroundings::Surroundings,
    tree::Spot,
};

/// `[maps]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    /// `recipient_delimiter`: at each of these characters, the first of them in a local part, an extension begins, as in
    /// `anna+lists@example.org`. Postfix's setting of the same name should say the same. Empty: there are no extensions.
    /// Default `+`.
    pub recipient_delimiter: Box<str>,
    /// `aliases_may_send`: whether those to whom an alias leads may send under it. Default: yes.
    pub aliases_may_send: bool,
    /// `[maps.NAME]`: of these, it was said how they are read.
    rules: Vec<MapRules>,
}

/// How one map is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapRules {
    /// Its name.
    pub name: Arc<str>,
    /// `walk`: under which keys it is asked. Default: that of Postfix's parameter of this name; `address` for `aliases`,
    /// `mailboxes`, `senders` and `recipients`; `exact` for any other.
    pub walk: Walk,
    /// `propagate_extension`: whether an extension that was taken off the key goes on with what was found. Default: for
    /// `aliases` and what Postfix does it for, which is `virtual_alias_maps` and those of canonical addresses.
    pub propagate_extension: bool,
    /// Whether Postfix takes what is found for addresses that take the place of the key, so that `@example.net` is the same name
    /// there: where it propagates extensions, and `smtp_generic_maps`.
    pub gives_addresses: bool,
    /// `readers`: who is told, by the user of the process that asks over a Unix socket. `None`: whoever may connect.
    pub readers: Option<Vec<Uid>>,
}

/// The maps that are there without being named.
pub const BUILT_IN: [&str; 6] = ["domains", "mailboxes", "aliases", "alias_domains", "senders", "recipients"];

/// What holds passwords.
const SECRET: &str = "smtp_sasl_password_maps";

/// A name that something was said of, and where.
pub(super) type Named<'a> = (Arc<str>, &'a Spot);

impl Default for Maps {
    fn default() -> Self {
        Self { recipient_delimiter: "+".into(), aliases_may_send: true, rules: Vec::new() }
    }
}

impl Maps {
    /// How a map is read.
    pub fn rules(&self, name: &str) -> MapRules {
        let known = self.rules.iter().find(|rules| &*rules.name == name);
        known.cloned().unwrap_or_else(|| usual(name))
    }

    /// What is wrong with a directory that has this map.
    pub(super) fn refused(&self, name: &str) -> Option<Wrong> {
        (name == SECRET && self.rules(name).readers.is_none()).then(|| {
            let remedy = format!("write who may read it: [maps.{SECRET}] with readers = [\"postfix\"] below");
            Wrong::new("holds passwords, and would be told to anybody who may connect", remedy)
        })
    }

    /// Notes what was said of maps that nobody has.
    pub(super) fn judge(named: Vec<Named<'_>>, known: &[&str], found: &Found) {
        for (name, spot) in named {
            if !known.contains(&&*name) {
                let remedy = "write its table below [directory.maps], or take this one away";
                found.at(spot, format!("maps.{name}"), Wrong::new("is a map that no directory has", remedy));
            }
        }
    }
}

/// What the maps are called, those of these directories too: also where something is wrong with what is said of one.
pub(super) fn names<'a>(directories: &[Reader<'a>]) -> Vec<&'a str> {
    let tables = directories.iter().flat_map(|directory| directory.keys_of("maps"));
    let mut names: Vec<&str> = BUILT_IN.into_iter().chain(tables).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

/// Whether it can be the name of a map: Postfix reads it behind the last colon, and the protocol up to the first blank.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn usual(name: &str) -> MapRules {
    let walk = match name {
        "aliases" | "mailboxes" | "senders" | "recipients" => Walk::Address,
        _ => Walk::of_parameter(name).unwrap_or(Walk::Exact),
    };
    let propagate_extension = matches!(
        name,
        "aliases"
            | "virtual_alias_maps"
            | "canonical_maps"
            | "sender_canonical_maps"
            | "recipient_canonical_maps"
    );
    let gives_addresses = propagate_extension || name == "smtp_generic_maps";
    MapRules { name: Arc::from(name), walk, propagate_extension, gives_addresses, readers: None }
}

/// Reads `[maps]`; the tables in it too, each with its place.
pub(super) fn maps<'a>(mut reader: Reader<'a>, around: &Surroundings) -> (Maps, Vec<Named<'a>>) {
    let mut maps = Maps::default();
    if let Some(delimiters) = reader.text("recipient_delimiter", delimiter) {
        maps.recipient_delimiter = delimiters;
    }
    if let Some(may) = reader.boolean("aliases_may_send") {
        maps.aliases_may_send = may;
    }
    let mut named = Vec::new();
    for (name, spot, reader) in reader.named_tables() {
        if is_name(name) {
            let rules = rules(reader, name, around);
            named.push((Arc::clone(&rules.name), spot));
            maps.rules.push(rules);
        } else {
            let remedy = "write 1 to 64 letters, digits, - and _";
            reader.wrong("", Wrong::new(format!("{} is no name of a map", quoted(name)), remedy));
        }
    }
    reader.finish();
    (maps, named)
}

fn rules(mut reader: Reader<'_>, name: &str, around: &Surroundings) -> MapRules {
    let usual = usual(name);
    let walk = reader.one_of("walk", &Walk::ALL, &[]).unwrap_or(usual.walk);
    let propagate_extension = reader.boolean("propagate_extension").unwrap_or(usual.propagate_extension);
    let uid =
        |name: &str| owner(name, "user", |name| (around.uid_of)(name).map(Uid::as_raw)).map(Uid::from_raw);
    let readers = reader.list("readers", uid);
    let readers = readers.map(|readers| readers.into_iter().map(|(uid, _)| uid).collect());
    reader.finish();
    let gives_addresses = usual.gives_addresses || propagate_extension;
    MapRules { name: usual.name, walk, propagate_extension, gives_addresses, readers }
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

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Maps, Walk, is_name};

    #[test]
    fn a_map_is_read_as_its_name_says() {
        let rules = |name| {
            let rules = Maps::default().rules(name);
            (rules.walk, rules.propagate_extension, rules.readers.is_some())
        };
        for (name, expected) in [
            ("aliases", (Walk::Address, true, false)),
            ("domains", (Walk::Exact, false, false)),
            ("senders", (Walk::Address, false, false)),
            ("transport_maps", (Walk::Transport, false, false)),
            ("sender_bcc_maps", (Walk::Address, false, false)),
            ("canonical_maps", (Walk::Address, true, false)),
            ("local_recipient_maps", (Walk::Local, false, false)),
            ("anything", (Walk::Exact, false, false)),
        ] {
            assert_eq!(rules(name), expected, "{name}");
        }
        assert!(BUILT_IN.into_iter().all(is_name));
        assert!(!is_name("") && !is_name("a b") && !is_name("a:b") && !is_name("a.b"));
        assert!(Maps::default().refused("smtp_sasl_password_maps").is_some());
    }
}
