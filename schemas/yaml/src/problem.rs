use std::{cell::RefCell, fmt};

/// A place in a file. Both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One mistake: where it is, what is wrong, how to mend it. Displayed as `file:line:column: message`, and its help on a
/// line of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    pub position: Position,
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.position, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// One below the other.
#[must_use]
pub fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that is wrong with one file, gathered over all passes: whoever reads a part of it holds a reference.
#[derive(Debug)]
pub struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    /// `file` names it in messages.
    #[must_use]
    pub fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: RefCell::default(),
        }
    }

    pub fn add(&self, position: Position, message: impl Into<String>, help: impl Into<String>) {
        self.push(position, message.into(), Some(help.into()));
    }

    /// For a message that already says what to do.
    pub fn add_plain(&self, position: Position, message: impl Into<String>) {
        self.push(position, message.into(), None);
    }

    /// A name that is none of `known`: the help proposes the nearest, or lists them.
    pub fn add_unknown<'a>(
        &self,
        position: Position,
        message: impl Into<String>,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.push(position, message.into(), Some(suggestion(word, known)));
    }

    /// What was read, if there is nothing to mend. Who gives `None` has said why.
    ///
    /// # Errors
    /// All mistakes in the order of the file, each once: one may be met by several passes.
    pub fn unless_any<T>(self, read: Option<T>) -> Result<T, Vec<Problem>> {
        let mut found = self.found.into_inner();
        match read {
            Some(read) if found.is_empty() => Ok(read),
            Some(_) | None => {
                found.sort_by_key(|problem| problem.position);
                found.dedup();
                Err(found)
            }
        }
    }

    fn push(&self, position: Position, message: String, help: Option<String>) {
        self.found.borrow_mut().push(Problem {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_once_in_the_order_of_the_file() {
        let problems = Problems::of("a.yaml");
        problems.add_plain(Position { line: 2, column: 1 }, "second");
        problems.add_unknown(Position::START, "there is no `modle`", "modle", ["model", "messages"]);
        problems.add_plain(Position { line: 2, column: 1 }, "second");
        let told = listed(&problems.unless_any(Some(())).unwrap_err());
        assert_eq!(
            told,
            "a.yaml:1:1: there is no `modle`\n  help: did you mean `model`?\na.yaml:2:1: second"
        );
    }

    #[test]
    fn a_word_that_is_near_to_none_gets_the_list() {
        assert_eq!(suggestion("colour", ["name", "key"]), "there is: name, key");
        assert_eq!(suggestion("colour", []), "there is none");
    }
}
