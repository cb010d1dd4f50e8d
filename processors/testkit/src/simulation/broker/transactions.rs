//! Transactions, from InitProducerId to the markers, and what becomes of them when a broker restarts in between.

use std::collections::{BTreeMap, BTreeSet};

use topics::{
    TopicPartition,
    engine::core::{Committed, Entry, Membership},
};

use super::{super::group::Group, Broker, Commit, Fate, Refusal, Written};

#[derive(Debug, Default)]
pub(super) struct Transactional {
    epoch: u32,
    open: Option<Open>,
    /// Transactions that count as ended and have no markers.
    unmarked: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    transaction: u64,
    phase: Phase,
    /// Whose results are in it: their read_committed readers wait for its end.
    results: BTreeSet<TopicPartition>,
    pending: BTreeMap<TopicPartition, Commit>,
    /// Offsets were sent: the partition of committed offsets gets a marker.
    has_offsets: bool,
    is_sweep: bool,
    /// Somebody sweeps up after a dead one, and nobody will again.
    is_by_heir: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Ongoing,
    Committing,
    Aborting,
}

#[derive(Debug, Clone)]
pub(super) struct EndTxn {
    id: String,
    epoch: u32,
    commit: bool,
}

impl Transactional {
    /// Offsets of one of the partitions were sent in a transaction that has not been marked.
    pub(super) fn is_pending(&self, partitions: &[TopicPartition]) -> bool {
        let pends = |open: &Open| partitions.iter().any(|partition| open.pending.contains_key(partition));
        self.open.iter().chain(&self.unmarked).any(pends)
    }
}

impl Broker {
    /// InitProducerId: what is open is aborted, whoever used the id before is fenced.
    pub fn init(&mut self, id: &str) -> Result<u32, Refusal> {
        let transactional = self.transactional.entry(id.to_owned()).or_default();
        match transactional.open.as_mut().map(|open| &mut open.phase) {
            None => {
                transactional.epoch += 1;
                Ok(transactional.epoch)
            }
            Some(phase) => {
                if *phase == Phase::Ongoing {
                    *phase = Phase::Aborting;
                    // The abort that the coordinator does by itself bumps the epoch at once.
                    transactional.epoch += 1;
                }
                Err(Refusal::Concurrent)
            }
        }
    }

    fn open(&mut self, id: &str, epoch: u32) -> Result<&mut Open, Refusal> {
        let transactional = self
            .transactional
            .get_mut(id)
            .filter(|known| known.epoch == epoch)
            .ok_or(Refusal::Fenced)?;
        let transactions = &mut self.transactions;
        let open = transactional.open.get_or_insert_with(|| {
            *transactions += 1;
            Open {
                transaction: *transactions,
                phase: Phase::Ongoing,
                results: BTreeSet::new(),
                pending: BTreeMap::new(),
                has_offsets: false,
                is_sweep: false,
                is_by_heir: false,
            }
        });
        if open.phase == Phase::Ongoing {
            Ok(open)
        } else {
            Err(Refusal::Concurrent)
        }
    }

    /// A request's value says whether its result is taken, and what stands in its place.
    pub fn refuses(&self, entry: &Entry) -> bool {
        let value = entry.record.value.as_deref().unwrap_or_default();
        (value == b"large" && !entry.rejected) || (value == b"huge" && !self.takes_huge)
    }

    pub fn produce(&mut self, id: &str, epoch: u32, entry: &Entry) -> Result<(), Refusal> {
        let open = self.open(id, epoch)?;
        let record = &entry.record;
        let partition = TopicPartition::new(record.topic.clone(), record.partition);
        open.results.insert(partition.clone());
        let transaction = open.transaction;
        self.tell(|| format!("{id} writes the result of {partition}/{}", record.offset));
        self.results.entry(partition).or_default().push(Written {
            offset: record.offset,
            key: record.key.clone(),
            value: entry.outputs.iter().find_map(|output| output.value.clone()),
            by: id.to_owned(),
            transaction,
            fate: Fate::Open,
        });
        Ok(())
    }

    /// TxnOffsetCommit.
    pub fn send_offsets(
        &mut self,
        (id, epoch): (&str, u32),
        group: &Group,
        membership: &Membership,
        offsets: Vec<(TopicPartition, i64, String)>,
    ) -> Result<(), Refusal> {
        self.open(id, epoch)?;
        let refused = membership.generation >= 0 && !group.knows(membership);
        self.tell(|| {
            format!(
                "{id} sends offsets in generation {}, refused: {refused}",
                membership.generation
            )
        });
        if refused {
            return Err(Refusal::Membership);
        }
        self.position += 1;
        let position = self.position;
        let open = self.open(id, epoch)?;
        open.has_offsets = true;
        for (partition, offset, metadata) in offsets {
            open.pending.insert(
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

    /// A transaction with an empty record for every partition and an offset that nobody reads; it is to be aborted.
    pub fn sweep(&mut self, id: &str, epoch: u32, is_by_heir: bool) -> Result<(), Refusal> {
        let partitions = self.inputs.keys().cloned().collect();
        let open = self.open(id, epoch)?;
        (open.results, open.has_offsets, open.is_sweep) = (partitions, true, true);
        open.is_by_heir = is_by_heir;
        Ok(())
    }

    pub fn end(&mut self, id: &str, epoch: u32, commit: bool) -> Result<(), Refusal> {
        let transactional = self
            .transactional
            .get_mut(id)
            .filter(|known| known.epoch == epoch)
            .ok_or(Refusal::Fenced)?;
        let phase = if commit { Phase::Committing } else { Phase::Aborting };
        match &mut transactional.open {
            // Nothing was added to it, or it is being ended that way already.
            None => Ok(()),
            Some(open) if open.phase == phase => Ok(()),
            Some(open) if open.phase == Phase::Ongoing => {
                open.phase = phase;
                Ok(())
            }
            Some(_) => Err(Refusal::Concurrent),
        }
    }

    pub fn end_late(&mut self, id: &str, epoch: u32, commit: bool) {
        self.late.push(EndTxn {
            id: id.to_owned(),
            epoch,
            commit,
        });
    }

    pub fn late_requests(&self) -> usize {
        self.late.len()
    }

    pub fn deliver_late(&mut self, which: usize) {
        let EndTxn { id, epoch, commit } = self.late.swap_remove(which);
        // Its sender is not listening any more.
        let _ = self.end(&id, epoch, commit);
    }

    /// Transactions that are being ended: their markers are not written yet.
    pub fn ending(&self) -> Vec<String> {
        self.ids(|phase| phase != Phase::Ongoing)
    }

    pub fn ongoing(&self) -> Vec<String> {
        self.ids(|phase| phase == Phase::Ongoing)
    }

    /// The transactional ids whose open transaction keeps readers of this partition's results waiting. One that only sweeps
    /// up does so for no longer than its timeout, and not because of this partition.
    pub fn holding_up<'a>(&'a self, partition: &'a TopicPartition) -> impl Iterator<Item = &'a String> {
        let holds = |open: &Open| open.results.contains(partition) && !open.is_sweep;
        let is_ending = |known: &Transactional| known.open.as_ref().is_some_and(|open| open.phase != Phase::Ongoing);
        self.transactional
            .iter()
            .filter(move |(_, known)| known.open.as_ref().is_some_and(holds) || known.unmarked.iter().any(holds))
            // What is being ended is on its way, and so is what its markers will end.
            .filter(move |(_, known)| !is_ending(known))
            .filter(|(id, _)| !self.torn_releases.contains(&((*id).clone(), partition.clone())))
            .map(|(id, _)| id)
    }

    fn ids(&self, is: impl Fn(Phase) -> bool) -> Vec<String> {
        let open = |transactional: &Transactional| transactional.open.as_ref().is_some_and(|open| is(open.phase));
        self.transactional
            .iter()
            .filter(|(_, known)| open(known))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// transaction.timeout.ms is over.
    pub fn time_out(&mut self, id: &str) {
        let Some(transactional) = self.transactional.get_mut(id) else {
            return;
        };
        if let Some(open) = transactional.open.as_mut().filter(|open| open.phase == Phase::Ongoing) {
            open.phase = Phase::Aborting;
            transactional.epoch += 1;
        }
    }

    pub fn write_markers(&mut self, id: &str) {
        let open = self.transactional.get_mut(id).and_then(|known| known.open.take());
        if let Some(open) = open {
            self.write(id, open);
        }
    }

    fn write(&mut self, id: &str, open: Open) {
        let Some(known) = self.transactional.get_mut(id) else {
            return;
        };
        let commit = open.phase == Phase::Committing;
        // A marker in a partition decides about everything that its producer has open there.
        let mut ended = Vec::new();
        for unmarked in &mut known.unmarked {
            let results = unmarked
                .results
                .extract_if(.., |partition| open.results.contains(partition));
            let pending = if open.has_offsets {
                std::mem::take(&mut unmarked.pending)
            } else {
                BTreeMap::new()
            };
            ended.push((unmarked.transaction, results.collect(), pending));
        }
        known
            .unmarked
            .retain(|unmarked| !unmarked.results.is_empty() || !unmarked.pending.is_empty());
        ended.push((open.transaction, open.results, open.pending));
        for (transaction, results, pending) in ended {
            self.mark(transaction, &results, pending, commit);
        }
    }

    fn mark(
        &mut self,
        transaction: u64,
        results: &BTreeSet<TopicPartition>,
        pending: BTreeMap<TopicPartition, Commit>,
        commit: bool,
    ) {
        let fate = if commit { Fate::Visible } else { Fate::Aborted };
        for partition in results {
            let written = self.results.get_mut(partition).into_iter().flatten();
            for result in written.filter(|result| result.transaction == transaction) {
                result.fate = fate;
            }
        }
        if !commit {
            return;
        }
        self.touched.extend(results.iter().cloned());
        for (partition, commit) in pending {
            self.touched.insert(partition.clone());
            let is_newer = self
                .committed
                .get(&partition)
                .is_none_or(|known| known.position < commit.position);
            if is_newer {
                self.committed.insert(partition, commit);
            }
        }
    }

    /// The transaction counts as ended, and the markers of some of its partitions are never written, or of all. What is not
    /// modelled is a broker that does so twice in a row, also to the transaction with which an heir sweeps up: nobody would know.
    pub fn lose_markers(&mut self, id: &str, mut is_lost: impl FnMut() -> bool) {
        let Some(known) = self.transactional.get_mut(id) else {
            return;
        };
        let may_be_lost = |open: &mut Open| open.phase != Phase::Ongoing && !open.is_by_heir;
        let Some(mut lost) = known.open.take_if(may_be_lost) else {
            return;
        };
        let mut marked = Open {
            results: lost.results.extract_if(.., |_| !is_lost()).collect(),
            pending: BTreeMap::new(),
            has_offsets: false,
            ..lost
        };
        if lost.has_offsets && !is_lost() {
            (marked.pending, marked.has_offsets) = (std::mem::take(&mut lost.pending), true);
            lost.has_offsets = false;
        }
        if lost.phase == Phase::Committing {
            self.tear(id, &marked, &lost);
        }
        self.write(id, marked);
        if let Some(known) = self.transactional.get_mut(id) {
            known.unmarked.push(lost);
        }
    }

    /// Offsets without their results, or results without their offsets.
    fn tear(&mut self, id: &str, marked: &Open, lost: &Open) {
        let is_released = |(partition, commit): &(&TopicPartition, &Commit)| {
            let state = Committed::decode(commit.offset, &commit.metadata);
            lost.results.contains(*partition) && state.is_ok_and(|state| state.writer.is_none())
        };
        let released = marked.pending.iter().filter(is_released);
        let released = released.map(|(partition, _)| (id.to_owned(), partition.clone()));
        self.torn_releases.extend(released);
        let is_torn = |partition: &&TopicPartition| {
            let one = marked.results.contains(*partition) && lost.pending.contains_key(*partition);
            one || (lost.results.contains(*partition) && marked.pending.contains_key(*partition))
        };
        for partition in marked.results.iter().chain(&lost.results).filter(is_torn) {
            let written = self.results.get(partition).into_iter().flatten();
            let of_it = written.filter(|result| result.transaction == marked.transaction);
            let offsets: Vec<i64> = of_it.map(|result| result.offset).collect();
            let commit = marked.pending.get(partition).or(lost.pending.get(partition));
            let state = commit.and_then(|commit| Committed::decode(commit.offset, &commit.metadata).ok());
            for offset in offsets {
                let torn = self.torn.entry((partition.clone(), offset)).or_default();
                torn.extend(state.as_ref().map(|state| (id.to_owned(), state.seq)));
            }
        }
    }
}
