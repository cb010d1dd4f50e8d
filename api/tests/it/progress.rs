//! One run is followed: from another instance than the one that began it, and on after a break.

use schemas::RunResult;
use serde_json::json;

use crate::{
    events::Events,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_from_any_instance_and_after_a_break() {
    let stage = Stage::set("api-progress").await;
    let (begun_at, followed_at) = tokio::join!(stage.start(Start::default()), stage.start(Start::default()));
    let begun = begun_at.post("/runs", &json!({"chain": "echo", "input": 1})).await;
    let id = begun.body["id"].as_str().unwrap().to_owned();
    let path = format!("/runs/{id}/events");
    let asked = stage.next_request().await;

    let mut events = Events::open(followed_at.address, &path, "").await;
    assert_eq!(events.expect("queued").await["id"], json!(id));
    // What the recorder would write.
    let accepted = format!("to_timestamp({} / 1000.0)", asked.record.timestamp_ms);
    let attempt = |attempt: &str, second: u32| {
        format!(
            "INSERT INTO attempts (tenant, request_id, attempt_id, accepted_at, turn, src, step, provider, model, route_reason,
                                   attempt, phase, started_at, estimate_nanos)
             VALUES ('default', '{id}', '{attempt}', {accepted}, 0, 't/0/0', 'chat', 'openai', 'small', 'primary', {second},
                     'started', {accepted} + interval '{second} s', 900);"
        )
    };
    stage
        .sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', {accepted});
             INSERT INTO runs (tenant, request_id, turn, accepted_at, requested_chain, input)
             VALUES ('default', '{id}', 0, {accepted}, 'echo', '1'); {}",
            attempt("a1", 1)
        ))
        .await;
    let step = events.expect("step.started").await;
    assert_eq!(
        (&step["attempt_id"], &step["outcome"]),
        (&json!("a1"), &json!("started"))
    );

    let seen = events.last_id.clone();
    drop(events);
    stage
        .sql(&format!(
            "{} UPDATE attempts SET phase = 'abandoned', ended_at = now(), cost_nanos = 0 WHERE attempt_id = 'a1'",
            attempt("a2", 2)
        ))
        .await;
    let mut events = Events::open(begun_at.address, &path, &seen).await;
    assert_eq!(
        events.expect("step.started").await["attempt_id"],
        "a2",
        "and not a1 again"
    );
    let ended = events.expect("step.ended").await;
    assert_eq!(
        (&ended["attempt_id"], &ended["outcome"]),
        (&json!("a1"), &json!("abandoned"))
    );

    stage
        .sql(&format!(
            "INSERT INTO audit VALUES ('default', '{id}', {accepted}, 0, 7, 'attempt', 'a2', 0, 't/0/0', 'echo@1#abc', 'chat',
                 'openai', 'small', 'primary', 2, 'ok', 7, 8, 'reported', 1230, 1, 2, 3, 4, 'the prompt', 'the response',
                 'aa', 'bb', '[]', 'trace', {accepted})"
        ))
        .await;
    let result = RunResult {
        attempts: 2,
        ..Stage::completed()
    };
    stage.answer(&asked, result).await;
    let ended = events.expect("step.ended").await;
    assert_eq!((&ended["attempt_id"], &ended["total_us"]), (&json!("a2"), &json!(4)));
    assert!(ended.get("prompt").is_none(), "it may be large; /steps has it");
    let result = events.expect("result").await;
    assert_eq!(
        (&result["status"], &result["output"], &result["input"]),
        (&json!("completed"), &json!("done"), &json!(1))
    );
    assert!(events.next().await.is_none(), "nothing comes after it");

    assert_eq!(
        Events::open(begun_at.address, &path, &events.last_id).await.status(),
        204
    );
    stage.pass_requests().await;
    assert_eq!(
        Events::open(begun_at.address, "/runs/order-9/events", "")
            .await
            .status(),
        404
    );
    let mut again = Events::open(followed_at.address, &path, "").await;
    for name in [
        "queued",
        "step.started",
        "step.started",
        "step.ended",
        "step.ended",
        "result",
    ] {
        again.expect(name).await;
    }
    begun_at.stop().await;
    followed_at.stop().await;
}
