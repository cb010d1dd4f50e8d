//! After trouble: what of the last transactions is readable, and what is not.
//!
//! Decision: a broker that dies between the markers of a transaction may tear it (KAFKA-20734): offsets without some of the results,
//! or results without the offsets. An acknowledged commit is therefore kept until the next one is acknowledged: that one can only
//! begin when brokers call this one complete, and if they did so wrongly, a connection to one of them failed first. After trouble,
//! when the sweep has ended whatever was left open, each output of Millrace's own topics is looked for at the very offset at
//! which it was acknowledged, as a read_committed reader sees it. What is missing goes back into the ledger, and its offset is
//! not done any more ([`super::core::Member::resolve`]). It is looked for by offsets, never by clocks, so nothing is taken for
//! lost that is there. What cannot be looked at shares the fate of the offsets: outputs for topics of others, which may be
//! away, and those of which no offset was told, because the call was abandoned.
//!
//! If the process dies before, or has given the partition back, nobody makes up for it: the second is told in the log. If
//! that commit was a release, too, it names no writer whom an heir would sweep up after. That is what remains of a torn commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{Message as _, Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError};

use super::{
    EngineError, EngineSettings, clients,
    core::{Assignment, Batch, BatchPart, Committed, Entry, Found},
    events::{Place, Written},
};
use crate::TopicPartition;

const ANSWER: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(20);

/// A transaction that was committed, or may have been, and where its outputs are.
pub(super) struct Kept {
    batch: Arc<Batch>,
    written: BTreeMap<Place, (i32, i64)>,
}

type Offsets = BTreeMap<(String, i32), BTreeSet<i64>>;

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
                        .entry((sent.topic.clone(), *partition))
                        .or_default()
                        .insert(*offset);
                }
            }
        }
    }

    /// Its parts, each result only with what is not readable.
    fn missing(&self, own: &[String], visible: &Offsets, asked: &[Assignment], found: &Found) -> Vec<BatchPart> {
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
                    let there = visible.get(&(topic.clone(), *partition));
                    Some(there.is_some_and(|there| there.contains(offset)))
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
            "a broker lost outputs that it had committed: they are committed again"
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
    let visible = visible(settings, &offsets)?;
    Ok(kept
        .iter()
        .flat_map(|kept| kept.missing(&settings.outputs, &visible, asked, found))
        .collect())
}

/// Those of the offsets that a read_committed reader finds.
fn visible(settings: &EngineSettings, offsets: &Offsets) -> Result<Offsets, EngineError> {
    if offsets.is_empty() {
        return Ok(Offsets::new());
    }
    let reader = clients::looker(settings)?;
    let until = Instant::now() + settings.tuning.transaction_timeout() + ANSWER;
    let mut reason = "an earlier transaction is not decided".to_owned();
    let look = |((topic, partition), wanted): (&(String, i32), &BTreeSet<i64>)| {
        let unseen = |reason: &str| EngineError::Unseen {
            topic: topic.clone(),
            partition: *partition,
            reason: reason.to_owned(),
        };
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
            return Ok(((topic.clone(), *partition), BTreeSet::new()));
        };
        // Until then a transaction before them, of whomever, is undecided.
        loop {
            match reader.fetch_watermarks(topic, *partition, ANSWER) {
                Ok((_, end)) if end > *last => break,
                Ok(_) => {}
                Err(error) => reason = error.to_string(),
            }
            if Instant::now() > until {
                return Err(unseen(&reason));
            }
            thread::park_timeout(AGAIN);
        }
        let mut from = TopicPartitionList::new();
        let assigned = from
            .add_partition_offset(topic, *partition, Offset::Offset(*first))
            .and_then(|()| reader.assign(&from));
        assigned.map_err(|source| EngineError::Unresolved { source })?;
        let mut found = BTreeSet::new();
        while Instant::now() < until {
            match reader.poll(AGAIN) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    found.extend(Some(offset).filter(|offset| wanted.contains(offset)));
                    if offset >= *last {
                        return Ok(((topic.clone(), *partition), found));
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(((topic.clone(), *partition), found)),
                Some(Err(error)) => reason = error.to_string(),
                None => {}
            }
        }
        Err(unseen(&reason))
    };
    offsets.iter().map(look).collect()
}
