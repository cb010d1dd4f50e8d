use std::{collections::BTreeSet, time::Duration};

use testkit::Space;
use topics::{Headers, Output, ProduceError, Tail, TailEvent, TailSettings};

use crate::space::{producer, record, settings, topic};

/// Apache Kafka, `UtilsTest.testMurmur2`; the partition of a key is `toPositive(murmur2(key)) % partitions`.
const MURMUR2: [(&str, i32); 7] = [
    ("21", -973932308),
    ("foobar", -790332482),
    ("a-little-bit-long-string", -985981536),
    ("a-little-bit-longer-string", -1486304829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ("abc", 479470107),
    ("", 275646681),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_the_partition_that_java_clients_choose() {
    let space = Space::new("murmur2").await;
    let topic = topic(&space, "keyed", 7, &[]).await;
    let producer = producer(&space);

    for (key, hash) in MURMUR2 {
        let output = Output {
            topic: topic.clone(),
            key: Some(key.into()),
            ..Output::default()
        };
        let (partition, _) = producer.send(output).await.unwrap();
        assert_eq!(partition, (hash & i32::MAX) % 7, "key {key:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_spread() {
    let space = Space::new("spread").await;
    let topic = topic(&space, "unkeyed", 4, &[]).await;
    let producer = producer(&space);

    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let (partition, _) = producer
            .send(Output {
                topic: topic.clone(),
                ..Output::default()
            })
            .await
            .unwrap();
        seen.insert(partition);
    }
    assert_eq!(seen, BTreeSet::from([0, 1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_as_it_was() {
    let space = Space::new("verbatim").await;
    let topic = topic(&space, "bytes", 1, &[]).await;
    let headers = Headers::new()
        .with("tenant", "acme")
        .with("empty", "")
        .with(b"\xff", "no text")
        .with(b"a\0b", "a NUL within")
        .with("", "no name");
    let mut written = Output {
        headers,
        ..record(&topic, 0, "value")
    };
    written.headers.push("null", None);
    written.headers.push(b"\0\xff", None);
    written.key = Some("".into());
    producer(&space).send(written.clone()).await.unwrap();

    let settings_of_tail = TailSettings {
        client_id: "reader".to_owned(),
        topics: vec![topic],
        start: topics::Start::Beginning,
        buffer_bytes: 1 << 20,
    };
    let mut tail = Tail::open(&settings(&space), settings_of_tail).unwrap();
    let TailEvent::Record(read) = tail.recv().await.unwrap() else {
        panic!("a record comes before the end")
    };
    assert_eq!(
        (read.key, read.value, read.headers),
        (written.key, written.value, written.headers)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_is_too_large_fails_alone_and_says_why() {
    let space = Space::new("large").await;
    let topic = topic(&space, "narrow", 1, &[("max.message.bytes", "1048576")]).await;
    let producer = producer(&space);
    let noise: String = (0..50_000).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();

    let (large, small) = tokio::join!(
        producer.send(record(&topic, 0, noise)),
        producer.send(record(&topic, 0, "small"))
    );

    let error = large.unwrap_err();
    assert!(matches!(error, ProduceError::TooLarge { .. }), "{error:?}");
    assert!(error.is_of_the_record());
    small.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_named() {
    let space = Space::new("nowhere").await;
    let missing = space.topic("missing");

    let error = producer(&space).send(record(&missing, 0, "value")).await.unwrap_err();

    assert!(
        matches!(&error, ProduceError::UnknownTopic { topic, .. } if *topic == missing),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_is_waited_for_and_a_closed_producer_refuses() {
    let space = Space::new("full").await;
    let topic = topic(&space, "narrow", 1, &[]).await;
    let settings_of_producer = topics::ProducerSettings {
        buffer_bytes: 4096,
        ..topics::ProducerSettings::new("narrow")
    };
    let producer = topics::Producer::new(&settings(&space), settings_of_producer).unwrap();

    let sends = (0..200).map(|n| producer.send(record(&topic, 0, format!("{n}{}", "x".repeat(2000)))));
    let sent = futures::future::join_all(sends).await;
    let offsets: Vec<i64> = sent.into_iter().map(|result| result.unwrap().1).collect();
    assert_eq!(
        offsets,
        (0..200).collect::<Vec<i64>>(),
        "sent in the order of the calls"
    );

    producer.close().await;
    let refused = producer.send(record(&topic, 0, "late")).await;
    assert!(matches!(refused, Err(ProduceError::Closed)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_gather_in_one_partition_and_a_lone_one_leaves_at_once() {
    let space = Space::new("gather").await;
    let topic = topic(&space, "gathered", 3, &[]).await;
    let gather = Duration::from_secs(8);
    let settings_of_producer = topics::ProducerSettings {
        gather,
        ..topics::ProducerSettings::new("gathering")
    };
    let producer = topics::Producer::new(&settings(&space), settings_of_producer).unwrap();

    let partition = producer.any_partition(&topic).await.unwrap();
    assert!((0..3).contains(&partition), "{partition}");
    let missing = producer.any_partition("no-such-topic").await;
    assert!(matches!(missing, Err(ProduceError::UnknownTopic { .. })), "{missing:?}");

    let lone = producer.send(record(&topic, partition, "lone"));
    let lone = tokio::time::timeout(gather - Duration::from_secs(1), lone)
        .await
        .expect("it waited for company");
    assert_eq!(lone.unwrap(), (partition, 0));
    let sends = (0..100).map(|n| producer.send(record(&topic, partition, n.to_string())));
    let sent = tokio::time::timeout(gather * 2, futures::future::join_all(sends)).await;
    for (n, sent) in (1..).zip(sent.expect("they are sent when they have gathered")) {
        assert_eq!(sent.unwrap(), (partition, n));
    }
}
