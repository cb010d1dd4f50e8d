//! The client behind a producer, and what waits for its delivery reports.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{ProduceError, ProducerSettings};
use crate::{KafkaSettings, Output, client, flusher::Flusher, native};

pub(super) struct Connection {
    pub(super) client: Arc<ThreadedProducer<Deliveries>>,
    /// Of one whose records do.
    gathering: Option<Gathering>,
}

struct Gathering {
    time: Duration,
    flusher: Flusher,
    began: Instant,
    /// When the last record was sent, in microseconds since `began`.
    last: AtomicU64,
}

const NEVER: u64 = u64::MAX;

pub(super) type Acknowledgement = Result<(i32, i64), KafkaError>;

impl Connection {
    pub(super) fn new(kafka: &KafkaSettings, settings: &ProducerSettings) -> Result<Self, ProduceError> {
        let client = Arc::new(connect(kafka, settings)?);
        let gathers = settings.gather > Duration::ZERO;
        Ok(Self {
            gathering: gathers.then(|| Gathering::new(settings.gather, &client)),
            client,
        })
    }

    /// `room` is freed when the acknowledgement is there.
    pub(super) fn send(
        &self,
        output: &Output,
        room: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Acknowledgement>, KafkaError> {
        let (done, acknowledged) = oneshot::channel();
        let sent = self
            .client
            .send(record(output, Box::new(Delivery { done, _room: room })));
        sent.map_err(|(error, _)| error)?;
        if let Some(gathering) = &self.gathering {
            gathering.sent();
        }
        Ok(acknowledged)
    }
}

impl Gathering {
    fn new(time: Duration, client: &Arc<ThreadedProducer<Deliveries>>) -> Self {
        Self {
            time,
            // After that long nothing gathers any more.
            flusher: Flusher::start(client, time),
            began: Instant::now(),
            last: AtomicU64::new(NEVER),
        }
    }

    /// A record that would gather alone does not.
    fn sent(&self) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let now = micros(self.began.elapsed());
        let last = self.last.swap(now, Ordering::Relaxed);
        if last == NEVER || now.saturating_sub(last) >= micros(self.time) {
            self.flusher.flush();
        }
    }
}

fn connect(kafka: &KafkaSettings, settings: &ProducerSettings) -> Result<ThreadedProducer<Deliveries>, ProduceError> {
    let mut config = client::config(kafka, &settings.client_id);
    if !kafka.client.contains_key("compression.type") {
        config.set("compression.type", "lz4");
    }
    config
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", (settings.gather.as_secs_f64() * 1e3).to_string())
        .set("message.timeout.ms", settings.timeout.as_millis().max(1).to_string())
        // The broker's own limit per topic decides, so that its answer is the error. A message that is larger than
        // batch.size (1 MB) is alone in its batch, and no topic of ours takes less: its refusal hits no other.
        .set("message.max.bytes", "1000000000")
        .set("topic.metadata.propagation.max.ms", "5000")
        // The semaphore bounds the queue; librdkafka's own limits must not strike first.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151")
        .create_with_context(Deliveries::new(settings.client_id.clone()))
        .map_err(ProduceError::Create)
}

fn record(output: &Output, delivery: Box<Delivery>) -> BaseRecord<'_, [u8], [u8], Box<Delivery>> {
    BaseRecord {
        topic: &output.topic,
        partition: output.partition,
        payload: output.value.as_deref(),
        key: output.key.as_deref(),
        timestamp: None,
        headers: native::headers::write(&output.headers),
        delivery_opaque: delivery,
    }
}

/// What waits for a record's delivery report; its room in the buffer is freed with it.
pub(super) struct Delivery {
    done: oneshot::Sender<Acknowledgement>,
    _room: OwnedSemaphorePermit,
}

pub(super) struct Deliveries {
    client_id: String,
    acknowledged: metrics::Counter,
    failed: metrics::Counter,
}

impl Deliveries {
    fn new(client_id: String) -> Self {
        let count = |outcome: &'static str| metrics::counter!("millrace_produced_total", "client" => client_id.clone(), "outcome" => outcome);
        Self {
            acknowledged: count("acknowledged"),
            failed: count("failed"),
            client_id,
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(&self.client_id, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&self.client_id, &error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        let acknowledgement = match result {
            Ok(message) => {
                self.acknowledged.increment(1);
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => {
                self.failed.increment(1);
                Err(error.clone())
            }
        };
        // Nobody waits any more: the caller gave up, the record is in the log all the same.
        let _ = delivery.done.send(acknowledgement);
    }
}
