//! One key has half of the traffic, more than its lane can work off: first shorter than it takes to fill the window of its
//! partition, then longer.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bare::Bare;
use crate::figure::{Figure, Wanted, percentile, progress};
use crate::flow::{Asked, Flow, Passed};
use crate::kafka::{Bench, PARTITIONS, number, value};

const PER_SECOND: f64 = 4_000.0;
const STEP: Duration = Duration::from_millis(1);
/// Of the time of a phase: what the engine's start still works off.
const WARM_UP: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_secs(5);
/// The window of 16,384 offsets fills with what comes faster than the hot lane goes: in about ten seconds.
const LONG: Duration = Duration::from_secs(20);
const WITHIN: Duration = Duration::from_secs(300);

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        progress(&format!("hot-key: round {round} of {}, without", bench.rounds));
        without.extend(others(&phase(bench, false, SHORT).await?.passed, |_| true));
        progress(&format!("hot-key: round {round} of {}, with", bench.rounds));
        with.extend(others(&phase(bench, true, SHORT).await?.passed, |_| true));
    }
    let conditions = format!("{PER_SECOND} requests/s, steps of {STEP:?}, {PARTITIONS} partitions, one process");
    let p99 = |times: &mut Vec<f64>| percentile(times, 0.99) * 1e3;
    let reference = p99(&mut without);
    Figure::new(
        "hot-key",
        "other keys while the window fills, 99th percentile",
        p99(&mut with),
        "ms",
    )
    .against(reference, (1.0, 1.0), Wanted::AtMost(1.2))
    .under(&conditions)
    .under("reference: the same rate without a hot key")
    .print()?;

    progress("hot-key: until the window is full, and until all is done");
    let Phase { passed, stopped } = phase(bench, true, LONG).await?;
    let seen = [
        (
            "other keys of other partitions",
            others(&passed, |partition| partition != 0),
        ),
        (
            "other keys of the hot key's partition",
            others(&passed, |partition| partition == 0),
        ),
    ];
    for (who, mut times) in seen {
        for (share, name) in [(0.99, "99th percentile"), (1.0, "longest")] {
            let value = percentile(&mut times, share) * 1e3;
            Figure::new("hot-key", format!("{who}, beyond the window, {name}"), value, "ms")
                .under(&conditions)
                .print()?;
        }
    }
    let last = passed.seen.iter().map(|seen| seen.at).max().unwrap_or(stopped);
    let after = last.saturating_duration_since(stopped).as_secs_f64();
    Figure::new("hot-key", "all done after the last request", after, "s")
        .under(&conditions)
        .under("the hot lane works off what it has, one at a time")
        .print()?;
    let wrong = passed.repeated() + passed.asked.len().abs_diff(passed.seen.len()) + inversions(&passed);
    Figure::new("hot-key", "lost, repeated or out of order", wrong as f64, "results")
        .at_most(0.0)
        .under(&conditions)
        .print()
}

struct Phase {
    passed: Passed,
    stopped: Instant,
}

async fn phase(bench: &Bench, hot: bool, length: Duration) -> anyhow::Result<Phase> {
    let setup = bench.clone();
    let bare = tokio::task::spawn_blocking(move || Bare::prepare(&setup)).await??;
    let process = bare.start("engine", STEP, json!({})).await?;
    let flow = Flow::start(
        bench,
        (&bare.input, &bare.results),
        PER_SECOND,
        move |n| {
            let is_hot = hot && is_hot(n);
            Ok(Asked {
                partition: if is_hot { 0 } else { i32::try_from(n / 2)? % PARTITIONS },
                key: Some(if is_hot { "hot".to_owned() } else { format!("k-{n}") }),
                value: value(n).into_bytes(),
            })
        },
        |message| number(rdkafka::Message::payload(message)?),
    )?;
    tokio::time::sleep(WARM_UP + length).await;
    let stopped = Instant::now();
    let passed = flow.end(WITHIN).await?;
    process.stop(WITHIN).await?;
    tokio::task::spawn_blocking(move || bare.end()).await??;
    Ok(Phase { passed, stopped })
}

fn is_hot(n: usize) -> bool {
    n.is_multiple_of(2)
}

/// Seconds of each request that is none of the hot key, after the warm-up.
fn others(passed: &Passed, of: impl Fn(i32) -> bool) -> Vec<f64> {
    let Some((start, _)) = passed.asked.first().copied() else {
        return Vec::new();
    };
    passed.latencies(|n, at, partition| !is_hot(n) && of(partition) && at > start + WARM_UP)
}

fn inversions(passed: &Passed) -> usize {
    let hot: Vec<usize> = passed
        .seen
        .iter()
        .map(|seen| seen.number)
        .filter(|n| is_hot(*n))
        .collect();
    hot.windows(2).filter(|pair| pair[0] > pair[1]).count()
}
