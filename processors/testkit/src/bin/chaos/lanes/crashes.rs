//! A worker or a recorder more joins, to die at one place of its transaction.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use testkit::{Signal, chaos::schedule::Breakage, chaos::schedule::Planned, until};
use tokio::time::sleep;

use super::due;
use crate::{death::crash, running::Running, world::World};

/// Outages included.
const DIES_WITHIN: Duration = Duration::from_secs(20);

/// Of what was missed, when everything else is over.
const TRIES: usize = 2;

pub async fn run(world: &World, plan: Vec<Planned>, began: Instant) -> anyhow::Result<()> {
    let (mut passed, mut missed) = (BTreeSet::new(), Vec::new());
    for planned in plan {
        due(&planned, began).await;
        if dies(world, &planned).await? {
            passed.extend(point_of(&planned));
        } else {
            missed.push(planned);
        }
    }
    // The load goes on until the lanes are through: only for a place where nobody has died yet.
    for planned in missed {
        for _ in 0..TRIES {
            if point_of(&planned).is_some_and(|point| passed.contains(point)) {
                break;
            }
            if dies(world, &planned).await? {
                passed.extend(point_of(&planned));
            }
        }
    }
    Ok(())
}

fn point_of(planned: &Planned) -> Option<&'static str> {
    match planned.fault {
        Breakage::CrashPoint { point, .. } => Some(point),
        _ => None,
    }
}

async fn dies(world: &World, planned: &Planned) -> anyhow::Result<bool> {
    let Breakage::CrashPoint { point, time } = planned.fault else {
        return Ok(true);
    };
    let (chosen, kind) = (format!("{point}:{time}"), planned.fault.kind());
    let role = if point.starts_with("recorder") {
        "recorder"
    } else {
        "orchestrator"
    };
    let mut worker = Running::start(world, "crash", role, Some(&chosen))?;
    let leaves = point == "released";
    if leaves {
        leave(world, &mut worker).await?;
    }
    let mut in_flight = 0;
    let died = until(DIES_WITHIN, async || {
        let now = world.model.in_flight(&worker.name);
        let ended = worker.process.exit().transpose();
        if ended.is_none() {
            in_flight = now;
        }
        ended
    });
    let ended = died.await;
    let did = fs::read_to_string(worker.process.log()).is_ok_and(|log| log.contains("crash point: "));
    match ended {
        Ok(_) if did => {
            let mut death = crash(world, &worker.name, Some(point), world.maps.latest());
            death.in_flight = in_flight;
            if role == "recorder" {
                // the maps are not its own
                death.map = 0;
            }
            world.log.death(kind, &worker.name, &chosen, death)?;
            Ok(true)
        }
        Ok(status) => {
            let status = status?;
            if leaves && status.success() {
                tracing::warn!(
                    chosen,
                    "it left with nothing to release: another fault had taken its partitions"
                );
            } else {
                world.log.ended_by_itself(&worker.name, &status.to_string())?;
            }
            Ok(false)
        }
        Err(late) => {
            tracing::warn!(chosen, %late, "the crash point was not reached");
            worker.abandon(world).await?;
            Ok(false)
        }
    }
}

/// Once it has something to release.
async fn leave(world: &World, worker: &mut Running) -> anyhow::Result<()> {
    let history = world.folder.worker(&worker.name);
    let owns = until(DIES_WITHIN, async || {
        let text = fs::read_to_string(&history).unwrap_or_default();
        text.contains("\"committed\"").then_some(())
    });
    if owns.await.is_ok() {
        sleep(Duration::from_millis(200)).await;
        worker.process.signal(Signal::TERM)?;
    }
    Ok(())
}
