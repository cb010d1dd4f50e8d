//! What happens after a try that failed: another one, while that can help and the document's time lasts.

use std::{error::Error, time::Duration};

use models::{CallContext, ErrorClass, ModelError};
use retrieval::RetrievalError;
use tokio::time::Instant;
use topics::engine::Run;

use crate::metrics;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Why a document could not be indexed. `class` is one word that programs may branch on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: String,
    /// With all causes, outermost first.
    pub(crate) message: String,
}

/// One try that failed.
pub(crate) struct Setback {
    failure: Failure,
    passes: bool,
    /// How long the server asked to be left alone.
    asked: Option<Duration>,
}

/// The patience with one call.
pub(crate) struct Patience<'a> {
    context: &'a CallContext,
    run: &'a Run,
    setbacks: u32,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(context: &'a CallContext, run: &'a Run) -> Self {
        Self {
            context,
            run,
            setbacks: 0,
        }
    }

    /// Returns when it is time for the next try.
    ///
    /// # Errors
    /// When there is none: it would fail again, or begin after the document's time, or the run was cancelled.
    pub(crate) async fn after(&mut self, setback: impl Into<Setback>) -> Result<(), Failure> {
        let Setback { failure, passes, asked } = setback.into();
        let backoff = FIRST_PAUSE
            .saturating_mul(1 << self.setbacks.min(10))
            .min(LONGEST_PAUSE);
        let pause = backoff.max(asked.unwrap_or_default());
        self.setbacks += 1;
        // A server may ask for a pause that no clock can count.
        if !passes || pause >= self.context.deadline.saturating_duration_since(Instant::now()) {
            return Err(failure);
        }
        metrics::waited(&failure.class);
        tracing::debug!(
            request_id = self.context.request_id,
            class = failure.class,
            "a document waits"
        );
        let _no_slot = self.run.wait_for_limit();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.context.cancelled.cancelled() => Err(failure),
        }
    }
}

impl Failure {
    pub(crate) fn of(class: &str, error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |error| <dyn Error>::source(*error));
        Self {
            class: class.to_owned(),
            message: causes.map(ToString::to_string).collect::<Vec<_>>().join(": "),
        }
    }
}

impl From<RetrievalError> for Setback {
    fn from(error: RetrievalError) -> Self {
        let passes = error.is_transient();
        let class = if passes { "index_unavailable" } else { "index_refused" };
        Self {
            failure: Failure::of(class, &error),
            passes,
            asked: None,
        }
    }
}

impl From<ModelError> for Setback {
    fn from(error: ModelError) -> Self {
        Self {
            failure: Failure::of(error.class.as_str(), &error),
            passes: passes(error.class),
            asked: error.retry_after,
        }
    }
}

/// What time, or an operator, mends without anybody touching the document.
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
        | ErrorClass::BudgetExceeded
        | ErrorClass::Cancelled => false,
    }
}
