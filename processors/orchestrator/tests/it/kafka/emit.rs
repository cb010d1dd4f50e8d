//! Chains that emit to a topic of an owner's.

use std::{
    error::Error as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use schemas::{ChainRecord, Definition, Request, headers, status};
use serde_json::{Value, json};
use tokio::time::timeout;
use topics::{Headers, Record, Start, Tail, TailEvent, TailSettings};

use super::world::World;

const PATIENCE: Duration = Duration::from_secs(60);
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const REFUND: Definition = Definition {
    name: "Refund",
    avsc: r#"{"type": "record", "name": "Refund", "namespace": "acme", "fields": [
        {"name": "order", "type": "string"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "urgent", "type": "boolean"},
        {"name": "note", "type": ["null", "string"], "default": null}]}"#,
};

const OUTPUT: &str =
    r#"{order: "{{ input.order }}", amount: "{{ input.amount }}", at: "{{ input.at }}", urgent: "{{ input.urgent }}"}"#;

fn chain(version: i32, output: &str, emit: &str) -> String {
    format!(
        "apiVersion: chain/v1\nkind: Chain\nmetadata: {{name: refund, version: {version}}}\n\
         input: {{schema: {{type: object, required: [order, amount, at, urgent], properties: {{\
         order: {{type: string}}, amount: {{type: number}}, at: {{type: string}}, urgent: {{type: boolean}}}}}}}}\n\
         steps: [{{id: paid, chat: {{model: answer, messages: [{{role: user, content: hello}}]}}}}]\n\
         output: {{value: {output}}}\nemit: {emit}\n"
    )
}

fn ask(order: &str, at: &str) -> Request {
    let input = json!({"order": order, "amount": 12.5, "at": at, "urgent": true});
    Request {
        request_id: Some(order.to_owned()),
        tenant: "acme".to_owned(),
        chain: "refund".to_owned(),
        input: input.to_string(),
        ..Request::default()
    }
}

/// A topic that somebody else made, with its schema.
async fn refunds(world: &World) -> String {
    let topic = world.kafka.topic("refunds");
    testkit::kafka::create_topic(&world.kafka.bootstrap_servers, &topic, 1)
        .await
        .unwrap();
    world.registry.register(&topic, REFUND).await.unwrap();
    topic
}

/// What is committed there, up to the record for `last`.
async fn emitted(world: &World, topic: &str, last: &str) -> Vec<Record> {
    let settings = TailSettings {
        client_id: "owner".to_owned(),
        topics: vec![topic.to_owned()],
        start: Start::Beginning,
        buffer_bytes: 1 << 20,
    };
    let mut tail = Tail::open(&world.kafka, settings).unwrap();
    let mut records = Vec::new();
    loop {
        let event = timeout(PATIENCE, tail.recv()).await.expect("nothing for the last one");
        if let TailEvent::Record(record) = event.unwrap() {
            let is_last = record.headers.text(headers::SRC) == Some(last);
            records.push(record);
            if is_last {
                return records;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_gives_is_once_in_the_owners_topic_and_in_its_schema() {
    let mut world = World::new("orchestrator-emit").await;
    let topic = refunds(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let source = chain(1, OUTPUT, &format!("{{topic: {topic}, value: avro}}"));
    fs::write(folder.path().join("refund.yaml"), source).unwrap();
    let mut running = world.start_with(folder.path().to_owned());
    running.ready().await;

    let traced = Headers::new().with(headers::TRACEPARENT, TRACEPARENT);
    let first = world.ask(&ask("o-1", "2026-11-23T08:53:38.123Z"), traced).await;
    let given = world.committed(&first).await.result;
    assert_eq!((given.status.as_str(), given.error), (status::COMPLETED, None));

    // Text is as much as can be known of it before.
    let wrong = world.ask(&ask("o-2", "yesterday"), Headers::new()).await;
    let failed = world.ended(&wrong).await;
    let error = failed.result.error.unwrap();
    assert_eq!(error.class, "invalid_output");
    assert!(
        error.message.contains("/at") && error.message.contains(&topic) && !error.message.contains("yesterday"),
        "{}",
        error.message
    );
    assert_eq!(
        (failed.attempts.len(), failed.result.attempts),
        (1, 1),
        "it was paid for"
    );
    assert_eq!(failed.run.outcome, "invalid_output");

    let last = world.ask(&ask("o-3", "2026-11-23T08:53:38Z"), Headers::new()).await;
    assert_eq!(world.committed(&last).await.result.status, status::COMPLETED);

    let records = emitted(&world, &topic, &last).await;
    let orders: Vec<_> = records.iter().map(|record| record.headers.text("request-id")).collect();
    assert_eq!(orders, [Some("o-1"), Some("o-3")]);
    let record = &records[0];
    let value = world
        .registry
        .plain_decoder()
        .decode(record.value.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(
        value,
        json!({"order": "o-1", "amount": "12.50", "at": "2026-11-23T08:53:38.123Z", "urgent": true, "note": null})
    );
    assert_eq!(record.key, Some(Bytes::from_static(b"key")));
    for (name, value) in [("tenant", "acme"), ("src", &first), ("traceparent", TRACEPARENT)] {
        assert_eq!(record.headers.text(name), Some(value));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_does_not_fit_its_topic_does_not_start() {
    let world = World::new("orchestrator-emit-misfit").await;
    let topic = refunds(&world).await;
    let nobodys = world.kafka.topic("nobodys");
    let wrong_type = OUTPUT.replace("input.urgent", "input.order");
    let unknown = OUTPUT.replace("urgent:", "hasty:");
    let more = OUTPUT.replacen('{', "{more: 1, ", 1);
    for (output, topic, value, said) in [
        (
            &*wrong_type,
            &*topic,
            "avro",
            vec!["refund.yaml:7:7", &*topic, "`.urgent` is text, a boolean is wanted"],
        ),
        (&unknown, &topic, "avro", vec!["`.urgent` is missing"]),
        (&more, &topic, "avro", vec!["`.more` is a field that it does not have"]),
        (
            OUTPUT,
            &nobodys,
            "avro",
            vec![&*nobodys, "no Avro schema", "its owner registers one"],
        ),
        (OUTPUT, &world.kafka.topic("audit"), "json", vec!["Millrace's own"]),
        (
            OUTPUT,
            &world.kafka.topic("tickets"),
            "avro",
            vec!["each run would start another"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let source = chain(1, output, &format!("{{topic: {topic}, value: {value}}}"));
        fs::write(folder.path().join("refund.yaml"), source).unwrap();
        let refused = world.start_with(folder.path().to_owned()).ended().await.unwrap_err();
        let why = refused.source().unwrap().to_string();
        assert!(said.iter().all(|said| why.contains(said)), "{said:?}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_chain_that_does_not_fit_is_unusable_and_says_why() {
    let mut world = World::new("orchestrator-emit-learned").await;
    let topic = refunds(&world).await;
    let source = chain(1, "{order: 1}", &format!("{{topic: {topic}, value: avro}}"));
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("refund.yaml");
    std::fs::write(&path, &source).unwrap();
    // What the topic takes is not asked for here.
    let digest = orchestrator::load_one(&path, &crate::resources::resources())
        .unwrap()
        .digest
        .clone();
    let published = ChainRecord {
        name: "refund".to_owned(),
        version: 1,
        digest,
        source,
        graph: "[]".to_owned(),
        input_schema: "{}".to_owned(),
        output_schema: "{}".to_owned(),
        ..ChainRecord::default()
    };
    let chains = world.kafka.topic("chains");
    let value = world
        .registry
        .encoder(&chains)
        .await
        .unwrap()
        .encode(&published)
        .unwrap();
    let key = Some(bytes::Bytes::from_static(b"refund@1"));
    world.send_keyed("chains", key, Some(value), Headers::new()).await;
    let mut running = world.start();
    running.ready().await;

    let src = world.ask(&ask("o-1", "2026-11-23T08:53:38Z"), Headers::new()).await;
    let error = world.committed(&src).await.result.error.unwrap();

    assert_eq!(error.class, "unusable_chain");
    assert!(
        error.message.contains(&topic) && error.message.contains("`.amount` is missing, and it is required"),
        "{}",
        error.message
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_bound_when_its_file_is_taken_over() {
    let mut world = World::new("orchestrator-emit-reload").await;
    let topic = refunds(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, source: String| fs::write(folder.path().join(name), source).unwrap();
    write(
        "one.yaml",
        chain(1, "1", &format!("{{topic: {topic}-json, value: json}}")),
    );
    testkit::kafka::create_topic(&world.kafka.bootstrap_servers, &format!("{topic}-json"), 1)
        .await
        .unwrap();
    let mut running = world.start_with(folder.path().to_owned());
    running.ready().await;

    let json = world.ask(&ask("o-1", "2026-11-23T08:53:38Z"), Headers::new()).await;
    world.committed(&json).await;
    let records = emitted(&world, &format!("{topic}-json"), &json).await;
    assert_eq!(records[0].value.as_deref(), Some(&b"1"[..]));

    write(
        "two.yaml",
        chain(2, OUTPUT, &format!("{{topic: {topic}, value: avro}}")),
    );
    let began = Instant::now();
    let last = loop {
        let src = world.ask(&ask("o-2", "2026-11-23T08:53:38Z"), Headers::new()).await;
        if world
            .committed(&src)
            .await
            .result
            .chain
            .unwrap()
            .starts_with("refund@2#")
        {
            break src;
        }
        assert!(began.elapsed() < PATIENCE, "the new version was not taken over");
    };
    assert_eq!(emitted(&world, &topic, &last).await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_is_a_failed_run_and_the_next_one_goes_on() {
    let mut world = World::new("orchestrator-emit-nowhere").await;
    let nowhere = world.kafka.topic("nowhere");
    let folder = tempfile::tempdir().unwrap();
    let echo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains/echo.yaml");
    fs::copy(echo, folder.path().join("echo.yaml")).unwrap();
    let source = chain(1, "1", &format!("{{topic: {nowhere}, value: json}}"));
    fs::write(folder.path().join("refund.yaml"), source).unwrap();
    let mut running = world.start_with(folder.path().to_owned());
    running.ready().await;

    let src = world.ask(&ask("o-1", "2026-11-23T08:53:38Z"), Headers::new()).await;
    let committed = world.committed(&src).await;
    let error = committed.result.error.unwrap();
    assert!(error.message.contains(&nowhere), "{}: {}", error.class, error.message);
    assert_eq!(committed.attempts.len(), 1, "it was paid for");
    assert_eq!(committed.dead_letter.unwrap().class, error.class);

    let echo = Request {
        chain: "echo".to_owned(),
        input: Value::from(1).to_string(),
        ..Request::default()
    };
    let src = world.ask(&echo, Headers::new()).await;
    assert_eq!(world.committed(&src).await.result.status, status::COMPLETED);
    running.stop().await;
}
