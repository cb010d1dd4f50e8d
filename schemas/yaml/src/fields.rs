use crate::{Content, Entry, Node, Position, Problems, Text};

/// The entries of a mapping whose keys have been checked, and what each must hold.
pub struct Fields<'a> {
    /// Where the mapping begins.
    pub position: Position,
    /// What it describes, for messages: "a chat step", "provider `openai`".
    pub what: String,
    pub problems: &'a Problems,
    entries: &'a [Entry],
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<T> {
    pub position: Position,
    pub value: T,
}

impl<'a> Fields<'a> {
    /// `known` keys may be there; `later` ones belong to the language but not to this version, and are refused as such:
    /// an option that is ignored is worse than one that is missing.
    pub fn of(
        node: &'a Node,
        what: impl Into<String>,
        known: &[&str],
        later: &[&str],
        problems: &'a Problems,
    ) -> Option<Self> {
        let what = what.into();
        let Content::Map(entries) = &node.content else {
            problems.add(
                node.position,
                format!("{what} must be a mapping, and this is {}", node.kind()),
                format!("its keys are: {}", known.join(", ")),
            );
            return None;
        };
        for entry in entries {
            let key = entry.key.as_str();
            if later.contains(&key) {
                let message = format!("`{key}` in {what} is not supported yet");
                problems.add(entry.position, message, "remove it: this version would not do it");
            } else if !known.contains(&key) {
                let message = format!("unknown key `{key}` in {what}");
                problems.add_unknown(entry.position, message, key, known.iter().copied());
            }
        }
        Some(Self {
            position: node.position,
            what,
            problems,
            entries,
        })
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
    }

    /// `example`: what could stand after the key that is missing.
    pub fn require(&self, key: &str, example: &str) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            self.problems
                .add(self.position, message, format!("add `{key}: {example}`"));
        }
        found
    }

    pub fn require_text(&self, key: &str, example: &str) -> Option<&'a Text> {
        self.require(key, example)?.text(key, self.problems)
    }

    pub fn require_list(&self, key: &str, example: &str) -> Option<&'a [Node]> {
        let node = self.require(key, example)?;
        if let Content::List(items) = &node.content {
            return Some(items);
        }
        self.problems.add(
            node.position,
            format!("`{key}` must be a list, and this is {}", node.kind()),
            format!("for example `{key}: {example}`"),
        );
        None
    }

    /// A scalar, turned from how it is written into what it means; `meaning` tells what it must be.
    pub fn scalar<T>(&self, key: &str, meaning: impl FnOnce(&'a str) -> Result<T, String>) -> Option<Placed<T>> {
        self.mean(key, self.get(key)?, meaning)
    }

    pub fn require_scalar<T>(
        &self,
        key: &str,
        example: &str,
        meaning: impl FnOnce(&'a str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        self.mean(key, self.require(key, example)?, meaning)
    }

    fn mean<T>(
        &self,
        key: &str,
        node: &'a Node,
        meaning: impl FnOnce(&'a str) -> Result<T, String>,
    ) -> Option<Placed<T>> {
        let position = node.position;
        let meant = match node.written() {
            Some(written) => meaning(written),
            None => Err(format!("must be a single value, and this is {}", node.kind())),
        };
        match meant {
            Ok(value) => Some(Placed { position, value }),
            Err(must) => {
                self.problems
                    .add_plain(position, format!("`{key}` of {} {must}", self.what));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{count, listed, word};

    #[test]
    fn a_mapping_is_held_to_its_keys_and_to_what_they_hold() {
        let problems = Problems::of("f.yaml");
        let root = Node::read("nmae: a\nsize: 0\nparts: x\nlater: 1\nprice: 0.10\nempty:\n", &problems).unwrap();
        let known = ["name", "size", "parts", "price", "empty"];
        let fields = Fields::of(&root, "a thing", &known, &["later"], &problems).unwrap();
        assert!(fields.require_text("name", "bolt").is_none());
        assert!(fields.scalar("size", count::<u32>).is_none());
        assert!(fields.require_list("parts", "[a, b]").is_none());
        assert!(fields.scalar("empty", word).is_none());
        assert_eq!(
            fields.scalar("price", word).unwrap().value,
            "0.10",
            "not through a float"
        );
        assert_eq!(
            listed(&problems.unless_any(Some(())).unwrap_err()),
            "\
f.yaml:1:1: unknown key `nmae` in a thing
  help: did you mean `name`?
f.yaml:1:1: a thing needs `name`
  help: add `name: bolt`
f.yaml:2:7: `size` of a thing must be a whole number of at least 1, not `0`
f.yaml:3:8: `parts` must be a list, and this is text
  help: for example `parts: [a, b]`
f.yaml:4:1: `later` in a thing is not supported yet
  help: remove it: this version would not do it
f.yaml:6:6: `empty` of a thing must be a single value, and this is nothing"
        );
    }
}
