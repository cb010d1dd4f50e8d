//! Requests at a steady rate, and when the result of each was seen by a reader of committed records.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, Producer};

use crate::kafka::Bench;
use crate::transaction::RawProducer;

const TICK: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked: always with its partition, so that what belongs to a partition is known.
pub struct Asked {
    pub partition: i32,
    pub key: Option<String>,
    pub value: Vec<u8>,
}

/// A result, by the number of its request.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub number: usize,
    pub at: Instant,
    /// Of the results.
    pub partition: i32,
}

pub struct Flow {
    log: Arc<Log>,
    sender: Option<JoinHandle<anyhow::Result<()>>>,
    reader: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Default)]
struct Log {
    /// When each was asked, and in which partition.
    asked: Mutex<Vec<(Instant, i32)>>,
    seen: Mutex<Vec<Seen>>,
    stop_sending: AtomicBool,
    stop_reading: AtomicBool,
}

/// All that happened.
pub struct Passed {
    pub asked: Vec<(Instant, i32)>,
    pub seen: Vec<Seen>,
}

impl Flow {
    /// `ask` makes the request of a number, `number_of` reads it from a result. Results of others are to be `None`.
    pub fn start(
        bench: &Bench,
        (input, results): (&str, &str),
        per_second: f64,
        mut ask: impl FnMut(usize) -> anyhow::Result<Asked> + Send + 'static,
        number_of: fn(&BorrowedMessage<'_>) -> Option<usize>,
    ) -> anyhow::Result<Self> {
        let log = Arc::new(Log::default());
        let reader = bench.consumer(results, Offset::Beginning)?;
        let producer: RawProducer = bench.producing().create()?;
        let (reading, sending, input) = (Arc::clone(&log), Arc::clone(&log), input.to_owned());
        let reader = thread::spawn(move || reading.read(&reader, number_of));
        let sender = thread::spawn(move || sending.send(&producer, &input, per_second, &mut ask));
        Ok(Self {
            log,
            sender: Some(sender),
            reader: Some(reader),
        })
    }

    pub fn asked(&self) -> usize {
        lock(&self.log.asked).len()
    }

    pub fn seen(&self) -> usize {
        self.log.seen().len()
    }

    /// Asks nothing more and waits until every request has its result.
    pub async fn end(mut self, within: Duration) -> anyhow::Result<Passed> {
        self.log.stop_sending.store(true, Ordering::Relaxed);
        join(self.sender.take()).await?;
        let asked = std::mem::take(&mut *lock(&self.log.asked));
        let until = Instant::now() + within;
        while self.seen() < asked.len() {
            ensure!(
                Instant::now() < until,
                "{} of {} results came",
                self.seen(),
                asked.len()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.log.stop_reading.store(true, Ordering::Relaxed);
        join(self.reader.take()).await?;
        let seen = std::mem::take(&mut *self.log.seen());
        Ok(Passed { asked, seen })
    }
}

/// A flow that is given up ends its threads.
impl Drop for Flow {
    fn drop(&mut self) {
        self.log.stop_sending.store(true, Ordering::Relaxed);
        self.log.stop_reading.store(true, Ordering::Relaxed);
    }
}

async fn join(thread: Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    let Some(thread) = thread else { return Ok(()) };
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    ended.map_err(|_| anyhow::anyhow!("a thread of the flow panicked"))?
}

impl Log {
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        lock(&self.seen)
    }

    fn read(&self, reader: &BaseConsumer, number_of: fn(&BorrowedMessage<'_>) -> Option<usize>) -> anyhow::Result<()> {
        while !self.stop_reading.load(Ordering::Relaxed) {
            let Some(message) = reader.poll(Duration::from_millis(100)) else {
                continue;
            };
            let (message, at) = (message?, Instant::now());
            if let Some(number) = number_of(&message) {
                let partition = message.partition();
                self.seen().push(Seen { number, at, partition });
            }
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &RawProducer,
        input: &str,
        per_second: f64,
        ask: &mut impl FnMut(usize) -> anyhow::Result<Asked>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut count = 0;
        while !self.stop_sending.load(Ordering::Relaxed) {
            while f64::from(count) < start.elapsed().as_secs_f64() * per_second {
                let asked = ask(count as usize)?;
                let mut record = BaseRecord::<str, [u8]>::to(input).payload(&asked.value);
                record.partition = Some(asked.partition);
                record.key = asked.key.as_deref();
                lock(&self.asked).push((Instant::now(), asked.partition));
                producer.send(record).map_err(|(error, _)| error)?;
                count += 1;
            }
            thread::park_timeout(TICK);
        }
        Ok(producer.flush(PATIENCE)?)
    }
}

impl Passed {
    /// Results beyond the first of a request.
    pub fn repeated(&self) -> usize {
        let mut numbers: Vec<usize> = self.seen.iter().map(|seen| seen.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.seen.len() - numbers.len()
    }

    /// Seconds from asking to seeing, of the requests that are wanted.
    pub fn latencies(&self, wanted: impl Fn(usize, Instant, i32) -> bool) -> Vec<f64> {
        let asked = |seen: &Seen| self.asked.get(seen.number).copied().map(|asked| (asked, *seen));
        self.seen
            .iter()
            .filter_map(asked)
            .filter(|((at, partition), seen)| wanted(seen.number, *at, *partition))
            .map(|((at, _), seen)| seen.at.saturating_duration_since(at).as_secs_f64())
            .collect()
    }

    /// The longest time after `from` in which nothing came, of all that `lane` tells apart.
    pub fn longest_stall(&self, from: Instant, lane: impl Fn(&Seen) -> i32) -> Duration {
        let mut last = std::collections::HashMap::new();
        let mut longest = Duration::ZERO;
        let mut seen = self.seen.clone();
        seen.sort_by_key(|seen| seen.at);
        for seen in &seen {
            let before = last.insert(lane(seen), seen.at).unwrap_or(from).max(from);
            longest = longest.max(seen.at.saturating_duration_since(before));
        }
        longest
    }

    /// The partition in which a request was asked.
    pub fn partition_of(&self, seen: &Seen) -> i32 {
        self.asked.get(seen.number).map_or(-1, |asked| asked.1)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
