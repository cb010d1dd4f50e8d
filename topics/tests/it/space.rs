//! What the stories here have in common: a corner of the broker, topics in it, records to write.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};
use testkit::Space;
use topics::{KafkaSettings, Output, Producer, ProducerSettings};

pub const SOON: Duration = Duration::from_secs(60);

pub fn settings(space: &Space) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: space.parts.bootstrap.clone(),
        prefix: space.prefix.clone(),
        client: Default::default(),
    }
}

pub fn producer(space: &Space) -> Producer {
    Producer::new(&settings(space), ProducerSettings::new("test-producer")).unwrap()
}

pub fn record(topic: &str, partition: i32, value: impl Into<String>) -> Output {
    Output {
        topic: topic.to_owned(),
        partition: Some(partition),
        value: Some(value.into().into()),
        ..Output::default()
    }
}

pub fn admin(space: &Space) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", &space.parts.bootstrap)
        .create()
        .unwrap()
}

/// A topic outside of the catalog; its full name.
pub async fn topic(space: &Space, name: &str, partitions: i32, configs: &[(&str, &str)]) -> String {
    let name = space.topic(name);
    let mut topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    for (config, value) in configs {
        topic = topic.set(config, value);
    }
    let created = admin(space)
        .create_topics([&topic], &AdminOptions::new())
        .await
        .unwrap();
    created.into_iter().next().unwrap().unwrap();
    name
}

pub async fn grow(space: &Space, topic: &str, partitions: usize) {
    let grown = NewPartitions::new(topic, partitions);
    let grown = admin(space)
        .create_partitions([&grown], &AdminOptions::new())
        .await
        .unwrap();
    grown.into_iter().next().unwrap().unwrap();
}
