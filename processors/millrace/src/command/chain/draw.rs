//! The mistakes of files, drawn where they are, as rustc draws its own: by the very library that does it there.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, IsTerminal},
    ops::Range,
};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use orchestrator::{Position, Problem};

/// To standard error: in colour where it is a terminal, without the drawing where a file cannot be read again.
pub fn problems(problems: &[Problem]) {
    let renderer = if io::stderr().is_terminal() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut sources: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for problem in problems {
        let source = sources
            .entry(&problem.file)
            .or_insert_with(|| fs::read_to_string(&problem.file).ok());
        match source {
            Some(source) => eprintln!("{}\n", renderer.render(&[drawn(problem, source)])),
            None => eprintln!("{problem}\n"),
        }
    }
    match problems.len() {
        1 => eprintln!("1 mistake"),
        many => eprintln!("{many} mistakes"),
    }
}

fn drawn<'p>(problem: &'p Problem, source: &'p str) -> Group<'p> {
    let place = AnnotationKind::Primary.span(word_at(source, problem.position));
    let snippet = Snippet::source(source).path(&problem.file).annotation(place);
    let group = Level::ERROR.primary_title(&problem.message).element(snippet);
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

/// From a position to the end of what begins there.
fn word_at(source: &str, position: Position) -> Range<usize> {
    let before: usize = source
        .split_inclusive('\n')
        .take(position.line.saturating_sub(1))
        .map(str::len)
        .sum();
    let line = source[before..].lines().next().unwrap_or_default();
    let column = line
        .char_indices()
        .nth(position.column.saturating_sub(1))
        .map_or(line.len(), |(at, _)| at);
    let rest = &line[column..];
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ':' | '}' | ']' | '|' | ')');
    let length = match rest.find(ends) {
        // It begins with a mark of its own.
        Some(0) => rest.chars().next().map_or(0, char::len_utf8),
        Some(length) => length,
        None => rest.len(),
    };
    let start = before + column;
    start..start + length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_drawn_under_its_word() {
        let source = "steps:\n  - {id: answer, chatt: {}}\n";
        let problem = Problem {
            file: "a.yaml".to_owned(),
            position: Position { line: 2, column: 18 },
            message: "unknown key `chatt` in a step".to_owned(),
            help: Some("did you mean `chat`?".to_owned()),
        };

        assert_eq!(
            Renderer::plain().render(&[drawn(&problem, source)]),
            "\
error: unknown key `chatt` in a step
 --> a.yaml:2:18
  |
2 |   - {id: answer, chatt: {}}
  |                  ^^^^^
  |
  = help: did you mean `chat`?"
        );
    }

    #[test]
    fn a_place_outside_of_the_file_is_its_end() {
        for (line, column) in [(0, 0), (1, 1), (1, 99), (9, 1)] {
            let range = word_at("ä: [", Position { line, column });
            assert!(range.end <= "ä: [".len(), "{range:?}");
        }
    }
}
