//! The line below a problem, and what of it must not be shown.
//!
//! A value is shown where its key is one of gatepost's own and no secret. Any other may be a misspelt
//! `password`, so it is masked. In a file that is no TOML the lines themselves have to do, and what is not
//! plainly harmless is masked.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::problem::Excerpt;

/// Keys whose values may be shown. A key that is missing here is masked, which costs a little comfort and no
/// secret.
const SHOWN: &[&str] = &[
    "account",
    "action",
    "address",
    "algorithms",
    "aliases_may_send",
    "allow_cleartext",
    "allow_from",
    "also_when_not_logged_in",
    "anonymous_user",
    "audience",
    "base_dn",
    "bind_connections",
    "bind_dn",
    "bytes",
    "ca_file",
    "change_poll",
    "changed_since",
    "client_auth",
    "client_id",
    "client_name",
    "clients",
    "clock_skew",
    "connect_timeout",
    "default_domain",
    "default_scheme",
    "delegates",
    "domain",
    "domains",
    "dry_run",
    "expansion_limit",
    "failure_delay",
    "file",
    "filter",
    "for",
    "format",
    "group",
    "helo",
    "leaf_result_attribute",
    "link",
    "list_filter",
    "logged_in",
    "map",
    "master",
    "master_user_separator",
    "max_connections",
    "max_keys",
    "max_memory",
    "max_recipients",
    "max_size",
    "max_stale",
    "mechanisms",
    "memory",
    "messages",
    "min_recipients",
    "min_size",
    "mode",
    "name",
    "negative_ttl",
    "nested_groups",
    "network",
    "null_sender",
    "password_grant",
    "path",
    "per",
    "policy_context",
    "primary_password_services",
    "propagate_extension",
    "protocol",
    "provision",
    "proxy_self",
    "query_filter",
    "queue",
    "readers",
    "recipient",
    "recipient_delimiter",
    "recipients",
    "recursion_limit",
    "rehash",
    "require_email_verified",
    "require_group",
    "result_attribute",
    "result_format",
    "runtime_dir",
    "sasl_username",
    "scope",
    "scopes",
    "search_base",
    "search_connections",
    "sender",
    "sender_authorisation",
    "size_limit",
    "special_result_attribute",
    "starttls",
    "state",
    "state_dir",
    "suspend",
    "targets",
    "terminal_result_attribute",
    "text",
    "threads",
    "timeout",
    "tls",
    "token_types",
    "ttl",
    "type",
    "unlimited",
    "user",
    "user_dn",
    "user_filter",
    "username_claim",
    "users",
    "validation",
    "walk",
    "window",
];

/// In `[directory.fields]` the operator makes up the names, and some of them carry a password to a proxy.
const SECRET_LIKE: &[&str] = &["pass", "pw", "secret", "token", "key", "cred", "auth"];

/// Longest part of a line that is shown, in characters.
const WINDOW: usize = 100;

/// What of a file must not be shown.
pub(super) struct Masks {
    ranges: Vec<Range<usize>>,
    /// Whether nothing is known of the file but its letters.
    broken: bool,
}

impl Masks {
    /// Of `text`, which was read as `table` (`None`: it is no TOML) with complaints about `errors`.
    pub(super) fn of(table: Option<&DeTable<'_>>, errors: &[Range<usize>], text: &str) -> Self {
        let mut ranges = Vec::new();
        if let Some(table) = table {
            mask_table(table, "", &mut ranges);
        }
        for error in errors {
            // With a table it is a key that is there twice, and its value is not in the table. Without one,
            // the text from here on was not understood, so it may be anything.
            let from = if table.is_some() { error.end } else { error.start };
            let rest = text.get(from..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            // The line still looks like one.
            let value = rest.trim_start_matches([' ', '\t', '=', ']']);
            ranges.push(from + rest.len() - value.len()..from + rest.len());
        }
        Self { ranges, broken: table.is_none() }
    }

    fn hide(&self, at: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&at))
    }
}

/// The line of `text` on which `range` starts. `None` where there is nothing on it.
pub(super) fn excerpt(text: &str, range: Range<usize>, masks: &Masks) -> Option<Excerpt> {
    let start = text.get(..range.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?;
    let doubtful = if masks.broken { doubtful(line, start) } else { 0..0 };
    let mut shown: Vec<char> = Vec::new();
    let (mut caret, mut end) = (None, None);
    let mut masked = false;
    for (at, letter) in line.char_indices().map(|(at, letter)| (start + at, letter)) {
        if at >= range.start {
            caret.get_or_insert(shown.len());
        }
        if at >= range.end {
            end.get_or_insert(shown.len());
        }
        let hidden = masks.hide(at) || doubtful.contains(&at);
        if !hidden {
            // A tab would move the caret, an escape sequence the operator's terminal.
            shown.push(if letter == '\t' { ' ' } else { printable(letter) });
        } else if !masked {
            shown.extend("***".chars());
        }
        masked = hidden;
    }
    if shown.is_empty() {
        return None;
    }
    let caret = caret.unwrap_or(shown.len());
    Some(window(&shown, caret, end.unwrap_or(shown.len())))
}

fn printable(letter: char) -> char {
    if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }
}

fn window(shown: &[char], caret: usize, end: usize) -> Excerpt {
    let from = if shown.len() > WINDOW { caret.saturating_sub(WINDOW / 2) } else { 0 };
    let cut: Vec<char> = shown.iter().copied().skip(from).take(WINDOW).collect();
    let head = if from > 0 { "..." } else { "" };
    let tail = if from + cut.len() < shown.len() { "..." } else { "" };
    let indent = caret - from;
    let width = end.saturating_sub(caret).clamp(1, cut.len().saturating_sub(indent).max(1));
    let text = format!("{head}{}{tail}", cut.into_iter().collect::<String>());
    Excerpt { text, indent: indent + head.len(), width }
}

fn mask_table(table: &DeTable<'_>, name: &str, masks: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        let shown = if name == "fields" {
            let lower = key.to_lowercase();
            !SECRET_LIKE.iter().any(|like| lower.contains(like))
        } else {
            SHOWN.contains(&key)
        };
        mask_value(value.get_ref(), value.span(), key, shown, masks);
    }
}

fn mask_value(
    value: &DeValue<'_>,
    range: Range<usize>,
    key: &str,
    shown: bool,
    masks: &mut Vec<Range<usize>>,
) {
    match value {
        DeValue::Table(table) => mask_table(table, key, masks),
        DeValue::Array(items) => {
            for item in items.iter() {
                mask_value(item.get_ref(), item.span(), key, shown, masks);
            }
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {
            if !shown {
                masks.push(range);
            }
        }
    }
}

/// What to mask in a line of which nothing is known but its letters, and which begins at `start`.
fn doubtful(line: &str, start: usize) -> Range<usize> {
    let all = start..start + line.len();
    let trimmed = line.trim();
    if trimmed.starts_with('[') && !trimmed.contains(['=', '"', '\'']) {
        return 0..0;
    }
    let Some((key, value)) = line.split_once('=') else { return all };
    let key = key.rsplit('.').next().unwrap_or_default().trim();
    // In braces, or behind a value that never ended, there may be further keys.
    if SHOWN.contains(&key) && !value.contains(['{', '=']) {
        return 0..0;
    }
    all.end - value.trim_start().len()..all.end
}
