//! The least that takes one record at a time: produce → worker → committed → seen by a reader of committed records.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};

use crate::kafka::Bench;
use crate::transaction::{RawProducer, Transactions};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// When a record passed each place.
pub struct Passed {
    pub produced: Instant,
    pub taken: Instant,
    pub committed: Instant,
    pub seen: Instant,
}

pub fn closed_loop(bench: &Bench, transactional: bool, idle: Duration) -> anyhow::Result<Vec<Passed>> {
    let run = uuid::Uuid::new_v4();
    let (input, output) = (format!("latency-input-{run}"), format!("latency-output-{run}"));
    bench.create(&input)?;
    bench.create(&output)?;
    let (worked, results) = channel();
    let (ready, is_ready) = channel();
    let worker = Worker {
        bench: bench.clone(),
        input: input.clone(),
        output: output.clone(),
        worked,
        ready,
    };
    // ends when the driver does not listen any more
    let worker = thread::spawn(move || worker.run(transactional));
    is_ready.recv_timeout(PATIENCE).context("the worker did not start")?;
    let passed = drive(bench, &input, &output, idle, results);
    let worked = worker.join().map_err(|_| anyhow::anyhow!("the worker panicked"))?;
    bench.delete(&input)?;
    bench.delete(&output)?;
    worked.and(passed)
}

fn drive(
    bench: &Bench,
    input: &str,
    output: &str,
    idle: Duration,
    results: Receiver<(Instant, Instant)>,
) -> anyhow::Result<Vec<Passed>> {
    const WARM_UP: usize = 20;
    let producer: RawProducer = bench.producing().create()?;
    let reader = bench.consumer(output, Offset::Beginning)?;
    let mut passed = Vec::new();
    let mut start = None;
    while start.is_none_or(|start: Instant| start.elapsed() < bench.measurement) {
        if passed.len() == WARM_UP {
            start = Some(Instant::now());
        }
        let produced = Instant::now();
        producer
            .send(BaseRecord::<(), _>::to(input).payload("one record"))
            .map_err(|(error, _)| error)?;
        next(&reader)?;
        let seen = Instant::now();
        let (taken, committed) = results.recv_timeout(PATIENCE).context("the worker stopped")?;
        passed.push(Passed {
            produced,
            taken,
            committed,
            seen,
        });
        if !idle.is_zero() {
            thread::park_timeout(idle);
        }
    }
    // one more, so that the worker wakes up and finds nobody listening
    drop(results);
    producer
        .send(BaseRecord::<(), _>::to(input).payload("the last"))
        .map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;
    passed.drain(..WARM_UP);
    Ok(passed)
}

struct Worker {
    bench: Bench,
    input: String,
    output: String,
    worked: Sender<(Instant, Instant)>,
    ready: Sender<()>,
}

impl Worker {
    fn run(self, transactional: bool) -> anyhow::Result<()> {
        let consumer = self.bench.consumer(&self.input, Offset::Beginning)?;
        if transactional {
            let mut transactions = Transactions::new(&self.bench, &consumer, &self.input, &self.output)?;
            self.serve(&consumer, |value, from| {
                transactions.begin()?;
                transactions.produce(None, value, from)?;
                transactions.commit()
            })
        } else {
            let producer: RawProducer = self.bench.producing().create()?;
            self.serve(&consumer, |value, _| {
                producer
                    .send(BaseRecord::<(), [u8]>::to(&self.output).payload(value))
                    .map_err(|(error, _)| error)?;
                Ok(())
            })
        }
    }

    fn serve(
        &self,
        consumer: &BaseConsumer,
        mut copy: impl FnMut(&[u8], (i32, i64)) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let _ = self.ready.send(());
        loop {
            let message = next(consumer)?;
            let taken = Instant::now();
            copy(&message.0, message.1)?;
            if self.worked.send((taken, Instant::now())).is_err() {
                return Ok(());
            }
        }
    }
}

/// Value and place of the next record.
fn next(consumer: &BaseConsumer) -> anyhow::Result<(Vec<u8>, (i32, i64))> {
    let message = consumer.poll(PATIENCE).context("no record came")??;
    Ok((
        message.payload().unwrap_or_default().to_vec(),
        (message.partition(), message.offset()),
    ))
}
