use std::collections::BTreeSet;

use serde_json::Value;
use yaml::{Fields, Node, Problems};

use super::Check;
use crate::chain::{cover::Cover, error::StepError, templated::Templated, types::Type};

/// `redact: {value, types, strategy}`: its output is the value with everything sensitive in its texts covered. What the
/// types are is in [`crate::chain::sensitive`]; without `types` they are all of them.
#[derive(Debug)]
pub(crate) struct Redact {
    value: Templated,
    cover: Cover,
}

impl Redact {
    pub(super) const KEYS: [&str; 3] = ["value", "types", "strategy"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a redact step", &Self::KEYS, &[], problems)?;
        let value = fields.require("value", "\"{{ input.text }}\"");
        let cover = Cover::read(&fields);
        Some(Self {
            value: Templated::read(value?, problems),
            cover: cover?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.value.steps(steps);
    }

    /// Whoever wrote the rest of the text is as untrusted as before.
    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        self.cover.check(check.resources, check.problems);
        self.value.infer(check.scope, None, check.problems)
    }

    pub(super) fn run(&self, scope: &minijinja::Value) -> Result<Value, StepError> {
        self.cover.value(self.value.value(scope)?)
    }
}
