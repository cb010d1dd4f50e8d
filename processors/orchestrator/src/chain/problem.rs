//! A mistake in a chain file: where it is, what is wrong, how to mend it.

use std::fmt;

/// A place in a file. Both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// One mistake. Displayed as `file:line:column: message`, and its help on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    pub position: Position,
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(f, "{}:{line}:{column}: {}", self.file, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with one file, gathered over all passes.
#[derive(Debug)]
pub(crate) struct Problems {
    file: String,
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, position: Position, message: impl Into<String>, help: impl Into<String>) {
        self.push(position, message.into(), Some(help.into()));
    }

    /// For a message that already says what to do.
    pub(crate) fn add_plain(&mut self, position: Position, message: impl Into<String>) {
        self.push(position, message.into(), None);
    }

    /// A name that is none of `known`: the help proposes the nearest, or lists them.
    pub(crate) fn add_unknown<'a>(
        &mut self,
        position: Position,
        message: impl Into<String>,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.push(position, message.into(), Some(suggestion(word, known)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the file, each once: one mistake may be met by several passes.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.position);
        self.found.dedup();
        self.found
    }

    fn push(&mut self, position: Position, message: String, help: Option<String>) {
        self.found.push(Problem {
            file: self.file.clone(),
            position,
            message,
            help,
        });
    }
}

/// "did you mean" for a word that is near to a known one, else the list of what there is.
fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4);
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("there is: {}", known.join(", ")),
    }
}
