use std::collections::BTreeSet;

use serde_json::{Value, json};
use yaml::{Fields, Node, Problems};

use super::Check;
use crate::chain::{
    context::Surroundings,
    error::StepError,
    fits::misfit,
    schema::Schema,
    templated::Templated,
    turn::{Approval, Decision},
    types::Type,
};

/// `approve: {message, value, schema}`: a person decides. The run ends as `interrupted`, and a resume goes on with it.
///
/// Its output is `approved`, the `value` as it was shown or, if `schema` allows for that, as whoever decided has changed it,
/// and `comment` and `by`, which may be empty.
#[derive(Debug)]
pub(crate) struct Approve {
    message: Templated,
    value: Templated,
    schema: Option<Schema>,
}

impl Approve {
    pub(super) const KEYS: [&str; 3] = ["message", "value", "schema"];

    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "an approve step", &Self::KEYS, &[], problems)?;
        let message = fields.require("message", "\"Refund {{ input.amount }}?\"");
        let value = fields.require("value", "{amount: \"{{ input.amount }}\"}");
        let schema = fields
            .get("schema")
            .map(|node| Schema::read(node, "`schema` of an approve step", problems));
        Some(Self {
            message: Templated::read(message?, problems),
            value: Templated::read(value?, problems),
            schema: schema.map_or(Some(None), |schema| Some(Some(schema?)))?,
        })
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        self.message.steps(steps);
        self.value.steps(steps);
    }

    pub(super) fn check(&self, check: &mut Check<'_>) -> Type {
        let message = self.message.infer(check.scope, None, check.problems);
        if let Some(why) = misfit(&message, &Type::TEXT) {
            let help = "write it as a text: \"Refund {{ input.amount }}?\"";
            check
                .problems
                .add(self.message.position, format!("`message` is for people: {why}"), help);
        }
        let shown = self.value.infer(check.scope, None, check.problems);
        let value = match self.schema.as_ref().map(Schema::type_of) {
            Some(wanted) => {
                if let Some(why) = misfit(&shown, &wanted) {
                    let message = format!("`value` is not what `schema` says: {why}");
                    check
                        .problems
                        .add(self.value.position, message, "change the one or the other");
                }
                wanted.tainted(shown.is_untrusted())
            }
            None => shown,
        };
        let told = Type::Text { untrusted: true };
        Type::object([
            ("approved", Type::Boolean),
            ("value", value),
            ("comment", told.clone()),
            ("by", told),
        ])
    }

    pub(super) fn run(
        &self,
        step: &str,
        scope: &minijinja::Value,
        around: &Surroundings<'_>,
    ) -> Result<Value, StepError> {
        let shown = self.value.value(scope)?;
        let Some(decision) = around.turn.decision(step) else {
            let message = match self.message.value(scope)? {
                Value::String(text) => text,
                other => other.to_string(),
            };
            around.turn.wait_for(Approval {
                step: step.to_owned(),
                message,
                value: shown,
                schema: self.schema.as_ref().map(|schema| schema.json().clone()),
            });
            return Err(StepError::Interrupted);
        };
        self.decided(decision, shown)
    }

    fn decided(&self, decision: &Decision, shown: Value) -> Result<Value, StepError> {
        let Decision {
            approved,
            value,
            comment,
            by,
        } = decision;
        let value = match (value, &self.schema) {
            (None, _) => shown,
            (Some(changed), _) if *changed == shown => shown,
            (Some(_), None) => {
                let message = "the decision changes the value, and the step has no `schema` that allows for it";
                let message = message.to_owned();
                return Err(StepError::Option { message });
            }
            (Some(changed), Some(schema)) => match schema.check(changed) {
                Ok(()) => changed.clone(),
                Err(mistake) => {
                    let message = format!("the value of the decision does not fit `schema`: {mistake}");
                    return Err(StepError::Option { message });
                }
            },
        };
        Ok(json!({"approved": approved, "value": value, "comment": comment, "by": by}))
    }
}
