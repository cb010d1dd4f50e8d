//! The broker goes away and comes back.

use std::{path::Path, time::Duration};

use testkit::{OwnParts, PartsConfig};
use tokio::time::timeout;
use topics::{
    Catalog, KafkaSettings, ProduceError, Producer, ProducerSettings, Start, Tail, TailEvent, TailSettings,
    admin::{Admin, Options, plan},
};

use crate::space::{SOON, record};

/// A broker that was killed is fenced by its own controller until its old session is over.
const BACK: Duration = Duration::from_secs(60);

const LIST: &str = "
topics:
  - {name: results, key: any, partitions: 2, max_message: 1MiB, writers: [clients], readers: [clients]}
groups: []
";

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_says_that_the_broker_is_away_and_goes_on_where_it_was_when_it_is_back() {
    let mut own = OwnParts::start(PartsConfig {
        name: "outage".to_owned(),
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    let kafka = KafkaSettings {
        bootstrap_servers: own.parts.bootstrap.clone(),
        prefix: "outage.".to_owned(),
        client: Default::default(),
    };
    let admin = Admin::new(&kafka).unwrap();
    let catalog = Catalog::parse(LIST, Path::new("topics.yaml")).unwrap();
    let state = admin.observe(&catalog).await.unwrap();
    admin
        .apply(&plan(&catalog, &kafka, &state, Options::default()))
        .await
        .unwrap();
    let topic = kafka.topic("results");
    let settings_of_tail = TailSettings {
        client_id: "tail".to_owned(),
        topics: vec![topic.clone()],
        start: Start::End,
        buffer_bytes: 1 << 20,
    };
    let mut tail = Tail::open(&kafka, settings_of_tail).unwrap();
    let mut status = tail.status();
    assert!(matches!(
        timeout(SOON, tail.recv()).await.unwrap().unwrap(),
        TailEvent::CaughtUp
    ));

    own.kafka.kill().unwrap();
    timeout(SOON, status.wait_for(|status| status.trouble.is_some()))
        .await
        .unwrap()
        .unwrap();
    let hasty = ProducerSettings {
        timeout: Duration::from_secs(1),
        ..ProducerSettings::new("hasty")
    };
    let refused = Producer::new(&kafka, hasty)
        .unwrap()
        .send(record(&topic, 0, "into the void"))
        .await;
    assert!(matches!(refused, Err(ProduceError::TimedOut { .. })), "{refused:?}");

    own.kafka.start().await.unwrap();
    let patient = ProducerSettings {
        timeout: BACK,
        ..ProducerSettings::new("patient")
    };
    Producer::new(&kafka, patient)
        .unwrap()
        .send(record(&topic, 1, "after the outage"))
        .await
        .unwrap();
    let TailEvent::Record(read) = timeout(BACK, tail.recv()).await.unwrap().unwrap() else {
        panic!("a tail is caught up only once");
    };
    assert_eq!(read.value.as_deref(), Some(&b"after the outage"[..]));
    timeout(SOON, status.wait_for(|status| status.trouble.is_none()))
        .await
        .unwrap()
        .unwrap();
}
