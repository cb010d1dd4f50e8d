//! YAML as a tree that knows where everything stands. Scalars stay text. No anchors, aliases or tags: the list needs
//! none, and aliases are how a small file becomes an endless one.

use std::fmt;

use saphyr_parser::{Event, Marker, Parser};

const MAX_DEPTH: usize = 16;

/// One thing to mend. Line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    pub(super) fn mistake(self, message: impl Into<String>) -> Mistake {
        Mistake {
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }
}

impl From<&Marker> for Place {
    fn from(marker: &Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

pub(super) enum Content {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) value: Node,
}

/// A collection that is being read, and the key whose value comes next.
struct Open {
    node: Node,
    key: Option<(Place, String)>,
}

/// The one document of `text`.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Place::from(error.marker()).mistake(format!("not YAML: {}", error.info())))?;
        let place = Place::from(&span.start);
        let finished = match event {
            Event::Scalar(text, _, 0, None) => Node {
                place,
                content: Content::Scalar(text.into_owned()),
            },
            Event::SequenceStart(0, None) => {
                begin(
                    &mut open,
                    Node {
                        place,
                        content: Content::List(Vec::new()),
                    },
                )?;
                continue;
            }
            Event::MappingStart(0, None) => {
                begin(
                    &mut open,
                    Node {
                        place,
                        content: Content::Map(Vec::new()),
                    },
                )?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.node,
                None => continue,
            },
            Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(place.mistake("anchors, aliases and tags are not allowed here: write the value out"));
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                continue;
            }
        };
        match open.last_mut() {
            Some(parent) => attach(parent, finished)?,
            None => return Ok(finished),
        }
    }
    Err(Place { line: 1, column: 1 }.mistake("the file is empty: it must list `topics` and `groups`"))
}

fn begin(open: &mut Vec<Open>, node: Node) -> Result<(), Mistake> {
    if open.len() == MAX_DEPTH {
        return Err(node.place.mistake(format!("nested deeper than {MAX_DEPTH} levels")));
    }
    open.push(Open { node, key: None });
    Ok(())
}

fn attach(parent: &mut Open, child: Node) -> Result<(), Mistake> {
    match (&mut parent.node.content, parent.key.take()) {
        (Content::List(items), _) => items.push(child),
        (Content::Map(entries), Some((place, key))) => entries.push(Entry {
            place,
            key,
            value: child,
        }),
        (Content::Map(_), None) => match child.content {
            Content::Scalar(key) => parent.key = Some((child.place, key)),
            Content::List(_) | Content::Map(_) => return Err(child.place.mistake("a key must be a word")),
        },
        (Content::Scalar(_), _) => {}
    }
    Ok(())
}
