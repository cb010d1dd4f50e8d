//! Which partitions this member owns, and since which assignment or reload.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::TopicPartition;

/// Shared by the poll thread, which gives and takes, and the caller, which asks and reloads.
#[derive(Default)]
pub(super) struct Tenures(Mutex<Held>);

#[derive(Default)]
struct Held {
    last_epoch: u64,
    partitions: BTreeMap<TopicPartition, u64>,
}

impl Tenures {
    pub(super) fn current(&self, partition: &TopicPartition) -> Option<u64> {
        self.held().partitions.get(partition).copied()
    }

    pub(super) fn begin(&self, partition: &TopicPartition) -> u64 {
        let mut held = self.held();
        held.last_epoch += 1;
        let epoch = held.last_epoch;
        held.partitions.insert(partition.clone(), epoch);
        epoch
    }

    /// Makes what was read of an owned partition stale.
    pub(super) fn renew(&self, partition: &TopicPartition) {
        if self.current(partition).is_some() {
            self.begin(partition);
        }
    }

    pub(super) fn end(&self, partition: &TopicPartition) {
        self.held().partitions.remove(partition);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
