use std::time::Duration;

/// Why a call failed after its last attempt.
///
/// The provider's own words are in `message`, shortened; they may quote the request, so they belong in results and
/// audit, not in logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("model {alias}: {message}")]
pub struct ModelError {
    pub class: ErrorClass,
    pub message: String,
    /// The alias of the last attempt.
    pub alias: String,
    /// How long the provider asked to be left alone, where it said so.
    pub retry_after: Option<Duration>,
}

/// What kind of failure it was, which decides between retry, fallback and giving up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// 429, or a wait for a free slot that cannot end before the deadline.
    RateLimited,
    /// 503, 529 and the like: the provider sheds load.
    Overloaded,
    /// The attempt outlived its own time limit.
    Timeout,
    /// No connection, or the connection broke in the middle of the answer.
    Transport,
    /// Another 5xx.
    Server,
    /// Success by status, but the body is not what the dialect says.
    Malformed,
    /// 401 or 403: key missing, wrong or without the right.
    Auth,
    /// The provider refuses the request as such.
    BadRequest,
    /// Prompt and answer do not fit the model's context.
    ContextOverflow,
    /// The provider's content filter stepped in.
    ContentFilter,
    /// The model declined to answer.
    Refused,
    /// No such model or route at the provider.
    NotFound,
    /// 429 because the account's money is gone: no wait mends it.
    QuotaExhausted,
    /// The deadline of the whole run passed.
    DeadlineExceeded,
    /// The caller asked to stop.
    Cancelled,
    /// It may cost more than is left of the run's budget: no call left.
    BudgetExceeded,
    /// The write-ahead was not acknowledged before the deadline: no call left.
    WriteAheadUnavailable,
}

impl ErrorClass {
    pub const ALL: [Self; 17] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::Timeout,
        Self::Transport,
        Self::Server,
        Self::Malformed,
        Self::Auth,
        Self::BadRequest,
        Self::ContextOverflow,
        Self::ContentFilter,
        Self::Refused,
        Self::NotFound,
        Self::QuotaExhausted,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::BudgetExceeded,
        Self::WriteAheadUnavailable,
    ];

    /// The word for it in results, audit and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Server => "server",
            Self::Malformed => "malformed",
            Self::Auth => "auth",
            Self::BadRequest => "bad_request",
            Self::ContextOverflow => "context_overflow",
            Self::ContentFilter => "content_filter",
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::QuotaExhausted => "quota_exhausted",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
            Self::BudgetExceeded => "budget_exceeded",
            Self::WriteAheadUnavailable => "write_ahead_unavailable",
        }
    }

    /// What the caller does after an attempt that failed like this.
    pub(crate) fn remedy(self) -> Remedy {
        match self {
            Self::RateLimited | Self::Overloaded | Self::Timeout | Self::Transport | Self::Server | Self::Malformed => {
                Remedy::Retry
            }
            // Another model may have the room, the key or the money that this one lacks, or be cheaper.
            Self::Auth | Self::ContextOverflow | Self::NotFound | Self::QuotaExhausted | Self::BudgetExceeded => {
                Remedy::FallBack
            }
            // The same request is as wrong elsewhere, and asking around a refusal is for the chain to decide.
            Self::BadRequest
            | Self::ContentFilter
            | Self::Refused
            | Self::DeadlineExceeded
            | Self::Cancelled
            | Self::WriteAheadUnavailable => Remedy::GiveUp,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same model again, then the next alias.
    Retry,
    /// The next alias at once.
    FallBack,
    GiveUp,
}

/// An error and its causes on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
