//! What an operator wants to see of a member.

use super::Partition;
use crate::TopicPartition;

#[derive(Debug, Clone, Default)]
pub struct Status {
    pub in_flight: usize,
    pub waiting: usize,
    pub bytes: usize,
    pub partitions: Vec<PartitionStatus>,
    /// Why partitions stopped or were refused.
    pub stopped: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct PartitionStatus {
    pub partition: TopicPartition,
    pub watermark: i64,
    /// One past the highest offset that is done.
    pub end: i64,
    /// Offsets that are done above the watermark.
    pub map: usize,
    /// Offsets between the watermark and the last record that was admitted.
    pub window: i64,
    /// Why nothing more is read.
    pub full: Option<Full>,
    pub stalled: bool,
    pub ready_results: usize,
    pub running: usize,
    /// Offset and timestamp of the record that keeps the watermark.
    pub oldest: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// A record waits because it is too far above the watermark.
    Window,
    /// The records and results held have as many bytes as a partition may.
    Bytes,
}

impl PartitionStatus {
    pub(super) fn of(partition: &TopicPartition, held: &Partition, bytes: usize) -> Self {
        let progress = &held.committed.progress;
        Self {
            partition: partition.clone(),
            watermark: progress.watermark(),
            end: progress.end(),
            map: progress.len(),
            window: held.window(),
            full: if held.is_full() {
                Some(Full::Window)
            } else {
                (held.bytes >= bytes).then_some(Full::Bytes)
            },
            stalled: held.stalled > 0,
            ready_results: held.ledger.len(),
            running: held.runs(),
            oldest: held.oldest_open().map(|record| (record.offset, record.timestamp_ms)),
        }
    }
}
