//! The log of an input partition.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use topics::{Headers, Record, TopicPartition};

#[derive(Debug)]
pub struct Log {
    /// What was before was deleted, long ago.
    pub start: i64,
    /// One past the last offset, whether that holds a record or none.
    pub end: i64,
    pub records: BTreeMap<i64, Arc<Record>>,
}

impl Log {
    pub fn starting_at(start: i64) -> Self {
        Self {
            start,
            end: start,
            records: BTreeMap::new(),
        }
    }

    pub fn append(&mut self, partition: &TopicPartition, key: Option<Bytes>, value: Bytes) {
        let offset = self.end;
        self.end += 1;
        let record = Record {
            topic: partition.topic.clone(),
            partition: partition.partition,
            offset,
            timestamp_ms: 0,
            append_time: true,
            read_ms: 0,
            key,
            value: Some(value),
            headers: Headers::new(),
        };
        self.records.insert(offset, Arc::new(record));
    }
}
