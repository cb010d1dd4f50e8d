//! What a request leads to: one result, its audit, what its chain emits, and a dead letter if it could not be worked on.
//!
//! A result that its topic would refuse is replaced here, before the engine tries: its audit, which says what was paid,
//! must not be lost with it. Where the broker is stricter than the list of topics says, the engine tries in vain: the
//! failure that takes the place of the result keeps the rows of the attempts, but says no cost itself. If it is the audit's
//! topic that refuses, the books are all that tells what was paid.

use bytes::Bytes;
use schemas::{Audit, DeadLetter, EncodeError, Encoder, RawHeader, Registry, RegistryError, RunResult, Shape, headers};
use topics::{Catalog, Headers, KafkaSettings, Output, Record, engine::Rejection};

use crate::{chain::Emitted, oversized::Oversized, report::Report};

/// What a record takes in its topic besides its value: key, headers and the batch around them.
const OVERHEAD: usize = 64 << 10;

pub(crate) struct Outputs {
    results: Encoded<RunResult>,
    audit: Encoded<Audit>,
    dead_letters: Encoded<DeadLetter>,
    oversized: Option<Oversized>,
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
            oversized: None,
            results: Encoded::new("results", registry, kafka, catalog).await?,
            audit: Encoded::new("audit", registry, kafka, catalog).await?,
            dead_letters: Encoded::new("dead-letters", registry, kafka, catalog).await?,
        })
    }

    /// Outputs that are too large are kept there.
    pub(crate) fn keeping(self, oversized: Option<Oversized>) -> Self {
        Self { oversized, ..self }
    }

    /// Everything for one request. A result that does not fit becomes a failure; its output is kept where the settings
    /// say.
    pub(crate) async fn of_run(
        &self,
        record: &Record,
        report: Report,
        emitted: Option<Emitted>,
    ) -> Result<Vec<Output>, Unwritable> {
        let Some(result) = self.results.fitting(record, &report.result, &report.result)? else {
            let rejection = Rejection {
                class: "output_too_large".to_owned(),
                message: self
                    .too_large(record, report.result.output.as_deref().unwrap_or_default())
                    .await,
            };
            let response_sha256 = report.run.response_sha256.clone();
            let mut report = report.rejected(&rejection);
            report.run.response_sha256 = response_sha256;
            return self.of_rejected(record, report, &rejection);
        };
        let mut outputs = vec![result];
        outputs.extend(emitted.map(|Emitted { topic, value }| output(topic, record, &report.result, value)));
        self.audit(record, report, &mut outputs)?;
        Ok(outputs)
    }

    async fn too_large(&self, record: &Record, output: &str) -> String {
        let size = output.len();
        let (topic, largest) = (&self.results.topic, self.results.max_bytes);
        let kept = match &self.oversized {
            None => "it is not kept: `oversized_outputs` names no folder".to_owned(),
            Some(oversized) => match oversized.keep(record, output).await {
                Ok(path) => format!("it is kept in {}", path.display()),
                Err(error) => {
                    tracing::error!(
                        src = record.src(),
                        error = &error as &dyn std::error::Error,
                        "an output that was paid for is lost"
                    );
                    "it could not be kept, the log says why".to_owned()
                }
            },
        };
        format!("the output has {size} bytes, and a record of {topic} takes {largest}; {kept}")
    }

    /// The rows of attempts among the outputs of a run, see [`Self::audit`]: the run's own row is the last.
    pub(crate) fn attempts<'o>(&self, outputs: &'o [Output]) -> impl Iterator<Item = &'o Output> {
        let topic = self.audit.topic.clone();
        let rows = outputs.iter().filter(move |output| output.topic == topic);
        let attempts = rows.clone().count().saturating_sub(1);
        rows.take(attempts)
    }

    /// Everything for one request that was rejected, its dead letter included.
    pub(crate) fn of_rejected(
        &self,
        record: &Record,
        report: Report,
        rejection: &Rejection,
    ) -> Result<Vec<Output>, Unwritable> {
        let result = &report.result;
        let mut outputs = vec![
            self.results.output(record, result, result)?,
            self.dead_letters
                .output(record, result, &dead_letter(record, result, rejection))?,
        ];
        self.audit(record, report, &mut outputs)?;
        Ok(outputs)
    }

    fn audit(&self, record: &Record, report: Report, outputs: &mut Vec<Output>) -> Result<(), Unwritable> {
        let Report { result, attempts, run } = report;
        for row in attempts.into_iter().chain([run]) {
            outputs.push(match self.audit.fitting(record, &result, &row)? {
                Some(output) => output,
                // The hashes stay.
                None => self.audit.output(
                    record,
                    &result,
                    &Audit {
                        prompt: None,
                        response: None,
                        ..row
                    },
                )?,
            });
        }
        Ok(())
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
    fn fitting(&self, record: &Record, result: &RunResult, value: &S) -> Result<Option<Output>, Unwritable> {
        let output = self.output(record, result, value)?;
        let fits = output.value.as_ref().is_none_or(|value| value.len() <= self.max_bytes);
        Ok(fits.then_some(output))
    }

    fn output(&self, record: &Record, result: &RunResult, value: &S) -> Result<Output, Unwritable> {
        let value = self.encoder.encode(value).map_err(|source| Unwritable {
            topic: self.topic.clone(),
            source,
        })?;
        Ok(output(self.topic.clone(), record, result, value))
    }
}

/// With the key of the request, and headers that say whose it is without decoding it.
fn output(topic: String, record: &Record, result: &RunResult, value: Bytes) -> Output {
    let mut headers = Headers::new()
        .with(headers::REQUEST_ID, result.request_id.clone())
        .with(headers::TENANT, result.tenant.clone())
        .with(headers::SRC, result.src.clone());
    if let Some(traceparent) = record.headers.text(headers::TRACEPARENT) {
        headers = headers.with(headers::TRACEPARENT, traceparent.to_owned());
    }
    Output {
        topic,
        partition: None,
        key: record.key.clone(),
        value: Some(value),
        headers,
    }
}

fn dead_letter(record: &Record, result: &RunResult, rejection: &Rejection) -> DeadLetter {
    DeadLetter {
        request_id: result.request_id.clone(),
        tenant: result.tenant.clone(),
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
    }
}

fn raw((name, value): (&str, Option<&[u8]>)) -> RawHeader {
    RawHeader {
        name: name.to_owned(),
        value: value.map(<[u8]>::to_vec),
    }
}
