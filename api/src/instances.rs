//! The other processes, as they report of themselves. One that was killed says no more, and is gone after some beats.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{Decoder, Instance, Timestamp};
use tokio::time::Instant;
use topics::Record;

use crate::tail::{Followed, Following};

/// Reports that a process may miss before it counts as gone.
const MISSED: u32 = 3;
/// One that is gone is shown for so long.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// What a process that names no interval is held to.
const INTERVAL: Duration = Duration::from_secs(2);
/// Records at the end of the topic that tell all there is to know.
pub(crate) const RECENT: i64 = 500;

#[derive(Default)]
pub(crate) struct Instances {
    heard: Mutex<BTreeMap<String, Heard>>,
}

/// The last report of a process.
#[derive(Clone)]
pub(crate) struct Heard {
    pub report: Arc<Instance>,
    at: Instant,
}

impl Heard {
    pub fn is_alive(&self) -> bool {
        let interval = u64::try_from(self.report.interval_ms).map_or(INTERVAL, Duration::from_millis);
        self.at.elapsed() <= interval.max(INTERVAL) * MISSED
    }
}

impl Instances {
    /// Follows the reports. Runs until it is dropped.
    pub async fn keep_up(&self, mut following: Following, decoder: &Decoder<Instance>) {
        let mut is_history = true;
        loop {
            match following.next().await {
                Followed::Record(record) => self.take(&record, is_history, decoder).await,
                Followed::CaughtUp => is_history = false,
                Followed::Anew => is_history = true,
            }
        }
    }

    /// All that were heard of lately, `own` excepted, those that are gone among them.
    pub fn others(&self, own: &str) -> Vec<Heard> {
        let mut heard = self.heard();
        heard.retain(|_, heard| heard.at.elapsed() < FORGOTTEN);
        heard
            .iter()
            .filter(|(id, _)| *id != own)
            .map(|(_, heard)| heard.clone())
            .collect()
    }

    /// A report that is as old as the topic says; one that comes as it is written is new, whatever the clocks say.
    async fn take(&self, record: &Record, is_history: bool, decoder: &Decoder<Instance>) {
        let id = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
        let Some(value) = record.value.as_deref() else {
            self.heard().remove(&id);
            return;
        };
        let report = match decoder.decode(value).await {
            Ok(report) => Arc::new(report),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, src = record.src(), "a report that cannot be read");
                return;
            }
        };
        let age = if is_history {
            age(record.timestamp_ms)
        } else {
            Duration::ZERO
        };
        let Some(at) = Instant::now().checked_sub(age).filter(|_| age < FORGOTTEN) else {
            return;
        };
        self.heard().insert(id, Heard { report, at });
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn age(timestamp_ms: i64) -> Duration {
    let age = Timestamp::now().micros_since(Timestamp::from_millis(timestamp_ms));
    u64::try_from(age).map_or(Duration::ZERO, Duration::from_micros)
}
