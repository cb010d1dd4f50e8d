//! Brings the index to hold exactly the chunks of one document.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use models::{CallContext, Called, Caller, ErrorClass, ModelError};
use retrieval::{Delete, Index, IndexSpec, RetrievalError, Vector};
use schemas::{Audit, Money, Usage, usage_source};
use tokio::time::Instant;
use topics::engine::Run;

use crate::vectors::Planned;

/// Embedded by one call: some 40,000 tokens, well within what providers take at once, and written to the index before
/// the next is paid for.
const TEXTS_A_CALL: usize = 96;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long the end of an update waits until reads see it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Indexing {
    pub(crate) caller: Arc<Caller>,
    pub(crate) index: Index,
    pub(crate) spec: IndexSpec,
}

/// What was paid, whatever came of it.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    pub(crate) attempts: Vec<Audit>,
    pub(crate) usage: Usage,
    pub(crate) cost: Money,
}

/// How many chunks were touched.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) kept: usize,
    pub(crate) removed: usize,
}

/// Why the document could not be indexed. `class` is one word that programs may branch on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: String,
    pub(crate) message: String,
}

impl Indexing {
    /// Tries until the context's deadline while what it needs is away.
    pub(crate) async fn update(
        &self,
        prefix: &str,
        planned: Vec<Planned>,
        context: &CallContext,
        run: &Run,
        bill: &mut Bill,
    ) -> Result<Changes, Failure> {
        let namespace = self.spec.namespace(&context.tenant);
        let waiting = Waiting { context, run };
        let stored = waiting.for_index(|| self.index.list(namespace, prefix)).await?;
        let stored: HashSet<String> = stored.into_iter().collect();
        let wanted: HashSet<&str> = planned.iter().map(|vector| vector.id.as_str()).collect();
        let stale: Vec<String> = stored
            .iter()
            .filter(|id| !wanted.contains(id.as_str()))
            .cloned()
            .collect();
        let kept = stored.len() - stale.len();
        let missing: Vec<Planned> = planned
            .into_iter()
            .filter(|vector| !stored.contains(&vector.id))
            .collect();
        let changes = Changes {
            added: missing.len(),
            kept,
            removed: stale.len(),
        };

        let mut last_write = None;
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            let batch: Vec<Planned> = missing.by_ref().take(TEXTS_A_CALL).collect();
            let vectors = self.embedded(batch, &waiting, bill).await?;
            let written = waiting.for_index(|| self.index.upsert(namespace, &vectors)).await?;
            last_write = last_write.max(written);
        }
        // The new chunks first: a question in between finds both, never neither.
        if !stale.is_empty() {
            let stale = Delete::Ids(stale);
            let written = waiting.for_index(|| self.index.delete(namespace, &stale)).await?;
            last_write = last_write.max(written);
        }
        // The next record of this document lists what this one wrote, perhaps in another process.
        if let Some(lsn) = last_write {
            let visible = waiting
                .for_index(|| self.index.wait_for_lsn(namespace, lsn, VISIBLE_WITHIN))
                .await?;
            if !visible {
                tracing::debug!(lsn, "the index does not show yet what was written");
            }
        }
        Ok(changes)
    }

    async fn embedded(
        &self,
        batch: Vec<Planned>,
        waiting: &Waiting<'_>,
        bill: &mut Bill,
    ) -> Result<Vec<Vector>, Failure> {
        let texts: Vec<String> = batch.iter().map(|vector| vector.embedded.clone()).collect();
        let mut pauses = Pauses::default();
        let values = loop {
            let called = self.caller.embed(&self.spec.embedding, &texts, waiting.context).await;
            match bill.enter(called) {
                Ok(response) => break response.vectors,
                Err(error) if passes(error.class) => {
                    let message = error.to_string();
                    waiting
                        .pause(&mut pauses, error.retry_after, error.class.as_str(), &message)
                        .await?;
                }
                Err(error) => {
                    return Err(Failure {
                        class: error.class.as_str().to_owned(),
                        message: error.to_string(),
                    });
                }
            }
        };
        Ok(batch
            .into_iter()
            .zip(values)
            .map(|(vector, values)| vector.with_values(values))
            .collect())
    }
}

impl Bill {
    fn enter<T>(&mut self, called: Called<T>) -> Result<T, ModelError> {
        let Called {
            result,
            attempts,
            usage,
            cost,
        } = called;
        self.attempts.extend(attempts);
        self.usage.input_tokens += usage.input_tokens;
        self.usage.output_tokens += usage.output_tokens;
        if self.usage.source != usage_source::ESTIMATED && !usage.source.is_empty() {
            self.usage.source = usage.source;
        }
        self.cost = Money(self.cost.0.saturating_add(cost.0));
        result
    }
}

/// Repeats what fails for a while, as long as the document's time lasts.
struct Waiting<'a> {
    context: &'a CallContext,
    run: &'a Run,
}

impl Waiting<'_> {
    async fn for_index<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, RetrievalError>>,
    {
        let mut pauses = Pauses::default();
        loop {
            let answer = tokio::select! {
                answer = ask() => answer,
                () = self.context.cancelled.cancelled() => return Err(cancelled()),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_transient() => {
                    self.pause(&mut pauses, None, "index_unavailable", &error.to_string())
                        .await?;
                }
                Err(error) => {
                    return Err(Failure {
                        class: "index_refused".to_owned(),
                        message: error.to_string(),
                    });
                }
            }
        }
    }

    /// Fails instead of a pause that would outlast the document's time.
    async fn pause(
        &self,
        pauses: &mut Pauses,
        asked: Option<Duration>,
        class: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let pause = pauses.next().max(asked.unwrap_or_default());
        if Instant::now() + pause >= self.context.deadline {
            return Err(Failure {
                class: class.to_owned(),
                message: message.to_owned(),
            });
        }
        tracing::warn!(
            request_id = self.context.request_id,
            class,
            pause_ms = pause.as_millis(),
            "a document waits"
        );
        let _no_slot = self.run.wait_for_limit();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.context.cancelled.cancelled() => Err(cancelled()),
        }
    }
}

#[derive(Default)]
struct Pauses(u32);

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.0.min(10)).min(LONGEST_PAUSE);
        self.0 += 1;
        pause
    }
}

/// What an operator or time mends without anybody touching the document.
fn passes(class: ErrorClass) -> bool {
    match class {
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Timeout
        | ErrorClass::Transport
        | ErrorClass::Server
        | ErrorClass::Malformed
        | ErrorClass::QuotaExhausted
        | ErrorClass::WriteAheadUnavailable => true,
        ErrorClass::Auth
        | ErrorClass::BadRequest
        | ErrorClass::ContextOverflow
        | ErrorClass::ContentFilter
        | ErrorClass::Refused
        | ErrorClass::NotFound
        | ErrorClass::DeadlineExceeded
        | ErrorClass::Cancelled => false,
    }
}

fn cancelled() -> Failure {
    Failure {
        class: ErrorClass::Cancelled.as_str().to_owned(),
        message: "the run was cancelled".to_owned(),
    }
}
