use std::collections::BTreeSet;

use serde_json::Value;
use yaml::{Node, Problems};

use super::Check;
use crate::chain::{error::StepError, templated::Templated, types::Type};

/// `transform: {text: "{{ … }}"}`: its output is the value, with its templates filled in. It calls nothing.
#[derive(Debug)]
pub(crate) struct Transform {
    value: Templated,
}

impl Transform {
    pub(super) fn read(node: &Node, problems: &Problems) -> Self {
        Self {
            value: Templated::read(node, problems),
        }
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.value.steps(steps);
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        self.value.infer(check.scope, None, check.problems)
    }

    pub(super) fn run(&self, scope: &minijinja::Value) -> Result<Value, StepError> {
        Ok(self.value.value(scope)?)
    }
}
