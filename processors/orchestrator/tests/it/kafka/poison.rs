use std::fs;

use bytes::Bytes;
use schemas::{Audit, Request, audit_kind, headers, request_kind, status};
use serde_json::json;
use topics::Headers;

use super::world::World;

/// A record that cannot be worked on, and what it is called.
struct Poison {
    class: &'static str,
    topic: &'static str,
    value: Option<Bytes>,
    headers: Headers,
    /// Under which id somebody waits for it; none: derived.
    request_id: Option<&'static str>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_poison_is_kept_intact_and_answered() {
    let mut world = World::new("orchestrator-poison").await;
    let mut running = world.start();
    running.ready().await;

    for Poison {
        class,
        topic,
        value,
        headers,
        request_id,
    } in poisons(&world).await
    {
        let src = world.send(topic, value.clone(), headers.clone()).await;
        let committed = world.committed(&src).await;

        let letter = committed
            .dead_letter
            .unwrap_or_else(|| panic!("no dead letter for {class}"));
        assert_eq!(letter.class, class, "{}", letter.message);
        assert!(
            letter.message.len() < 2_000 && !letter.message.contains(" { "),
            "{}",
            letter.message
        );
        assert_eq!(letter.value.map(Bytes::from), value, "{class}");
        assert_eq!(letter.key.as_deref(), Some(&b"key"[..]));
        assert_eq!(format!("{}/{}/{}", letter.topic, letter.partition, letter.offset), src);
        let kept: Vec<_> = letter
            .headers
            .iter()
            .map(|header| (header.name.as_bytes(), header.value.as_deref()))
            .collect();
        assert_eq!(kept, headers.iter().collect::<Vec<_>>());

        let result = committed.result;
        assert_eq!(
            (result.status.as_str(), result.src.as_str()),
            (status::FAILED, src.as_str()),
            "{class}"
        );
        assert_eq!(result.error.unwrap().class, class);
        assert_eq!(result.request_id, letter.request_id);
        assert_eq!(result.turn, 0, "{class}");
        assert_eq!(
            (committed.run.outcome.as_str(), committed.run.request_id),
            (class, letter.request_id)
        );
        if let Some(request_id) = request_id {
            assert_eq!(result.request_id, request_id, "{class}");
        }
    }
    // And nothing of it stands in the way of those behind.
    let fine = Request {
        chain: "echo".to_owned(),
        input: "1".to_owned(),
        ..Request::default()
    };
    let src = world.ask(&fine, Headers::new()).await;
    assert_eq!(world.committed(&src).await.result.output.as_deref(), Some("1"));

    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_the_broker_refuses_takes_no_attempt_with_it() {
    let mut world = World::new("orchestrator-refused").await;
    world.misjudge("results", 8 << 20);
    let folder = tempfile::tempdir().unwrap();
    let chain = "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: long, version: 1}\ninput: {schema: {}}\n\
                 steps: [{id: a, embed: {model: embedding, texts: hello}}]\n\
                 output: {value: {vectors: \"{{ steps.a.vectors | length }}\", all: \"{{ input }}\"}}\n";
    fs::write(folder.path().join("long.yaml"), chain).unwrap();
    let mut running = world.start_with(folder.path().to_owned());
    running.ready().await;

    // No compression makes it fit.
    let noise: String = (0..1_850_000)
        .scan(1_u64, |state, _| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from_digit(u32::try_from(*state >> 59).ok()?, 36)
        })
        .collect();
    let request = Request {
        chain: "long".to_owned(),
        input: json!(noise).to_string(),
        ..Request::default()
    };
    let src = world.ask(&request, Headers::new()).await;
    let committed = world.committed(&src).await;

    let error = committed.result.error.unwrap();
    assert_eq!(error.class, "output_too_large");
    assert!(error.message.contains("does not take"), "the broker: {}", error.message);
    assert_eq!(committed.attempts.len(), 1);
    assert_eq!(committed.attempts[0].step, "a");
    running.stop().await;
}

async fn poisons(world: &World) -> Vec<Poison> {
    let named = |id: &str| Headers::new().with(headers::REQUEST_ID, id.to_owned());
    let request = |id: &str, chain: &str, input: &str| Request {
        request_id: Some(id.to_owned()),
        chain: chain.to_owned(),
        input: input.to_owned(),
        ..Request::default()
    };
    let encoded = |request: &Request| Some(world.requests.encode(request).unwrap());
    let own = |class, request_id, request: &Request| Poison {
        class,
        topic: "requests",
        value: encoded(request),
        headers: Headers::new(),
        request_id: Some(request_id),
    };
    let raw = |class, topic, value: Option<Bytes>| Poison {
        class,
        topic,
        value,
        headers: named("raw"),
        request_id: Some("raw"),
    };

    let mut cut = world.requests.encode(&request("cut", "echo", "1")).unwrap();
    cut.truncate(cut.len() - 3);
    let audit = world
        .registry
        .encoder::<Audit>(&world.kafka.topic("audit"))
        .await
        .unwrap();
    let other = audit
        .encode(&Audit {
            kind: audit_kind::RUN.to_owned(),
            ..Audit::default()
        })
        .unwrap();
    let long = "x".repeat(1_200_000);
    let longer = Bytes::from(format!("\"{}\"", "x".repeat(2_200_000)));
    vec![
        raw("empty", "requests", None),
        raw("corrupt_frame", "requests", Some(Bytes::from_static(b"hello"))),
        raw(
            "unknown_schema",
            "requests",
            Some(Bytes::from_static(b"\x00\xff\xff\xff\xffhello")),
        ),
        raw("corrupt_value", "requests", Some(cut)),
        raw("wrong_schema", "requests", Some(other)),
        raw("corrupt_frame", "tickets", Some(Bytes::from_static(b"{}"))),
        raw("invalid_json", "events", Some(Bytes::from_static(b"{"))),
        raw(
            "invalid_json",
            "events",
            Some(Bytes::from_static(b"{\"id\": 18446744073709551616}")),
        ),
        raw(
            "invalid_json",
            "events",
            Some(Bytes::from_static(b"\x00\x00\x00\x00\x01{\"id\": 1}")),
        ),
        raw("invalid_json", "events", Some(Bytes::from_static(b"\xef\xbb\xbf{}"))),
        raw("too_large", "events", Some(longer)),
        own("unknown_chain", "nowhere", &request("nowhere", "no-such-chain@3", "1")),
        own(
            "unknown_chain",
            "no-version",
            &request("no-version", "echo@latest", "1"),
        ),
        own("invalid_input", "no-json", &request("no-json", "echo", "{")),
        own(
            "invalid_input",
            "rounded",
            &request("rounded", "echo", "{\"id\": 0.10000000000000000001}"),
        ),
        own(
            "invalid_input",
            "long-name",
            &request(
                "long-name",
                "summarize",
                &json!({"text": "a", ("n".repeat(100_000)): 1}).to_string(),
            ),
        ),
        own(
            "invalid_input",
            "twice",
            &request("twice", "echo", "{\"id\": 1, \"id\": 2}"),
        ),
        own("invalid_input", "no-question", &request("no-question", "answer", "{}")),
        own(
            "invalid_input",
            "no-param",
            &Request {
                params: json!({"top_k": 1000}).to_string(),
                ..request("no-param", "answer", r#"{"question": "why?"}"#)
            },
        ),
        own(
            "invalid_request",
            "resumed",
            &Request {
                kind: request_kind::RESUME.to_owned(),
                ..request("resumed", "echo", "1")
            },
        ),
        own(
            "invalid_request",
            "later",
            &Request {
                turn: 5,
                ..request("later", "echo", "1")
            },
        ),
        own(
            "invalid_request",
            "earlier",
            &Request {
                turn: -1,
                ..request("earlier", "echo", "1")
            },
        ),
        own("unknown_chain", "zero", &request("zero", "echo@01", "1")),
        own("unknown_chain", "plus", &request("plus", "echo@+1", "1")),
        own(
            "output_too_large",
            "long",
            &request("long", "echo", &json!(long).to_string()),
        ),
        Poison {
            class: "invalid_identity",
            topic: "requests",
            value: encoded(&request("fine", "echo", "1")),
            headers: named("not fine"),
            request_id: None,
        },
    ]
}
