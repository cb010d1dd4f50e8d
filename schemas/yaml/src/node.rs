use serde_json::{Map, Value};

use crate::{Position, Problems, Scalar, read};

/// A node and the place it begins at.
#[derive(Debug, Clone)]
pub struct Node {
    pub position: Position,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    /// Anything but text.
    Scalar(Scalar),
    Text(Text),
    List(Vec<Node>),
    /// No key twice.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    /// Of the key.
    pub position: Position,
    pub value: Node,
}

/// A text scalar with the piece of the file it came from, so that a place inside the text can be found in the file.
#[derive(Debug, Clone, Default)]
pub struct Text {
    pub value: String,
    pub(crate) position: Position,
    pub(crate) raw: String,
}

impl Node {
    /// Reads the one document of a file. `None` if it is not YAML; every mistake is in `problems`.
    pub fn read(source: &str, problems: &Problems) -> Option<Self> {
        read::read(source, problems)
    }

    /// The node as JSON, without its places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(scalar) => scalar.value.clone(),
            Content::Text(text) => Value::String(text.value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                let pairs = entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            Content::Scalar(_) | Content::Text(_) | Content::List(_) => None,
        }
    }

    /// A scalar as the file has it: `0.10`, `007` and `1MiB` keep every character.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(&text.value),
            Content::Scalar(scalar) if !scalar.value.is_null() => Some(&scalar.written),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The text that `key` must hold.
    pub fn text(&self, key: &str, problems: &Problems) -> Option<&Text> {
        let help = match &self.content {
            Content::Text(text) => return Some(text),
            Content::Scalar(scalar) if !scalar.value.is_null() => format!("quote it: \"{}\"", scalar.written),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => format!("for example `{key}: \"…\"`"),
        };
        let message = format!("`{key}` must be text, and this is {}", self.kind());
        problems.add(self.position, message, help);
        None
    }

    /// The boolean that `key` must hold.
    pub fn boolean(&self, key: &str, problems: &Problems) -> Option<bool> {
        if let Content::Scalar(Scalar {
            value: Value::Bool(value),
            ..
        }) = self.content
        {
            return Some(value);
        }
        let message = format!("`{key}` must be true or false, and this is {}", self.kind());
        problems.add_plain(self.position, message);
        None
    }

    /// The place of the node that a JSON pointer (RFC 6901) leads to, or of the last one on the way.
    #[must_use]
    pub fn position_at(&self, pointer: &str) -> Position {
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
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) => match scalar.value {
                Value::Null => "nothing",
                Value::Bool(_) => "a boolean",
                _ => "a number",
            },
            Content::Text(_) => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }
}

impl Text {
    /// The place of `value[start..end]` in the file. Folding and escapes make this inexact by construction: it is the
    /// same occurrence of the same characters, and where there is none, the place where the text begins.
    #[must_use]
    pub fn position_of(&self, start: usize, end: usize) -> Position {
        self.find(start, end).unwrap_or(self.position)
    }

    /// Where it begins and how many characters it takes there, quotes included; `None` if it goes over several lines.
    #[must_use]
    pub fn extent(&self) -> Option<(Position, usize)> {
        let raw = self.raw.trim_end();
        (!raw.contains('\n')).then(|| (self.position, raw.chars().count()))
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
