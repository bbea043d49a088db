//! Finds the files, reads them, and checks what they say together.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{
    Config, Loaded, Problems, Surroundings,
    cache::cache,
    directory::{self, directories},
    hashing::hashing,
    listener::listeners,
    log::log,
    maps::{self, Maps, maps},
    oidc::oidc,
    policy::policy,
    problem::{Found, Wrong},
    reader::Reader,
    sasl::sasl,
    server::server,
    tree::{self, Table},
};

/// Where the configuration of the machine is.
const SYSTEM: &str = "/etc/gatepost";

/// Longest file, in bytes. A configuration is a page or two.
const LIMIT: u64 = 1 << 20;

/// Tables that have a name, and no code in this version.
const LATER: &[&str] = &["cluster"];

/// What is wrong with a path.
type Amiss = (PathBuf, Wrong);

pub(super) fn load(given: Option<&Path>) -> Result<Loaded, Problems> {
    let files = match given {
        Some(path) => given_files(path),
        None => files_in(Path::new(SYSTEM)),
    };
    let files = files.map_err(|(path, wrong)| Problems::of_file(&path, wrong))?;
    let around = Surroundings::of_this_process(given.is_none() && !files.is_empty());
    if files.is_empty() {
        return Ok(Loaded { config: embedded(&around)?, files });
    }
    let found = Found::default();
    let mut root = Table::default();
    let mut whole = true;
    for (number, path) in files.iter().enumerate() {
        match read(path) {
            Ok(text) => whole &= tree::add(&mut root, number, path, &text, &found),
            Err(wrong) => {
                whole = false;
                found.with_file(number, path, wrong);
            }
        }
    }
    let config = check(&root, &around, found, if whole { Extent::Whole } else { Extent::Part })?;
    Ok(Loaded { config, files })
}

pub(super) fn from_texts(texts: &[(&Path, &str)], around: &Surroundings) -> Result<Config, Problems> {
    let found = Found::default();
    let mut root = Table::default();
    let mut whole = true;
    for (number, (name, text)) in texts.iter().enumerate() {
        whole &= tree::add(&mut root, number, name, text, &found);
    }
    check(&root, around, found, if whole { Extent::Whole } else { Extent::Part })
}

pub(super) fn embedded(around: &Surroundings) -> Result<Config, Problems> {
    check(&Table::default(), around, Found::default(), Extent::Nothing)
}

/// How much of the configuration the tree holds.
#[derive(PartialEq)]
enum Extent {
    /// All of it.
    Whole,
    /// Some file could not be read, so what is missing may be in there.
    Part,
    /// There is none, so nothing is missing.
    Nothing,
}

fn check(root: &Table, around: &Surroundings, found: Found, extent: Extent) -> Result<Config, Problems> {
    let mut reader = Reader::root(root, &found);
    let server = server(reader.table("server"), around);
    let sasl = sasl(reader.table("sasl"), reader.has("oidc"));
    let tables = reader.tables("oidc");
    let providers = tables.len();
    let oidc = oidc(tables, around);
    // One that cannot be read may well be the one.
    let vouched = extent == Extent::Part
        || oidc.len() < providers
        || oidc.iter().any(|oidc| !oidc.account.is_of_claims());
    let (maps, named) = maps(reader.table("maps"), around);
    let tables = reader.tables("directory");
    // A file that cannot be read may well have the map.
    let known = (extent != Extent::Part).then(|| maps::names(&tables));
    if let Some(known) = &known {
        Maps::judge(named, known, &found);
    }
    let mut directories = directories(tables, &server, around, &maps, vouched);
    let tables = reader.tables("listener");
    let listeners = listeners(tables, &server, around, known.as_deref());
    if !reader.has("directory") {
        match extent {
            Extent::Nothing => directories.push(directory::embedded(&server)),
            Extent::Part => {}
            // What a token says may be all there is.
            Extent::Whole if oidc.iter().any(|oidc| oidc.account.is_of_claims()) => {}
            Extent::Whole => found.nowhere("directory", nobody()),
        }
    } else if reader.is_empty_list("directory") {
        reader.wrong("directory", nobody());
    }
    let cache = cache(reader.table("cache"));
    if cache.ttl.is_zero() {
        // Nothing is kept that could be outdated.
        directories.iter_mut().for_each(|directory| directory.change_poll = None);
    }
    let hashing = hashing(reader.table("hashing"));
    let policy = policy(reader.table("policy"), &server);
    let log = log(reader.table("log"));
    reader.refuse(LATER, "is not in this version yet", "take the table away");
    reader.finish();
    match found.into_problems() {
        Some(problems) => Err(problems),
        None => Ok(Config { server, listeners, sasl, directories, oidc, cache, maps, policy, hashing, log }),
    }
}

fn nobody() -> Wrong {
    let remedy = "write [[directory]] with name = \"local\" and type = \"sqlite\" for the embedded one";
    Wrong::new("is not configured, so that nobody could log in", remedy)
}

/// The files of `--config`.
fn given_files(path: &Path) -> Result<Vec<PathBuf>, Amiss> {
    let metadata = fs::metadata(path).map_err(|error| (path.to_owned(), unreadable(&error)))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = files_in(path)?;
    if files.is_empty() {
        files = fragments_in(path)?;
    }
    if files.is_empty() {
        let wrong = Wrong::new(
            "holds no configuration",
            "put gatepost.toml there, or name another file or directory with --config",
        );
        return Err((path.to_owned(), wrong));
    }
    Ok(files)
}

/// `gatepost.toml` and then `conf.d/*.toml`, as far as they are there.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, Amiss> {
    let main = directory.join("gatepost.toml");
    let there = main.try_exists().map_err(|error| (main.clone(), unreadable(&error)))?;
    let mut files = if there { vec![main] } else { Vec::new() };
    files.extend(fragments_in(&directory.join("conf.d"))?);
    Ok(files)
}

/// `*.toml` in name order, without hidden files; none if the directory is not there.
fn fragments_in(directory: &Path) -> Result<Vec<PathBuf>, Amiss> {
    let amiss = |error: &io::Error| (directory.to_owned(), unreadable(error));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(amiss(&error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| amiss(&error))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A file as text, which may hold secrets.
fn read(path: &Path) -> Result<Zeroizing<String>, Wrong> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Wrong::new("is no ordinary file", "take it away, or put a file there"));
    }
    if metadata.len() > LIMIT {
        return Err(Wrong::new("has more than 1MiB", "check that it is the file that you mean"));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(&error))?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Wrong::new(format!("is not UTF-8 in line {line}"), "save it as UTF-8")
    })
}

fn unreadable(error: &io::Error) -> Wrong {
    if error.kind() == io::ErrorKind::NotFound {
        return Wrong::new("does not exist", "check the path");
    }
    let remedy = "check its owner and mode, and those of the directories above it";
    Wrong::new(format!("cannot be read: {error}"), remedy)
}
