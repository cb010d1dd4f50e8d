//! Any setting may be `{env: NAME}` or `{file: PATH}` instead of its text; a secret must be. So a configuration can be
//! committed, printed in a review and attached to a bug report.

use std::{env, fs};

use serde_json::Value;

/// Words in the name of a setting that make it a secret.
const SECRET: [&str; 6] = ["password", "secret", "api_key", "hash_key", "key.pem", "bearer"];
/// Everything under a setting of this name is one.
const OF_SECRETS: &str = "headers";

/// Replaces references by what they refer to. Returns the mistakes; none repeats a secret.
pub fn resolve(document: &mut Value) -> Vec<String> {
    let mut mistakes = Vec::new();
    visit(document, "", &mut mistakes);
    mistakes
}

fn visit(value: &mut Value, path: &str, mistakes: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = reference(fields) {
                match reference.read() {
                    Ok(text) => *value = Value::String(text),
                    Err(error) => {
                        mistakes.push(format!("{path}: {error}"));
                        // What it should hold is not there: that is told once.
                        *value = Value::String(String::new());
                    }
                }
                return;
            }
            let of_secrets = path.ends_with(OF_SECRETS);
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                let is_secret = of_secrets
                    || SECRET.iter().any(|word| name.contains(word))
                    || value.as_str().is_some_and(has_password);
                if value.is_string() && is_secret {
                    mistakes.push(format!(
                        "{path}: is a secret; write {{env: NAME}} or {{file: PATH}} in its place"
                    ));
                }
                visit(value, &path, mistakes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, &format!("{path}[{index}]"), mistakes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `scheme://user:password@host`
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

enum Reference {
    Env(String),
    File(String),
}

fn reference(fields: &serde_json::Map<String, Value>) -> Option<Reference> {
    let mut fields = fields.iter();
    let (Some((name, Value::String(target))), None) = (fields.next(), fields.next()) else {
        return None;
    };
    match name.as_str() {
        "env" => Some(Reference::Env(target.clone())),
        "file" => Some(Reference::File(target.clone())),
        _ => None,
    }
}

impl Reference {
    fn read(&self) -> Result<String, String> {
        let (text, place) = match self {
            Self::Env(name) => {
                let place = format!("the environment variable {name}");
                (env::var(name).map_err(|_| format!("{place} is not set"))?, place)
            }
            Self::File(path) => (
                fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?,
                path.clone(),
            ),
        };
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(format!("{place} is empty")),
            secret => Ok(secret.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_fetched_from_where_it_is_and_never_repeated() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hunter2\n").unwrap();
        let mut document = json!({"kafka": {"client": {
            "sasl.password": {"file": file.path()}, "ssl.key.password": "hunter3", "sasl.username": {"env": "NO_SUCH_ONE"},
        }}, "postgres": {"url": "postgres://me:hunter4@db/runs"}, "http": {"hosts": [
            {"host": "a.example", "headers": {"x-one": "hunter5", "x-two": {"file": file.path()}}},
            {"host": "b.example", "bearer": "hunter6"},
        ]}});
        let mistakes = resolve(&mut document);
        assert_eq!(document["kafka"]["client"]["sasl.password"], "hunter2");
        assert_eq!(document["http"]["hosts"][0]["headers"]["x-two"], "hunter2");
        assert_eq!(
            mistakes,
            [
                "kafka.client.ssl.key.password: is a secret; write {env: NAME} or {file: PATH} in its place",
                "kafka.client.sasl.username: the environment variable NO_SUCH_ONE is not set",
                "postgres.url: is a secret; write {env: NAME} or {file: PATH} in its place",
                "http.hosts[0].headers.x-one: is a secret; write {env: NAME} or {file: PATH} in its place",
                "http.hosts[1].bearer: is a secret; write {env: NAME} or {file: PATH} in its place",
            ]
        );
    }
}
