//! What was deleted from the topics during the run, as a reader of read_committed got it before: retention must not hide
//! anything from the judge.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use serde::{Deserialize, Serialize};

use super::scan::{Isolation, Scanned, client, owned};
use crate::history::lines;

const POLL: Duration = Duration::from_millis(200);
/// The whole of a topic, up to where it is to be deleted.
const WITHIN: Duration = Duration::from_secs(60);

/// A record that was deleted; bytes are base64.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Archived {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub at_ms: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, Option<String>)>,
}

/// Everything that lies before these offsets of the partitions, in the order of each.
///
/// # Errors
/// A broker that is silent.
pub fn archive(bootstrap: &str, topic: &str, until: &BTreeMap<i32, i64>) -> anyhow::Result<Vec<Archived>> {
    let consumer: BaseConsumer = client(bootstrap, Isolation::ReadCommitted)?;
    let mut start = TopicPartitionList::new();
    for partition in until.keys() {
        start.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&start)?;
    let mut open: BTreeSet<i32> = until.keys().copied().collect();
    let (mut archived, began) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let record = owned(&message);
                if until.get(&record.partition).is_some_and(|until| record.offset < *until) {
                    archived.push(Archived::of(topic, record));
                } else {
                    open.remove(&record.partition);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            // brokers come and go here
            Some(Err(_)) | None => {}
        }
        if began.elapsed() > WITHIN {
            bail!("{topic} cannot be read up to where it is to be deleted");
        }
    }
    Ok(archived)
}

/// By topic, in the order of offsets, each once.
pub(super) fn read(path: &Path) -> anyhow::Result<HashMap<String, Vec<Scanned>>> {
    let mut topics: HashMap<String, Vec<Scanned>> = HashMap::new();
    if !path.exists() {
        return Ok(topics);
    }
    for line in lines::<Archived>(path)? {
        let archived = line?;
        let topic = archived.topic.clone();
        topics.entry(topic).or_default().push(archived.scanned()?);
    }
    for records in topics.values_mut() {
        records.sort_by_key(|record| (record.partition, record.offset));
        // what could not be deleted was archived again
        records.dedup_by_key(|record| (record.partition, record.offset));
    }
    Ok(topics)
}

impl Archived {
    fn of(topic: &str, record: Scanned) -> Self {
        let text = |bytes: Vec<u8>| BASE64_STANDARD.encode(bytes);
        let headers = record.headers.into_iter();
        Self {
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            at_ms: record.at_ms,
            key: record.key.map(text),
            value: record.value.map(text),
            headers: headers.map(|(name, value)| (text(name), value.map(text))).collect(),
        }
    }

    fn scanned(self) -> anyhow::Result<Scanned> {
        let bytes = |text: String| BASE64_STANDARD.decode(text).context("an archived record is not base64");
        let headers = self.headers.into_iter();
        Ok(Scanned {
            partition: self.partition,
            offset: self.offset,
            at_ms: self.at_ms,
            key: self.key.map(bytes).transpose()?,
            value: self.value.map(bytes).transpose()?,
            headers: headers
                .map(|(name, value)| Ok((bytes(name)?, value.map(bytes).transpose()?)))
                .collect::<anyhow::Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_archived_twice_is_read_once_with_its_bytes() {
        let record = |offset, name: &[u8]| Scanned {
            partition: 0,
            offset,
            at_ms: 7,
            key: Some(vec![0, 0xff]),
            value: None,
            headers: vec![(name.to_vec(), Some(Vec::new())), (name.to_vec(), None)],
        };
        let lines: String = [(3, b"\xff\0"), (2, b"ab"), (3, b"\xff\0")]
            .map(|(offset, name)| serde_json::to_string(&Archived::of("t", record(offset, name))).unwrap() + "\n")
            .concat();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines).unwrap();
        let read = read(file.path()).unwrap();
        let offsets: Vec<i64> = read["t"].iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [2, 3]);
        assert_eq!(read["t"][1].headers, record(3, b"\xff\0").headers);
        assert_eq!(read["t"][1].key, Some(vec![0, 0xff]));
    }
}
