//! Where topics begin and end at this moment: what positions that lie elsewhere are compared with.
//!
//! The end is that of the log, not of what is committed: a record behind an open transaction is acknowledged all the same.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

use crate::{
    KafkaSettings, TopicPartition,
    client::{self, Named},
};

const CLIENT_ID: &str = "millrace-ends";
/// For each question to the brokers.
const ASK: Duration = Duration::from_secs(2);

/// Clones share the connection.
#[derive(Clone)]
pub struct Ends {
    consumer: Arc<BaseConsumer<Named>>,
    /// Full names.
    topics: Arc<[String]>,
}

/// Why the ends are not known.
#[derive(Debug, thiserror::Error)]
pub enum EndsError {
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("the brokers do not say where the topics end")]
    Ask(#[source] KafkaError),
    #[error("the thread that asked the brokers ended without an answer")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl Ends {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &KafkaSettings, topics: impl IntoIterator<Item = String>) -> Result<Self, EndsError> {
        // A group that the rights of a tail cover; it is never joined.
        let consumer = client::reader(kafka, CLIENT_ID, &kafka.group("tail.ends"))
            .set("isolation.level", "read_uncommitted")
            .create_with_context(Named(CLIENT_ID.to_owned()))
            .map_err(EndsError::Create)?;
        Ok(Self {
            consumer: Arc::new(consumer),
            topics: topics.into_iter().collect(),
        })
    }

    /// Of each partition, the first offset and the next one. A topic that does not exist has none.
    ///
    /// # Errors
    /// When the brokers do not say it of all of them.
    pub async fn look(&self) -> Result<BTreeMap<TopicPartition, Range<i64>>, EndsError> {
        let Self { consumer, topics } = self.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&consumer, &topics));
        asked.await.map_err(EndsError::Interrupted)?.map_err(EndsError::Ask)
    }
}

fn ask(consumer: &BaseConsumer<Named>, topics: &[String]) -> Result<BTreeMap<TopicPartition, Range<i64>>, KafkaError> {
    let mut partitions = Vec::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), ASK)?;
        let ids = metadata.topics().iter().flat_map(|topic| topic.partitions());
        partitions.extend(ids.map(|partition| (topic.as_str(), partition.id())));
    }
    let begins = offsets(consumer, &partitions, Offset::Beginning)?;
    let mut ends = offsets(consumer, &partitions, Offset::End)?;
    let ranges = begins.into_iter().filter_map(|(partition, begin)| {
        let end = ends.remove(&partition)?;
        Some((partition, begin..end))
    });
    Ok(ranges.collect())
}

/// One question to each broker, whatever the number of partitions: the begin and the end are asked for like times.
fn offsets(
    consumer: &BaseConsumer<Named>,
    partitions: &[(&str, i32)],
    at: Offset,
) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        wanted.add_partition_offset(topic, *partition, at)?;
    }
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = consumer.offsets_for_times(wanted, ASK)?;
    found
        .elements()
        .iter()
        .map(|element| {
            element.error()?;
            match element.offset() {
                Offset::Offset(offset) => Ok((TopicPartition::new(element.topic(), element.partition()), offset)),
                Offset::Beginning | Offset::End | Offset::Stored | Offset::Invalid | Offset::OffsetTail(_) => {
                    Err(KafkaError::OffsetFetch(rdkafka::error::RDKafkaErrorCode::NoOffset))
                }
            }
        })
        .collect()
}
