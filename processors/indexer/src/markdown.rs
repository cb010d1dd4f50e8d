//! Where a Markdown text has its headings (CommonMark 0.31 §4.2: `#` to `######`), which those of fenced code (§4.5) are
//! not.

use std::ops::Range;

/// The text between two headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// The headings it stands under, the outermost first: `Install › On Debian`.
    pub(crate) heading: String,
    /// Without the heading's own line.
    pub(crate) body: Range<usize>,
}

/// In their order. Together with the lines of the headings they are the whole text.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    let mut fence: Option<Fence> = None;
    let mut begin = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match &fence {
            Some(open) if open.is_closed_by(line) => fence = None,
            Some(_) => {}
            None => {
                if let Some((level, title)) = heading(line) {
                    sections.push(Section {
                        heading: path(&above),
                        body: begin..at,
                    });
                    above.retain(|(outer, _)| *outer < level);
                    above.push((level, title));
                    begin = at + line.len();
                } else {
                    fence = Fence::opened_by(line);
                }
            }
        }
        at += line.len();
    }
    sections.push(Section {
        heading: path(&above),
        body: begin..text.len(),
    });
    sections
}

/// The text of the first heading.
pub(crate) fn first_heading(text: &str) -> Option<&str> {
    let mut fence: Option<Fence> = None;
    for line in text.lines() {
        match &fence {
            Some(open) if open.is_closed_by(line) => fence = None,
            Some(_) => {}
            None => match heading(line) {
                Some((_, title)) if !title.is_empty() => return Some(title),
                Some(_) => {}
                None => fence = Fence::opened_by(line),
            },
        }
    }
    None
}

fn path(above: &[(usize, &str)]) -> String {
    let titles: Vec<&str> = above
        .iter()
        .map(|(_, title)| *title)
        .filter(|title| !title.is_empty())
        .collect();
    titles.join(" › ")
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let line = unindented(line)?;
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    if !(1..=6).contains(&level) || !(title.is_empty() || title.starts_with([' ', '\t', '\n', '\r'])) {
        return None;
    }
    let title = title.trim();
    let open = title.trim_end_matches('#');
    // A closing row of # must stand apart: `# C#` is about C#.
    let closed = open.is_empty() || open.ends_with([' ', '\t']);
    Some((level, if closed { open.trim_end() } else { title }))
}

struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let line = unindented(line)?;
        let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
        let rest = line.trim_start_matches(mark);
        let length = line.len() - rest.len();
        (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some(Self { mark, length })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        unindented(line).is_some_and(|line| {
            let rest = line.trim_start_matches(self.mark);
            line.len() - rest.len() >= self.length && rest.trim().is_empty()
        })
    }
}

/// Four spaces make a code block.
fn unindented(line: &str) -> Option<&str> {
    let unindented = line.trim_start_matches(' ');
    (line.len() - unindented.len() < 4).then_some(unindented)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = sections(text);
        let found: Vec<_> = found
            .iter()
            .map(|section| (section.heading.as_str(), text[section.body.clone()].trim()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sections_know_the_headings_above_them() {
        check(
            "before\n# A\none\n### B\ntwo\n## C\nthree\n# D\n",
            &[
                ("", "before"),
                ("A", "one"),
                ("A › B", "two"),
                ("A › C", "three"),
                ("D", ""),
            ],
        );
    }

    #[test]
    fn what_only_looks_like_a_heading_is_text() {
        check(
            "#1 is a number\n    # code\n####### seven",
            &[("", "#1 is a number\n    # code\n####### seven")],
        );
        check(
            "```sh\n# comment\n~~~\n```\n# A\n",
            &[("", "```sh\n# comment\n~~~\n```"), ("A", "")],
        );
        check("# C#\n# D ##\n", &[("", ""), ("C#", ""), ("D", "")]);
    }

    #[test]
    fn an_unclosed_fence_reaches_to_the_end() {
        check("~~~\n# A\n```\n", &[("", "~~~\n# A\n```")]);
    }
}
