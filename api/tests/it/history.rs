//! What the recorder wrote is there after a restart.

use serde_json::json;

use crate::stage::{Stage, Start};

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
        "UPDATE runs SET request_src = 'requests/0/7', params = '{\"words\":5}', trace_id = 'trace',
             created_at = timestamptz '2026-11-20 10:00:00Z' WHERE request_id = 'order-0';
         INSERT INTO dead_letters SELECT tenant, request_id, 'requests', 0, 7, accepted_at, 'key', '\\xff00',
             '[{\"name\":\"a\",\"value\":null}]', 'unknown_chain', 'no such chain', null, accepted_at FROM run_index WHERE request_id = 'order-0';
         INSERT INTO audit SELECT tenant, request_id, accepted_at, 0, 1, 'run', null, 0, 't/0/0', 'echo@1#abc', '', '',
             '', '', 0, 'ok', 7, 8, 'reported', 1230, 1, 2, null, 4, null, null, 'aa', 'bb',
             '[{\"index\":\"kb\",\"namespace\":\"\",\"id\":\"d2\",\"score\":0.25}]', 'trace', accepted_at,
             '[{\"step\":\"chat\",\"kind\":\"chat\",\"outcome\":\"ok\",\"attempts\":2,\"began_us\":1,\"took_us\":5}]'
             FROM run_index WHERE request_id = 'order-0';
         UPDATE runs SET status = 'completed', chain = requested_chain, output = '{\"ok\":true}', cost_nanos = 1230,
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
        "request_src": "requests/0/7", "dead_letter": "/runs/order-0/dead-letter", "params": {"words": 5}, "trace_id": "trace",
        "created_at": "2026-11-20T10:00:00.000000Z",
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
    stage
        .sql(
            "INSERT INTO runs (tenant, request_id, turn, accepted_at)
             SELECT 'far', 'run-' || n, 0, timestamptz '9999-12-30 23:59:59.999999Z' - n * interval '1 microsecond'
             FROM generate_series(0, 2) AS n",
        )
        .await;
    let (mut far, mut cursor) = listed("tenant=far&limit=1").await;
    while let Some(next) = cursor.filter(|_| far.len() < 9) {
        let (page, following) = listed(&format!("tenant=far&limit=1&cursor={next}")).await;
        far.extend(page);
        cursor = following;
    }
    assert_eq!(far, ["run-0", "run-1", "run-2"]);
    let long = "é".repeat(300);
    stage
        .sql(&format!(
            "UPDATE runs SET key = 'a&b ü' WHERE request_id IN ('order-0', 'order-2');
             UPDATE runs SET key = 'a&b ü', key_bytes = 'no text' WHERE request_id = 'order-1';
             UPDATE runs SET key = left('{long}', 256), key_bytes = convert_to('{long}', 'UTF8') WHERE request_id = 'order-3'"
        ))
        .await;
    assert_eq!(listed("key=a%26b+%C3%BC").await.0, ["order-2", "order-0"]);
    assert_eq!(listed("key=a%26b+%C3%BC&status=completed").await.0, ["order-0"]);
    assert_eq!(listed(&format!("key={}", "%C3%A9".repeat(300))).await.0, ["order-3"]);
    assert_eq!(listed(&format!("key={}", "%C3%A9".repeat(256))).await.0, [""; 0]);

    let audit = stage.topic("audit");
    let steps = api.get("/runs/order-0/steps").await;
    let expected = json!({
        "run_id": "order-0",
        "steps": [{
            "attempt_id": "a1", "turn": 0, "step": "chat", "provider": "openai", "model": "small", "route_reason": "first",
            "attempt": 1, "outcome": "ok", "usage": {"input_tokens": 7, "output_tokens": 8, "source": "reported"},
            "cost_nano_dollars": 1230, "started_at": "2026-11-20T10:00:00.000001Z",
            "ended_at": "2026-11-20T10:00:00.000005Z", "record": {"topic": audit, "partition": 0, "offset": 0}, "queue_us": 1, "connect_us": 2,
            "first_token_us": 3, "total_us": 4, "prompt": "the prompt", "response": "the response",
            "prompt_sha256": "aa", "response_sha256": "bb", "trace_id": "trace",
            "documents": [{"index": "kb", "namespace": "", "id": "d1", "score": 0.5}]
        }],
        "documents": [{"index": "kb", "namespace": "", "id": "d2", "score": 0.25}],
        "turns": [{
            "turn": 0, "left_out": 0, "documents": [{"index": "kb", "namespace": "", "id": "d2", "score": 0.25}],
            "trail": [{"step": "chat", "kind": "chat", "outcome": "ok", "attempts": 2, "began_us": 1, "took_us": 5}]
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

    let records = api.get("/runs/order-0/records").await;
    let expected = json!({
        "run_id": "order-0",
        "records": [
            {"what": "request", "topic": "requests", "partition": 0, "offset": 7},
            {"what": "attempt", "topic": audit, "partition": 0, "offset": 0, "attempt_id": "a1"},
            {"what": "run", "topic": audit, "partition": 0, "offset": 1},
            {"what": "dead_letter", "topic": "requests", "partition": 0, "offset": 7},
        ]
    });
    assert_eq!(records.body, expected);
    assert_eq!(api.get("/runs/order-9/records").await.status, 404);
    let dead = api.get("/runs/order-0/dead-letter").await.body;
    assert_eq!(
        (&dead["class"], &dead["key_text"], &dead["value"], &dead["value_bytes"]),
        (&json!("unknown_chain"), &json!("key"), &json!("/wA="), &json!(2))
    );
    assert_eq!(dead["left_out"], json!([]));
    assert_eq!(
        api.get("/runs/order-1/dead-letter").await.body["type"],
        "urn:problem-type:millrace:no-dead-letter"
    );
    api.stop().await;
}
