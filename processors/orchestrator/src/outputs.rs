//! What a request leads to: one result, its audit, and a dead letter if it could not be worked on.
//!
//! A result that its topic would refuse is replaced here, before the engine tries: its audit, which says what was paid,
//! must not be lost with it.

use schemas::{
    Audit, DeadLetter, EncodeError, Encoder, RawHeader, Registry, RegistryError, RunError, RunResult, Shape, headers,
    identity::Identity, status,
};
use topics::{Catalog, Headers, KafkaSettings, Output, Record, engine::Rejection};

/// What a record takes in its topic besides its value: key, headers and the batch around them.
const OVERHEAD: usize = 64 << 10;

pub(crate) struct Outputs {
    results: Encoded<RunResult>,
    audit: Encoded<Audit>,
    dead_letters: Encoded<DeadLetter>,
}

/// A topic and what writes it.
struct Encoded<S> {
    topic: String,
    encoder: Encoder<S>,
    max_bytes: usize,
}

/// A record cannot be written in its own schema.
#[derive(Debug, thiserror::Error)]
#[error("a record for {topic} cannot be encoded")]
pub(crate) struct Unwritable {
    topic: String,
    #[source]
    source: EncodeError,
}

impl Outputs {
    pub(crate) async fn new(
        registry: &Registry,
        kafka: &KafkaSettings,
        catalog: &Catalog,
    ) -> Result<Self, RegistryError> {
        Ok(Self {
            results: Encoded::new("results", registry, kafka, catalog).await?,
            audit: Encoded::new("audit", registry, kafka, catalog).await?,
            dead_letters: Encoded::new("dead-letters", registry, kafka, catalog).await?,
        })
    }

    /// The result of a run and its audit. An output that does not fit becomes a failure and a dead letter.
    pub(crate) fn of_run(
        &self,
        record: &Record,
        result: RunResult,
        audit: Vec<Audit>,
    ) -> Result<Vec<Output>, Unwritable> {
        let sender = Identity {
            request_id: result.request_id.clone(),
            tenant: result.tenant.clone(),
            src: result.src.clone(),
        };
        let mut outputs = Vec::with_capacity(audit.len() + 1);
        match self.results.output(record, &sender, &result)? {
            Some(output) => outputs.push(output),
            None => {
                let rejection = Rejection {
                    class: "output_too_large".to_owned(),
                    message: format!("the output does not fit into a record of {}", self.results.topic),
                };
                outputs.extend(self.failed(record, &sender, result, &rejection)?);
            }
        }
        for row in audit {
            outputs.extend(match self.audit.output(record, &sender, &row)? {
                Some(output) => Some(output),
                // The hashes stay.
                None => self.audit.output(
                    record,
                    &sender,
                    &Audit {
                        prompt: None,
                        response: None,
                        ..row
                    },
                )?,
            });
        }
        Ok(outputs)
    }

    /// A failed result in place of `result`, and the dead letter of its request.
    pub(crate) fn failed(
        &self,
        record: &Record,
        sender: &Identity,
        result: RunResult,
        rejection: &Rejection,
    ) -> Result<Vec<Output>, Unwritable> {
        let letter = DeadLetter {
            request_id: sender.request_id.clone(),
            tenant: sender.tenant.clone(),
            accepted_at: result.accepted_at,
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            key: record.key.as_ref().map(|key| key.to_vec()),
            value: record.value.as_ref().map(|value| value.to_vec()),
            headers: record.headers.iter().map(raw).collect(),
            class: rejection.class.clone(),
            message: rejection.message.clone(),
            chain: result.chain.clone(),
            failed_at: result.completed_at,
        };
        let error = RunError {
            class: rejection.class.clone(),
            message: rejection.message.clone(),
            step: None,
        };
        let result = RunResult {
            status: status::FAILED.to_owned(),
            output: None,
            error: Some(error),
            ..result
        };
        Ok(vec![
            self.results.encode(record, sender, &result)?,
            self.dead_letters.encode(record, sender, &letter)?,
        ])
    }
}

impl<S: Shape> Encoded<S> {
    async fn new(
        name: &str,
        registry: &Registry,
        kafka: &KafkaSettings,
        catalog: &Catalog,
    ) -> Result<Self, RegistryError> {
        let topic = kafka.topic(name);
        let largest = catalog.topic(name).map_or(u64::MAX, |topic| topic.max_message_bytes);
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        let encoder = registry.encoder(&topic).await?;
        Ok(Self {
            topic,
            encoder,
            max_bytes: largest.saturating_sub(OVERHEAD),
        })
    }

    /// `None` if it is larger than its topic takes.
    fn output(&self, record: &Record, sender: &Identity, value: &S) -> Result<Option<Output>, Unwritable> {
        let output = self.encode(record, sender, value)?;
        let fits = output.value.as_ref().is_none_or(|value| value.len() <= self.max_bytes);
        Ok(fits.then_some(output))
    }

    fn encode(&self, record: &Record, sender: &Identity, value: &S) -> Result<Output, Unwritable> {
        let value = self.encoder.encode(value).map_err(|source| Unwritable {
            topic: self.topic.clone(),
            source,
        })?;
        let mut headers = Headers::new()
            .with(headers::REQUEST_ID, sender.request_id.clone())
            .with(headers::TENANT, sender.tenant.clone())
            .with(headers::SRC, sender.src.clone());
        if let Some(traceparent) = record.headers.text(headers::TRACEPARENT) {
            headers = headers.with(headers::TRACEPARENT, traceparent.to_owned());
        }
        Ok(Output {
            topic: self.topic.clone(),
            partition: None,
            key: record.key.clone(),
            value: Some(value),
            headers,
        })
    }
}

fn raw((name, value): (&str, Option<&[u8]>)) -> RawHeader {
    RawHeader {
        name: name.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}
