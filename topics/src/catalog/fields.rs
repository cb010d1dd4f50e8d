//! Reads the keys of one mapping, and collects what is wrong with them.

use std::time::Duration;

use super::yaml::{Content, Entry, Mistake, Node, Place};

/// A value and where it stands.
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

pub(super) struct Fields<'n, 'm> {
    place: Place,
    /// What the mapping describes, for messages.
    what: &'static str,
    entries: &'n [Entry],
    known: Vec<&'static str>,
    mistakes: &'m mut Vec<Mistake>,
}

impl<'n, 'm> Fields<'n, 'm> {
    pub(super) fn of(node: &'n Node, what: &'static str, mistakes: &'m mut Vec<Mistake>) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            mistakes.push(
                node.place
                    .mistake(format!("{what} must be written as `key: value` lines")),
            );
            return None;
        };
        Some(Self {
            place: node.place,
            what,
            entries,
            known: Vec::new(),
            mistakes,
        })
    }

    pub(super) fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.mistakes.push(place.mistake(message));
    }

    pub(super) fn optional(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        let mut found = self.entries.iter().filter(|entry| entry.key == key);
        let first = found.next();
        for repeated in found {
            self.mistakes
                .push(repeated.place.mistake(format!("`{key}` is written twice")));
        }
        first.map(|entry| &entry.value)
    }

    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<&'n Node> {
        let node = self.optional(key);
        if node.is_none() {
            self.wrong(
                self.place,
                format!("{} has no `{key}`: add `{key}: {example}`", self.what),
            );
        }
        node
    }

    pub(super) fn list(&mut self, key: &'static str, example: &str) -> &'n [Node] {
        let Some(node) = self.required(key, example) else {
            return &[];
        };
        match &node.content {
            Content::List(items) => items,
            Content::Scalar(_) | Content::Map(_) => {
                self.wrong(node.place, format!("`{key}` must be a list, as `{key}: {example}`"));
                &[]
            }
        }
    }

    /// A scalar turned into what it means; `read` says what is wrong with it.
    pub(super) fn scalar<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let node = self.optional(key)?;
        self.read(node, key, read)
    }

    pub(super) fn required_scalar<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let node = self.required(key, example)?;
        self.read(node, key, read)
    }

    fn read<T>(&mut self, node: &Node, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<Placed<T>> {
        let outcome = match &node.content {
            Content::Scalar(text) => read(text),
            Content::List(_) | Content::Map(_) => Err("must be a single value".to_owned()),
        };
        match outcome {
            Ok(value) => Some(Placed {
                place: node.place,
                value,
            }),
            Err(message) => {
                self.wrong(node.place, format!("`{key}` {message}"));
                None
            }
        }
    }

    /// Every key that nobody asked for is a mistake.
    pub(super) fn finish(self) {
        for entry in self
            .entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key.as_str()))
        {
            let message = format!("{} has no `{}`; it has {}", self.what, entry.key, self.known.join(", "));
            self.mistakes.push(entry.place.mistake(message));
        }
    }
}

pub(super) fn text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A whole number of at least 1.
pub(super) fn count<N: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<N, String> {
    match text.parse::<N>() {
        Ok(number) if number >= N::from(1) => Ok(number),
        Ok(_) | Err(_) => Err(format!("must be a whole number of at least 1, not `{text}`")),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = match unit(text) {
        Some((number, "m")) => number.checked_mul(60),
        Some((number, "h")) => number.checked_mul(3_600),
        Some((number, "d")) => number.checked_mul(86_400),
        Some(_) | None => None,
    };
    seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a time such as `30m`, `12h` or `7d`, not `{text}`"))
}

/// At least 1 MiB: `max.message.bytes` counts a whole batch, librdkafka fills batches of 1 MB (`batch.size`), and a
/// refused batch takes every record in it along.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let bytes = match unit(text) {
        Some((number, "KiB")) => number.checked_mul(1 << 10),
        Some((number, "MiB")) => number.checked_mul(1 << 20),
        Some(_) | None => None,
    };
    bytes
        .filter(|bytes| (1 << 20..=i32::MAX as u64).contains(bytes))
        .ok_or_else(|| format!("must be a size from 1MiB to 2047MiB such as `4MiB`, not `{text}`"))
}

fn unit(text: &str) -> Option<(u64, &str)> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit))
}
