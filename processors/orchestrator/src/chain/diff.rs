//! What changed in meaning between two versions of a chain: comments, layout and the order of keys do not count.

use serde_json::Value;
use yaml::{Node, Problems};

use super::{Chain, fits::misfit};

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `steps.answer.chat.model`
    pub path: String,
    /// `None` where it is new.
    pub before: Option<Value>,
    /// `None` where it is gone.
    pub after: Option<Value>,
}

/// The differences, and whom they break.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    pub changes: Vec<Change>,
    /// Why an input of the older version may be refused by the newer one.
    pub breaks_callers: Option<String>,
    /// Why an output of the newer version may not be what readers of the older one expect.
    pub breaks_readers: Option<String>,
}

impl Chain {
    #[must_use]
    pub fn difference(&self, newer: &Self) -> Difference {
        let mut changes = Vec::new();
        compare("", &document(&self.source), &document(&newer.source), &mut changes);
        Difference {
            changes,
            breaks_callers: misfit(&self.input.type_of(), &newer.input.type_of()),
            breaks_readers: misfit(&newer.output_type, &self.output_type),
        }
    }
}

/// It was read before.
fn document(source: &str) -> Value {
    Node::read(source, &Problems::of("")).map_or(Value::Null, |root| root.to_json())
}

fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (parts(before), parts(after)) {
        (Some(old), Some(new)) => {
            let find = |parts: &[(String, &Value)], name: &str| {
                parts
                    .iter()
                    .find(|(other, _)| other == name)
                    .map(|(_, value)| (*value).clone())
            };
            let below = |name: &str| match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            for (name, before) in &old {
                match find(&new, name) {
                    Some(after) => compare(&below(name), before, &after, changes),
                    None => changes.push(Change {
                        path: below(name),
                        before: Some((*before).clone()),
                        after: None,
                    }),
                }
            }
            for (name, after) in new.iter().filter(|(name, _)| find(&old, name).is_none()) {
                changes.push(Change {
                    path: below(name),
                    before: None,
                    after: Some((*after).clone()),
                });
            }
        }
        _ => changes.push(Change {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }),
    }
}

/// What a value is made of, by name: steps and tests have names of their own wherever they stand in their list.
fn parts(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(fields) => Some(fields.iter().map(|(name, value)| (name.clone(), value)).collect()),
        Value::Array(items) => {
            let name = |(at, item): (usize, &Value)| {
                let named = item.get("id").or_else(|| item.get("name")).and_then(Value::as_str);
                named.map_or_else(|| at.to_string(), str::to_owned)
            };
            Some(items.iter().enumerate().map(|item| (name(item), item.1)).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_compared_by_their_ids() {
        let before = json!({"steps": [{"id": "a", "transform": 1}, {"id": "b", "transform": 2}], "kind": "Chain"});
        let after = json!({"kind": "Chain", "steps": [{"id": "b", "transform": 3}, {"id": "c", "transform": 4}]});
        let mut changes = Vec::new();

        compare("", &before, &after, &mut changes);

        let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["steps.a", "steps.b.transform", "steps.c"]);
        assert_eq!(
            (&changes[1].before, &changes[1].after),
            (&Some(json!(2)), &Some(json!(3)))
        );
    }
}
