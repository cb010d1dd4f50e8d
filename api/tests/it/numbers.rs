//! What an operator looks at: the last minutes, and how everything stands.

use serde_json::{Value, json};
use testkit::until;

use crate::{
    SOON,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_last_minutes_and_the_state_of_everything_are_one_call_each() {
    let stage = Stage::set("api-numbers").await;
    let api = stage.start(Start::default()).await;
    for (number, chain, status, age) in [
        (0, "echo@1#abc", "completed", 10),
        (1, "echo@1#abc", "failed", 10),
        (2, "other@3#def", "completed", 20),
        (3, "other@3#def", "completed", 4_000),
        (4, "echo@1#abc", "interrupted", 10),
    ] {
        let ended = format!("now() - interval '{age} s'");
        stage
            .sql(&format!(
                "INSERT INTO runs (tenant, request_id, turn, accepted_at, status, chain, completed_at, queued_us, ran_us,
                                   input_tokens, output_tokens, cost_nanos)
                 VALUES ('default', 'r{number}', 0, {ended} - interval '1 s', '{status}', '{chain}', {ended}, 1000,
                         {number}000, 7, 8, 100)"
            ))
            .await;
    }
    let stats = api.get("/stats?minutes=1").await.body;
    let sum = |name: &str| {
        stats[name]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_i64)
            .sum::<i64>()
    };
    assert_eq!(stats["at"].as_array().unwrap().len(), 60);
    assert_eq!(
        (
            sum("results"),
            sum("errors"),
            sum("waiting"),
            sum("input_tokens"),
            sum("cost_nano_dollars")
        ),
        (4, 1, 1, 28, 400)
    );
    assert_eq!(
        (&stats["total"]["results"], &stats["total"]["p50_ms"]),
        (&json!(4), &json!(2.5))
    );
    assert_eq!(
        (
            &stats["chains"][0]["chain"],
            &stats["chains"][0]["errors"],
            &stats["chains"][0]["waiting"]
        ),
        (&json!("echo@1"), &json!(1), &json!(1)),
        "a run that waits has not failed"
    );
    let of_one = api.get("/stats?minutes=1&every=10&chain=other").await.body;
    assert_eq!(
        (&of_one["total"]["results"], of_one["at"].as_array().unwrap().len()),
        (&json!(1), 6)
    );
    assert_eq!(api.get("/stats?chain=other@2").await.body["total"]["results"], 0);
    assert_eq!(api.get("/stats?minutes=60&every=1").await.status, 422);

    api.post("/runs", &json!({"chain": "echo", "input": 1})).await;
    let seen = async || {
        let health = api.get("/health").await.body;
        (health["groups"][0]["lag"] == 1).then_some(health)
    };
    let health = until(SOON, seen).await.expect("the request is not seen");
    assert_eq!(health["status"], "ok", "{health:#}");
    assert!(
        health["parts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|part| part["ok"] == true)
    );
    let partitions = health["groups"][0]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 12, "of both request topics");
    assert!(
        partitions
            .iter()
            .all(|it| it["here"] == false && it["owner"].is_null() && it["watermark"] == 0)
    );

    stage
        .sql("INSERT INTO quarantine (topic, \"partition\", \"offset\", headers, reason) VALUES ('results', 0, 0, '[]', 'odd')")
        .await;
    stage
        .sql("INSERT INTO gaps (topic, \"partition\", from_offset, to_offset, log_end) VALUES ('results', 0, 1, 5, 9)")
        .await;
    let health = api.get("/health").await.body;
    assert_eq!(
        (&health["status"], &health["unrecorded"]),
        (&json!("degraded"), &json!({"quarantined": 1, "gaps": 1}))
    );
    stage.sql("UPDATE gaps SET accepted_at = now()").await;
    stage.sql("DELETE FROM quarantine").await;
    assert_eq!(api.get("/health").await.body["status"], "ok");

    let sampled = async || {
        let stats = api.get("/stats?minutes=1").await.body;
        stats["lag"].as_array().unwrap().contains(&json!(1)).then_some(())
    };
    until(SOON, sampled).await.expect("the lag is not sampled");
    api.stop().await;
}
