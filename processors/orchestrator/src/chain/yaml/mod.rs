//! A YAML document as a tree that knows where everything stands.
//!
//! Stricter than YAML, so that a file means what it seems to mean: a repeated key is a mistake, and there are no anchors,
//! aliases, merge keys, tags or further documents (aliases are also how a small file becomes an endless one).

mod read;

use serde_json::{Map, Value};

use super::problem::{Position, Problems};

/// A node and the place it begins at.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Anything but text: null, boolean, number (YAML 1.2 core schema).
    Scalar(Value),
    Text(Text),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) value: Node,
}

/// A text scalar with the piece of the file it came from, so that a place inside the text can be found in the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    pub(crate) value: String,
    position: Position,
    raw: String,
}

impl Text {
    /// The place of `value[start..end]` in the file. Folding and escapes make this inexact by construction: it is the
    /// same occurrence of the same characters, and where there is none, the place where the text begins.
    pub(crate) fn position_of(&self, start: usize, end: usize) -> Position {
        self.find(start, end).unwrap_or(self.position)
    }

    fn find(&self, start: usize, end: usize) -> Option<Position> {
        let snippet = self.value.get(start..end).filter(|snippet| !snippet.is_empty())?;
        let earlier = self.value[..start].matches(snippet).count();
        let (at, _) = self.raw.match_indices(snippet).nth(earlier)?;
        let before = &self.raw[..at];
        Some(match before.rsplit_once('\n') {
            Some((lines, last)) => Position {
                line: self.position.line + 1 + lines.matches('\n').count(),
                column: last.chars().count() + 1,
            },
            None => Position {
                line: self.position.line,
                column: self.position.column + before.chars().count(),
            },
        })
    }
}

impl Node {
    /// Reads the one document of a file. `None` if it is not YAML; every mistake is in `problems`.
    pub(crate) fn read(source: &str, problems: &mut Problems) -> Option<Self> {
        read::read(source, problems)
    }

    /// The node as JSON, without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Text(text) => Value::String(text.value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Content::Scalar(_) | Content::Text(_) | Content::List(_) => None,
        }
    }

    /// The place of the node that a JSON pointer (RFC 6901) leads to, or of the last one on the way.
    pub(crate) fn position_at(&self, pointer: &str) -> Position {
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.content {
                Content::List(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
                Content::Map(_) => node.get(&token),
                Content::Scalar(_) | Content::Text(_) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.position
    }

    /// What the node is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(Value::Null) => "nothing",
            Content::Scalar(Value::Bool(_)) => "a boolean",
            Content::Scalar(_) => "a number",
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}
