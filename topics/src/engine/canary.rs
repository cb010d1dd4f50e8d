//! Whether these brokers keep the metadata of offset commits: written once through a transaction, read back, in a group
//! of its own.

use std::time::Duration;

use rdkafka::{Offset, TopicPartitionList, error::KafkaError};

use super::{EngineError, EngineSettings, clients, committed, core::Committed, producer::TransactionalProducer};
use crate::TopicPartition;

const ANSWER: Duration = Duration::from_secs(15);

/// # Errors
/// [`EngineError::MetadataDropped`] when exactly-once cannot be kept here; others may pass.
pub(super) fn sing(settings: &EngineSettings, producer: &TransactionalProducer) -> Result<(), EngineError> {
    let group = format!("{}.canary", settings.group);
    let Some(input) = settings.inputs.first() else {
        return Err(EngineError::Settings("there is no request topic to read".to_owned()));
    };
    let partition = TopicPartition::new(input.topic.as_str(), 0);
    let song = Committed::first(0).encode();
    let offsets = offsets(&partition, &song).map_err(|source| EngineError::Canary {
        group: group.clone(),
        source,
    })?;
    producer.transact_canary(&group, offsets)?;
    let reader = clients::reader(settings, &group, "read_committed")?;
    let found =
        committed::read(&reader, std::slice::from_ref(&partition), ANSWER).map_err(|source| EngineError::Canary {
            group: group.clone(),
            source,
        })?;
    match found.into_values().flatten().next() {
        Some((_, read)) if read == song => Ok(()),
        read => Err(EngineError::MetadataDropped {
            group,
            read: read.map(|(_, read)| read).unwrap_or_default(),
        }),
    }
}

fn offsets(partition: &TopicPartition, song: &str) -> Result<TopicPartitionList, KafkaError> {
    let mut offsets = TopicPartitionList::with_capacity(1);
    {
        let mut element = offsets.add_partition(&partition.topic, partition.partition);
        element.set_offset(Offset::Offset(0))?;
        element.set_metadata(song);
    }
    Ok(offsets)
}
