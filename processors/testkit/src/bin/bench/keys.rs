//! A thousand keys, steps of 100 ms, in order per key: how near to ten thousand a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::Offset;
use rdkafka::message::Message;
use serde_json::json;

use crate::bare::Bare;
use crate::figure::{Figure, median, progress};
use crate::kafka::{Bench, number};

const KEYS: usize = 1_000;
const STEP: Duration = Duration::from_millis(100);
const WARM_UP: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(120);

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let (mut rates, mut inversions) = (Vec::new(), 0);
    for round in 1..=bench.rounds {
        progress(&format!("keys: round {round} of {}", bench.rounds));
        let bench = bench.clone();
        let (rate, inverted) = tokio::task::spawn_blocking(move || round_of(&bench)).await??;
        rates.push(rate);
        inversions += inverted;
    }
    let ideal = KEYS as f64 / STEP.as_secs_f64();
    let conditions = format!(
        "in process, {KEYS} keys, steps of {STEP:?}, a result and an audit each; reference: one of each key at a time, without a pause"
    );
    let rate = Figure::new("keys", "runs", median(rates), "runs/s");
    rate.against(ideal, (1.0, 1.0), crate::figure::Wanted::AtLeast(0.8))
        .under(&conditions)
        .print()?;
    Figure::new(
        "keys",
        "results before one of their key that was asked earlier",
        inversions as f64,
        "results",
    )
    .at_most(0.0)
    .under(&conditions)
    .print()
}

/// Runs a second, and results that came too early.
fn round_of(bench: &Bench) -> anyhow::Result<(f64, u64)> {
    let measured = bench.measurement * 3;
    let per_key = (WARM_UP + measured).div_duration_f64(STEP) as usize + 10;
    let records = KEYS * per_key;
    let bare = Bare::prepare(bench)?;
    bench.fill(&bare.input, records, |n| format!("k-{}", n % KEYS))?;
    let reader = bench.consumer(&bare.results, Offset::Beginning)?;
    let process = bare.launch("engine", STEP, json!({"in_flight": 2 * KEYS}))?.start()?;

    let (mut last, mut inversions): (HashMap<Vec<u8>, usize>, u64) = (HashMap::new(), 0);
    let (mut seen, mut counted, mut start) = (0, 0, None);
    let until = Instant::now() + WITHIN;
    while seen < records {
        ensure!(Instant::now() < until, "only {seen} of {records} results came");
        let Some(message) = reader.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message?;
        seen += 1;
        let begun = *start.get_or_insert_with(Instant::now);
        let since = begun.elapsed();
        counted += u64::from((WARM_UP..WARM_UP + measured).contains(&since));
        let n = number(message.payload().unwrap_or_default()).context("a result that was not asked for")?;
        let key = message.key().unwrap_or_default().to_vec();
        inversions += u64::from(last.insert(key, n).is_some_and(|before| before > n));
    }
    process.kill()?;
    bare.end()?;
    Ok((counted as f64 / measured.as_secs_f64(), inversions))
}
