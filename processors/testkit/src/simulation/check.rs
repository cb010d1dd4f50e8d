//! What must hold after every step, seen from outside: by a read_committed reader and by whoever reads the committed
//! offsets.

use std::collections::BTreeMap;

use bytes::Bytes;
use topics::{TopicPartition, engine::core::Committed};

use super::{
    broker::{Broker, Fate},
    process::CANCELLED,
};

/// # Errors
/// Says what does not hold.
pub fn invariants(broker: &Broker, partition: &TopicPartition) -> Result<(), String> {
    let Some(log) = broker.inputs.get(partition) else {
        return Ok(());
    };
    let mut last: BTreeMap<&Bytes, i64> = BTreeMap::new();
    let mut visible = vec![false; log.len()];
    let results = broker.results.get(partition).into_iter().flatten();
    for result in results.filter(|result| result.fate == Fate::Visible) {
        if result.value == Some(CANCELLED) {
            return Err(format!(
                "{partition}/{} has the result of a cancelled run",
                result.offset
            ));
        }
        if std::mem::replace(&mut visible[result.offset as usize], true) {
            return Err(format!("{partition}/{} has two results", result.offset));
        }
        let Some(key) = &result.key else { continue };
        if let Some(before) = last.insert(key, result.offset)
            && before > result.offset
        {
            return Err(format!(
                "{partition}: {key:?} has the result of {} after that of {before}",
                result.offset
            ));
        }
    }
    let state = state(broker, partition)?;
    for (offset, record) in (0..).zip(log) {
        let is_done = state.progress.contains(offset);
        let is_visible = visible[offset as usize];
        if record.is_some() && is_done != is_visible {
            return Err(format!(
                "{partition}/{offset}: committed as done: {is_done}, result visible: {is_visible}"
            ));
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
