//! Copy loops, consume → produce → offsets → commit, by records per transaction; and the same without transactions.

use std::time::{Duration, Instant};

use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::figure::{Figure, Wanted, median, milliseconds, percentile};
use crate::kafka::{Bench, River};
use crate::transaction::Transactions;

const INPUT: &str = "floor-input";
const RECORDS: usize = 200_000;
const GAP: Duration = Duration::from_millis(1);
const PLAIN_REFERENCE: f64 = 140_000.0;

/// Records per transaction, with records a second back to back and with the gap, and milliseconds of a transaction with
/// the gap (median, 99th percentile): measured on 2 cores, Kafka 4.1.
const REFERENCE: [(usize, [f64; 2], [f64; 2]); 5] = [
    (1, [126.0, 231.0], [2.8, 8.0]),
    (10, [1_250.0, 2_260.0], [2.7, 8.7]),
    (100, [15_200.0, 20_400.0], [3.1, 8.9]),
    (1_000, [60_000.0, 103_000.0], [7.6, 31.0]),
    (10_000, [135_000.0, 137_000.0], [65.0, 185.0]),
];

struct Copied {
    per_second: f64,
    /// Milliseconds of every transaction.
    transactions: Vec<f64>,
}

pub fn run(bench: &Bench) -> anyhow::Result<()> {
    bench.load(INPUT, RECORDS)?;
    let mut plain = Vec::new();
    let mut rates: Vec<[Vec<f64>; 2]> = REFERENCE.iter().map(|_| Default::default()).collect();
    let mut times: Vec<Vec<f64>> = REFERENCE.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.rounds {
        plain.push(copy_plainly(bench)?);
        for (row, (batch, _, _)) in REFERENCE.iter().enumerate() {
            rates[row][0].push(copy(bench, *batch, Duration::ZERO)?.per_second);
            let with_gap = copy(bench, *batch, GAP)?;
            rates[row][1].push(with_gap.per_second);
            times[row].extend(with_gap.transactions);
        }
    }
    bench.delete(INPUT)?;

    let base = (median(plain), PLAIN_REFERENCE);
    Figure::new("floor", "plain copy", base.0, "records/s")
        .against(PLAIN_REFERENCE, base, Wanted::AtLeast(0.8))
        .print()?;
    for ((batch, reference, [p50, p99]), (rates, mut times)) in REFERENCE.into_iter().zip(rates.into_iter().zip(times))
    {
        for ((rates, reference), gap) in rates.into_iter().zip(reference).zip(["back to back", "1 ms gap"]) {
            Figure::new(
                "floor",
                format!("copy, {batch} a transaction, {gap}"),
                median(rates),
                "records/s",
            )
            .against(reference, base, Wanted::AtLeast(0.8))
            .print()?;
        }
        for (share, name, reference) in [(0.5, "median", p50), (0.99, "99th percentile", p99)] {
            let metric = format!("transaction of {batch}, 1 ms gap, {name}");
            // a slower machine takes longer: the inverse of the base's proportion
            let inverse = (base.1 / base.0, 1.0);
            Figure::new("floor", metric, percentile(&mut times, share), "ms")
                .against(reference, inverse, Wanted::AtMost(1.2))
                .print()?;
        }
    }
    Ok(())
}

fn copy(bench: &Bench, batch: usize, gap: Duration) -> anyhow::Result<Copied> {
    let to = format!("floor-output-{}", uuid::Uuid::new_v4());
    bench.create(&to)?;
    let input = River::open(bench, INPUT, RECORDS)?;
    let mut transactions = Transactions::new(bench, &input.consumer, INPUT, &to)?;
    let (mut times, mut copied) = (Vec::new(), 0);
    let mut start = None;
    loop {
        let mut first = true;
        let mut began = Instant::now();
        for _ in 0..batch {
            input.next(|message| {
                if first {
                    // the first fetch is not the loop's cost
                    began = Instant::now();
                    start.get_or_insert(began);
                    transactions.begin()?;
                    first = false;
                }
                let value = message.payload().unwrap_or_default();
                transactions.produce(message.key(), value, (message.partition(), message.offset()))
            })?;
        }
        transactions.commit()?;
        copied += batch;
        times.push(milliseconds(began.elapsed()));
        if !gap.is_zero() {
            std::thread::park_timeout(gap);
        }
        let elapsed = start.map(|start: Instant| start.elapsed()).unwrap_or_default();
        if elapsed >= bench.measurement {
            bench.delete(&to)?;
            return Ok(Copied {
                per_second: copied as f64 / elapsed.as_secs_f64(),
                transactions: times,
            });
        }
    }
}

fn copy_plainly(bench: &Bench) -> anyhow::Result<f64> {
    let to = format!("floor-output-{}", uuid::Uuid::new_v4());
    bench.create(&to)?;
    let input = River::open(bench, INPUT, RECORDS)?;
    let producer: BaseProducer = bench.producing().set("linger.ms", "5").create()?;
    input.next(|_| Ok(()))?;
    let (start, mut copied) = (Instant::now(), 0);
    while start.elapsed() < bench.measurement {
        input.next(|message| {
            let mut record = BaseRecord::<[u8], [u8]>::to(&to).payload(message.payload().unwrap_or_default());
            record.key = message.key();
            while let Err((_, back)) = producer.send(record) {
                producer.poll(Duration::from_millis(1));
                record = back;
            }
            Ok(())
        })?;
        copied += 1;
        if copied % 100 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let per_second = f64::from(copied) / start.elapsed().as_secs_f64();
    bench.delete(&to)?;
    Ok(per_second)
}
