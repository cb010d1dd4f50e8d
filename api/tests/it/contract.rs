//! `schemas/openapi.json`, to which every answer in these stories is held: its status is listed, its body matches the
//! schema and has no member that the schema does not know.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

static CONTRACT: LazyLock<Value> = LazyLock::new(|| {
    let mut contract: Value = serde_json::from_str(include_str!("../../../schemas/openapi.json")).unwrap();
    close(&mut contract["components"]["schemas"]);
    contract
});

/// Members that are not listed are mistakes here, though clients are told to expect them.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.contains_key("properties") && members.get("type") == Some(&json!("object")) {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// # Panics
/// When the contract does not say that this can be the answer. Paths that it does not have are 404s of no route.
pub fn check(method: &str, target: &str, status: u16, content_type: &str, body: &Value) {
    let path = target.split('?').next().unwrap();
    let Some(operation) = item(path).and_then(|item| item.get(method.to_ascii_lowercase())) else {
        assert!(
            [404, 405].contains(&status),
            "{method} {path} is not in the contract, and answers {status}"
        );
        return;
    };
    let mut answer = &operation["responses"][status.to_string()];
    if let Some(name) = answer["$ref"].as_str() {
        answer = CONTRACT.pointer(name.trim_start_matches('#')).unwrap();
    }
    assert!(
        answer.is_object(),
        "{method} {path}: the contract does not list {status}"
    );
    let Some(content) = answer["content"].as_object() else {
        return;
    };
    let kind = content.get(content_type).or(content.get("*/*"));
    let kind = kind.unwrap_or_else(|| panic!("{method} {path}: {status} is not of type {content_type}"));
    if content_type.ends_with("json") {
        conform(&kind["schema"], body, &format!("{method} {target} {status}"));
    }
}

/// An event of a stream.
pub fn check_event(target: &str, name: &str, data: &Value) {
    let path = target.split('?').next().unwrap();
    let operation = &item(path).unwrap()["get"]["responses"]["200"]["content"]["text/event-stream"];
    let schema = &operation["x-events"][name];
    assert!(schema.is_object(), "{path}: the contract has no event {name}");
    conform(schema, data, &format!("{path} {name}"));
}

fn conform(schema: &Value, body: &Value, of: &str) {
    let mut root = schema.as_object().cloned().unwrap_or_else(Map::new);
    root.insert("components".to_owned(), CONTRACT["components"].clone());
    let validator: Validator = jsonschema::validator_for(&Value::Object(root)).unwrap();
    let mistakes: Vec<String> = validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        mistakes.is_empty(),
        "{of} is not as the contract says: {mistakes:#?}\n{body:#}"
    );
}

fn item(path: &str) -> Option<&'static Value> {
    let paths = CONTRACT["paths"].as_object().unwrap();
    paths
        .iter()
        .find(|(template, _)| matches(template, path))
        .map(|(_, item)| item)
}

fn matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    template.split('/').all(|part| match segments.next() {
        Some(segment) if part.starts_with('{') => !segment.is_empty(),
        Some(segment) => segment == part,
        None => false,
    }) && (template.ends_with("{path}") || segments.next().is_none())
}
