//! Which partitions are full, since when, and what holds them up.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::core::{Full, PartitionStatus, Status};
use crate::TopicPartition;

/// A burst fills a partition for a moment; that is no news.
const NEWS: u32 = 6;

/// Of the partitions that were full at the last beat.
#[derive(Default)]
pub(super) struct Fullness {
    full: BTreeMap<TopicPartition, FullFor>,
}

struct FullFor {
    beats: u32,
    /// Milliseconds since the epoch.
    since_ms: i64,
}

impl Fullness {
    /// The partitions that have been full for some beats, each logged once: when that begins. To be called at each beat.
    pub(super) fn hindrances(&mut self, status: &Status) -> Vec<String> {
        let is_full = |status: &&PartitionStatus| status.full.is_some();
        let full: Vec<&PartitionStatus> = status.partitions.iter().filter(is_full).collect();
        self.full
            .retain(|partition, _| full.iter().any(|status| status.partition == *partition));
        let mut told = Vec::new();
        for status in full {
            let first = || FullFor {
                beats: 0,
                since_ms: now_ms(),
            };
            let full = self.full.entry(status.partition.clone()).or_insert_with(first);
            full.beats = full.beats.saturating_add(1);
            if full.beats >= NEWS {
                let words = words(status);
                if full.beats == NEWS {
                    tracing::warn!("{words}");
                }
                told.push(words);
            }
        }
        told
    }

    /// Since when the partition is full, in milliseconds since the epoch.
    pub(super) fn since_ms(&self, partition: &TopicPartition) -> Option<i64> {
        self.full.get(partition).map(|full| full.since_ms)
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

fn words(status: &PartitionStatus) -> String {
    let limit = match status.full {
        Some(Full::Bytes) => "the byte limit",
        Some(Full::Window) | None => "the window",
    };
    let (partition, now) = (&status.partition, SystemTime::now());
    let Some((offset, timestamp)) = status.oldest else {
        return format!("{limit} of {partition} is full of results that cannot be committed");
    };
    let written = UNIX_EPOCH + Duration::from_millis(u64::try_from(timestamp).unwrap_or_default());
    let seconds = now.duration_since(written).unwrap_or_default().as_secs();
    format!(
        "{limit} of {partition} is full: the record at offset {offset}, {seconds} s old, holds it up, at the latest until \
         its deadline"
    )
}
