use std::cell::RefCell;
use std::fmt;

/// One mistake in the models file: where it is, what is wrong, how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{position}: {message}\n  help: {help}")]
pub struct Problem {
    pub file: String,
    pub position: Position,
    pub message: String,
    pub help: String,
}

/// A place in a file. Both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Collects the mistakes of one file, so that all of them are told at once.
pub(crate) struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: RefCell::default(),
        }
    }

    pub(crate) fn add(&self, position: Position, message: impl Into<String>, help: impl Into<String>) {
        self.found.borrow_mut().push(Problem {
            file: self.file.clone(),
            position,
            message: message.into(),
            help: help.into(),
        });
    }

    /// # Errors
    /// What was added, in the order of the file.
    pub(super) fn none_or<T>(self, value: T) -> Result<T, Vec<Problem>> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|problem| problem.position);
        Err(found)
    }
}
