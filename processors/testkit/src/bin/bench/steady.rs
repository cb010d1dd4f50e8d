//! A thousand requests a second with one call of 300 ms each, in one process of all roles, for as long as it is watched.

use std::time::{Duration, Instant};

use crate::figure::{Figure, percentile, progress};
use crate::kafka::Bench;
use crate::meter::{Meter, usage};
use crate::system::{Setup, System};

const PER_SECOND: f64 = 1_000.0;
const CALL_MS: u64 = 300;
const MINUTE: Duration = Duration::from_secs(60);
/// Connections are opened and code is warm after this.
const WARM_UP: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const WITHIN: Duration = Duration::from_secs(60);

/// What was seen of the process, look by look.
pub struct Watched {
    pub resident_mb: Vec<f64>,
    conditions: String,
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    watch(bench, "steady", MINUTE).await.map(drop)
}

/// Prints what any such time must show.
pub async fn watch(bench: &Bench, scenario: &'static str, time: Duration) -> anyhow::Result<Watched> {
    let system = System::prepare(bench, Setup::new(CALL_MS, 1_024)).await?;
    let member = system.run("orchestrator,recorder,api").await?;
    let flow = system.flow(bench, "ask", PER_SECOND)?;
    tokio::time::sleep(WARM_UP).await;
    let (meter, start, before) = (Meter::start(member.pid())?, Instant::now(), flow.seen());
    let (mut resident_mb, mut lags, mut told) = (Vec::new(), Vec::new(), 0);
    while start.elapsed() < time {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        resident_mb.push(usage(member.pid())?.resident_bytes as f64 / 1e6);
        lags.push(flow.asked().saturating_sub(flow.seen()) as f64 / PER_SECOND);
        let minutes = start.elapsed().as_secs() / 60;
        if minutes > told {
            told = minutes;
            progress(&format!("{scenario}: minute {minutes} of {}", time.as_secs() / 60));
        }
    }
    let seen = (flow.seen() - before) as u64;
    let [_, cpu, _] = meter.read(seen)?;
    let passed = flow.end(WITHIN).await?;
    member.stop().await?;

    let watched = Watched {
        conditions: format!(
            "{PER_SECOND} requests/s, {CALL_MS} ms calls, all roles in one process, {} s",
            time.as_secs()
        ),
        resident_mb,
    };
    let figure = |metric: &str, value, unit| watched.figure(scenario, metric, value, unit);
    for (share, name) in [(0.5, "median"), (1.0, "most")] {
        figure(
            &format!("requests without a result, {name}"),
            percentile(&mut lags, share),
            "s of input",
        )
        .at_most(1.0)
        .print()?;
    }
    let most = watched.resident_mb.iter().copied().fold(0.0, f64::max);
    figure("most resident", most, "MB").at_most(300.0).print()?;
    figure("CPU", cpu, "µs/request").print()?;
    let mut times = passed.latencies(|_, at, _| at > start);
    for (share, name) in [(0.5, "median"), (0.99, "99th percentile")] {
        let value = percentile(&mut times, share) * 1e3;
        figure(&format!("request to result, {name}"), value, "ms").print()?;
    }
    figure("repeated results", passed.repeated() as f64, "results")
        .at_most(0.0)
        .print()?;
    Ok(watched)
}

impl Watched {
    pub fn figure(&self, scenario: &'static str, metric: &str, value: f64, unit: &'static str) -> Figure {
        Figure::new(scenario, metric, value, unit).under(&self.conditions)
    }
}
