//! The engine with a chain that does nothing, on a backlog, against the raw copy loop in the same round.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;

use crate::bare::Bare;
use crate::figure::{Figure, Wanted, median, progress};
use crate::floor::{Copied, Copies, GAP};
use crate::kafka::Bench;
use crate::meter::Meter;

const RECORDS: usize = 200_000;
/// A result and an audit for each record.
const OUTPUTS: usize = 2;
const BEST: usize = 10_000;
const WITHIN: Duration = Duration::from_secs(120);

/// A round of the engine.
struct Round {
    records_per_second: f64,
    records_per_commit: f64,
    client_cpu: f64,
    broker_cpu: f64,
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let (mut rounds, mut same, mut best): (Vec<Round>, Vec<Copied>, Vec<Copied>) = Default::default();
    let floor = bench.clone();
    let mut copies = tokio::task::spawn_blocking(move || Copies::open(&floor)).await??;
    for round in 1..=bench.rounds {
        progress(&format!("engine: round {round} of {}", bench.rounds));
        let engine = worked_off(bench).await?;
        // what a transaction of the floor carries are outputs
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let batch = (engine.records_per_commit * OUTPUTS as f64).round() as usize;
        rounds.push(engine);
        progress(&format!("engine: round {round} of {}, floor", bench.rounds));
        let copied = tokio::task::spawn_blocking(move || {
            let copied = [copies.copy(batch.max(1), GAP)?, copies.copy(BEST, GAP)?];
            anyhow::Ok((copies, copied))
        });
        let (again, [at_same, at_best]) = copied.await??;
        copies = again;
        same.push(at_same);
        best.push(at_best);
    }
    copies.close()?;

    let of = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    let floor = |copied: &[Copied], of: fn(&Copied) -> f64| median(copied.iter().map(of).collect());
    let figure = |metric: &str, value, unit| {
        Figure::new("engine", metric, value, unit).under(&format!(
            "no-op chain, {RECORDS} records of 1 KB, a result and an audit each, key order; the floor writes as many outputs a transaction"
        ))
    };
    let outputs = of(|round| round.records_per_second) * OUTPUTS as f64;
    figure("outputs", outputs, "records/s")
        .against(
            floor(&same, |copied| copied.per_second),
            (1.0, 1.0),
            Wanted::AtLeast(0.8),
        )
        .print()?;
    figure("outputs, against the best floor", outputs, "records/s")
        .against(
            floor(&best, |copied| copied.per_second),
            (1.0, 1.0),
            Wanted::AtLeast(0.6),
        )
        .print()?;
    figure(
        "requests per commit",
        of(|round| round.records_per_commit),
        "records/commit",
    )
    .at_least(500.0)
    .print()?;
    figure(
        "CPU of the client per output",
        of(|round| round.client_cpu),
        "µs/record",
    )
    .beside(floor(&same, |copied| copied.client_cpu))
    .print()?;
    figure(
        "CPU of the broker per output",
        of(|round| round.broker_cpu),
        "µs/record",
    )
    .beside(floor(&same, |copied| copied.broker_cpu))
    .print()
}

/// The backlog, from the first commit that is seen to the last.
async fn worked_off(bench: &Bench) -> anyhow::Result<Round> {
    let bench = bench.clone();
    tokio::task::spawn_blocking(move || {
        let bare = Bare::prepare(&bench)?;
        bench.fill(&bare.input, RECORDS, |n| format!("k-{n}"))?;
        let process = bare.launch("engine", Duration::ZERO, json!({}))?.start()?;
        let round = follow(&bench, &bare, process.pid())?;
        process.kill()?;
        bare.end()?;
        Ok(round)
    })
    .await?
}

fn follow(bench: &Bench, bare: &Bare, pid: u32) -> anyhow::Result<Round> {
    const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
    let until = Instant::now() + WITHIN;
    let mut began = None;
    loop {
        let done = bare.done()?;
        ensure!(
            Instant::now() < until,
            "only {} of {RECORDS} records were worked off",
            done.records
        );
        if done.records > 0 && began.is_none() {
            began = Some((done, Instant::now(), Meter::start(pid)?, Meter::start(bench.broker)?));
        }
        if done.records < RECORDS as u64 {
            std::thread::park_timeout(BETWEEN_LOOKS);
            continue;
        }
        let Some((first, start, client, broker)) = &began else {
            continue;
        };
        let records = (done.records - first.records) as f64;
        let per_output = |cpu: Duration| cpu.as_secs_f64() * 1e6 / (records * OUTPUTS as f64);
        return Ok(Round {
            records_per_second: records / start.elapsed().as_secs_f64(),
            records_per_commit: records / (done.commits - first.commits).max(1) as f64,
            client_cpu: per_output(client.cpu()?),
            broker_cpu: per_output(broker.cpu()?),
        });
    }
}
