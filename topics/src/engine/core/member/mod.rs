//! One member of the group: everything this process decides about the partitions it holds. Rebalance events are here,
//! [`running`] has what happens to records, [`committing`] what happens to results.

mod committing;
mod running;

use std::{collections::BTreeMap, sync::Arc};

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
    committing: Option<Committing>,
    /// Results in the transaction under way whose partition is gone meanwhile: it may be committed all the same.
    orphans: Vec<(Assignment, Arc<[Output]>)>,
    /// Results that will never be committed, until [`Member::take_discarded`].
    discarded: Vec<Arc<[Output]>>,
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
            orphans: Vec::new(),
            discarded: Vec::new(),
            last_batched: None,
            last_run: None,
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

    #[must_use]
    pub fn held(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    fn same(&mut self, assignment: &Assignment) -> Option<&mut Partition> {
        self.partitions
            .get_mut(&assignment.partition)
            .filter(|held| held.epoch == assignment.epoch)
    }

    #[must_use]
    pub fn bytes(&self) -> usize {
        self.partitions.values().map(|held| held.bytes).sum()
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let partitions = self
            .partitions
            .iter()
            .map(|(partition, held)| PartitionStatus::of(partition, held, self.limits.partition_bytes))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        Headers, Output, Record,
        engine::core::{Batch, Committed, Fault, Full, Outcome, WINDOW},
    };

    fn partition() -> TopicPartition {
        TopicPartition::new("requests", 0)
    }

    fn record(offset: i64) -> Arc<Record> {
        Arc::new(Record {
            topic: partition().topic,
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: None,
            value: Some(Bytes::from_static(b"0123456789")),
            headers: Headers::new(),
        })
    }

    fn member(in_flight: usize) -> Member {
        let limits = Limits {
            order: Order::Key,
            in_flight,
            waiting: 2,
            bytes: 1 << 20,
            partition_bytes: 1 << 20,
            batch: 10,
        };
        let mut member = Member::new("me", limits, Turns::new([("requests", 1)]));
        member.refresh(Some(Membership {
            generation: 1,
            member: "member".to_owned(),
            instance: None,
        }));
        member.claimed(partition(), Committed::first(0));
        member
    }

    /// Reads and runs the records of these offsets to their results.
    fn run(member: &mut Member, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            member.offer(&partition(), record(offset));
            let (assignment, record) = member.next_run().unwrap();
            member.finished(&assignment, record.offset, Arc::new([Output::default()]), false);
        }
    }

    fn offsets(batch: &Batch) -> Vec<i64> {
        batch
            .parts
            .iter()
            .flat_map(|part| &part.results)
            .map(|entry| entry.record.offset)
            .collect()
    }

    fn refused() -> Outcome {
        Outcome::Aborted(Fault::Output {
            class: "output_too_large".to_owned(),
            message: String::new(),
            topic: None,
        })
    }

    #[test]
    fn one_bad_result_costs_the_others_a_transaction_each_and_nothing_else() {
        let mut member = member(9);
        run(&mut member, 0..3);
        assert_eq!(offsets(&member.batch().unwrap()), [0, 1, 2]);
        assert!(member.settle(&refused()).is_none(), "which one it was is not known yet");
        assert_eq!(offsets(&member.batch().unwrap()), [0]);
        member.settle(&Outcome::Committed);
        assert_eq!(offsets(&member.batch().unwrap()), [1]);
        let culprit = member.settle(&refused()).unwrap();
        assert_eq!(
            (culprit.record.offset, culprit.rejection.class.as_str()),
            (1, "output_too_large")
        );
        member.replace(&culprit, Arc::new([Output::default()]));
        assert_eq!(offsets(&member.batch().unwrap()), [1]);
        member.settle(&Outcome::Committed);
        assert_eq!(offsets(&member.batch().unwrap()), [2]);
        member.settle(&Outcome::Committed);
        assert_eq!(member.status().partitions[0].watermark, 3);
    }

    #[test]
    fn nothing_is_committed_without_a_membership_that_brokers_check() {
        let mut member = member(9);
        run(&mut member, [0]);
        member.refresh(Some(Membership {
            generation: -1,
            member: "member".to_owned(),
            instance: None,
        }));
        assert!(member.batch().is_none());
        member.refresh(Some(Membership {
            generation: 2,
            member: "member".to_owned(),
            instance: None,
        }));
        assert_eq!(member.batch().unwrap().membership.generation, 2);
        member.settle(&Outcome::Aborted(Fault::Membership));
        assert!(member.batch().is_none(), "until the next rebalance event");
    }

    #[test]
    fn a_record_beyond_the_window_waits_and_one_beyond_a_gap_does_not() {
        let mut member = member(9);
        run(&mut member, [WINDOW * 3]);
        assert_eq!(
            member.batch().unwrap().parts[0].offset,
            WINDOW * 3 + 1,
            "nothing was open before the gap"
        );
        member.settle(&Outcome::Committed);
        member.offer(&partition(), record(WINDOW * 3 + 1));
        let (slow, _) = member.next_run().unwrap();
        member.offer(&partition(), record(WINDOW * 4 + 1));
        assert!(member.next_run().is_none() && !member.wants(&partition()));
        assert_eq!(member.status().partitions[0].full, Some(Full::Window));
        member.finished(&slow, WINDOW * 3 + 1, Arc::new([]), false);
        member.batch().unwrap();
        member.settle(&Outcome::Committed);
        assert_eq!(member.next_run().unwrap().1.offset, WINDOW * 4 + 1);
    }

    #[test]
    fn runs_that_wait_for_a_limit_hold_no_slot_up_to_a_bound() {
        let mut member = member(1);
        for offset in 0..9 {
            member.offer(&partition(), record(offset));
        }
        let mut started = 0;
        while member.next_run().is_some() {
            started += 1;
            member.limit_wait_begins();
        }
        assert_eq!(started, 3, "one slot, two may wait");
        member.limit_wait_ends();
        member.limit_wait_ends();
        assert!(member.next_run().is_none());
    }

    /// The results of that commit are visible: a release that does not name them as done would have them run again.
    #[test]
    fn a_partition_that_stops_during_a_commit_keeps_what_the_commit_carries() {
        for (outcome, watermark) in [(Outcome::Committed, 2), (Outcome::Aborted(Fault::Passing), 0)] {
            let mut member = member(9);
            run(&mut member, 0..2);
            member.batch().unwrap();
            run(&mut member, [2]);
            member.stop_partition(&partition(), "the log is gone".to_owned());
            member.settle(&outcome);
            assert!(
                member.batch().is_none() && member.bytes() == 0,
                "nothing more of it is committed"
            );
            member.revoke(&[partition()]);
            let release = member.batch().unwrap();
            assert_eq!((release.parts[0].offset, release.results()), (watermark, 0));
        }
    }

    #[test]
    fn results_that_will_never_be_committed_are_told_once_it_is_certain() {
        for (outcome, discarded) in [(Outcome::Committed, 2), (Outcome::Aborted(Fault::Passing), 4)] {
            let mut member = member(9);
            run(&mut member, 0..2);
            member.batch().unwrap();
            run(&mut member, [2]);
            member.offer(&partition(), record(3));
            let (late, _) = member.next_run().unwrap();
            member.forget(&[partition()]);
            assert_eq!(member.take_discarded().len(), 1, "two are on their way");
            member.settle(&outcome);
            member.finished(&late, 3, Arc::new([Output::default()]), false);
            assert_eq!(1 + member.take_discarded().len(), discarded);
        }
    }

    #[test]
    fn a_partition_that_leaves_with_a_result_that_nothing_can_stand_in_for_is_released_without_it() {
        let mut member = member(9);
        run(&mut member, 0..2);
        member.batch().unwrap();
        member.settle(&Outcome::Committed);
        run(&mut member, [2]);
        member.batch().unwrap();
        let culprit = member.settle(&refused()).unwrap();
        member.replace(&culprit, Arc::new([Output::default()]));
        member.revoke(&[partition()]);
        member.batch().unwrap();
        assert!(member.settle(&refused()).is_none());
        let release = member.batch().unwrap();
        assert!(release.parts[0].release && release.parts[0].offset == 2, "{release:?}");
        member.settle(&Outcome::Committed);
        assert!(member.is_drained(&[partition()]));
    }

    #[test]
    fn the_last_commit_of_a_partition_that_leaves_names_no_writer() {
        let mut member = member(9);
        run(&mut member, [0]);
        member.revoke(&[partition()]);
        assert!(!member.is_drained(&[partition()]) && !member.wants(&partition()));
        let batch = member.batch().unwrap();
        let state = Committed::decode(batch.parts[0].offset, &batch.parts[0].metadata).unwrap();
        assert_eq!((state.progress.watermark(), state.seq, state.writer), (1, 1, None));
        member.settle(&Outcome::Committed);
        assert!(member.is_drained(&[partition()]));
    }
}
