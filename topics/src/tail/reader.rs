//! The thread of a tail: finds partitions, reads them, passes records on.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::{mpsc, watch};

use super::{Start, TailSettings, TailStatus, trouble::Trouble};
use crate::{
    KafkaSettings, Record, TopicPartition,
    client::{self, Named},
    queues::{Bell, Fetched, Queues, Room},
};

/// How often to look for new partitions; the sooner a tail has them, the shorter a caller may wait for its first record.
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_millis(500);
const ASK: Duration = Duration::from_secs(2);

pub(super) enum Item {
    Adopted(TopicPartition, i64),
    Record(TopicPartition, Record),
    /// There is no record before this offset that was not given.
    Reached(TopicPartition, i64),
    CaughtUp,
    OutOfRange(TopicPartition, i64),
}

pub(super) struct Reader {
    settings: TailSettings,
    bootstrap: String,
    queues: Queues<Named>,
    bell: Arc<Bell>,
    room: Arc<Room>,
    status: Arc<watch::Sender<TailStatus>>,
    items: mpsc::UnboundedSender<Item>,
    /// Partitions that each topic had when it was first seen: they begin at `settings.start`, later ones at 0.
    original: BTreeMap<String, i32>,
    /// Next offset per partition.
    positions: BTreeMap<TopicPartition, i64>,
    /// Committed ends at the time of opening that are not reached yet.
    ends: BTreeMap<TopicPartition, i64>,
    /// Every topic has been seen and every partition it had then is read.
    found_all: bool,
    caught_up: bool,
}

impl Reader {
    pub(super) fn new(
        kafka: &KafkaSettings,
        settings: TailSettings,
        bell: Arc<Bell>,
        room: Arc<Room>,
        status: Arc<watch::Sender<TailStatus>>,
        items: mpsc::UnboundedSender<Item>,
    ) -> Result<Self, KafkaError> {
        // librdkafka wants a group to consume; it is never joined.
        let group = kafka.group(&format!("tail.{}", settings.client_id));
        let consumer: BaseConsumer<Named> = client::reader(kafka, &settings.client_id, &group)
            .create_with_context(Named(settings.client_id.clone()))?;
        Ok(Self {
            bootstrap: kafka.bootstrap_servers.clone(),
            queues: Queues::new(consumer, Arc::clone(&bell)),
            settings,
            bell,
            room,
            status,
            items,
            original: BTreeMap::new(),
            positions: BTreeMap::new(),
            ends: BTreeMap::new(),
            found_all: false,
            caught_up: false,
        })
    }

    pub(super) fn run(mut self) {
        let mut next_look = Instant::now();
        while !self.items.is_closed() {
            if Instant::now() >= next_look {
                let found = self.find_partitions();
                next_look = Instant::now() + if found.is_ok() { LOOK_FOR_PARTITIONS } else { TRY_AGAIN };
                self.report(found);
            }
            // Nothing comes here but log lines and errors, which the context reports.
            let _ = self.queues.consumer().poll(Duration::ZERO);
            match self.read() {
                Ok(true) => {}
                Ok(false) => self.bell.wait(),
                Err(Lost { partition, offset }) => {
                    let _ = self.items.send(Item::OutOfRange(partition, offset));
                    return;
                }
            }
        }
    }

    /// Adopts what is not read yet. One topic's trouble does not keep the others waiting.
    fn find_partitions(&mut self) -> Result<(), Trouble> {
        let mut found = Ok(());
        for topic in self.settings.topics.clone() {
            found = found.and(self.find_partitions_of(&topic));
        }
        if found.is_ok() {
            self.found_all = true;
            self.note_caught_up();
        }
        found
    }

    fn find_partitions_of(&mut self, topic: &str) -> Result<(), Trouble> {
        let partitions = self.count_partitions(topic)?;
        let original = *self.original.entry(topic.to_owned()).or_insert(partitions);
        let topic: Arc<str> = topic.into();
        for partition in 0..partitions {
            let partition = TopicPartition::new(Arc::clone(&topic), partition);
            if !self.queues.contains(&partition) {
                self.adopt(partition, original)?;
            }
        }
        if partitions == 0 {
            return Err(Trouble::NoTopic {
                topic: topic.to_string(),
            });
        }
        Ok(())
    }

    /// 0 if there is no such topic.
    fn count_partitions(&self, topic: &str) -> Result<i32, Trouble> {
        let unreachable = |source| Trouble::Unreachable {
            bootstrap: self.bootstrap.clone(),
            source,
        };
        let metadata = self
            .queues
            .consumer()
            .fetch_metadata(Some(topic), ASK)
            .map_err(unreachable)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(0);
        };
        match found.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(0),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Err(Trouble::NotAuthorized {
                topic: topic.to_owned(),
            }),
            Some(code) => Err(unreachable(KafkaError::MetadataFetch(code))),
        }
    }

    fn adopt(&mut self, partition: TopicPartition, original: i32) -> Result<(), Trouble> {
        let trouble = |source| Trouble::Partition {
            partition: partition.clone(),
            source,
        };
        let offset = if partition.partition < original {
            let (low, high) = self
                .queues
                .consumer()
                .fetch_watermarks(&partition.topic, partition.partition, ASK)
                .map_err(trouble)?;
            let offset = match &self.settings.start {
                Start::End => high,
                Start::Beginning => low,
                Start::Recent(offsets) => low.max(high - offsets / i64::from(original.max(1))),
                Start::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(low),
            };
            if !self.caught_up && offset < high {
                self.ends.insert(partition.clone(), high);
            }
            offset
        } else {
            0
        };
        self.queues.open(&partition);
        let mut assignment = TopicPartitionList::new();
        let assigned = assignment
            .add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset))
            .and_then(|()| self.queues.consumer().incremental_assign(&assignment));
        if let Err(source) = assigned {
            self.queues.close(&partition);
            return Err(Trouble::Partition { partition, source });
        }
        self.positions.insert(partition.clone(), offset);
        let _ = self.items.send(Item::Adopted(partition, offset));
        Ok(())
    }

    fn read(&mut self) -> Result<bool, Lost> {
        let mut lost = None;
        let mut failed = None;
        let Self {
            queues,
            positions,
            items,
            room,
            ends,
            ..
        } = self;
        let any = queues.read(room, |partition, fetched| match fetched {
            Fetched::Record(record) => {
                let next = record.offset + 1;
                let before = positions.insert(partition.clone(), next);
                if let Some(expected) = before.filter(|expected| next <= *expected) {
                    // A client may fetch again what it has given already, when the leader changes (librdkafka issues 4686
                    // and 4637 are two ways); a reader that counts or answers by records must not see them twice.
                    positions.insert(partition.clone(), expected);
                    room.give_back(record.size());
                    return;
                }
                let _ = items.send(Item::Record(partition.clone(), record));
                if ends.get(partition).is_some_and(|end| next >= *end) {
                    ends.remove(partition);
                }
            }
            Fetched::End(offset) => {
                ends.remove(partition);
                if positions.get(partition).is_none_or(|next| *next < offset) {
                    // Markers and what was aborted lie there, and may be deleted before a record comes.
                    positions.insert(partition.clone(), offset);
                    let _ = items.send(Item::Reached(partition.clone(), offset));
                }
            }
            Fetched::OutOfRange => lost = Some(partition.clone()),
            Fetched::Failed(source) => {
                failed = Some(Trouble::Partition {
                    partition: partition.clone(),
                    source,
                });
            }
        });
        self.note_caught_up();
        if let Some(trouble) = failed {
            self.report(Err(trouble));
        }
        match lost {
            Some(partition) => {
                let offset = self.positions.get(&partition).copied().unwrap_or_default();
                Err(Lost { partition, offset })
            }
            None => Ok(any),
        }
    }

    fn note_caught_up(&mut self) {
        if !self.caught_up && self.found_all && self.ends.is_empty() {
            self.caught_up = true;
            let _ = self.items.send(Item::CaughtUp);
        }
    }

    fn report(&self, outcome: Result<(), Trouble>) {
        let trouble = outcome.err().map(|trouble| trouble.to_string());
        self.status.send_if_modified(|status| {
            if status.trouble == trouble {
                return false;
            }
            match &trouble {
                Some(trouble) => tracing::warn!(client = self.settings.client_id, "{trouble}"),
                None => tracing::info!(client = self.settings.client_id, "reading again"),
            }
            status.trouble = trouble;
            true
        });
    }
}

/// The log does not have the next offset.
struct Lost {
    partition: TopicPartition,
    offset: i64,
}
