//! Reads one table: every value by name and type, and in the end whatever nobody asked for.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    problem::{Found, Wrong},
    tree::{Entry, Node, Spot, Table, Value},
    value,
};

mod convert;
mod nearest;

use self::convert::{as_text, with_unit, within};
pub(super) use self::{
    convert::{name_of, path},
    nearest::nearest,
};

/// One table that is being read. A getter returns `None` both for what is absent and for what is wrong; in
/// the second case the problem is noted, so whatever the caller puts in its place is never used.
pub(super) struct Reader<'a> {
    table: &'a Table,
    /// The table's header; `None` for a table that no file has.
    spot: Option<&'a Spot>,
    /// `listener`; empty for the root.
    path: String,
    /// Keys that were asked for.
    known: Vec<String>,
    /// Keys that are known too, but not to be recommended.
    refused: Vec<String>,
    found: &'a Found,
}

/// One of what stands behind a name that the operator makes up.
pub(super) enum Item<'a> {
    /// A text, and where it stands.
    Text(&'a str, &'a Spot),
    /// A table.
    Table(Reader<'a>),
}

impl<'a> Reader<'a> {
    /// The outermost table.
    pub(super) fn root(table: &'a Table, found: &'a Found) -> Self {
        Self::new(table, None, String::new(), found)
    }

    /// Where all problems go.
    pub(super) fn found(&self) -> &'a Found {
        self.found
    }

    /// Where the table begins.
    pub(super) fn spot(&self) -> Option<&'a Spot> {
        self.spot
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.entry(key).is_some()
    }

    /// Where the value of `key` stands.
    pub(super) fn spot_of(&self, key: &str) -> Option<&'a Spot> {
        self.table.entry(key).map(|entry| &entry.node.spot)
    }

    /// `wrong` is wrong with the value of `key`, or with the whole table if there is none.
    pub(super) fn wrong(&self, key: &str, wrong: Wrong) {
        match self.spot_of(key).or(self.spot) {
            Some(spot) => self.found.at(spot, self.path_of(key), wrong),
            None => self.found.nowhere(&self.path_of(key), wrong),
        }
    }

    /// Notes that `key` must be there, if it is not.
    pub(super) fn need(&self, key: &str, remedy: &str) {
        if !self.has(key) {
            self.wrong(key, Wrong::new("is missing", remedy));
        }
    }

    /// A string, through `read`.
    pub(super) fn text<T>(&mut self, key: &str, read: impl FnOnce(&'a str) -> Result<T, Wrong>) -> Option<T> {
        self.value(key, |value| as_text(value).and_then(read))
    }

    /// A string, or a whole number as one, through `read`.
    pub(super) fn text_or_number<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.value(key, |value| match value {
            Value::Integer(Some(number)) => read(&number.to_string()),
            Value::Text(_)
            | Value::Integer(None)
            | Value::Bool(_)
            | Value::Float
            | Value::Datetime
            | Value::List(_)
            | Value::Table(_) => read(as_text(value)?),
        })
    }

    /// A string that names one of `names`; the case does not count. What is in `later` is not supported so
    /// far.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, names: &[(&str, T)], later: &[&str]) -> Option<T> {
        self.text(key, |text| name_of(text, names, later))
    }

    /// A list of strings, each through `read`; every wrong one is noted. Each with its place.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(&'a str) -> Result<T, Wrong>,
    ) -> Option<Vec<(T, &'a Spot)>> {
        let entry = self.ask(key)?;
        let Value::List(nodes) = &entry.node.value else {
            let kind = entry.node.value.kind();
            self.wrong(key, Wrong::new(format!("a list is wanted here, not {kind}"), "write [\"a\", \"b\"]"));
            return None;
        };
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            match as_text(&node.value).and_then(&read) {
                Ok(item) => items.push((item, &node.spot)),
                Err(wrong) => self.found.at(&node.spot, self.path_of(key), wrong),
            }
        }
        Some(items)
    }

    /// A whole number within `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        self.value(key, |value| {
            let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
            let Value::Integer(number) = value else {
                return Err(Wrong::new(
                    format!("a whole number is wanted here, not {}", value.kind()),
                    remedy,
                ));
            };
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.filter(|number| range.contains(number)).ok_or(Wrong::new("is out of range", remedy))
        })
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.value(key, |value| match value {
            Value::Bool(value) => Ok(*value),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float
            | Value::Datetime
            | Value::List(_)
            | Value::Table(_) => {
                let what = format!("true or false is wanted here, not {}", value.kind());
                Err(Wrong::new(what, "write true or false, without quotes"))
            }
        })
    }

    /// A duration within `range`.
    pub(super) fn duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.value(key, |value| {
            let duration = value::duration(with_unit(value, "a duration", "300s")?)?;
            within(duration, &range, value::show_duration)
        })
    }

    /// A duration within `range`, or `0s`, which is below it and switches something off.
    pub(super) fn duration_or_zero(
        &mut self,
        key: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.value(key, |value| {
            let duration = value::duration(with_unit(value, "a duration", "300s")?)?;
            if duration.is_zero() {
                return Ok(duration);
            }
            within(duration, &range, value::show_duration)
                .map_err(|wrong| Wrong::new(wrong.what, format!("{}, or \"0s\" for none", wrong.remedy)))
        })
    }

    /// A size in bytes within `range`.
    pub(super) fn size(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.value(key, |value| {
            let size = value::size(with_unit(value, "a size", "64MiB")?)?;
            within(size, &range, value::show_size)
        })
    }

    /// An absolute path.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key, path)
    }

    /// The table `[key]`. One that is absent, or no table at all, is read as an empty one.
    pub(super) fn table(&mut self, key: &str) -> Reader<'a> {
        let path = self.path_of(key);
        let (table, spot) = match self.ask(key).map(|entry| &entry.node) {
            Some(Node { value: Value::Table(table), spot }) => (table, Some(spot)),
            Some(Node { value, .. }) => {
                let what = format!("a table is wanted here, not {}", value.kind());
                self.wrong(key, Wrong::new(what, format!("write [{path}] once, and its keys below")));
                (EMPTY, None)
            }
            None => (EMPTY, None),
        };
        Reader::new(table, spot, path, self.found)
    }

    /// The tables `[[key]]`.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Reader<'a>> {
        let path = self.path_of(key);
        let Some(entry) = self.ask(key) else { return Vec::new() };
        let nodes = if let Value::List(nodes) = &entry.node.value {
            nodes.as_slice()
        } else {
            let what = format!("there can be several of these, and this is {}", entry.node.value.kind());
            self.wrong(key, Wrong::new(what, format!("write [[{path}]], and its keys below")));
            // A table is read all the same: its brackets are all that is wrong with it.
            match &entry.node.value {
                Value::Table(_) => std::slice::from_ref(&entry.node),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Bool(_)
                | Value::Float
                | Value::Datetime
                | Value::List(_) => &[],
            }
        };
        let mut readers = Vec::with_capacity(nodes.len());
        for node in nodes {
            let Value::Table(table) = &node.value else {
                let what = format!("a table is wanted here, not {}", node.value.kind());
                self.found.at(&node.spot, &path, Wrong::new(what, format!("write [[{path}]]")));
                continue;
            };
            readers.push(Reader::new(table, Some(&node.spot), path.clone(), self.found));
        }
        readers
    }

    /// All keys of a table whose names the operator makes up, as far as `named` has nothing against them;
    /// each a string, through `read`.
    pub(super) fn free<T>(
        self,
        named: impl Fn(&str) -> Result<(), Wrong>,
        read: impl Fn(&'a str) -> Result<T, Wrong>,
    ) -> Vec<(String, T)> {
        let mut fields = Vec::with_capacity(self.table.0.len());
        for entry in &self.table.0 {
            if let Err(wrong) = named(&entry.name) {
                self.found.at(&entry.spot, self.path_of(&entry.name), wrong);
            }
            match as_text(&entry.node.value).and_then(&read) {
                Ok(field) => fields.push((entry.name.clone(), field)),
                Err(wrong) => self.wrong(&entry.name, wrong),
            }
        }
        fields
    }

    /// All keys of a table whose names the operator makes up, each with one text or table, or a list of them.
    pub(super) fn sets(self) -> Vec<(&'a str, &'a Spot, Vec<Item<'a>>)> {
        let mut sets = Vec::with_capacity(self.table.0.len());
        for entry in &self.table.0 {
            let path = self.path_of(&entry.name);
            let nodes = match &entry.node.value {
                Value::List(nodes) => nodes.as_slice(),
                Value::Text(_)
                | Value::Table(_)
                | Value::Integer(_)
                | Value::Bool(_)
                | Value::Float
                | Value::Datetime => std::slice::from_ref(&entry.node),
            };
            let mut items = Vec::with_capacity(nodes.len());
            for Node { value, spot } in nodes {
                match value {
                    Value::Text(text) => items.push(Item::Text(text, spot)),
                    Value::Table(table) => {
                        items.push(Item::Table(Reader::new(table, Some(spot), path.clone(), self.found)));
                    }
                    Value::List(_) | Value::Integer(_) | Value::Bool(_) | Value::Float | Value::Datetime => {
                        let what = format!("a text or a table is wanted here, not {}", value.kind());
                        let remedy = format!("write {path} = \"...\", or [{path}] and its keys below");
                        self.found.at(spot, path.clone(), Wrong::new(what, remedy));
                    }
                }
            }
            sets.push((entry.name.as_str(), &entry.spot, items));
        }
        sets
    }

    /// The tables in this one that nobody has asked for so far.
    pub(super) fn named_tables(&mut self) -> Vec<(&'a str, &'a Spot, Reader<'a>)> {
        let mut tables = Vec::new();
        for entry in &self.table.0 {
            if let Node { value: Value::Table(table), spot } = &entry.node
                && !self.known.contains(&entry.name)
            {
                let path = self.path_of(&entry.name);
                tables.push((entry.name.as_str(), spot, Reader::new(table, Some(spot), path, self.found)));
            }
        }
        self.known.extend(tables.iter().map(|(name, _, _)| (*name).to_owned()));
        tables
    }

    /// A list of strings, or one string with blanks and commas between them, each through `read`.
    pub(super) fn one_or_more<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        if self.items(key).is_some() {
            return Some(self.list(key, read)?.into_iter().map(|(item, _)| item).collect());
        }
        self.text(key, |text| {
            let parts = text.split([',', ' ', '\t', '\n']).filter(|part| !part.is_empty());
            parts.map(&read).collect()
        })
    }

    /// Notes each of `keys` that is there: `why` it cannot be, and the remedy.
    pub(super) fn refuse(&mut self, keys: &[&str], why: &str, remedy: &str) {
        for key in keys {
            self.refused.push((*key).to_owned());
            if let Some(entry) = self.table.entry(key) {
                self.found.at(&entry.spot, self.path_of(key), Wrong::new(why, remedy));
            }
        }
    }

    /// Makes `keys` known without reading them, where another problem makes their values pointless.
    pub(super) fn know(&mut self, keys: &[&str]) {
        for key in keys {
            self.ask(key);
        }
    }

    /// Whether `key` is a list with nothing in it.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.items(key) == Some(0)
    }

    /// Whether `key` is a list with something in it, right or wrong.
    pub(super) fn has_items(&self, key: &str) -> bool {
        self.items(key).is_some_and(|items| items > 0)
    }

    /// The keys that the table `[key]` has, right or wrong; none if there is no such table.
    pub(super) fn keys_of(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let table = match self.table.entry(key).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => table,
            Some(
                Value::Text(_)
                | Value::Integer(_)
                | Value::Bool(_)
                | Value::Float
                | Value::Datetime
                | Value::List(_),
            )
            | None => EMPTY,
        };
        table.0.iter().map(|entry| entry.name.as_str())
    }

    fn items(&self, key: &str) -> Option<usize> {
        let Value::List(nodes) = &self.table.entry(key)?.node.value else { return None };
        Some(nodes.len())
    }

    /// Notes all keys that nobody asked for, with the nearest known key.
    pub(super) fn finish(self) {
        for entry in &self.table.0 {
            if self.known.contains(&entry.name) || self.refused.contains(&entry.name) {
                continue;
            }
            let remedy = match nearest(&entry.name, &self.known) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None if self.known.is_empty() => String::new(),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.found.at(
                &entry.spot,
                self.path_of(&entry.name),
                Wrong::new("is no key of gatepost", remedy),
            );
        }
    }

    /// `listener.mode`.
    pub(super) fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    /// The entry of `key`, which is known from now on.
    fn ask(&mut self, key: &str) -> Option<&'a Entry> {
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        self.table.entry(key)
    }

    fn new(table: &'a Table, spot: Option<&'a Spot>, path: String, found: &'a Found) -> Self {
        Self { table, spot, path, known: Vec::new(), refused: Vec::new(), found }
    }

    fn value<T>(&mut self, key: &str, read: impl FnOnce(&'a Value) -> Result<T, Wrong>) -> Option<T> {
        let entry = self.ask(key)?;
        match read(&entry.node.value) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.wrong(key, wrong);
                None
            }
        }
    }
}

/// A table that no file has.
const EMPTY: &Table = &Table(Vec::new());
