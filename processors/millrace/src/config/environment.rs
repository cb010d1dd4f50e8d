//! `MILLRACE_KAFKA__BOOTSTRAP_SERVERS=…` is `kafka.bootstrap_servers`: levels are parted by two underscores. A variable
//! that names no setting is a mistake like an unknown key of the file: a typo must not be silently without effect.

use serde_json::{Map, Value};

const PREFIX: &str = "MILLRACE_";
/// Read by the command line itself.
const OF_THE_COMMAND_LINE: [&str; 2] = ["MILLRACE_CONFIG", "MILLRACE_LOG"];

/// Lays the variables over `document`. A value is read as YAML, so that `5`, `true` and `[a, b]` are what they look like.
pub fn overlay(document: &mut Value, variables: impl Iterator<Item = (String, String)>) {
    for (name, text) in variables {
        if OF_THE_COMMAND_LINE.contains(&name.as_str()) {
            continue;
        }
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let path = path.to_lowercase();
        let value = serde_yaml_ng::from_str(&text).unwrap_or(Value::String(text));
        set(document, path.split("__"), value);
    }
}

/// The variable that would set the setting at `path` (`kafka.bootstrap_servers`).
pub fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

fn set<'a>(document: &mut Value, path: impl Iterator<Item = &'a str>, value: Value) {
    let mut place = document;
    for level in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(level).or_insert(Value::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_win_over_the_file() {
        let mut document = json!({"kafka": {"bootstrap_servers": "a:1", "prefix": "p."}});
        let variables = [
            ("MILLRACE_KAFKA__BOOTSTRAP_SERVERS", "b:2"),
            ("MILLRACE_ORCHESTRATOR__IN_FLIGHT", "7"),
            ("MILLRACE_CONFIG", "x.yaml"),
            ("PATH", "/bin"),
        ];
        overlay(
            &mut document,
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        assert_eq!(
            document,
            json!({"kafka": {"bootstrap_servers": "b:2", "prefix": "p."}, "orchestrator": {"in_flight": 7}})
        );
    }
}
