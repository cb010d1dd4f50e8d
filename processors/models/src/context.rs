use crate::{Budget, LimitWait};
use schemas::Timestamp;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For whom and until when a call is made: the identity that attempts and audit rows carry, and the two ways to stop.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub request_id: String,
    pub tenant: String,
    /// `topic/partition/offset` of the request, empty outside Kafka.
    pub src: String,
    pub accepted_at: Timestamp,
    pub turn: i32,
    /// `name@version#sha256`.
    pub chain: Option<String>,
    pub step: String,
    pub trace_id: Option<String>,
    /// No wait and no attempt goes past it.
    pub deadline: Instant,
    pub cancelled: CancellationToken,
    /// The step's own time limit of one attempt, in place of the model's.
    pub timeout: Option<Duration>,
    /// The step's own number of attempts per model, in place of the model's.
    pub max_attempts: Option<u32>,
    /// No attempt leaves that may cost more than is left of it.
    pub budget: Budget,
    /// Held while the call waits for a free slot of its provider, or as long as the provider asked it to.
    pub limit_wait: LimitWait,
}
