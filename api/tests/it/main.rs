//! The api on real parts: a Kafka broker, a schema registry, PostgreSQL, and raw HTTP over TCP. The orchestrator and the
//! recorder are played by the tests.

mod http;
mod stage;

use std::time::Duration;

use schemas::{RunError, RunResult, status};
use serde_json::json;
use testkit::until;

use http::Call;
use stage::{Stage, Start};

const SOON: Duration = Duration::from_secs(20);

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
    api.stop().await;
}

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
async fn what_postgres_knows_survives_a_restart() {
    let stage = Stage::set("api-history").await;
    let ids: Vec<String> = (0..5).map(|number| format!("order-{number}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let chain = if number % 2 == 0 { "echo@1#abc" } else { "other@3#def" };
        let input = format!("{{\"number\":{number}}}");
        stage.sql(&format!(
            "INSERT INTO run_index VALUES ('default', '{id}', timestamptz '2026-11-20 10:00:0{number}.000001Z');
             INSERT INTO runs (tenant, request_id, turn, accepted_at, requested_chain, input, metadata)
             VALUES ('default', '{id}', 0, timestamptz '2026-11-20 10:00:0{number}.000001Z', '{chain}', '{input}', '{{\"a\":\"b\"}}')"
        ))
        .await;
    }
    stage.sql(
        "UPDATE runs SET status = 'completed', chain = requested_chain, output = '{\"ok\":true}', cost_nanos = 1230,
             input_tokens = 7, output_tokens = 8, usage_source = 'reported', queued_us = 5, ran_us = 6, attempts = 1,
             completed_at = timestamptz '2026-11-20 10:00:09Z' WHERE request_id = 'order-0';
         UPDATE runs SET status = 'failed', error_class = 'overloaded', error_message = 'no', completed_at = now()
             WHERE request_id = 'order-1';
         INSERT INTO attempts (tenant, request_id, attempt_id, accepted_at, turn, src, step, provider, model, route_reason,
                               attempt, phase, started_at, estimate_nanos)
             SELECT tenant, request_id, 'a1', accepted_at, 0, 't/0/0', 'chat', 'openai', 'small', 'first', 1, 'started',
                    accepted_at, 900 FROM run_index WHERE request_id IN ('order-0', 'order-2');
         INSERT INTO audit SELECT tenant, request_id, accepted_at, 0, 0, 'attempt', 'a1', 0, 't/0/0', 'echo@1#abc', 'chat', 'openai',
             'small', 'first', 1, 'ok', 7, 8, 'reported', 1230, 1, 2, 3, 4, 'the prompt', 'the response', 'aa', 'bb',
             '[{\"index\":\"kb\",\"namespace\":\"\",\"id\":\"d1\",\"score\":0.5}]', 'trace', accepted_at
             FROM run_index WHERE request_id = 'order-0'",
    )
    .await;
    let api = stage.start(Start::default()).await;

    let run = api.get("/runs/order-0").await;
    assert_eq!(run.status, 200);
    let expected = json!({
        "id": "order-0", "tenant": "default", "turn": 0, "status": "completed", "chain": "echo@1#abc",
        "input": {"number": 0}, "metadata": {"a": "b"}, "accepted_at": "2026-11-20T10:00:00.000001Z",
        "output": {"ok": true}, "usage": {"input_tokens": 7, "output_tokens": 8, "source": "reported"},
        "cost_nano_dollars": 1230, "timings": {"queued_us": 5, "ran_us": 6}, "attempts": 1,
        "completed_at": "2026-11-20T10:00:09.000000Z"
    });
    assert_eq!(run.body, expected);
    assert_eq!(api.get("/runs/order-2").await.body["status"], "in_progress");
    assert_eq!(api.get("/runs/order-3").await.body["status"], "queued");
    assert_eq!(api.get("/runs/order-9").await.status, 404);
    assert_eq!(api.get("/runs/order-0?tenant=acme").await.status, 404);

    let listed = async |query: &str| {
        let page = api.get(&format!("/runs?{query}")).await;
        let ids = page.body["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, page.body["next_cursor"].as_str().map(str::to_owned))
    };
    let (mut seen, mut cursor): (Vec<String>, _) = listed("limit=2").await;
    let mut pages = 1;
    while let Some(next) = cursor {
        let (page, following): (Vec<String>, _) = listed(&format!("limit=2&cursor={next}")).await;
        seen.extend(page);
        (cursor, pages) = (following, pages + 1);
    }
    assert_eq!((pages, seen), (3, ids.into_iter().rev().collect()));
    assert_eq!(listed("chain=other").await.0, ["order-3", "order-1"]);
    assert_eq!(listed("chain=echo@1&status=completed").await.0, ["order-0"]);
    assert_eq!(listed("status=in_progress").await.0, ["order-2"]);
    assert_eq!(listed("status=queued").await.0, ["order-4", "order-3"]);
    assert_eq!(listed("tenant=acme").await.0, [""; 0]);

    let steps = api.get("/runs/order-0/steps").await;
    let expected = json!({
        "run_id": "order-0",
        "steps": [{
            "attempt_id": "a1", "turn": 0, "step": "chat", "provider": "openai", "model": "small", "route_reason": "first",
            "attempt": 1, "outcome": "ok", "usage": {"input_tokens": 7, "output_tokens": 8, "source": "reported"},
            "cost_nano_dollars": 1230, "started_at": "2026-11-20T10:00:00.000001Z", "queue_us": 1, "connect_us": 2,
            "first_token_us": 3, "total_us": 4, "prompt": "the prompt", "response": "the response",
            "prompt_sha256": "aa", "response_sha256": "bb", "trace_id": "trace",
            "documents": [{"index": "kb", "namespace": "", "id": "d1", "score": 0.5}]
        }]
    });
    assert_eq!(steps.body, expected);
    let begun = api.get("/runs/order-2/steps").await;
    assert_eq!(
        (
            &begun.body["steps"][0]["outcome"],
            &begun.body["steps"][0]["cost_nano_dollars"]
        ),
        (&json!("started"), &json!(900))
    );
    assert_eq!(api.get("/runs/order-3/steps").await.body["steps"], json!([]));
    assert_eq!(api.get("/runs/order-9/steps").await.status, 404);
    api.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_leave_and_are_sent_away_in_order() {
    let stage = Stage::set("api-leave").await;
    let start = Start {
        max_waiters: 1,
        postgres_url: Some("postgres://nobody@127.0.0.1:9/none".to_owned()),
        grace_seconds: 1,
    };
    let api = stage.start(start).await;
    assert_eq!(
        api.get("/readyz").await.body["degraded"],
        json!(["history: Postgres cannot be read"])
    );

    let first = api.open(Call::post("/chains/echo/invoke", &json!({"input": 1}))).await;
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

    let last = api.open(Call::post("/chains/echo/invoke", &json!({"input": 3}))).await;
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
