//! A JSON Schema in a chain file: what the input must be, what the output will be.
//!
//! Nothing a schema refers to is fetched from outside, and its patterns run in linear time: input comes from strangers.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::{
    problem::Problems,
    types::Type,
    yaml::{Content, Node},
};

/// Mistakes of one value that are told; whoever mends these sees the next ones.
const TOLD: usize = 5;

#[derive(Debug)]
pub(crate) struct Schema {
    json: Value,
    validator: Validator,
}

impl Schema {
    pub(crate) fn read(node: &Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let Content::Map(_) = &node.content else {
            problems.add(
                node.position,
                format!("{what} must be a JSON Schema, and this is {}", node.kind()),
                "for example {type: object, required: [question], properties: {question: {type: string}}}",
            );
            return None;
        };
        Self::compile(node.to_json())
            .map_err(|error| {
                let position = node.position_at(error.instance_path().as_str());
                let help = "schemas are JSON Schema, draft 2020-12, without references to other files";
                problems.add(position, format!("{what} is not valid: {error}"), help);
            })
            .ok()
    }

    /// A schema made of checked ones.
    pub(crate) fn compile(json: Value) -> Result<Self, jsonschema::ValidationError<'static>> {
        let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
        let validator = options.build(&json)?;
        Ok(Self { json, validator })
    }

    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    pub(crate) fn type_of(&self) -> Type {
        Type::of_schema(&self.json)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong, by JSON pointers, without quoting the value: it may be somebody's secret.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(TOLD)
            .map(|error| match error.instance_path().as_str() {
                "" => error.masked().to_string(),
                pointer => format!("{pointer}: {}", error.masked()),
            })
            .collect();
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(mistakes.join("; "))
        }
    }
}
