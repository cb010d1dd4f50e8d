//! Callers hang up, are too many, outlive Postgres and the process.

use serde_json::json;
use testkit::until;

use crate::{
    SOON,
    http::Call,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn callers_leave_and_are_sent_away_in_order() {
    let stage = Stage::set("api-leave").await;
    let start = Start {
        max_waiters: 1,
        postgres_url: Some("postgres://nobody@127.0.0.1:9/none".to_owned()),
        grace_seconds: 1,
        ..Start::default()
    };
    let api = stage.start(start).await;
    let ready = api.get("/readyz").await.body;
    let degraded = ready["degraded"][0].as_str().unwrap();
    assert!(
        degraded.contains("127.0.0.1:9 cannot be read: Connection refused"),
        "{degraded}"
    );
    let health = api.get("/health").await.body;
    let postgres = health["parts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["name"] == "postgres");
    let detail = postgres.unwrap()["detail"].as_str().unwrap();
    assert!(
        detail.contains("Connection refused") && detail.contains("`postgres.url`"),
        "{detail}"
    );

    let first = api.open(&Call::post("/chains/echo/invoke", &json!({"input": 1}))).await;
    stage.next_request().await;
    let refused = api.get("/runs/x?wait=1s").await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (503, &json!("urn:problem-type:millrace:overloaded"))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    drop(first);
    let freed = async || Some(api.get("/runs/x?wait=1ms").await).filter(|it| it.body["type"] != refused.body["type"]);
    let answer = until(SOON, freed).await.expect("who hangs up makes room");
    assert_eq!(answer.body["type"], "urn:problem-type:millrace:history-unavailable");

    let body = json!({"input": 2});
    let (answer, asked) = tokio::join!(api.post("/chains/echo/invoke", &body), async {
        let asked = stage.next_request().await;
        stage.answer(&asked, Stage::completed()).await;
        asked
    });
    assert_eq!(answer.status, 200, "calls work without Postgres");
    let id = asked.request.request_id.unwrap();
    assert_eq!(
        api.get(&format!("/runs/{id}")).await.body["output"],
        "done",
        "and so does the ring"
    );

    let last = api.open(&Call::post("/chains/echo/invoke", &json!({"input": 3}))).await;
    let asked = stage.next_request().await;
    api.shutdown.cancel();
    let answer = last.answer().await;
    let id = asked.request.request_id.unwrap();
    assert_eq!(
        (answer.status, &answer.body["run_id"]),
        (504, &json!(id)),
        "after the grace period: collect it later"
    );
    api.stop().await;
}
