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
//!   and stable reads, and the next marker of the same producer decides about it.

mod transactions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use topics::{
    Headers, Record, TopicPartition,
    engine::core::{Found, Membership},
};

use super::group::Group;
use transactions::{EndTxn, Transactional};

#[derive(Debug, Default)]
pub struct Broker {
    pub inputs: BTreeMap<TopicPartition, Vec<Option<Arc<Record>>>>,
    pub results: BTreeMap<TopicPartition, Vec<Written>>,
    pub committed: BTreeMap<TopicPartition, Commit>,
    transactional: BTreeMap<String, Transactional>,
    /// EndTxn requests that are still on their way although their sender gave up.
    late: Vec<EndTxn>,
    position: u64,
    transactions: u64,
    /// Where something became visible or was committed since the last check.
    pub touched: BTreeSet<TopicPartition>,
    /// Nothing answers: it restarts.
    pub away: bool,
    /// The results that it refused are taken now, as an operator saw to it.
    pub takes_huge: bool,
    /// What happens, told for people.
    pub story: Option<Vec<String>>,
    /// Partitions that were claimed since the last check.
    pub claimed: Vec<TopicPartition>,
}

/// A result in the results log.
#[derive(Debug)]
pub struct Written {
    pub offset: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
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
    pub fn add_input(&mut self, partition: TopicPartition, first_commit: String) {
        self.inputs.insert(partition.clone(), Vec::new());
        self.committed.insert(
            partition,
            Commit {
                offset: 0,
                metadata: first_commit,
                position: 0,
            },
        );
    }

    /// A record, or an offset that holds none (a transaction marker of a producer).
    pub fn append(&mut self, partition: &TopicPartition, record: Option<(Option<Bytes>, Bytes)>) {
        let Some(log) = self.inputs.get_mut(partition) else {
            return;
        };
        let offset = log.len() as i64;
        log.push(record.map(|(key, value)| {
            Arc::new(Record {
                topic: partition.topic.clone(),
                partition: partition.partition,
                offset,
                timestamp_ms: 0,
                append_time: true,
                read_ms: 0,
                key,
                value: Some(value),
                headers: Headers::new(),
            })
        }));
    }

    /// The first record at or after the offset.
    pub fn fetch(&self, partition: &TopicPartition, offset: i64) -> Option<Arc<Record>> {
        self.inputs
            .get(partition)?
            .get(offset as usize..)?
            .iter()
            .flatten()
            .next()
            .cloned()
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
        if !group.knows(membership) {
            return Err(Refusal::Membership);
        }
        for (partition, offset, metadata) in offsets {
            self.touched.insert(partition.clone());
            self.tell(|| format!("{} claims {partition} at {offset}", membership.member));
            self.position += 1;
            self.claimed.push(partition.clone());
            self.committed.insert(
                partition,
                Commit {
                    offset,
                    metadata,
                    position: self.position,
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
