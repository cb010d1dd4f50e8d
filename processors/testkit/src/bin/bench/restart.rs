//! A rolling restart of three members under load, each by `SIGTERM`: with calls that end within the grace of a move, and
//! with longer ones, of which those are made again that a move cut.

use std::time::{Duration, Instant};

use crate::figure::{Figure, progress};
use crate::kafka::Bench;
use crate::system::{Setup, System};

const MEMBERS: usize = 3;
const SHORT_CALL_MS: u64 = 100;
const LONG_CALL_MS: u64 = 3_000;
const PER_SECOND: f64 = 300.0;
const BETWEEN: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_secs(60);

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    restart(bench, SHORT_CALL_MS).await?;
    restart(bench, LONG_CALL_MS).await
}

async fn restart(bench: &Bench, call_ms: u64) -> anyhow::Result<()> {
    let is_within_grace = call_ms == SHORT_CALL_MS;
    let system = System::prepare(bench, Setup::new(call_ms, 1_024)).await?;
    let mut members = std::collections::VecDeque::new();
    for _ in 0..MEMBERS {
        members.push_back(system.run("orchestrator").await?);
    }
    let flow = system.flow(bench, "ask", PER_SECOND)?;
    tokio::time::sleep(BETWEEN).await;
    let start = Instant::now();
    for n in 1..=MEMBERS {
        progress(&format!("restart: {call_ms} ms calls, member {n} of {MEMBERS}"));
        if let Some(old) = members.pop_front() {
            old.stop().await?;
        }
        members.push_back(system.run("orchestrator").await?);
        tokio::time::sleep(BETWEEN).await;
    }
    let passed = flow.end(WITHIN).await?;
    let calls = system.model.summary().await?;
    for member in members {
        member.stop().await?;
    }

    let conditions = format!(
        "{MEMBERS} members, {PER_SECOND} requests/s, {call_ms} ms calls, {} requests",
        passed.asked.len()
    );
    let stall = passed.longest_stall(start, |_| 0).as_secs_f64();
    let partition = passed
        .longest_stall(start, |seen| passed.partition_of(seen))
        .as_secs_f64();
    let figure = Figure::new("restart", "longest time without any result", stall, "s").under(&conditions);
    if is_within_grace { figure.at_most(2.0) } else { figure }.print()?;
    Figure::new(
        "restart",
        "longest time without a result of one partition",
        partition,
        "s",
    )
    .under(&conditions)
    .print()?;
    let figure = Figure::new("restart", "repeated calls", calls.repeated as f64, "calls");
    if is_within_grace {
        let why = format!("{conditions}; no call is longer than the grace of a move, so none is cut");
        figure.at_most(0.0).under(&why).print()?;
    } else {
        figure.under(&conditions).print()?;
    }
    Figure::new("restart", "repeated results", passed.repeated() as f64, "results")
        .at_most(0.0)
        .under(&conditions)
        .print()
}
