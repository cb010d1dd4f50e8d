//! A call as its caller writes it: the body of `POST /chains/{chain}/invoke` and of `POST /runs`.
//!
//! The members are LangServe's: `input`, `config` (LangChain's RunnableConfig), `kwargs`; beside them `key` and
//! `metadata`. An option that would have no effect is a mistake (422), never silently dropped.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::problem::{Mistake, Problem};

/// What shall run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// `name` or `name@version`
    pub chain: String,
    pub input: Value,
    /// `config.configurable`: the chain's parameters.
    pub params: Map<String, Value>,
    /// What must stay in order with others of the same key; none: nothing.
    pub key: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

impl Call {
    /// The body of `POST /chains/{chain}/invoke`: `{input, config, kwargs, key, metadata}`.
    ///
    /// # Errors
    /// 422 with every mistake.
    pub fn invoke(chain: String, body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body, &["body"])?;
        let kwargs = fields.object("kwargs");
        fields.mistakes.extend(kwargs.keys().map(|name| Mistake {
            loc: ["body", "kwargs", name].map(str::to_owned).into(),
            msg: "a chain takes no keyword arguments; its parameters go into config.configurable".to_owned(),
            kind: "extra_forbidden".into(),
        }));
        Self::finish(fields, Some(chain))
    }

    /// The body of `POST /runs`: `{chain, input, config, key, metadata}`.
    ///
    /// # Errors
    /// 422 with every mistake.
    pub fn run(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body, &["body"])?;
        let chain = fields.required("chain").and_then(|value| fields.string("chain", value));
        Self::finish(fields, chain)
    }

    /// The members that both bodies have.
    fn finish(mut fields: Fields, chain: Option<String>) -> Result<Self, Problem> {
        let input = fields.required("input");
        let key = fields.take("key").and_then(|value| fields.string("key", value));
        let mut config = fields.nested("config");
        let params = config.object("configurable");
        let mut metadata = texts(config.object("metadata"));
        metadata.extend(config.labels());
        metadata.extend(texts(fields.object("metadata")));
        config.without_effect_unless_positive(&["recursion_limit", "recursionLimit"]);
        fields.mistakes.extend(config.finish());
        let mistakes = fields.finish();
        match (chain, input) {
            (Some(chain), Some(input)) if mistakes.is_empty() => Ok(Self {
                chain,
                input,
                params,
                key,
                metadata,
            }),
            _ => Err(Problem::invalid(mistakes)),
        }
    }
}

/// Metadata is text; anything else is kept as its JSON.
fn texts(values: Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    values.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// The members of an object that are not looked at yet, and the mistakes found in the others. A null member is an
/// absent one, as LangServe has it; only `input` may be null.
struct Fields {
    at: Vec<String>,
    left: Map<String, Value>,
    mistakes: Vec<Mistake>,
}

impl Fields {
    fn of(value: Value, at: &[&str]) -> Result<Self, Problem> {
        let at: Vec<String> = at.iter().map(|&part| part.to_owned()).collect();
        match value {
            Value::Object(left) => Ok(Self {
                at,
                left,
                mistakes: Vec::new(),
            }),
            _ => Err(Problem::invalid(vec![Mistake {
                loc: at,
                msg: "Input should be an object".to_owned(),
                kind: "dict_type".into(),
            }])),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    fn required(&mut self, name: &str) -> Option<Value> {
        let value = self.left.shift_remove(name);
        if value.is_none() {
            self.mistake(name, "Field required", "missing");
        }
        value
    }

    fn string(&mut self, name: &str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            _ => {
                self.mistake(name, "Input should be a string", "string_type");
                None
            }
        }
    }

    /// Empty when it is absent.
    fn object(&mut self, name: &str) -> Map<String, Value> {
        match self.take(name) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.mistake(name, "Input should be an object", "dict_type");
                Map::new()
            }
        }
    }

    fn nested(&mut self, name: &str) -> Self {
        let at = self.at.iter().cloned().chain([name.to_owned()]).collect();
        Self {
            at,
            left: self.object(name),
            mistakes: Vec::new(),
        }
    }

    /// `run_name` and `tags` of a RunnableConfig, as metadata of the run.
    fn labels(&mut self) -> Vec<(String, String)> {
        let mut labels = Vec::new();
        for spelling in ["run_name", "runName"] {
            if let Some(name) = self.take(spelling).and_then(|value| self.string(spelling, value)) {
                labels.push(("run_name".to_owned(), name));
            }
        }
        match self.take("tags") {
            Some(Value::Array(tags)) if tags.iter().all(Value::is_string) => {
                if !tags.is_empty() {
                    labels.push(("tags".to_owned(), Value::Array(tags).to_string()));
                }
            }
            Some(_) => self.mistake("tags", "Input should be a list of strings", "list_type"),
            None => {}
        }
        labels
    }

    /// Every LangChain client sends its recursion limit. A chain is bounded when it is loaded, so any limit holds.
    fn without_effect_unless_positive(&mut self, spellings: &[&str]) {
        for spelling in spellings {
            if self
                .take(spelling)
                .is_some_and(|limit| limit.as_u64().is_none_or(|limit| limit == 0))
            {
                self.mistake(spelling, "Input should be a positive integer", "int_type");
            }
        }
    }

    fn mistake(&mut self, name: &str, msg: &str, kind: &'static str) {
        let loc = self.at.iter().cloned().chain([name.to_owned()]).collect();
        self.mistakes.push(Mistake {
            loc,
            msg: msg.to_owned(),
            kind: kind.into(),
        });
    }

    /// All mistakes; what nobody took is one each.
    fn finish(mut self) -> Vec<Mistake> {
        for (name, value) in std::mem::take(&mut self.left) {
            if !value.is_null() {
                self.mistake(&name, "there is no such option", "extra_forbidden");
            }
        }
        self.mistakes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_langchains_clients_send_is_taken() {
        let python = json!({
            "input": {"question": "why?"},
            "config": {
                "tags": ["demo"], "metadata": {"user": 7, "team": "a"}, "recursion_limit": 25,
                "configurable": {"temperature": 0.5}, "run_name": "first", "max_concurrency": null
            },
            "kwargs": {}
        });
        let call = Call::invoke("answer".to_owned(), python).unwrap();
        assert_eq!(call.input, json!({"question": "why?"}));
        assert_eq!(Value::Object(call.params), json!({"temperature": 0.5}));
        let metadata: Vec<_> = call
            .metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            metadata,
            [
                ("run_name", "first"),
                ("tags", "[\"demo\"]"),
                ("team", "a"),
                ("user", "7")
            ]
        );

        let javascript = json!({"input": "why?", "config": {"tags": [], "metadata": {}, "recursionLimit": 25}});
        assert!(Call::invoke("answer".to_owned(), javascript).is_ok());
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let body = json!({
            "config": {"max_concurrency": 3, "tags": "a", "recursion_limit": 0}, "kwargs": {"stop": "x"}, "key": 1,
            "webhook": "http://example.com"
        });
        let problem = Call::invoke("answer".to_owned(), body).unwrap_err();
        let found: Vec<String> = problem
            .mistakes()
            .iter()
            .map(|it| format!("{} {}", it.loc.join("."), it.kind))
            .collect();
        let expected = [
            "body.kwargs.stop extra_forbidden",
            "body.input missing",
            "body.key string_type",
            "body.config.tags list_type",
            "body.config.recursion_limit int_type",
            "body.config.max_concurrency extra_forbidden",
            "body.webhook extra_forbidden",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn input_may_be_null_but_not_absent() {
        let call = Call::run(json!({"chain": "answer@2", "input": null, "key": "k"})).unwrap();
        assert_eq!(
            (call.input, call.chain.as_str(), call.key.as_deref()),
            (Value::Null, "answer@2", Some("k"))
        );
        assert!(Call::run(json!({"chain": "answer"})).is_err());
        assert!(Call::run(json!([])).is_err());
    }
}
