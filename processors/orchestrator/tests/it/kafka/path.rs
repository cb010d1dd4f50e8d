use bytes::Bytes;
use schemas::{Request, Timestamp, headers, status};
use serde_json::{Value, json};
use topics::Headers;

use super::world::World;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

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
            Some(Bytes::from_static(b"{\"kind\": \"rain\", \"mm\": 7.5}")),
            Headers::new(),
        )
        .await;
    let event = world.committed(&src).await.result;
    assert_eq!(event.output.as_deref(), Some(r#"{"kind":"rain","mm":7.5}"#));
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
