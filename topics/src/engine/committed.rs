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

use super::core::{Claim, Found, MOST_METADATA, Whole};
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

/// Claims, and returns those that were refused and why. One that is refused for a reason of its own (its topic may be
/// described and not read, say) is found by halves and spares the others; all at once is one answer for most.
pub(super) fn claim<C: ConsumerContext>(
    member: &BaseConsumer<C>,
    claims: &[Claim],
) -> BTreeMap<TopicPartition, String> {
    let size: usize = claims.iter().map(|claim| claim.metadata.len()).sum();
    let fits = claims.len() < 2 || size <= MOST_METADATA;
    let error = match fits.then(|| commit(member, claims)) {
        Some(Ok(())) => return BTreeMap::new(),
        Some(Err(error)) if claims.len() < 2 || is_of_all(&error) => error,
        Some(Err(_)) | None => {
            let (first, second) = claims.split_at(claims.len() / 2);
            let mut failed = claim(member, first);
            failed.extend(claim(member, second));
            return failed;
        }
    };
    let failed = |claim: &Claim| (claim.partition.clone(), error.to_string());
    claims.iter().map(failed).collect()
}

fn commit<C: ConsumerContext>(member: &BaseConsumer<C>, claims: &[Claim]) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::with_capacity(claims.len());
    for claim in claims {
        let mut element = list.add_partition(&claim.partition.topic, claim.partition.partition);
        element.set_offset(Offset::Offset(claim.offset))?;
        element.set_metadata(&claim.metadata);
    }
    member.commit(&list, CommitMode::Sync)
}

/// Whether each other claim would have the same answer: the member, the group or the broker is the reason.
fn is_of_all(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::OffsetMetadataTooLarge
                | RDKafkaErrorCode::InvalidCommitOffsetSize
                | RDKafkaErrorCode::MessageSizeTooLarge
        )
    )
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

/// How the topics of these partitions stand, through a handle that does not wait for open transactions.
pub(crate) fn topics<C: ConsumerContext>(
    handle: &BaseConsumer<C>,
    partitions: &[TopicPartition],
    deadline: Duration,
) -> Result<BTreeMap<String, Whole>, KafkaError> {
    let topics: BTreeSet<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    let stand = |topic: &str| {
        let metadata = handle.fetch_metadata(Some(topic), deadline)?;
        let all: Vec<TopicPartition> = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
            .map(|partition| TopicPartition::new(topic, partition.id()))
            .collect();
        let found = read(handle, &all, deadline)?;
        let commits = found
            .into_iter()
            .filter_map(|(partition, commit)| Some((partition.partition, commit?)));
        Ok((
            topic.to_owned(),
            Whole {
                partitions: u32::try_from(all.len()).unwrap_or(u32::MAX),
                commits: commits.collect(),
            },
        ))
    };
    topics.into_iter().map(stand).collect()
}

pub(super) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}
