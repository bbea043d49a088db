//! The table in `tests/README.md` names tests that there are.

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
        collect(&path(dir), &mut tests);
    }
    let mut missing = Vec::new();
    for row in rows {
        // What stands between backticks in the last column: `room::name`, or a transcript.
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test in {row}");
        for name in named {
            let exists = if name.ends_with(".txt") {
                path("tests/transcripts").join(name).is_file()
            } else {
                tests.contains(name)
            };
            if !exists {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "tests/README.md names what there is not: {missing:#?}");
}

/// The names of the functions under `#[test]` and its like, in all files below `dir`.
fn collect(dir: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, tests);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // proptest! needs no mark of its own for each function behind the first `#[test]`.
            let marked = text.split("test]").skip(1).chain(text.split("::test(").skip(1));
            tests.extend(marked.filter_map(|rest| {
                let (_, name) = rest.split_once("fn ")?;
                name.split_once('(').map(|(name, _)| name.to_owned())
            }));
        }
    }
}
