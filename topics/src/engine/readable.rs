//! Which of some offsets hold a record that a read_committed reader is given.
//!
//! Decision: an answer is a proof. There is what was read. Not there is what reading has passed: a later record was given, or the
//! partition ended above it; that it ended below says that a replica is behind, no more. No answer, ever, have
//! - offsets below the start of the log: retention or somebody has deleted them;
//! - offsets at which there was nothing yet when a sweep was acknowledged after them: the topic was made again, or cut off;
//! - partitions that do not exist any more, and topics that this process may not read.
//!
//! To wait for these would keep the process from committing until it is restarted. Everything else is waited for, as long as there is
//! progress and a transaction's time after it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use super::{EngineError, EngineSettings, clients};
use crate::{
    TopicPartition,
    client::Named,
    native::queue::{Event, PartitionQueue},
};

const ANSWER: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(20);
/// A hole between two offsets that is larger is jumped over, which takes a request.
const FAR: i64 = 10_000;

pub(super) type Offsets = BTreeMap<TopicPartition, BTreeSet<i64>>;
/// Whether there is a record, of each offset that has an answer.
pub(super) type Readable = BTreeMap<TopicPartition, BTreeMap<i64, bool>>;

/// To be asked after a sweep of these partitions.
pub(super) fn readable(settings: &EngineSettings, offsets: Offsets) -> Result<Readable, EngineError> {
    if offsets.is_empty() {
        return Ok(Readable::new());
    }
    let reader = Arc::new(clients::looker(settings)?);
    let mut forbidden = BTreeSet::new();
    let mut readable = Readable::new();
    for (partition, offsets) in offsets {
        let topic = &*partition.topic;
        if forbidden.contains(topic) {
            continue;
        }
        let mut look = Look::new(settings, &reader, &partition, offsets);
        match look.run()? {
            End::Answered => {}
            End::Gone => {
                tracing::info!(%partition, "the place of the last results is gone from the log: they are not looked at");
            }
            End::Forbidden => {
                tracing::warn!(
                    topic,
                    "cannot look after trouble whether the last results there are readable: this process lacks the right Read on \
                     the topic. Grant it; without it nobody notices a result that a broker lost when it crashed"
                );
                forbidden.insert(topic.to_owned());
            }
        }
        let found = look.found;
        readable.insert(partition, found);
    }
    Ok(readable)
}

enum End {
    Answered,
    Gone,
    Forbidden,
}

enum Bounds {
    Decided,
    Undecided,
    Gone,
}

struct Look<'a> {
    settings: &'a EngineSettings,
    reader: &'a Arc<BaseConsumer<Named>>,
    partition: &'a TopicPartition,
    wanted: BTreeSet<i64>,
    found: BTreeMap<i64, bool>,
    /// Below it there was progress before.
    furthest: i64,
    until: Instant,
}

impl<'a> Look<'a> {
    fn new(
        settings: &'a EngineSettings,
        reader: &'a Arc<BaseConsumer<Named>>,
        partition: &'a TopicPartition,
        wanted: BTreeSet<i64>,
    ) -> Self {
        Self {
            settings,
            reader,
            partition,
            wanted,
            found: BTreeMap::new(),
            furthest: 0,
            until: until(settings),
        }
    }

    fn run(&mut self) -> Result<End, EngineError> {
        let mut unstable = None;
        loop {
            let failed = match self.bounds(&mut unstable) {
                Ok(Bounds::Gone) => return Ok(End::Gone),
                Ok(Bounds::Undecided) => None,
                Ok(Bounds::Decided) => match self.read() {
                    Ok(()) => return Ok(End::Answered),
                    Err(error) => Some(error),
                },
                Err(error) => Some(error),
            };
            let code = failed.as_ref().and_then(KafkaError::rdkafka_error_code);
            if code == Some(Code::TopicAuthorizationFailed) {
                return Ok(End::Forbidden);
            }
            if self.is_over() {
                // A broker that has just started may say so for a moment, not for so long.
                let is_unknown = matches!(
                    code,
                    Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
                );
                return if is_unknown {
                    Ok(End::Gone)
                } else {
                    Err(self.unseen(failed))
                };
            }
            thread::park_timeout(AGAIN);
        }
    }

    fn unseen(&self, failed: Option<KafkaError>) -> EngineError {
        let undecided = || "an earlier transaction is not decided".to_owned();
        EngineError::Unseen {
            topic: self.partition.topic.to_string(),
            partition: self.partition.partition,
            reason: failed.map_or_else(undecided, |error| error.to_string()),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() > self.until
    }

    /// Leaves the offsets that can be read now. Before that a transaction before them, of whomever, is undecided.
    fn bounds(&mut self, unstable: &mut Option<BaseConsumer<Named>>) -> Result<Bounds, KafkaError> {
        let TopicPartition { topic, partition } = self.partition;
        let (start, end) = self.reader.fetch_watermarks(topic, *partition, ANSWER)?;
        self.wanted = self.wanted.split_off(&start);
        let Some(last) = self.wanted.last() else {
            return Ok(Bounds::Gone);
        };
        if end > *last {
            return Ok(Bounds::Decided);
        }
        if unstable.is_none() {
            *unstable = clients::reader(self.settings, &self.settings.group, "read_uncommitted").ok();
        }
        if let Some(unstable) = unstable {
            let (_, end) = unstable.fetch_watermarks(topic, *partition, ANSWER)?;
            if end <= *last {
                return Ok(Bounds::Gone);
            }
        }
        Ok(Bounds::Undecided)
    }

    fn read(&mut self) -> Result<(), KafkaError> {
        let me = thread::current();
        let Some(queue) = PartitionQueue::split(self.reader, self.partition, move || me.unpark()) else {
            return Err(KafkaError::MessageConsumption(Code::UnknownPartition));
        };
        while let Some(first) = self.wanted.first().copied() {
            let TopicPartition { topic, partition } = self.partition;
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(topic, *partition, Offset::Offset(first))?;
            self.reader.assign(&from)?;
            let mut position = first;
            while self.wanted.first().is_some_and(|next| next - position <= FAR) {
                let (there, passed) = match queue.poll() {
                    Some(Event::Record(record)) => (Some(record.offset), record.offset + 1),
                    Some(Event::End(end)) => (None, end),
                    Some(Event::Failed(error)) => return Err(error),
                    None => {
                        self.wait()?;
                        continue;
                    }
                };
                if passed > position {
                    position = passed;
                    if position > self.furthest {
                        self.furthest = position;
                        self.until = until(self.settings);
                    }
                    self.pass(there, passed);
                }
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), KafkaError> {
        let error = self.reader.poll(Duration::ZERO).and_then(Result::err);
        if self.is_over() {
            return Err(error.unwrap_or(KafkaError::MessageConsumption(Code::OperationTimedOut)));
        }
        thread::park_timeout(AGAIN);
        Ok(())
    }

    fn pass(&mut self, there: Option<i64>, passed: i64) {
        let left = self.wanted.split_off(&passed);
        for offset in std::mem::replace(&mut self.wanted, left) {
            self.found.insert(offset, there == Some(offset));
        }
    }
}

fn until(settings: &EngineSettings) -> Instant {
    Instant::now() + settings.tuning.transaction_timeout() + ANSWER
}
