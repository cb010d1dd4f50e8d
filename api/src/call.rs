//! A call as its caller writes it: the body of `POST /chains/{chain}/invoke` and of `POST /runs`.
//!
//! The members are LangServe's: `input`, `config` (LangChain's RunnableConfig), `kwargs`; beside them `key` and
//! `metadata`. An option that would have no effect is a mistake (422), never silently dropped.

mod decisions;
mod fields;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use fields::Fields;

pub(crate) use decisions::Decisions;

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
        metadata.extend(labels(&mut config));
        metadata.extend(texts(fields.object("metadata")));
        check_recursion_limit(&mut config);
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

/// `run_name` and `tags` of a RunnableConfig, in Python's spelling or JavaScript's, as metadata of the run.
fn labels(config: &mut Fields) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for spelling in ["run_name", "runName"] {
        if let Some(name) = config.take(spelling).and_then(|value| config.string(spelling, value)) {
            labels.insert("run_name".to_owned(), name);
        }
    }
    match config.take("tags") {
        None => {}
        Some(Value::Array(tags)) if tags.is_empty() => {}
        Some(Value::Array(tags)) if tags.iter().all(Value::is_string) => {
            labels.insert("tags".to_owned(), Value::Array(tags).to_string());
        }
        Some(_) => config.mistake("tags", "Input should be a list of strings", "list_type"),
    }
    labels
}

/// Every LangChain client sends one. A chain is bounded when it is loaded, so any limit holds.
fn check_recursion_limit(config: &mut Fields) {
    for spelling in ["recursion_limit", "recursionLimit"] {
        if config
            .take(spelling)
            .is_some_and(|limit| limit.as_u64().is_none_or(|limit| limit == 0))
        {
            config.mistake(spelling, "Input should be a positive integer", "int_type");
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
