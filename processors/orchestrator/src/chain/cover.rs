//! Covering what is sensitive in texts: `{types, strategy}` of a `redact` step, and of what leaves a chain.

use std::sync::OnceLock;

use serde_json::Value;
use yaml::{Content, Fields, Node, Position, Problems};

use super::{
    error::StepError,
    hash_key::HashKey,
    resources::Resources,
    sensitive::{self, Sensitive},
};

#[derive(Debug)]
pub(crate) struct Cover {
    types: Vec<Sensitive>,
    strategy: Strategy,
    /// Of the strategy.
    position: Position,
    /// Found when the file is checked.
    key: OnceLock<HashKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    /// `[REDACTED_EMAIL]`
    Redact,
    /// Stars, but for the last four characters.
    Mask,
    /// `[EMAIL_HASH_0123456789abcdef]`
    Hash,
    /// The step fails with the class `blocked`.
    Block,
}

impl Cover {
    pub(crate) const KEYS: [&str; 2] = ["types", "strategy"];

    /// Without `types` it covers all of them.
    pub(crate) fn read(fields: &Fields<'_>) -> Option<Self> {
        let types = fields.get("types").map(|node| types(node, fields.problems));
        let strategy = fields.get("strategy").map(|_| fields.scalar("strategy", strategy));
        let strategy = strategy.map_or(Some(None), |strategy| Some(Some(strategy?)))?;
        Some(Self {
            types: types.unwrap_or_else(|| Some(Sensitive::ALL.into()))?,
            strategy: strategy.map_or(Strategy::Redact, |strategy| strategy.value),
            position: strategy.map_or(fields.position, |strategy| strategy.position),
            key: OnceLock::new(),
        })
    }

    pub(crate) fn check(&self, resources: &Resources, problems: &Problems) {
        match (&resources.hash_key, self.strategy) {
            (Some(key), Strategy::Hash) => {
                // A file is checked once.
                let _ = self.key.set(key.clone());
            }
            (None, Strategy::Hash) => {
                let help = "set `hash_key: {env: NAME}` in millrace.yaml; `openssl rand -hex 32` makes a key";
                problems.add(self.position, "`hash` needs a key, and none is configured", help);
            }
            (_, Strategy::Redact | Strategy::Mask | Strategy::Block) => {}
        }
    }

    /// Where its strategy stands, if that stops a run.
    pub(crate) fn blocks(&self) -> Option<Position> {
        (self.strategy == Strategy::Block).then_some(self.position)
    }

    /// The value with its texts covered. Names and numbers stay, so that its type does.
    pub(crate) fn value(&self, value: Value) -> Result<Value, StepError> {
        match value {
            Value::String(text) => self.text(&text).map(Value::String),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| Ok((name, self.value(value)?)));
                fields.collect::<Result<_, StepError>>().map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value),
        }
    }

    pub(crate) fn text(&self, text: &str) -> Result<String, StepError> {
        let mut covered = String::with_capacity(text.len());
        let mut end = 0;
        for (kind, range) in sensitive::find(text, &self.types) {
            covered.push_str(&text[end..range.start]);
            let found = &text[range.clone()];
            let name = kind.name().to_ascii_uppercase();
            match self.strategy {
                Strategy::Redact => covered.push_str(&format!("[REDACTED_{name}]")),
                Strategy::Mask => covered.push_str(&mask(found)),
                Strategy::Hash => {
                    // Without a key the file could not have been read.
                    let key = self.key.get().ok_or_else(|| StepError::Option {
                        message: "`hash` has no key".to_owned(),
                    })?;
                    covered.push_str(&format!("[{name}_HASH_{}]", key.hash(kind.name(), found)));
                }
                Strategy::Block => return Err(StepError::Blocked { kind: kind.name() }),
            }
            end = range.end;
        }
        covered.push_str(&text[end..]);
        Ok(covered)
    }

    /// A text that may be JSON: that is covered behind its escapes, and stays JSON. What has nothing to cover stays as it is.
    pub(crate) fn json(&self, text: &str) -> Result<String, StepError> {
        let Ok(json) = serde_json::from_str::<Value>(text) else {
            return self.text(text);
        };
        let covered = self.everything(&json)?;
        Ok(if covered == json {
            text.to_owned()
        } else {
            covered.to_string()
        })
    }

    /// Names and numbers, too.
    fn everything(&self, json: &Value) -> Result<Value, StepError> {
        Ok(match json {
            Value::String(text) => Value::String(self.text(text)?),
            Value::Number(number) => {
                let written = number.to_string();
                let covered = self.text(&written)?;
                if covered == written {
                    json.clone()
                } else {
                    Value::String(covered)
                }
            }
            Value::Array(items) => items
                .iter()
                .map(|item| self.everything(item))
                .collect::<Result<_, _>>()?,
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| Ok((self.text(name)?, self.everything(value)?)));
                Value::Object(fields.collect::<Result<_, StepError>>()?)
            }
            Value::Null | Value::Bool(_) => json.clone(),
        })
    }
}

/// The last four of at least eight characters stay, so that their owner knows what it was.
fn mask(found: &str) -> String {
    let length = found.chars().count();
    let kept = if length < 8 { 0 } else { 4 };
    let stars = std::iter::repeat_n('*', length - kept);
    stars.chain(found.chars().skip(length - kept)).collect()
}

fn types(node: &Node, problems: &Problems) -> Option<Vec<Sensitive>> {
    let Content::List(items) = &node.content else {
        let message = format!("`types` must be a list, and this is {}", node.kind());
        problems.add(node.position, message, "for example types: [email, phone]");
        return None;
    };
    if items.is_empty() {
        let help = "name some, or leave `types` out for all of them";
        problems.add(
            node.position,
            "`types` is empty, and nothing would ever be covered",
            help,
        );
    }
    let read = |item: &Node| {
        let name = &item.text("types", problems)?.value;
        let found = Sensitive::ALL.into_iter().find(|kind| kind.name() == name);
        if found.is_none() {
            let known = Sensitive::ALL.map(Sensitive::name);
            problems.add_unknown(item.position, format!("`{name}` is not known by its form"), name, known);
        }
        found
    };
    items.iter().map(read).collect()
}

fn strategy(written: &str) -> Result<Strategy, String> {
    match written {
        "redact" => Ok(Strategy::Redact),
        "mask" => Ok(Strategy::Mask),
        "hash" => Ok(Strategy::Hash),
        "block" => Ok(Strategy::Block),
        other => Err(format!("must be `redact`, `mask`, `hash` or `block`, not `{other}`")),
    }
}
