//! The engine without chains: a node that sleeps, or not even that, and copies each record into a result and an audit. It
//! runs as a process of its own (this program once more, with an errand), so that CPU and memory are the engine's alone.

use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Launch, Process};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::engine::{self, EngineSettings, Input, Node, Prepared, Rejection, Run, core::Committed};
use topics::{KafkaSettings, Output, Record};
use uuid::Uuid;

use crate::bad_topic;
use crate::kafka::{Bench, PARTITIONS};

const READY: &str = "the engine is ready";
const READY_WITHIN: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);

/// A request topic with its group, and two topics for what comes of it.
pub struct Bare {
    bench: Bench,
    pub input: String,
    pub results: String,
    pub audit: String,
    group: String,
    /// Sees what is committed now, also while a transaction is pending.
    observer: BaseConsumer,
    folder: TempDir,
}

/// What the group has committed.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub records: u64,
    /// Of the partition that has most: each transaction under load carries something of every partition.
    pub commits: u64,
}

#[derive(Serialize, Deserialize)]
pub struct Errand {
    bootstrap: String,
    input: String,
    outputs: Vec<String>,
    group: String,
    sleep: Duration,
    /// As in `millrace.yaml`.
    tuning: Value,
    /// See [`crate::bad_topic`].
    bad: Option<String>,
}

impl Bare {
    pub fn prepare(bench: &Bench) -> anyhow::Result<Self> {
        let run = Uuid::new_v4();
        let [input, results, audit] = ["requests", "results", "audit"].map(|name| format!("bare-{run}.{name}"));
        for topic in [&input, &results, &audit] {
            bench.create(topic)?;
        }
        let group = format!("bare-{run}");
        let mut config = bench.client();
        let observer: BaseConsumer = config
            .set("group.id", &group)
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_uncommitted")
            .create()?;
        // the first commit of a new group, as `topics apply` writes it
        let mut first = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            let mut element = first.add_partition(&input, partition);
            element.set_offset(Offset::Offset(0))?;
            element.set_metadata(Committed::first(0).encode());
        }
        observer.commit(&first, CommitMode::Sync)?;
        Ok(Self {
            bench: bench.clone(),
            input,
            results,
            audit,
            group,
            observer,
            folder: tempfile::tempdir()?,
        })
    }

    /// A member of the group, ready.
    pub async fn start(&self, name: &str, sleep: Duration, tuning: Value) -> anyhow::Result<Process> {
        self.start_launched(self.launch(name, sleep, tuning)?).await
    }

    pub async fn start_launched(&self, launch: Launch) -> anyhow::Result<Process> {
        let mut process = launch.start()?;
        process.line(READY, READY_WITHIN).await?;
        Ok(process)
    }

    pub fn launch(&self, name: &str, sleep: Duration, tuning: Value) -> anyhow::Result<Launch> {
        self.launch_with(name, sleep, tuning, None)
    }

    /// Some of its results go to this topic as well.
    pub fn launch_with(
        &self,
        name: &str,
        sleep: Duration,
        tuning: Value,
        bad: Option<String>,
    ) -> anyhow::Result<Launch> {
        let errand = Errand {
            bootstrap: self.bench.parts.bootstrap.clone(),
            input: self.input.clone(),
            outputs: vec![self.results.clone(), self.audit.clone()],
            group: self.group.clone(),
            sleep,
            tuning,
            bad,
        };
        let log = self.folder.path().join(format!("{name}.log"));
        let errand = serde_json::to_string(&errand)?;
        Ok(Launch::new(name, std::env::current_exe()?, log).args(["--bare", &errand]))
    }

    pub fn done(&self) -> anyhow::Result<Done> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.input, 0, PARTITIONS - 1);
        let mut done = Done { records: 0, commits: 0 };
        for element in self.observer.committed_offsets(asked, PATIENCE)?.elements() {
            let offset = element.offset().to_raw().context("there is no commit")?;
            let committed = Committed::decode(offset, element.metadata())?;
            done.records += u64::try_from(offset)? + committed.progress.len() as u64;
            done.commits = done.commits.max(committed.seq);
        }
        Ok(done)
    }

    pub fn end(self) -> anyhow::Result<()> {
        for topic in [&self.input, &self.results, &self.audit] {
            self.bench.delete(topic)?;
        }
        Ok(())
    }
}

/// In the process of its own: until `SIGTERM`.
pub async fn serve(errand: Errand) -> anyhow::Result<()> {
    let kafka = KafkaSettings {
        bootstrap_servers: errand.bootstrap,
        prefix: String::new(),
        client: std::collections::BTreeMap::new(),
    };
    let mut settings = EngineSettings::new(
        kafka,
        errand.group,
        vec![Input::new(errand.input)],
        errand.outputs.clone(),
    );
    settings.tuning = serde_json::from_value(errand.tuning)?;
    let node = Copying {
        sleep: errand.sleep,
        to: errand.outputs,
        bad: errand.bad,
    };
    let (ready, mut readiness) = watch::channel(Err("not started".to_owned()));
    tokio::spawn(async move {
        if readiness.wait_for(Result::is_ok).await.is_ok() {
            println!("{READY}");
        }
    });
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        terminated.recv().await;
        stop.cancel();
    });
    engine::run(settings, std::sync::Arc::new(node), ready, shutdown).await?;
    Ok(())
}

struct Copying {
    sleep: Duration,
    to: Vec<String>,
    bad: Option<String>,
}

impl Node for Copying {
    type Ready = ();

    async fn prepare(&self, _: &Record) -> Prepared<()> {
        Prepared::Ready(())
    }

    async fn run(&self, (): (), run: Run) -> Vec<Output> {
        if !self.sleep.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(self.sleep) => {}
                () = run.cancelled.cancelled() => return Vec::new(),
            }
        }
        let number = run.record.value.as_deref().and_then(crate::kafka::number);
        let bad = self.bad.iter().filter(|_| number.is_some_and(bad_topic::is_bad));
        let topics = self.to.iter().chain(bad);
        topics.map(|topic| copy(topic, &run.record)).collect()
    }

    fn rejected(&self, record: &Record, rejection: &Rejection, _: &[Output]) -> Vec<Output> {
        if self.bad.is_none() {
            tracing::error!(src = record.src(), "rejected: {}", rejection.message);
            return Vec::new();
        }
        self.to.iter().map(|topic| copy(topic, record)).collect()
    }
}

fn copy(topic: &str, record: &Record) -> Output {
    Output {
        topic: topic.to_owned(),
        partition: None,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: topics::Headers::new(),
    }
}
