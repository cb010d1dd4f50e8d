//! One raw transaction as cheaply as the client allows: deliveries are reported only when they fail, and the commit is the
//! engine's native one.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::kafka::{Bench, PARTITIONS};

/// As long as the worst map of completed offsets that is usual.
const METADATA_BYTES: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(30);

pub type RawProducer = ThreadedProducer<DefaultProducerContext>;

pub struct Transactions {
    producer: RawProducer,
    to: String,
    input: String,
    group: ConsumerGroupMetadata,
    metadata: String,
    /// Next offset to read, by partition.
    next: Vec<Option<i64>>,
}

impl Transactions {
    /// From what `consumer` reads of `input` to the topic `to`.
    pub fn new(bench: &Bench, consumer: &BaseConsumer, input: &str, to: &str) -> anyhow::Result<Self> {
        let producer: RawProducer = bench
            .producing()
            .set("transactional.id", format!("bench-{}", Uuid::new_v4()))
            .set("retry.backoff.ms", "5")
            .create()?;
        producer.init_transactions(PATIENCE)?;
        let group = consumer
            .group_metadata()
            .ok_or_else(|| anyhow::anyhow!("the consumer has no group"))?;
        Ok(Self {
            producer,
            to: to.to_owned(),
            input: input.to_owned(),
            group,
            metadata: "m".repeat(METADATA_BYTES),
            next: vec![None; usize::try_from(PARTITIONS)?],
        })
    }

    pub fn begin(&self) -> anyhow::Result<()> {
        Ok(self.producer.begin_transaction()?)
    }

    pub fn produce(&mut self, key: Option<&[u8]>, value: &[u8], from: (i32, i64)) -> anyhow::Result<()> {
        send(&self.producer, &self.to, key, value)?;
        if let Some(next) = self.next.get_mut(usize::try_from(from.0)?) {
            *next = Some(from.1 + 1);
        }
        Ok(())
    }

    pub fn commit(&mut self) -> anyhow::Result<()> {
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in (0..PARTITIONS).zip(&mut self.next) {
            if let Some(next) = next.take() {
                let mut offset = offsets.add_partition(&self.input, partition);
                offset.set_offset(Offset::Offset(next))?;
                offset.set_metadata(&self.metadata);
            }
        }
        self.producer
            .send_offsets_to_transaction(&offsets, &self.group, PATIENCE)?;
        Ok(topics::commit_transaction(&self.producer)?)
    }
}

/// Waits while the client's queue is full.
pub fn send(producer: &RawProducer, to: &str, key: Option<&[u8]>, value: &[u8]) -> anyhow::Result<()> {
    let mut record = BaseRecord::<[u8], [u8]>::to(to).payload(value);
    record.key = key;
    let until = Instant::now() + PATIENCE;
    while let Err((error, back)) = producer.send(record) {
        let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        ensure!(is_full && Instant::now() < until, error);
        // the producer's own thread makes room meanwhile
        std::thread::park_timeout(Duration::from_millis(1));
        record = back;
    }
    Ok(())
}
