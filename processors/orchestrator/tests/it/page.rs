//! The page of the language does not name tests that are not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the page's names of files begin.
const FOLDERS: [&str; 5] = [
    "processors/orchestrator/tests/it",
    "processors/orchestrator/tests",
    "processors/chains",
    "processors",
    "",
];

#[test]
fn what_is_said_of_langchain_is_shown_by_tests_that_exist() {
    let page = fs::read_to_string(repository().join("processors/chains/README.md")).unwrap();
    let section = page.split("\n## ").find(|part| part.starts_with("From LangChain"));
    let rows: Vec<[String; 3]> = section.unwrap().lines().filter_map(row).collect();
    assert!(rows.len() > 70, "the tables are not read as they are written");

    let mistakes: Vec<String> = rows.iter().flat_map(mistakes).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

/// What is there, what is here, and what shows it.
fn row(line: &str) -> Option<[String; 3]> {
    let line = line.strip_prefix("| ")?.strip_suffix(" |")?.replace("\\|", "or");
    let cells: Vec<String> = line.split(" | ").map(str::to_owned).collect();
    let cells: [String; 3] = cells
        .try_into()
        .unwrap_or_else(|cells| panic!("three cells: {cells:?}"));
    (cells[2] != "shown by").then_some(cells)
}

fn mistakes([there, here, shown_by]: &[String; 3]) -> Vec<String> {
    let absent = here.contains("not supported yet") || here.contains("left out");
    let mut mistakes = Vec::new();
    let mut tests: Option<(&str, Vec<String>)> = None;
    let mut shown = false;
    for word in shown_by.split('`').skip(1).step_by(2) {
        if let Some(path) = Path::new(word).extension().and_then(|_| file(word)) {
            tests = is_code(word).then(|| (word, names(&fs::read_to_string(path).unwrap())));
        } else if let Some((_, names)) = &tests
            && names.iter().any(|name| stands_for(word, name))
        {
            shown = true;
        } else {
            let within = tests.as_ref().map_or("there", |(file, _)| file);
            mistakes.push(format!("{there}: no `{word}` in {within}"));
        }
    }
    if !shown && !absent {
        mistakes.push(format!("{there}: neither shown by a test nor told to be absent"));
    }
    mistakes
}

fn stands_for(word: &str, name: &str) -> bool {
    word.strip_suffix('…')
        .map_or(word == name, |begin| name.starts_with(begin))
}

fn is_code(file: &str) -> bool {
    !file.ends_with(".yaml")
}

/// The one that is meant.
fn file(name: &str) -> Option<PathBuf> {
    let places = FOLDERS.map(|folder| repository().join(folder).join(name));
    let mut there = places.into_iter().filter(|path| path.is_file());
    there.next().filter(|_| there.next().is_none())
}

/// Of the tests in a file of Rust or TypeScript.
fn names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        let quoted = ["test(\"", "it(\""].iter().find_map(|begin| line.strip_prefix(begin));
        if let Some((name, _)) = quoted.and_then(|quoted| quoted.split_once('"')) {
            names.push(name.to_owned());
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, function)) = line.split_once("fn ").filter(|_| is_test) {
            names.extend(function.split_once('(').map(|(name, _)| name.to_owned()));
            is_test = false;
        }
    }
    names
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
