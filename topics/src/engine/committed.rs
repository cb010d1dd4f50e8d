//! Reads and plain writes of committed offsets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::core::{Claim, Found};
use crate::{TopicPartition, native};

/// A partition whose leader does not answer for so long is left for later.
const LED_WITHIN: Duration = Duration::from_secs(2);

/// Offset and metadata of each partition, through a handle whose isolation level says whether it is a stable read.
pub(crate) fn read<C: ConsumerContext>(
    handle: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    deadline: Duration,
) -> Result<Found, KafkaError> {
    let answer = handle.committed_offsets(list(partitions), deadline)?;
    let mut found = Found::new();
    for element in native::committed_offsets(&answer) {
        found.insert(element.partition, element.committed.map_err(KafkaError::OffsetFetch)?);
    }
    Ok(found)
}

/// Whether the read failed because a transaction was pending on a partition all the time; a broker that is away looks
/// the same at first.
pub(super) fn is_pending(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::UnstableOffsetCommit
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}

pub(super) fn claim<C: ConsumerContext>(member: &BaseConsumer<C>, claims: &[Claim]) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(claims.len());
    for claim in claims {
        let mut element = list.add_partition(&claim.partition.topic, claim.partition.partition);
        element.set_offset(Offset::Offset(claim.offset))?;
        element.set_metadata(&claim.metadata);
    }
    member.commit(&list, CommitMode::Sync)
}

/// Where the logs start of those that have a leader now: the others do not hold them up for longer than `deadline`.
pub(super) fn log_starts<C: ConsumerContext>(
    member: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    deadline: Duration,
) -> BTreeMap<TopicPartition, i64> {
    let until = Instant::now() + deadline;
    let start = |partition: &TopicPartition| {
        let left = until.saturating_duration_since(Instant::now()).min(LED_WITHIN);
        let watermarks = member.fetch_watermarks(&partition.topic, partition.partition, left);
        let (start, _) = watermarks
            .inspect_err(|error| tracing::warn!(%partition, %error, "cannot ask where its log starts"))
            .ok()?;
        Some((partition.clone(), start))
    };
    partitions.iter().filter_map(start).collect()
}

/// Of the topics of these partitions, those that have a commit for any partition.
pub(super) fn committed_topics<C: ConsumerContext>(
    member: &BaseConsumer<C>,
    absent: &[TopicPartition],
    deadline: Duration,
) -> Result<BTreeSet<String>, KafkaError> {
    let topics: BTreeSet<&str> = absent.iter().map(|partition| &*partition.topic).collect();
    let mut committed = BTreeSet::new();
    for topic in topics {
        let metadata = member.fetch_metadata(Some(topic), deadline)?;
        let ids = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| partition.id());
        let all: Vec<TopicPartition> = ids.map(|id| TopicPartition::new(topic, id)).collect();
        if read(member, &all, deadline)?.values().any(Option::is_some) {
            committed.insert(topic.to_owned());
        }
    }
    Ok(committed)
}

pub(super) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}
