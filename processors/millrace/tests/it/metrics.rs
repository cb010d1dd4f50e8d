//! What an operator can measure, by the names that dashboards use.

use testkit::{Script, ScriptedModel, until};

use crate::world::{SOON, World, get};

const CHAIN: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: ask, version: 1}
input: {schema: {type: object}}
steps:
  - id: answer
    chat: {model: paid, messages: [{role: user, content: hello}]}
output: {value: "{{ steps.answer.text }}"}
"#;

const NAMES: [&str; 22] = [
    "millrace_consumed_total{",
    "millrace_in_flight{",
    "millrace_waiting_for_limits{",
    "millrace_bytes_in_flight{",
    "millrace_window_offsets{",
    "millrace_oldest_open_offset{",
    "millrace_commit_seconds",
    "millrace_commit_results",
    "millrace_watermark{",
    "millrace_highest_done{",
    "millrace_map_offsets{",
    "millrace_lag{",
    "millrace_model_calls_total{",
    "millrace_model_tokens_total{",
    "millrace_model_cost_nano_dollars_total{",
    "millrace_model_call_seconds",
    "millrace_runs_total{",
    "millrace_run_seconds",
    "millrace_recorder_records_total{",
    "millrace_recorder_lag_seconds{",
    "millrace_http_requests_total{",
    "millrace_tail_lag_seconds",
];

#[tokio::test(flavor = "multi_thread")]
async fn one_run_moves_every_metric_that_an_operator_asks_for() {
    let mut world = World::new("metrics").await;
    let model = ScriptedModel::start(Script::default()).await.unwrap();
    world.write("chains/ask.yaml", CHAIN);
    let models = format!(
        "providers: {{scripted: {{dialect: openai, base_url: {}/v1}}}}
models: {{paid: {{provider: scripted, model: m, max_tokens: 10, context: 8000, price: {{input: 1, output: 2}}}}}}",
        model.url
    );
    world.set("CHAINS", world.folder.path().join("chains").display().to_string());
    world.set("MODELS", world.write("models.yaml", &models).display().to_string());
    let running = world.start("all", "orchestrator,recorder,api").await;
    world.succeed(&["request", "--chain", "ask", "{}"]);

    let mut missing = Vec::new();
    let all = until(SOON, async || {
        let answer = get(&format!("{}/metrics", running.url)).await.ok()?;
        let metrics = answer.text().await.ok()?;
        let is_there = |name: &str| metrics.lines().any(|line| line.starts_with(name));
        missing = NAMES.into_iter().filter(|name| !is_there(name)).collect();
        missing.is_empty().then_some(())
    });
    assert!(all.await.is_ok(), "no {missing:?}");
}
