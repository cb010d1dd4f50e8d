//! What owners and operators do to topics while they are in use: an owner's topic goes away and comes back, a topic of requests
//! grows, and retention deletes what everybody has read.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaErrorCode,
};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use testkit::{
    chaos::{
        check::{MADE_AGAIN, archive},
        schedule::{Breakage, OfTopic, Planned},
    },
    kafka,
};
use tokio::time::sleep;

use super::due;
use crate::{
    drain,
    load::FICKLE,
    world::{World, now},
};

/// Brokers come and go meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub async fn run(world: &World, plan: Vec<Planned>, began: Instant) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &world.plan.bootstrap)
        .create()?;
    for planned in plan {
        due(&planned, began).await;
        let Breakage::Topic(of_topic) = planned.fault else {
            continue;
        };
        let kind = planned.fault.kind();
        match of_topic {
            OfTopic::Away => away(world, &admin, kind, planned.lasts).await?,
            OfTopic::Grow => grow(world, &admin, kind).await?,
            OfTopic::DeleteRecords => delete_records(world, kind).await?,
        }
    }
    Ok(())
}

/// Of an owner: Millrace does not make it.
pub async fn make(admin: &AdminClient<DefaultClientContext>, name: &str, brokers: usize) -> anyhow::Result<()> {
    const PARTITIONS: i32 = 3;
    let replicas = i32::try_from(brokers)?;
    let began = Instant::now();
    loop {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(replicas));
        let made = admin.create_topics([&topic], &options()).await;
        match made.as_deref() {
            Ok([Ok(_)]) => return Ok(()),
            // one that was just deleted is still there for a moment
            outcome if began.elapsed() > PATIENCE => bail!("cannot make {name}: {outcome:?}"),
            _ => sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn away(
    world: &World,
    admin: &AdminClient<DefaultClientContext>,
    kind: &str,
    lasts: Duration,
) -> anyhow::Result<()> {
    let name = world
        .plan
        .emits
        .get(FICKLE)
        .context("no chain emits to a topic that goes away")?;
    let at = now();
    let began = Instant::now();
    loop {
        let deleted = admin.delete_topics(&[name], &options()).await;
        match deleted.as_deref() {
            Ok([Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))]) => break,
            outcome if began.elapsed() > PATIENCE => bail!("cannot delete {name}: {outcome:?}"),
            _ => sleep(Duration::from_millis(200)).await,
        }
    }
    world.log.note(at, kind, name, format!("away for {lasts:?}"))?;
    sleep(lasts).await;
    make(admin, name, world.plan.brokers).await?;
    world.log.note(now(), MADE_AGAIN, name, "empty")
}

/// By a partition, to which producers send at once what they have keys for.
async fn grow(world: &World, admin: &AdminClient<DefaultClientContext>, kind: &str) -> anyhow::Result<()> {
    let name = world.topic("requests");
    let (at, began) = (now(), Instant::now());
    loop {
        if let Ok(partitions) = partitions(world, &name).await {
            let wanted = NewPartitions::new(&name, partitions + 1);
            if matches!(
                admin.create_partitions([&wanted], &options()).await.as_deref(),
                Ok([Ok(_)])
            ) {
                return world
                    .log
                    .note(at, kind, &name, format!("to {} partitions", partitions + 1));
            }
        }
        if began.elapsed() > PATIENCE {
            bail!("{name} does not get another partition");
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn partitions(world: &World, topic: &str) -> anyhow::Result<usize> {
    let (bootstrap, topic) = (world.plan.bootstrap.clone(), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || -> anyhow::Result<usize> {
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
        let metadata = client.fetch_metadata(Some(&topic), ANSWERS_WITHIN)?;
        Ok(metadata.topics().first().context("no such topic")?.partitions().len())
    });
    asked.await?
}

/// What the recorder has, and, of requests, what is below the watermark of the workers. For the judge it is kept.
async fn delete_records(world: &World, kind: &str) -> anyhow::Result<()> {
    let at = now();
    let mut topics = world.plan.request_topics.clone();
    topics.extend(["audit", "attempts", "dead-letters"].map(|name| world.topic(name)));
    let mut count = 0;
    for topic in topics {
        let began = Instant::now();
        // who is away now is waited for: nothing is deleted that somebody needs
        count += loop {
            match delete(world, &topic).await {
                Ok(deleted) => break deleted,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.context(format!("{topic} stays whole"))),
                Err(_) => sleep(Duration::from_millis(500)).await,
            }
        };
    }
    if count > 0 {
        world
            .log
            .note(at, kind, "requests and books", format!("{count} records"))?;
    }
    Ok(())
}

async fn delete(world: &World, topic: &str) -> anyhow::Result<usize> {
    let until = read_by_all(world, topic).await?;
    let (bootstrap, name, places) = (world.plan.bootstrap.clone(), topic.to_owned(), until.clone());
    let archived = tokio::task::spawn_blocking(move || archive(&bootstrap, &name, &places)).await??;
    let path = world.folder.archive();
    let mut lines = Vec::new();
    for record in &archived {
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
    }
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    file.write_all(&lines)
        .with_context(|| format!("cannot write {}", path.display()))?;
    for (partition, offset) in until {
        kafka::delete_before(&world.plan.bootstrap, topic, partition, offset).await?;
    }
    Ok(archived.len())
}

async fn read_by_all(world: &World, topic: &str) -> anyhow::Result<BTreeMap<i32, i64>> {
    let options: PgConnectOptions = world.plan.postgres_url.parse()?;
    let mut connection = options.disable_statement_logging().connect().await?;
    let positions = drain::positions(&mut connection).await?;
    connection.close().await?;
    let mut until: BTreeMap<i32, i64> = positions
        .into_iter()
        .filter(|((of, _), next)| of == topic && *next > 0)
        .map(|((_, partition), next)| (partition, next))
        .collect();
    if world.plan.request_topics.iter().any(|known| known == topic) {
        let (bootstrap, group, name) = (world.plan.bootstrap.clone(), world.plan.group.clone(), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || kafka::committed(&bootstrap, &group, &name));
        let committed: BTreeMap<i32, i64> = asked
            .await??
            .into_iter()
            .filter_map(|at| Some((at.partition, at.offset?)))
            .collect();
        until.retain(|partition, next| {
            *next = committed.get(partition).copied().unwrap_or_default().min(*next);
            *next > 0
        });
    }
    Ok(until)
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(ANSWERS_WITHIN))
        .request_timeout(Some(ANSWERS_WITHIN))
}
