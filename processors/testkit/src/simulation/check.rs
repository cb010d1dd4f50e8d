//! What must hold after every step, seen from outside: by a read_committed reader and by whoever reads the committed
//! offsets.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut visible = BTreeSet::new();
    let results = broker.results.get(partition).into_iter().flatten();
    for result in results.filter(|result| result.fate == Fate::Visible) {
        if result.value == Some(CANCELLED) {
            return Err(format!(
                "{partition}/{} has the result of a cancelled run",
                result.offset
            ));
        }
        let is_torn = broker.torn.contains_key(&(partition.clone(), result.offset));
        if !visible.insert(result.offset) && !is_torn {
            return Err(format!("{partition}/{} has two results", result.offset));
        }
        let Some(key) = result.key.as_ref().filter(|_| !is_torn) else {
            continue;
        };
        if let Some(before) = last.insert(key, result.offset)
            && before > result.offset
        {
            return Err(format!(
                "{partition}: {key:?} has the result of {} after that of {before}",
                result.offset
            ));
        }
    }
    let state = match broker.committed.contains_key(partition) {
        true => Some(state(broker, partition)?),
        false => None,
    };
    for offset in log.records.keys() {
        let is_done = state.as_ref().is_some_and(|state| state.progress.contains(*offset));
        let is_visible = visible.contains(offset);
        let is_torn = broker.torn.contains_key(&(partition.clone(), *offset));
        if is_done != is_visible && !is_torn {
            return Err(format!(
                "{partition}/{offset}: committed as done: {is_done}, result visible: {is_visible}"
            ));
        }
    }
    Ok(())
}

/// # Errors
/// When the offset is not done, or has not one visible result.
pub fn once(broker: &Broker, partition: &TopicPartition, offset: i64) -> Result<(), String> {
    let results = broker.results.get(partition).into_iter().flatten();
    let visible = results.filter(|result| result.offset == offset && result.fate == Fate::Visible);
    let (visible, is_done) = (visible.count(), state(broker, partition)?.progress.contains(offset));
    if is_done && visible == 1 {
        return Ok(());
    }
    Err(format!(
        "{partition}/{offset} was torn, and its writer never made up for it: committed as done: {is_done}, {visible} results visible"
    ))
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
/// Names a record without a result, or offsets behind the last record that are not committed as read: the log may begin behind
/// them one day.
pub fn all_done(broker: &Broker) -> Result<(), String> {
    for (partition, log) in &broker.inputs {
        let progress = state(broker, partition)?.progress;
        if let Some(offset) = log.records.keys().find(|offset| !progress.contains(**offset)) {
            return Err(format!(
                "{partition}/{offset} never got a result, although nothing went wrong any more"
            ));
        }
        if progress.watermark() < log.end {
            return Err(format!(
                "{partition} ends at {}, and is committed as read to {}",
                log.end,
                progress.watermark()
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
