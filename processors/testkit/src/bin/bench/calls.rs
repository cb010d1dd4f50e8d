//! Model calls over HTTP: first by the skeleton, then by Millrace, with the same model and the same number in flight.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use testkit::Usage;
use tokio::time::timeout_at;

use crate::figure::{Figure, Wanted};
use crate::kafka::Bench;
use crate::model::Model;
use crate::skeleton;
use crate::system::System;

/// More than any case answers in the usual time.
const RECORDS: usize = 150_000;

#[derive(Clone, Copy)]
pub struct Case {
    pub call_ms: u64,
    pub in_flight: u32,
    /// Of the skeleton: measured on 2 cores, Kafka 4.1.
    reference: Measured,
}

/// Calls a second, microseconds of CPU per call, megabytes resident.
pub type Measured = [f64; 3];

/// The smallest first: what a case leaves in the allocator counts as memory of the next one.
const CASES: [Case; 3] = [
    Case {
        call_ms: 1_000,
        in_flight: 1_000,
        reference: [983.0, 133.0, 75.0],
    },
    Case {
        call_ms: 60,
        in_flight: 1_024,
        reference: [9_950.0, 85.0, 105.0],
    },
    Case {
        call_ms: 1_000,
        in_flight: 10_000,
        reference: [6_400.0, 129.0, 380.0],
    },
];

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    for case in CASES {
        let folder = tempfile::tempdir()?;
        let model = Model::start(folder.path(), case.call_ms).await?;
        let floor = skeleton::run(bench, case, &model.url, RECORDS).await?;
        drop(model);
        let wanted = [Wanted::AtLeast(0.8), Wanted::AtMost(1.2), Wanted::AtMost(1.2)];
        for ((figure, reference), wanted) in case
            .figures("skeleton", floor)
            .into_iter()
            .zip(case.reference)
            .zip(wanted)
        {
            figure.against(reference, (1.0, 1.0), wanted).print()?;
        }
        for (figure, floor) in case
            .figures("system", system(bench, case).await?)
            .into_iter()
            .zip(floor)
        {
            figure
                .beside(floor)
                .under("reference: the skeleton of this run")
                .print()?;
        }
    }
    Ok(())
}

/// Millrace in one process, with a backlog of requests larger than what is worked off in the time.
async fn system(bench: &Bench, case: Case) -> anyhow::Result<Measured> {
    const SENDERS: usize = 1_000;
    let system = System::prepare(bench, case.call_ms, case.in_flight).await?;
    let mut results = system.results().await?;
    let sent = stream::iter(0..RECORDS)
        .map(|n| system.send("ask", format!("call-{n}")))
        .buffer_unordered(SENDERS);
    sent.try_for_each(|()| async { Ok(()) }).await?;
    let process = system.run("orchestrator").await?;

    let warm = Instant::now() + case.warm_up();
    while let Ok(Some(_)) = timeout_at(warm.into(), results.recv()).await {}
    let (meter, end, mut calls) = (Meter::start(process.pid())?, Instant::now() + case.measured(bench), 0);
    while let Ok(Some(_)) = timeout_at(end.into(), results.recv()).await {
        calls += 1;
    }
    let measured = meter.read(calls)?;
    process.kill()?;
    Ok(measured)
}

impl Case {
    pub fn warm_up(self) -> Duration {
        Duration::from_secs(2) + Duration::from_millis(2 * self.call_ms)
    }

    /// Whole rounds of the slowest calls.
    pub fn measured(self, bench: &Bench) -> Duration {
        bench.measurement * 3
    }

    fn figures(self, who: &str, [rate, cpu, memory]: Measured) -> [Figure; 3] {
        let name = format!("{who}, {} ms calls, {} in flight", self.call_ms, self.in_flight);
        [
            Figure::new("calls", name.clone(), rate, "calls/s"),
            Figure::new("calls", format!("{name}, CPU"), cpu, "µs/call"),
            Figure::new("calls", format!("{name}, resident"), memory, "MB"),
        ]
    }
}

/// CPU and memory of a process over a time.
pub struct Meter {
    pid: u32,
    start: Instant,
    before: Usage,
}

impl Meter {
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        Ok(Self {
            pid,
            start: Instant::now(),
            before: usage(pid)?,
        })
    }

    pub fn read(&self, calls: u64) -> anyhow::Result<Measured> {
        let (after, elapsed, calls) = (usage(self.pid)?, self.start.elapsed(), calls as f64);
        let cpu = (after.cpu - self.before.cpu).as_secs_f64();
        Ok([
            calls / elapsed.as_secs_f64(),
            cpu * 1e6 / calls.max(1.0),
            after.resident_bytes as f64 / 1e6,
        ])
    }
}

pub fn usage(pid: u32) -> anyhow::Result<Usage> {
    Usage::of(pid).context("there is no /proc here to read CPU and memory from")
}
