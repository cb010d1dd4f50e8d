//! What must hold after every step, seen from outside: by a read_committed reader and by whoever reads the committed
//! offsets.

use std::collections::BTreeMap;

use bytes::Bytes;
use topics::{TopicPartition, engine::core::Committed};

use super::{broker::Broker, process::CANCELLED};

/// # Errors
/// Says what does not hold.
pub fn invariants(broker: &Broker) -> Result<(), String> {
    let mut visible: BTreeMap<&TopicPartition, Vec<i64>> = BTreeMap::new();
    let mut last: BTreeMap<(&TopicPartition, &Bytes), i64> = BTreeMap::new();
    for result in broker.results.iter().filter(|result| result.visible) {
        visible.entry(&result.partition).or_default().push(result.offset);
        if result.value == Some(CANCELLED) {
            return Err(format!(
                "{}/{} has the result of a cancelled run",
                result.partition, result.offset
            ));
        }
        let Some(key) = &result.key else { continue };
        if let Some(before) = last.insert((&result.partition, key), result.offset)
            && before > result.offset
        {
            return Err(format!(
                "{}: {key:?} has the result of {} after that of {before}",
                result.partition, result.offset
            ));
        }
    }
    for (partition, log) in &broker.inputs {
        let mut visible = visible.remove(partition).unwrap_or_default();
        visible.sort_unstable();
        if let Some(twice) = visible.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("{partition}/{} has two results", twice[0]));
        }
        let state = state(broker, partition)?;
        for (offset, record) in (0..).zip(log) {
            let is_done = state.progress.contains(offset);
            let is_visible = visible.binary_search(&offset).is_ok();
            if record.is_some() && is_done != is_visible {
                return Err(format!(
                    "{partition}/{offset}: committed as done: {is_done}, result visible: {is_visible}"
                ));
            }
        }
    }
    Ok(())
}

/// # Errors
/// When the committed state cannot be read.
pub fn state(broker: &Broker, partition: &TopicPartition) -> Result<Committed, String> {
    let commit = broker
        .committed
        .get(partition)
        .ok_or_else(|| format!("{partition} has no commit"))?;
    Committed::decode(commit.offset, &commit.metadata).map_err(|error| format!("{partition}: {error}"))
}

/// # Errors
/// Names a record without a result.
pub fn all_done(broker: &Broker) -> Result<(), String> {
    for (partition, log) in &broker.inputs {
        let state = state(broker, partition)?;
        let open = (0..)
            .zip(log)
            .find(|(offset, record)| record.is_some() && !state.progress.contains(*offset));
        if let Some((offset, _)) = open {
            return Err(format!(
                "{partition}/{offset} never got a result, although nothing went wrong any more"
            ));
        }
    }
    Ok(())
}

/// # Errors
/// Names a partition that still names one of these writers, although they stopped cleanly.
pub fn released(broker: &Broker, writers: &[String]) -> Result<(), String> {
    for partition in broker.inputs.keys() {
        let writer = state(broker, partition)?
            .writer
            .filter(|writer| writers.contains(writer));
        if let Some(writer) = writer {
            return Err(format!("{partition} was not released by {writer}"));
        }
    }
    Ok(())
}
