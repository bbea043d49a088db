use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
};

/// A dialogue that a real program has had, as `tests/transcripts` keeps it. The form is in `tests/README.md`.
#[derive(Debug)]
pub struct Transcript {
    /// Below `tests/transcripts`.
    pub name: String,
    /// The version of Dovecot, `2.3` or `2.4`, whose own service says the same. None says what gatepost means to say
    /// if the file has a `gatepost only:`, with the reason.
    pub dovecot: Option<String>,
    /// It has tokens in it, which somebody has to judge: see [`Rehearsed`](super::Rehearsed).
    pub tokens: bool,
    pub steps: Vec<Step>,
}

/// One line of the dialogue.
#[derive(Debug)]
pub struct Step {
    /// Its number in the file, from 1.
    pub number: usize,
    pub connection: String,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// `C:`; `C+`: in one write with the line before.
    Say { line: Line, joined: bool },
    /// `S:`; `S+`: in one read with the line before.
    Hear { line: Line, joined: bool },
    /// `S~`: one of several lines whose order nothing depends on.
    HearSometime(Line),
    /// `D~`: one of these that Dovecot's own service alone says.
    DovecotSometime(Line),
    /// `D:`: what Dovecot's own service says in place of the `S:` line after it.
    Dovecot(Line),
    /// `R:`: what the server of the recording said in place of the `S:` line after it.
    Recorded(Line),
    /// `C.`: the client closes.
    Close,
    /// `S.`: the server closes, without another byte.
    Closed,
}

/// A line without its LF: text with placeholders in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    /// `<spid>`, `<cookie2>`: the kind is the name without its digits.
    Placeholder(String),
}

/// What the placeholders of a transcript stand for in one replay.
#[derive(Debug, Default)]
pub struct Bindings(HashMap<String, Vec<u8>>);

impl Transcript {
    /// All of them, in the order of their names.
    pub fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let mut files = Vec::new();
        for protocol in ["auth", "master", "userdb"] {
            files.extend(files_of(&root.join(protocol)));
        }
        files.sort();
        files.iter().map(|file| Self::read(&root, file)).collect()
    }

    fn read(root: &Path, file: &Path) -> Self {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(file).unwrap();
        let (mut dovecot, mut gatepost_only, mut steps) = (None, false, Vec::new());
        let mut tokens = false;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            } else if let Some(version) = line.strip_prefix("dovecot: ") {
                dovecot = Some(version.to_owned());
            } else if line.starts_with("gatepost only: ") {
                gatepost_only = true;
            } else if line == "tokens: none is taken" {
                tokens = true;
            } else {
                let step = Step::parse(number, line);
                steps.push(step.unwrap_or_else(|why| panic!("tests/transcripts/{name}:{number}: {why}")));
            }
        }
        let heads = text.starts_with("# ") && dovecot.is_none() == gatepost_only;
        assert!(heads, "tests/transcripts/{name} does not say who has said it, or whether Dovecot does");
        Self { name, dovecot, tokens, steps }
    }
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    assert!(!files.is_empty(), "{} holds no transcript", dir.display());
    files
}

impl Step {
    /// `<connection> <mark> <line>`
    fn parse(number: usize, text: &str) -> Result<Self, String> {
        let (connection, rest) = text.split_once(' ').ok_or("no connection is named")?;
        let (mark, line) = rest.split_once(' ').unwrap_or((rest, ""));
        if !matches!(socket(connection), "login" | "client" | "master" | "userdb") {
            return Err(format!("there is no socket for {connection}"));
        }
        let line = || Line::parse(line);
        let what = match mark {
            "C:" | "C+" => What::Say { line: line()?, joined: mark == "C+" },
            "S:" | "S+" => What::Hear { line: line()?, joined: mark == "S+" },
            "S~" => What::HearSometime(line()?),
            "D~" => What::DovecotSometime(line()?),
            "D:" => What::Dovecot(line()?),
            "R:" => What::Recorded(line()?),
            "C." => What::Close,
            "S." => What::Closed,
            _ => return Err(format!("{mark} is no mark")),
        };
        Ok(Self { number, connection: connection.to_owned(), what })
    }
}

/// The socket of a connection: `login2` is a second connection to `login`.
pub fn socket(connection: &str) -> &str {
    connection.trim_end_matches(|c: char| c.is_ascii_digit())
}

impl Line {
    /// `\t`, `\r`, `\\` and `\x` with two digits are bytes, `<name>` is a placeholder.
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => bytes.push(match rest.next() {
                    Some('t') => b'\t',
                    Some('r') => b'\r',
                    Some('\\') => b'\\',
                    Some('x') => {
                        let digits: String = rest.by_ref().take(2).collect();
                        u8::from_str_radix(&digits, 16).map_err(|error| format!("\\x{digits}: {error}"))?
                    }
                    other => return Err(format!("\\{} means nothing", other.unwrap_or(' '))),
                }),
                '<' => {
                    let (name, behind) = rest.as_str().split_once('>').ok_or("< without >")?;
                    kind(name).ok_or_else(|| format!("<{name}> is no placeholder"))?;
                    pieces.push(Piece::Text(std::mem::take(&mut bytes)));
                    pieces.push(Piece::Placeholder(name.to_owned()));
                    rest = behind.chars();
                }
                _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        pieces.push(Piece::Text(bytes));
        Ok(Self(pieces))
    }

    /// The bytes to say. Every placeholder must have a value by now.
    pub fn filled(&self, bindings: &Bindings) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text),
                Piece::Placeholder(name) => {
                    let value = bindings.0.get(name);
                    bytes.extend_from_slice(value.ok_or_else(|| format!("<{name}> was not said before"))?);
                }
            }
        }
        Ok(bytes)
    }

    /// Whether `heard` is this line. A placeholder without a value gets the one that stands in its place.
    pub fn fits(&self, heard: &[u8], bindings: &mut Bindings) -> bool {
        let mut rest = heard;
        for piece in &self.0 {
            let matched = match piece {
                Piece::Text(text) => rest.strip_prefix(text.as_slice()),
                Piece::Placeholder(name) => bindings.take(name, rest),
            };
            match matched {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => text.escape_ascii().fmt(f)?,
                Piece::Placeholder(name) => write!(f, "<{name}>")?,
            }
        }
        Ok(())
    }
}

/// What a placeholder looks like: the digits that it is made of, and how many there may be.
fn kind(name: &str) -> Option<(&'static str, std::ops::RangeInclusive<usize>)> {
    Some(match socket(name) {
        "cookie" => ("0123456789abcdef", 32..=32),
        "token" => ("0123456789abcdef", 40..=40),
        "spid" | "cuid" | "pid" => ("0123456789", 1..=10),
        _ => return None,
    })
}

impl Bindings {
    /// Where only the own process is known, as `<pid>`.
    pub fn of_this_process() -> Self {
        Self(HashMap::from([("pid".to_owned(), std::process::id().to_string().into_bytes())]))
    }

    /// Values for placeholders whose values do not matter.
    pub fn any() -> Self {
        let mut bindings = Self::default();
        for (kind, value) in [("cookie", "0123456789abcdef".repeat(2)), ("token", "01234567".repeat(5))] {
            bindings.set(kind, &value);
        }
        for kind in ["spid", "cuid", "pid"] {
            bindings.set(kind, "4711");
        }
        bindings
    }

    fn set(&mut self, kind: &str, value: &str) {
        for number in ["", "2", "3"] {
            self.0.insert(format!("{kind}{number}"), value.as_bytes().to_vec());
        }
    }

    /// Takes the value of a placeholder off `rest`. Two names of one kind never have the same value.
    fn take<'a>(&mut self, name: &str, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (digits, length) = kind(name)?;
        let end = rest.iter().position(|byte| !digits.as_bytes().contains(byte)).unwrap_or(rest.len());
        let (value, behind) = rest.split_at(end);
        let same_kind = |other: &str| other != name && socket(other) == socket(name);
        let fits = length.contains(&value.len())
            && !value.iter().all(|&byte| byte == b'0')
            && self.0.get(name).is_none_or(|known| known == value)
            && !self.0.iter().any(|(other, known)| same_kind(other) && known == value);
        fits.then(|| {
            self.0.insert(name.to_owned(), value.to_vec());
            behind
        })
    }
}
