//! The acknowledged producer: outside of transactions, for requests, write-ahead records and whatever else must be in
//! the log before the next step.
//!
//! Idempotent (KIP-98) with acks from all replicas; records of one partition keep the order in which `send` was first
//! polled. It is not rdkafka's `FutureProducer`: that one sleeps 100 ms when its queue is full; here the queue is
//! bounded in bytes by a semaphore, and a full queue is awaited.

mod error;

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
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, oneshot};

use crate::{KafkaSettings, Output, client, flusher::Flusher};

pub use error::ProduceError;

/// What one user of a producer chooses.
#[derive(Debug, Clone)]
pub struct ProducerSettings {
    /// Names the client in logs, metrics and on the broker.
    pub client_id: String,
    /// How long a record waits for others to share its request; not at all if none was sent for as long. A request carries
    /// one partition, so it is of use for records that go to the same ([`Producer::any_partition`]).
    pub gather: Duration,
    /// How long to try until [`ProduceError::TimedOut`].
    pub timeout: Duration,
    /// Bytes that may lie unacknowledged in memory; `send` waits while there are more.
    pub buffer_bytes: usize,
}

impl ProducerSettings {
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            gather: Duration::ZERO,
            timeout: Duration::from_secs(30),
            buffer_bytes: 64 << 20,
        }
    }
}

/// Cheap to clone; the last clone that goes away drops what is not yet sent, so call [`Producer::close`] first.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    kafka: KafkaSettings,
    settings: ProducerSettings,
    /// Permits of `room`: one per KiB of the buffer.
    capacity: u32,
    room: Arc<Semaphore>,
    /// Replaced after a fatal error (KIP-360: an idempotent producer that lost its sequence cannot go on).
    connection: RwLock<Arc<Connection>>,
    began: Instant,
    /// When the last record was sent, in microseconds since `began`.
    last: AtomicU64,
    /// From `send` to the acknowledgement.
    seconds: metrics::Histogram,
}

impl Shared {
    /// Whether the record that was just sent would gather alone.
    fn is_alone(&self) -> bool {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let now = micros(self.began.elapsed());
        now.saturating_sub(self.last.swap(now, Ordering::Relaxed)) >= micros(self.settings.gather)
    }
}

struct Connection {
    client: Arc<ThreadedProducer<Deliveries>>,
    /// Of one whose records gather.
    flusher: Option<Flusher>,
}

const KIB: usize = 1024;
/// Enough for one record to be on its way; what comes meanwhile does not gather.
const FLUSHED_WITHIN: Duration = Duration::from_millis(1);
/// How long a broker may take to say what partitions there are.
const ASK: Duration = Duration::from_secs(5);

impl Producer {
    /// Connects in the background.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings, settings: ProducerSettings) -> Result<Self, ProduceError> {
        let connection = RwLock::new(Arc::new(Connection::new(kafka, &settings)?));
        let capacity = u32::try_from(settings.buffer_bytes.div_ceil(KIB).max(1)).unwrap_or(u32::MAX);
        let room = Arc::new(Semaphore::new(capacity as usize));
        let seconds = metrics::histogram!("millrace_produce_seconds", "client" => settings.client_id.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                kafka: kafka.clone(),
                settings,
                capacity,
                room,
                connection,
                began: Instant::now(),
                last: AtomicU64::new(0),
                seconds,
            }),
        })
    }

    /// Writes one record and waits until all in-sync replicas have it. Returns its partition and offset. Dropping the
    /// future does not take the record back.
    ///
    /// # Errors
    /// See [`ProduceError`].
    pub async fn send(&self, output: Output) -> Result<(i32, i64), ProduceError> {
        let topic = output.topic.clone();
        let sent = Instant::now();
        let result = match self.enqueue(&output).await {
            Ok(acknowledged) => match acknowledged.await {
                Ok(result) => result.map_err(|error| ProduceError::of(&topic, error)),
                Err(_dropped) => Err(ProduceError::Closed),
            },
            Err(error) => Err(error),
        };
        self.shared.seconds.record(sent.elapsed());
        result
    }

    /// A partition of the topic, by chance.
    ///
    /// # Errors
    /// The broker does not say in time how many there are, or there is no such topic.
    pub async fn any_partition(&self, topic: &str) -> Result<i32, ProduceError> {
        let connection = Arc::clone(&*self.shared.connection.read().await);
        let name = topic.to_owned();
        let ask = move || connection.client.client().fetch_metadata(Some(&name), ASK);
        let asked = tokio::task::spawn_blocking(ask).await;
        let metadata = asked
            .map_err(|_panicked| ProduceError::Closed)?
            .map_err(|error| ProduceError::of(topic, error))?;
        let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        match i32::try_from(count) {
            Ok(count) if count > 0 => Ok(rand::random_range(0..count)),
            _ => Err(ProduceError::of(
                topic,
                KafkaError::MessageProduction(RDKafkaErrorCode::UnknownTopicOrPartition),
            )),
        }
    }

    async fn enqueue(&self, output: &Output) -> Result<oneshot::Receiver<Acknowledgement>, ProduceError> {
        let shared = &self.shared;
        let bytes = u32::try_from(output.size().div_ceil(KIB).max(1)).unwrap_or(u32::MAX);
        let room = Arc::clone(&shared.room)
            .acquire_many_owned(bytes.min(shared.capacity))
            .await
            .map_err(|_| ProduceError::Closed)?;
        let (done, acknowledged) = oneshot::channel();
        let connection = Arc::clone(&*shared.connection.read().await);
        let sent = connection
            .client
            .send(record(output, Box::new(Delivery { done, _room: room })));
        let Err((error, _)) = sent else {
            if let Some(flusher) = connection.flusher.as_ref().filter(|_| shared.is_alone()) {
                flusher.flush();
            }
            return Ok(acknowledged);
        };
        if connection.client.client().fatal_error().is_some() {
            self.replace(&connection).await?;
        }
        Err(ProduceError::of(&output.topic, error))
    }

    /// Puts a new client in the place of `broken`, unless somebody else already did.
    async fn replace(&self, broken: &Arc<Connection>) -> Result<(), ProduceError> {
        let mut current = self.shared.connection.write().await;
        if Arc::ptr_eq(&current, broken) {
            tracing::warn!(
                client = self.shared.settings.client_id,
                "producer replaced after a fatal error"
            );
            *current = Arc::new(Connection::new(&self.shared.kafka, &self.shared.settings)?);
        }
        Ok(())
    }

    /// Waits until everything sent so far is acknowledged or has failed: at most the settings' timeout. `send` is
    /// refused from now on.
    pub async fn close(&self) {
        let shared = &self.shared;
        // All of the room is free once every delivery report is in.
        if shared.room.acquire_many(shared.capacity).await.is_ok() {
            shared.room.close();
        }
    }
}

impl Connection {
    fn new(kafka: &KafkaSettings, settings: &ProducerSettings) -> Result<Self, ProduceError> {
        let client = Arc::new(connect(kafka, settings)?);
        let gathers = settings.gather > Duration::ZERO;
        Ok(Self {
            flusher: gathers.then(|| Flusher::start(&client, FLUSHED_WITHIN)),
            client,
        })
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
    let mut headers = OwnedHeaders::new();
    for (key, value) in output.headers.iter() {
        headers = headers.insert(Header { key, value });
    }
    BaseRecord {
        topic: &output.topic,
        partition: output.partition,
        payload: output.value.as_deref(),
        key: output.key.as_deref(),
        timestamp: None,
        headers: Some(headers),
        delivery_opaque: delivery,
    }
}

type Acknowledgement = Result<(i32, i64), KafkaError>;

/// What waits for a record's delivery report; its room in the buffer is freed with it.
struct Delivery {
    done: oneshot::Sender<Acknowledgement>,
    _room: OwnedSemaphorePermit,
}

struct Deliveries {
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
