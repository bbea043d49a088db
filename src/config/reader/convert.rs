//! Values that need nothing but themselves to be judged.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use super::nearest::nearest;
use crate::config::{
    problem::{Wrong, choice, quoted},
    tree::Value,
};

/// `text` as one of `names`, whatever its case.
pub(in crate::config) fn name_of<T: Copy>(
    text: &str,
    names: &[(&str, T)],
    later: &[&str],
) -> Result<T, Wrong> {
    if let Some(&(_, value)) = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(value);
    }
    let known = || choice(names.iter().map(|&(name, _)| name));
    if later.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Err(Wrong::new(
            format!("{} is not in this version yet", quoted(text)),
            format!("write {}", known()),
        ));
    }
    let remedy = match nearest(text, names.iter().map(|&(name, _)| name)) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("write {}", known()),
    };
    Err(Wrong::new(format!("{} is not known here", quoted(text)), remedy))
}

/// What must be a string.
pub(super) fn as_text(value: &Value) -> Result<&str, Wrong> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Integer(_)
        | Value::Bool(_)
        | Value::Float
        | Value::Datetime
        | Value::List(_)
        | Value::Table(_) => {
            let what = format!("a string is wanted here, not {}", value.kind());
            Err(Wrong::new(what, "write one value in quotes"))
        }
    }
}

/// What must be a string because it has a unit. `what` is wanted, such as `example`.
pub(super) fn with_unit<'v>(value: &'v Value, what: &str, example: &str) -> Result<&'v str, Wrong> {
    as_text(value).map_err(|_| {
        let what = format!("{what} is wanted here, not {}", value.kind());
        Wrong::new(what, format!("write it in quotes and with its unit, as in \"{example}\""))
    })
}

/// An absolute path without a NUL.
pub(in crate::config) fn path(text: &str) -> Result<PathBuf, Wrong> {
    if !Path::new(text).is_absolute() || text.contains('\0') {
        return Err(Wrong::new("is no absolute path", "write the whole path, from / on"));
    }
    Ok(PathBuf::from(text))
}

/// `value` if it is within `range`; `show` writes it as it could be configured.
pub(super) fn within<T: PartialOrd + Copy>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(T) -> String,
) -> Result<T, Wrong> {
    if range.contains(&value) {
        return Ok(value);
    }
    let remedy = format!("write something from \"{}\" to \"{}\"", show(*range.start()), show(*range.end()));
    Err(Wrong::new("is out of range", remedy))
}
