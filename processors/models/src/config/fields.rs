//! Reading one mapping of the file field by field; what was not asked for is a mistake.

use super::document::{Key, Node, Value};
use super::price::nano_dollars;
use super::problem::{Position, Problems};
use std::cell::RefCell;
use std::time::Duration;

pub(crate) struct Fields<'a> {
    /// Where the mapping begins.
    pub(crate) position: Position,
    /// What it describes, for messages: "provider `openai`".
    pub(crate) what: String,
    entries: &'a [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
    problems: &'a Problems,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(node: &'a Node, what: impl Into<String>, problems: &'a Problems) -> Option<Self> {
        let what = what.into();
        let Value::Mapping(entries) = &node.value else {
            problems.add(
                node.position,
                format!("{what} is not a mapping"),
                "write it as `key: value` lines",
            );
            return None;
        };
        for (i, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries[..i].iter().find(|(earlier, _)| earlier.name == key.name) {
                problems.add(
                    key.position,
                    format!("`{}` is written twice in {what}", key.name),
                    format!("keep one of them; the first is in line {}", first.position.line),
                );
            }
        }
        Some(Self {
            position: node.position,
            what,
            entries,
            asked: RefCell::default(),
            problems,
        })
    }

    /// The mapping under one of its keys.
    pub(crate) fn nested(&self, node: &'a Node, name: &str) -> Option<Self> {
        Self::of(node, format!("`{name}` of {}", self.what), self.problems)
    }

    pub(crate) fn wrong(&self, position: Position, message: impl Into<String>, help: impl Into<String>) {
        self.problems.add(position, message, help);
    }

    pub(crate) fn entries(&self) -> &'a [(Key, Node)] {
        self.entries
    }

    pub(crate) fn node(&self, name: &'static str) -> Option<&'a Node> {
        self.asked.borrow_mut().push(name);
        self.entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    /// A field that is not there is a mistake.
    pub(crate) fn required(&self, name: &'static str, example: &str) -> Option<&'a Node> {
        let node = self.node(name);
        if node.is_none() {
            self.wrong(
                self.position,
                format!("{} has no `{name}`", self.what),
                format!("add `{name}: {example}`"),
            );
        }
        node
    }

    pub(crate) fn text(&self, node: &'a Node, help: &str) -> Option<&'a str> {
        match &node.value {
            Value::Scalar(text) if !text.is_empty() => Some(text),
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
                self.wrong(node.position, format!("a value of {} is not text", self.what), help);
                None
            }
        }
    }

    pub(crate) fn optional_text(&self, name: &'static str, help: &str) -> Option<(&'a str, Position)> {
        let node = self.node(name)?;
        Some((self.text(node, help)?, node.position))
    }

    pub(crate) fn required_text(&self, name: &'static str, example: &str) -> Option<(&'a str, Position)> {
        let node = self.required(name, example)?;
        Some((
            self.text(node, &format!("for example `{name}: {example}`"))?,
            node.position,
        ))
    }

    /// A whole number of at least `least`.
    pub(crate) fn count(&self, name: &'static str, least: u32) -> Option<u32> {
        let (text, position) = self.optional_text(name, "write a whole number")?;
        match text.parse() {
            Ok(number) if number >= least => Some(number),
            Ok(_) | Err(_) => {
                self.wrong(
                    position,
                    format!(
                        "`{name}: {text}` of {} is not a whole number of at least {least}",
                        self.what
                    ),
                    format!("for example `{name}: {}`", least.max(64)),
                );
                None
            }
        }
    }

    /// `250ms`, `30s`, `2m`: more than none, at most a day.
    pub(crate) fn duration(&self, name: &'static str) -> Option<Duration> {
        let (text, position) = self.optional_text(name, "write a duration, for example `30s`")?;
        let duration = duration(text);
        if duration.is_none() {
            self.wrong(
                position,
                format!("`{name}: {text}` of {} is not a duration", self.what),
                "write a whole number and a unit, `250ms`, `30s` or `2m`: more than none, at most 24 hours",
            );
        }
        duration
    }

    /// Dollars, as nano-dollars.
    pub(crate) fn dollars(&self, name: &'static str) -> Option<i64> {
        let (text, position) = self.optional_text(name, "write dollars per million tokens, for example `0.15`")?;
        let nanos = nano_dollars(text);
        if nanos.is_none() {
            self.wrong(
                position,
                format!("`{name}: {text}` of {} is not an amount of dollars", self.what),
                "write dollars per million tokens as in the price list, with at most nine decimals: `0.15`",
            );
        }
        nanos
    }

    /// A field this version knows of but does not do yet.
    pub(crate) fn not_yet(&self, name: &'static str, help: &str) {
        if let Some(node) = self.node(name) {
            self.wrong(
                node.position,
                format!("`{name}` of {} is not supported yet", self.what),
                help,
            );
        }
    }

    /// Every key that nobody asked for is a mistake.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries {
            if !asked.contains(&key.name.as_str()) {
                self.wrong(
                    key.position,
                    format!("{} has no field `{}`", self.what, key.name),
                    format!("its fields are {}", asked.join(", ")),
                );
            }
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    (1..=86_400_000)
        .contains(&millis)
        .then(|| Duration::from_millis(millis))
}
