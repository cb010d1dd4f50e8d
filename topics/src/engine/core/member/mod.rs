//! One member of the group: everything this process decides about the partitions it holds. Rebalance events are here,
//! [`running`] has what happens to records, [`committing`] what happens to results.

mod committing;
mod running;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Assignment, Committed, Entry, Membership, Partition, PartitionStatus, Status, Turns, partition::Phase};
use crate::{Output, TopicPartition, engine::Order};

#[derive(Debug, Clone)]
pub struct Limits {
    pub order: Order,
    pub in_flight: usize,
    pub waiting: usize,
    pub bytes: usize,
    pub partition_bytes: usize,
    pub batch: usize,
}

#[derive(Debug)]
pub struct Member {
    /// This process's transactional id.
    me: String,
    limits: Limits,
    turns: Turns,
    membership: Option<Membership>,
    partitions: BTreeMap<TopicPartition, Partition>,
    refused: BTreeMap<TopicPartition, String>,
    epochs: u64,
    running: usize,
    waiting: usize,
    stopping: bool,
    /// See [`Member::commit_skips`].
    skips_due: bool,
    committing: Option<Committing>,
    /// Results in the transaction under way whose partition is gone meanwhile: it may be committed all the same.
    orphans: Vec<(Assignment, Arc<[Output]>)>,
    /// Results that will never be committed, until [`Member::take_discarded`].
    discarded: Vec<Arc<[Output]>>,
    /// The partition whose turn it is to be first in a batch and first to run.
    last_batched: Option<TopicPartition>,
    last_run: Option<TopicPartition>,
    /// The next transaction is one of suspects, if there are any; how many of them.
    trial_next: bool,
    tried_at_once: usize,
    /// See [`Member::hold_back`].
    held_back: BTreeSet<String>,
}

#[derive(Debug)]
struct Committing {
    membership: Membership,
    parts: Vec<Part>,
    trial: bool,
}

impl Committing {
    fn results(&self) -> usize {
        self.parts.iter().map(|part| part.results).sum()
    }
}

#[derive(Debug)]
struct Part {
    assignment: Assignment,
    results: usize,
    seq: u64,
    release: bool,
}

impl Member {
    #[must_use]
    pub fn new(me: impl Into<String>, limits: Limits, turns: Turns) -> Self {
        Self {
            me: me.into(),
            limits,
            turns,
            membership: None,
            partitions: BTreeMap::new(),
            refused: BTreeMap::new(),
            epochs: 0,
            running: 0,
            waiting: 0,
            stopping: false,
            skips_due: false,
            committing: None,
            orphans: Vec::new(),
            discarded: Vec::new(),
            last_batched: None,
            last_run: None,
            trial_next: false,
            tried_at_once: usize::MAX,
            held_back: BTreeSet::new(),
        }
    }

    /// The snapshot of this rebalance event. Without one nothing is committed.
    pub fn refresh(&mut self, membership: Option<Membership>) {
        self.membership = membership;
    }

    /// The partition is this member's, from this committed state on.
    pub fn claimed(&mut self, partition: TopicPartition, committed: Committed) -> Assignment {
        self.epochs += 1;
        self.refused.remove(&partition);
        self.partitions.insert(
            partition.clone(),
            Partition::new(self.epochs, committed, self.limits.order),
        );
        Assignment {
            partition,
            epoch: self.epochs,
        }
    }

    pub fn refused(&mut self, partition: TopicPartition, message: String) {
        self.refused.insert(partition, message);
    }

    /// The partitions are about to leave: nothing more is started for them; what runs may finish, until
    /// [`Member::revoke`].
    pub fn let_finish(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(held) = self.partitions.get_mut(partition) {
                held.let_finish();
            }
        }
    }

    /// Nothing runs for these partitions.
    #[must_use]
    pub fn is_finished(&self, partitions: &[TopicPartition]) -> bool {
        let mut held = partitions.iter().filter_map(|partition| self.partitions.get(partition));
        held.all(Partition::is_idle)
    }

    /// The partitions leave: nothing more is run for them; what is ready is committed with the release. Until
    /// [`Member::is_drained`] they must not be given back. The runs of what is returned are to be cancelled.
    pub fn revoke(&mut self, partitions: &[TopicPartition]) -> Vec<Assignment> {
        let mut cancelled = Vec::new();
        for partition in partitions {
            self.refused.remove(partition);
            if let Some(held) = self.partitions.get_mut(partition) {
                held.drain();
                cancelled.push(Assignment {
                    partition: partition.clone(),
                    epoch: held.epoch,
                });
            }
        }
        cancelled
    }

    #[must_use]
    pub fn is_drained(&self, partitions: &[TopicPartition]) -> bool {
        partitions
            .iter()
            .all(|partition| !self.partitions.contains_key(partition))
    }

    /// The partitions are gone, or their deadline is: whatever is not committed is never committed by this assignment.
    pub fn forget(&mut self, partitions: &[TopicPartition]) -> Vec<Assignment> {
        let mut cancelled = Vec::new();
        for partition in partitions {
            self.refused.remove(partition);
            if let Some(mut held) = self.partitions.remove(partition) {
                let assignment = Assignment {
                    partition: partition.clone(),
                    epoch: held.epoch,
                };
                let sent = held.ledger.drain(..held.sent);
                self.orphans
                    .extend(sent.map(|entry| (assignment.clone(), entry.outputs)));
                self.discard(held.ledger);
                cancelled.push(assignment);
            }
        }
        cancelled
    }

    fn discard(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let outputs = entries.into_iter().map(|entry| entry.outputs);
        self.discarded.extend(outputs.filter(|outputs| !outputs.is_empty()));
    }

    /// Outputs of runs that ended and whose results were dropped: their records run again, here or elsewhere.
    pub fn take_discarded(&mut self) -> Vec<Arc<[Output]>> {
        std::mem::take(&mut self.discarded)
    }

    /// The partition cannot go on: what is not committed is left to whoever takes it after an operator acted.
    pub fn stop_partition(&mut self, partition: &TopicPartition, message: String) -> Option<Assignment> {
        let epoch = self.partitions.get(partition)?.epoch;
        let partition = partition.clone();
        self.stop_assignment(&Assignment { partition, epoch }, message)
    }

    /// The same, if it is still this assignment.
    pub fn stop_assignment(&mut self, assignment: &Assignment, message: String) -> Option<Assignment> {
        let dropped = self.same(assignment)?.stop(message);
        self.discard(dropped);
        Some(assignment.clone())
    }

    #[must_use]
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    /// It is held, or an operator must decide.
    #[must_use]
    pub fn has_decided(&self, partition: &TopicPartition) -> bool {
        self.holds(partition) || self.refused.contains_key(partition)
    }

    #[must_use]
    pub fn held(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    fn same(&mut self, assignment: &Assignment) -> Option<&mut Partition> {
        self.partitions
            .get_mut(&assignment.partition)
            .filter(|held| held.epoch == assignment.epoch)
    }

    /// What a partition may hold now.
    ///
    /// Decision: of the bytes of the process one half is divided among its partitions, and the other half goes to whoever comes
    /// first. So a few partitions with a hot key each can fill the second half and no more: one that holds less than its share may
    /// always read. (Beyond the limit goes at most one record of each.)
    fn partition_bytes(&self) -> usize {
        let half = self.limits.bytes / 2;
        let share = half / self.partitions.len().max(1);
        let above = self.partitions.values().map(|held| held.bytes.saturating_sub(share));
        if above.sum::<usize>() < half {
            self.limits.partition_bytes
        } else {
            share.min(self.limits.partition_bytes)
        }
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.partitions.values().map(|held| held.bytes).sum()
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let bytes = self.partition_bytes();
        let partitions = self
            .partitions
            .iter()
            .map(|(partition, held)| PartitionStatus::of(partition, held, bytes))
            .collect();
        let stopped = self.partitions.values().filter_map(|held| match &held.phase {
            Phase::Stopped(message) => Some(message.clone()),
            Phase::Active | Phase::Finishing | Phase::Draining => None,
        });
        Status {
            in_flight: self.running,
            waiting: self.waiting,
            bytes: self.bytes(),
            partitions,
            stopped: stopped.chain(self.refused.values().cloned()).collect(),
        }
    }
}

/// All partitions, beginning behind the one that was last.
fn after<'a>(
    partitions: &'a BTreeMap<TopicPartition, Partition>,
    last: Option<&TopicPartition>,
) -> impl Iterator<Item = (&'a TopicPartition, &'a Partition)> {
    let last = last.cloned();
    let is_behind = move |key: &TopicPartition| last.as_ref().is_none_or(|last| key > last);
    let first = is_behind.clone();
    partitions
        .iter()
        .filter(move |(key, _)| first(key))
        .chain(partitions.iter().filter(move |(key, _)| !is_behind(key)))
}
