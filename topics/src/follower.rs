//! A group member whose positions live elsewhere: Kafka decides who reads which partition, the caller's own store
//! decides from where. Nothing is committed to Kafka.
//!
//! A partition that moves is not drained first: its new reader loads the position, reads some records again, and
//! whoever loses the compare-and-set in the store calls [`Follower::reload`]. So no handover can lose a record.
//!
//! Offsets that hold no record for a reader (markers of transactions, what was aborted) count as read: a position that
//! stops before them would be out of range as soon as retention has passed it. They are told with the batch that they
//! come with, or by [`Follower::ends`].

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
    /// Empty only in what [`Follower::ends`] gives.
    pub records: Vec<Record>,
    /// Where the log ended when all of it was read: what lies between the last record and this is no record.
    pub end: Option<i64>,
    /// Which assignment or reload of the partition they were read under; see [`Follower::owns`].
    pub epoch: u64,
}

impl Batch {
    fn empty(partition: TopicPartition, epoch: u64) -> Self {
        Self {
            partition,
            records: Vec::new(),
            end: None,
            epoch,
        }
    }

    /// The position after this batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        let behind = self.records.last().map_or(0, |record| record.offset + 1);
        self.end.unwrap_or_default().max(behind)
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
    /// Retention took records that were never read, or the topic was made anew. The partition stands still until its
    /// position is set and [`Follower::reload`] called; the others go on.
    #[error("{partition} has no offset {offset}: its log has {start} to {end}")]
    OutOfRange {
        partition: TopicPartition,
        /// As in [`Batch`].
        epoch: u64,
        offset: i64,
        start: i64,
        end: i64,
    },
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
    /// Ends that came after the records before them were given out.
    ends: BTreeMap<TopicPartition, Batch>,
    /// Came while records were pending, which go first.
    failed: Option<FollowerError>,
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
            ends: BTreeMap::new(),
            failed: None,
            received,
        })
    }

    /// Waits for a first record as long as it takes, and then at most `wait` for up to `max` in all. Grouped by
    /// partition; only what this member still owns. Safe to cancel.
    ///
    /// # Errors
    /// `OutOfRange` of one partition, after which the others go on; `Group` once, and `Ended` from then on.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Batch>, FollowerError> {
        loop {
            if self.count() == 0 {
                if let Some(error) = self.failed.take() {
                    if self.is_stale(&error) {
                        continue;
                    }
                    return Err(error);
                }
                let item = self.items.recv().await.ok_or(FollowerError::Ended)?;
                self.accept(item);
                continue;
            }
            let deadline = Instant::now() + wait;
            while self.count() < max && self.failed.is_none() {
                match timeout_at(deadline, self.items.recv()).await {
                    Ok(item) => self.accept(item.ok_or(FollowerError::Ended)?),
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

    /// Whether the partition that it is about has been taken away or reloaded since.
    fn is_stale(&self, error: &FollowerError) -> bool {
        match error {
            FollowerError::OutOfRange { partition, epoch, .. } => self.tenures.current(partition) != Some(*epoch),
            _ => false,
        }
    }

    fn count(&self) -> usize {
        self.pending.values().map(|batch| batch.records.len()).sum()
    }

    fn accept(&mut self, item: Item) {
        match item {
            Item::Record {
                partition,
                epoch,
                record,
            } => {
                self.room.give_back(record.size());
                self.received.increment(1);
                self.ends.remove(&partition);
                let batch = self
                    .pending
                    .entry(partition)
                    .or_insert_with_key(|partition| Batch::empty(partition.clone(), epoch));
                if batch.epoch != epoch {
                    *batch = Batch::empty(batch.partition.clone(), epoch);
                }
                batch.records.push(record);
            }
            Item::End { partition, epoch, next } => {
                let of_its_records = self.pending.get_mut(&partition).filter(|batch| batch.epoch == epoch);
                let batch = match of_its_records {
                    Some(batch) => batch,
                    None => {
                        let batch = Batch::empty(partition.clone(), epoch);
                        self.ends.entry(partition).insert_entry(batch).into_mut()
                    }
                };
                batch.end = Some(next);
            }
            Item::Failed(error) => self.failed = Some(error),
        }
    }

    /// Where partitions ended since their last batch: it may be stored at leisure, and lies past that batch by offsets
    /// that hold no record. Each is given once.
    pub fn ends(&mut self) -> Vec<Batch> {
        let ends = std::mem::take(&mut self.ends).into_values();
        ends.filter(|batch| self.owns(batch)).collect()
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
