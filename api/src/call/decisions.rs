//! What somebody decides where a run waits: the body of `POST /runs/{id}/resume`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::problem::{Mistake, Problem};

/// By the step that waits: `{"approval": {"approved": true, "comment": "…"}}`, what a request of the kind `resume` has as its
/// input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Decisions(BTreeMap<String, Value>);

/// What a run waits for, as the output of its result says it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Waits {
    approvals: Vec<Approval>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Approval {
    step: String,
    value: Value,
    schema: Option<Value>,
}

impl Decisions {
    /// The body: `{decisions: {<step>: {approved, value, comment, by}}}`, or, where a single step waits, what is in the
    /// inner braces. Steps that are left out wait on.
    ///
    /// # Errors
    /// 422 with every mistake.
    pub fn read(body: Value, waits: &Waits) -> Result<Self, Problem> {
        let mut fields = Fields::of(body, &["body"])?;
        let mut read = BTreeMap::new();
        let mut mistakes = Vec::new();
        match fields.take("decisions") {
            Some(Value::Object(decisions)) => {
                mistakes = fields.finish();
                if decisions.is_empty() {
                    mistakes.push(mistake(&["body", "decisions"], waits.told(), "missing"));
                }
                for (step, decision) in decisions {
                    let at = ["body", "decisions", &step];
                    match waits.approvals.iter().find(|approval| approval.step == step) {
                        Some(approval) => {
                            if let Some(decision) = approval.decision(decision, &at, &mut mistakes) {
                                read.insert(step, decision);
                            }
                        }
                        None => {
                            let msg = format!("this step does not wait for a decision: {}", waits.told());
                            mistakes.push(mistake(&at, msg, "value_error"));
                        }
                    }
                }
            }
            Some(_) => mistakes.push(mistake(
                &["body", "decisions"],
                "Input should be an object".to_owned(),
                "dict_type",
            )),
            None => match waits.approvals.as_slice() {
                [only] => {
                    let decision = only.decision(Value::Object(fields.rest()), &["body"], &mut mistakes);
                    read.extend(decision.map(|decision| (only.step.clone(), decision)));
                }
                _ => mistakes.push(mistake(&["body", "decisions"], waits.told(), "missing")),
            },
        }
        if mistakes.is_empty() {
            Ok(Self(read))
        } else {
            Err(Problem::invalid(mistakes))
        }
    }
}

impl Waits {
    fn told(&self) -> String {
        let steps: Vec<&str> = self.approvals.iter().map(|approval| approval.step.as_str()).collect();
        format!("decide about {}", steps.join(", "))
    }
}

impl Approval {
    fn decision(&self, given: Value, at: &[&str], mistakes: &mut Vec<Mistake>) -> Option<Value> {
        let mut fields = match Fields::of(given, at) {
            Ok(fields) => fields,
            Err(_) => {
                mistakes.push(mistake(at, "Input should be an object".to_owned(), "dict_type"));
                return None;
            }
        };
        let approved = fields.required("approved");
        if approved.as_ref().is_some_and(|approved| !approved.is_boolean()) {
            fields.mistake("approved", "Input should be true or false", "bool_type");
        }
        let mut decision = Map::from_iter([("approved".to_owned(), json!(approved))]);
        if let Some(value) = fields.take("value") {
            if let Some(why) = self.forbids(&value) {
                fields.mistake("value", &why, "value_error");
            }
            decision.insert("value".to_owned(), value);
        }
        for name in ["comment", "by"] {
            if let Some(text) = fields.take(name).and_then(|text| fields.string(name, text)) {
                decision.insert(name.to_owned(), Value::String(text));
            }
        }
        mistakes.extend(fields.finish());
        Some(Value::Object(decision))
    }

    /// Why the value cannot take the place of what there is to decide on.
    fn forbids(&self, value: &Value) -> Option<String> {
        if *value == self.value {
            return None;
        }
        let Some(schema) = &self.schema else {
            return Some("the chain does not let this value be changed".to_owned());
        };
        // Only the orchestrator can check against what this api cannot read.
        let validator = jsonschema::validator_for(schema).ok()?;
        let error = validator.iter_errors(value).next()?;
        Some(format!("{}{}", error.instance_path(), error.masked()))
    }
}

fn mistake(at: &[&str], msg: String, kind: &'static str) -> Mistake {
    Mistake {
        loc: at.iter().map(|&part| part.to_owned()).collect(),
        msg,
        kind: kind.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits() -> Waits {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let approvals =
            json!([{"step": "a", "message": "?", "value": {"n": 1}, "schema": schema}, {"step": "b", "value": 2}]);
        serde_json::from_value(json!({"approvals": approvals})).unwrap()
    }

    fn one() -> Waits {
        let mut waits = waits();
        waits.approvals.truncate(1);
        waits
    }

    fn mistakes(body: Value, waits: &Waits) -> Vec<String> {
        let problem = Decisions::read(body, waits).unwrap_err();
        problem.mistakes().iter().map(|it| it.loc.join(".")).collect()
    }

    #[test]
    fn what_is_decided_is_read() {
        let yes = json!({"approved": true, "by": "ada"});
        let both = json!({"decisions": {"a": {"approved": false, "value": {"n": 3}}, "b": yes}});
        let read = Decisions::read(both, &waits()).unwrap();
        assert_eq!(
            json!(read),
            json!({"a": {"approved": false, "value": {"n": 3}}, "b": yes})
        );
        assert_eq!(json!(Decisions::read(yes.clone(), &one()).unwrap()), json!({"a": yes}));
    }

    #[test]
    fn every_mistake_is_told() {
        let yes = json!({"approved": true});
        for (body, at) in [
            (json!({}), vec!["body.decisions"]),
            (yes.clone(), vec!["body.decisions"]),
            (json!({"decisions": {}}), vec!["body.decisions"]),
            (json!({"decisions": []}), vec!["body.decisions"]),
            (json!({"decisions": {"c": yes}}), vec!["body.decisions.c"]),
            (json!({"decisions": {"a": true}}), vec!["body.decisions.a"]),
            (
                json!({"decisions": {"a": {"approved": 1}, "b": {"approved": true, "value": 3, "x": 1}}}),
                vec![
                    "body.decisions.a.approved",
                    "body.decisions.b.value",
                    "body.decisions.b.x",
                ],
            ),
            (
                json!({"decisions": {"a": {"value": {"n": "x"}}}}),
                vec!["body.decisions.a.approved", "body.decisions.a.value"],
            ),
        ] {
            assert_eq!(mistakes(body, &waits()), at);
        }
        assert_eq!(mistakes(json!({"why": 1}), &one()), ["body.approved", "body.why"]);
    }
}
