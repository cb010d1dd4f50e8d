//! A group member whose positions live elsewhere: Kafka decides who reads which partition, the caller's own store
//! decides from where. Nothing is committed to Kafka.
//!
//! A partition that moves is not drained first: its new reader loads the position, reads some records again, and
//! whoever loses the compare-and-set in the store calls [`Follower::reload`]. So no handover can lose a record.

mod member;
mod rebalances;
mod tenures;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc as commands},
    time::Duration,
};

use futures::future::BoxFuture;
use rdkafka::error::KafkaError;
use tokio::{
    runtime::{Handle, TryCurrentError},
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    KafkaSettings, Record, TopicPartition,
    queues::{Bell, Room},
};
use member::{Item, Member};
use tenures::Tenures;

#[derive(Debug, Clone)]
pub struct FollowerSettings {
    /// Names the client in logs, metrics and on the broker.
    pub client_id: String,
    /// Full name of the group.
    pub group: String,
    /// Full topic names.
    pub topics: Vec<String>,
    /// Bytes of records that may wait in memory for `next_batch`; beyond that the partitions are left unread.
    pub buffer_bytes: usize,
}

/// Asks the caller's store for the next offset of each of these partitions. One that is absent in the answer has no
/// position yet and begins where its log begins. Spawned on the runtime that [`Follower::join`] was called in; a store
/// that is down is its own to wait for. Dropped when the follower is.
pub type Positions =
    Box<dyn Fn(Vec<TopicPartition>) -> BoxFuture<'static, BTreeMap<TopicPartition, i64>> + Send + Sync>;

/// Records of one partition, in order, that belong to one tenure of this member.
#[derive(Debug, Clone)]
pub struct Batch {
    pub partition: TopicPartition,
    /// Never empty.
    pub records: Vec<Record>,
    /// Which assignment or reload of the partition they were read under; see [`Follower::owns`].
    pub epoch: u64,
}

impl Batch {
    /// The position after this batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.records.last().map_or(0, |record| record.offset + 1)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FollowerError {
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("a follower must be started within a tokio runtime: it asks for its positions there")]
    Runtime(#[source] TryCurrentError),
    #[error("cannot start the thread of a follower")]
    Thread(#[source] io::Error),
    #[error("cannot read in group {group}; `millrace topics list --rights` says who needs which right")]
    Group {
        group: String,
        #[source]
        source: KafkaError,
    },
    /// Retention took records that were never read, or the topic was made anew.
    #[error(
        "{partition} has no offset {offset}: its log begins later or was made anew; set the stored position by hand"
    )]
    OutOfRange { partition: TopicPartition, offset: i64 },
    #[error("the follower has ended")]
    Ended,
}

/// A member of the group. Dropping it leaves the group in the background, [`Follower::leave`] waits for that.
pub struct Follower {
    items: mpsc::UnboundedReceiver<Item>,
    room: Arc<Room>,
    bell: Arc<Bell>,
    tenures: Arc<Tenures>,
    reloads: commands::Sender<Vec<TopicPartition>>,
    left: oneshot::Receiver<()>,
    /// Records received and not yet given out, so that `next_batch` may be cancelled.
    pending: BTreeMap<TopicPartition, Batch>,
    received: metrics::Counter,
}

impl Follower {
    /// Joins the group in a thread of its own; a broker that is down is waited for. Call it in a tokio runtime.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join(
        kafka: &KafkaSettings,
        settings: FollowerSettings,
        positions: Positions,
    ) -> Result<Self, FollowerError> {
        let bell = Arc::new(Bell::default());
        let room = Arc::new(Room::new(settings.buffer_bytes, Arc::clone(&bell)));
        let tenures = Arc::new(Tenures::default());
        let (sender, items) = mpsc::unbounded_channel();
        let (reloads, asked) = commands::channel();
        let (leaving, left) = oneshot::channel();
        let name = settings.client_id.clone();
        let received = metrics::counter!("millrace_followed_total", "client" => name.clone());
        let runtime = Handle::try_current().map_err(FollowerError::Runtime)?;
        let member = Member {
            settings,
            positions,
            runtime,
            bell: Arc::clone(&bell),
            room: Arc::clone(&room),
            tenures: Arc::clone(&tenures),
            items: sender,
            reloads: asked,
        };
        let reading = member.connect(kafka)?;
        std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                reading.run();
                let _ = leaving.send(());
            })
            .map_err(FollowerError::Thread)?;
        Ok(Self {
            items,
            room,
            bell,
            tenures,
            reloads,
            left,
            pending: BTreeMap::new(),
            received,
        })
    }

    /// Waits for a first record as long as it takes, and then at most `wait` for up to `max` in all. Grouped by
    /// partition; only what this member still owns. Safe to cancel.
    ///
    /// # Errors
    /// `OutOfRange` and `Group` once, and `Ended` from then on.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Batch>, FollowerError> {
        loop {
            if self.count() == 0 {
                let item = self.items.recv().await.ok_or(FollowerError::Ended)?;
                self.accept(item)?;
            }
            let deadline = Instant::now() + wait;
            while self.count() < max {
                match timeout_at(deadline, self.items.recv()).await {
                    Ok(item) => self.accept(item.ok_or(FollowerError::Ended)?)?,
                    Err(_elapsed) => break,
                }
            }
            let batches: Vec<_> = std::mem::take(&mut self.pending)
                .into_values()
                .filter(|batch| self.owns(batch))
                .collect();
            if !batches.is_empty() {
                return Ok(batches);
            }
        }
    }

    fn count(&self) -> usize {
        self.pending.values().map(|batch| batch.records.len()).sum()
    }

    fn accept(&mut self, item: Item) -> Result<(), FollowerError> {
        match item {
            Item::Record {
                partition,
                epoch,
                record,
            } => {
                self.room.give_back(record.size());
                self.received.increment(1);
                let batch = self.pending.entry(partition).or_insert_with_key(|partition| Batch {
                    partition: partition.clone(),
                    records: Vec::new(),
                    epoch,
                });
                if batch.epoch != epoch {
                    batch.records.clear();
                    batch.epoch = epoch;
                }
                batch.records.push(record);
                Ok(())
            }
            Item::Failed(error) => Err(error),
        }
    }

    /// True while the partition has not been taken away or reloaded since the batch was read.
    #[must_use]
    pub fn owns(&self, batch: &Batch) -> bool {
        self.tenures.current(&batch.partition) == Some(batch.epoch)
    }

    /// The caller lost its compare-and-set on these partitions: their positions are asked for again and read from
    /// there. What was read ahead is dropped.
    pub fn reload(&self, partitions: Vec<TopicPartition>) {
        for partition in &partitions {
            self.tenures.renew(partition);
        }
        // A thread that has ended needs no reload; `next_batch` says so.
        let _ = self.reloads.send(partitions);
        self.bell.ring();
    }

    /// Leaves the group and waits until that is done, so that others take over at once.
    pub async fn leave(mut self) {
        self.items.close();
        self.bell.ring();
        let _ = (&mut self.left).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.items.close();
        self.bell.ring();
    }
}
