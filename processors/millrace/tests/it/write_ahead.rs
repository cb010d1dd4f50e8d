//! No paid call leaves before its announcement is safe in the log.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use testkit::{OwnParts, PartsConfig, Script, ScriptedModel, until};

use crate::world::{SOON, World, get, json_lines};

const CHAIN: &str = r#"
apiVersion: chain/v1
kind: Chain
metadata: {name: two-calls, version: 1}
input: {schema: {type: object}}
budget: {deadline: 120s}
steps:
  - id: first
    chat: {model: paid, messages: [{role: user, content: "first <<script latency=fixed:2000>>"}]}
  - id: second
    chat: {model: paid, messages: [{role: user, content: "second {{ steps.first.text }}"}]}
output: {value: "{{ steps.second.text }}"}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_the_broker_that_should_remember_it() {
    let config = PartsConfig {
        name: "write-ahead".to_owned(),
        ..PartsConfig::default()
    };
    let mut own = OwnParts::start(config).await.unwrap();
    let mut world = World::unprepared(
        own.parts.clone(),
        "millrace.".to_owned(),
        own.parts.postgres_url.clone(),
    );
    let model = ScriptedModel::start(Script::default()).await.unwrap();
    world.write("chains/two-calls.yaml", CHAIN);
    world.set("CHAINS", world.folder.path().join("chains").display().to_string());
    let models = models(&model.url);
    world.set("MODELS", world.write("models.yaml", &models).display().to_string());
    world.prepare();
    let _running = world.start("worker", "orchestrator").await;

    world.succeed(&["request", "--chain", "two-calls", "--id", "r", "--no-wait", "{}"]);
    until(SOON, async || (model.count("r") == 1).then_some(()))
        .await
        .unwrap();
    own.kafka.pause().unwrap();
    // the first call, announced before the broker stopped, comes back; the second one may not leave
    until(SOON, async || (model.summary().in_flight == 0).then_some(()))
        .await
        .unwrap();
    let left = until(Duration::from_secs(3), async || (model.count("r") > 1).then_some(())).await;
    assert!(left.is_err(), "a paid call left though nothing remembers it");

    own.kafka.resume().unwrap();
    until(SOON, async || (model.count("r") > 1).then_some(()))
        .await
        .unwrap();
    let said = until(SOON, async || {
        let output = world.run(&["tail", "results", "--from-beginning", "--count", "1"]);
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert_eq!(json_lines(&said.await.unwrap())[0]["value"]["status"], "completed");
    own.end().unwrap();
}

/// Two hops less per call, and a warning about what is given up for them.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_write_ahead_calls_leave_unannounced_and_the_log_warns() {
    let mut world = World::new("no-write-ahead").await;
    let model = ScriptedModel::start(Script::default()).await.unwrap();
    world.write("chains/two-calls.yaml", &CHAIN.replace("fixed:2000", "fixed:1"));
    world.set("CHAINS", world.folder.path().join("chains").display().to_string());
    world.set(
        "MODELS",
        world.write("models.yaml", &models(&model.url)).display().to_string(),
    );
    world.set("WRITE_AHEAD", "false");
    let running = world.start("worker", "orchestrator,recorder").await;
    assert!(running.log().contains("write_ahead is off"));

    world.succeed(&["request", "--chain", "two-calls", "{}"]);
    let mut sql = PgConnection::connect(&world.postgres_url).await.unwrap();
    let rows = "SELECT (SELECT count(*) FROM audit WHERE kind = 'attempt' AND cost_nanos > 0), (SELECT count(*) FROM attempts)";
    let recorded = until(SOON, async || {
        let (audited, announced) = sqlx::query_as::<_, (i64, i64)>(rows).fetch_one(&mut sql).await.ok()?;
        (audited == 2).then_some(announced)
    });
    assert_eq!(recorded.await.unwrap(), 0);
}

fn models(url: &str) -> String {
    format!(
        "providers: {{scripted: {{dialect: openai, base_url: {url}/v1}}}}
models: {{paid: {{provider: scripted, model: m, max_tokens: 10, context: 8000, price: {{input: 1, output: 2}}, timeout: 30s}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_stops_reading_and_makes_no_dead_letter() {
    let config = PartsConfig {
        name: "registry-down".to_owned(),
        durable: true,
        ..PartsConfig::default()
    };
    let mut own = OwnParts::start(config).await.unwrap();
    let world = World::unprepared(
        own.parts.clone(),
        "millrace.".to_owned(),
        own.parts.postgres_url.clone(),
    );
    world.prepare();
    world.succeed(&["request", "--chain", "echo", "--id", "r", "--no-wait", "{}"]);
    own.registry.stop().await.unwrap();
    let mut worker = world.start_unready("worker", "orchestrator");
    let ready = format!("{}/readyz", worker.url);
    let waits = until(SOON, async || {
        let said = get(&ready).await.ok()?.text().await.ok()?;
        said.contains("waiting for the schema registry").then_some(())
    });
    waits.await.unwrap();
    worker.process.running().unwrap();

    own.registry.start().await.unwrap();
    worker.ready().await;
    let said = world.succeed(&["tail", "results", "--from-beginning", "--count", "1"]);
    assert_eq!(json_lines(&said)[0]["value"]["status"], "completed");
    own.end().unwrap();
}
