//! What can be wrong, with its status, its name and its title.

use warp::http::StatusCode;

/// The name is the last part of the `type` URI, which programs may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What is not HTTP/1.1 as RFC 9112 has it.
    MalformedRequest,
    TargetTooLong,
    HeadersTooLarge,
    MalformedJson,
    BrokenBody,
    NoSuchPath,
    UnknownChain,
    UnknownRun,
    NoDeadLetter,
    NoRecord,
    RecordDeleted,
    ForeignHost,
    ForeignOrigin,
    MethodNotAllowed,
    BodyTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    Invalid,
    RunFailed(Blame),
    Internal,
    NotReady,
    Overloaded,
    HistoryUnavailable,
    RecordUnavailable,
    Unconfirmed,
    WaitExpired,
    /// The run waits for somebody to decide.
    Interrupted,
    /// The run does not wait for a decision.
    NotInterrupted,
    /// Somebody else has decided.
    Decided,
}

/// Whose fault it is that a run failed, which decides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Caller,
    Provider,
    Deadline,
    System,
}

impl Blame {
    /// From the class of a run's error. The classes are the orchestrator's and the models'; one that is new to this api is
    /// the system's.
    pub fn of(class: &str) -> Self {
        match class {
            "invalid_input" | "invalid_option" | "unknown_chain" | "too_large" | "not_supported" => Self::Caller,
            "rate_limited"
            | "overloaded"
            | "timeout"
            | "transport"
            | "server"
            | "malformed"
            | "auth"
            | "bad_request"
            | "context_overflow"
            | "content_filter"
            | "refused"
            | "not_found"
            | "quota_exhausted"
            | "invalid_answer"
            | "retrieval"
            | "retrieval_unavailable" => Self::Provider,
            "deadline_exceeded" => Self::Deadline,
            _ => Self::System,
        }
    }
}

impl Kind {
    pub fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest | Self::MalformedJson | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NoSuchPath
            | Self::UnknownChain
            | Self::UnknownRun
            | Self::NoDeadLetter
            | Self::NoRecord
            | Self::RecordDeleted => StatusCode::NOT_FOUND,
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Interrupted | Self::NotInterrupted | Self::Decided => StatusCode::CONFLICT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid | Self::RunFailed(Blame::Caller) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal | Self::RunFailed(Blame::System) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RunFailed(Blame::Provider) => StatusCode::BAD_GATEWAY,
            Self::NotReady | Self::Overloaded | Self::HistoryUnavailable | Self::Unconfirmed => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::WaitExpired | Self::RecordUnavailable | Self::RunFailed(Blame::Deadline) => {
                StatusCode::GATEWAY_TIMEOUT
            }
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed-request",
            Self::TargetTooLong => "target-too-long",
            Self::HeadersTooLarge => "headers-too-large",
            Self::MalformedJson => "malformed-json",
            Self::BrokenBody => "broken-body",
            Self::NoSuchPath => "no-such-path",
            Self::UnknownChain => "unknown-chain",
            Self::UnknownRun => "unknown-run",
            Self::NoDeadLetter => "no-dead-letter",
            Self::NoRecord => "no-record",
            Self::RecordDeleted => "record-deleted",
            Self::ForeignHost => "foreign-host",
            Self::ForeignOrigin => "foreign-origin",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::BodyTimeout => "body-timeout",
            Self::BodyTooLarge => "body-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::Invalid => "invalid-request",
            Self::RunFailed(Blame::Caller) => "run-refused",
            Self::RunFailed(Blame::Provider) => "provider-failed",
            Self::RunFailed(Blame::Deadline) => "deadline-exceeded",
            Self::RunFailed(Blame::System) => "run-failed",
            Self::Internal => "internal",
            Self::NotReady => "not-ready",
            Self::Overloaded => "overloaded",
            Self::HistoryUnavailable => "history-unavailable",
            Self::RecordUnavailable => "record-unavailable",
            Self::Unconfirmed => "unconfirmed",
            Self::WaitExpired => "wait-expired",
            Self::Interrupted => "interrupted",
            Self::NotInterrupted => "not-interrupted",
            Self::Decided => "decided",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "This is no HTTP/1.1 request",
            Self::TargetTooLong => "The target of the request is too long",
            Self::HeadersTooLarge => "The head of the request is too large",
            Self::MalformedJson => "The body cannot be taken as JSON",
            Self::BrokenBody => "The body could not be read",
            Self::NoSuchPath => "There is nothing at this path",
            Self::UnknownChain => "There is no such chain",
            Self::UnknownRun => "There is no such run",
            Self::NoDeadLetter => "The run has no dead letter",
            Self::NoRecord => "The run has no record there",
            Self::RecordDeleted => "The record is not in its topic any more",
            Self::ForeignHost => "This api does not go by that name",
            Self::ForeignOrigin => "Pages of other origins may not call this api",
            Self::MethodNotAllowed => "This path does not take this method",
            Self::BodyTimeout => "The body did not arrive in time",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body must be JSON",
            Self::Invalid => "The request is not valid",
            Self::RunFailed(Blame::Caller) => "The run was refused for what was asked",
            Self::RunFailed(Blame::Provider) => "The run failed at a provider",
            Self::RunFailed(Blame::Deadline) => "The run did not finish before its deadline",
            Self::RunFailed(Blame::System) => "The run failed",
            Self::Internal => "Something went wrong here",
            Self::NotReady => "Not ready yet",
            Self::Overloaded => "Too many callers are waiting",
            Self::HistoryUnavailable => "The history cannot be read at the moment",
            Self::RecordUnavailable => "The record could not be read in time",
            Self::Unconfirmed => "It is not known whether the request was accepted",
            Self::WaitExpired => "The result did not come in time; the run goes on",
            Self::Interrupted => "The run waits for a decision",
            Self::NotInterrupted => "The run does not wait for a decision",
            Self::Decided => "It is decided already",
        }
    }

    /// Whether the same call, sent again a little later, may succeed without doing work twice.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::BodyTimeout
            | Self::RunFailed(Blame::Provider)
            | Self::NotReady
            | Self::Overloaded
            | Self::HistoryUnavailable
            | Self::RecordUnavailable => true,
            Self::MalformedRequest
            | Self::TargetTooLong
            | Self::HeadersTooLarge
            | Self::MalformedJson
            | Self::BrokenBody
            | Self::NoSuchPath
            | Self::UnknownChain
            | Self::UnknownRun
            | Self::NoDeadLetter
            | Self::NoRecord
            | Self::RecordDeleted
            | Self::ForeignHost
            | Self::ForeignOrigin
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::Invalid
            | Self::RunFailed(Blame::Caller | Blame::Deadline | Blame::System)
            | Self::Internal
            | Self::Unconfirmed
            | Self::WaitExpired
            | Self::Interrupted
            | Self::NotInterrupted
            | Self::Decided => false,
        }
    }
}
