use bytes::Bytes;
use schemas::{Definition, Request, Timestamp, headers, status};
use serde_json::{Value, json};
use topics::Headers;

use super::world::World;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const FOREIGN: Definition = Definition {
    name: "Order",
    avsc: r#"{"type": "record", "name": "Order", "namespace": "acme.orders", "fields": [
        {"name": "shop", "type": {"type": "record", "name": "Shop", "fields": [{"name": "id", "type": "int"}]}},
        {"name": "deadline", "type": [{"type": "long", "logicalType": "timestamp-millis"}, "null"]},
        {"name": "chain", "type": {"type": "enum", "name": "Chain", "symbols": ["echo", "answer"]}},
        {"name": "input", "type": "string"}]}"#,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_comes_back_with_its_audit() {
    let mut world = World::new("orchestrator-path").await;
    let mut running = world.start();
    running.ready().await;

    let summarize = Request {
        request_id: Some("r-1".to_owned()),
        tenant: "acme".to_owned(),
        chain: "summarize".to_owned(),
        input: json!({"text": "Mills grind slowly. Water drives the wheel.", "about": "the wheel"}).to_string(),
        params: json!({"sentences": 1}).to_string(),
        ..Request::default()
    };
    let src = world
        .ask(&summarize, Headers::new().with(headers::TRACEPARENT, TRACEPARENT))
        .await;
    let committed = world.committed(&src).await;

    let result = committed.result;
    assert_eq!((result.status.as_str(), result.error), (status::COMPLETED, None));
    assert_eq!(
        (result.request_id.as_str(), result.tenant.as_str(), result.src.as_str()),
        ("r-1", "acme", src.as_str())
    );
    assert!(result.chain.unwrap().starts_with("summarize@1#"));
    let output: Value = serde_json::from_str(&result.output.unwrap()).unwrap();
    assert!(
        output["summary"].as_str().unwrap().contains("Water drives the wheel."),
        "{output}"
    );
    assert!(
        result.timings.queued_us >= 0 && result.timings.ran_us > 0,
        "{:?}",
        result.timings
    );
    assert_eq!(committed.record.key, Some(Bytes::from_static(b"key")));
    for (name, value) in [
        ("request-id", "r-1"),
        ("tenant", "acme"),
        ("src", &src),
        ("traceparent", TRACEPARENT),
    ] {
        assert_eq!(committed.record.headers.text(name), Some(value));
    }
    assert_eq!(committed.attempts.len(), 1);
    assert_eq!(
        committed.attempts[0].trace_id.as_deref(),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert_eq!(
        (committed.run.outcome.as_str(), committed.run.cost),
        ("ok", result.cost)
    );
    assert!(committed.dead_letter.is_none());

    // What owners already have is the input of the chain that their topic is bound to.
    let src = world
        .send(
            "events",
            Some(Bytes::from_static(
                b"{\"kind\": \"rain\", \"mm\": 7.5, \"id\": 9007199254740993, \"none\": -0, \"far\": 8.41e21}",
            )),
            Headers::new(),
        )
        .await;
    let event = world.committed(&src).await.result;
    assert_eq!(
        event.output.as_deref(),
        Some(r#"{"kind":"rain","mm":7.5,"id":9007199254740993,"none":-0.0,"far":8.41e+21}"#)
    );
    assert_eq!(event.tenant, "default");

    let src = world
        .ticket(&json!({"subject": "It leaks", "urgent": true, "opened": "2026-11-23T08:00:00Z"}))
        .await;
    let ticket = world.committed(&src).await.result;
    let output: Value = serde_json::from_str(&ticket.output.unwrap()).unwrap();
    assert_eq!(
        (&output["subject"], &output["urgent"]),
        (&json!("It leaks"), &json!(true))
    );
    assert!(
        output["opened"].as_str().unwrap().starts_with("2026-11-23T08:00:00"),
        "{output}"
    );
    assert_eq!(ticket.tenant, "acme", "the topic's binding says so");

    // A producer with a schema of its own: its names, its times in milliseconds, an enum for the chain.
    let foreign = world.kafka.topic("foreign");
    world.registry.register(&foreign, FOREIGN).await.unwrap();
    let foreign = world.registry.plain_encoder(&foreign).await.unwrap();
    let deadline = Timestamp::now().as_millis() + 3_600_000;
    let own = json!({"chain": "echo", "input": "[18446744073709551615]", "deadline": deadline, "shop": {"id": 1}});
    let src = world
        .send("requests", Some(foreign.encode(&own).unwrap()), Headers::new())
        .await;
    let theirs = world.committed(&src).await.result;
    assert_eq!(
        (theirs.error, theirs.output.as_deref()),
        (None, Some("[18446744073709551615]"))
    );

    // Nobody waits any more: nothing is paid for.
    let late = Request {
        deadline: Some(Timestamp(1)),
        ..summarize
    };
    let src = world.ask(&late, Headers::new()).await;
    let committed = world.committed(&src).await;
    assert_eq!(committed.result.status, status::CANCELLED);
    assert_eq!(committed.result.error.unwrap().class, "deadline_exceeded");
    assert!(committed.attempts.is_empty());

    running.stop().await;
}
