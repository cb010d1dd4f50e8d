//! Which record is read, which one runs, and what of it enters the ledger.

use std::sync::Arc;

use super::{Member, Partition, after};
use crate::{Output, Record, TopicPartition, engine::core::Assignment};

/// Records per partition that are read ahead of a free slot; those behind another of their lane do not count.
const READ_AHEAD: usize = 64;

impl Member {
    /// Whether a record of this partition may be read now. Its queue stays unread otherwise: that is the backpressure.
    #[must_use]
    pub fn wants(&mut self, partition: &TopicPartition) -> bool {
        let (takes, bytes) = (!self.stopping, self.partition_bytes());
        let Some(held) = self.partitions.get_mut(partition) else {
            return false;
        };
        let wants = takes && held.has_room(READ_AHEAD, bytes);
        held.left_unread = !wants;
        wants
    }

    /// Whether it is worth to wake whoever reads: of what was read ahead where more lies unread, half is used up. One record
    /// at a time would be a change of threads for each.
    #[must_use]
    pub fn is_hungry(&self) -> bool {
        let bytes = self.partition_bytes();
        let few = |held: &Partition| held.left_unread && held.has_room(READ_AHEAD / 2, bytes);
        !self.stopping && self.partitions.values().any(few)
    }

    pub fn offer(&mut self, partition: &TopicPartition, record: Arc<Record>) {
        if let Some(held) = self.partitions.get_mut(partition) {
            held.offer(record);
        }
    }

    /// The partition's log ends here: offsets without records before it count as read.
    pub fn ended(&mut self, partition: &TopicPartition, end: i64) {
        if let Some(held) = self.partitions.get_mut(partition) {
            held.reach(end);
        }
    }

    /// The next run to start, if there is a slot and a record for it.
    pub fn next_run(&mut self) -> Option<(Assignment, Arc<Record>)> {
        if self.stopping || !self.has_slot() {
            return None;
        }
        let partitions = &self.partitions;
        let topic = self.turns.next(|topic| {
            partitions
                .iter()
                .any(|(key, held)| &*key.topic == topic && held.has_ready())
        })?;
        let key = after(&self.partitions, self.last_run.as_ref())
            .find(|(key, held)| key.topic == topic && held.has_ready())
            .map(|(key, _)| key.clone())?;
        let held = self.partitions.get_mut(&key)?;
        let record = held.start_next()?;
        let assignment = Assignment {
            partition: key.clone(),
            epoch: held.epoch,
        };
        self.last_run = Some(key);
        self.running += 1;
        Some((assignment, record))
    }

    /// Runs that only wait for a limit hold no slot. While commits do not go through no more is run than would fill the
    /// slots twice: whatever is in the ledger when the partitions are lost has to run again. What waits there for itself alone
    /// does not count: the window and the bytes of its partition bound it.
    fn has_slot(&self) -> bool {
        let waiting = |held: &Partition| held.ledger.len().saturating_sub(held.apart);
        let uncommitted: usize = self.partitions.values().map(waiting).sum();
        let holding = self.running - self.waiting.min(self.limits.waiting).min(self.running);
        holding < self.limits.in_flight && uncommitted < self.limits.in_flight.saturating_mul(2)
    }

    /// A run ended. Its outputs count only if the partition is still held under the same assignment.
    pub fn finished(&mut self, assignment: &Assignment, offset: i64, outputs: Arc<[Output]>, rejected: bool) {
        self.running = self.running.saturating_sub(1);
        let held = self.same(assignment);
        let is_taken = held.is_some_and(|held| held.finish(offset, Arc::clone(&outputs), rejected));
        if !is_taken && !outputs.is_empty() {
            self.discarded.push(outputs);
        }
    }

    /// A run waits for something its record needs: the partition is not read meanwhile.
    pub fn stalled(&mut self, assignment: &Assignment) {
        if let Some(held) = self.same(assignment) {
            held.stalled += 1;
        }
    }

    pub fn unstalled(&mut self, assignment: &Assignment) {
        if let Some(held) = self.same(assignment) {
            held.stalled = held.stalled.saturating_sub(1);
        }
    }

    /// A run does nothing but wait for a provider's limit: its slot is another's.
    pub fn limit_wait_begins(&mut self) {
        self.waiting += 1;
    }

    pub fn limit_wait_ends(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Shutdown: nothing is read or started any more.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }
}
