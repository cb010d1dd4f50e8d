//! After trouble: what of the last transactions is readable, and what is not.
//!
//! Decision: a broker that dies between the markers of a transaction may tear it (KAFKA-20734): offsets without some of the results,
//! or results without the offsets. An acknowledged commit is therefore kept until the next one is acknowledged: that one can only
//! begin when brokers call this one complete, and if they did so wrongly, a connection to one of them failed first. After trouble,
//! when the sweep has ended whatever was left open, each output of Millrace's own topics is looked for at the very offset at
//! which it was acknowledged, as a read_committed reader sees it. What is missing goes back into the ledger, and its offset is
//! not done any more ([`super::core::Member::resolve`]). It is looked for by offsets, never by clocks, so nothing is taken for
//! lost that is there.
//!
//! What cannot be looked at keeps nobody from committing. It shares the fate of the offsets: outputs for topics of others, which
//! may be away; those of which no offset was told, because the call was abandoned; and those whose place in the log is gone
//! or forbidden ([`super::readable`]). Where a result is readable and its offset is not done, they count as written: an output for a
//! topic of others that was lost then stays lost, because one that was not lost would be there twice.
//!
//! If the process dies before, or has given the partition back, nobody makes up for it: the second is told in the log. If
//! that commit was a release, too, it names no writer whom an heir would sweep up after. That is what remains of a torn commit.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    EngineError, EngineSettings,
    core::{Assignment, Batch, BatchPart, Committed, Entry, Found},
    events::{Place, Written},
    readable::{Offsets, Readable, readable},
};
use crate::TopicPartition;

/// A transaction that was committed, or may have been, and where its outputs are.
pub(super) struct Kept {
    batch: Arc<Batch>,
    written: BTreeMap<Place, (i32, i64)>,
}

impl Kept {
    pub(super) fn new(batch: &Arc<Batch>, written: Vec<Written>) -> Self {
        let written = written.into_iter();
        Self {
            batch: Arc::clone(batch),
            written: written
                .map(|written| (written.place, (written.partition, written.offset)))
                .collect(),
        }
    }

    /// Its outputs in the topics of Millrace's own.
    fn offsets(&self, own: &[String], offsets: &mut Offsets) {
        for (result, entry) in self.batch.entries().enumerate() {
            for (output, sent) in entry
                .outputs
                .iter()
                .enumerate()
                .filter(|(_, sent)| own.contains(&sent.topic))
            {
                if let Some((partition, offset)) = self.written.get(&Place { result, output }) {
                    offsets
                        .entry(TopicPartition::new(&*sent.topic, *partition))
                        .or_default()
                        .insert(*offset);
                }
            }
        }
    }

    /// Its parts, each result only with what is not readable.
    fn missing(&self, own: &[String], readable: &Readable, asked: &[Assignment], found: &Found) -> Vec<BatchPart> {
        let mut result = 0;
        let mut reduce = |part: &BatchPart| {
            let partition = &part.assignment.partition;
            let state = found.get(partition).and_then(Option::as_ref);
            let state = state.and_then(|(offset, metadata)| Committed::decode(*offset, metadata).ok());
            let is_held = asked.contains(&part.assignment);
            let mut results = Vec::with_capacity(part.results.len());
            for entry in &part.results {
                // Without a state nobody knows, and nobody is told to emit anything again.
                let done = state
                    .as_ref()
                    .is_none_or(|state| state.progress.contains(entry.record.offset));
                let seen = |output, topic: &String| {
                    let (partition, offset) = self
                        .written
                        .get(&Place { result, output })
                        .filter(|_| own.contains(topic))?;
                    let there = readable.get(&TopicPartition::new(&**topic, *partition))?;
                    there.get(offset).copied()
                };
                let outputs = entry.outputs.iter().enumerate();
                let seen: Vec<_> = outputs.map(|(output, sent)| seen(output, &sent.topic)).collect();
                let shared = done || seen.contains(&Some(true));
                let missing = entry
                    .outputs
                    .iter()
                    .zip(&seen)
                    .filter(|(_, seen)| !seen.unwrap_or(shared));
                let outputs: Vec<_> = missing.map(|(output, _)| output.clone()).collect();
                if done && !outputs.is_empty() {
                    tell(entry, outputs.len(), is_held);
                }
                results.push(Entry {
                    rejected: entry.rejected || outputs.len() < entry.outputs.len(),
                    outputs: outputs.into(),
                    ..entry.clone()
                });
                result += 1;
            }
            BatchPart {
                results,
                ..part.clone()
            }
        };
        self.batch.parts.iter().map(&mut reduce).collect()
    }
}

fn tell(entry: &Entry, missing: usize, is_held: bool) {
    let src = entry.record.src();
    if is_held {
        tracing::warn!(
            src,
            missing,
            "a broker lost outputs that it had committed: they are committed again if the partition is still held here"
        );
    } else {
        tracing::error!(
            src,
            missing,
            "a broker lost outputs that it had committed, and the partition is not held any more: run the request again"
        );
    }
}

/// Partitions of which the last transactions carried something.
pub(super) fn partitions(kept: &[Kept]) -> impl Iterator<Item = &TopicPartition> {
    let parts = kept.iter().flat_map(|kept| &kept.batch.parts);
    parts.map(|part| &part.assignment.partition)
}

/// What the last transactions carried, of each result only what is not readable. To be asked when nothing of them is open any more.
pub(super) fn carried(
    settings: &EngineSettings,
    kept: &[Kept],
    asked: &[Assignment],
    found: &Found,
) -> Result<Vec<BatchPart>, EngineError> {
    let mut offsets = Offsets::new();
    for kept in kept {
        kept.offsets(&settings.outputs, &mut offsets);
    }
    let readable = readable(settings, offsets)?;
    Ok(kept
        .iter()
        .flat_map(|kept| kept.missing(&settings.outputs, &readable, asked, found))
        .collect())
}
