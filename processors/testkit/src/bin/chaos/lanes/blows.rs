//! The ordinary workers, and those that come and go in a storm.

use std::time::Instant;

use anyhow::Context;
use testkit::chaos::schedule::{Blow, Breakage, Planned};
use tokio::time::sleep;

use super::due;
use crate::{
    running::Running,
    world::{World, now},
};

pub struct Lane {
    pub workers: Vec<Running>,
}

impl Lane {
    pub async fn run(mut self, world: &World, plan: Vec<Planned>, began: Instant) -> anyhow::Result<Self> {
        for planned in plan {
            due(&planned, began).await;
            for worker in &mut self.workers {
                worker.mind(world)?;
            }
            let Breakage::Worker(blow) = planned.fault else {
                continue;
            };
            match blow {
                Blow::Kill { worker } => {
                    let victim = self.workers.remove(worker);
                    let heir = victim.kill(world, planned.fault.kind(), planned.lasts).await?;
                    self.workers.insert(worker, heir);
                }
                Blow::Stop { worker } => {
                    let victim = self.workers.remove(worker);
                    let heir = victim.replace(world, planned.lasts).await?;
                    self.workers.insert(worker, heir);
                }
                Blow::Pause { worker } => {
                    let victim = self.workers.get_mut(worker).context("no such worker")?;
                    victim.pause(world, planned.lasts).await?;
                }
                Blow::Storm { members } => storm(world, members, &planned).await?,
            }
        }
        for worker in &mut self.workers {
            worker.mind(world)?;
        }
        Ok(self)
    }
}

/// They come one after the other and leave in the same order, every other one without a word.
async fn storm(world: &World, members: usize, planned: &Planned) -> anyhow::Result<()> {
    let at = now();
    let step = planned.lasts / u32::try_from(2 * members).unwrap_or(1);
    let mut crowd = Vec::new();
    for number in 0..members {
        crowd.push(Running::start(world, &format!("storm{number}"), "orchestrator", None)?);
        sleep(step).await;
    }
    world
        .log
        .note(at, planned.fault.kind(), "storm", format!("{members} members"))?;
    for (number, mut member) in crowd.into_iter().enumerate() {
        // one that has not joined yet would not leave either
        let _ = member.ready(&world.http).await;
        sleep(step).await;
        if number % 2 == 0 {
            member.stop(world).await?;
        } else {
            member.abandon(world).await?;
        }
    }
    Ok(())
}
