//! A group member whose positions live elsewhere: Kafka decides who reads which partition, the caller's own store
//! decides from where. Nothing is committed to Kafka.

use std::{collections::BTreeMap, future::Future, time::Duration};

use crate::{KafkaSettings, Record, TopicPartition};

#[derive(Debug, Clone)]
pub struct FollowerSettings {
    /// Names the client in logs, metrics and on the broker.
    pub client_id: String,
    /// Full name of the group.
    pub group: String,
    /// Full topic names.
    pub topics: Vec<String>,
    /// Bytes of records that may wait in memory for `next_batch`; beyond that the partitions are left unread.
    pub buffer_bytes: usize,
}

/// The caller's store of positions.
pub trait Positions: Send + Sync + 'static {
    /// The next offset of each of these partitions. One that is absent in the answer has no position yet and begins
    /// where its log begins. Called on assignment and after [`Follower::reload`], outside of the async runtime's
    /// threads; the store being down is its own to wait for. The future is dropped when the follower is.
    fn load(&self, partitions: Vec<TopicPartition>) -> impl Future<Output = BTreeMap<TopicPartition, i64>> + Send;
}

/// Records of one partition, in order, that belong to one tenure of this member.
#[derive(Debug, Clone)]
pub struct Batch {
    pub partition: TopicPartition,
    /// Never empty.
    pub records: Vec<Record>,
    /// Which assignment (or reload) of the partition they were read under; see [`Follower::owns`].
    pub epoch: u64,
}

impl Batch {
    /// The position after this batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.records.last().map_or(0, |record| record.offset + 1)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] rdkafka::error::KafkaError),
    #[error("the broker does not let this member into group {group}")]
    Join {
        group: String,
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// Retention took records that were never read, or the topic was made anew.
    #[error(
        "{partition} has no offset {offset} any more: records before its log's start were never read; set its position by hand"
    )]
    OutOfRange { partition: TopicPartition, offset: i64 },
    #[error("the follower has ended")]
    Ended,
}

pub struct Follower {}

impl Follower {
    /// Joins the group in a thread of its own; a broker that is down is waited for.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join(
        kafka: &KafkaSettings,
        settings: FollowerSettings,
        positions: impl Positions,
    ) -> Result<Self, FollowerError> {
        let _ = (kafka, settings, positions);
        Err(FollowerError::Ended)
    }

    /// Up to `max` records, grouped by partition; waits at most `wait` after the first record for more, and for the
    /// first record as long as it takes. Safe to cancel.
    ///
    /// # Errors
    /// `OutOfRange` and `Join` stop the follower: say so and stop, or mend the position and join again.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Batch>, FollowerError> {
        let _ = (max, wait);
        Err(FollowerError::Ended)
    }

    /// True while the partition has not been taken away or reloaded since the batch was read.
    #[must_use]
    pub fn owns(&self, batch: &Batch) -> bool {
        let _ = batch;
        false
    }

    /// The caller lost its compare-and-set on these partitions: ask for their positions again and read from there.
    /// What was read ahead is dropped.
    pub fn reload(&self, partitions: &[TopicPartition]) {
        let _ = partitions;
    }
}
