//! The loop: follow, read, write.

use std::{collections::BTreeSet, time::Duration};

use sqlx::migrate::MigrateError;
use tokio::{sync::watch, time::interval};
use tokio_util::sync::CancellationToken;
use topics::{Batch, Follower, FollowerSettings, TopicPartition};

use crate::{
    Dependencies, RecorderError, RecorderSettings,
    entry::{Entry, Row},
    failure::Failure,
    metrics, migrations,
    patience::{Patience, Stopped},
    positions::Positions,
    reader::Reader,
    store::Store,
};

const RETENTION_EVERY: Duration = Duration::from_secs(3_600);

pub(crate) struct Recording {
    settings: RecorderSettings,
    store: Store,
    reader: Reader,
    follower: Follower,
    positions: Positions,
    ready: watch::Sender<Result<(), String>>,
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
        let store = Store::new(&postgres_url, settings.retention_days).map_err(RecorderError::Url)?;
        let reader = Reader::new(&kafka, &catalog, &registry).map_err(RecorderError::Schema)?;
        let mut patience = Patience::new(&ready, &shutdown);
        while let Err(error) = migrations::run(&store.pool).await {
            match error {
                MigrateError::Execute(error) => {
                    let error = store.cause(error).await;
                    if patience.wait(postgres(&store), &error).await.is_err() {
                        return Ok(None);
                    }
                }
                error => return Err(RecorderError::Migrate(error)),
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
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                _ = retention.tick() => {
                    if let Err(error) = self.store.days.drop_old(&self.store.pool).await {
                        let error = self.store.cause(error).await;
                        tracing::warn!(error = &error as &dyn std::error::Error, "old days are not dropped; next try in an hour");
                    }
                }
                batches = self.follower.next_batch(self.settings.batch_records, wait) => {
                    let batches = batches.map_err(RecorderError::Read)?;
                    if let Err(Stopped) = self.record(batches).await {
                        break;
                    }
                }
            }
        }
        self.follower.leave().await;
        Ok(())
    }

    async fn record(&mut self, batches: Vec<Batch>) -> Result<(), Stopped> {
        let (batches, strangers): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| self.positions.admit(batch));
        self.reload(strangers.into_iter().map(|batch| batch.partition).collect());
        let entries = self.read(batches).await?;
        self.write(entries).await
    }

    async fn read(&self, batches: Vec<Batch>) -> Result<Vec<Entry>, Stopped> {
        let mut patience = Patience::new(&self.ready, &self.shutdown);
        let mut entries = Vec::new();
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            loop {
                // A copy is a handful of reference counts.
                match self.reader.read(record.clone()).await {
                    Ok(entry) => break entries.push(entry),
                    Err(error) => patience.wait("the schema registry", &error).await?,
                }
            }
        }
        patience.over();
        Ok(entries)
    }

    /// Writes all of it, in halves if need be; what another recorder owns by now is left to it.
    async fn write(&mut self, entries: Vec<Entry>) -> Result<(), Stopped> {
        let mut patience = Patience::new(&self.ready, &self.shutdown);
        let mut lost = BTreeSet::new();
        // The next part is on top.
        let mut parts = vec![entries];
        while let Some(mut part) = parts.pop() {
            part.retain(|entry| !lost.contains(&entry.partition()));
            if part.is_empty() {
                continue;
            }
            let moves = self.positions.moves(&part);
            match self.store.write(&moves, &part).await {
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
fn narrowed(mut part: Vec<Entry>, reason: &str) -> Vec<Vec<Entry>> {
    if let [entry] = part.as_mut_slice() {
        let record = &entry.record;
        tracing::warn!(
            src = record.src(),
            reason,
            "a record that Postgres refuses goes to quarantine"
        );
        entry.row = Row::Quarantine(reason.to_owned());
        return vec![part];
    }
    let second = part.split_off(part.len() / 2);
    vec![second, part]
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
