//! The books of paid calls: an acknowledged record on `attempts` before each one leaves. They lie here because `models`
//! knows no Kafka and `topics` no Avro.
//!
//! All records of a process go to one partition, and gather while others are on their way. Spread over the partitions by
//! their key, with a millisecond to gather, it was nearly a request for each call: a third of all that a call cost, most of
//! it in the broker (`make bench SCENARIO=calls`). Nobody reads attempts by the partition of their key.

use std::time::Duration;

use futures::future::BoxFuture;
use models::{Books, BooksError};
use schemas::{Attempt, Encoder, Registry, headers, phase};
use tokio::sync::OnceCell;
use topics::{Headers, History, KafkaSettings, Output, ProduceError, Producer, ProducerSettings, history::Event};
use uuid::Uuid;

/// What a call waits at most, where many leave at once.
const GATHER: Duration = Duration::from_millis(3);

pub struct KafkaBooks {
    /// Off: only calls whose outcome is thrown away are written, after the fact.
    write_ahead: bool,
    producer: Producer,
    registry: Registry,
    /// Asked for by the first call, so that a registry that is down keeps no process from starting.
    encoder: OnceCell<Encoder<Attempt>>,
    topic: String,
    /// See the head of this file. Unknown until a broker has said what partitions there are.
    partition: OnceCell<i32>,
    history: History,
}

impl KafkaBooks {
    pub fn new(
        kafka: &KafkaSettings,
        registry: Registry,
        history: History,
        write_ahead: bool,
    ) -> Result<Self, ProduceError> {
        let settings = ProducerSettings {
            gather: GATHER,
            ..ProducerSettings::new("millrace-books")
        };
        Ok(Self {
            write_ahead,
            producer: Producer::new(kafka, settings)?,
            registry,
            encoder: OnceCell::new(),
            topic: kafka.topic("attempts"),
            partition: OnceCell::new(),
            history,
        })
    }

    async fn write(&self, attempt: &Attempt) -> Result<(), BooksError> {
        if self.write_ahead || attempt.phase != phase::STARTED {
            self.produce(attempt).await?;
        }
        if attempt.phase == phase::STARTED {
            self.history.note(|| Event::Called {
                request_id: &attempt.request_id,
                attempt_id: &attempt.attempt_id,
                step: &attempt.step,
                attempt: attempt.attempt,
            });
        }
        Ok(())
    }

    async fn produce(&self, attempt: &Attempt) -> Result<(), BooksError> {
        let encoder = self
            .encoder
            .get_or_try_init(|| self.registry.encoder(&self.topic))
            .await;
        let value = encoder
            .map_err(|error| BooksError(error.into()))?
            .encode(attempt)
            .map_err(|error| BooksError(error.into()))?;
        let mut record_headers = Headers::new()
            .with(headers::REQUEST_ID, attempt.request_id.clone())
            .with(headers::TENANT, attempt.tenant.clone())
            .with(headers::SRC, attempt.src.clone());
        if let Some(traceparent) = traceparent(attempt) {
            record_headers = record_headers.with(headers::TRACEPARENT, traceparent);
        }
        let partition = self
            .partition
            .get_or_try_init(|| self.producer.any_partition(&self.topic))
            .await;
        let output = Output {
            topic: self.topic.clone(),
            // Where it is not known, the record's key will do.
            partition: partition.ok().copied(),
            key: Some(attempt.request_id.clone().into()),
            value: Some(value),
            headers: record_headers,
        };
        self.producer
            .send(output)
            .await
            .map_err(|error| BooksError(error.into()))?;
        Ok(())
    }
}

/// W3C Trace Context: an attempt is a span of its run's trace, named after the random half of its UUIDv7.
fn traceparent(attempt: &Attempt) -> Option<String> {
    let trace_id = attempt.trace_id.as_ref()?;
    let attempt_id = Uuid::parse_str(&attempt.attempt_id).ok()?;
    let (_, span_id) = attempt_id.as_u64_pair();
    Some(format!("00-{trace_id}-{span_id:016x}-01"))
}

impl Books for KafkaBooks {
    fn record(&self, attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>> {
        Box::pin(async move { self.write(&attempt).await })
    }
}
