//! What the files say a run can cost and take at most.

use std::{sync::Arc, time::Duration};

use models::Models;
use orchestrator::{Chain, Resources};
use serde_json::{Value, json};

use crate::resources::{host, hosts};

const MODELS: &str = "
providers: {p: {dialect: openai}}
models:
  answer: {provider: p, model: m, max_tokens: 100, context: 1000, price: {input: 1, output: 2}, timeout: 10s,
    retry: {max_attempts: 2, initial: 1s}}
";

/// How long a run can take, in seconds.
fn time(steps: &Value) -> Option<f64> {
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {}}, "steps": steps, "output": {"value": 1}});
    let resources = Resources {
        hosts: Arc::new(hosts(vec![host("api.example.com")])),
        ..Resources::of(Arc::new(Models::load(MODELS, "models.yaml").unwrap()))
    };
    let chain = Chain::read(&document.to_string(), "test.yaml", &resources).unwrap();
    chain.worst_case(&resources).time.as_ref().map(Duration::as_secs_f64)
}

fn ask(id: &str, what: &str) -> Value {
    json!({"id": id, "chat": {"model": "answer", "messages": [{"role": "user", "content": what}]}})
}

fn with(mut step: Value, options: &Value) -> Value {
    step.as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    step
}

#[test]
fn a_run_takes_as_long_as_its_longest_way() {
    // Two attempts of 10 s, and a pause of 1 s at most.
    assert_eq!(time(&json!([ask("a", "hello")])), Some(21.0));
    assert_eq!(
        time(&json!([ask("a", "hello"), ask("b", "hello")])),
        Some(21.0),
        "at once"
    );
    let chained = json!([
        ask("last", "{{ steps.first.text }}"),
        ask("first", "hello"),
        ask("beside", "hello")
    ]);
    assert_eq!(time(&chained), Some(42.0), "in whatever order they stand");
}

#[test]
fn what_repeats_takes_its_time_again() {
    let map = json!([{"id": "all", "map": {
        "over": [1, 2], "as": "n", "max_items": 10, "max_concurrency": 4, "steps": [ask("a", "hello")]}}]);
    assert_eq!(time(&map), Some(63.0), "four, four and two");
    let repeat = json!([{"id": "all", "loop": {"max": 3, "until": false, "steps": [ask("a", "hello")]}}]);
    assert_eq!(time(&repeat), Some(63.0));
    let retry = with(
        ask("a", "hello"),
        &json!({"retry": {"max_attempts": 3, "initial": "2s"}}),
    );
    assert_eq!(
        time(&json!([retry])),
        Some(36.0),
        "each time once, and 2 s and 4 s between"
    );
}

#[test]
fn a_timeout_is_a_bound_and_what_has_none_is_without_one() {
    let bounded = with(
        ask("a", "hello"),
        &json!({"timeout": "5s", "fallback": [ask("b", "hello")]}),
    );
    assert_eq!(time(&json!([bounded])), Some(26.0), "its fallback comes after it");
    let http = json!({"id": "order", "http": {"url": "https://api.example.com/orders"}});
    assert_eq!(time(&json!([http, ask("a", "hello")])), None);
    assert_eq!(
        time(&json!([with(http, &json!({"timeout": "30s"})), ask("a", "hello")])),
        Some(30.0)
    );
}
