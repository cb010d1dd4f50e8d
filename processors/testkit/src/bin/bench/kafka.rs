//! Raw clients and topics of the measurements: 1 KB JSON values, lz4, 4 partitions.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Context;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testkit::Parts;
use uuid::Uuid;

pub const PARTITIONS: i32 = 4;

#[derive(Debug, Clone)]
pub struct Bench {
    pub parts: Parts,
    pub measurement: Duration,
    pub rounds: usize,
}

impl Bench {
    pub fn new(parts: Parts, seconds: u64, rounds: usize) -> Self {
        Self {
            parts,
            measurement: Duration::from_secs(seconds),
            rounds,
        }
    }

    pub fn create(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topics = [NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))];
        for created in block_on(admin.create_topics(&topics, &AdminOptions::new()))? {
            created.map_err(|(topic, code)| anyhow::anyhow!("cannot create {topic}: {code}"))?;
        }
        Ok(())
    }

    pub fn delete(&self, topic: &str) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        block_on(admin.delete_topics(&[topic], &AdminOptions::new()))?;
        Ok(())
    }

    /// A topic with so many records.
    pub fn load(&self, topic: &str, records: usize) -> anyhow::Result<()> {
        self.create(topic)?;
        let producer: BaseProducer = self
            .producing()
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "10000")
            .create()?;
        for n in 0..records {
            let (key, value) = (format!("k-{n}"), value(n));
            let mut record = BaseRecord::to(topic).key(&key).payload(&value);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(20));
                record = back;
            }
            if n % 1000 == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer
            .flush(Duration::from_secs(60))
            .context("the input was not written")
    }

    /// Reads committed records of all partitions, under a group of its own.
    pub fn consumer(&self, topic: &str, from: Offset) -> anyhow::Result<BaseConsumer> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("bench-{}", Uuid::new_v4()))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "100")
            // enough for any rate measured here; the default of 64 MB would be most of the memory that is measured
            .set("queued.max.messages.kbytes", "8192")
            .create()?;
        assign(&consumer, topic, from)?;
        Ok(consumer)
    }

    pub fn producing(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("compression.type", "lz4")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0");
        config
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.parts.bootstrap);
        config
    }
}

fn assign(consumer: &BaseConsumer, topic: &str, from: Offset) -> anyhow::Result<()> {
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&partitions)?;
    Ok(())
}

/// A topic as a river without end: after its last record comes its first.
pub struct River {
    pub consumer: BaseConsumer,
    topic: String,
    records: usize,
    left: Cell<usize>,
}

impl River {
    pub fn open(bench: &Bench, topic: &str, records: usize) -> anyhow::Result<Self> {
        let consumer = bench.consumer(topic, Offset::Beginning)?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            records,
            left: Cell::new(records),
        })
    }

    pub fn next<T>(&self, mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        if self.left.get() == 0 {
            assign(&self.consumer, &self.topic, Offset::Beginning)?;
            self.left.set(self.records);
        }
        loop {
            if let Some(message) = self.consumer.poll(Duration::from_millis(100)) {
                self.left.set(self.left.get() - 1);
                return take(&message?);
            }
        }
    }
}

/// About 1 KB of JSON that compresses as text does.
fn value(n: usize) -> String {
    let words: Vec<String> = (0..22)
        .map(|word| format!("{:032x}", (n as u128 + 1).wrapping_mul(word + 7)))
        .collect();
    format!(
        r#"{{"request_id":"r-{n}","chain":"echo","input":"summarise: {}","metadata":{{}}}}"#,
        words.join(" ")
    )
}
