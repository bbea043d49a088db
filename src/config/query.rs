//! Queries with named parameters: `SELECT ... WHERE username = :user`.
//!
//! A name becomes the placeholder of its database once, when the configuration is read, and its value is bound each
//! time. No value ever becomes part of the text. To find the names, the text is read as the database would read it:
//! what stands in quotes and comments is none.

use super::problem::{Wrong, quoted};

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
}

/// A query with a placeholder for each name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: String,
    parameters: Vec<Parameter>,
    claims: Vec<String>,
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
        let mut query =
            Self { sql: String::with_capacity(text.len()), parameters: Vec::new(), claims: Vec::new() };
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

enum Token<'a> {
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
fn next(text: &str, dialect: Dialect, before: Option<char>) -> Result<Option<(Token<'_>, &str)>, Wrong> {
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

fn is_word(letter: char) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Dialect::{self, MySql, Postgres, Sqlite},
        Parameter::{self, Domain, Local, User},
        Query,
    };

    const ALLOWED: &[Parameter] = &[User, Local, Domain];

    fn parse(text: &str, dialect: Dialect) -> Result<(String, Vec<Parameter>), String> {
        let parsed = Query::parse(text, dialect, ALLOWED);
        parsed.map(|query| (query.sql, query.parameters)).map_err(|wrong| wrong.what)
    }

    #[test]
    fn claims_are_bound_by_the_names_that_they_have_where_there_are_any() {
        let text = "SELECT :claim_name, :user, :claim_a_b, :claim_name";
        let allowed = [User, Parameter::Claim(0)];
        let claim = Parameter::Claim;
        for (dialect, sql, parameters) in [
            (MySql, "SELECT ?, ?, ?, ?", vec![claim(0), User, claim(1), claim(0)]),
            (Postgres, "SELECT $1, $2, $3, $1", vec![claim(0), User, claim(1)]),
            (Sqlite, "SELECT ?1, ?2, ?3, ?1", vec![claim(0), User, claim(1)]),
        ] {
            let query = Query::parse(text, dialect, &allowed).unwrap();
            assert_eq!((query.sql(), query.parameters()), (sql, &*parameters));
            assert_eq!(query.claims(), ["name", "a_b"]);
        }
        assert!(parse(text, Sqlite).is_err(), "where there is no token");
        let many: Vec<String> = (0..300).map(|number| format!(":claim_{number}")).collect();
        assert!(Query::parse(&many.join(","), Sqlite, &allowed).is_err());
    }

    #[test]
    fn names_become_placeholders_and_everything_else_stays() {
        let table: &[(Dialect, &str, &str, &[Parameter])] = &[
            (MySql, "SELECT 1 WHERE a = :user", "SELECT 1 WHERE a = ?", &[User]),
            (MySql, "SELECT :user,:local,:user", "SELECT ?,?,?", &[User, Local, User]),
            (Postgres, "SELECT :user,:local,:user", "SELECT $1,$2,$1", &[User, Local]),
            (Sqlite, "SELECT :user,:local,:user", "SELECT ?1,?2,?1", &[User, Local]),
            (Postgres, "SELECT :user::bigint, a::text", "SELECT $1::bigint, a::text", &[User]),
            (Postgres, "SELECT a[1:2], '{}'::jsonb ? 'x'", "SELECT a[1:2], '{}'::jsonb ? 'x'", &[]),
            (MySql, "SELECT @a := :user", "SELECT @a := ?", &[User]),
            // What is quoted.
            (
                MySql,
                r"SELECT ':x', 'it''s :x', '\':x', :user",
                r"SELECT ':x', 'it''s :x', '\':x', ?",
                &[User],
            ),
            (MySql, r#"SELECT ":x \" :x", `:x``:x`"#, r#"SELECT ":x \" :x", `:x``:x`"#, &[]),
            (Postgres, r"SELECT '\', :user", r"SELECT '\', $1", &[User]),
            (Postgres, r"SELECT E'\':x', :user", r"SELECT E'\':x', $1", &[User]),
            (Postgres, r#"SELECT ":x", "a"":x""#, r#"SELECT ":x", "a"":x""#, &[]),
            (Postgres, "SELECT $$ :x ' $$, $q$ $$ :x $q$", "SELECT $$ :x ' $$, $q$ $$ :x $q$", &[]),
            (Postgres, "SELECT a$b, :user", "SELECT a$b, $1", &[User]),
            (Sqlite, "SELECT [:x], `:x`, \":x\"", "SELECT [:x], `:x`, \":x\"", &[]),
            // Comments.
            (MySql, "SELECT 1 -- :x ' \n, :user", "SELECT 1 -- :x ' \n, ?", &[User]),
            (MySql, "SELECT 1--:user", "SELECT 1--?", &[User]),
            (MySql, "SELECT 1 # :x\n, :user", "SELECT 1 # :x\n, ?", &[User]),
            (MySql, "SELECT /* :x ' */ 1 /*! + :user */", "SELECT /* :x ' */ 1 /*! + ? */", &[User]),
            (Postgres, "SELECT /* a /* :x */ :x */ :user", "SELECT /* a /* :x */ :x */ $1", &[User]),
            (Sqlite, "SELECT 1--:x\n, :user", "SELECT 1--:x\n, ?1", &[User]),
            (Postgres, "SELECT 5 # 3, :user", "SELECT 5 # 3, $1", &[User]),
            // The end.
            (MySql, "SELECT :user;\n -- done\n", "SELECT ?\n -- done\n", &[User]),
            (Sqlite, "SELECT 'ä', :user", "SELECT 'ä', ?1", &[User]),
        ];
        for (dialect, text, sql, parameters) in table {
            let (got, names) = parse(text, *dialect).unwrap_or_else(|what| panic!("{text}: {what}"));
            assert_eq!((got.as_str(), names.as_slice()), (*sql, *parameters), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_or_no_end_is_wrong() {
        let table: &[(&[Dialect], &str, &str)] = &[
            (&[MySql, Postgres, Sqlite], "SELECT :usr", "names \"usr\""),
            (&[MySql, Postgres, Sqlite], "SELECT :User", "names \"User\""),
            (&[MySql, Postgres, Sqlite], "SELECT :after", "names \"after\""),
            (&[MySql, Sqlite], "SELECT ?", "without a name"),
            (&[Postgres], "SELECT $1", "without a name"),
            (&[Sqlite], "SELECT ?1", "without a name"),
            (&[Sqlite], "SELECT @user", "without a name"),
            (&[Sqlite], "SELECT $user", "without a name"),
            (&[MySql, Postgres, Sqlite], "SELECT 'a", "quote that does not end"),
            (&[MySql], r"SELECT 'a\'", "quote that does not end"),
            (&[MySql, Sqlite], "SELECT `a", "quote that does not end"),
            (&[Postgres], "SELECT $a$ x $$", "quote that does not end"),
            (&[MySql, Postgres, Sqlite], "SELECT /* a", "comment that does not end"),
            (&[MySql, Postgres, Sqlite], "SELECT 1; DROP TABLE users", "more than one statement"),
            (&[MySql, Postgres, Sqlite], "SELECT 1; :user", "more than one statement"),
            (&[MySql, Postgres, Sqlite], "SELECT 1;;", "more than one statement"),
            (&[MySql, Postgres, Sqlite], "  \n", "is empty"),
            (&[MySql, Postgres, Sqlite], ";", "is empty"),
            (&[MySql, Postgres, Sqlite], "SELECT '\0'\0", "NUL"),
        ];
        for (dialects, text, what) in table {
            for dialect in *dialects {
                let wrong = parse(text, *dialect).unwrap_err();
                assert!(wrong.contains(what), "{dialect:?} {text:?}: {wrong}");
            }
        }
    }

    fn dialects() -> impl Strategy<Value = Dialect> {
        prop_oneof![Just(MySql), Just(Postgres), Just(Sqlite)]
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "\\PC{0,60}", dialect in dialects()) {
            let _ = parse(&text, dialect);
        }

        #[test]
        fn a_quoted_value_never_becomes_a_name(inside in "[^\\\\]{0,30}", dialect in dialects()) {
            let quoted = inside.replace('\'', "''").replace('\0', "");
            let text = format!("SELECT '{quoted}' WHERE a = :user");
            let (sql, names) = parse(&text, dialect).unwrap();
            prop_assert_eq!(names, [User]);
            let expected = format!("SELECT '{quoted}' WHERE a = ");
            prop_assert!(sql.starts_with(&expected));
        }

        #[test]
        fn text_without_signs_stays_as_it_is(text in "[a-zA-Z0-9_ =<>(),.*+\n]{1,40}", dialect in dialects()) {
            prop_assume!(!text.trim().is_empty());
            prop_assert_eq!(parse(&text, dialect).unwrap(), (text.clone(), Vec::new()));
        }
    }
}
