//! What a transaction carries, and what becomes of it.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    sync::Arc,
};

use super::{Committing, Member, Part, after};
use crate::{
    Output, TopicPartition,
    engine::{
        Rejection,
        core::{
            Assignment, Batch, BatchPart, Committed, Culprit, Fault, Found, Membership, Outcome, Partition,
            partition::Phase,
        },
    },
};

/// Of what one transaction carries.
const BATCH_BYTES: usize = 32 << 20;

impl Member {
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
                Phase::Active | Phase::Finishing => !held.ledger.is_empty(),
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
                self.orphans.clear();
                None
            }
            Outcome::Aborted(fault) => {
                let committing = self.committing.take()?;
                for part in &committing.parts {
                    self.keep(&part.assignment);
                }
                self.discard_orphans();
                match fault {
                    Fault::Passing => None,
                    Fault::Membership => {
                        if self.membership.as_ref() == Some(&committing.membership) {
                            self.membership = None;
                        }
                        None
                    }
                    Fault::Output { class, message, topic } => {
                        let rejection = Rejection {
                            class: class.clone(),
                            message: message.clone(),
                        };
                        self.blame(&committing.parts, &rejection, topic.as_deref())
                    }
                }
            }
        }
    }

    fn blame(&mut self, parts: &[Part], rejection: &Rejection, topic: Option<&str>) -> Option<Culprit> {
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
                let dropped = held.stop(format!(
                    "the result of {} cannot be written, nor what should stand in its place: {}",
                    record.src(),
                    rejection.message
                ));
                self.discard(dropped);
                continue;
            }
            let spared = topic.map_or_else(Vec::new, |topic| {
                let others = first.outputs.iter().filter(|output| output.topic != topic);
                others.cloned().collect()
            });
            return Some(Culprit {
                assignment: part.assignment.clone(),
                record,
                rejection: rejection.clone(),
                spared,
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
    pub fn resolve(&mut self, asked: &[Assignment], found: &Found) -> Vec<Assignment> {
        let parts = self
            .committing
            .take()
            .map_or_else(Vec::new, |committing| committing.parts);
        let mut lost = Vec::new();
        for assignment in asked {
            let is_part = parts.iter().any(|part| part.assignment == *assignment);
            let state = state(found, &assignment.partition);
            let state = state.filter(|state| state.writer.as_deref() == Some(self.me.as_str()));
            let held = self.same(assignment).map(|held| held.committed.seq);
            if !is_part && held.is_some() && held != state.map(|state| state.seq) {
                lost.extend(self.forget(std::slice::from_ref(&assignment.partition)));
            }
        }
        for part in parts {
            let partition = &part.assignment.partition;
            let state = state(found, partition);
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
                    self.keep(&part.assignment);
                }
                _ => {
                    if self.same(&part.assignment).is_some() {
                        lost.extend(self.forget(std::slice::from_ref(partition)));
                    }
                }
            }
        }
        self.discard_orphans();
        lost
    }

    fn keep(&mut self, assignment: &Assignment) {
        let dropped = self.same(assignment).map(Partition::keep);
        self.discard(dropped.unwrap_or_default());
    }

    fn discard_orphans(&mut self) {
        let orphans = self.orphans.drain(..).map(|(_, outputs)| outputs);
        self.discarded.extend(orphans);
    }

    fn acknowledge(&mut self, part: &Part) {
        self.orphans.retain(|(assignment, _)| *assignment != part.assignment);
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
}

fn state(found: &Found, partition: &TopicPartition) -> Option<Committed> {
    let (offset, metadata) = found.get(partition)?.as_ref()?;
    Committed::decode(*offset, metadata).ok()
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
    BatchPart {
        assignment: assignment(partition, held),
        offset: state.progress.watermark(),
        metadata: state.encode(),
        seq: state.seq,
        release,
        results,
    }
}
