//! What a request leads to: one result, its audit, what its chain emits, and a dead letter if it could not be worked on.
//!
//! A result that its topic would refuse is replaced here, before the engine tries: its audit, which says what was paid,
//! must not be lost with it. So is one that waits with a state which no request topic would bring back. Where the broker is stricter than the list of topics says, the engine tries in vain: the
//! failure that takes the place of the result keeps the rows of the attempts, but says no cost itself. If it is the audit's
//! topic that refuses, the books are all that tells what was paid.

use bytes::Bytes;
use schemas::{Audit, DeadLetter, EncodeError, Encoder, RawHeader, Registry, RegistryError, RunResult, Shape, headers};
use topics::{Catalog, Headers, KafkaSettings, Output, Record, engine::Rejection};

use crate::{chain::Emitted, oversized::Oversized, report::Report};

/// What a record takes in its topic besides its key and its value: headers and the batch around them.
const OVERHEAD: usize = 64 << 10;
/// The key of a request is that of all that it leads to, so a key that is longer makes it poison: what stands in its place
/// has none.
pub(crate) const MAX_KEY: usize = 1 << 20;
/// Of a `traceparent`: whatever else it is, it is no trace context.
const MAX_TRACEPARENT: usize = 512;
/// What a request that resumes a run has besides the state: the decisions, and who asks.
const DECISIONS: usize = 64 << 10;

pub(crate) struct Outputs {
    /// Longest state of a run that waits.
    max_state: usize,
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
            max_state: catalog.max_request_bytes().saturating_sub(OVERHEAD + DECISIONS),
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

    /// Everything for one request. A result that does not fit becomes a failure, and so does one that waits with more than
    /// could come back; its output, or its state, is kept where the settings say.
    pub(crate) async fn of_run(
        &self,
        record: &Record,
        report: Report,
        emitted: Option<Emitted>,
    ) -> Result<Vec<Output>, Unwritable> {
        let state = report.result.state.as_deref().unwrap_or_default();
        let too_large = if state.len() > self.max_state {
            Some(self.state_too_large(record, state).await)
        } else {
            None
        };
        let fitting = match &too_large {
            None => self.results.fitting(record, &report.result, &report.result)?,
            Some(_) => None,
        };
        let Some(result) = fitting else {
            let output = report.result.output.as_deref().unwrap_or_default();
            let message = match too_large {
                Some(message) => message,
                None => self.output_too_large(record, output).await,
            };
            let rejection = Rejection {
                class: "output_too_large".to_owned(),
                message,
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

    async fn output_too_large(&self, record: &Record, output: &str) -> String {
        let size = output.len();
        let (topic, largest) = (&self.results.topic, self.results.max_bytes);
        let kept = self.kept(record, output).await;
        format!("the output has {size} bytes, and a record of {topic} takes {largest}; {kept}")
    }

    /// What was done before the step that waits is all in the state, and would be lost when somebody has decided.
    async fn state_too_large(&self, record: &Record, state: &str) -> String {
        let (size, largest) = (state.len(), self.max_state);
        let kept = self.kept(record, state).await;
        format!(
            "the run would wait with a state of {size} bytes, and a request that resumes it takes {largest}: have the steps \
             before it give less, or raise `max_message` of the request topics; {kept}"
        )
    }

    async fn kept(&self, record: &Record, text: &str) -> String {
        match &self.oversized {
            None => "it is not kept: `oversized_outputs` names no folder".to_owned(),
            Some(oversized) => match oversized.keep(record, text).await {
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
        }
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
                .letter(record, result, dead_letter(record, result, rejection))?,
        ];
        self.audit(record, report, &mut outputs)?;
        Ok(outputs)
    }

    fn audit(&self, record: &Record, report: Report, outputs: &mut Vec<Output>) -> Result<(), Unwritable> {
        let Report { result, attempts, run } = report;
        for row in attempts.into_iter().chain([run]) {
            outputs.push(match self.audit.fitting(record, &result, &row)? {
                Some(output) => output,
                None => self.cut_audit(record, &result, row)?,
            });
        }
        Ok(())
    }

    /// The hashes stay, and what it cost.
    fn cut_audit(&self, record: &Record, result: &RunResult, row: Audit) -> Result<Output, Unwritable> {
        let row = Audit {
            prompt: None,
            response: None,
            ..row
        };
        if let Some(output) = self.audit.fitting(record, result, &row)? {
            return Ok(output);
        }
        let steps = i32::try_from(row.trail.len()).unwrap_or(i32::MAX);
        let row = Audit {
            documents: Vec::new(),
            trail: Vec::new(),
            trail_left_out: row.trail_left_out.saturating_add(steps),
            ..row
        };
        self.audit.output(record, result, &row)
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
        let size = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let fits = size(&output.key) + size(&output.value) <= self.max_bytes;
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

impl Encoded<DeadLetter> {
    fn letter(&self, record: &Record, result: &RunResult, letter: DeadLetter) -> Result<Output, Unwritable> {
        let key = key(record).map_or(0, |key| key.len());
        let value = letter.encode_within(&self.encoder, self.max_bytes.saturating_sub(key));
        let value = value.map_err(|source| Unwritable {
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
    let traceparent = record.headers.text(headers::TRACEPARENT);
    if let Some(traceparent) = traceparent.filter(|text| text.len() <= MAX_TRACEPARENT) {
        headers = headers.with(headers::TRACEPARENT, traceparent.to_owned());
    }
    Output {
        topic,
        partition: None,
        key: key(record).cloned(),
        value: Some(value),
        headers,
    }
}

fn key(record: &Record) -> Option<&Bytes> {
    record.key.as_ref().filter(|key| key.len() <= MAX_KEY)
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
        headers: record
            .headers
            .iter()
            .map(|(name, value)| RawHeader::new(name, value))
            .collect(),
        class: rejection.class.clone(),
        message: rejection.message.clone(),
        chain: result.chain.clone(),
        failed_at: result.completed_at,
        left_out: Vec::new(),
    }
}
