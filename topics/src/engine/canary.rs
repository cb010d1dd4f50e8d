//! Whether these brokers keep the metadata of offset commits: the longest that there can be, written once through a
//! transaction and read back, in a group of its own. A limit that only a long map meets would be met in the middle of work.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{EngineError, EngineSettings, clients, committed, core::Committed, producer::TransactionalProducer};
use crate::TopicPartition;

const ANSWER: Duration = Duration::from_secs(15);

/// # Errors
/// [`EngineError::MetadataDropped`] and [`EngineError::MetadataTooLong`] when exactly-once cannot be kept here; others may
/// pass.
pub(super) fn sing(
    settings: &EngineSettings,
    writer: &str,
    producer: &TransactionalProducer,
) -> Result<(), EngineError> {
    let group = format!("{}.canary", settings.group);
    let Some(input) = settings.inputs.first() else {
        return Err(EngineError::Settings("there is no request topic to read".to_owned()));
    };
    let partition = TopicPartition::new(input.topic.as_str(), 0);
    let song = Committed::longest(writer).encode();
    let offsets = offsets(&partition, &song).map_err(|source| EngineError::Canary {
        group: group.clone(),
        source,
    })?;
    producer
        .transact_canary(&group, offsets)
        .map_err(|error| told(error, song.len()))?;
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

fn told(error: EngineError, characters: usize) -> EngineError {
    match error {
        EngineError::Canary { group, source }
            if source.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetMetadataTooLarge) =>
        {
            EngineError::MetadataTooLong { group, characters }
        }
        error => error,
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
