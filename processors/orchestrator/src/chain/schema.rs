//! A JSON Schema in a chain file: what the input must be, what the output will be.
//!
//! Nothing a schema refers to is fetched from outside, and its patterns run in linear time: input comes from strangers.

use jsonschema::{Draft, PatternOptions, ValidationError, Validator, draft202012, error::ValidationErrorKind};
use serde_json::Value;
use yaml::{Content, Node, Problems};

use super::types::Type;

/// Mistakes of one value that are told; whoever mends these sees the next ones.
const TOLD: usize = 5;

const HELP: &str =
    "schemas are JSON Schema, draft 2020-12, without references to other files and without look-around in patterns";

const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

#[derive(Debug)]
pub(crate) struct Schema {
    json: Value,
    validator: Validator,
}

impl Schema {
    pub(crate) fn read(node: &Node, what: &str, problems: &Problems) -> Option<Self> {
        let Content::Map(_) = &node.content else {
            problems.add(
                node.position,
                format!("{what} must be a JSON Schema, and this is {}", node.kind()),
                "for example {type: object, required: [question], properties: {question: {type: string}}}",
            );
            return None;
        };
        let json = node.to_json();
        let at = |error: &ValidationError<'_>| node.position_at(error.instance_path().as_str());
        let meta = draft202012::meta::validator();
        let wrong: Vec<ValidationError<'_>> = meta.iter_errors(&json).collect();
        for error in &wrong {
            if let Some(kind) = unknown_type(error) {
                let message = format!("{what} is not a valid schema: there is no `type: {kind}`");
                problems.add_unknown(at(error), message, kind, TYPES);
            } else {
                problems.add(at(error), format!("{what} is not a valid schema: {error}"), HELP);
            }
        }
        if !wrong.is_empty() {
            return None;
        }
        drop(wrong);
        match Self::compile(json) {
            Ok(schema) => Some(schema),
            Err(error) => {
                problems.add(
                    at(&error),
                    format!("{what} is not a valid schema: {}", reason(&error)),
                    HELP,
                );
                None
            }
        }
    }

    /// A schema made of checked ones.
    pub(crate) fn compile(json: Value) -> Result<Self, ValidationError<'static>> {
        let options = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex());
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
        // Several times quicker than to look for mistakes that are not there.
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let mistakes: Vec<String> = self
            .validator
            .iter_errors(value)
            .take(TOLD)
            .map(|error| match error.instance_path().as_str() {
                "" => error.masked().to_string(),
                pointer => format!("{pointer}: {}", error.masked()),
            })
            .collect();
        // Names in it may be as long as the value.
        Err(schemas::brief(&mistakes.join("; ")).into_owned())
    }
}

/// The word, where a schema names a type that JSON Schema does not have.
fn unknown_type<'e>(error: &'e ValidationError<'_>) -> Option<&'e str> {
    let of_type = error.instance_path().as_str().ends_with("/type");
    match error.kind() {
        ValidationErrorKind::AnyOf { .. } if of_type => error.instance().as_str(),
        _ => None,
    }
}

fn reason(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Referencing(_) => "a reference in it leads out of the file, or nowhere".to_owned(),
        _ => error.to_string(),
    }
}
