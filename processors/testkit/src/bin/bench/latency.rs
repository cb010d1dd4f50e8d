//! One request at a time, from produce to the committed result: the raw loop, then Millrace with a model that answers at
//! once, without and with write-ahead.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::Offset;

use crate::closed_loop::{PATIENCE, Passed, closed_loop};
use crate::figure::{Figure, Wanted, milliseconds, percentile, progress};
use crate::kafka::Bench;
use crate::system::{Setup, System, request_id};

#[derive(Clone, Copy)]
struct Loop {
    name: &'static str,
    transactional: bool,
    idle: Duration,
    /// Milliseconds, median and 99th percentile, of all of it, produce → worker, the transaction, commit → seen.
    reference: [Option<[f64; 2]>; 4],
}

/// Measured on 2 cores, Kafka 4.1.
const LOOPS: [Loop; 3] = [
    Loop {
        name: "no transaction",
        transactional: false,
        idle: Duration::ZERO,
        reference: [Some([1.8, 3.0]), Some([1.1, 2.2]), None, Some([0.6, 1.6])],
    },
    TRANSACTIONAL,
    Loop {
        name: "transactional, 20 ms idle between records",
        transactional: true,
        idle: Duration::from_millis(20),
        reference: [Some([5.1, 15.1]), Some([1.1, 5.5]), Some([3.4, 12.1]), Some([0.6, 3.7])],
    },
];

/// Milliseconds, in all.
const TRANSACTIONAL_MEDIAN: f64 = 3.8;

const TRANSACTIONAL: Loop = Loop {
    name: "transactional",
    transactional: true,
    idle: Duration::ZERO,
    reference: [
        Some([TRANSACTIONAL_MEDIAN, 10.3]),
        Some([0.5, 1.4]),
        Some([2.8, 8.3]),
        Some([0.5, 1.5]),
    ],
};

const PERCENTILES: [(f64, &str); 2] = [(0.5, "median"), (0.99, "99th percentile")];

type Span = fn(&Passed) -> Duration;

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let off = System::prepare(bench, Setup::new(0, 1_024).with("WRITE_AHEAD", &false)).await?;
    let on = System::prepare(bench, Setup::new(0, 1_024)).await?;
    let (mut loops, mut systems) = ([const { Vec::new() }; LOOPS.len()], [Vec::new(), Vec::new()]);
    for round in 1..=bench.rounds {
        for (measured, passed) in LOOPS.into_iter().zip(&mut loops) {
            progress(&format!(
                "latency: round {round} of {}, {}",
                bench.rounds, measured.name
            ));
            let bench = bench.clone();
            let looped = move || closed_loop(&bench, measured.transactional, measured.idle);
            passed.extend(tokio::task::spawn_blocking(looped).await??);
        }
        for ((system, times), name) in [&off, &on].into_iter().zip(&mut systems).zip(["off", "on"]) {
            progress(&format!(
                "latency: round {round} of {}, system, write-ahead {name}",
                bench.rounds
            ));
            times.extend(one_at_a_time(bench, system).await?);
        }
    }
    let floor = print_loops(&loops)?;
    let [off, on] = systems;
    let off_median = print_system("write-ahead off", off, floor, 2.0, &floor)?;
    // what the write-ahead may add is counted from what it was added to
    print_system("write-ahead on", on, [off_median, floor[1]], 2.0, &floor)?;
    Ok(())
}

const SPANS: [(&str, Span); 4] = [
    ("in all", |passed| passed.seen - passed.produced),
    ("produce to worker", |passed| passed.taken - passed.produced),
    ("transaction", |passed| passed.committed - passed.taken),
    ("commit to seen", |passed| {
        passed.seen.saturating_duration_since(passed.committed)
    }),
];

/// Medians in proportion to the transactional loop in all, which is what the system is held against; what is rare is decided
/// by what else the machine does, and only shown beside. Returns median and 99th percentile of the transactional loop.
fn print_loops(loops: &[Vec<Passed>; LOOPS.len()]) -> anyhow::Result<[f64; 2]> {
    let [_, transactional, _] = loops;
    let mut in_all = times(transactional, SPANS[0].1);
    let floor = PERCENTILES.map(|(share, _)| percentile(&mut in_all, share));
    let base = (floor[0], TRANSACTIONAL_MEDIAN);
    for (measured, passed) in LOOPS.iter().zip(loops) {
        for ((span, of), reference) in SPANS.into_iter().zip(measured.reference) {
            let Some([median, rare]) = reference else { continue };
            let mut times = times(passed, of);
            let mut figure = |(share, name): (f64, &str)| {
                let metric = format!("{}, {span}, {name}", measured.name);
                Figure::new("latency", metric, percentile(&mut times, share), "ms")
                    .under(&format!("{} records", passed.len()))
            };
            let [to_median, to_rare] = PERCENTILES;
            figure(to_median)
                .against(median, base, Wanted::AtMost(1.2))
                .under("ratio: in proportion to the median of the transactional loop in all")
                .print()?;
            figure(to_rare)
                .beside(rare)
                .under("reference: another machine")
                .print()?;
        }
    }
    Ok(floor)
}

fn times(passed: &[Passed], of: Span) -> Vec<f64> {
    passed.iter().map(|passed| milliseconds(of(passed))).collect()
}

/// Against `base`: its median and so many milliseconds more, twice its 99th percentile. Returns the median.
fn print_system(name: &str, mut times: Vec<f64>, base: [f64; 2], more: f64, floor: &[f64; 2]) -> anyhow::Result<f64> {
    let conditions = format!("{} requests, one model call that answers at once", times.len());
    let limits = [base[0] + more, floor[1] * 2.0];
    let mut median = None;
    for (((share, of), limit), floor) in PERCENTILES.into_iter().zip(limits).zip(floor) {
        let value = percentile(&mut times, share);
        median.get_or_insert(value);
        Figure::new(
            "latency",
            format!("system, {name}, request to result, {of}"),
            value,
            "ms",
        )
        .beside(*floor)
        .at_most(limit)
        .under(&conditions)
        .under("reference: the transactional loop of this run; goal: milliseconds")
        .print()?;
    }
    let steps = [95.0..115.0, 495.0..525.0];
    let at_steps = times
        .iter()
        .filter(|time| steps.iter().any(|step| step.contains(*time)));
    Figure::new(
        "latency",
        format!("system, {name}, requests that took 95 to 115 or 495 to 525 ms"),
        at_steps.count() as f64,
        "requests",
    )
    .at_most(0.0)
    .under(&conditions)
    .print()?;
    Ok(median.unwrap_or_default())
}

/// Milliseconds of each request.
async fn one_at_a_time(bench: &Bench, system: &System) -> anyhow::Result<Vec<f64>> {
    const WARM_UP: usize = 100;
    let member = system.run("orchestrator").await?;
    let (seen, mut results) = tokio::sync::mpsc::unbounded_channel();
    let (reader, topic) = (bench.clone(), system.topic("results"));
    // ends when nobody listens
    let reading = tokio::task::spawn_blocking(move || {
        let reader = reader.consumer(&topic, Offset::Beginning)?;
        while !seen.is_closed() {
            let Some(message) = reader.poll(Duration::from_millis(100)) else {
                continue;
            };
            let (message, at) = (message?, Instant::now());
            let _ = seen.send((request_id(&message).unwrap_or_default().to_owned(), at));
        }
        anyhow::Ok(())
    });
    let (mut times, mut start) = (Vec::new(), None);
    let run = uuid::Uuid::new_v4();
    while start.is_none_or(|start: Instant| start.elapsed() < bench.measurement) {
        if times.len() == WARM_UP {
            start = Some(Instant::now());
        }
        let id = format!("one-{run}-{}", times.len());
        let began = Instant::now();
        system.send("ask", id.clone()).await?;
        let at = loop {
            let next = tokio::time::timeout(PATIENCE, results.recv()).await;
            let (seen, at) = next
                .context("no result came")?
                .context("the results cannot be read any more")?;
            if seen == id {
                break at;
            }
            // of an earlier round
            ensure!(!seen.contains(&run.to_string()), "{seen} came instead of {id}");
        };
        times.push(milliseconds(at - began));
    }
    times.drain(..WARM_UP);
    drop(results);
    reading.await??;
    member.stop().await?;
    Ok(times)
}
