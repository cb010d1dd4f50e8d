//! `schema_ref: order.schema.json`: a schema in a file of its own, beside the chain or in a folder below it.
//!
//! It is written into the chain before anything else reads that. So what is hashed, published and shown is whole: whoever
//! learns the chain needs no file, a schema that changes makes another digest, and nothing else knows of references.
//! Mistakes are told where somebody can mend them: those of a schema in its file, all others where the chain's file has them.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use yaml::{Content, Node, Position, Problem, Problems, Text};

use super::schema::Schema;

const KEY: &str = "schema_ref";
/// Tests hold values, and a value may have any key.
const VALUES: &str = "tests";
/// The schema of anything.
const ANYTHING: &str = "{}";

/// What was written into a file.
#[derive(Debug, Default)]
pub(crate) struct Included {
    /// From the top of the file down.
    insertions: Vec<Insertion>,
    /// Of references that lead nowhere, or to what is no schema.
    problems: Vec<Problem>,
}

/// In one line of the source: what stood there and what stands there now.
#[derive(Debug)]
struct Insertion {
    at: Position,
    /// In characters.
    was: usize,
    now: String,
}

impl Included {
    /// A chain file with the schemas that it refers to in place of the references, and what was done. Where one cannot be
    /// had, anything fits, so that all else is checked.
    pub(crate) fn write(source: &str, file: &str, folder: &Path) -> (String, Self) {
        let mut included = Self::default();
        // Whoever reads the chain says so if it is no YAML.
        let Some(root) = Node::read(source, &Problems::of(file)) else {
            return (source.to_owned(), included);
        };
        let problems = Problems::of(file);
        references(&root, true, &mut |key, place, name| {
            let Some(was) = width(key, name, &problems) else { return };
            let path = find(place, name, folder, &problems);
            let read = path.and_then(|path| read(&path, place, &problems));
            let schema = match read {
                Some(Ok(schema)) => schema,
                Some(Err(wrong)) => {
                    included.problems.extend(wrong);
                    ANYTHING.to_owned()
                }
                None => ANYTHING.to_owned(),
            };
            included.insertions.push(Insertion {
                at: key,
                was,
                now: format!("schema: {schema}"),
            });
        });
        if let Err(wrong) = problems.unless_any(Some(())) {
            included.problems.splice(..0, wrong);
        }
        (included.insert(source), included)
    }

    /// What was made of the file, or all mistakes at the places that the file had.
    ///
    /// # Errors
    /// Those of the references are among them.
    pub(crate) fn told<T>(self, read: Result<T, Vec<Problem>>) -> Result<T, Vec<Problem>> {
        let mut found = match read {
            Ok(read) if self.problems.is_empty() => return Ok(read),
            Ok(_) => Vec::new(),
            Err(found) => found,
        };
        for problem in &mut found {
            problem.position = self.before(problem.position);
        }
        found.extend(self.problems);
        Err(found)
    }

    fn insert(&self, source: &str) -> String {
        let mut lines: Vec<String> = source.split_inclusive('\n').map(str::to_owned).collect();
        // What stands further right in a line comes first, or it would have moved.
        for Insertion { at, was, now } in self.insertions.iter().rev() {
            let Some(line) = lines.get_mut(at.line - 1) else {
                continue;
            };
            let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(byte, _)| byte);
            let range = byte(at.column - 1)..byte(at.column - 1 + was);
            line.replace_range(range, now);
        }
        lines.concat()
    }

    fn before(&self, place: Position) -> Position {
        let mut column = place.column;
        for Insertion { at, was, now } in self
            .insertions
            .iter()
            .filter(|insertion| insertion.at.line == place.line)
        {
            let end = at.column + now.chars().count();
            if column >= end {
                column = column - end + at.column + was;
            } else if column >= at.column {
                column = at.column;
            }
        }
        Position { column, ..place }
    }
}

/// Calls `found` with each reference to a schema: where its key and its value are, and the name of the file.
fn references(node: &Node, is_root: bool, found: &mut impl FnMut(Position, Position, &Text)) {
    match &node.content {
        Content::Scalar(_) | Content::Text(_) => {}
        Content::List(items) => items.iter().for_each(|item| references(item, false, found)),
        Content::Map(entries) => {
            for entry in entries {
                match &entry.value.content {
                    Content::Text(name) if entry.key == KEY => found(entry.position, entry.value.position, name),
                    _ if is_root && entry.key == VALUES => {}
                    _ => references(&entry.value, false, found),
                }
            }
        }
    }
}

/// How many characters the reference takes, from its key on.
fn width(key: Position, name: &Text, problems: &Problems) -> Option<usize> {
    match name.extent() {
        Some((at, width)) if at.line == key.line => Some(at.column - key.column + width),
        Some(_) | None => {
            let help = "for example `schema_ref: order.schema.json`";
            problems.add(key, "`schema_ref` and its file stand in one line", help);
            None
        }
    }
}

/// The schema as JSON; `None` if it is told at the reference that there is none.
///
/// # Errors
/// What is wrong in the file.
fn read(path: &Path, place: Position, problems: &Problems) -> Option<Result<String, Vec<Problem>>> {
    match fs::read_to_string(path) {
        Ok(source) => {
            let inside = Problems::of(&path.display().to_string());
            let schema = Node::read(&source, &inside).and_then(|node| Schema::read(&node, "the schema", &inside));
            Some(inside.unless_any(schema).map(|schema| schema.json().to_string()))
        }
        Err(error) => {
            let message = format!("{} cannot be read: {error}", path.display());
            problems.add_plain(place, message);
            None
        }
    }
}

/// The file that is meant, which must be inside of `folder`: what a chain reads is what was put there for chains.
fn find(place: Position, name: &Text, folder: &Path, problems: &Problems) -> Option<PathBuf> {
    let written = Path::new(&name.value);
    if written.extension().is_none_or(|extension| extension != "json") {
        let message = format!("`schema_ref: {}` is no JSON file", name.value);
        problems.add(place, message, "the name of a schema's file ends in `.json`");
        return None;
    }
    let leads_out = || {
        let message = format!(
            "`schema_ref: {}` leads out of the folder of the chain's file",
            name.value
        );
        problems.add(
            place,
            message,
            "put the schema beside the chain, or in a folder below it",
        );
    };
    if !written.components().all(|part| matches!(part, Component::Normal(_))) {
        leads_out();
        return None;
    }
    match (folder.canonicalize(), folder.join(written).canonicalize()) {
        (Ok(folder), Ok(path)) if path.starts_with(&folder) => Some(folder.join(written)),
        (Ok(_), Ok(_)) => {
            leads_out();
            None
        }
        (_, Err(error)) | (Err(error), _) => {
            let message = format!("the schema `{}` cannot be read: {error}", name.value);
            let help = format!(
                "it is looked for in {}, the folder of the chain's file",
                folder.display()
            );
            problems.add(place, message, help);
            None
        }
    }
}
