//! One committed record by its place, for whoever wants to see what lies there.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use crate::{
    KafkaSettings, Record, TopicPartition,
    client::{self, Named},
    native,
};

const CLIENT_ID: &str = "millrace-lookup";
/// Consumers at one time; whoever comes then waits.
const AT_ONCE: usize = 4;
/// For the wait and for the record, each.
const PATIENCE: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(100);

/// Looks records up, each with a consumer of its own that lives as long as the look. Clones share the bound on them.
#[derive(Clone)]
pub struct Lookup {
    kafka: KafkaSettings,
    room: Arc<Semaphore>,
}

/// Why it is not known what lies at a place.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("{AT_ONCE} records are looked up already; come back in a moment")]
    Busy,
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("no right to read {topic}; `millrace topics list --rights` says who needs which")]
    NotAuthorized { topic: Arc<str> },
    #[error("the brokers at {bootstrap} did not give the record within {} s", PATIENCE.as_secs())]
    Silent {
        bootstrap: String,
        /// What the client said last.
        #[source]
        source: Option<KafkaError>,
    },
    #[error("the thread that asked the brokers ended without an answer")]
    Interrupted,
}

impl Lookup {
    #[must_use]
    pub fn new(kafka: &KafkaSettings) -> Self {
        Self {
            kafka: kafka.clone(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The committed record at this offset; none when there is none (any more): retention or compaction deleted it, its
    /// transaction was aborted, or the topic is another one by now. Takes eight seconds at most.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub async fn record(&self, partition: &TopicPartition, offset: i64) -> Result<Option<Record>, LookupError> {
        if offset < 0 {
            return Ok(None);
        }
        let room = timeout(PATIENCE, Arc::clone(&self.room).acquire_owned()).await;
        let Ok(Ok(room)) = room else {
            return Err(LookupError::Busy);
        };
        let (answer, answered) = oneshot::channel();
        let (kafka, partition) = (self.kafka.clone(), partition.clone());
        tokio::task::spawn_blocking(move || look(&kafka, &partition, offset, answer, room));
        answered.await.map_err(|_dropped| LookupError::Interrupted)?
    }
}

/// Answers before the consumer is closed, which may take a moment longer; its room is free only then.
fn look(
    kafka: &KafkaSettings,
    partition: &TopicPartition,
    offset: i64,
    answer: oneshot::Sender<Result<Option<Record>, LookupError>>,
    _room: OwnedSemaphorePermit,
) {
    let consumer = match consumer(kafka, partition, offset) {
        Ok(consumer) => consumer,
        Err(error) => {
            let _ = answer.send(Err(error));
            return;
        }
    };
    // Nobody waits any more when the caller has left.
    let _ = answer.send(read(&consumer, kafka, partition, offset));
}

/// Fetches no more than the one record if it can be helped.
fn consumer(
    kafka: &KafkaSettings,
    partition: &TopicPartition,
    offset: i64,
) -> Result<BaseConsumer<Named>, LookupError> {
    // A group that the rights of a tail cover; it is never joined.
    let consumer: BaseConsumer<Named> = client::reader(kafka, CLIENT_ID, &kafka.group("tail.lookup"))
        .set("queued.min.messages", "1")
        .set("fetch.message.max.bytes", "65536")
        // a topic that is not known is not waited for
        .set("topic.metadata.propagation.max.ms", "1000")
        .create_with_context(Named(CLIENT_ID.to_owned()))
        .map_err(LookupError::Create)?;
    let mut place = TopicPartitionList::new();
    place
        .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
        .and_then(|()| consumer.assign(&place))
        .map_err(LookupError::Create)?;
    Ok(consumer)
}

fn read(
    consumer: &BaseConsumer<Named>,
    kafka: &KafkaSettings,
    partition: &TopicPartition,
    offset: i64,
) -> Result<Option<Record>, LookupError> {
    use RDKafkaErrorCode as Code;
    let deadline = Instant::now() + PATIENCE;
    let mut said = None;
    while Instant::now() < deadline {
        let error = match consumer.poll(POLL) {
            None => continue,
            Some(Ok(message)) if message.offset() < offset => continue,
            Some(Ok(message)) => {
                let is_it = message.offset() == offset;
                return Ok(is_it.then(|| native::queue::detach(Arc::clone(&partition.topic), &message)));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) => error,
        };
        match error.rdkafka_error_code() {
            Some(
                Code::AutoOffsetReset | Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition,
            ) => return Ok(None),
            Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed) => {
                return Err(LookupError::NotAuthorized {
                    topic: Arc::clone(&partition.topic),
                });
            }
            Some(_) | None => said = Some(error),
        }
    }
    Err(LookupError::Silent {
        bootstrap: kafka.bootstrap_servers.clone(),
        source: said,
    })
}
