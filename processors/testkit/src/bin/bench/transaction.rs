//! One raw transaction as cheaply as the client allows.
//!
//! The wrapper's commit first flushes in steps of 100 ms. When every delivery has been reported before, its flush returns
//! at once; so the reports are counted, on the producer's own thread.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::kafka::{Bench, PARTITIONS};

/// As long as the worst map of completed offsets that is usual.
const METADATA_BYTES: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Transactions {
    producer: ThreadedProducer<Deliveries>,
    to: String,
    input: String,
    group: ConsumerGroupMetadata,
    metadata: String,
    /// Next offset to read, by partition.
    next: Vec<Option<i64>>,
}

#[derive(Default)]
struct Deliveries {
    outstanding: Mutex<usize>,
    none: Condvar,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, _: ()) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        *outstanding -= 1;
        if *outstanding == 0 {
            self.none.notify_all();
        }
    }
}

impl Transactions {
    /// From what `consumer` reads of `input` to the topic `to`.
    pub fn new(bench: &Bench, consumer: &BaseConsumer, input: &str, to: &str) -> anyhow::Result<Self> {
        let producer: ThreadedProducer<Deliveries> = bench
            .producing()
            .set("transactional.id", format!("bench-{}", Uuid::new_v4()))
            .set("retry.backoff.ms", "5")
            .create_with_context(Deliveries::default())?;
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
        *self
            .producer
            .context()
            .outstanding
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.to).payload(value);
        record.key = key;
        self.producer.send(record).map_err(|(error, _)| error)?;
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
        let deliveries = self.producer.context();
        let mut outstanding = deliveries.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        while *outstanding > 0 {
            outstanding = deliveries
                .none
                .wait(outstanding)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(outstanding);
        // the last report is counted a moment before it leaves the queue
        while self.producer.in_flight_count() > 0 {
            std::thread::yield_now();
        }
        #[expect(clippy::disallowed_methods, reason = "nothing is left to flush, so it does not wait")]
        Ok(self.producer.commit_transaction(PATIENCE)?)
    }
}
