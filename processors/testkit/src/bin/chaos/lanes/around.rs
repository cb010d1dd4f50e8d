//! What stands around the path from request to result: Postgres, the registry, the models, the recorder, the api.

use std::time::Instant;

use testkit::{
    Answer, Proxy, ProxyRule, Rule, When,
    chaos::schedule::{Around, Breakage, ModelFault, Planned},
    parts::Part,
};
use tokio::time::sleep;

use super::due;
use crate::{
    load::{SHAKY, script},
    running::Running,
    world::{World, now},
};

pub struct Lane {
    pub registry: Part,
    pub postgres: Part,
    pub postgres_proxy: Proxy,
    pub recorder: Running,
    pub api: Running,
}

impl Lane {
    pub async fn run(mut self, world: &World, plan: Vec<Planned>, began: Instant) -> anyhow::Result<Self> {
        for planned in plan {
            due(&planned, began).await;
            self.recorder.mind(world)?;
            self.api.mind(world)?;
            let Breakage::Around(around) = planned.fault else {
                continue;
            };
            let (at, kind, lasts) = (now(), planned.fault.kind(), planned.lasts);
            match around {
                Around::KillPostgres => {
                    self.postgres.kill()?;
                    sleep(lasts).await;
                    self.postgres.start().await?;
                    world.log.note(at, kind, "postgres", format!("down for {lasts:?}"))?;
                }
                Around::Postgres(rule) => {
                    self.postgres_proxy.set(rule);
                    sleep(lasts).await;
                    self.postgres_proxy.set(ProxyRule::Pass);
                    world
                        .log
                        .note(at, kind, "postgres", format!("{rule:?} for {lasts:?}"))?;
                }
                Around::RegistryDown => {
                    // nobody stands still but who just came and knows no schema yet
                    let _away = world.board.registry_away();
                    self.registry.kill()?;
                    sleep(lasts).await;
                    self.registry.start().await?;
                    world.log.note(at, kind, "registry", format!("down for {lasts:?}"))?;
                }
                Around::Model(fault) => {
                    let mut broken = script(world.plan.seed, world.tail);
                    broken.rules.insert(0, shaky(fault));
                    world.model.script(broken);
                    sleep(lasts).await;
                    world.model.script(script(world.plan.seed, world.tail));
                    world.log.note(at, kind, "model", format!("for {lasts:?}"))?;
                }
                Around::KillRecorder => self.recorder = self.recorder.kill(world, kind, lasts).await?,
                Around::KillApi => self.api = self.api.kill(world, kind, lasts).await?,
            }
        }
        Ok(self)
    }
}

fn shaky(fault: ModelFault) -> Rule {
    Rule {
        when: When {
            contains: Some(SHAKY.to_owned()),
            ..When::default()
        },
        latency: None,
        answer: Some(match fault {
            ModelFault::RateLimited => Answer::RateLimited { retry_after_s: 1 },
            ModelFault::Failing => Answer::Status(500),
            ModelFault::Silent => Answer::Hang,
        }),
    }
}
