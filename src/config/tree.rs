//! Files as a tree in which every key and every value knows its place.
//!
//! Files are parsed one by one and then merged: tables merge, lists of tables append, and anything else that
//! is set twice is a problem that names both places.

use std::{ops::Range, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::problem::{Excerpt, Found, Place, Wrong};

mod excerpt;

use self::excerpt::Masks;

/// One file, kept for its name and for the lines below problems.
pub(super) struct File {
    /// In the order in which the files count.
    number: usize,
    name: Arc<Path>,
    text: Zeroizing<String>,
    /// What no problem may show.
    masks: Masks,
}

/// A byte range of a file.
#[derive(Clone)]
pub(super) struct Spot {
    file: Arc<File>,
    range: Range<usize>,
}

impl Spot {
    /// Line and column of its start.
    pub(super) fn place(&self) -> Place {
        let before = self.file.text.get(..self.range.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            file: Arc::clone(&self.file.name),
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The line that it starts on, without secrets.
    pub(super) fn excerpt(&self) -> Option<Excerpt> {
        excerpt::excerpt(&self.file.text, self.range.clone(), &self.file.masks)
    }

    /// The file's number in the order of reading.
    pub(super) fn file_number(&self) -> usize {
        self.file.number
    }

    /// Bytes of the file before it.
    pub(super) fn offset(&self) -> usize {
        self.range.start
    }
}

/// A value and its place. For a table that is its header.
pub(super) struct Node {
    pub(super) spot: Spot,
    pub(super) value: Value,
}

/// What TOML knows. What no key is made of so far is kept as its kind alone.
pub(super) enum Value {
    /// Wiped on drop, for some are secrets.
    Text(Zeroizing<String>),
    /// `None` where it does not fit into 64 bits.
    Integer(Option<i64>),
    Bool(bool),
    Float,
    Datetime,
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for "a string is wanted here, not ...".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Bool(_) => "true or false",
            Self::Float => "a number with a fraction",
            Self::Datetime => "a date or time",
            Self::List(nodes) if is_tables(nodes) => "a list of tables",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// One `key = value`.
pub(super) struct Entry {
    pub(super) name: String,
    /// Where the key stands.
    pub(super) spot: Spot,
    pub(super) node: Node,
}

/// Keys and values in the order in which they were written.
#[derive(Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

impl Table {
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }
}

/// Puts `text` into `root`. Whether all of it could be read; what could not is in `found`.
pub(super) fn add(root: &mut Table, number: usize, name: &Path, text: &str, found: &Found) -> bool {
    let (parsed, errors) = DeTable::parse_recoverable(text);
    let parsed = parsed.into_inner();
    // After a duplicate key the rest of the tree is sound; after anything else it is guesswork.
    let sound = errors.iter().all(|error| error.message() == DUPLICATE);
    let spots: Vec<Range<usize>> =
        errors.iter().map(|error| error.span().unwrap_or(text.len()..text.len())).collect();
    let masks = Masks::of(sound.then_some(&parsed), &spots, text);
    let file = Arc::new(File { number, name: Arc::from(name), text: Zeroizing::new(text.to_owned()), masks });
    for (error, range) in errors.iter().zip(spots) {
        let spot = Spot { file: Arc::clone(&file), range: range.clone() };
        if error.message() == DUPLICATE {
            let key = text.get(range.clone()).unwrap_or_default().to_owned();
            let first = first_of(&parsed, key.trim_matches(['"', '\'']), range.start);
            let first = first.map(|range| Spot { file: Arc::clone(&file), range });
            // In a broken file a value may have been taken for a key.
            let shown = if sound { key } else { String::new() };
            found.at(&spot, shown, set_twice(first.as_ref()));
        } else {
            found.at(&spot, "", syntax(error.message()));
        }
    }
    if sound {
        merge(root, table(parsed, &file), "", found);
    }
    sound
}

/// toml's words for a key that is already there.
const DUPLICATE: &str = "duplicate key";

/// Whether this is `[[key]]`, or written so that it means the same.
fn is_tables(nodes: &[Node]) -> bool {
    !nodes.is_empty() && nodes.iter().all(|node| matches!(node.value, Value::Table(_)))
}

fn table(parsed: DeTable<'_>, file: &Arc<File>) -> Table {
    let mut entries: Vec<Entry> = parsed
        .into_iter()
        .map(|(key, value)| Entry {
            spot: Spot { file: Arc::clone(file), range: key.span() },
            name: key.into_inner().into_owned(),
            node: node(value.span(), value.into_inner(), file),
        })
        .collect();
    // The parser sorts by name.
    entries.sort_by_key(|entry| entry.spot.range.start);
    Table(entries)
}

fn node(range: Range<usize>, value: DeValue<'_>, file: &Arc<File>) -> Node {
    let value = match value {
        DeValue::String(text) => Value::Text(Zeroizing::new(text.into_owned())),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Float(_) => Value::Float,
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item.span(), item.into_inner(), file)).collect())
        }
        DeValue::Table(parsed) => Value::Table(table(parsed, file)),
    };
    Node { spot: Spot { file: Arc::clone(file), range }, value }
}

fn merge(into: &mut Table, from: Table, path: &str, found: &Found) {
    for entry in from.0 {
        let Some(existing) = into.0.iter_mut().find(|existing| existing.name == entry.name) else {
            into.0.push(entry);
            continue;
        };
        let path = if path.is_empty() { entry.name } else { format!("{path}.{}", entry.name) };
        match (&mut existing.node.value, entry.node.value) {
            (Value::Table(table), Value::Table(more)) => merge(table, more, &path, found),
            (Value::List(nodes), Value::List(more)) if is_tables(nodes) && is_tables(&more) => {
                nodes.extend(more);
            }
            (_, _) => found.at(&entry.spot, path, set_twice(Some(&existing.spot))),
        }
    }
}

fn set_twice(first: Option<&Spot>) -> Wrong {
    let first =
        first.map_or_else(|| "earlier in this file".to_owned(), |spot| format!("at {}", spot.place()));
    Wrong::new(format!("is set twice: here and {first}"), "keep one of the two")
}

/// Where the key `name` stands last before `before`: keys of one table stand together, so that is the first
/// of two.
fn first_of(table: &DeTable<'_>, name: &str, before: usize) -> Option<Range<usize>> {
    table
        .iter()
        .flat_map(|(key, value)| {
            let here = (key.get_ref() == name && key.span().start < before).then(|| key.span());
            here.into_iter().chain(first_within(value.get_ref(), name, before))
        })
        .max_by_key(|range| range.start)
}

fn first_within(value: &DeValue<'_>, name: &str, before: usize) -> Option<Range<usize>> {
    if let Some(table) = value.as_table() {
        return first_of(table, name, before);
    }
    let items = value.as_array()?.iter();
    items.filter_map(|item| first_within(item.get_ref(), name, before)).max_by_key(|range| range.start)
}

/// The parser says what it met; the remedy is what was probably meant.
fn syntax(message: &str) -> Wrong {
    let remedy = if message.contains("leading zero") {
        "write it as a string, as in mode = \"0660\""
    } else if message.contains("quoted") {
        "put a value in quotes there"
    } else {
        "write `key = value` lines and [table] headers as TOML wants them"
    };
    // What it would have liked instead says nothing in these two cases.
    let met = message.trim_end_matches(", expected nothing").trim_end_matches(", expected literal string");
    Wrong::new(met, remedy)
}
