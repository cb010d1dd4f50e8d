//! A thousand requests a second with one call of 300 ms each, for long, in one process of all roles: does it grow?

use std::time::{Duration, Instant};

use crate::figure::{Figure, Wanted, median, percentile, progress};
use crate::kafka::Bench;
use crate::meter::{Meter, usage};
use crate::system::{Setup, System};

const PER_SECOND: f64 = 1_000.0;
const CALL_MS: u64 = 300;
/// Connections are opened and code is warm after this.
const WARM_UP: Duration = Duration::from_secs(10);
const WITHIN: Duration = Duration::from_secs(60);

pub async fn run(bench: &Bench, time: Duration) -> anyhow::Result<()> {
    let system = System::prepare(bench, Setup::new(CALL_MS, 1_024)).await?;
    let member = system.run("orchestrator,recorder,api").await?;
    let flow = system.flow(bench, "ask", PER_SECOND)?;
    tokio::time::sleep(WARM_UP).await;
    let (meter, start, before) = (Meter::start(member.pid())?, Instant::now(), flow.seen());
    let mut resident = Vec::new();
    let mut told = 0;
    while start.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(200)).await;
        resident.push(usage(member.pid())?.resident_bytes as f64 / 1e6);
        let minutes = start.elapsed().as_secs() / 60;
        if minutes > told {
            told = minutes;
            progress(&format!("memory: minute {minutes} of {}", time.as_secs() / 60));
        }
    }
    let seen = (flow.seen() - before) as u64;
    let [_, cpu, _] = meter.read(seen)?;
    let passed = flow.end(WITHIN).await?;
    member.stop().await?;

    let conditions = format!(
        "{PER_SECOND} requests/s, {CALL_MS} ms calls, all roles in one process, {} s",
        time.as_secs()
    );
    let figure = |metric: &str, value, unit| Figure::new("memory", metric, value, unit).under(&conditions);
    let third = resident.len() / 3;
    let of = |samples: &[f64]| median(samples.to_vec());
    let (second, last) = (of(&resident[third..2 * third]), of(&resident[2 * third..]));
    figure("resident, last third", last, "MB")
        .against(second, (1.0, 1.0), Wanted::AtMost(1.05))
        .under("reference: the second third")
        .print()?;
    let most = resident.iter().copied().fold(0.0, f64::max);
    figure("most resident", most, "MB").at_most(300.0).print()?;
    figure("CPU", cpu, "µs/request").print()?;
    let mut times = passed.latencies(|_, at, _| at > start);
    for (share, name) in [(0.5, "median"), (0.99, "99th percentile")] {
        let value = percentile(&mut times, share) * 1e3;
        figure(&format!("request to result, {name}"), value, "ms").print()?;
    }
    figure("repeated results", passed.repeated() as f64, "results")
        .at_most(0.0)
        .print()
}
