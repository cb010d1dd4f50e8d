//! The keys of a mapping: which there may be, and what each must hold.

use std::time::Duration;

use serde_json::Value;

use super::{
    problem::{Position, Problems},
    yaml::{Content, Entry, Node, Text},
};

/// The entries of a mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    pub(crate) position: Position,
    what: &'static str,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// `known` keys may be there; `later` ones belong to the language but not to this version, and are refused as such:
    /// an option that is ignored is worse than one that is missing. `what` is "a chat step", for messages.
    pub(crate) fn of(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        later: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            let help = format!("its keys are: {}", known.join(", "));
            problems.add(
                node.position,
                format!("{what} must be a mapping, and this is {}", node.kind()),
                help,
            );
            return None;
        };
        for entry in entries {
            let key = entry.key.as_str();
            if later.contains(&key) {
                let message = format!("`{key}` in {what} is not supported yet");
                problems.add(entry.position, message, "remove it: this version would not do it");
            } else if !known.contains(&key) {
                problems.add_unknown(
                    entry.position,
                    format!("unknown key `{key}` in {what}"),
                    key,
                    known.iter().copied(),
                );
            }
        }
        Some(Self {
            position: node.position,
            what,
            entries,
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    pub(crate) fn require(&self, key: &str, problems: &mut Problems) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            problems.add_plain(self.position, format!("{} needs `{key}`", self.what));
        }
        found
    }

    pub(crate) fn require_text(&self, key: &str, problems: &mut Problems) -> Option<&'n Text> {
        let node = self.require(key, problems)?;
        text(node, key, problems)
    }
}

pub(crate) fn text<'n>(node: &'n Node, key: &str, problems: &mut Problems) -> Option<&'n Text> {
    match &node.content {
        Content::Text(text) => Some(text),
        Content::Scalar(value) if !value.is_null() => {
            let help = format!("quote it: \"{value}\"");
            problems.add(
                node.position,
                format!("`{key}` must be text, and this is {}", node.kind()),
                help,
            );
            None
        }
        Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
            problems.add_plain(
                node.position,
                format!("`{key}` must be text, and this is {}", node.kind()),
            );
            None
        }
    }
}

pub(crate) fn boolean(node: &Node, key: &str, problems: &mut Problems) -> Option<bool> {
    if let Content::Scalar(Value::Bool(value)) = node.content {
        return Some(value);
    }
    problems.add_plain(
        node.position,
        format!("`{key}` must be true or false, and this is {}", node.kind()),
    );
    None
}

/// `500ms`, `20s`, `5m` or `1h`.
pub(crate) fn duration(node: &Node, key: &str, problems: &mut Problems) -> Option<Duration> {
    let written = match &node.content {
        Content::Text(text) => text.value.as_str(),
        Content::Scalar(_) | Content::List(_) | Content::Map(_) => "",
    };
    let (amount, unit) = written.split_at(written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len()));
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let duration = milliseconds
        .zip(amount.parse::<u64>().ok())
        .and_then(|(unit, amount)| amount.checked_mul(unit))
        .filter(|milliseconds| *milliseconds > 0);
    if duration.is_none() {
        problems.add(
            node.position,
            format!("`{key}` must be a length of time"),
            "write it as 500ms, 20s, 5m or 1h",
        );
    }
    duration.map(Duration::from_millis)
}
