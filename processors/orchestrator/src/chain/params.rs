//! The knobs of a chain: each a JSON Schema with a default, set by the caller within its bounds.

use serde_json::{Map, Value, json};
use yaml::{Content, Node, Problems};

use super::{schema::Schema, types::Type};

#[derive(Debug)]
pub(crate) struct Params {
    schema: Schema,
    defaults: Map<String, Value>,
}

impl Params {
    /// `None` if a knob is wrong. A chain without `params:` has no knobs.
    pub(crate) fn read(node: Option<&Node>, problems: &Problems) -> Option<Self> {
        let entries = match node.map(|node| (&node.content, node)) {
            None => [].as_slice(),
            Some((Content::Map(entries), _)) => entries.as_slice(),
            Some((_, node)) => {
                let help = "for example params: {temperature: {type: number, default: 0, maximum: 1}}";
                problems.add(
                    node.position,
                    format!("`params` must be a mapping, and this is {}", node.kind()),
                    help,
                );
                return None;
            }
        };
        let mut properties = Map::new();
        let mut defaults = Map::new();
        for entry in entries {
            let schema = Schema::read(&entry.value, &format!("the schema of param `{}`", entry.key), problems)?;
            let Some(default) = schema.json().get("default") else {
                let help = "params are optional for callers: give it a `default`, or make it a field of the input";
                problems.add(entry.position, format!("param `{}` has no default", entry.key), help);
                return None;
            };
            if let Err(mistake) = schema.check(default) {
                let message = format!(
                    "the default of param `{}` does not fit its schema: {mistake}",
                    entry.key
                );
                problems.add_plain(entry.value.position_at("/default"), message);
            }
            defaults.insert(entry.key.clone(), default.clone());
            properties.insert(entry.key.clone(), schema.json().clone());
        }
        let required: Vec<&String> = properties.keys().collect();
        let json =
            json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties});
        // Every part of it has been compiled on its own.
        Schema::compile(json).ok().map(|schema| Self { schema, defaults })
    }

    pub(crate) fn type_of(&self) -> Type {
        self.schema.type_of()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }

    /// None if there is no such knob.
    pub(crate) fn type_of_one(&self, name: &str) -> Option<Type> {
        let schema = self.schema.json().get("properties")?.get(name)?;
        Some(Type::of_schema(schema))
    }

    /// The given params over the defaults.
    ///
    /// # Errors
    /// Which are unknown or out of bounds.
    pub(crate) fn fill(&self, given: Value) -> Result<Value, String> {
        let mut params = self.defaults.clone();
        match given {
            Value::Null => {}
            Value::Object(given) => params.extend(given),
            _ => return Err("params must be a JSON object".to_owned()),
        }
        let params = Value::Object(params);
        self.schema.check(&params)?;
        Ok(params)
    }
}
