//! A topic from its beginning to its end, with the raw client.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::BorrowedMessage,
};
use tokio::sync::mpsc;
use topics::Record;

use super::patience::patiently_blocking;
use crate::chaos::check::evidence::LogEnd;

const ANSWER: Duration = Duration::from_secs(20);
/// A transaction that is open for longer than this is not one that a broker is just about to abort.
pub(super) const OPEN_FOR: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);
const AHEAD: usize = 1_024;

/// What a reader gets to see. A judge reads what is committed; the other one is there to show that it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    ReadUncommitted,
}

#[derive(Debug, Clone)]
pub struct Scanned {
    pub partition: i32,
    pub offset: i64,
    pub at_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Names are any bytes, and may repeat.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Scanned {
    /// The last header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().rfind(|(known, _)| known == name.as_bytes())?;
        found.1.as_deref()
    }

    /// Empty if there is none, or no text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let value = self.header(name).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }
}

/// Gives every record to `each`, a partition's in the order of their offsets. Nobody must write any more. A partition that
/// cannot be read to its end says so in its [`LogEnd`].
///
/// # Errors
/// A topic that is not there, a broker that is silent, whatever `each` says.
pub async fn scan(
    bootstrap: &str,
    topic: &str,
    isolation: Isolation,
    mut each: impl AsyncFnMut(Scanned) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<LogEnd>> {
    let (sender, mut records) = mpsc::channel(AHEAD);
    let (bootstrap, name) = (bootstrap.to_owned(), topic.to_owned());
    let asked = (bootstrap.clone(), name.clone());
    let ends = patiently_blocking(format!("the leader of {topic}"), move || ends(&asked.0, &asked.1)).await?;
    let reading = tokio::task::spawn_blocking(move || read(&bootstrap, &name, isolation, ends, &sender));
    while let Some(record) = records.recv().await {
        each(record).await?;
    }
    let ends = reading.await.context("the reader of the scan has died")?;
    ends.with_context(|| format!("cannot read {topic}"))
}

fn read(
    bootstrap: &str,
    topic: &str,
    isolation: Isolation,
    mut ends: BTreeMap<i32, LogEnd>,
    sender: &mpsc::Sender<Scanned>,
) -> anyhow::Result<Vec<LogEnd>> {
    let consumer = client(bootstrap, isolation)?;
    let mut start = TopicPartitionList::new();
    for partition in ends.keys() {
        start.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&start)?;
    let mut open: BTreeSet<i32> = ends.keys().copied().collect();
    let mut last = Instant::now();
    while !open.is_empty() {
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                last = Instant::now();
                if let Some(end) = ends.get_mut(&message.partition()) {
                    end.next = message.offset() + 1;
                }
                if sender.blocking_send(owned(&message)).is_err() {
                    bail!("nobody reads on");
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                last = Instant::now();
                open.remove(&partition);
            }
            Some(Err(error)) => tracing::warn!(topic, %error, "the scan goes on"),
        }
        if last.elapsed() > SILENCE {
            for partition in std::mem::take(&mut open) {
                let answers = consumer.fetch_watermarks(topic, partition, ANSWER);
                answers.with_context(|| format!("nothing came for {SILENCE:?} from partition {partition}"))?;
                if let Some(end) = ends.get_mut(&partition) {
                    end.is_stuck = true;
                }
            }
        }
    }
    Ok(ends.into_values().collect())
}

/// Once no transaction is open any more, or none that is going to end.
fn ends(bootstrap: &str, topic: &str) -> anyhow::Result<BTreeMap<i32, LogEnd>> {
    let (all, stable) = (
        client(bootstrap, Isolation::ReadUncommitted)?,
        client(bootstrap, Isolation::ReadCommitted)?,
    );
    let metadata = all.fetch_metadata(Some(topic), ANSWER)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(|partition| partition.id())
        .collect();
    if partitions.is_empty() {
        bail!("there is no such topic");
    }
    let until = Instant::now() + OPEN_FOR;
    let mut found = BTreeMap::new();
    for partition in partitions {
        loop {
            let (_, end) = all.fetch_watermarks(topic, partition, ANSWER)?;
            let stable_end = stable.fetch_watermarks(topic, partition, ANSWER).map(|(_, end)| end);
            if stable_end.as_ref().is_ok_and(|stable_end| *stable_end >= end) || Instant::now() > until {
                let topic = topic.to_owned();
                found.insert(
                    partition,
                    LogEnd {
                        topic,
                        partition,
                        next: 0,
                        end,
                        stable_end: stable_end.ok(),
                        is_stuck: false,
                    },
                );
                break;
            }
            std::thread::park_timeout(POLL);
        }
    }
    Ok(found)
}

pub(super) fn client(bootstrap: &str, isolation: Isolation) -> Result<BaseConsumer, KafkaError> {
    let isolation = match isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    };
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // Wanted by the client; it is never joined.
        .set("group.id", "check-history")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation)
        .set("queued.max.messages.kbytes", "16384")
        .create()
}

pub(super) fn owned(message: &BorrowedMessage<'_>) -> Scanned {
    let record = Record::of(message);
    let headers = record.headers.iter();
    Scanned {
        partition: record.partition,
        offset: record.offset,
        at_ms: record.timestamp_ms,
        headers: headers
            .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
            .collect(),
        key: record.key.map(Into::into),
        value: record.value.map(Into::into),
    }
}
