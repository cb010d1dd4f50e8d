//! Model calls over HTTP: the skeleton and Millrace in turns, with the same model and the same number in flight.
//!
//! The first rounds do not count: a broker that has just started compiles what it is made to do, which took up to a third of
//! this machine.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};

use crate::figure::{Figure, Wanted, median, progress};
use crate::kafka::Bench;
use crate::meter::{Measured, Meter};
use crate::model::Model;
use crate::skeleton;
use crate::system::{Setup, System};

/// More calls a second than Millrace answers here: a round must not end for lack of requests.
const BACKLOG: u64 = 12_000;
const WARMING: usize = 2;

#[derive(Clone, Copy)]
pub struct Case {
    pub call_ms: u64,
    pub in_flight: usize,
}

pub const SHORT_CALLS: Case = Case {
    call_ms: 60,
    in_flight: 1_024,
};

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    let case = SHORT_CALLS;
    let setup = || Setup::new(case.call_ms, case.in_flight);
    let system = System::prepare(bench, setup()).await?;
    let without = System::prepare(bench, setup().with("WRITE_AHEAD", &false)).await?;
    let (mut skeletons, mut systems, mut withouts) = (Vec::new(), Vec::new(), Vec::new());
    let rounds = bench.rounds + WARMING;
    let backlog = (case.warm_up() + case.measured(bench)).as_secs() * BACKLOG;
    for round in 1..=rounds {
        progress(&format!("calls: round {round} of {rounds}, skeleton"));
        let folder = tempfile::tempdir()?;
        let model = Model::start(folder.path(), case.call_ms).await?;
        let skeleton = skeleton::run(bench, case, &model.url).await?;
        progress(&format!(
            "calls: {:.0}/s, {:.0} µs of CPU each",
            skeleton[0], skeleton[1]
        ));
        skeletons.push(skeleton);
        drop(model);
        for (system, measured, books) in [(&system, &mut systems, "on"), (&without, &mut withouts, "off")] {
            progress(&format!(
                "calls: round {round} of {rounds}, system, write-ahead {books}"
            ));
            fill(system, usize::try_from(backlog)?).await?;
            let worked = worked(bench, system, case).await?;
            let [rate, cpu, _] = worked;
            progress(&format!("calls: {rate:.0}/s, {cpu:.0} µs of CPU each"));
            measured.push(worked);
        }
        if round <= WARMING {
            for measured in [&mut skeletons, &mut systems, &mut withouts] {
                measured.clear();
            }
        }
    }
    let [skeleton, system, without] = [&skeletons, &systems, &withouts].map(|rounds| medians(rounds));
    for figure in case.figures("calls", "skeleton", skeleton) {
        figure.print()?;
    }
    let wanted = [Wanted::AtLeast(0.7), Wanted::AtMost(1.5), Wanted::AtMost(1.5)];
    let figures = case.figures("calls", "system", system).into_iter();
    for ((figure, skeleton), wanted) in figures.zip(skeleton).zip(wanted) {
        figure
            .against(skeleton, (1.0, 1.0), wanted)
            .under("reference: the skeleton of this run; Avro, audit and write-ahead included")
            .print()?;
    }
    let figures = case.figures("calls", "system without write-ahead", without).into_iter();
    for (figure, system) in figures.zip(system) {
        figure
            .beside(system)
            .under("reference: the system of this run")
            .print()?;
    }
    Ok(())
}

pub async fn fill(system: &System, records: usize) -> anyhow::Result<()> {
    const SENDERS: usize = 1_000;
    let sent = stream::iter(0..records)
        .map(|n| system.send("ask", format!("call-{n}")))
        .buffer_unordered(SENDERS);
    sent.try_for_each(|()| async { Ok(()) }).await
}

/// One process, as long as a round takes, on a backlog that is larger. Results are counted as the engine commits them:
/// a reader beside it would take of the CPU that is measured.
pub async fn worked(bench: &Bench, system: &System, case: Case) -> anyhow::Result<Measured> {
    let member = system.run("orchestrator").await?;
    tokio::time::sleep(case.warm_up()).await;
    let (meter, before) = (Meter::start(member.pid())?, member.committed().await?);
    tokio::time::sleep(case.measured(bench)).await;
    let measured = meter.read(member.committed().await? - before)?;
    member.stop().await?;
    Ok(measured)
}

pub fn medians(rounds: &[Measured]) -> Measured {
    [0, 1, 2].map(|of| median(rounds.iter().map(|round| round[of]).collect()))
}

impl Case {
    pub fn warm_up(self) -> Duration {
        Duration::from_secs(2) + Duration::from_millis(2 * self.call_ms)
    }

    /// Whole rounds of slow calls.
    pub fn measured(self, bench: &Bench) -> Duration {
        (bench.measurement * 3).max(Duration::from_millis(4 * self.call_ms))
    }

    pub fn figures(self, scenario: &'static str, who: &str, [rate, cpu, memory]: Measured) -> [Figure; 3] {
        let name = format!("{who}, {} ms calls, {} in flight", self.call_ms, self.in_flight);
        [
            Figure::new(scenario, name.clone(), rate, "calls/s"),
            Figure::new(scenario, format!("{name}, CPU"), cpu, "µs/call"),
            Figure::new(scenario, format!("{name}, resident"), memory, "MB"),
        ]
    }
}
