//! What a schema must be where `strict` is true: the part of JSON Schema that providers can hold a model to.
//! Source: <https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>.

use yaml::{Content, Entry, Node, Problems};

const REFUSED: [&str; 10] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
];

/// Each place where it is more than that.
pub(super) fn check(schema: &Node, problems: &Problems) {
    let entries = entries(schema);
    for entry in entries.iter().filter(|entry| REFUSED.contains(&entry.key.as_str())) {
        let message = format!("`{}` in a schema is more than `strict` can hold a model to", entry.key);
        let help = "say it with type, properties, items, enum, const, anyOf and $ref, or leave `strict` out";
        problems.add(entry.position, message, help);
    }
    if is_object(schema) {
        object(schema, problems);
    }
    for key in ["properties", "$defs", "definitions"] {
        for entry in schema.get(key).map_or(&[][..], self::entries) {
            check(&entry.value, problems);
        }
    }
    if let Some(items) = schema.get("items") {
        check(items, problems);
    }
    if let Some(Node {
        content: Content::List(choices),
        ..
    }) = schema.get("anyOf")
    {
        choices.iter().for_each(|choice| check(choice, problems));
    }
}

fn object(schema: &Node, problems: &Problems) {
    let closed = schema
        .get("additionalProperties")
        .is_some_and(|node| node.to_json() == serde_json::Value::Bool(false));
    if !closed {
        let message = "an object must be closed where `strict` is true";
        problems.add(schema.position, message, "add `additionalProperties: false`");
    }
    let required = schema.get("required").map(Node::to_json);
    let is_required = |name: &str| {
        let names = required.as_ref().and_then(serde_json::Value::as_array);
        names.is_some_and(|names| names.iter().any(|known| known == name))
    };
    for Entry { key, position, .. } in schema.get("properties").map_or(&[][..], entries) {
        if !is_required(key) {
            let message = format!("`{key}` must be in `required` where `strict` is true");
            let help = "add it there; what may be missing can be null: {type: [string, \"null\"]}";
            problems.add(*position, message, help);
        }
    }
}

pub(super) fn is_object(schema: &Node) -> bool {
    match schema.get("type").map(Node::to_json) {
        Some(serde_json::Value::String(name)) => name == "object",
        Some(serde_json::Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => schema.get("properties").is_some(),
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.content {
        Content::Map(entries) => entries,
        Content::Scalar(_) | Content::Text(_) | Content::List(_) => &[],
    }
}
