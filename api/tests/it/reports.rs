//! What another process says of itself, without the process.

use std::time::Duration;

use api::health::{self, Health};
use schemas::Registry;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use topics::KafkaSettings;

/// A process that reports and does nothing else.
pub struct Reports {
    running: JoinHandle<()>,
    leaving: CancellationToken,
}

impl Reports {
    pub fn begin(kafka: KafkaSettings, registry: Registry, health: Health) -> Self {
        let leaving = CancellationToken::new();
        Self {
            running: tokio::spawn(health::report(kafka, registry, health, leaving.clone())),
            leaving,
        }
    }

    pub async fn goes_on_for(&mut self, time: Duration) {
        assert!(timeout(time, &mut self.running).await.is_err(), "it ended by itself");
    }

    pub fn killed(self) {
        self.running.abort();
    }

    pub async fn left(self) {
        self.leaving.cancel();
        self.running.await.unwrap();
    }
}
