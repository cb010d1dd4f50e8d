//! A thousand requests a second, each with one call of 300 ms, in one process.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};

use crate::figure::{Figure, milliseconds, percentile};
use crate::kafka::Bench;
use crate::meter::usage;
use crate::system::{Setup, System};

const PER_SECOND: u32 = 1_000;
const CALL_MS: u64 = 300;
/// Connections are opened and code is warm after this.
const WARM_UP: Duration = Duration::from_secs(10);
/// What is still under way when the last request is sent.
const DRAINED_WITHIN: Duration = Duration::from_secs(30);

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    // a minute with the default of 3 s a measurement
    let measured = bench.measurement * 20;
    let system = System::prepare(bench, Setup::new(CALL_MS, 1_024)).await?;
    let process = system.run("orchestrator,recorder,api").await?;
    let mut results = system.results().await?;

    let total = WARM_UP + measured;
    let mut tick = interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut sending, mut sent, mut open) = (FuturesUnordered::new(), 0_u32, HashMap::new());
    let (mut latencies, mut most_open, mut most_resident) = (Vec::new(), 0, 0);
    let mut cpu = None;
    let start = Instant::now();
    while start.elapsed() < total || !open.is_empty() {
        let is_warm = start.elapsed() > WARM_UP;
        tokio::select! {
            _ = tick.tick() => {
                let usage = usage(process.pid())?;
                if is_warm {
                    most_resident = most_resident.max(usage.resident_bytes);
                    most_open = most_open.max(open.len());
                    cpu.get_or_insert(usage.cpu);
                }
                anyhow::ensure!(start.elapsed() < total + DRAINED_WITHIN, "{} results are missing", open.len());
                if start.elapsed() < total {
                    for _ in 0..PER_SECOND / 100 {
                        let id = format!("steady-{sent}");
                        open.insert(id.clone(), Instant::now());
                        sending.push(system.send("ask", id, None));
                        sent += 1;
                    }
                }
            }
            Some(sent) = sending.next() => sent?,
            Some((id, seen)) = results.recv() => {
                if let Some(began) = open.remove(&id) && is_warm {
                    latencies.push(milliseconds(seen - began));
                }
            }
        }
    }
    let used = usage(process.pid())?.cpu - cpu.unwrap_or_default();
    let name = format!("{PER_SECOND} requests/s, {CALL_MS} ms calls");
    // of the requests that are open a model's latency is not lag
    let lag = most_open as f64 / f64::from(PER_SECOND) - Duration::from_millis(CALL_MS).as_secs_f64();
    Figure::new("steady", format!("{name}, most lag"), lag.max(0.0), "s of input")
        .at_most(1.0)
        .print()?;
    let memory = most_resident as f64 / 1e6;
    Figure::new("steady", format!("{name}, most resident"), memory, "MB")
        .at_most(300.0)
        .print()?;
    for (share, of) in [(0.5, "median"), (0.99, "99th percentile")] {
        Figure::new(
            "steady",
            format!("{name}, request to result, {of}"),
            percentile(&mut latencies, share),
            "ms",
        )
        .print()?;
    }
    let per_request = used.as_secs_f64() * 1e6 / latencies.len().max(1) as f64;
    Figure::new("steady", format!("{name}, CPU"), per_request, "µs/request").print()?;
    process.stop().await?;
    Ok(())
}
