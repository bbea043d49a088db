//! What a query gave about one thing.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::row::{Audience, Row, Value};

/// One row of a query of the operator's, owned: names of columns and their values as text. Wiped on drop, for some
/// columns hold passwords.
pub struct Record(Vec<Column>);

struct Column {
    name: Arc<str>,
    /// In lower case, where that is another one: to SQL, `Active` and `active` are the same column.
    folded: Option<Arc<str>>,
    value: Option<Zeroizing<Vec<u8>>>,
}

impl Record {
    /// A row with room for this many columns.
    pub(crate) fn with_capacity(columns: usize) -> Self {
        Self(Vec::with_capacity(columns))
    }

    /// Adds a column; `None` is NULL.
    pub(crate) fn push(&mut self, name: &str, value: Option<Vec<u8>>) {
        let folded = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let folded = folded.then(|| Arc::from(name.to_ascii_lowercase()));
        self.0.push(Column { name: Arc::from(name), folded, value: value.map(Zeroizing::new) });
    }

    /// Whether there is a column of this name, which is in lower case.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|column| column.is(name))
    }

    /// The value of a column, by its name in lower case. `None`: it is NULL, or there is no such column. Of two
    /// columns with one name the later one counts.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let column = self.0.iter().rev().find(|column| column.is(name));
        column.and_then(|column| column.value.as_ref()).map(|value| value.as_slice())
    }

    /// The columns in their order, with their names in lower case. `None` is NULL.
    pub fn columns(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0.iter().map(|column| (column.folded(), column.value.as_ref().map(|value| value.as_slice())))
    }

    /// The row that an account is made of.
    pub(super) fn row(&self) -> Row<'_> {
        let mut row = Row::default();
        for column in &self.0 {
            let value = column.value.as_ref().map_or(Value::Null, |value| Value::Text(value));
            row.put(Audience::Column, &column.name, value);
            if let Some(folded) = &column.folded {
                row.put(Audience::Column, folded, value);
            }
        }
        row
    }
}

impl Column {
    fn folded(&self) -> &str {
        self.folded.as_ref().unwrap_or(&self.name)
    }

    fn is(&self, name: &str) -> bool {
        self.folded() == name
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|column| &column.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn a_column_is_found_in_any_spelling_and_no_value_is_shown() {
        let mut record = Record::with_capacity(3);
        record.push("User", Some(b"alice".to_vec()));
        record.push("password", Some(b"hunter2".to_vec()));
        record.push("quota", None);
        assert_eq!(record.get("user"), Some(b"alice".as_slice()));
        assert!(record.has("quota") && record.get("quota").is_none() && !record.has("home"));
        let columns: Vec<_> = record.columns().collect();
        assert_eq!(columns, [("user", Some(&b"alice"[..])), ("password", Some(b"hunter2")), ("quota", None)]);
        assert_eq!(format!("{record:?}"), r#"["User", "password", "quota"]"#);
        record.push("USER", Some(b"bob".to_vec()));
        assert_eq!(record.get("user"), Some(b"bob".as_slice()));
    }
}
