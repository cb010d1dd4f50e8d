use models::{Feature, Format, Message, Method, Role};
use serde_json::Value;
use yaml::{Fields, Node, Position, Problems};

use super::{conversation::Conversation, strict};
use crate::chain::{schema::Schema, steps::json_text, types::Type};

/// A model that has not managed by then will not.
const MAX_REPAIRS: u32 = 5;

/// `output: {schema, strict, method, repair}` of a chat: its answer is JSON that fits a schema.
#[derive(Debug)]
pub(super) struct Answer {
    schema: Schema,
    format: Format,
    /// Where the file says how the provider is told.
    position: Position,
    repair: u32,
}

impl Answer {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let known = ["schema", "strict", "method", "repair"];
        let output = Fields::of(node, "`output` of a chat step", &known, &[], problems)?;
        let written = output.require("schema", "{type: object}");
        let schema = written.and_then(|schema| Schema::read(schema, "`output.schema`", problems));
        let strict = output.get("strict").map(|node| node.boolean("strict", problems));
        let method = output.get("method").map(|_| output.scalar("method", method));
        let repair = output.get("repair").map(|_| output.scalar("repair", repairs));
        let position = output.get("method").map_or(node.position, |node| node.position);

        let (written, schema) = (written?, schema?);
        let strict = strict.unwrap_or(Some(false))?;
        let mut method = method.map_or(Some(Method::Auto), |method| Some(method?.value))?;
        let is_object = written.get("type").and_then(Node::written) == Some("object");
        match method {
            Method::Auto if strict => method = Method::JsonSchema,
            Method::JsonSchema => {}
            // Providers take schemas of objects alone.
            Method::Auto if !is_object => method = Method::Prompt,
            Method::Auto => {}
            Method::JsonMode | Method::Prompt if strict => {
                let help = "remove one of them: `strict` is of `method: json_schema`, which is taken if none is said";
                problems.add(position, "no provider can be `strict` with this `method`", help);
            }
            Method::JsonMode | Method::Prompt => {}
        }
        if matches!(method, Method::JsonSchema | Method::JsonMode) && !is_object {
            let message = "what a provider is told to answer with must be an object";
            let help = "say `type: object` in the schema, with the value as one of its properties; or `method: prompt`";
            problems.add(written.position, message, help);
        }
        if strict {
            strict::check(written, problems);
        }
        let format = Format {
            schema: plain(schema.json(), false),
            strict,
            method,
        };
        Some(Self {
            schema,
            format,
            position,
            repair: repair.map_or(Some(0), |repair| Some(repair?.value))?,
        })
    }

    pub(super) fn type_of(&self) -> Type {
        self.schema.type_of()
    }

    /// What a model must be able to do for it.
    pub(super) fn asks(&self) -> Option<Feature> {
        match self.format.method {
            Method::JsonSchema => Some(Feature::JsonSchema),
            Method::Auto | Method::JsonMode | Method::Prompt => None,
        }
    }

    /// A provider that is told of JSON refuses a prompt that does not speak of it: the model might never end.
    pub(super) fn check(&self, told: &Conversation, problems: &Problems) {
        if self.format.method == Method::JsonMode && !told.mentions("json") {
            let message = "no message says that the answer is JSON, and providers refuse `json_mode` then";
            problems.add(self.position, message, "add for example `Answer in JSON.` to a message");
        }
    }

    /// What the provider is told.
    pub(super) fn format(&self) -> Format {
        self.format.clone()
    }

    /// How often a model is told what is wrong with its answer, and asked again. Each time is a paid call.
    pub(super) fn repairs(&self) -> u32 {
        self.repair
    }

    /// The value in an answer.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub(super) fn json(&self, text: &str) -> Result<Value, String> {
        let json = json_text::read(text)?;
        self.schema.check(&json).map(|()| json)
    }
}

/// What follows an answer that does not fit. These are the only words that a model gets which are not in the chain's file.
pub(super) fn objection(answer: String, mistake: &str) -> [Message; 2] {
    let content = format!("That answer cannot be used: {mistake}. Answer again, with nothing but the JSON.");
    [Message::new(Role::Assistant, answer), Message::new(Role::User, content)]
}

fn method(written: &str) -> Result<Method, String> {
    match written {
        "auto" => Ok(Method::Auto),
        "json_schema" => Ok(Method::JsonSchema),
        "json_mode" => Ok(Method::JsonMode),
        "prompt" => Ok(Method::Prompt),
        other => Err(format!(
            "must be `auto`, `json_schema`, `json_mode` or `prompt`, not `{other}`"
        )),
    }
}

/// The schema without what is Millrace's own in it (`x-trust`), which a provider does not know. `named`: its keys are names
/// that the schema gives, not words of JSON Schema.
fn plain(schema: &Value, named: bool) -> Value {
    match schema {
        Value::Object(entries) => {
            let own = |key: &String| !named && key.starts_with("x-");
            let kept = entries.iter().filter(|(key, _)| !own(key));
            let each = kept.map(|(key, value)| {
                let value = match key.as_str() {
                    "const" | "default" | "enum" | "examples" if !named => value.clone(),
                    "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => {
                        plain(value, !named)
                    }
                    _ => plain(value, false),
                };
                (key.clone(), value)
            });
            Value::Object(each.collect())
        }
        Value::Array(items) => items.iter().map(|item| plain(item, false)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

fn repairs(written: &str) -> Result<u32, String> {
    match written.parse() {
        Ok(repairs) if repairs <= MAX_REPAIRS => Ok(repairs),
        Ok(_) | Err(_) => Err(format!(
            "must be a whole number from 0 to {MAX_REPAIRS}, not `{written}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_provider_gets_the_schema_without_what_is_not_json_schema() {
        let schema = json!({
            "type": "object", "x-note": 1,
            "properties": {"x-trust": {"type": "string", "x-trust": "untrusted"}, "properties": {"enum": [{"x-a": 1}]}},
            "items": [{"x-trust": "untrusted"}]});
        let told = json!({
            "type": "object",
            "properties": {"x-trust": {"type": "string"}, "properties": {"enum": [{"x-a": 1}]}},
            "items": [{}]});
        assert_eq!(plain(&schema, false), told);
    }
}
