use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use testkit::{OwnParts, Parts, PartsConfig, Space, until};
use tokio::process::Command;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_record_a_schema_and_a_row_go_through_the_shared_parts() {
    let space = Space::new("parts").await;

    let topic = space.topic("echo");
    create(space.parts, &topic).await;
    produce(space.parts, &topic, "hello").await;
    assert_eq!(first_payload(space.parts, &topic).await, "hello");

    let subject = format!("{}/subjects/{topic}-value/versions", space.parts.registry_url);
    let schema = json!({ "schema": json!({ "type": "string" }).to_string() });
    let answer = reqwest::Client::new().post(subject).json(&schema).send().await.unwrap();
    assert!(answer.json::<Value>().await.unwrap()["id"].is_i64());

    let mut postgres = PgConnection::connect(&space.postgres_url).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut postgres)
        .await
        .unwrap();
    assert_eq!(format!("{name}."), space.prefix);
}

#[tokio::test]
async fn own_parts_can_be_paused_killed_and_restarted_and_keep_what_was_acknowledged() {
    let mut own = OwnParts::start(PartsConfig {
        durable: true,
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    create(&own.parts, "kept").await;
    produce(&own.parts, "kept", "before the kill").await;
    let subject = format!("{}/subjects/kept-value/versions", own.parts.registry_url);
    let schema = json!({ "schema": json!({ "type": "long" }).to_string() });
    let http = reqwest::Client::new();
    http.post(&subject)
        .json(&schema)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();

    own.kafka.pause().unwrap();
    let consumer: BaseConsumer = client(&own.parts).create().unwrap();
    assert!(metadata(consumer, Duration::from_millis(300)).await.is_err());
    own.kafka.resume().unwrap();
    own.kafka.ready().await.unwrap();

    for part in [&mut own.postgres, &mut own.registry, &mut own.kafka] {
        part.kill().unwrap();
        part.start().await.unwrap();
    }
    assert_eq!(first_payload(&own.parts, "kept").await, "before the kill");
    assert_eq!(
        http.get(&subject).send().await.unwrap().json::<Value>().await.unwrap(),
        json!([1])
    );

    let ports = [&own.parts.bootstrap, &own.parts.registry_url, &own.parts.postgres_url].map(|url| port(url));
    own.end().unwrap();
    for port in ports {
        assert!(
            std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(),
            "port {port} is still held"
        );
    }
}

fn client(parts: &Parts) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &parts.bootstrap)
        .set("group.id", "unused");
    config
}

async fn create(parts: &Parts, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = client(parts).create().unwrap();
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let outcome = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
    outcome.into_iter().for_each(|created| drop(created.unwrap()));
}

async fn produce(parts: &Parts, topic: &str, payload: &str) {
    let producer: BaseProducer = client(parts).create().unwrap();
    producer
        .send(BaseRecord::<(), str>::to(topic).payload(payload))
        .map_err(|(error, _)| error)
        .unwrap();
    tokio::task::spawn_blocking(move || producer.flush(SOON))
        .await
        .unwrap()
        .unwrap();
}

async fn first_payload(parts: &Parts, topic: &str) -> String {
    let consumer: BaseConsumer = client(parts).create().unwrap();
    let mut from = rdkafka::TopicPartitionList::new();
    from.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let message = until(SOON, async || {
        consumer.poll(Duration::ZERO).map(|message| message.unwrap().detach())
    });
    String::from_utf8(message.await.unwrap().payload().unwrap().to_vec()).unwrap()
}

async fn metadata(consumer: BaseConsumer, within: Duration) -> Result<(), rdkafka::error::KafkaError> {
    tokio::task::spawn_blocking(move || consumer.fetch_metadata(None, within).map(drop))
        .await
        .unwrap()
}

/// `postgres://postgres@127.0.0.1:20123/postgres` → 20123
pub fn port(address: &str) -> u16 {
    let (_, rest) = address.split_once("127.0.0.1:").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_missing_is_said_to_whoever_asked() {
    let home = tempfile::tempdir().unwrap();
    let asked = Command::new(env!("CARGO_BIN_EXE_parts"))
        .args(["with", "true"])
        .env("PARTS_FOLDER", home.path())
        .env("JAVA_HOME", "/nonexistent")
        .output()
        .await
        .unwrap();
    assert!(!asked.status.success());
    let said = String::from_utf8(asked.stderr).unwrap();
    assert!(
        said.contains("Java 17 or newer is needed") && said.contains("install"),
        "{said}"
    );
}
