//! The loop: follow, read, write.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use topics::{Batch, Follower, FollowerError, FollowerSettings, TopicPartition};

use crate::{
    Dependencies, RecorderError, RecorderSettings,
    days::Dropped,
    entry::{Entry, Part, Row},
    failure::Failure,
    metrics, migrations,
    patience::{Patience, Stopped},
    positions::Positions,
    reader::Reader,
    readiness::Readiness,
    store::{CONNECT, Store},
    tables::gaps::Gap,
};

const RETENTION_EVERY: Duration = Duration::from_secs(3_600);
const RETENTION_AGAIN: Duration = Duration::from_secs(60);
/// How often positions move that pass no record, and gaps are looked for that somebody has accepted.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Recording {
    settings: RecorderSettings,
    store: Store,
    reader: Reader,
    follower: Follower,
    positions: Positions,
    ready: Readiness,
    shutdown: CancellationToken,
}

impl Recording {
    /// None when `shutdown` came before Postgres did.
    pub async fn start(
        settings: RecorderSettings,
        dependencies: Dependencies,
        ready: watch::Sender<Result<(), String>>,
        shutdown: CancellationToken,
    ) -> Result<Option<Self>, RecorderError> {
        let Dependencies {
            kafka,
            catalog,
            registry,
            postgres_url,
        } = dependencies;
        let ready = Readiness::new(ready);
        let store = Store::new(&postgres_url, settings.retention_days).map_err(RecorderError::Url)?;
        let reader = Reader::new(&kafka, &catalog, &registry).map_err(RecorderError::Schema)?;
        let mut patience = Patience::new(&ready, &shutdown);
        while let Err(error) = migrations::run(&store.pool, CONNECT).await {
            let error = migrations::may_pass(error).map_err(RecorderError::Migrate)?;
            let error = store.cause(error).await;
            if patience.wait(postgres(&store), &error).await.is_err() {
                return Ok(None);
            }
        }
        let positions = Positions::default();
        let follower = FollowerSettings {
            client_id: "millrace-recorder".to_owned(),
            group: kafka.group("recorder"),
            topics: reader.topics(),
            buffer_bytes: settings.buffer_bytes,
        };
        let follower =
            Follower::join(&kafka, follower, positions.loader(store.pool.clone())).map_err(RecorderError::Read)?;
        patience.over();
        Ok(Some(Self {
            settings,
            store,
            reader,
            follower,
            positions,
            ready,
            shutdown,
        }))
    }

    pub async fn run(mut self) -> Result<(), RecorderError> {
        let wait = Duration::from_millis(self.settings.batch_wait_ms);
        let mut retention = interval(RETENTION_EVERY);
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                _ = retention.tick() => {
                    if self.drop_old().await == Dropped::Some {
                        retention.reset_after(RETENTION_AGAIN);
                    }
                }
                _ = look.tick() => {
                    if let Err(Stopped) = self.look().await {
                        break;
                    }
                }
                batches = self.follower.next_batch(self.settings.batch_records, wait) => {
                    let recorded = match batches {
                        Ok(batches) => self.record(batches).await,
                        Err(FollowerError::OutOfRange { partition, epoch, offset, start, end }) => {
                            let gap = Gap { partition, from: offset, to: start, log_end: end };
                            self.pass(gap, epoch).await
                        }
                        Err(error) => return Err(RecorderError::Read(error)),
                    };
                    if let Err(Stopped) = recorded {
                        break;
                    }
                }
            }
        }
        // Whoever comes next may come after retention.
        let ends = self.follower.ends();
        let _ = self.record(ends).await;
        self.follower.leave().await;
        Ok(())
    }

    async fn drop_old(&mut self) -> Dropped {
        match self.store.days.drop_old(&self.store.pool).await {
            Ok(dropped) => dropped,
            Err(error) => {
                let error = self.store.cause(error).await;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not all that is old is dropped; next try in a minute"
                );
                Dropped::Some
            }
        }
    }

    /// What is done now and then.
    async fn look(&mut self) -> Result<(), Stopped> {
        let ends = self.follower.ends();
        self.record(ends).await?;
        // What keeps Postgres from answering is told where rows wait for it.
        let _ = self.store.make_days_ahead().await;
        if let Ok(open) = self.store.open_gaps().await {
            self.ready.gaps(open);
        }
        Ok(())
    }

    /// Goes on where the log begins now.
    async fn pass(&mut self, gap: Gap, epoch: u64) -> Result<(), Stopped> {
        let mut patience = Patience::new(&self.ready, &self.shutdown);
        while let Some(past) = self.positions.past(&gap, epoch) {
            match self.store.write_gap(past, &gap).await {
                Ok(()) => {
                    metrics::gap();
                    tracing::error!(
                        partition = %gap.partition,
                        from = gap.from,
                        to = gap.to,
                        log_end = gap.log_end,
                        "Kafka had deleted records before they were recorded; going on where the log begins. \
                         `millrace audit gaps` lists what is missing"
                    );
                    break;
                }
                Err(Failure::Lost(_)) => break,
                Err(Failure::Row(reason)) => {
                    let error = sqlx::Error::Protocol(reason);
                    patience.wait(postgres(&self.store), &error).await?;
                }
                Err(Failure::Wait(error) | Failure::Slow(error)) => {
                    let error = self.store.cause(error).await;
                    patience.wait(postgres(&self.store), &error).await?;
                }
            }
        }
        patience.over();
        self.reload(vec![gap.partition]);
        self.look().await
    }

    async fn record(&mut self, batches: Vec<Batch>) -> Result<(), Stopped> {
        let (batches, strangers): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| self.positions.admit(batch));
        self.reload(strangers.into_iter().map(|batch| batch.partition).collect());
        let ends = batches
            .iter()
            .filter_map(|batch| Some((batch.partition.clone(), batch.end?)))
            .collect();
        let entries = self.read(batches).await?;
        self.write(Part { entries, ends }).await
    }

    async fn read(&self, batches: Vec<Batch>) -> Result<Vec<Entry>, Stopped> {
        let mut patience = Patience::new(&self.ready, &self.shutdown);
        let mut entries = Vec::new();
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            loop {
                // A copy is a handful of reference counts.
                let reading = AssertUnwindSafe(self.reader.read(record.clone())).catch_unwind();
                match reading.await {
                    Ok(Ok(entry)) => break entries.push(entry),
                    Ok(Err(error)) => patience.wait("the schema registry", &error).await?,
                    Err(_panic) => {
                        tracing::error!(
                            src = record.src(),
                            "reading this record panicked; it goes to quarantine"
                        );
                        break entries.push(Entry::new(record, Row::Quarantine("reading it panicked".to_owned())));
                    }
                }
            }
        }
        patience.over();
        Ok(entries)
    }

    /// Writes all of it, in halves if need be; what another recorder owns by now is left to it.
    async fn write(&mut self, part: Part) -> Result<(), Stopped> {
        let mut patience = Patience::new(&self.ready, &self.shutdown);
        let mut lost = BTreeSet::new();
        // The next part is on top.
        let mut parts = vec![part];
        while let Some(mut part) = parts.pop() {
            part.entries.retain(|entry| !lost.contains(&entry.partition()));
            part.ends.retain(|partition, _| !lost.contains(partition));
            let moves = self.positions.moves(&part);
            if moves.is_empty() {
                continue;
            }
            match self.store.write(&moves, &part.entries).await {
                Ok(()) => {
                    self.positions.moved(moves);
                    patience.over();
                }
                Err(Failure::Lost(partitions)) => {
                    metrics::lost(partitions.len());
                    tracing::info!(partitions = %list(&partitions), "another recorder has moved on here; reading the positions again");
                    lost.extend(partitions);
                    parts.push(part);
                }
                Err(Failure::Wait(error)) => {
                    let error = self.store.cause(error).await;
                    patience.wait(postgres(&self.store), &error).await?;
                    parts.push(part);
                }
                Err(Failure::Slow(error)) => {
                    patience.wait(postgres(&self.store), &error).await?;
                    parts.extend(if part.entries.len() > 1 {
                        halves(part)
                    } else {
                        vec![part]
                    });
                }
                Err(Failure::Row(reason)) => parts.extend(narrowed(part, &reason)),
            }
        }
        self.reload(lost.into_iter().collect());
        Ok(())
    }

    fn reload(&self, partitions: Vec<TopicPartition>) {
        if !partitions.is_empty() {
            self.follower.reload(partitions);
        }
    }
}

/// Two halves, the first on top; or the one entry that was refused, for quarantine.
fn narrowed(mut part: Part, reason: &str) -> Vec<Part> {
    if let [entry] = part.entries.as_mut_slice() {
        let record = &entry.record;
        tracing::warn!(
            src = record.src(),
            reason,
            "a record that Postgres refuses goes to quarantine"
        );
        entry.row = Row::Quarantine(reason.to_owned());
        entry.mended = None;
        return vec![part];
    }
    if part.entries.is_empty() {
        // Positions alone are no row that could be refused; they are told again.
        return Vec::new();
    }
    halves(part)
}

/// The first on top.
fn halves(mut part: Part) -> Vec<Part> {
    let second = part.entries.split_off(part.entries.len() / 2);
    let first = std::mem::take(&mut part.entries);
    vec![
        Part {
            entries: second,
            ends: part.ends,
        },
        Part {
            entries: first,
            ends: BTreeMap::new(),
        },
    ]
}

fn postgres(store: &Store) -> String {
    format!(
        "Postgres at {}, which `postgres.url` (MILLRACE_POSTGRES__URL) names",
        store.place
    )
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
