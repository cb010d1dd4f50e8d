//! A member dies under load. `transaction.timeout.ms` is a minute, so that what is quicker can only be a takeover.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bare::Bare;
use crate::figure::{Figure, progress};
use crate::flow::{Asked, Flow, Passed};
use crate::kafka::{Bench, PARTITIONS, number, value};
use crate::system::{Setup, System};

const TRANSACTION_TIMEOUT_MS: u64 = 60_000;
const CALL_MS: u64 = 20;
const PER_SECOND: f64 = 400.0;
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(15);
const WITHIN: Duration = Duration::from_secs(90);
/// The session timeout of 6 s and 2.5 s.
const GOAL: f64 = 8.5;

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    for round in 1..=bench.rounds {
        progress(&format!("takeover: round {round} of {}, kill -9", bench.rounds));
        let (died, passed) = killed(bench).await?;
        print("kill -9", died, &passed)?;
    }
    // so often that there is load by then; the first is passed once an output, the second once a transaction
    for (point, of) in [
        ("produced:500", "right after produce"),
        ("offsets_sent:200", "right after send_offsets"),
    ] {
        if !cfg!(feature = "crash-points") {
            progress(&format!("takeover: {of} is left out: needs the feature crash-points"));
            continue;
        }
        progress(&format!("takeover: {of}"));
        let (died, passed) = dead_at(bench, point).await?;
        print(of, died, &passed)?;
    }
    Ok(())
}

fn print(how: &str, died: Instant, passed: &Passed) -> anyhow::Result<()> {
    let figures = [
        (
            "first result of the moved partitions",
            passed.longest_stall(died, |seen| passed.partition_of(seen)),
        ),
        (
            "longest stall of a read_committed reader",
            passed.longest_stall(died, |seen| seen.partition),
        ),
    ];
    let conditions =
        format!("one of two members, {PER_SECOND} requests/s, transaction timeout {TRANSACTION_TIMEOUT_MS} ms");
    for (what, stall) in figures {
        Figure::new("takeover", format!("{how}, {what}"), stall.as_secs_f64(), "s")
            .at_most(GOAL)
            .under(&conditions)
            .print()?;
    }
    Figure::new(
        "takeover",
        format!("{how}, repeated results"),
        passed.repeated() as f64,
        "results",
    )
    .at_most(0.0)
    .under(&conditions)
    .print()
}

/// Two processes of Millrace with model calls; the one that has more of the work is killed. (A group shares its partitions
/// evenly, but not those of each topic: all of this one may be with one member.)
async fn killed(bench: &Bench) -> anyhow::Result<(Instant, Passed)> {
    let setup = Setup::new(CALL_MS, 1_024).with("ORCHESTRATOR__TRANSACTION_TIMEOUT_MS", &TRANSACTION_TIMEOUT_MS);
    let system = System::prepare(bench, setup).await?;
    let (one, other) = (system.run("orchestrator").await?, system.run("orchestrator").await?);
    let flow = system.flow(bench, "ask", PER_SECOND)?;
    tokio::time::sleep(BEFORE).await;
    let (victim, heir) = if one.committed().await? > other.committed().await? {
        (one, other)
    } else {
        (other, one)
    };
    let died = Instant::now();
    victim.kill()?;
    tokio::time::sleep(AFTER).await;
    let passed = flow.end(WITHIN).await?;
    heir.stop().await?;
    Ok((died, passed))
}

/// Two engines without chains; one dies by itself at a place of its transaction.
async fn dead_at(bench: &Bench, point: &str) -> anyhow::Result<(Instant, Passed)> {
    let setup = bench.clone();
    let bare = tokio::task::spawn_blocking(move || Bare::prepare(&setup)).await??;
    let tuning = || json!({"transaction_timeout_ms": TRANSACTION_TIMEOUT_MS});
    let step = Duration::from_millis(CALL_MS);
    let heir = bare.start("heir", step, tuning()).await?;
    let flow = Flow::start(
        bench,
        (&bare.input, &bare.results),
        PER_SECOND,
        |n| {
            Ok(Asked {
                partition: i32::try_from(n)? % PARTITIONS,
                key: None,
                value: value(n).into_bytes(),
            })
        },
        |message| number(rdkafka::Message::payload(message)?),
    )?;
    let mut victim = bare
        .launch("victim", step, tuning())?
        .env("CRASH_POINT", point)
        .start()?;
    victim.ended(WITHIN).await?;
    let died = Instant::now();
    tokio::time::sleep(AFTER).await;
    let passed = flow.end(WITHIN).await?;
    heir.stop(WITHIN).await?;
    tokio::task::spawn_blocking(move || bare.end()).await??;
    Ok((died, passed))
}
