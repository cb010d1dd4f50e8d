//! Carries the schedule out. Each lane owns what it breaks, goes on at its own pace, and hands everything back whole.

mod around;
mod blows;
mod crashes;
mod outages;
pub mod topics;

use std::time::{Duration, Instant};

use testkit::{
    Proxy,
    chaos::schedule::{LANES, Planned},
    parts::{Data, Part},
};
use tokio::time::sleep_until;

use crate::{running::Running, world::World};

/// What the judge needs when Millrace has stopped.
pub struct Parts {
    _brokers: Vec<Part>,
    _registry: Part,
    _postgres: Part,
    _data: Data,
}

/// All that can be broken.
pub struct Stage {
    pub brokers: Vec<Part>,
    /// In front of the brokers, in their order.
    pub proxies: Vec<Proxy>,
    pub workers: Vec<Running>,
    pub registry: Part,
    pub postgres: Part,
    pub postgres_proxy: Proxy,
    pub recorder: Running,
    pub api: Running,
    /// The data of all parts goes when this goes.
    pub data: Data,
}

/// By their numbers in the schedule.
pub struct Lanes([Vec<Planned>; LANES]);

impl Lanes {
    pub fn of(plan: Vec<Planned>) -> Self {
        let mut lanes: [Vec<Planned>; LANES] = Default::default();
        for planned in plan {
            if let Some(lane) = lanes.get_mut(planned.lane) {
                lane.push(planned);
            }
        }
        Self(lanes)
    }

    /// Returns when everything that was broken is whole again.
    pub async fn run(self, world: &World, stage: Stage, began: Instant) -> anyhow::Result<Stage> {
        let Stage {
            brokers,
            proxies,
            workers,
            registry,
            postgres,
            postgres_proxy,
            recorder,
            api,
            data,
        } = stage;
        let outages = outages::Lane { brokers, proxies };
        let blows = blows::Lane { workers };
        let around = around::Lane {
            registry,
            postgres,
            postgres_proxy,
            recorder,
            api,
        };
        let [of_outages, of_blows, of_crashes, of_more_crashes, of_around, of_topics] = self.0;
        let (outages, blows, (), (), around, ()) = tokio::try_join!(
            outages.run(world, of_outages, began),
            blows.run(world, of_blows, began),
            crashes::run(world, of_crashes, began),
            crashes::run(world, of_more_crashes, began),
            around.run(world, of_around, began),
            Box::pin(topics::run(world, of_topics, began)),
        )?;
        Ok(Stage {
            brokers: outages.brokers,
            proxies: outages.proxies,
            workers: blows.workers,
            registry: around.registry,
            postgres: around.postgres,
            postgres_proxy: around.postgres_proxy,
            recorder: around.recorder,
            api: around.api,
            data,
        })
    }
}

impl Stage {
    /// Workers, recorder and api end in order; the parts stay for the judge.
    pub async fn stop_millrace(self, world: &World) -> anyhow::Result<Parts> {
        let Self {
            workers,
            recorder,
            api,
            brokers,
            registry,
            postgres,
            data,
            ..
        } = self;
        let workers = workers.into_iter().map(|worker| worker.stop(world));
        futures::future::try_join_all(workers).await?;
        tokio::try_join!(recorder.stop(world), api.stop(world))?;
        Ok(Parts {
            _brokers: brokers,
            _registry: registry,
            _postgres: postgres,
            _data: data,
        })
    }
}

/// When it is due; a lane that is late goes on after a moment of quiet.
async fn due(planned: &Planned, began: Instant) {
    const QUIET: Duration = Duration::from_millis(1_500);
    let at = (began + planned.at).max(Instant::now() + QUIET);
    sleep_until(at.into()).await;
}
