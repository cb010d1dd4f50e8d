//! What a caller is told when something is wrong: problem details for HTTP APIs (RFC 9457).
//!
//! Every error of every path has this shape. Beside the members of the RFC: `run_id`, `trace_id`, `retryable` (whether
//! the same call may succeed later) and `errors`, whose items have the form that FastAPI gives its 422s, because that is
//! what LangServe's callers parse.

use std::borrow::Cow;

use serde::Serialize;
use warp::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER},
    },
    reply::Response,
};

use crate::trace::Traceparent;

/// The kinds of problems. The name is the last part of the `type` URI, which programs may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MalformedJson,
    BrokenBody,
    NoSuchPath,
    UnknownChain,
    UnknownRun,
    MethodNotAllowed,
    BodyTimeout,
    BodyTooLarge,
    UnsupportedMediaType,
    Invalid,
    RunFailed(Failure),
    Internal,
    NotReady,
    Overloaded,
    HistoryUnavailable,
    Unconfirmed,
    WaitExpired,
}

/// Who is to blame for a failed run, which decides the status: the caller, a provider, the clock, or this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Input,
    Provider,
    Deadline,
    System,
}

impl Kind {
    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON"),
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "broken-body", "The body could not be read"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path"),
            Self::UnknownChain => (StatusCode::NOT_FOUND, "unknown-chain", "There is no such chain"),
            Self::UnknownRun => (StatusCode::NOT_FOUND, "unknown-run", "There is no such run"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path does not take this method",
            ),
            Self::BodyTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "body-timeout",
                "The body did not arrive in time",
            ),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be JSON",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-request",
                "The request is not valid",
            ),
            Self::RunFailed(Failure::Input) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "run-refused",
                "The run was refused for its input",
            ),
            Self::RunFailed(Failure::Provider) => (
                StatusCode::BAD_GATEWAY,
                "provider-failed",
                "The run failed at a provider",
            ),
            Self::RunFailed(Failure::Deadline) => (
                StatusCode::GATEWAY_TIMEOUT,
                "deadline-exceeded",
                "The run did not finish before its deadline",
            ),
            Self::RunFailed(Failure::System) => (StatusCode::INTERNAL_SERVER_ERROR, "run-failed", "The run failed"),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong here",
            ),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready yet"),
            Self::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "Too many callers are waiting",
            ),
            Self::HistoryUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "history-unavailable",
                "The history cannot be read at the moment",
            ),
            Self::Unconfirmed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unconfirmed",
                "It is not known whether the request was accepted",
            ),
            Self::WaitExpired => (
                StatusCode::GATEWAY_TIMEOUT,
                "wait-expired",
                "The result did not come in time; the run goes on",
            ),
        }
    }

    /// Whether the same call, sent again a little later, may succeed without doing the work twice.
    fn retryable(self) -> bool {
        match self {
            Self::BodyTimeout
            | Self::RunFailed(Failure::Provider)
            | Self::NotReady
            | Self::Overloaded
            | Self::HistoryUnavailable => true,
            Self::MalformedJson
            | Self::BrokenBody
            | Self::NoSuchPath
            | Self::UnknownChain
            | Self::UnknownRun
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::UnsupportedMediaType
            | Self::Invalid
            | Self::RunFailed(Failure::Input | Failure::Deadline | Failure::System)
            | Self::Internal
            | Self::Unconfirmed
            | Self::WaitExpired => false,
        }
    }
}

/// One mistake in a request: where it is, what it is, and pydantic's word for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Mistake {
    /// From the outside in: `["body", "input", "question"]`, `["query", "wait"]`.
    pub loc: Vec<String>,
    pub msg: String,
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
}

/// A problem on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    mistakes: Vec<Mistake>,
    run_id: Option<String>,
    trace_id: Option<String>,
    headers: HeaderMap,
}

impl Problem {
    /// `detail` says what is wrong with this very request, and how to mend it.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            mistakes: Vec::new(),
            run_id: None,
            trace_id: None,
            headers: HeaderMap::new(),
        }
    }

    /// A request with mistakes; all of them, not the first.
    pub fn invalid(mistakes: Vec<Mistake>) -> Self {
        let lines: Vec<String> = mistakes
            .iter()
            .map(|it| format!("{}: {}", it.loc.join("."), it.msg))
            .collect();
        Self {
            mistakes,
            ..Self::new(Kind::Invalid, lines.join("; "))
        }
    }

    #[cfg(test)]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The brokers did not acknowledge the request of a run: it may go on or may never have begun.
    pub fn unconfirmed(run_id: &str) -> Self {
        let detail =
            format!("the brokers did not confirm the request; look at /runs/{run_id} before you send it again");
        Self::new(Kind::Unconfirmed, detail).of_run(run_id)
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(Kind::MethodNotAllowed, format!("this path takes {allow}"))
            .header(ALLOW, HeaderValue::from_static(allow))
    }

    /// Ties the problem to a run and says where to find it. Programs that retry by themselves are told not to: the run
    /// exists already (`x-should-retry` is obeyed by OpenAI's clients).
    pub fn of_run(mut self, run_id: &str) -> Self {
        self.run_id = Some(run_id.to_owned());
        let location = HeaderValue::try_from(format!("/runs/{run_id}"));
        let problem = self.header(
            HeaderName::from_static("x-should-retry"),
            HeaderValue::from_static("false"),
        );
        match location {
            Ok(location) => problem.header(LOCATION, location),
            Err(_) => problem,
        }
    }

    pub fn traced(mut self, trace: &Traceparent) -> Self {
        self.trace_id = Some(trace.trace_id().to_owned());
        self
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The answer to a request for `path`.
    pub fn into_response(self, path: &str) -> Response {
        let (status, name, title) = self.kind.describe();
        let body = Body {
            kind: format!("urn:problem-type:millrace:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            instance: path,
            run_id: self.run_id.as_deref(),
            trace_id: self.trace_id.as_deref(),
            retryable: self.kind.retryable(),
            errors: &self.mistakes,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = Response::new(text.into());
        *response.status_mut() = status;
        *response.headers_mut() = self.headers;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Mistake],
}
