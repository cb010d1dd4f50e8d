//! What both programs stand on.

use std::{sync::Arc, time::Duration};

use models::{LimitWait, Models};
use orchestrator::{Chain, Context, Resources, Verdict};
use schemas::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const STEPS: usize = 8;
const RUNS: usize = 2_000;
/// Of the chain of [`eight_steps`], one after the other.
pub const STEPS_RUN: usize = RUNS * STEPS;

/// A chain of eight steps that render a text of 1 KB and call nothing.
pub fn eight_steps() -> Chain {
    let step = |n: usize| {
        let text = match n {
            0 => "<{{ input.question }}>".to_owned(),
            n => format!("<{{{{ steps.s{}.text }}}}>", n - 1),
        };
        json!({"id": format!("s{n}"), "transform": {"text": text, "model": "none"}})
    };
    let question = "x".repeat(1_000);
    let made = format!("{}{question}{}", "<".repeat(STEPS), ">".repeat(STEPS));
    let trial = json!({"name": "t", "input": {"question": question}, "expect": {"output": made}});
    let steps: Vec<Value> = (0..STEPS).map(step).collect();
    chain(
        "steps",
        &json!(steps),
        "{{ steps.s7.text }}",
        &json!([trial]),
        &resources(),
    )
}

/// Runs it until [`STEPS_RUN`] steps are done.
pub async fn run(chain: &Chain) {
    for _ in 0..RUNS {
        let verdict = chain
            .try_out(&chain.trials()[0], &context(Duration::from_secs(60)))
            .await;
        assert_eq!(verdict, Verdict::Passed);
    }
}

pub fn chain(name: &str, steps: &Value, output: &str, tests: &Value, resources: &Resources) -> Chain {
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": name, "version": 1},
        "input": {"schema": {}}, "steps": steps, "output": {"value": output}, "tests": tests});
    Chain::read(&document.to_string(), "bench.yaml", resources).unwrap()
}

pub fn resources() -> Resources {
    Resources::of(Arc::new(Models::load(models::DEFAULT_FILE, "models.yaml").unwrap()))
}

pub fn context(deadline: Duration) -> Context {
    Context {
        request_id: "r-1".to_owned(),
        tenant: "acme".to_owned(),
        src: String::new(),
        accepted_at: Timestamp::now(),
        turn: 0,
        trace_id: None,
        deadline: tokio::time::Instant::now() + deadline,
        cancelled: CancellationToken::new(),
        limit_wait: LimitWait::default(),
    }
}

pub fn print(metric: &str, value: f64, unit: &str, most: Option<f64>) {
    let value = (value * 100.0).round() / 100.0;
    let met = most.map(|most| value <= most);
    println!(
        "{}",
        json!({"scenario": "chain", "metric": metric, "value": value, "unit": unit, "goal": most, "met": met})
    );
}
