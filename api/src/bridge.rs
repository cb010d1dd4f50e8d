//! Between HTTP and the stream: requests go out as records, results come in by the tail.
//!
//! There is no reply topic. Every api process sees every result and skips those nobody waits for by their headers. Who
//! waits registers before it looks into the ring, and the tail fills the ring before it calls the waiters, so a result is
//! seen in at least one of the two places, whatever the order.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use schemas::{DecodeError, Decoder, EncodeError, Encoder, Request, RunResult, Timestamp, headers, request_kind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use topics::{Headers, Output, ProduceError, Producer, Record};

use crate::{
    call::{Call, Decisions},
    history::Waiting,
    problem::{Kind, Problem},
    ring::{Ring, RunKey},
    tail::{Followed, Following},
    trace::Traceparent,
    waiters::{Waiter, Waiters},
};

/// Between two attempts to decode a result while the registry is away.
const DECODE_AGAIN: Duration = Duration::from_millis(500);

pub(crate) struct Bridge {
    /// The full name of the topic that requests go to.
    pub requests: String,
    pub producer: Producer,
    /// Empty until the registry has said under which id requests are written.
    pub encoder: OnceLock<Encoder<Request>>,
    pub decoder: Decoder<RunResult>,
    pub ring: Ring,
    pub waiters: Waiters,
    /// Cancelled when the process has stopped taking callers and those who waited had their time: nobody waits any longer.
    pub closing: CancellationToken,
}

/// Why a request is not known to be on the stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error("the schema registry has not been reached yet")]
    NoSchema,
    #[error("the request could not be encoded")]
    Encode(#[from] EncodeError),
    #[error("the request could not be produced")]
    Produce(#[from] ProduceError),
}

impl Bridge {
    /// Takes in the results as they are committed. Runs until it is dropped.
    pub async fn listen(&self, mut results: Following) {
        let mut known = 0;
        loop {
            let followed = results.next().await;
            if let Some(begun) = results.begun().filter(|begun| begun.len() != known) {
                self.ring.adopt(begun);
                known = begun.len();
            }
            let result = match followed {
                Followed::Record(result) => result,
                Followed::CaughtUp => {
                    self.ring.caught_up();
                    continue;
                }
                Followed::Anew => {
                    self.ring.restart();
                    known = 0;
                    continue;
                }
            };
            let age = Timestamp::now().micros_since(Timestamp::from_millis(result.timestamp_ms));
            metrics::gauge!("millrace_tail_lag_seconds").set(age.max(0) as f64 / 1e6);
            self.arrive(result);
        }
    }

    fn arrive(&self, result: Record) {
        let Some(run) = RunKey::of(&result.headers) else {
            metrics::counter!("millrace_tail_results_total", "wanted" => "nameless").increment(1);
            return;
        };
        let result = Arc::new(result);
        self.ring.insert(run.clone(), Arc::clone(&result));
        let wanted = if self.waiters.deliver(&run, &result) {
            "yes"
        } else {
            "no"
        };
        metrics::counter!("millrace_tail_results_total", "wanted" => wanted).increment(1);
    }

    /// Puts a request on the stream and waits until the brokers have it. Returns its source, `topic/partition/offset`.
    ///
    /// # Errors
    /// After [`SubmitError::Produce`] it may be there all the same.
    pub async fn submit(&self, run: &RunKey, call: Call, trace: &Traceparent) -> Result<String, SubmitError> {
        let request = Request {
            chain: call.chain,
            input: call.input.to_string(),
            params: serde_json::Value::Object(call.params).to_string(),
            metadata: call.metadata,
            ..Request::default()
        };
        self.produce(run, request, call.key.map(Bytes::from), trace).await
    }

    /// The same for the turn after one that waits, at the place of its request's key.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn resume(
        &self,
        run: &RunKey,
        waiting: &Waiting,
        decisions: &Decisions,
        trace: &Traceparent,
    ) -> Result<String, SubmitError> {
        let Waiting { turn, chain, state, .. } = waiting;
        // The version that it began with, as requests name it.
        let chain = chain.split_once('#').map_or(chain.as_str(), |(chain, _)| chain);
        let request = Request {
            kind: request_kind::RESUME.to_owned(),
            chain: chain.to_owned(),
            turn: turn + 1,
            input: serde_json::json!(decisions).to_string(),
            state: Some(state.clone()),
            ..Request::default()
        };
        self.produce(run, request, waiting.key().map(Bytes::from), trace).await
    }

    async fn produce(
        &self,
        run: &RunKey,
        request: Request,
        key: Option<Bytes>,
        trace: &Traceparent,
    ) -> Result<String, SubmitError> {
        let encoder = self.encoder.get().ok_or(SubmitError::NoSchema)?;
        let value = encoder.encode(&Request {
            request_id: Some(run.request_id.clone()),
            tenant: run.tenant.clone(),
            created_at: Timestamp::now(),
            ..request
        })?;
        let headers = Headers::new()
            .with(headers::REQUEST_ID, run.request_id.clone())
            .with(headers::TENANT, run.tenant.clone())
            .with(headers::TRACEPARENT, trace.as_str().to_owned());
        let output = Output {
            topic: self.requests.clone(),
            key,
            value: Some(value),
            headers,
            partition: None,
        };
        let (partition, offset) = self.producer.send(output).await?;
        Ok(format!("{}/{partition}/{offset}", self.requests))
    }

    /// The run's result, from the request at `src` if given: one that went by just now, else the next one. `None` when
    /// the time is over or the process stops.
    pub async fn result(&self, waiter: &mut Waiter, src: Option<&str>, until: Instant) -> Option<Arc<Record>> {
        if let Some(recent) = self.ring.find(waiter.run(), src) {
            return Some(recent);
        }
        tokio::select! {
            biased;
            result = waiter.result(src) => Some(result),
            () = tokio::time::sleep_until(until) => None,
            () = self.closing.cancelled() => None,
        }
    }

    /// A result in its decoded form. While the registry is away, tries until the time is over.
    ///
    /// # Errors
    /// 503 when the registry stays away, 500 when the record is not a result.
    pub async fn decode(&self, record: &Record, until: Instant) -> Result<RunResult, Problem> {
        loop {
            let error = match self.decoder.decode(record.value.as_deref().unwrap_or_default()).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            if !error.may_pass(record.appended_ms().map(Timestamp::from_millis)) {
                return Err(undecodable(record, &error));
            }
            if Instant::now() + DECODE_AGAIN >= until {
                tracing::warn!(
                    src = record.src(),
                    error = &error as &dyn std::error::Error,
                    "a result waits for its schema"
                );
                let detail = "the result is there, but the schema registry that is needed to read it is not";
                return Err(Problem::new(Kind::HistoryUnavailable, detail).retry_after(2));
            }
            tokio::time::sleep(DECODE_AGAIN).await;
        }
    }
}

fn undecodable(record: &Record, error: &DecodeError) -> Problem {
    tracing::error!(
        src = record.src(),
        error = error as &dyn std::error::Error,
        "a result cannot be read"
    );
    Problem::new(
        Kind::Internal,
        format!("the record at {} on the results topic cannot be read", record.src()),
    )
}

impl SubmitError {
    /// Whether the request is certainly not on the stream.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::NoSchema | Self::Encode(_) => true,
            Self::Produce(cause) => match cause {
                ProduceError::TooLarge { .. }
                | ProduceError::UnknownTopic { .. }
                | ProduceError::NotAuthorized { .. }
                | ProduceError::Refused { .. }
                | ProduceError::Create(_) => true,
                // Closed: the report was lost, perhaps not the record.
                ProduceError::TimedOut { .. } | ProduceError::Unavailable { .. } | ProduceError::Closed => false,
            },
        }
    }

    /// What the caller of `run` is told; logged here, since this is where it ends.
    pub fn into_problem(self, run: &RunKey) -> Problem {
        let error: &dyn std::error::Error = &self;
        match &self {
            Self::NoSchema => Problem::new(Kind::NotReady, self.to_string()).retry_after(1),
            Self::Encode(_) => {
                tracing::error!(request_id = run.request_id, error, "a request could not be encoded");
                Problem::new(Kind::Internal, self.to_string())
            }
            Self::Produce(cause) => match cause {
                ProduceError::TooLarge { topic, .. } => {
                    let mend = "pass a reference instead, or raise its max.message.bytes";
                    Problem::new(
                        Kind::BodyTooLarge,
                        format!("the request is larger than {topic} takes; {mend}"),
                    )
                }
                ProduceError::UnknownTopic { .. }
                | ProduceError::NotAuthorized { .. }
                | ProduceError::Refused { .. } => {
                    tracing::error!(
                        request_id = run.request_id,
                        error,
                        "a request was refused by the brokers"
                    );
                    Problem::new(Kind::Internal, cause.to_string())
                }
                ProduceError::TimedOut { .. }
                | ProduceError::Unavailable { .. }
                | ProduceError::Create(_)
                | ProduceError::Closed => {
                    tracing::warn!(request_id = run.request_id, error, "a request was not acknowledged");
                    Problem::unconfirmed(&run.request_id)
                }
            },
        }
    }
}
