//! Whether these brokers keep the metadata of offset commits: the longest that there can be, written once through a
//! transaction and read back, in a group of its own. A limit that only a long map meets would be met in the middle of work.
//!
//! Processes that start at the same time sing in the same group, and what is read back may be another one's, or that of
//! another version: it proves as much, if it is whole.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    EngineError, EngineSettings, clients, committed,
    core::{Committed, MetadataError},
    producer::TransactionalProducer,
};
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
        Some((_, read)) if is_whole(&read) => Ok(()),
        read => Err(EngineError::MetadataDropped {
            group,
            read: read.map(|(_, read)| read).unwrap_or_default(),
        }),
    }
}

fn is_whole(read: &str) -> bool {
    let is_song = match Committed::decode(0, read) {
        Ok(_) | Err(MetadataError::Newer { .. }) => true,
        Err(MetadataError::Foreign | MetadataError::Damaged) => false,
    };
    is_song && !read.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_song_of_another_process_proves_as_much_and_half_of_one_nothing() {
        let song = Committed::longest("chaos.orchestrator.5518fefb").encode();
        assert!(is_whole(&song));
        // of the version before, and of one to come
        assert!(is_whole("mr1.AAAAAQ") && is_whole("mr9.AAAA"));
        assert!(!is_whole("") && !is_whole("NO_METADATA"));
        for end in 5..song.len() {
            assert!(!is_whole(&song[..end]), "{end} characters of {}", song.len());
        }
    }
}
