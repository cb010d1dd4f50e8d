//! How long the partitions of a worker that died stood still.

use std::{collections::BTreeMap, fs, time::Duration};

use testkit::{
    chaos::{Fault, RunFolder, Seen},
    history::{Event, Line, lines},
};

use crate::{silence::Silences, world::World};

/// A claim or a release, by worker.
struct Tenure {
    at: i64,
    worker: String,
    is_claim: bool,
}

/// From the death of a worker to the first result of a partition of its own that was seen after the next claim of it, as
/// far as it is the heir's doing: see [`Silences::takeover`]. An heir that dies before it has a result has taken over, and
/// what follows is told of its own death.
///
/// Deaths after which nobody had to take over (nothing was claimed, or nothing more was asked there) do not count.
pub fn longest(world: &World) -> anyhow::Result<Duration> {
    let faults: Vec<Fault> = lines(&world.folder.faults())?.collect::<Result<_, _>>()?;
    let session = i64::try_from(world.plan.session_timeout_ms)? * 1_000;
    let silences = Silences::of(&faults, session, world.board.was_away());
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for result in lines::<Seen>(&world.folder.reader())? {
        let result = result?;
        if let Some((partition, _)) = result.src.rsplit_once('/') {
            seen.entry(partition.to_owned()).or_default().push(result.at);
        }
    }
    let tenures = tenures(&world.folder)?;
    let mut longest = 0;
    for death in faults.iter().filter(|fault| fault.crash.is_some()) {
        for (partition, tenures) in &tenures {
            let owner = tenures.iter().rfind(|tenure| tenure.at <= death.at);
            if !owner.is_some_and(|owner| owner.is_claim && owner.worker == death.target) {
                continue;
            }
            let Some(heir) = tenures.iter().find(|tenure| tenure.at > death.at && tenure.is_claim) else {
                continue;
            };
            let results = seen.get(partition).map_or(&[][..], Vec::as_slice);
            let Some(next) = results.iter().find(|at| **at > heir.at) else {
                continue;
            };
            let dies = |fault: &&Fault| fault.crash.is_some() && fault.target == heir.worker;
            let heir_dies = faults.iter().find(dies).map_or(i64::MAX, |fault| fault.at);
            let over = if heir_dies < *next { heir.at } else { *next };
            let took = silences.takeover(death.at, over);
            if took > longest {
                longest = took;
                let (after, took) = (seconds(over - death.at), seconds(took));
                tracing::info!(
                    worker = death.target,
                    partition,
                    after,
                    took,
                    "the longest takeover so far"
                );
            }
        }
    }
    Ok(Duration::from_micros(longest.try_into().unwrap_or_default()))
}

/// By partition of the requests (`topic/partition`), in the order of time.
fn tenures(folder: &RunFolder) -> anyhow::Result<BTreeMap<String, Vec<Tenure>>> {
    let mut tenures: BTreeMap<String, Vec<Tenure>> = BTreeMap::new();
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let worker = name
            .strip_prefix("worker-")
            .and_then(|name| name.strip_suffix(".jsonl"));
        let Some(worker) = worker else { continue };
        for line in lines::<Line>(&path)? {
            let line = line?;
            let (topic, partition, is_claim) = match line.event {
                Event::Claimed { topic, partition, .. } => (topic, partition, true),
                Event::Released { topic, partition, .. } => (topic, partition, false),
                _ => continue,
            };
            tenures.entry(format!("{topic}/{partition}")).or_default().push(Tenure {
                at: line.at,
                worker: worker.to_owned(),
                is_claim,
            });
        }
    }
    tenures
        .values_mut()
        .for_each(|tenures| tenures.sort_by_key(|tenure| tenure.at));
    Ok(tenures)
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}
