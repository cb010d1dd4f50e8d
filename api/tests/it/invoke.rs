//! A call becomes a record and its result the answer.

use schemas::{RunError, RunResult, status};
use serde_json::json;

use crate::{
    http::Call,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_becomes_a_record_and_its_result_the_answer() {
    let stage = Stage::set("api-invoke").await;
    let api = stage.start(Start::default()).await;

    let body = json!({
        "input": {"question": "why?"}, "config": {"configurable": {"words": 5}}, "kwargs": {}, "key": "k1",
        "metadata": {"user": "u7"}
    });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let call = Call::post("/chains/echo/invoke", &body).header("traceparent", trace);
    let (answer, asked) = tokio::join!(api.send(call), async {
        let asked = stage.next_request().await;
        stage
            .answer(
                &asked,
                RunResult {
                    output: Some(json!({"because": [1, 2.5]}).to_string()),
                    ..Stage::completed()
                },
            )
            .await;
        asked
    });
    let id = asked.request.request_id.clone().unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["output"], json!({"because": [1, 2.5]}));
    assert_eq!(answer.body["metadata"], json!({"run_id": id, "feedback_tokens": []}));
    assert_eq!(asked.record.key.as_deref(), Some(b"k1".as_slice()));
    assert_eq!(asked.record.headers.text("request-id"), Some(id.as_str()));
    assert_eq!(asked.record.headers.text("tenant"), Some("default"));
    assert_eq!(asked.record.headers.text("traceparent"), Some(trace));
    assert_eq!(
        (asked.request.chain.as_str(), asked.request.params.as_str()),
        ("echo", "{\"words\":5}")
    );
    assert_eq!(asked.request.metadata["user"], "u7");

    let outcomes = [
        ("invalid_input", 422),
        ("overloaded", 502),
        ("deadline_exceeded", 504),
        ("template", 500),
    ];
    for (class, expected) in outcomes {
        let error = RunError {
            class: class.to_owned(),
            message: "as told".to_owned(),
            step: Some("s1".to_owned()),
        };
        let failed = RunResult {
            status: status::FAILED.to_owned(),
            error: Some(error),
            ..RunResult::default()
        };
        let body = json!({"input": 1});
        let (answer, asked) = tokio::join!(api.post("/chains/echo@1/invoke", &body), async {
            let asked = stage.next_request().await;
            stage.answer(&asked, failed).await;
            asked
        });
        let id = asked.request.request_id.unwrap();
        assert_eq!((answer.status, &answer.body["run_id"]), (expected, &json!(id)));
        assert_eq!(answer.body["detail"], format!("{class}: as told (step s1)"));
        assert_eq!(answer.header("location"), Some(format!("/runs/{id}").as_str()));
        assert!(answer.body["trace_id"].is_string());
    }

    let huge = "1".repeat(1_000_000);
    let refused = api
        .send(Call::post("/chains/echo/invoke", &json!({"input": huge})).chunked())
        .await;
    assert_eq!(refused.status, 413, "what comes in chunks is counted too");
    for target in [
        "CONNECT host:80",
        "OPTIONS *",
        "GET /%zz%ff?%%=&&",
        "GET /runs/%00",
        "GET /runs/%ff?wait=1s",
    ] {
        let (method, target): (&'static str, &str) = target.split_once(' ').unwrap();
        let answer = api.send(Call::of(method, target)).await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (404, &json!(404)),
            "{method} {target}"
        );
    }
    assert_eq!(
        api.get("/runs?chain=%00&tenant=%00").await.body["errors"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    api.stop().await;
}
