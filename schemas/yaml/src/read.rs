//! From the parser's events to the tree.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::{Content, Entry, Node, Position, Problems, Scalar, Text};

/// Deeper nesting is refused: what walks the tree later recurses.
const MAX_DEPTH: usize = 64;

pub(crate) fn read(source: &str, problems: &Problems) -> Option<Node> {
    let reader = Reader {
        source: Source::new(source),
        problems,
        open: Vec::new(),
        root: None,
    };
    reader.read()
}

/// A collection that is being read.
struct Open {
    node: Node,
    /// The key whose value comes next, in a mapping.
    key: Option<(String, Position)>,
    /// Keys of a mapping so far.
    keys: HashSet<String>,
}

struct Reader<'s, 'p> {
    source: Source<'s>,
    problems: &'p Problems,
    open: Vec<Open>,
    root: Option<Node>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Option<Node> {
        for event in Parser::new_from_str(self.source.text) {
            match event {
                Ok((event, span)) => self.event(event, span)?,
                Err(error) => {
                    let message = format!("this is not YAML: {}", error.info());
                    let help = "text with `: ` or ` #` in it, or with a sign as its first letter, stands in quotes; \
                                what is inside of something is indented with spaces";
                    self.problems.add(position(error.marker()), message, help);
                    return None;
                }
            }
        }
        if self.root.is_none() {
            self.problems.add_plain(Position::START, "the file is empty");
        }
        self.root
    }

    /// `None` ends the reading: what follows would only repeat the mistake.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let at = position(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) if self.root.is_some() => {
                self.problems
                    .add(at, "a second document in the file", "move it to a file of its own");
                return None;
            }
            Event::DocumentStart(_) => {}
            Event::Alias(_) => {
                self.problems
                    .add(at, "aliases are not supported", "write the value out");
                let content = Content::Text(Text {
                    position: at,
                    ..Text::default()
                });
                self.value(Node { position: at, content });
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.plain(at, anchor, tag.as_deref());
                let content = match style {
                    ScalarStyle::Plain => Scalar::resolve(&value),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => None,
                };
                let content = content.map_or_else(
                    || {
                        let raw = self.source.between(span.start.index(), span.end.index()).to_owned();
                        Content::Text(Text {
                            value: value.into_owned(),
                            position: at,
                            raw,
                        })
                    },
                    Content::Scalar,
                );
                self.value(Node { position: at, content });
            }
            Event::SequenceStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::List(Vec::new()))?,
            Event::MappingStart(anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::Map(Vec::new()))?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.value(open.node);
                }
            }
        }
        Some(())
    }

    fn start(&mut self, at: Position, anchor: usize, tag: Option<&Tag>, content: Content) -> Option<()> {
        self.plain(at, anchor, tag);
        if self.open.len() == MAX_DEPTH {
            let help = "no file needs that many: is a bracket left open?";
            self.problems
                .add(at, format!("nested deeper than {MAX_DEPTH} levels"), help);
            return None;
        }
        self.open.push(Open {
            node: Node { position: at, content },
            key: None,
            keys: HashSet::new(),
        });
        Some(())
    }

    fn plain(&mut self, at: Position, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            self.problems
                .add(at, "anchors are not supported", "write the value out where it is used");
        }
        if let Some(tag) = tag {
            self.problems.add(
                at,
                format!("tags are not supported: {tag}"),
                "quote the value if it is text",
            );
        }
    }

    /// A finished value goes into the collection that is open, as key or as value.
    fn value(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.content {
            Content::List(items) => items.push(node),
            Content::Map(entries) => match open.key.take() {
                Some((key, position)) => {
                    if open.keys.insert(key.clone()) {
                        entries.push(Entry {
                            key,
                            position,
                            value: node,
                        });
                    } else {
                        let message = format!("`{key}` is given twice");
                        self.problems.add(position, message, "keep one of the two");
                    }
                }
                None => {
                    let at = node.position;
                    let key = match node.content {
                        Content::Text(text) => text.value,
                        Content::Scalar(scalar) => scalar.written,
                        Content::List(_) | Content::Map(_) => {
                            self.problems.add_plain(at, "a key must be text");
                            String::new()
                        }
                    };
                    open.key = Some((key, at));
                }
            },
            Content::Scalar(_) | Content::Text(_) => {}
        }
    }
}

/// The file, addressable by character index as the parser counts.
struct Source<'s> {
    text: &'s str,
    /// Byte offset of each character, and of the end.
    offsets: Vec<usize>,
}

impl<'s> Source<'s> {
    fn new(text: &'s str) -> Self {
        let offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        Self { text, offsets }
    }

    fn between(&self, start: usize, end: usize) -> &'s str {
        let at = |index: usize| self.offsets.get(index).copied().unwrap_or(self.text.len());
        self.text.get(at(start)..at(end)).unwrap_or_default()
    }
}

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::listed;

    fn mistakes(source: &str) -> String {
        let problems = Problems::of("f");
        let read = Node::read(source, &problems);
        listed(&problems.unless_any(read).unwrap_err())
    }

    #[test]
    fn a_file_is_the_json_it_looks_like() {
        let problems = Problems::of("f");
        let root = Node::read(
            "a: [1, x, 'true', null]\nb: {c: 0.5}\n7: |\n  two\n  lines\n",
            &problems,
        )
        .unwrap();
        assert_eq!(
            root.to_json(),
            json!({"a": [1, "x", "true", null], "b": {"c": 0.5}, "7": "two\nlines\n"})
        );
        assert_eq!(root.position_at("/b/c"), Position { line: 2, column: 8 });
        let lines = root.get("7").and_then(|node| node.text("7", &problems)).unwrap();
        assert_eq!(lines.position_of(4, 9), Position { line: 5, column: 3 });
    }

    #[test]
    fn what_is_not_this_yaml_is_told_with_its_place() {
        assert_eq!(mistakes(""), "f:1:1: the file is empty");
        assert_eq!(
            mistakes("a: 1\na: 2"),
            "f:2:1: `a` is given twice\n  help: keep one of the two"
        );
        assert_eq!(
            mistakes("a: &x [1]\nb: *x\nc: !t 1"),
            "\
f:1:4: anchors are not supported
  help: write the value out where it is used
f:2:4: aliases are not supported
  help: write the value out
f:3:4: tags are not supported: !t
  help: quote the value if it is text"
        );
        assert_eq!(
            mistakes(&"[".repeat(99)),
            "f:1:65: nested deeper than 64 levels\n  help: no file needs that many: is a bracket left open?"
        );
        assert_eq!(
            mistakes("a: 1\n---\nb: 2"),
            "f:2:1: a second document in the file\n  help: move it to a file of its own"
        );
        assert!(mistakes("a: \"b").starts_with("f:"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_a_mistake(source in "(a|: |\\{|\\}|\\[|\\]|- |\n  |\n|\"|'|0x|&|\\*|!|---|.){0,40}") {
            let problems = Problems::of("f");
            let read = Node::read(&source, &problems).map(|root| root.to_json());
            if let Err(told) = problems.unless_any(read) {
                prop_assert!(!told.is_empty());
            }
        }
    }
}
