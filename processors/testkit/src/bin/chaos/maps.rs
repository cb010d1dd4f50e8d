//! The committed maps, read behind the engine's back: what a worker that dies now leaves above the watermarks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use testkit::kafka;
use tokio::{task::JoinHandle, time::sleep};
use topics::engine::core::Committed;

/// Reads them again and again; a death by a crash point cannot wait for a reading.
pub struct Maps {
    of: Of,
    latest: Arc<AtomicU64>,
    watching: JoinHandle<()>,
}

#[derive(Clone)]
struct Of {
    bootstrap: String,
    group: String,
    topics: Vec<String>,
}

impl Maps {
    pub fn watch(bootstrap: &str, group: &str, topics: &[String]) -> Self {
        const EVERY: Duration = Duration::from_millis(500);
        let of = Of {
            bootstrap: bootstrap.to_owned(),
            group: group.to_owned(),
            topics: topics.to_owned(),
        };
        let latest: Arc<AtomicU64> = Arc::default();
        let (watched, kept) = (of.clone(), Arc::clone(&latest));
        let watching = tokio::spawn(async move {
            loop {
                if let Some(count) = watched.clone().read().await {
                    kept.store(count, Ordering::Relaxed);
                }
                sleep(EVERY).await;
            }
        });
        Self { of, latest, watching }
    }

    /// Offsets above the watermarks at the last reading.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Waits a moment for a time at which there are some.
    pub async fn not_empty(&self, within: Duration) -> u64 {
        let found = testkit::until(within, async || self.of.clone().read().await.filter(|count| *count > 0));
        found.await.unwrap_or_else(|_| self.latest())
    }
}

impl Of {
    /// `None` while the broker is away.
    async fn read(self) -> Option<u64> {
        let read = tokio::task::spawn_blocking(move || {
            let mut count = 0;
            for topic in &self.topics {
                for at in kafka::committed(&self.bootstrap, &self.group, topic).ok()? {
                    // one that was just added
                    let Some(offset) = at.offset else { continue };
                    let committed = Committed::decode(offset, &at.metadata).ok()?;
                    count += committed.progress.len() as u64;
                }
            }
            Some(count)
        });
        read.await.ok().flatten()
    }
}

impl Drop for Maps {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
