//! Copy loops, consume → produce → offsets → commit, by records per transaction; the same without transactions; and the
//! skeleton that calls a model over HTTP.

use std::time::{Duration, Instant};

use rdkafka::message::Message;
use rdkafka::producer::Producer;

use crate::calls::SHORT_CALLS;
use crate::figure::{Figure, Wanted, median, milliseconds, percentile, progress};
use crate::kafka::{Bench, River};
use crate::meter::Meter;
use crate::model::Model;
use crate::skeleton;
use crate::transaction::{RawProducer, Transactions, send};

const INPUT: &str = "floor-input";
const RECORDS: usize = 400_000;
pub const GAP: Duration = Duration::from_millis(1);

/// Measured on 2 cores, Kafka 4.1: records a second; microseconds of CPU per record, of the client and of the broker.
const PLAIN_REFERENCE: (f64, [f64; 2]) = (140_000.0, [5.8, 3.9]);

/// Calls a second, microseconds of CPU per call, megabytes; on the same machine.
const SKELETON_REFERENCE: [f64; 3] = [9_950.0, 85.0, 105.0];

/// What decides how fast a row can be on a machine, and so what it is compared in proportion to.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    /// The round trips of a transaction, which no quicker processor shortens: to the transaction of one record.
    RoundTrips,
    /// The work on each record: to the copy without transactions.
    Work,
}

struct Row {
    batch: usize,
    bound: Bound,
    /// Records a second, back to back and with the gap.
    rates: [f64; 2],
    /// Milliseconds of a transaction with the gap, median and 99th percentile.
    times: [f64; 2],
    /// Microseconds of CPU per record with the gap, of the client and of the broker.
    cpu: [f64; 2],
}

const REFERENCE: [Row; 5] = [
    row(1, Bound::RoundTrips, [126.0, 231.0], [2.8, 8.0], [1_050.0, 2_550.0]),
    row(10, Bound::RoundTrips, [1_250.0, 2_260.0], [2.7, 8.7], [112.0, 250.0]),
    row(100, Bound::RoundTrips, [15_200.0, 20_400.0], [3.1, 8.9], [16.0, 28.0]),
    row(1_000, Bound::Work, [60_000.0, 103_000.0], [7.6, 31.0], [5.6, 5.4]),
    row(10_000, Bound::Work, [135_000.0, 137_000.0], [65.0, 185.0], [5.4, 3.7]),
];

const fn row(batch: usize, bound: Bound, rates: [f64; 2], times: [f64; 2], cpu: [f64; 2]) -> Row {
    Row {
        batch,
        bound,
        rates,
        times,
        cpu,
    }
}

/// What one measurement of a loop gave.
#[derive(Default, Clone)]
pub struct Copied {
    pub per_second: f64,
    /// Microseconds per record.
    pub client_cpu: f64,
    pub broker_cpu: f64,
    /// Milliseconds of every transaction.
    transactions: Vec<f64>,
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let copies = bench.clone();
    tokio::task::spawn_blocking(move || copy_loops(&copies)).await??;

    progress("floor: HTTP skeleton");
    let folder = tempfile::tempdir()?;
    let model = Model::start(folder.path(), SHORT_CALLS.call_ms).await?;
    let measured = skeleton::run(bench, SHORT_CALLS, &model.url).await?;
    let wanted = [Wanted::AtLeast(0.8), Wanted::AtMost(1.2), Wanted::AtMost(1.2)];
    let figures = SHORT_CALLS.figures("floor", "skeleton", measured).into_iter();
    for ((figure, reference), wanted) in figures.zip(SKELETON_REFERENCE).zip(wanted) {
        figure.against(reference, (1.0, 1.0), wanted).print()?;
    }
    Ok(())
}

/// Rounds are interleaved, so that a machine that slows down does so for all rows; a row's figures appear in the last round.
fn copy_loops(bench: &Bench) -> anyhow::Result<()> {
    let mut copies = Copies::open(bench)?;
    let mut plain = Vec::new();
    let mut rows: Vec<[Vec<Copied>; 2]> = REFERENCE.iter().map(|_| Default::default()).collect();
    let mut base = None;
    for round in 1..=bench.rounds {
        let is_last = round == bench.rounds;
        progress(&format!("floor: round {round} of {}, plain copy", bench.rounds));
        plain.push(copies.copy_plainly()?);
        if is_last {
            print_plain(&plain)?;
        }
        for (row, done) in REFERENCE.iter().zip(&mut rows) {
            for (done, gap) in done.iter_mut().zip([Duration::ZERO, GAP]) {
                progress(&format!(
                    "floor: round {round} of {}, {} a transaction, gap of {gap:?}",
                    bench.rounds, row.batch
                ));
                done.push(copies.copy(row.batch, gap)?);
            }
            if is_last {
                let base = base.get_or_insert_with(|| Base::of(&plain, &done[1]));
                base.print_row(row, done)?;
            }
        }
    }
    copies.close()
}

/// This machine beside the one of the reference.
struct Base {
    /// Records a second of the plain copy, in proportion.
    work: f64,
    /// Milliseconds of a transaction of one record, in proportion.
    round_trips: f64,
}

impl Base {
    fn of(plain: &[Copied], single: &[Copied]) -> Self {
        let mut times = times(single);
        Self {
            work: median(plain.iter().map(|copied| copied.per_second).collect()) / PLAIN_REFERENCE.0,
            round_trips: percentile(&mut times, 0.5) / REFERENCE[0].times[0],
        }
    }

    /// How much faster than the reference a row should be here.
    fn speed(&self, bound: Bound) -> f64 {
        match bound {
            Bound::RoundTrips => 1.0 / self.round_trips,
            Bound::Work => self.work,
        }
    }

    fn print_row(&self, row: &Row, done: &[Vec<Copied>; 2]) -> anyhow::Result<()> {
        let (batch, speed) = (row.batch, self.speed(row.bound));
        let conditions = match row.bound {
            Bound::RoundTrips => "ratio: in proportion to the median transaction of one record",
            Bound::Work => "ratio: in proportion to the plain copy",
        };
        for ((done, reference), gap) in done.iter().zip(row.rates).zip(["back to back", "1 ms gap"]) {
            let rates = done.iter().map(|copied| copied.per_second).collect();
            let metric = format!("copy, {batch} a transaction, {gap}");
            Figure::new("floor", metric, median(rates), "records/s")
                .against(reference, (speed, 1.0), Wanted::AtLeast(0.8))
                .under(conditions)
                .print()?;
        }
        let [_, with_gap] = done;
        let mut times = times(with_gap);
        for (share, name, reference) in [(0.5, "median", row.times[0]), (0.99, "99th percentile", row.times[1])] {
            let metric = format!("transaction of {batch}, 1 ms gap, {name}");
            let figure = Figure::new("floor", metric, percentile(&mut times, share), "ms").under(conditions);
            // what is rare is decided by what else the machine does
            let figure = match name {
                "median" => figure.against(reference, (1.0 / speed, 1.0), Wanted::AtMost(1.2)),
                _ => figure.beside(reference),
            };
            figure.print()?;
        }
        print_cpu(&format!("copy, {batch} a transaction, 1 ms gap"), with_gap, row.cpu)
    }
}

fn times(copied: &[Copied]) -> Vec<f64> {
    copied.iter().flat_map(|copied| copied.transactions.clone()).collect()
}

fn print_plain(plain: &[Copied]) -> anyhow::Result<()> {
    let rate = median(plain.iter().map(|copied| copied.per_second).collect());
    Figure::new("floor", "plain copy", rate, "records/s")
        .beside(PLAIN_REFERENCE.0)
        .under("reference: another machine")
        .print()?;
    print_cpu("plain copy", plain, PLAIN_REFERENCE.1)
}

fn print_cpu(name: &str, done: &[Copied], reference: [f64; 2]) -> anyhow::Result<()> {
    let client = done.iter().map(|copied| copied.client_cpu).collect();
    let broker = done.iter().map(|copied| copied.broker_cpu).collect();
    for ((who, cpu), reference) in [("client", client), ("broker", broker)].into_iter().zip(reference) {
        let cpu = median(cpu);
        Figure::new("floor", format!("{name}, CPU of the {who}"), cpu, "µs/record")
            .beside(reference)
            .under("reference: another machine")
            .print()?;
    }
    Ok(())
}

/// One consumer and one producer of each kind for all loops: what they cost to make is not measured.
pub struct Copies {
    bench: Bench,
    river: River,
    transactions: Transactions,
    plain: RawProducer,
    to: String,
}

impl Copies {
    pub fn open(bench: &Bench) -> anyhow::Result<Self> {
        progress("floor: writing the input");
        bench.load(INPUT, RECORDS)?;
        let to = format!("floor-output-{}", uuid::Uuid::new_v4());
        bench.create(&to)?;
        let river = River::open(bench, INPUT, RECORDS)?;
        Ok(Self {
            transactions: Transactions::new(bench, &river.consumer, INPUT, &to)?,
            plain: bench.producing().set("linger.ms", "5").create()?,
            bench: bench.clone(),
            river,
            to,
        })
    }

    pub fn close(self) -> anyhow::Result<()> {
        self.bench.delete(INPUT)?;
        self.bench.delete(&self.to)
    }

    pub fn copy(&mut self, batch: usize, gap: Duration) -> anyhow::Result<Copied> {
        // the first fetch is not the loop's cost
        self.river.next(|_| Ok(()))?;
        let metering = Metering::start(&self.bench)?;
        let (mut times, mut copied) = (Vec::new(), 0);
        while metering.is_on() {
            let began = Instant::now();
            self.transactions.begin()?;
            for _ in 0..batch {
                let transactions = &mut self.transactions;
                self.river.next(|message| {
                    let value = message.payload().unwrap_or_default();
                    transactions.produce(message.key(), value, (message.partition(), message.offset()))
                })?;
            }
            self.transactions.commit()?;
            times.push(milliseconds(began.elapsed()));
            copied += batch as u64;
            if !gap.is_zero() {
                std::thread::park_timeout(gap);
            }
        }
        Ok(Copied {
            transactions: times,
            ..metering.end(copied)?
        })
    }

    fn copy_plainly(&mut self) -> anyhow::Result<Copied> {
        self.river.next(|_| Ok(()))?;
        let metering = Metering::start(&self.bench)?;
        let mut copied = 0;
        while copied % 1_000 != 0 || metering.is_on() {
            let (plain, to) = (&self.plain, &self.to);
            self.river
                .next(|message| send(plain, to, message.key(), message.payload().unwrap_or_default()))?;
            copied += 1;
        }
        self.plain.flush(Duration::from_secs(60))?;
        metering.end(copied)
    }
}

struct Metering {
    start: Instant,
    length: Duration,
    client: Meter,
    broker: Meter,
}

impl Metering {
    fn start(bench: &Bench) -> anyhow::Result<Self> {
        Ok(Self {
            client: Meter::of_this_process()?,
            broker: Meter::start(bench.broker)?,
            length: bench.measurement,
            start: Instant::now(),
        })
    }

    fn is_on(&self) -> bool {
        self.start.elapsed() < self.length
    }

    fn end(&self, copied: u64) -> anyhow::Result<Copied> {
        let per_record = |cpu: Duration| cpu.as_secs_f64() * 1e6 / copied.max(1) as f64;
        Ok(Copied {
            per_second: copied as f64 / self.start.elapsed().as_secs_f64(),
            client_cpu: per_record(self.client.cpu()?),
            broker_cpu: per_record(self.broker.cpu()?),
            transactions: Vec::new(),
        })
    }
}
