//! Whatever bytes somebody sends, in whichever place of a record: each record has its result, what nobody can work on has a
//! dead letter with the same bytes, both are rows, and the good ones between do not notice.

mod generated;

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use schemas::{Registry, RegistrySettings, Request, RunResult, status};
use serde_json::Value;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use testkit::until;
use topics::{Output, Producer, ProducerSettings};

use crate::world::{SOON, World};
use generated::{Expected, Generator};

const RECORDS: usize = 2_000;
const SEED: u64 = 16;

/// What SQL knows of a request.
struct Asked {
    result_src: String,
    status: String,
    input: Option<String>,
    output: Option<String>,
}

struct Letter {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: String,
}

impl Asked {
    fn of(row: &PgRow) -> Self {
        Self {
            result_src: row.get(1),
            status: row.get(2),
            input: row.get(3),
            output: row.get(4),
        }
    }
}

impl Letter {
    fn of(row: &PgRow) -> Self {
        Self {
            key: row.get(1),
            value: row.get(2),
            headers: row.get(3),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_has_its_result_and_its_rows_whatever_bytes_it_is_made_of() {
    let world = World::new("any-records").await;
    let running = world.start("all", "orchestrator,recorder").await;
    let sent = send(&world).await;

    let mut sql = PgConnection::connect(&world.postgres_url).await.unwrap();
    let count = async |sql: &mut PgConnection, what: &'static str| -> i64 {
        sqlx::query_scalar(what).fetch_one(sql).await.unwrap()
    };
    let all = i64::try_from(RECORDS).unwrap();
    let recorded = until(SOON, async || {
        let letters = count(&mut sql, "SELECT count(*) FROM dead_letters").await;
        let failed = count(&mut sql, "SELECT count(*) FROM runs WHERE status = 'failed'").await;
        let both = "SELECT count(*) FROM runs WHERE request_src IS NOT NULL AND result_src IS NOT NULL";
        (count(&mut sql, both).await == all && letters == failed).then_some(())
    });
    if recorded.await.is_err() {
        let counts =
            "SELECT count(*) || ' runs, ' || count(request_src) || ' asked, ' || count(result_src) || ' ended, '
            || (SELECT count(*) FROM dead_letters) || ' letters' FROM runs";
        let counts: String = sqlx::query_scalar(counts).fetch_one(&mut sql).await.unwrap();
        panic!("{counts}\n{}", running.log());
    }
    for none in [
        "SELECT count(*) FROM quarantine",
        "SELECT count(*) FROM duplicate_results",
    ] {
        assert_eq!(count(&mut sql, none).await, 0, "{none}");
    }
    let marked = "SELECT count(*) FROM runs WHERE mended IS NOT NULL";
    assert!(count(&mut sql, marked).await > 100, "hardly anything was hostile");

    let asked = "SELECT request_src, result_src, status, input, output FROM runs";
    let asked = sqlx::query(asked).fetch_all(&mut sql).await.unwrap();
    let asked: HashMap<String, Asked> = asked.iter().map(|row| (row.get(0), Asked::of(row))).collect();
    let letters = r#"SELECT topic || '/' || "partition" || '/' || "offset", key, value, headers FROM dead_letters"#;
    let letters = sqlx::query(letters).fetch_all(&mut sql).await.unwrap();
    let letters: HashMap<String, Letter> = letters.iter().map(|row| (row.get(0), Letter::of(row))).collect();
    for (src, (record, expected)) in &sent {
        let row = asked.get(src).unwrap_or_else(|| panic!("{src}: no row"));
        assert_eq!(&row.result_src, src);
        match (expected, row.status.as_str(), letters.get(src)) {
            (Expected::Completed, status::COMPLETED, None) => same_json(row, src),
            (Expected::Cancelled, status::CANCELLED, None) => {}
            (Expected::Refused | Expected::Any, status::FAILED, Some(letter)) => same_bytes(letter, record, src),
            (Expected::Any, status::COMPLETED | status::CANCELLED, None) => {}
            (_, status, letter) => panic!(
                "{src}: {status} with {} letter instead of {expected:?}: {record:?}",
                if letter.is_some() { "a" } else { "no" }
            ),
        }
    }
    running.process.stop(SOON).await.unwrap();
}

/// By `topic/partition/offset`.
async fn send(world: &World) -> BTreeMap<String, (Output, Expected)> {
    let settings = RegistrySettings {
        url: world.parts.registry_url.clone(),
        username: None,
        password: None,
    };
    let registry = Registry::new(&settings).unwrap();
    let topic = world.topic("requests");
    let requests = registry.encoder::<Request>(&topic).await.unwrap();
    let results = registry.encoder::<RunResult>(&world.topic("results")).await.unwrap();
    let another = results.encode(&RunResult::default()).unwrap();
    let producer = Producer::new(&world.kafka(), ProducerSettings::new("driver")).unwrap();
    let records = Generator::new(SEED, topic.clone(), requests, another).take(RECORDS);
    let sent = records.map(async |(record, expected)| {
        let (partition, offset) = producer.send(record.clone()).await.unwrap();
        (format!("{topic}/{partition}/{offset}"), (record, expected))
    });
    futures::future::join_all(sent).await.into_iter().collect()
}

fn same_json(row: &Asked, src: &str) {
    let json = |text: &Option<String>| serde_json::from_str::<Value>(text.as_deref().unwrap()).unwrap();
    assert_eq!(json(&row.output), json(&row.input), "{src}");
}

fn same_bytes(letter: &Letter, record: &Output, src: &str) {
    assert_eq!(letter.key.as_deref(), record.key.as_deref(), "{src}");
    assert_eq!(letter.value.as_deref(), record.value.as_deref(), "{src}");
    let kept: Vec<Value> = serde_json::from_str(&letter.headers).unwrap();
    let base64 = |value: &Value| Some(BASE64_STANDARD.decode(value.as_str()?).unwrap());
    let kept: Vec<(Vec<u8>, Option<Vec<u8>>)> = kept
        .iter()
        .map(|header| {
            let name = || header["name"].as_str().unwrap().as_bytes().to_vec();
            (
                base64(&header["name_bytes"]).unwrap_or_else(name),
                base64(&header["value"]),
            )
        })
        .collect();
    let headers = record.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
        .collect();
    assert_eq!(kept, headers, "{src}");
}
