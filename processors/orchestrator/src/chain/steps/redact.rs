use std::collections::BTreeSet;

use serde_json::Value;
use yaml::{Content, Fields, Node, Problems};

use super::Check;
use crate::chain::{
    error::StepError,
    sensitive::{self, Sensitive},
    templated::Templated,
    types::Type,
};

/// `redact: {value, types, strategy}`: its output is the value with everything sensitive in its texts covered. What the
/// types are is in [`sensitive`]; without `types` they are all of them.
#[derive(Debug)]
pub(crate) struct Redact {
    value: Templated,
    types: Vec<Sensitive>,
    strategy: Strategy,
}

#[derive(Debug, Clone, Copy)]
enum Strategy {
    /// `[REDACTED_EMAIL]`
    Redact,
    /// Stars, but for the last four characters.
    Mask,
    /// The step fails with the class `blocked`.
    Block,
}

impl Redact {
    pub(super) const KEYS: [&str; 3] = ["value", "types", "strategy"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a redact step", &Self::KEYS, &[], problems)?;
        let value = fields.require("value", "\"{{ input.text }}\"");
        let types = fields.get("types").map(|node| types(node, problems));
        let strategy = fields.get("strategy").map(|_| fields.scalar("strategy", strategy));
        Some(Self {
            value: Templated::read(value?, problems),
            types: types.unwrap_or_else(|| Some(Sensitive::ALL.into()))?,
            strategy: strategy.map_or(Some(Strategy::Redact), |strategy| Some(strategy?.value))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.value.steps(steps);
    }

    /// Whoever wrote the rest of the text is as untrusted as before.
    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        self.value.infer(check.scope, None, check.problems)
    }

    pub(super) fn run(&self, scope: &minijinja::Value) -> Result<Value, StepError> {
        self.cover(self.value.value(scope)?)
    }

    fn cover(&self, value: Value) -> Result<Value, StepError> {
        match value {
            Value::String(text) => self.cover_text(&text).map(Value::String),
            Value::Array(items) => items.into_iter().map(|item| self.cover(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| Ok((name, self.cover(value)?)));
                fields.collect::<Result<_, StepError>>().map(Value::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(value),
        }
    }

    fn cover_text(&self, text: &str) -> Result<String, StepError> {
        let mut covered = String::with_capacity(text.len());
        let mut end = 0;
        for (kind, range) in sensitive::find(text, &self.types) {
            covered.push_str(&text[end..range.start]);
            let found = &text[range.clone()];
            match self.strategy {
                Strategy::Redact => covered.push_str(&format!("[REDACTED_{}]", kind.name().to_ascii_uppercase())),
                Strategy::Mask => covered.push_str(&mask(found)),
                Strategy::Block => return Err(StepError::Blocked { kind: kind.name() }),
            }
            end = range.end;
        }
        covered.push_str(&text[end..]);
        Ok(covered)
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
        "block" => Ok(Strategy::Block),
        "hash" => Err("`hash` is not supported yet: use redact, mask or block".to_owned()),
        other => Err(format!("must be redact, mask or block, not `{other}`")),
    }
}
