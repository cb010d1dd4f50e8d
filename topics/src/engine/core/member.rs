//! One member of the group: everything this process decides about the partitions it holds.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    sync::Arc,
};

use super::{
    Assignment, Batch, BatchPart, Committed, Culprit, Fault, Found, Membership, Outcome, Partition, Turns,
    partition::Phase,
};
use crate::{
    Output, Record, TopicPartition,
    engine::{Order, Rejection},
};

/// Records per partition that are read ahead of a free slot; those behind another of their lane do not count.
const READ_AHEAD: usize = 64;
/// Of what one transaction carries.
const BATCH_BYTES: usize = 32 << 20;

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
    committing: Option<Committing>,
    /// The partition whose turn it is to be first in a batch and first to run.
    last_batched: Option<TopicPartition>,
    last_run: Option<TopicPartition>,
}

#[derive(Debug)]
struct Committing {
    membership: Membership,
    parts: Vec<Part>,
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
            committing: None,
            last_batched: None,
            last_run: None,
        }
    }

    // --- rebalance events

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
            if let Some(held) = self.partitions.remove(partition) {
                cancelled.push(Assignment {
                    partition: partition.clone(),
                    epoch: held.epoch,
                });
            }
        }
        cancelled
    }

    /// The partition cannot go on: what is not committed is left to whoever takes it after an operator acted.
    pub fn stop_partition(&mut self, partition: &TopicPartition, message: String) -> Option<Assignment> {
        let held = self.partitions.get_mut(partition)?;
        held.stop(message);
        Some(Assignment {
            partition: partition.clone(),
            epoch: held.epoch,
        })
    }

    #[must_use]
    pub fn holds(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    #[must_use]
    pub fn held(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    // --- reading and running

    /// Whether a record of this partition may be read now. Its queue stays unread otherwise: that is the backpressure.
    #[must_use]
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        !self.stopping
            && self.bytes() < self.limits.bytes
            && self
                .partitions
                .get(partition)
                .is_some_and(|held| held.has_room(READ_AHEAD, self.limits.partition_bytes))
    }

    pub fn offer(&mut self, partition: &TopicPartition, record: Arc<Record>) {
        if let Some(held) = self.partitions.get_mut(partition) {
            held.offer(record);
        }
    }

    /// The next run to start, if there is a slot and a record for it.
    pub fn next_run(&mut self) -> Option<(Assignment, Arc<Record>)> {
        if self.stopping
            || self.running - self.waiting.min(self.limits.waiting).min(self.running) >= self.limits.in_flight
        {
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

    /// A run ended. Its outputs count only if the partition is still held under the same assignment.
    pub fn finished(&mut self, assignment: &Assignment, offset: i64, outputs: Arc<[Output]>, rejected: bool) {
        self.running = self.running.saturating_sub(1);
        if let Some(held) = self.same(assignment) {
            held.finish(offset, outputs, rejected);
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

    // --- committing

    /// The next transaction. There is one at a time: settle it before asking again.
    pub fn batch(&mut self) -> Option<Batch> {
        if self.committing.is_some() {
            return None;
        }
        let membership = self.membership.clone().filter(Membership::is_checked)?;
        let parts = match self.single() {
            Some(part) => vec![part],
            None => self.group(),
        };
        let last = parts.last()?;
        self.last_batched = Some(last.assignment.partition.clone());
        let committing = parts
            .iter()
            .map(|part| Part {
                assignment: part.assignment.clone(),
                results: part.results.len(),
                seq: part.seq,
                release: part.release,
            })
            .collect();
        self.committing = Some(Committing {
            membership: membership.clone(),
            parts: committing,
        });
        Some(Batch { membership, parts })
    }

    /// One result of a partition of which one broke a transaction.
    fn single(&mut self) -> Option<BatchPart> {
        let (key, held) = self
            .partitions
            .iter_mut()
            .find(|(_, held)| held.singly > 0 && !held.ledger.is_empty())?;
        Some(part(&self.me, key, held, 1))
    }

    fn group(&mut self) -> Vec<BatchPart> {
        let (mut results, mut bytes) = (self.limits.batch.max(1), BATCH_BYTES);
        let order: Vec<TopicPartition> = after(&self.partitions, self.last_batched.as_ref())
            .map(|(key, _)| key.clone())
            .collect();
        let mut parts = Vec::new();
        for key in order {
            let Some(held) = self.partitions.get_mut(&key) else {
                continue;
            };
            let wanted = match held.phase {
                Phase::Active => !held.ledger.is_empty(),
                Phase::Draining => true,
                Phase::Stopped(_) => false,
            };
            if !wanted || results == 0 {
                continue;
            }
            let mut count = 0;
            for entry in held.ledger.iter().take(results) {
                if count > 0 && entry.size() > bytes {
                    break;
                }
                bytes = bytes.saturating_sub(entry.size());
                count += 1;
            }
            results -= count;
            parts.push(part(&self.me, &key, held, count));
        }
        parts
    }

    /// What came of the transaction. A result that broke one which carried nothing else is returned: its node says what
    /// to commit in its place ([`Member::replace`]), or the partition stops if that was refused already.
    pub fn settle(&mut self, outcome: &Outcome) -> Option<Culprit> {
        match outcome {
            Outcome::Unknown => None,
            Outcome::Committed => {
                let committing = self.committing.take()?;
                for part in committing.parts {
                    self.acknowledge(&part);
                }
                None
            }
            Outcome::Aborted(fault) => {
                let committing = self.committing.take()?;
                for part in &committing.parts {
                    if let Some(held) = self.same(&part.assignment) {
                        held.keep();
                    }
                }
                match fault {
                    Fault::Passing => None,
                    Fault::Membership => {
                        if self.membership.as_ref() == Some(&committing.membership) {
                            self.membership = None;
                        }
                        None
                    }
                    Fault::Output { class, message } => self.blame(&committing.parts, class, message),
                }
            }
        }
    }

    fn blame(&mut self, parts: &[Part], class: &str, message: &str) -> Option<Culprit> {
        let results: usize = parts.iter().map(|part| part.results).sum();
        let single = results == 1;
        for part in parts.iter().filter(|part| part.results > 0) {
            let Some(held) = self.same(&part.assignment) else {
                continue;
            };
            if !single {
                held.singly = held.singly.max(part.results);
                continue;
            }
            let Some(first) = held.ledger.front() else { continue };
            let record = first.record.clone();
            if first.rejected {
                held.stop(format!(
                    "the result of {} cannot be written, nor what should stand in its place: {message}",
                    record.src()
                ));
                continue;
            }
            let rejection = Rejection {
                class: class.to_owned(),
                message: message.to_owned(),
            };
            return Some(Culprit {
                assignment: part.assignment.clone(),
                record,
                rejection,
            });
        }
        None
    }

    pub fn replace(&mut self, culprit: &Culprit, outputs: Arc<[Output]>) {
        let offset = culprit.record.offset;
        if let Some(held) = self.same(&culprit.assignment) {
            held.replace_first(offset, outputs);
        }
    }

    /// The partitions whose committed state says what came of a commit without an answer.
    #[must_use]
    pub fn unresolved(&self) -> Vec<TopicPartition> {
        let parts = self.committing.iter().flat_map(|committing| &committing.parts);
        parts.map(|part| part.assignment.partition.clone()).collect()
    }

    /// Writer and seq of the committed state (a stable read, after the producer was replaced) decide. A partition that
    /// somebody else has written since is not ours any more: its results are dropped, never emitted again.
    pub fn resolve(&mut self, found: &Found) -> Vec<Assignment> {
        let Some(committing) = self.committing.take() else {
            return Vec::new();
        };
        let mut lost = Vec::new();
        for part in committing.parts {
            let partition = &part.assignment.partition;
            let state = found
                .get(partition)
                .and_then(Option::as_ref)
                .and_then(|(offset, metadata)| Committed::decode(*offset, metadata).ok());
            let mine = |writer: &Option<String>, release: bool| {
                if release {
                    writer.is_none()
                } else {
                    writer.as_deref() == Some(self.me.as_str())
                }
            };
            match state {
                Some(state) if state.seq == part.seq && mine(&state.writer, part.release) => self.acknowledge(&part),
                Some(state) if state.seq + 1 == part.seq && mine(&state.writer, false) => {
                    if let Some(held) = self.same(&part.assignment) {
                        held.keep();
                    }
                }
                _ => {
                    if self.same(&part.assignment).is_some() {
                        lost.extend(self.forget(std::slice::from_ref(partition)));
                    }
                }
            }
        }
        lost
    }

    fn acknowledge(&mut self, part: &Part) {
        let writer = Some(self.me.clone()).filter(|_| !part.release);
        if let Slot::Occupied(mut slot) = self.partitions.entry(part.assignment.partition.clone()) {
            if slot.get().epoch != part.assignment.epoch {
                return;
            }
            slot.get_mut().acknowledge(writer);
            if part.release {
                slot.remove();
            }
        }
    }

    fn same(&mut self, assignment: &Assignment) -> Option<&mut Partition> {
        self.partitions
            .get_mut(&assignment.partition)
            .filter(|held| held.epoch == assignment.epoch)
    }

    // --- what it looks like

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.partitions.values().map(|held| held.bytes).sum()
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let partitions = self
            .partitions
            .iter()
            .map(|(partition, held)| PartitionStatus::of(partition, held))
            .collect();
        let stopped = self.partitions.values().filter_map(|held| match &held.phase {
            Phase::Stopped(message) => Some(message.clone()),
            Phase::Active | Phase::Draining => None,
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

/// The state with these results done, one commit later. The last one of a partition that leaves names no writer.
fn part(me: &str, partition: &TopicPartition, held: &mut Partition, count: usize) -> BatchPart {
    let release = held.phase == Phase::Draining && count == held.ledger.len();
    let results: Vec<_> = held.ledger.iter().take(count).cloned().collect();
    let mut state = held.committed.clone();
    for entry in &results {
        state.progress.complete(entry.record.offset);
    }
    state.seq += 1;
    state.writer = Some(me.to_owned()).filter(|_| !release);
    held.sent = count;
    BatchPart {
        assignment: Assignment {
            partition: partition.clone(),
            epoch: held.epoch,
        },
        offset: state.progress.watermark(),
        metadata: state.encode(),
        seq: state.seq,
        release,
        results,
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

/// What an operator wants to see.
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
    /// A record waits because the window is full.
    pub full: bool,
    pub stalled: bool,
    pub ready_results: usize,
    pub running: usize,
    /// Offset and timestamp of the record that keeps the watermark.
    pub oldest: Option<(i64, i64)>,
}

impl PartitionStatus {
    fn of(partition: &TopicPartition, held: &Partition) -> Self {
        let progress = &held.committed.progress;
        Self {
            partition: partition.clone(),
            watermark: progress.watermark(),
            end: progress.end(),
            map: progress.len(),
            window: held.window(),
            full: held.is_full(),
            stalled: held.stalled > 0,
            ready_results: held.ledger.len(),
            running: held.runs(),
            oldest: held.oldest_open().map(|record| (record.offset, record.timestamp_ms)),
        }
    }
}
