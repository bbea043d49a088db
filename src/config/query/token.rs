//! Where the texts, the comments and the names of a query are, as its database would read it.

use super::Dialect;
use crate::config::problem::Wrong;

/// What a query consists of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    /// Stands for itself.
    Text,
    /// A comment.
    Skipped,
    /// `:name`.
    Name(&'a str),
    /// `;`.
    End,
}

/// The first token and what follows it; `before` is the letter that stands before it.
pub(super) fn next(
    text: &str,
    dialect: Dialect,
    before: Option<char>,
) -> Result<Option<(Token<'_>, &str)>, Wrong> {
    use Dialect::{MySql, Postgres, Sqlite};
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return Ok(None) };
    let rest = letters.as_str();
    let second = letters.next();
    let in_word = before.is_some_and(is_word);
    let token = match (first, second, dialect) {
        ('\0', ..) => return Err(Wrong::new("holds a NUL", "take it away")),
        ('-', Some('-'), Postgres | Sqlite) => (Token::Skipped, line_end(rest)),
        // MySQL's `--` needs a blank behind it, or it is two signs.
        ('-', Some('-'), MySql) if letters.next().is_none_or(|third| third <= ' ') => {
            (Token::Skipped, line_end(rest))
        }
        ('#', _, MySql) => (Token::Skipped, line_end(rest)),
        // What MySQL executes all the same.
        ('/', Some('*'), MySql) if rest.starts_with("*!") || rest.starts_with("*M!") => {
            (Token::Text, rest.strip_prefix("*M!").or_else(|| rest.strip_prefix("*!")).unwrap_or(rest))
        }
        ('/', Some('*'), _) => (Token::Skipped, comment_end(rest, dialect == Postgres)?),
        ('\'', ..) => {
            let escapes = match dialect {
                MySql => true,
                Postgres => matches!(before, Some('e' | 'E')),
                Sqlite => false,
            };
            (Token::Text, quote_end(rest, '\'', escapes)?)
        }
        ('"', ..) => (Token::Text, quote_end(rest, '"', dialect == MySql)?),
        ('`', _, MySql | Sqlite) => (Token::Text, quote_end(rest, '`', false)?),
        ('[', _, Sqlite) => (Token::Text, quote_end(rest, ']', false)?),
        ('$', _, Postgres) if !in_word => match dollar_quote_end(text)? {
            Some(after) => (Token::Text, after),
            None if second.is_some_and(|digit| digit.is_ascii_digit()) => return Err(positional()),
            None => (Token::Text, rest),
        },
        ('?', _, MySql | Sqlite) => return Err(positional()),
        ('$' | '@', Some(second), Sqlite) if !in_word && is_word(second) => return Err(positional()),
        (':', Some(':'), _) => (Token::Text, letters.as_str()),
        (':', Some(second), _) if second.is_ascii_alphabetic() || second == '_' => {
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            let (name, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
            (Token::Name(name), after)
        }
        (';', ..) => (Token::End, rest),
        _ => (Token::Text, rest),
    };
    Ok(Some(token))
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn positional() -> Wrong {
    Wrong::new("holds a placeholder without a name", "write :user and the like")
}

fn line_end(text: &str) -> &str {
    text.find('\n').and_then(|at| text.get(at..)).unwrap_or("")
}

/// Behind the comment whose `/` stands before `text`. PostgreSQL's may hold others.
fn comment_end(text: &str, nested: bool) -> Result<&str, Wrong> {
    let mut rest = text.strip_prefix('*').unwrap_or(text);
    let mut depth = 1_usize;
    loop {
        if let Some(after) = rest.strip_prefix("*/") {
            depth -= 1;
            if depth == 0 {
                return Ok(after);
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix("/*").filter(|_| nested) {
            depth += 1;
            rest = after;
        } else {
            let mut letters = rest.chars();
            if letters.next().is_none() {
                return Err(Wrong::new("holds a comment that does not end", "write */ behind it"));
            }
            rest = letters.as_str();
        }
    }
}

/// Behind the closing quote of what was opened before `text`. A doubled one is part of it.
fn quote_end(text: &str, quote: char, escapes: bool) -> Result<&str, Wrong> {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && escapes {
            letters.next();
        } else if letter == quote {
            match letters.as_str().strip_prefix(quote) {
                Some(after) => letters = after.chars(),
                None => return Ok(letters.as_str()),
            }
        }
    }
    Err(Wrong::new("holds a quote that does not end", format!("write {quote} behind what is quoted")))
}

/// Behind `$tag$ ... $tag$`; `None`: `text` does not start with such a quote.
fn dollar_quote_end(text: &str) -> Result<Option<&str>, Wrong> {
    let Some((tag, body)) = text.strip_prefix('$').and_then(|rest| rest.split_once('$')) else {
        return Ok(None);
    };
    let fits = |letter: char| letter.is_alphanumeric() || letter == '_' || !letter.is_ascii();
    if tag.starts_with(|digit: char| digit.is_ascii_digit()) || !tag.chars().all(fits) {
        return Ok(None);
    }
    let close = format!("${tag}$");
    match body.split_once(&close) {
        Some((_, after)) => Ok(Some(after)),
        None => {
            Err(Wrong::new("holds a quote that does not end", format!("write {close} behind what is quoted")))
        }
    }
}

/// What a text in quotes stands for.
pub(super) fn unquoted(taken: &str, quote: char, escapes: bool) -> String {
    let inner = taken.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)).unwrap_or(taken);
    let mut text = String::with_capacity(inner.len());
    let mut signs = inner.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' if escapes => match signs.next() {
                Some('0') => text.push('\0'),
                Some('b') => text.push('\u{8}'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('Z') => text.push('\u{1a}'),
                // In a pattern of LIKE they are escapes themselves.
                Some(wild @ ('%' | '_')) => text.extend(['\\', wild]),
                Some(other) => text.push(other),
                None => text.push(sign),
            },
            // Of a doubled one, the second goes.
            _ if sign == quote => text.extend(signs.next()),
            _ => text.push(sign),
        }
    }
    text
}
