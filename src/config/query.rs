//! Queries with named parameters: `SELECT ... WHERE username = :user`.
//!
//! A name becomes the placeholder of its database once, when the configuration is read, and its value is bound each
//! time. No value ever becomes part of the text. To find the names, the text is read as the database would read it:
//! what stands in quotes and comments is none.

use super::{
    expansion::Expansion,
    problem::{Wrong, quoted},
};

mod token;

use self::token::{Token, is_word, next};

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// MySQL and MariaDB. Placeholder `?`, one for each occurrence.
    MySql,
    /// PostgreSQL. Placeholder `$1`.
    Postgres,
    /// SQLite. Placeholder `?1`.
    Sqlite,
}

/// A name that a query may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// `:user`: the whole login name in normal form.
    User,
    /// `:local`: what stands before its `@`.
    Local,
    /// `:domain`: what stands behind it; NULL for a bare name.
    Domain,
    /// `:service`: `imap`, `smtp` ...; NULL where nobody said.
    Service,
    /// `:key`: what is looked up; the name, where it is a user.
    Key,
    /// `:after`: the last name of the page before; empty at first.
    After,
    /// `:limit`: the most rows of a page, a number.
    Limit,
    /// `:password`: the new hash.
    Password,
    /// `:old_password`: the hash that is there now.
    OldPassword,
    /// `:since`: when something has changed last, as the database has said it.
    Since,
    /// `:claim_NAME`: what a token says, the claim of this place in [`Query::claims`]; NULL where it does not.
    Claim(u8),
    /// A text with expansions in it, as `'%u'`, the one of this place in [`Query::expansions`].
    Expansion(u8),
}

/// A query with a placeholder for each name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: String,
    parameters: Vec<Parameter>,
    claims: Vec<String>,
    expansions: Vec<Expansion>,
}

const NAMES: [(&str, Parameter); 10] = [
    ("user", Parameter::User),
    ("local", Parameter::Local),
    ("domain", Parameter::Domain),
    ("service", Parameter::Service),
    ("key", Parameter::Key),
    ("after", Parameter::After),
    ("limit", Parameter::Limit),
    ("password", Parameter::Password),
    ("old_password", Parameter::OldPassword),
    ("since", Parameter::Since),
];

impl Query {
    /// Reads a query that may hold the names in `allowed`.
    pub(super) fn parse(text: &str, dialect: Dialect, allowed: &[Parameter]) -> Result<Self, Wrong> {
        let mut query = Self {
            sql: String::with_capacity(text.len()),
            parameters: Vec::new(),
            claims: Vec::new(),
            expansions: Vec::new(),
        };
        let expands = allowed.contains(&Parameter::Expansion(0));
        let mut rest = text;
        let mut before = None;
        let mut ended = false;
        while let Some((token, after)) = next(rest, dialect, before)? {
            let (taken, _) = rest.split_at_checked(rest.len() - after.len()).unwrap_or((rest, ""));
            let blank = matches!(token, Token::Skipped) || taken.chars().all(char::is_whitespace);
            if ended && !blank {
                return Err(Wrong::new("holds more than one statement", "write one, without `;` in it"));
            }
            match token {
                Token::Text if expands && taken.contains('%') => {
                    let (taken, after) = whole_expansion(taken, after);
                    query.put_expansions(taken, before, dialect)?;
                    before = taken.chars().next_back();
                    rest = after;
                    continue;
                }
                Token::Text | Token::Skipped => query.sql.push_str(taken),
                Token::Name(name) => query.put(name, dialect, allowed)?,
                Token::End => ended = true,
            }
            before = taken.chars().next_back();
            rest = after;
        }
        if query.sql.trim().is_empty() {
            return Err(Wrong::new("is empty", "write the query, or take the key away"));
        }
        Ok(query)
    }

    /// The same as a part of another one, between `before` and `behind`, which hold no placeholders. It has lines of its
    /// own: its last one may end with a comment.
    pub(super) fn between(mut self, before: &str, behind: &str) -> Self {
        self.sql = format!("{before}\n{}\n{behind}", self.sql);
        self
    }

    /// The text for the database.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What to bind, in the order of the placeholders.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The claims that it names, without `claim_`.
    pub fn claims(&self) -> &[String] {
        &self.claims
    }

    /// The texts with expansions that it has in quotes.
    pub fn expansions(&self) -> &[Expansion] {
        &self.expansions
    }

    /// Whether it is another query for another key.
    pub fn is_about_a_key(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// Whether this name is in it.
    pub fn names(&self, parameter: Parameter) -> bool {
        self.parameters.contains(&parameter)
    }

    fn put(&mut self, name: &str, dialect: Dialect, allowed: &[Parameter]) -> Result<(), Wrong> {
        let claim = name.strip_prefix("claim_").filter(|_| allowed.contains(&Parameter::Claim(0)));
        let known = match claim {
            Some(claim) => self.claim(claim),
            None => NAMES.iter().find(|(known, _)| *known == name).map(|(_, parameter)| *parameter),
        };
        let allowed_here = |parameter: &Parameter| claim.is_some() || allowed.contains(parameter);
        let Some(parameter) = known.filter(allowed_here) else {
            let names = NAMES.iter().filter(|(_, parameter)| allowed.contains(parameter));
            let names: Vec<String> = names.map(|(name, _)| format!(":{name}")).collect();
            let remedy = format!("known here: {}", names.join(" "));
            return Err(Wrong::new(format!("names {}, which nobody has a value for", quoted(name)), remedy));
        };
        self.put_parameter(parameter, dialect);
        Ok(())
    }

    /// The parameter of a claim. `None`: there are more than anybody needs.
    fn claim(&mut self, name: &str) -> Option<Parameter> {
        let known = self.claims.iter().position(|known| known == name);
        let at = known.unwrap_or(self.claims.len());
        if known.is_none() {
            self.claims.push(name.to_owned());
        }
        u8::try_from(at).ok().map(Parameter::Claim)
    }

    /// Puts a placeholder where a text in quotes has expansions, or where one stands alone. `before` is the letter before.
    fn put_expansions(&mut self, taken: &str, before: Option<char>, dialect: Dialect) -> Result<(), Wrong> {
        let quote = taken.chars().next().filter(|sign| matches!(sign, '\'' | '"'));
        let text = match quote {
            None if taken == "%%" => {
                self.sql.push('%');
                return Ok(());
            }
            None if taken.starts_with('%') => taken.to_owned(),
            // What a column is called, or a text in PostgreSQL's dollars: as it is.
            None => {
                self.sql.push_str(taken);
                return Ok(());
            }
            Some('"') if dialect != Dialect::MySql => {
                let what = "has an expansion in the name of a column";
                return Err(Wrong::new(what, "write it in single quotes, as a text"));
            }
            Some(quote) if before.is_some_and(is_word) => {
                let what = format!("has an expansion in {quote} with a letter before it");
                return Err(Wrong::new(what, "write it in plain quotes"));
            }
            Some(quote) => token::unquoted(taken, quote, dialect == Dialect::MySql),
        };
        let expansion = Expansion::parse(&text)?;
        let known = self.expansions.iter().position(|known| *known == expansion);
        let at = known.unwrap_or(self.expansions.len());
        if known.is_none() {
            self.expansions.push(expansion);
        }
        let Ok(at) = u8::try_from(at) else {
            return Err(Wrong::new("has more than 256 texts with expansions", "write less of them"));
        };
        self.put_parameter(Parameter::Expansion(at), dialect);
        Ok(())
    }

    fn put_parameter(&mut self, parameter: Parameter, dialect: Dialect) {
        let known = self.parameters.iter().position(|known| *known == parameter);
        let number = match (dialect, known) {
            (Dialect::Postgres | Dialect::Sqlite, Some(at)) => at + 1,
            (Dialect::MySql, _) | (_, None) => {
                self.parameters.push(parameter);
                self.parameters.len()
            }
        };
        match dialect {
            Dialect::MySql => self.sql.push('?'),
            Dialect::Postgres => self.sql.push_str(&format!("${number}")),
            Dialect::Sqlite => self.sql.push_str(&format!("?{number}")),
        }
    }
}

/// A percent sign that stands alone, with the letter behind it.
fn whole_expansion<'t>(taken: &'t str, after: &'t str) -> (&'t str, &'t str) {
    if taken != "%" {
        return (taken, after);
    }
    let letter = after.chars().next().map_or(0, char::len_utf8);
    let (letter, after) = after.split_at_checked(letter).unwrap_or(("", after));
    match letter {
        "%" => ("%%", after),
        "s" => ("%s", after),
        "u" => ("%u", after),
        "d" => ("%d", after),
        "S" => ("%S", after),
        "U" => ("%U", after),
        "D" => ("%D", after),
        // Digits behind a percent sign are a remainder just as well.
        _ => ("%", after),
    }
}

#[cfg(test)]
mod tests;
