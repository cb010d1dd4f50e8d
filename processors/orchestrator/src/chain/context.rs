//! For whom and until when a run goes on. Everything that it must not find out for itself comes in here.

use models::{CallContext, LimitWait};
use retrieval::RetrievalError;
use schemas::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{error::StepError, idle::Idle, resources::Services};

#[derive(Debug, Clone)]
pub struct Context {
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset` of the request; empty outside Kafka.
    pub src: String,
    pub accepted_at: Timestamp,
    pub turn: i32,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    pub deadline: Instant,
    /// The outcome will be thrown away: settle what was paid for and come back.
    pub cancelled: CancellationToken,
    /// Held while all that is under way in the run waits for limits of providers.
    pub limit_wait: LimitWait,
}

/// What is around a step of one run.
pub(crate) struct Surroundings<'r> {
    pub(crate) context: &'r Context,
    pub(crate) services: &'r Services,
    /// `name@version#sha256`
    pub(crate) chain: &'r str,
    /// Ends when the run does, also because another step failed.
    pub(crate) stop: CancellationToken,
    pub(crate) idle: Idle,
}

impl Surroundings<'_> {
    pub(crate) fn call(&self, step: &str) -> CallContext {
        let Context {
            request_id,
            tenant,
            src,
            accepted_at,
            turn,
            trace_id,
            deadline,
            cancelled: _,
            limit_wait: _,
        } = self.context;
        CallContext {
            request_id: request_id.clone(),
            tenant: tenant.clone(),
            src: src.clone(),
            accepted_at: *accepted_at,
            turn: *turn,
            chain: Some(self.chain.to_owned()),
            step: step.to_owned(),
            trace_id: trace_id.clone(),
            deadline: *deadline,
            cancelled: self.stop.clone(),
            timeout: None,
            max_attempts: None,
            limit_wait: self.idle.of_step(),
        }
    }

    /// A retrieval, as long as the run has time for it.
    pub(crate) async fn until_deadline<T>(
        &self,
        retrieval: impl Future<Output = Result<T, RetrievalError>>,
    ) -> Result<T, StepError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StepError::Cancelled),
            ended = tokio::time::timeout_at(self.context.deadline, retrieval) => match ended {
                Ok(result) => result.map_err(StepError::Retrieval),
                Err(_elapsed) => Err(StepError::DeadlineExceeded),
            },
        }
    }
}
