//! What a transaction carries, and what becomes of it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry as Slot},
    sync::Arc,
};

use super::{Committing, Member, Part, after};
use crate::{
    Output, TopicPartition,
    engine::{
        Rejection,
        core::{
            Assignment, Batch, BatchPart, Committed, Culprit, Entry, Fault, Found, Membership, Outcome, Partition,
            Refusal, Whose, choice::Room, partition::Phase,
        },
    },
};

/// Partitions in a batch beyond which none is added that has no result: their metadata has a bound together.
const MOST_SKIPS: usize = 100;

impl Member {
    /// The next transaction. There is one at a time: settle it before asking again.
    pub fn batch(&mut self) -> Option<Batch> {
        if self.committing.is_some() {
            return None;
        }
        let membership = self.membership.clone().filter(Membership::is_checked)?;
        let (trial, mut parts) = [self.trial_next, !self.trial_next]
            .into_iter()
            .find_map(|trial| {
                let parts = self.parts(trial);
                (!parts.is_empty()).then_some((trial, parts))
            })
            .unwrap_or_default();
        self.add_skips(&mut parts);
        self.trial_next = !trial;
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
            trial,
        });
        Some(Batch {
            membership,
            parts,
            trial,
        })
    }

    fn parts(&mut self, trial: bool) -> Vec<BatchPart> {
        if trial && !self.partitions.values().any(Partition::has_suspects) {
            self.tried_at_once = usize::MAX;
            return Vec::new();
        }
        let mut room = Room::new(if trial { self.tried_at_once } else { self.limits.batch });
        let order: Vec<TopicPartition> = after(&self.partitions, self.last_batched.as_ref())
            .map(|(key, _)| key.clone())
            .collect();
        let mut parts = Vec::new();
        for key in order {
            let Some(held) = self.partitions.get_mut(&key).filter(|_| room.has_any()) else {
                continue;
            };
            if let Some(count) = held.choose(trial, &self.held_back, &mut room) {
                let part = part(&self.me, &key, held, count);
                room.carries(&part.metadata);
                parts.push(part);
            }
        }
        parts
    }

    /// Until the next batch, which says of all partitions what was skipped in them: those that nothing else is committed of
    /// would fall behind where their log begins, were it never said.
    pub fn commit_skips(&mut self) {
        self.skips_due = true;
    }

    fn add_skips(&mut self, parts: &mut Vec<BatchPart>) {
        if !std::mem::take(&mut self.skips_due) {
            return;
        }
        for (key, held) in self
            .partitions
            .iter_mut()
            .filter(|(_, held)| held.skipped && held.is_active())
        {
            if parts.len() < MOST_SKIPS && !parts.iter().any(|part| part.assignment.partition == *key) {
                parts.push(part(&self.me, key, held, 0));
            }
        }
    }

    /// Results with outputs for these topics are in no batch until it is said otherwise.
    pub fn hold_back(&mut self, topics: BTreeSet<String>) {
        self.held_back = topics;
    }

    /// One of the results that wait broke a transaction.
    #[must_use]
    pub fn has_suspects(&self) -> bool {
        self.partitions.values().any(Partition::has_suspects)
    }

    /// What came of the transaction. Of results that cannot be written the node says what to commit in their place
    /// ([`Member::replace`]), or their partition stops if that was refused already.
    pub fn settle(&mut self, outcome: &Outcome) -> Vec<Culprit> {
        match outcome {
            Outcome::Unknown => Vec::new(),
            Outcome::Committed => {
                let Some(committing) = self.committing.take() else {
                    return Vec::new();
                };
                if committing.trial {
                    self.tried_at_once = committing.results().saturating_mul(2);
                }
                for part in committing.parts {
                    self.acknowledge(&part, Vec::new());
                }
                self.orphans.clear();
                Vec::new()
            }
            Outcome::Aborted(fault) => {
                let Some(committing) = self.committing.take() else {
                    return Vec::new();
                };
                for part in &committing.parts {
                    self.keep(&part.assignment);
                }
                self.discard_orphans();
                match fault {
                    Fault::Passing | Fault::HeldBack => Vec::new(),
                    Fault::Membership => {
                        if self.membership.as_ref() == Some(&committing.membership) {
                            self.membership = None;
                        }
                        Vec::new()
                    }
                    Fault::Outputs(refusals) => self.blame(&committing, refusals),
                }
            }
        }
    }

    fn blame(&mut self, committing: &Committing, refusals: &[Refusal]) -> Vec<Culprit> {
        let mut blamed = BTreeSet::new();
        let mut culprits = Vec::new();
        for refusal in refusals {
            let guilty = match &refusal.whose {
                Whose::All => self.all_for(refusal.topic.as_deref()),
                Whose::Result(place) => self.at(committing, *place).into_iter().collect(),
                Whose::OneOf(places) => {
                    for place in places {
                        let suspect = self.at(committing, *place);
                        if let Some((assignment, offset)) = suspect.filter(|suspect| !blamed.contains(suspect)) {
                            self.suspect(&assignment, offset);
                        }
                    }
                    self.tried_at_once = self.tried_at_once.min(places.len().div_ceil(2)).max(1);
                    Vec::new()
                }
            };
            for guilty in guilty {
                if blamed.insert(guilty.clone()) {
                    culprits.extend(self.culprit(guilty.0, guilty.1, refusal));
                }
            }
        }
        culprits
    }

    /// Where the result at this place of the batch is.
    fn at(&self, committing: &Committing, mut place: usize) -> Option<(Assignment, i64)> {
        for part in &committing.parts {
            if place < part.results {
                let held = self.partitions.get(&part.assignment.partition);
                let held = held.filter(|held| held.epoch == part.assignment.epoch)?;
                return Some((part.assignment.clone(), held.ledger.get(place)?.record.offset));
            }
            place -= part.results;
        }
        None
    }

    fn all_for(&self, topic: Option<&str>) -> Vec<(Assignment, i64)> {
        let is_for = |entry: &&Entry| entry.outputs.iter().any(|output| Some(&*output.topic) == topic);
        let of = |(partition, held): (&TopicPartition, &Partition)| {
            let assignment = assignment(partition, held);
            let entries = held.ledger.iter().filter(is_for);
            let entries: Vec<_> = entries.map(|entry| (assignment.clone(), entry.record.offset)).collect();
            entries
        };
        self.partitions.iter().flat_map(of).collect()
    }

    fn suspect(&mut self, assignment: &Assignment, offset: i64) {
        let held = self.same(assignment);
        let entry = held.and_then(|held| held.ledger.iter_mut().find(|entry| entry.record.offset == offset));
        if let Some(entry) = entry {
            entry.suspect = true;
        }
    }

    fn culprit(&mut self, assignment: Assignment, offset: i64, refusal: &Refusal) -> Option<Culprit> {
        let held = self.same(&assignment)?;
        let entry = held.ledger.iter().find(|entry| entry.record.offset == offset)?;
        if entry.rejected {
            let message = format!(
                "the result of {} cannot be written, nor what should stand in its place: {}",
                entry.record.src(),
                refusal.message
            );
            let dropped = held.stop(message);
            self.discard(dropped);
            return None;
        }
        let is_spared = |output: &Output| refusal.topic.as_ref().is_some_and(|topic| *topic != output.topic);
        let (spared, refused) = entry.outputs.iter().cloned().partition(is_spared);
        Some(Culprit {
            record: entry.record.clone(),
            assignment,
            rejection: Rejection {
                class: refusal.class.clone(),
                message: refusal.message.clone(),
            },
            spared,
            refused,
        })
    }

    /// Commits this instead. What was refused is told as discarded: what was paid for it can be settled.
    pub fn replace(&mut self, culprit: Culprit, outputs: Arc<[Output]>) {
        let offset = culprit.record.offset;
        let held = self.same(&culprit.assignment);
        if held.is_some_and(|held| held.replace(offset, outputs)) && !culprit.refused.is_empty() {
            self.discarded.push(culprit.refused.into());
        }
    }

    /// Whose committed state says what came of a commit without a certain answer: the partitions of that commit, and all
    /// others that are held, because an earlier commit may have come to nothing after all.
    #[must_use]
    pub fn unresolved(&self) -> Vec<Assignment> {
        let parts = self.committing.iter().flat_map(|committing| &committing.parts);
        let mut unresolved: BTreeMap<&TopicPartition, Assignment> = self
            .partitions
            .iter()
            .map(|(partition, held)| (partition, assignment(partition, held)))
            .collect();
        unresolved.extend(parts.map(|part| (&part.assignment.partition, part.assignment.clone())));
        unresolved.into_values().collect()
    }

    /// Writer and seq of the committed state (a stable read, after the producer was replaced) decide. A partition whose
    /// state is another than it should be is forgotten, and its results are dropped, never emitted again: somebody else
    /// has it, or it must be claimed anew. `asked` is what [`Member::unresolved`] said before the read.
    ///
    /// `carried` is what the last transactions carried, each result with what of it is not readable. A broker may tear a
    /// transaction (see the engine's `torn`), so what is committed as done and not readable is taken back into the ledger, out of
    /// what is done: whatever happens then, it is committed with its result or not at all. What is readable and not committed
    /// as done is in the ledger without outputs.
    pub fn resolve(&mut self, asked: &[Assignment], found: &Found, carried: &[BatchPart]) -> Vec<Assignment> {
        let parts = self
            .committing
            .take()
            .map_or_else(Vec::new, |committing| committing.parts);
        let mut lost = Vec::new();
        for assignment in asked {
            let part = parts.iter().find(|part| part.assignment == *assignment);
            let held = self.same(assignment).map(|held| held.committed.clone());
            let is_known = match state(found, &assignment.partition) {
                Some(state) => self.settle_by(assignment, &state, part, held.as_ref(), carried),
                None => false,
            };
            if !is_known && held.is_some() {
                lost.extend(self.forget(std::slice::from_ref(&assignment.partition)));
            }
        }
        self.discard_orphans();
        lost
    }

    /// False if the committed state is none that this process left, or it cannot go on from there.
    fn settle_by(
        &mut self,
        assignment: &Assignment,
        state: &Committed,
        part: Option<&Part>,
        held: Option<&Committed>,
        carried: &[BatchPart],
    ) -> bool {
        let is_mine = state.writer.as_deref() == Some(self.me.as_str());
        if let Some(part) = part.filter(|part| part.seq == state.seq)
            && (if part.release { state.writer.is_none() } else { is_mine })
        {
            let missing = [held.map(|held| held.seq), Some(part.seq)].into_iter().flatten();
            let missing = missing.flat_map(|seq| carried_as(carried, assignment, seq));
            let missing = missing.filter(|entry| !entry.outputs.is_empty()).cloned().collect();
            self.acknowledge(part, missing);
            return true;
        }
        let Some(held) = held.filter(|held| is_mine || state.writer == held.writer) else {
            return false;
        };
        let last = carried
            .iter()
            .find(|part| part.assignment == *assignment && part.seq == held.seq);
        let is_undone = state.seq + 1 == held.seq && last.is_some();
        if state.seq != held.seq && !is_undone {
            return false;
        }
        let back = last.into_iter().flat_map(|part| &part.results);
        let back = back
            .filter(|entry| is_undone || !entry.outputs.is_empty())
            .cloned()
            .collect();
        self.keep(assignment);
        let Some(held) = self.same(assignment) else {
            return false;
        };
        for entry in part
            .into_iter()
            .flat_map(|part| carried_as(carried, assignment, part.seq))
        {
            held.reduce(entry);
        }
        if is_undone {
            held.undo_commit(state);
        }
        self.take_back(assignment, back, is_undone)
    }

    /// Where there is no room for that, what is not committed runs again with the next claim; what is stops the partition.
    fn take_back(&mut self, assignment: &Assignment, back: Vec<Entry>, is_undone: bool) -> bool {
        let Some(held) = self.same(assignment) else {
            return false;
        };
        let first = back.first().map(|entry| entry.record.src());
        if held.take_back(back) {
            return true;
        }
        if !is_undone {
            let message = format!(
                "a broker lost results that it had committed, {} is one of them, and too many newer records wait for them to be \
                 committed again. They are in the log: emit them by hand, or run their requests again",
                first.unwrap_or_default()
            );
            let dropped = held.stop(message);
            self.discard(dropped);
        }
        !is_undone
    }

    fn keep(&mut self, assignment: &Assignment) {
        let dropped = self.same(assignment).map(Partition::keep);
        self.discard(dropped.unwrap_or_default());
    }

    fn discard_orphans(&mut self) {
        let orphans = self.orphans.drain(..).map(|(_, outputs)| outputs);
        self.discarded.extend(orphans);
    }

    /// A release that misses a result is none yet: it is made again, with what is missing.
    fn acknowledge(&mut self, part: &Part, missing: Vec<Entry>) {
        self.orphans.retain(|(assignment, _)| *assignment != part.assignment);
        let writer = Some(self.me.clone()).filter(|_| !part.release);
        if let Slot::Occupied(mut slot) = self.partitions.entry(part.assignment.partition.clone()) {
            if slot.get().epoch != part.assignment.epoch {
                return;
            }
            slot.get_mut().acknowledge(writer);
            if !missing.is_empty() {
                self.take_back(&part.assignment, missing, false);
            } else if part.release {
                slot.remove();
            }
        }
    }
}

fn state(found: &Found, partition: &TopicPartition) -> Option<Committed> {
    let (offset, metadata) = found.get(partition)?.as_ref()?;
    Committed::decode(*offset, metadata).ok()
}

/// What a commit with this number carried of the partition.
fn carried_as<'a>(
    carried: &'a [BatchPart],
    assignment: &Assignment,
    seq: u64,
) -> impl Iterator<Item = &'a Entry> + use<'a> {
    let part = carried
        .iter()
        .find(|part| part.assignment == *assignment && part.seq == seq);
    part.into_iter().flat_map(|part| &part.results)
}

fn assignment(partition: &TopicPartition, held: &Partition) -> Assignment {
    Assignment {
        partition: partition.clone(),
        epoch: held.epoch,
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
    held.send_skips();
    BatchPart {
        assignment: assignment(partition, held),
        offset: state.progress.watermark(),
        metadata: state.encode(),
        seq: state.seq,
        release,
        results,
    }
}
