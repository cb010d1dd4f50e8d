//! Brokers and the network between them and their clients.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use testkit::{
    Proxy, ProxyRule as Rule,
    chaos::schedule::{Breakage, Outage, Planned},
    parts::{Cluster, Part},
};
use tokio::time::sleep;

use super::due;
use crate::world::{World, now};

pub struct Lane {
    pub brokers: Vec<Part>,
    pub proxies: Vec<Proxy>,
}

impl Lane {
    pub async fn run(mut self, world: &World, plan: Vec<Planned>, began: Instant) -> anyhow::Result<Self> {
        for planned in plan {
            due(&planned, began).await;
            let Breakage::Outage(outage) = planned.fault else {
                continue;
            };
            let kind = planned.fault.kind();
            match outage {
                Outage::KillBroker { pick } => {
                    let partition = i32::try_from(pick).unwrap_or_default();
                    let victim = self.leader(world, &world.topic("results"), partition).await?;
                    self.kill(world, kind, victim, planned.lasts).await?;
                }
                Outage::KillCoordinator => {
                    let partition = Cluster::coordinated_by(&world.plan.group);
                    let victim = self.leader(world, "__consumer_offsets", partition).await?;
                    self.kill(world, kind, victim, planned.lasts).await?;
                }
                Outage::RestartBroker { pick } => {
                    let _outage = world.board.outage();
                    let victim = pick % self.brokers.len();
                    let at = now();
                    let broker = self.brokers.get_mut(victim).context("no broker")?;
                    broker.stop().await?;
                    sleep(planned.lasts).await;
                    broker.start().await?;
                    world.log.note(at, kind, &name(victim), since(at))?;
                }
                Outage::Network { pick, rule } => self.disturb(world, kind, pick, rule, planned.lasts).await?,
            }
        }
        Ok(self)
    }

    async fn kill(&mut self, world: &World, kind: &str, victim: usize, lasts: Duration) -> anyhow::Result<()> {
        let _outage = world.board.outage();
        let at = now();
        let broker = self.brokers.get_mut(victim).context("no broker")?;
        broker.kill()?;
        sleep(lasts).await;
        broker.start().await?;
        world.log.note(at, kind, &name(victim), since(at))
    }

    /// One broker's clients; where there is one only, everybody.
    async fn disturb(&self, world: &World, kind: &str, pick: usize, rule: Rule, lasts: Duration) -> anyhow::Result<()> {
        let victim = pick % self.proxies.len();
        let proxy = self.proxies.get(victim).context("no proxy")?;
        let _outage = matches!(rule, Rule::Cut | Rule::BlackHole).then(|| world.board.outage());
        let at = now();
        proxy.set(rule);
        sleep(lasts).await;
        let dropped = proxy.dropped();
        proxy.set(Rule::Pass);
        if let Rule::DropAnswer { .. } = rule
            && dropped == 0
        {
            tracing::warn!(kind, "no such answer came by");
            return Ok(());
        }
        let detail = format!("{rule:?} for {lasts:?}, {dropped} answers dropped");
        world.log.note(at, kind, &name(victim), detail)
    }

    /// The place of the broker that leads this partition, or one of the topic's if it has not so many.
    async fn leader(&self, world: &World, topic: &str, partition: i32) -> anyhow::Result<usize> {
        if self.brokers.len() == 1 {
            return Ok(0);
        }
        const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
        let (bootstrap, topic) = (world.plan.bootstrap.clone(), topic.to_owned());
        let found = tokio::task::spawn_blocking(move || -> anyhow::Result<i32> {
            let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
            let metadata = client.fetch_metadata(Some(&topic), ANSWERS_WITHIN)?;
            let partitions = metadata.topics().first().context("no such topic")?.partitions();
            ensure!(!partitions.is_empty(), "{topic} has no partitions");
            let wanted = usize::try_from(partition).unwrap_or_default() % partitions.len();
            Ok(partitions
                .iter()
                .find(|partition| usize::try_from(partition.id()) == Ok(wanted))
                .context("no such partition")?
                .leader())
        });
        let id = found.await??;
        let place = usize::try_from(id - 1).unwrap_or_default();
        ensure!(place < self.brokers.len(), "partition {partition} has no leader");
        Ok(place)
    }
}

fn name(place: usize) -> String {
    format!("broker-{}", place + 1)
}

fn since(at: i64) -> String {
    let millis = (now() - at) / 1_000;
    format!("answered again after {millis} ms")
}
