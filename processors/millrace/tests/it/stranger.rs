//! Clients that know Kafka and nothing of Millrace: confluent-kafka's own Avro serializer and registry client, and kcat.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use testkit::{python, until};

use crate::world::{SOON, World, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_and_kcat_use_the_topics_and_sql_agrees() {
    let mut world = World::new("stranger").await;
    let tickets = world.topic("tickets");
    let shipped = fs::read_to_string(repository().join("topics/topics.yaml")).unwrap();
    let bound = bind_to_echo(&shipped, &tickets);
    world.set("TOPICS", world.write("topics.yaml", &bound).display().to_string());
    // the owner of `tickets` makes it; `apply` then begins the group on it
    testkit::kafka::create_topic(&world.parts.bootstrap, &tickets, 2)
        .await
        .unwrap();
    world.prepare();
    let _running = world.start("all", "orchestrator,recorder").await;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stranger");
    let python = python::environment(&folder.join("requirements.txt")).unwrap();
    let output = Command::new(python)
        .arg(folder.join("stranger.py"))
        .env("KAFKA_BOOTSTRAP_SERVERS", &world.parts.bootstrap)
        .env("KAFKA_PREFIX", &world.prefix)
        .env("SCHEMA_REGISTRY_URL", &world.parts.registry_url)
        .env("PLAIN_TOPIC", &tickets)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["results"], 600);

    let mut sql = PgConnection::connect(&world.postgres_url).await.unwrap();
    let count = async |sql: &mut PgConnection, query: &'static str| -> i64 {
        sqlx::query_scalar(query).fetch_one(sql).await.unwrap()
    };
    let landed = until(SOON, async || {
        let runs = count(&mut sql, "SELECT count(*) FROM runs WHERE status = 'completed'").await;
        let audited = count(&mut sql, "SELECT count(*) FROM audit WHERE kind = 'run'").await;
        (runs >= 600 && audited >= 600).then_some((runs, audited))
    });
    assert_eq!(landed.await.unwrap(), (600, 600));
    assert_eq!(count(&mut sql, "SELECT count(*) FROM duplicate_results").await, 0);
    assert_eq!(count(&mut sql, "SELECT count(*) FROM quarantine").await, 0);

    let listed = kcat(&["-b", &world.parts.bootstrap, "-L"]);
    for topic in ["requests", "results", "audit", "attempts", "dead-letters"] {
        assert!(
            listed.contains(&format!("topic \"{}\"", world.topic(topic))),
            "{topic} in {listed}"
        );
    }
    let results = world.topic("results");
    let headers = kcat(&[
        "-b",
        &world.parts.bootstrap,
        "-t",
        &results,
        "-C",
        "-e",
        "-q",
        "-f",
        "%h\n",
    ]);
    assert_eq!(headers.lines().count(), 600);
    for name in ["request-id=", "tenant=default", "src="] {
        assert!(headers.lines().all(|line| line.contains(name)), "{name} in {headers}");
    }
}

/// The shipped list with one more input of the orchestrator: a user's topic of plain JSON.
fn bind_to_echo(shipped: &str, topic: &str) -> String {
    let input = format!("      - {{topic: {topic}, chain: echo, value: json}}\n");
    let place = shipped.find("  - name: orchestrator\n    inputs:\n").unwrap();
    let end = place + "  - name: orchestrator\n    inputs:\n".len();
    format!("{}{input}{}", &shipped[..end], &shipped[end..])
}

fn kcat(args: &[&str]) -> String {
    let output = Command::new("kcat")
        .args(args)
        .output()
        .expect("kcat is not installed: apt-get install kcat");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
