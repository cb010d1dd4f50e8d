//! From the parser's events to the tree.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use serde_json::Value;

use super::{Content, Entry, Node, Text};
use crate::chain::problem::{Position, Problems};

/// Deeper nesting is refused: what walks the tree later recurses.
const MAX_DEPTH: usize = 64;

pub(super) fn read(source: &str, problems: &mut Problems) -> Option<Node> {
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
}

struct Reader<'s, 'p> {
    source: Source<'s>,
    problems: &'p mut Problems,
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
                    self.problems.add_plain(position(error.marker()), message);
                    return None;
                }
            }
        }
        if self.root.is_none() {
            self.problems
                .add_plain(Position { line: 1, column: 1 }, "the file is empty");
        }
        self.root
    }

    /// `None` ends the reading: what follows would only repeat the mistake.
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let at = position(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) if self.root.is_some() => {
                self.problems.add(
                    at,
                    "a second document in the file",
                    "one file holds one chain: move it to its own file",
                );
                return None;
            }
            Event::DocumentStart(_) => {}
            Event::Alias(_) => {
                self.problems
                    .add(at, "aliases are not supported", "write the value out");
                self.value(Node {
                    position: at,
                    content: Content::Scalar(Value::Null),
                });
            }
            Event::Scalar(value, style, anchor, tag) => {
                self.plain(at, anchor, tag.as_deref());
                let content = match style {
                    ScalarStyle::Plain => resolve(&value),
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
            self.problems
                .add_plain(at, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.open.push(Open {
            node: Node { position: at, content },
            key: None,
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
                    if entries.iter().any(|entry| entry.key == key) {
                        let message = format!("`{key}` is given twice");
                        self.problems.add(position, message, "keep one of the two");
                    } else {
                        entries.push(Entry {
                            key,
                            position,
                            value: node,
                        });
                    }
                }
                None => {
                    let at = node.position;
                    let key = match node.content {
                        Content::Text(text) => text.value,
                        Content::Scalar(value) => value.to_string(),
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

/// A plain scalar that is not text, by the core schema of YAML 1.2.2 §10.3.2.
fn resolve(plain: &str) -> Option<Value> {
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(plain);
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ if digits.starts_with("0x") => i64::from_str_radix(&plain[2..], 16).ok().map(Value::from),
        _ if digits.starts_with("0o") => i64::from_str_radix(&plain[2..], 8).ok().map(Value::from),
        // `inf` and `nan` begin with a letter: JSON has neither, they stay text.
        _ if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            let integer = plain.parse::<i64>().map(Value::from).ok();
            integer.or_else(|| {
                plain
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .map(Value::from)
            })
        }
        _ => None,
    }
}

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}
