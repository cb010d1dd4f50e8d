//! The acknowledged producer: outside of transactions, for requests, write-ahead records and whatever else must be in
//! the log before the next step.
//!
//! Idempotent (KIP-98) with acks from all replicas; records of one partition keep the order in which `send` was first
//! polled. It is not rdkafka's `FutureProducer`: that one sleeps 100 ms when its queue is full; here the queue is
//! bounded in bytes by a semaphore, and a full queue is awaited.

mod connection;
mod error;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::Producer as _,
};
use tokio::{
    sync::{RwLock, Semaphore, oneshot},
    task::unconstrained,
};

use self::connection::{Acknowledgement, Connection};
use crate::{KafkaSettings, Output};

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
    /// From `send` to the acknowledgement.
    seconds: metrics::Histogram,
}

const KIB: usize = 1024;
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
        // Unconstrained: who asks for many at once would else be sent back in the middle, and the order be another.
        let result = match unconstrained(self.enqueue(&output)).await {
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
        let connection = Arc::clone(&*shared.connection.read().await);
        let error = match connection.send(output, room) {
            Ok(acknowledged) => return Ok(acknowledged),
            Err(error) => error,
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
