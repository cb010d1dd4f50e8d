//! Who else runs chains, and which of them it cannot: read from the reports on `instances`, when it is asked for.
//!
//! While a deployment rolls, a chain may be published that only the new processes can run, as only they have the model that
//! it names. A request for it that meets an old process is no dead letter: its partition will soon be a new one's. So it
//! waits, in its lane, for as long as another orchestrator reports that does not count the chain among those it cannot run,
//! and until the request's deadline at most. Where none does, it is a dead letter at once: waiting would only hold a slot.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use schemas::{Decoder, Instance, Timestamp};
use tokio::{sync::Mutex, time::timeout};
use topics::{KafkaSettings, Start, Tail, TailError, TailEvent, TailSettings};

use crate::settings::GROUP;

pub(crate) const TOPIC: &str = "instances";
/// Records from the end of the topic: the last reports of some hundred processes.
const RECENT: i64 = 1_000;
const BUFFER_BYTES: usize = 4 << 20;
/// For one look; who may not read the topic has no peers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a look is as good as a new one.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A process that left out so many reports is gone.
const MISSED: i64 = 3;

#[derive(Clone)]
pub(crate) struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    kafka: KafkaSettings,
    decoder: Decoder<Instance>,
    /// What the last look found, and when; one look at a time.
    seen: Mutex<Option<(Instant, Vec<Instance>)>>,
}

impl Peers {
    pub(crate) fn new(kafka: &KafkaSettings, decoder: Decoder<Instance>) -> Self {
        Self {
            inner: Arc::new(Inner {
                kafka: kafka.clone(),
                decoder,
                seen: Mutex::default(),
            }),
        }
    }

    /// Whether an orchestrator reports that does not say that it cannot run `name@version`.
    pub(crate) async fn may_run(&self, key: &str) -> bool {
        let mut seen = self.inner.seen.lock().await;
        let fresh = seen.as_ref().is_some_and(|(at, _)| at.elapsed() < LOOK_AGAIN);
        if !fresh {
            let found = timeout(PATIENCE, self.look()).await;
            let found = found.unwrap_or(Ok(Vec::new())).unwrap_or_else(|error| {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the reports of the other processes cannot be read"
                );
                Vec::new()
            });
            *seen = Some((Instant::now(), found));
        }
        let instances = seen
            .as_ref()
            .map(|(_, instances)| instances.as_slice())
            .unwrap_or_default();
        instances.iter().any(|instance| {
            let runs_chains = instance.roles.iter().any(|role| role.name == GROUP);
            runs_chains && !instance.unusable_chains.iter().any(|unusable| unusable.chain == key)
        })
    }

    /// The last report of each process that is alive.
    async fn look(&self) -> Result<Vec<Instance>, TailError> {
        let settings = TailSettings {
            client_id: "millrace-peers".to_owned(),
            topics: vec![self.inner.kafka.topic(TOPIC)],
            start: Start::Recent(RECENT),
            buffer_bytes: BUFFER_BYTES,
        };
        let mut tail = Tail::open(&self.inner.kafka, settings)?;
        let mut last = BTreeMap::new();
        loop {
            match tail.recv().await? {
                TailEvent::CaughtUp => break,
                TailEvent::Record(record) => {
                    last.insert(record.key.clone(), record);
                }
            }
        }
        let mut alive = Vec::new();
        for record in last.into_values() {
            let Some(value) = record.value.as_deref() else {
                continue;
            };
            // What this version cannot read tells nothing.
            let Ok(instance) = self.inner.decoder.decode(value).await else {
                continue;
            };
            let silent = Timestamp::now().micros_since(Timestamp::from_millis(record.timestamp_ms));
            if silent < instance.interval_ms.saturating_mul(1_000 * MISSED) {
                alive.push(instance);
            }
        }
        Ok(alive)
    }
}
