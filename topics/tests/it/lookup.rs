use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::AdminOptions,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use testkit::Space;
use topics::{Headers, KafkaSettings, Lookup, LookupError, Output, TopicPartition};

use crate::space::{SOON, admin, producer, record, settings, topic};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_found_at_its_place_and_nothing_where_it_was_deleted() {
    let space = Space::new("lookup").await;
    let name = topic(&space, "results", 2, &[]).await;
    let producer = producer(&space);
    let full = Output {
        key: Some("key".into()),
        headers: Headers::new().with("a", "b"),
        ..record(&name, 1, "zero")
    };
    producer.send(full).await.unwrap();
    for value in ["one", "two"] {
        producer.send(record(&name, 1, value)).await.unwrap();
    }
    let (lookup, partition) = (Lookup::new(&settings(&space)), TopicPartition::new(name.as_str(), 1));
    let value = async |offset| {
        let found = lookup.record(&partition, offset).await.unwrap();
        found.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
    };

    let first = lookup.record(&partition, 0).await.unwrap().unwrap();
    assert_eq!(
        (first.src(), first.key.as_deref()),
        (format!("{name}/1/0"), Some(&b"key"[..]))
    );
    assert_eq!(first.headers.text("a"), Some("b"));
    assert!(first.timestamp_ms > 0);
    assert_eq!(value(1).await.as_deref(), Some("one"));

    let mut until = TopicPartitionList::new();
    until.add_partition_offset(&name, 1, Offset::Offset(2)).unwrap();
    admin(&space)
        .delete_records(&until, &AdminOptions::new())
        .await
        .unwrap();
    assert_eq!(value(1).await, None, "retention took it");
    assert_eq!(
        value(2).await.as_deref(),
        Some("two"),
        "all at once, and more than there is room for"
    );
    let many = futures::future::join_all((0..12).map(|_| value(2))).await;
    assert!(many.iter().all(|found| found.as_deref() == Some("two")));

    assert_eq!(value(3).await, None, "nothing was ever there");
    assert_eq!(value(-1).await, None);
    let elsewhere = [
        TopicPartition::new(name.as_str(), 7),
        TopicPartition::new(space.topic("none"), 0),
    ];
    for nowhere in elsewhere {
        assert!(lookup.record(&nowhere, 0).await.unwrap().is_none(), "{nowhere}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_committed_is_not_found() {
    let space = Space::new("lookup-aborted").await;
    let name = topic(&space, "results", 1, &[]).await;
    let writer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &space.parts.bootstrap)
        .set("transactional.id", space.group("writer"))
        .create()
        .unwrap();
    writer.init_transactions(SOON).unwrap();
    writer.begin_transaction().unwrap();
    let aborted = BaseRecord::<(), str>::to(&name).partition(0).payload("aborted");
    writer.send(aborted).map_err(|(error, _)| error).unwrap();
    writer.flush(SOON).unwrap();
    writer.abort_transaction(SOON).unwrap();
    producer(&space).send(record(&name, 0, "plain")).await.unwrap();

    let (lookup, partition) = (Lookup::new(&settings(&space)), TopicPartition::new(name, 0));
    for nothing in [0, 1] {
        assert!(lookup.record(&partition, nothing).await.unwrap().is_none(), "{nothing}");
    }
    assert!(lookup.record(&partition, 2).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_not_waited_for_long() {
    let nowhere = KafkaSettings {
        bootstrap_servers: "127.0.0.1:9".to_owned(),
        prefix: "m.".to_owned(),
        client: Default::default(),
    };
    let asked = Instant::now();
    let error = Lookup::new(&nowhere)
        .record(&TopicPartition::new("m.results", 0), 0)
        .await
        .unwrap_err();
    assert!(matches!(error, LookupError::Silent { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
}
