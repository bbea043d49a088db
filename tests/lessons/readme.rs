//! What is written for people, held against the code: the table in `tests/README.md` names tests that there are, and
//! `docs/log.md` what is logged.

use std::{collections::BTreeSet, fs, path::Path};

/// Below the root of the repository.
fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn every_test_in_the_table_exists() {
    let readme = fs::read_to_string(path("tests/README.md")).unwrap();
    let (_, table) = readme.split_once("| Our test |").expect("the table of tests/README.md");
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with('|') && !line.starts_with("|-")).collect();
    assert!(rows.len() > 20, "the table has lost its rows");

    let mut tests = BTreeSet::new();
    for dir in ["src", "protocol", "tests"] {
        each_source(&path(dir), &mut |text| tests.extend(tests_in(text)));
    }
    let mut hostile = String::new();
    each_source(&path("tests/hostile"), &mut |text| hostile.push_str(text));
    let mut missing = Vec::new();
    for row in rows {
        // What stands between backticks in the last column.
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test in {row}");
        for name in named {
            let exists = if name.ends_with(".txt") {
                path("tests/transcripts").join(name).is_file()
            } else if name.contains(' ') {
                hostile.contains(&format!("{name:?}"))
            } else {
                tests.contains(name) || path("fuzz/fuzz_targets").join(name).with_extension("rs").is_file()
            };
            if !exists {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "tests/README.md names what there is not: {missing:#?}");
}

/// The words of outcomes and the names of fields, as the code has them, and as operators are told.
#[test]
fn what_is_logged_of_logins_is_what_docs_log_says() {
    let read = |name| fs::read_to_string(path(name)).unwrap();
    let doc = read("docs/log.md");
    let rows = |head: &str| {
        let (_, table) = doc.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        let first = rows.filter_map(|row| row.trim_start_matches('|').split('|').next());
        first.flat_map(in_backticks).collect::<BTreeSet<String>>()
    };

    let decision = read("src/decision.rs");
    let outcomes = decision.split("pub const fn outcome(").skip(1).flat_map(|code| {
        let (body, _) = code.split_once("\n    }\n").unwrap();
        let words = body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    let outcomes: BTreeSet<String> = outcomes.collect();
    assert!(outcomes.len() > 15, "{outcomes:?}");
    assert_eq!(rows("| Outcome | Means |\n"), outcomes);

    let events = read("src/observe.rs") + &read("src/observe/decided.rs");
    let fields: BTreeSet<String> = events
        .split("!(")
        .filter_map(|rest| rest.split_once("\"auth decided\"").map(|(fields, _)| fields))
        .filter(|fields| !fields.contains(['{', ';']))
        .flat_map(|fields| fields.split(','))
        .filter_map(|field| field.split('=').next())
        .map(|name| name.trim().trim_start_matches(['%', '?']).to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(fields.contains("cache") && fields.contains("label"), "{fields:?}");
    assert_eq!(rows("| Field | Value | Absent |\n"), fields);
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Reads every file of code below `dir`.
fn each_source(dir: &Path, take: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            each_source(&path, take);
        } else if path.extension().is_some_and(|end| end == "rs") {
            take(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names of the functions under `#[test]` and its like.
fn tests_in(text: &str) -> impl Iterator<Item = String> {
    let marked = text.split("test]").skip(1).chain(text.split("::test(").skip(1));
    marked.filter_map(|rest| {
        let (_, name) = rest.split_once("fn ")?;
        name.split_once('(').map(|(name, _)| name.to_owned())
    })
}
