//! A reader without a group: committed records of all partitions of some topics, for whoever must see everything.
//!
//! Every partition is assigned at an explicit offset: the end of a partition is asked for once and read from there, so
//! nothing can slip between opening the tail and its first fetch. "End" is the last stable offset: what an open
//! transaction has written before is read when it commits.

mod reader;
mod trouble;

use std::{collections::BTreeMap, future::Future, io, sync::Arc};

use rdkafka::error::KafkaError;
use tokio::sync::{mpsc, watch};

use crate::{
    KafkaSettings, Record, TopicPartition,
    queues::{Bell, Room},
};
use reader::{Item, Reader};

/// What one tail reads.
#[derive(Debug, Clone)]
pub struct TailSettings {
    /// Names the client in logs, metrics and on the broker.
    pub client_id: String,
    /// Full topic names.
    pub topics: Vec<String>,
    pub start: Start,
    /// Bytes of records that may wait in memory for `recv`; beyond that the partitions are left unread.
    pub buffer_bytes: usize,
}

/// Where a tail begins. Partitions that appear later are always read from offset 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Start {
    /// What is committed after the tail was opened, and what was pending then.
    #[default]
    End,
    Beginning,
    /// Before the end, by so many offsets in all, shared evenly among the partitions of a topic: transaction markers count
    /// too, so there are fewer records.
    Recent(i64),
    /// The next offset of each partition; the others begin at `Beginning`.
    Offsets(BTreeMap<TopicPartition, i64>),
}

/// What [`Tail::recv`] gives.
#[derive(Debug, Clone)]
pub enum TailEvent {
    Record(Record),
    /// Once: everything that was committed when the tail was opened has been received.
    CaughtUp,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TailStatus {
    pub caught_up: bool,
    /// What keeps the tail from reading at the moment, for people; it goes on by itself when that is over.
    pub trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error("cannot create a consumer: check the settings under kafka.client")]
    Create(#[source] KafkaError),
    #[error("cannot start the thread of a tail")]
    Thread(#[source] io::Error),
    /// Records between `offset` and the start of the log are lost to this reader (retention), or the topic was made anew.
    #[error("{partition} has no offset {offset} any more; open the tail again at another place")]
    OutOfRange { partition: TopicPartition, offset: i64 },
    #[error("the tail has ended")]
    Ended,
}

/// An open tail. Dropping it ends it.
pub struct Tail {
    items: mpsc::UnboundedReceiver<Item>,
    room: Arc<Room>,
    bell: Arc<Bell>,
    status: Arc<watch::Sender<TailStatus>>,
    begun: BTreeMap<TopicPartition, i64>,
    positions: BTreeMap<TopicPartition, i64>,
    received: metrics::Counter,
}

impl Tail {
    /// Starts reading in a thread of its own; a broker that is down is waited for and shows in [`Tail::status`].
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn open(kafka: &KafkaSettings, settings: TailSettings) -> Result<Self, TailError> {
        let bell = Arc::new(Bell::default());
        let room = Arc::new(Room::new(settings.buffer_bytes, Arc::clone(&bell)));
        let status = Arc::new(watch::Sender::new(TailStatus::default()));
        let (sender, items) = mpsc::unbounded_channel();
        let name = settings.client_id.clone();
        let received = metrics::counter!("millrace_tailed_total", "client" => name.clone());
        let reader = Reader::new(
            kafka,
            settings,
            Arc::clone(&bell),
            Arc::clone(&room),
            Arc::clone(&status),
            sender,
        )
        .map_err(TailError::Create)?;
        std::thread::Builder::new()
            .name(name)
            .spawn(move || reader.run())
            .map_err(TailError::Thread)?;
        Ok(Self {
            items,
            room,
            bell,
            status,
            begun: BTreeMap::new(),
            positions: BTreeMap::new(),
            received,
        })
    }

    /// The next event, in order within a partition. Safe to cancel.
    ///
    /// # Errors
    /// `OutOfRange` once, and `Ended` from then on.
    pub async fn recv(&mut self) -> Result<TailEvent, TailError> {
        loop {
            match self.items.recv().await.ok_or(TailError::Ended)? {
                Item::Adopted(partition, offset) => {
                    self.begun.insert(partition.clone(), offset);
                    self.positions.insert(partition, offset);
                }
                Item::Record(partition, record) => {
                    self.room.give_back(record.size());
                    self.received.increment(1);
                    self.positions.insert(partition, record.offset + 1);
                    return Ok(TailEvent::Record(record));
                }
                Item::Reached(partition, offset) => {
                    self.positions.insert(partition, offset);
                }
                Item::CaughtUp => {
                    self.status.send_modify(|status| status.caught_up = true);
                    return Ok(TailEvent::CaughtUp);
                }
                Item::OutOfRange(partition, offset) => return Err(TailError::OutOfRange { partition, offset }),
            }
        }
    }

    /// Resolves when [`TailEvent::CaughtUp`] has been received from `recv`; with `Start::End` no record produced after
    /// that can be missed.
    pub fn caught_up(&self) -> impl Future<Output = Result<(), TailError>> + Send + 'static {
        let mut status = self.status();
        async move {
            status
                .wait_for(|status| status.caught_up)
                .await
                .map_err(|_| TailError::Ended)?;
            Ok(())
        }
    }

    #[must_use]
    pub fn status(&self) -> watch::Receiver<TailStatus> {
        self.status.subscribe()
    }

    /// Where the reading of each partition began: what is committed from there on is received.
    #[must_use]
    pub fn begun(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.begun
    }

    /// The next offset to be received of each partition that is read.
    #[must_use]
    pub fn positions(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.positions
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.items.close();
        self.bell.ring();
    }
}
