//! A tenth of the results also goes to a topic that is gone, or too small for anything: what becomes of the others, against the same
//! rate without it, in turns.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bare::Bare;
use crate::figure::{Figure, Wanted, median, progress};
use crate::flow::{Asked, Flow};
use crate::kafka::{Bench, PARTITIONS, number, value};

const PER_SECOND: f64 = 1_000.0;
const STEP: Duration = Duration::from_millis(50);
const WARM_UP: Duration = Duration::from_secs(4);
const LENGTH: Duration = Duration::from_secs(6);
const WITHIN: Duration = Duration::from_secs(60);
const PAIRS: usize = 5;
/// No record is as small.
const TOO_SMALL: &str = "60";

#[derive(Clone, Copy)]
enum Bad {
    Gone,
    TooSmall,
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    for (bad, name) in [(Bad::Gone, "gone"), (Bad::TooSmall, "too small")] {
        let (mut without, mut with): (Vec<Others>, Vec<Others>) = Default::default();
        let pairs = bench.rounds.max(PAIRS);
        for pair in 1..=pairs {
            progress(&format!("bad-topic: {name}, pair {pair} of {pairs}"));
            without.push(phase(bench, None).await?);
            with.push(phase(bench, Some(bad)).await?);
        }
        let conditions = format!(
            "{PER_SECOND} requests/s, runs of {STEP:?}, {PARTITIONS} partitions, one process, {pairs} pairs; reference: without the bad topic"
        );
        let of = |phases: &[Others], of: fn(&Others) -> f64| median(phases.iter().map(of).collect());
        let rate = |others: &Others| others.per_second;
        Figure::new(
            "bad-topic",
            format!("results of others, a topic is {name}"),
            of(&with, rate),
            "results/s",
        )
        .against(of(&without, rate), (1.0, 1.0), Wanted::AtLeast(0.9))
        .under(&conditions)
        .print()?;
        let latency = |others: &Others| others.milliseconds;
        Figure::new(
            "bad-topic",
            format!("latency of others, a topic is {name}, median"),
            of(&with, latency),
            "ms",
        )
        .against(of(&without, latency), (1.0, 1.0), Wanted::AtMost(2.0))
        .under(&conditions)
        .print()?;
    }
    Ok(())
}

/// What became of nine requests in ten.
struct Others {
    per_second: f64,
    milliseconds: f64,
}

/// Whether the result of the request goes to the bad topic, too.
pub fn is_bad(number: usize) -> bool {
    number % 10 == 7
}

async fn phase(bench: &Bench, bad: Option<Bad>) -> anyhow::Result<Others> {
    let setup = bench.clone();
    let prepare = move || {
        let bare = Bare::prepare(&setup)?;
        let topic = format!("{}-bad", bare.input);
        if let Some(Bad::TooSmall) = bad {
            setup.create_with(&topic, &[("max.message.bytes", TOO_SMALL)])?;
        }
        anyhow::Ok((bare, topic))
    };
    let (bare, topic) = tokio::task::spawn_blocking(prepare).await??;
    let process = bare.launch_with("engine", STEP, json!({}), bad.map(|_| topic.clone()))?;
    let process = bare.start_launched(process).await?;
    let flow = Flow::start(
        bench,
        (&bare.input, &bare.results),
        PER_SECOND,
        |n| {
            Ok(Asked {
                partition: i32::try_from(n)? % PARTITIONS,
                key: Some(format!("k-{n}")),
                value: value(n).into_bytes(),
            })
        },
        |message| number(rdkafka::Message::payload(message)?),
    )?;
    tokio::time::sleep(WARM_UP).await;
    let from = Instant::now();
    tokio::time::sleep(LENGTH).await;
    let to = Instant::now();
    let passed = flow.end(WITHIN).await?;
    process.stop(WITHIN).await?;
    let cleanup = bench.clone();
    let clean = move || {
        bare.end()?;
        match bad {
            Some(Bad::TooSmall) => cleanup.delete(&topic),
            Some(Bad::Gone) | None => Ok(()),
        }
    };
    tokio::task::spawn_blocking(clean).await??;
    let in_time = passed
        .seen
        .iter()
        .filter(|seen| !is_bad(seen.number) && seen.at > from && seen.at <= to);
    Ok(Others {
        per_second: in_time.count() as f64 / (to - from).as_secs_f64(),
        milliseconds: 1e3 * median(passed.latencies(|n, at, _| !is_bad(n) && at > from && at <= to)),
    })
}
