//! Ten thousand at once in one process on four partitions: steps that sleep in the process, and model calls over HTTP.

use std::time::Duration;

use serde_json::json;

use crate::bare::Bare;
use crate::calls::{Case, fill, worked};
use crate::figure::{Figure, Wanted, progress};
use crate::kafka::Bench;
use crate::meter::usage;
use crate::model::Model;
use crate::skeleton;
use crate::system::{Setup, System};

const IN_FLIGHT: usize = 10_000;
const STEP: Duration = Duration::from_secs(1);
const MEASURED_STEPS: u32 = 8;
const CALLS: Case = Case {
    call_ms: 5_000,
    in_flight: IN_FLIGHT,
};

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    progress("inflight: in process");
    let sleeping = bench.clone();
    tokio::task::spawn_blocking(move || sleep(&sleeping)).await??;
    progress("inflight: skeleton");
    let folder = tempfile::tempdir()?;
    let model = Model::start(folder.path(), CALLS.call_ms).await?;
    let skeleton = skeleton::run(bench, CALLS, &model.url).await?;
    drop(model);
    progress("inflight: system");
    let system = System::prepare(bench, Setup::new(CALLS.call_ms, CALLS.in_flight)).await?;
    let seconds = (CALLS.warm_up() + CALLS.measured(bench)).as_secs_f64() + 10.0;
    let ideal = IN_FLIGHT as f64 / Duration::from_millis(CALLS.call_ms).as_secs_f64();
    fill(&system, (ideal * seconds) as usize).await?;
    let measured = worked(bench, &system, CALLS).await?;

    for figure in CALLS.figures("inflight", "skeleton", skeleton) {
        figure.print()?;
    }
    let [rate, cpu, memory] = CALLS.figures("inflight", "system", measured);
    rate.against(ideal, (1.0, 1.0), Wanted::AtLeast(0.95))
        .under("reference: Little's law")
        .print()?;
    cpu.beside(skeleton[1])
        .under("reference: the skeleton of this run")
        .print()?;
    memory
        .against(skeleton[2], (1.0, 1.0), Wanted::AtMost(1.3))
        .under("reference: the skeleton of this run")
        .print()
}

fn sleep(bench: &Bench) -> anyhow::Result<()> {
    const BEFORE: Duration = Duration::from_secs(3);
    let bare = Bare::prepare(bench)?;
    let process = bare.launch("engine", STEP, json!({"in_flight": IN_FLIGHT}))?.start()?;
    std::thread::park_timeout(BEFORE);
    let idle = usage(process.pid())?;
    let ideal = IN_FLIGHT as f64 / STEP.as_secs_f64();
    // in the first second no faster than they would end, or they would end in bursts for ever
    bench.trickle(&bare.input, IN_FLIGHT, STEP)?;
    bench.fill(&bare.input, IN_FLIGHT * (MEASURED_STEPS as usize + 5), |n| {
        format!("b-{n}")
    })?;
    std::thread::park_timeout(STEP);
    let (before, began) = (bare.done()?, std::time::Instant::now());
    std::thread::park_timeout(STEP * MEASURED_STEPS);
    let (after, took) = (bare.done()?, began.elapsed());
    let busy = usage(process.pid())?;
    process.kill()?;
    bare.end()?;

    let rate = (after.records - before.records) as f64 / took.as_secs_f64();
    let bytes = busy.resident_bytes.saturating_sub(idle.resident_bytes) as f64;
    let name = format!("in process, steps of {STEP:?}, {IN_FLIGHT} in flight");
    Figure::new("inflight", name.clone(), rate, "runs/s")
        .against(ideal, (1.0, 1.0), Wanted::AtLeast(0.95))
        .under("reference: Little's law; records of 1 KB, a result and an audit each")
        .print()?;
    Figure::new(
        "inflight",
        format!("{name}, memory over idle"),
        bytes / IN_FLIGHT as f64 / 1e3,
        "KB/run",
    )
    .at_most(10.0)
    .print()
}
