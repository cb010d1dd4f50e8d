//! What comes too late is collected later.

use serde_json::json;

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
