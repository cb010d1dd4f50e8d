//! The queues of a consumer's partitions, read by one OS thread.
//!
//! Each partition has a queue of its own, because librdkafka's event for an error or an end of a partition names the
//! partition only by the queue it lies in; and because a queue that is left unread is all the backpressure there is
//! (`pause` would throw away what is fetched). The thread sleeps on a [`Bell`], with a timed look around in case that a
//! wake-up of a split queue is lost (rust-rdkafka issue 665).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    consumer::{BaseConsumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    Record, TopicPartition,
    native::queue::{Event, PartitionQueue},
};

/// How long a poll thread sleeps at most.
pub(crate) const LOOK_AROUND: Duration = Duration::from_millis(100);

/// Records that one partition may give before the next one has its turn.
const TURN: usize = 256;

/// Wakes a poll thread: rung by librdkafka when a queue is no longer empty, by the owner when there is room, a command
/// or an end.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Returns when the bell has been rung since the last wait, or after [`LOOK_AROUND`].
    pub(crate) fn wait(&self) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .changed
            .wait_timeout_while(rung, LOOK_AROUND, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// Bytes between the poll thread and the caller. The thread reads while there is room, so it may be exceeded by one
/// record.
pub(crate) struct Room {
    capacity: usize,
    used: AtomicUsize,
    bell: Arc<Bell>,
}

impl Room {
    pub(crate) fn new(capacity: usize, bell: Arc<Bell>) -> Self {
        Self {
            capacity: capacity.max(1),
            used: AtomicUsize::new(0),
            bell,
        }
    }

    pub(crate) fn is_left(&self) -> bool {
        self.used.load(Ordering::Acquire) < self.capacity
    }

    pub(crate) fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        if self.used.fetch_sub(bytes, Ordering::AcqRel) >= self.capacity {
            self.bell.ring();
        }
    }
}

/// What a partition's queue gives.
pub(crate) enum Fetched {
    Record(Record),
    /// The reader stands at the end of what is committed: below this offset there is nothing more.
    End(i64),
    /// The log does not have the next offset (`auto.offset.reset=error`).
    OutOfRange,
    Failed(KafkaError),
}

pub(crate) struct Queues<C: ConsumerContext + 'static> {
    consumer: Arc<BaseConsumer<C>>,
    bell: Arc<Bell>,
    queues: BTreeMap<TopicPartition, PartitionQueue<C>>,
}

impl<C: ConsumerContext + 'static> Queues<C> {
    pub(crate) fn new(mut consumer: BaseConsumer<C>, bell: Arc<Bell>) -> Self {
        let main = Arc::clone(&bell);
        consumer.set_nonempty_callback(move || main.ring());
        Self {
            consumer: Arc::new(consumer),
            bell,
            queues: BTreeMap::new(),
        }
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// To be called before the partition is assigned, so that nothing is fetched into the main queue.
    pub(crate) fn open(&mut self, partition: &TopicPartition) {
        // A queue that is replaced must be gone before its successor sets its callback: its drop clears the callback.
        self.queues.remove(partition);
        let bell = Arc::clone(&self.bell);
        if let Some(queue) = PartitionQueue::split(&self.consumer, partition, move || bell.ring()) {
            self.queues.insert(partition.clone(), queue);
        }
    }

    /// To be called before the partition is unassigned.
    pub(crate) fn close(&mut self, partition: &TopicPartition) {
        self.queues.remove(partition);
    }

    pub(crate) fn contains(&self, partition: &TopicPartition) -> bool {
        self.queues.contains_key(partition)
    }

    /// Gives what lies ready to `take`, partition by partition, while there is room. True if there was anything.
    pub(crate) fn read(&self, room: &Room, mut take: impl FnMut(&TopicPartition, Fetched)) -> bool {
        let mut any = false;
        for (partition, queue) in &self.queues {
            for _ in 0..TURN {
                if !room.is_left() {
                    return any;
                }
                let Some(event) = queue.poll() else {
                    break;
                };
                any = true;
                let fetched = match event {
                    Event::Record(record) => Fetched::Record(record),
                    Event::End(offset) => Fetched::End(offset),
                    Event::Failed(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                        Fetched::OutOfRange
                    }
                    Event::Failed(error) => Fetched::Failed(error),
                };
                if let Fetched::Record(record) = &fetched {
                    room.take(record.size());
                }
                take(partition, fetched);
            }
        }
        any
    }
}

/// The consumer goes last: a queue must not outlive its client.
impl<C: ConsumerContext + 'static> Drop for Queues<C> {
    fn drop(&mut self) {
        self.queues.clear();
    }
}
