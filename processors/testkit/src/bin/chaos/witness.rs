//! Those who look on: a raw reader of the committed results that is there all the time, directly at the brokers, one who asks
//! how far such readers can get in each partition, and a reader of what the drivers had acknowledged.

use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers},
};
use schemas::headers;
use serde_json::Value;
use testkit::chaos::{RunFolder, Seen};
use tokio_util::sync::CancellationToken;

use crate::{board::Board, world::now};

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// How often, and how long at most, the brokers are asked for the ends of the partitions.
const ENDS_EVERY: Duration = Duration::from_millis(500);

pub struct Witness {
    end: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Witness {
    /// From the beginning of every partition on, until it is dropped.
    pub fn start(bootstrap: &str, results: &str, folder: &RunFolder, board: &Arc<Board>) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "witness")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "100")
            .set("reconnect.backoff.max.ms", "500")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(results), ANSWERS_WITHIN)?;
        let mut partitions = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            partitions.add_partition_offset(results, partition.id(), Offset::Offset(0))?;
        }
        consumer.assign(&partitions)?;
        let path = folder.reader();
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let end = CancellationToken::new();
        let (ended, seeing) = (end.clone(), Arc::clone(board));
        let reading = std::thread::spawn(move || read(&consumer, &file, &seeing, &ended));
        let ends = Ends::of(bootstrap, &partitions)?;
        let (ended, seeing) = (end.clone(), Arc::clone(board));
        let asking = std::thread::spawn(move || ends.ask(&seeing, &ended));
        tokio::spawn(follow(folder.path().to_owned(), Arc::clone(board), end.clone()));
        Ok(Self {
            end,
            threads: vec![reading, asking],
        })
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end.cancel();
        for thread in self.threads.drain(..) {
            // they have nothing to say but in the file and on the board
            let _ = thread.join();
        }
    }
}

fn read(consumer: &BaseConsumer, mut file: &File, board: &Board, end: &CancellationToken) {
    while !end.is_cancelled() {
        board.look();
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let seen = seen(&message);
                board.seen_result(&seen.request_id, message.payload().unwrap_or_default());
                board.seen(&seen.src);
                board.lies(message.topic(), seen.partition, seen.offset);
                let line = serde_json::to_string(&seen).unwrap_or_default() + "\n";
                if let Err(error) = file.write_all(line.as_bytes()) {
                    tracing::error!(%error, "what the reader saw is lost");
                }
            }
            // brokers come and go here
            Some(Err(error)) => tracing::debug!(%error, "the reader"),
            None => {}
        }
    }
}

/// Two clients that never read: one is told where readers of read_committed end, the other where the log ends.
struct Ends {
    stable: BaseConsumer,
    written: BaseConsumer,
    partitions: Vec<(String, i32)>,
}

impl Ends {
    fn of(bootstrap: &str, partitions: &TopicPartitionList) -> anyhow::Result<Self> {
        let client = |isolation: &str| {
            let mut config = ClientConfig::new();
            config
                .set("bootstrap.servers", bootstrap)
                .set("group.id", "ends")
                .set("isolation.level", isolation);
            config.create()
        };
        let elements = partitions.elements();
        let partitions = elements
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()));
        Ok(Self {
            stable: client("read_committed")?,
            written: client("read_uncommitted")?,
            partitions: partitions.collect(),
        })
    }

    fn ask(&self, board: &Board, end: &CancellationToken) {
        while !end.is_cancelled() {
            for (topic, partition) in &self.partitions {
                let ask = |client: &BaseConsumer| client.fetch_watermarks(topic, *partition, ENDS_EVERY);
                // In this order: what was written meanwhile is not taken for held.
                if let (Ok((_, stable)), Ok((_, written))) = (ask(&self.stable), ask(&self.written)) {
                    board.readable(*partition, stable, written);
                }
            }
            std::thread::park_timeout(ENDS_EVERY);
        }
    }
}

fn seen(message: &BorrowedMessage<'_>) -> Seen {
    let header = |name: &str| {
        let mut headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let value = headers
            .find(|header| header.key == name)
            .and_then(|header| header.value);
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    Seen {
        at: now(),
        partition: message.partition(),
        offset: message.offset(),
        request_id: header(headers::REQUEST_ID),
        src: header(headers::SRC),
    }
}

/// Tells the board what the drivers write down.
async fn follow(folder: PathBuf, board: Arc<Board>, end: CancellationToken) {
    const EVERY: Duration = Duration::from_millis(200);
    let mut places: HashMap<PathBuf, u64> = HashMap::new();
    while end.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("driver-") {
                let place = places.entry(path.clone()).or_default();
                *place += lines(&path, *place, &board).unwrap_or_default();
            }
        }
    }
}

/// The bytes of the complete lines from `place` on.
fn lines(path: &PathBuf, place: u64, board: &Board) -> anyhow::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(place))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    for line in text.get(..whole).unwrap_or_default().lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["event"] == "acknowledged" {
            let topic = line["topic"].as_str().unwrap_or_default();
            let number = |name: &str| line[name].as_i64().unwrap_or(-1);
            let (partition, offset) = (number("partition"), number("offset"));
            match line["request_id"].as_str() {
                Some(id) if !id.is_empty() => board.acknowledged(id),
                _ => board.acknowledged(&format!("{topic}/{partition}/{offset}")),
            }
            if offset >= 0 {
                board.lies(topic, i32::try_from(partition)?, offset);
            }
        }
    }
    Ok(whole as u64)
}
