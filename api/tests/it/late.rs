//! What comes too late is collected later.

use std::time::{Duration, SystemTime};

use serde_json::json;
use topics::Output;
use uuid::{NoContext, Timestamp, Uuid};

use crate::stage::{Stage, Start};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_is_collected_later() {
    let stage = Stage::set("api-late").await;
    let api = stage.start(Start::default()).await;

    let late = api.post("/chains/echo/invoke?wait=300ms", &json!({"input": 1})).await;
    assert_eq!((late.status, late.header("x-should-retry")), (504, Some("false")));
    let location = late.header("location").unwrap().to_owned();
    assert_eq!(late.body["type"], "urn:problem-type:millrace:wait-expired");
    assert_eq!(
        api.get(&location).await.body["status"],
        "queued",
        "Postgres does not know it, and it is young"
    );
    assert_eq!(
        api.get(&format!("{location}?wait=100ms")).await.body["status"],
        "queued"
    );

    let asked = stage.next_request().await;
    let path = format!("{location}?wait=15s");
    let (waited, ()) = tokio::join!(api.get(&path), stage.answer(&asked, Stage::completed()));
    assert_eq!(
        (waited.status, &waited.body["status"], &waited.body["output"]),
        (200, &json!("completed"), &json!("done"))
    );
    assert_eq!(api.get(&location).await.body, waited.body, "the ring has it");
    assert_eq!(
        api.get(&path).await.body,
        waited.body,
        "and nobody waits for what is there"
    );

    let begun = api.post("/runs", &json!({"chain": "echo", "input": null})).await;
    assert_eq!((begun.status, begun.header("retry-after")), (202, Some("1")));
    let location = begun.header("location").unwrap();
    assert_eq!(location, format!("/runs/{}", begun.body["id"].as_str().unwrap()));
    stage.answer(&stage.next_request().await, Stage::completed()).await;
    assert_eq!(
        api.get(&format!("{location}?wait=15s")).await.body["status"],
        "completed"
    );
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_unknown_only_when_the_recorder_has_passed_whatever_was_accepted() {
    let stage = Stage::set("api-unknown").await;
    let api = stage.start(Start::default()).await;
    let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() - Duration::from_secs(61);
    let old = Uuid::new_v7(Timestamp::from_unix(NoContext, made.as_secs(), 0)).to_string();
    // A minute old, or made by a producer in its own way.
    let paths = [old, "order-7".to_owned()].map(|id| format!("/runs/{id}"));
    for path in &paths {
        assert_eq!(api.get(path).await.status, 404, "nothing was ever accepted");
    }
    for topic in ["requests", "requests.interactive"] {
        stage.send(topic, Output::default()).await;
        for path in &paths {
            let known = api.get(path).await;
            assert_eq!(
                (known.status, &known.body["status"]),
                (200, &json!("queued")),
                "{path} {topic}"
            );
            assert!(known.header("retry-after").is_some());
        }
        stage.pass(topic, 1_000).await;
        for path in &paths {
            assert_eq!(api.get(path).await.status, 404, "{path} {topic}");
        }
    }
    api.stop().await;
}
