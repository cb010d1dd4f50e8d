//! Raw clients and topics of the measurements: 1 KB JSON values, lz4, 4 partitions.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::producer::Producer;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use testkit::Parts;
use uuid::Uuid;

use crate::transaction::{RawProducer, send};

pub const PARTITIONS: i32 = 4;

#[derive(Debug, Clone)]
pub struct Bench {
    pub parts: Parts,
    /// Process id.
    pub broker: u32,
    pub measurement: Duration,
    pub rounds: usize,
}

impl Bench {
    /// For a process that only has clients.
    pub fn client_of(bootstrap: &str) -> Self {
        Self {
            parts: Parts {
                bootstrap: bootstrap.to_owned(),
                registry_url: String::new(),
                postgres_url: String::new(),
            },
            broker: 0,
            measurement: Duration::ZERO,
            rounds: 0,
        }
    }

    pub fn create(&self, topic: &str) -> anyhow::Result<()> {
        self.create_with(topic, &[])
    }

    pub fn create_with(&self, topic: &str, configs: &[(&str, &str)]) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topic = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let topic = configs
            .iter()
            .fold(topic, |topic, (config, value)| topic.set(config, value));
        for created in block_on(admin.create_topics([&topic], &AdminOptions::new()))? {
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
        self.fill(topic, records, |n| format!("k-{n}"))
    }

    pub fn fill(&self, topic: &str, records: usize, key: impl Fn(usize) -> String) -> anyhow::Result<()> {
        let producer: RawProducer = self.producing().set("linger.ms", "20").create()?;
        for n in 0..records {
            let (key, value) = (key(n), value(n));
            send(&producer, topic, Some(key.as_bytes()), value.as_bytes())?;
        }
        producer
            .flush(Duration::from_secs(60))
            .context("the input was not written")
    }

    /// So many more records, spread over the time.
    pub fn trickle(&self, topic: &str, records: usize, time: Duration) -> anyhow::Result<()> {
        let producer: RawProducer = self.producing().create()?;
        let start = Instant::now();
        for n in 0..records {
            let due = time.mul_f64(n as f64 / records as f64);
            while start.elapsed() < due {
                std::thread::park_timeout(due.saturating_sub(start.elapsed()));
            }
            send(&producer, topic, Some(format!("t-{n}").as_bytes()), value(n).as_bytes())?;
        }
        Ok(producer.flush(Duration::from_secs(60))?)
    }

    /// Reads committed records of all partitions, under a group of its own.
    ///
    /// `fetch.queue.backoff.ms`: with its default of a second a partition whose queue was full stands still for as long, and
    /// 8 MB a second of each partition is all there is.
    pub fn consumer(&self, topic: &str, from: Offset) -> anyhow::Result<BaseConsumer> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("bench-{}", Uuid::new_v4()))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "1")
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
            .set("delivery.report.only.error", "true")
            .set("queue.buffering.max.messages", "500000")
            .set("linger.ms", "0");
        config
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.parts.bootstrap);
        config
    }
}

/// All of the topic's partitions.
fn assign(consumer: &BaseConsumer, topic: &str, from: Offset) -> anyhow::Result<()> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(20))?;
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        partitions.add_partition_offset(topic, partition.id(), from)?;
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
            assign(&self.consumer, &self.topic, Offset::Offset(0))?;
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

/// About 1 KB of JSON, of words and numbers that repeat as those of a text do: lz4 makes about half of it.
pub fn value(n: usize) -> String {
    const WORDS: [&str; 32] = [
        "the",
        "invoice",
        "of",
        "customer",
        "was",
        "not",
        "delivered",
        "before",
        "payment",
        "please",
        "summarise",
        "and",
        "answer",
        "with",
        "order",
        "number",
        "since",
        "march",
        "returned",
        "damaged",
        "they",
        "ask",
        "whether",
        "refund",
        "is",
        "possible",
        "within",
        "thirty",
        "days",
        "signed",
        "kind",
        "regards",
    ];
    let mut text = String::with_capacity(1_000);
    let mut state = n as u64 ^ 0x9e37_79b9_7f4a_7c15;
    while text.len() < 900 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(state >> 59) as usize]);
        text.push(' ');
        if state >> 40 & 3 == 0 {
            text.push_str(&format!("{:x} ", state >> 32));
        }
    }
    format!(r#"{{"request_id":"r-{n}","chain":"echo","input":"summarise: {text}","metadata":{{}}}}"#)
}

/// Which of the values that [`Bench::fill`] made this is.
pub fn number(value: &[u8]) -> Option<usize> {
    let (_, rest) = std::str::from_utf8(value).ok()?.split_once("\"r-")?;
    rest.split_once('"')?.0.parse().ok()
}
