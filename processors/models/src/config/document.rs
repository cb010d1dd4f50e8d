//! YAML as a tree in which every key and value knows where it stands.
//!
//! Scalars stay text: a price must not pass through a float on its way to nano-dollars. Anchors and tags are refused:
//! no models file needs them, and aliases of aliases are how a small file becomes a large one in memory.

use crate::config::problem::Position;
use saphyr_parser::{Event, Parser, Span};

const MAX_DEPTH: usize = 16;

#[derive(Debug)]
pub(crate) struct Node {
    pub position: Position,
    pub value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug)]
pub(crate) struct Key {
    pub position: Position,
    pub name: String,
}

/// The text is not the YAML this file may be written in.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct SyntaxError {
    pub position: Position,
    pub message: String,
}

/// A collection that is still being read.
struct Open {
    node: Node,
    /// The key whose value comes next.
    key: Option<Key>,
}

/// The first document of `text`; `None` if there is none.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, SyntaxError> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| SyntaxError {
            position: Position {
                line: e.marker().line(),
                column: e.marker().col() + 1,
            },
            message: format!("not YAML: {}", e.info()),
        })?;
        let position = start(&span);
        let finished = match event {
            Event::Scalar(text, _, 0, None) => Node {
                position,
                value: Value::Scalar(text.into_owned()),
            },
            Event::SequenceStart(0, None) => {
                push(&mut open, position, Value::Sequence(Vec::new()))?;
                continue;
            }
            Event::MappingStart(0, None) => {
                push(&mut open, position, Value::Mapping(Vec::new()))?;
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.node,
                None => continue,
            },
            Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                return Err(SyntaxError {
                    position,
                    message: "anchors, aliases and tags are not supported here".to_owned(),
                });
            }
            Event::DocumentEnd | Event::StreamEnd => return Ok(None),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
        };
        let Some(parent) = open.last_mut() else {
            return Ok(Some(finished));
        };
        match &mut parent.node.value {
            Value::Sequence(items) => items.push(finished),
            Value::Mapping(entries) => match parent.key.take() {
                Some(key) => entries.push((key, finished)),
                None => parent.key = Some(as_key(finished)?),
            },
            Value::Scalar(_) => {}
        }
    }
    Ok(None)
}

fn push(open: &mut Vec<Open>, position: Position, value: Value) -> Result<(), SyntaxError> {
    if open.len() == MAX_DEPTH {
        return Err(SyntaxError {
            position,
            message: format!("nested deeper than {MAX_DEPTH} levels"),
        });
    }
    open.push(Open {
        node: Node { position, value },
        key: None,
    });
    Ok(())
}

fn as_key(node: Node) -> Result<Key, SyntaxError> {
    match node.value {
        Value::Scalar(name) => Ok(Key {
            position: node.position,
            name,
        }),
        Value::Sequence(_) | Value::Mapping(_) => Err(SyntaxError {
            position: node.position,
            message: "a key is a word, not a list or a mapping".to_owned(),
        }),
    }
}

fn start(span: &Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}
