//! What is wrong with a configuration, in the operator's terms.

use std::{cell::RefCell, fmt, path::Path, sync::Arc};

use serde::{Serialize, Serializer};

use super::tree::Spot;

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, as it was named or found. In JSON with U+FFFD for what is not UTF-8.
    #[serde(serialize_with = "displayed")]
    pub file: Arc<Path>,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0 for the file as a whole.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

/// The source line of a problem, without secrets and control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The line, cut to a window around the caret where it is long.
    pub text: String,
    /// Characters before the caret.
    pub indent: usize,
    /// Carets to draw, at least one.
    pub width: usize,
}

/// One thing that is wrong with the configuration. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where; `None` where no file is at fault.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The key with the tables around it, `listener.mode`; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong, and what it would lead to.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
    /// The line that is meant.
    pub excerpt: Option<Excerpt>,
}

impl Problem {
    fn of_file(path: &Path, wrong: Wrong) -> Self {
        let place = Some(Place { file: Arc::from(path), line: 0, column: 0 });
        Self { place, key: String::new(), what: wrong.what, remedy: wrong.remedy, excerpt: None }
    }

    /// `file:line:column: key: what is wrong`, without remedy and excerpt.
    pub fn head(&self) -> String {
        let mut head = String::new();
        if let Some(place) = &self.place {
            head.push_str(&format!("{place}: "));
        }
        if !self.key.is_empty() {
            head.push_str(&format!("{}: ", self.key));
        }
        head.push_str(&self.what);
        head
    }
}

impl fmt::Display for Problem {
    /// The head, the remedy, and below them the line with a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        if let (Some(place), Some(excerpt)) = (&self.place, &self.excerpt) {
            let line = place.line.to_string();
            let gutter = " ".repeat(line.len());
            let indent = " ".repeat(excerpt.indent);
            let carets = "^".repeat(excerpt.width);
            write!(f, "\n  {line} | {}\n  {gutter} | {indent}{carets}", excerpt.text)?;
        }
        Ok(())
    }
}

/// All problems of a configuration, in the order of the files and lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The only problem: something with the file or directory at `path`.
    pub(super) fn of_file(path: &Path, wrong: Wrong) -> Self {
        Self(vec![Problem::of_file(path, wrong)])
    }

    /// The problems one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is no configuration with no problems in it")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a value is instead of what it should be, and the remedy. Its place is known to whoever holds the
/// value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// Takes problems from everywhere in the room, so that the check goes on after each of them.
#[derive(Default)]
pub(super) struct Found(RefCell<Vec<(usize, usize, Problem)>>);

impl Found {
    /// Something is wrong at `spot`.
    pub(super) fn at(&self, spot: &Spot, key: impl Into<String>, wrong: Wrong) {
        let problem = Problem {
            place: Some(spot.place()),
            key: key.into(),
            what: wrong.what,
            remedy: wrong.remedy,
            excerpt: spot.excerpt(),
        };
        self.0.borrow_mut().push((spot.file_number(), spot.offset(), problem));
    }

    /// Something is wrong with the file at `path` as a whole.
    pub(super) fn with_file(&self, number: usize, path: &Path, wrong: Wrong) {
        self.0.borrow_mut().push((number, 0, Problem::of_file(path, wrong)));
    }

    /// Something is wrong that stands in no file.
    pub(super) fn nowhere(&self, key: &str, wrong: Wrong) {
        let problem = Problem {
            place: None,
            key: key.to_owned(),
            what: wrong.what,
            remedy: wrong.remedy,
            excerpt: None,
        };
        self.0.borrow_mut().push((usize::MAX, 0, problem));
    }

    /// All of them in order; `None` if there is none.
    pub(super) fn into_problems(self) -> Option<Problems> {
        let mut found = self.0.into_inner();
        found.sort_by_key(|&(file, offset, _)| (file, offset));
        if found.is_empty() {
            return None;
        }
        Some(Problems(found.into_iter().map(|(_, _, problem)| problem).collect()))
    }
}

fn displayed<S: Serializer>(path: &Arc<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// `text` in quotes for a message: escaped, and cut after 60 characters.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut shown: String = text.chars().take(LIMIT).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}

/// `a`, `b` or `c`, each in quotes.
pub(super) fn choice<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    match names.pop() {
        None => String::new(),
        Some(last) if names.is_empty() => last,
        Some(last) => format!("{} or {last}", names.join(", ")),
    }
}
