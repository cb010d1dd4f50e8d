//! A model of the brokers: input logs, the results log, transactions and committed offsets, as reference clients see
//! them on Kafka 4.x.
//!
//! What it keeps of the real thing, because mistakes hide there:
//! - a commit takes effect some time after EndTxn is answered; until then the producer's next transaction is told to wait;
//! - offsets sent in a transaction are pending: a stable read waits for them, an unstable one returns what was before;
//! - a plain commit wins over offsets that were sent in a transaction earlier, whatever becomes of that transaction;
//! - generation and member are checked, ownership is not, and a generation below 0 is not checked at all;
//! - EndTxn may arrive late, and then ends whatever transaction of the same epoch is open;
//! - a broker that restarts may call a transaction ended without having written its markers (KAFKA-20734): it holds up readers
//!   and stable reads, and the next marker of the same producer decides about it. It may have written some of them.

mod log;
mod transactions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use topics::{
    Record, TopicPartition,
    engine::core::{Found, Membership},
};

use super::group::Group;
use log::Log;
use transactions::{EndTxn, Transactional};

#[derive(Debug, Default)]
pub struct Broker {
    pub inputs: BTreeMap<TopicPartition, Log>,
    pub results: BTreeMap<TopicPartition, Vec<Written>>,
    pub committed: BTreeMap<TopicPartition, Commit>,
    transactional: BTreeMap<String, Transactional>,
    /// EndTxn requests that are still on their way although their sender gave up.
    late: Vec<EndTxn>,
    position: u64,
    transactions: u64,
    /// Where something became visible or was committed since the last check.
    pub touched: BTreeSet<TopicPartition>,
    /// Results of transactions of which it wrote some markers and lost others. Unless whoever wrote them makes up for it nobody
    /// can, so nothing is asked of them.
    /// By writer and number of their commit.
    pub torn: BTreeMap<(TopicPartition, i64), BTreeSet<(String, u64)>>,
    /// Results of such transactions whose offsets name no writer any more, by who wrote them: an heir does not know whom to
    /// sweep up after.
    torn_releases: BTreeSet<(String, TopicPartition)>,
    /// Nothing answers: it restarts.
    pub away: bool,
    /// The results that it refused are taken now, as an operator saw to it.
    pub takes_huge: bool,
    /// What happens, told for people.
    pub story: Option<Vec<String>>,
    /// Partitions that were added to their topic: they have no commit, and begin at 0.
    pub added: BTreeSet<TopicPartition>,
    /// It was claimed without a commit, and nobody knows where it begins.
    pub guessed: Option<TopicPartition>,
    /// Partitions that were claimed since the last check.
    pub claimed: Vec<TopicPartition>,
}

/// A result in the results log.
#[derive(Debug)]
pub struct Written {
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// The transactional id.
    pub by: String,
    transaction: u64,
    pub fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Open,
    Visible,
    Aborted,
}

#[derive(Debug, Clone)]
pub struct Commit {
    pub offset: i64,
    pub metadata: String,
    position: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Fenced,
    /// The last transaction is still being ended: come again.
    Concurrent,
    Membership,
}

impl Broker {
    pub fn add_input(&mut self, partition: TopicPartition, start: i64, first_commit: Option<String>) {
        self.inputs.insert(partition.clone(), Log::starting_at(start));
        if let Some(metadata) = first_commit {
            let commit = Commit {
                offset: start,
                metadata,
                position: 0,
            };
            self.committed.insert(partition, commit);
        }
    }

    pub fn append(&mut self, partition: &TopicPartition, key: Option<Bytes>, value: Bytes) {
        if let Some(log) = self.inputs.get_mut(partition) {
            log.append(partition, key, value);
        }
    }

    /// Offsets that hold no record: markers, what was aborted, what was compacted.
    pub fn append_nothing(&mut self, partition: &TopicPartition, offsets: i64) {
        if let Some(log) = self.inputs.get_mut(partition) {
            log.end += offsets;
        }
    }

    /// The first record at or after the offset, or where the log ends.
    pub fn fetch(&self, partition: &TopicPartition, offset: i64) -> Result<Arc<Record>, i64> {
        let Some(log) = self.inputs.get(partition) else {
            return Err(offset);
        };
        let next = log.records.range(offset..).next();
        next.map(|(_, record)| Arc::clone(record)).ok_or(log.end)
    }

    pub fn without_commit(&self) -> Vec<TopicPartition> {
        let inputs = self.inputs.keys();
        inputs
            .filter(|partition| !self.committed.contains_key(*partition))
            .cloned()
            .collect()
    }

    /// What an operator's tool does: a plain commit of nobody, which brokers take while the group has no members.
    pub fn reset(&mut self, group: &Group, partition: &TopicPartition) {
        let start = self.inputs.get(partition).map_or(0, |log| log.start);
        let nobody = Membership {
            generation: -1,
            member: String::new(),
            instance: None,
        };
        if self
            .commit(group, &nobody, vec![(partition.clone(), start, String::new())])
            .is_ok()
        {
            self.tell(|| format!("an operator resets {partition} to {start}"));
        }
    }

    /// What was on its way is gone.
    pub fn restart(&mut self) {
        self.away = true;
        self.late.clear();
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(what());
        }
    }

    /// OffsetCommit by a member, outside of any transaction.
    pub fn commit_plainly(
        &mut self,
        group: &Group,
        membership: &Membership,
        offsets: Vec<(TopicPartition, i64, String)>,
    ) -> Result<(), Refusal> {
        let partitions: Vec<_> = offsets.iter().map(|(partition, ..)| partition.clone()).collect();
        let guessed =
            |partition: &&TopicPartition| !self.committed.contains_key(*partition) && !self.added.contains(*partition);
        let guessed = partitions.iter().find(guessed).cloned();
        self.commit(group, membership, offsets)?;
        self.guessed = self.guessed.take().or(guessed);
        for partition in &partitions {
            self.tell(|| format!("{} claims {partition}", membership.member));
        }
        self.claimed.extend(partitions);
        Ok(())
    }

    /// Whoever is no member may commit while there is none.
    fn commit(
        &mut self,
        group: &Group,
        membership: &Membership,
        offsets: Vec<(TopicPartition, i64, String)>,
    ) -> Result<(), Refusal> {
        let is_nobody = membership.generation < 0 && membership.member.is_empty();
        let is_taken = group.knows(membership) || (is_nobody && group.is_empty());
        if !is_taken {
            return Err(Refusal::Membership);
        }
        for (partition, offset, metadata) in offsets {
            self.touched.insert(partition.clone());
            self.position += 1;
            let position = self.position;
            self.committed.insert(
                partition,
                Commit {
                    offset,
                    metadata,
                    position,
                },
            );
        }
        Ok(())
    }

    /// `None`: a transaction is pending on one of the partitions.
    pub fn read_stable(&self, partitions: &[TopicPartition]) -> Option<Found> {
        let is_pending = self.transactional.values().any(|known| known.is_pending(partitions));
        (!is_pending).then(|| self.read_unstable(partitions))
    }

    pub fn read_unstable(&self, partitions: &[TopicPartition]) -> Found {
        let read = |partition: &TopicPartition| {
            let commit = self
                .committed
                .get(partition)
                .map(|commit| (commit.offset, commit.metadata.clone()));
            (partition.clone(), commit)
        };
        partitions.iter().map(read).collect()
    }
}
