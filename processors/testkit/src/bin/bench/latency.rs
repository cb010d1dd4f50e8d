//! One record at a time: produce → worker → committed → seen by a reader of committed records, in a closed loop.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ThreadedProducer};

use crate::figure::{Figure, Wanted, milliseconds, percentile};
use crate::kafka::Bench;
use crate::system::System;
use crate::transaction::Transactions;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
struct Loop {
    name: &'static str,
    transactional: bool,
    idle: Duration,
    /// Milliseconds, median and 99th percentile, of all of it, produce → worker, the transaction, commit → seen.
    reference: [Option<[f64; 2]>; 4],
}

const LOOPS: [Loop; 3] = [
    Loop {
        name: "no transaction",
        transactional: false,
        idle: Duration::ZERO,
        reference: [Some([1.8, 3.0]), Some([1.1, 2.2]), None, Some([0.6, 1.6])],
    },
    Loop {
        name: "transactional",
        transactional: true,
        idle: Duration::ZERO,
        reference: [Some([3.8, 10.3]), Some([0.5, 1.4]), Some([2.8, 8.3]), Some([0.5, 1.5])],
    },
    Loop {
        name: "transactional, 20 ms idle between records",
        transactional: true,
        idle: Duration::from_millis(20),
        reference: [Some([5.1, 15.1]), Some([1.1, 5.5]), Some([3.4, 12.1]), Some([0.6, 3.7])],
    },
];

/// When a record passed each place.
struct Passed {
    produced: Instant,
    taken: Instant,
    committed: Instant,
    seen: Instant,
}

type Span = fn(&Passed) -> Duration;

pub fn run(bench: &Bench) -> anyhow::Result<()> {
    let mut base = None;
    for measured in LOOPS {
        let passed = closed_loop(bench, measured)?;
        let spans: [(&str, Span); 4] = [
            ("in all", |passed| passed.seen - passed.produced),
            ("produce to worker", |passed| passed.taken - passed.produced),
            ("transaction", |passed| passed.committed - passed.taken),
            ("commit to seen", |passed| {
                passed.seen.saturating_duration_since(passed.committed)
            }),
        ];
        for ((span, of), reference) in spans.into_iter().zip(measured.reference) {
            let Some(reference) = reference else { continue };
            let mut times: Vec<f64> = passed.iter().map(|passed| milliseconds(of(passed))).collect();
            for ((share, name), reference) in [(0.5, "median"), (0.99, "99th percentile")].into_iter().zip(reference) {
                let value = percentile(&mut times, share);
                // the median without a transaction, which comes first, is what the others are in proportion to
                let base = *base.get_or_insert((value, reference));
                Figure::new("latency", format!("{}, {span}, {name}", measured.name), value, "ms")
                    .against(reference, base, Wanted::AtMost(1.2))
                    .under(&format!("{} records", passed.len()))
                    .print()?;
            }
        }
    }
    Ok(())
}

/// The same through Millrace with a chain that calls nothing: what it adds to the transactional loop.
pub async fn run_system(bench: &Bench) -> anyhow::Result<()> {
    const WARM_UP: usize = 50;
    let system = System::prepare(bench, 0, 1_024).await?;
    let process = system.run("orchestrator").await?;
    let mut results = system.results().await?;
    let (mut times, mut start) = (Vec::new(), None);
    while start.is_none_or(|start: Instant| start.elapsed() < bench.measurement) {
        if times.len() == WARM_UP {
            start = Some(Instant::now());
        }
        let id = format!("one-{}", times.len());
        let began = Instant::now();
        system.send("echo", id.clone()).await?;
        let next = tokio::time::timeout(PATIENCE, results.recv()).await;
        let (seen, at) = next
            .context("no result came")?
            .context("the results cannot be read any more")?;
        ensure!(seen == id, "{seen} came instead of {id}");
        times.push(milliseconds(at - began));
    }
    times.drain(..WARM_UP);
    for (share, name) in [(0.5, "median"), (0.99, "99th percentile")] {
        let metric = format!("system, request to result, {name}");
        let figure = Figure::new("latency", metric, percentile(&mut times, share), "ms");
        figure
            .under(&format!("{} records, chain without a call", times.len()))
            .print()?;
    }
    process.stop(PATIENCE).await?;
    Ok(())
}

fn closed_loop(bench: &Bench, measured: Loop) -> anyhow::Result<Vec<Passed>> {
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
    let worker = thread::spawn(move || worker.run(measured.transactional));
    is_ready.recv_timeout(PATIENCE).context("the worker did not start")?;
    let passed = drive(bench, &input, &output, measured.idle, results);
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
    let producer: ThreadedProducer<_> = bench.producing().create()?;
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
            let producer: BaseProducer = self.bench.producing().create()?;
            self.serve(&consumer, |value, _| {
                producer
                    .send(BaseRecord::<(), [u8]>::to(&self.output).payload(value))
                    .map_err(|(error, _)| error)?;
                producer.poll(Duration::ZERO);
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
