//! A process says of itself, every two seconds, how it stands: a record on `instances`, which every api reads. Nothing
//! waits for it, and what keeps it from being written harms nothing else.

use std::time::Duration;

use schemas::{EncodeError, Encoder, Instance, Registry, RegistryError};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use topics::{KafkaSettings, Output, ProduceError, Producer, ProducerSettings};

use crate::{health::Health, instance};

pub(crate) const TOPIC: &str = "instances";
const EVERY: Duration = Duration::from_secs(2);
/// What was not written in this time is old.
const WRITE: Duration = Duration::from_secs(4);
/// For the word that the process has left, at its end.
const LAST_WORD: Duration = Duration::from_secs(1);

struct Reporter {
    topic: String,
    health: Health,
    registry: Registry,
    producer: Producer,
    encoder: Option<Encoder<Instance>>,
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
enum Unsaid {
    #[error("cannot encode it: `millrace schemas register` registers what it needs")]
    Schema(#[from] RegistryError),
    #[error("cannot encode it")]
    Encode(#[from] EncodeError),
    #[error("cannot write it")]
    Produce(#[from] ProduceError),
}

/// Reports until `leaving`, and then that the process has left.
pub async fn report(kafka: KafkaSettings, registry: Registry, health: Health, leaving: CancellationToken) {
    let settings = ProducerSettings {
        timeout: WRITE,
        ..ProducerSettings::new("instances")
    };
    let producer = match Producer::new(&kafka, settings) {
        Ok(producer) => producer,
        Err(error) => return warn(&error.into()),
    };
    let mut reporter = Reporter {
        topic: kafka.topic(TOPIC),
        health,
        registry,
        producer,
        encoder: None,
    };
    tokio::select! {
        () = reporter.run() => {}
        () = leaving.cancelled() => {}
    }
    reporter.leave().await;
}

impl Reporter {
    /// Until it is dropped. Trouble is told when it begins, and when it is over.
    async fn run(&mut self) {
        let mut beat = interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_well = true;
        loop {
            beat.tick().await;
            match (self.say().await, is_well) {
                (Ok(()), true) => {}
                (Ok(()), false) => {
                    is_well = true;
                    tracing::info!("the other instances learn again how this process stands");
                }
                (Err(error), true) => {
                    is_well = false;
                    warn(&error);
                }
                (Err(error), false) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "still no report of this process"
                    );
                }
            }
        }
    }

    async fn say(&mut self) -> Result<(), Unsaid> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(self.registry.encoder(&self.topic).await?),
        };
        let report = Instance {
            interval_ms: EVERY.as_millis() as i64,
            ..instance::report(&self.health)
        };
        let value = encoder.encode(&report)?;
        self.producer.send(self.record(Some(value))).await?;
        Ok(())
    }

    async fn leave(&self) {
        if self.encoder.is_some() {
            let last = async {
                let _ = self.producer.send(self.record(None)).await;
                self.producer.close().await;
            };
            if timeout(LAST_WORD, last).await.is_err() {
                tracing::debug!("the other instances were not told that this process left; they will notice");
            }
        }
    }

    fn record(&self, value: Option<bytes::Bytes>) -> Output {
        Output {
            topic: self.topic.clone(),
            key: Some(self.health.identity.id.clone().into()),
            value,
            ..Output::default()
        }
    }
}

fn warn(error: &Unsaid) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the other instances do not learn how this process stands; its work goes on"
    );
}
