//! What a caller is told when something is wrong: problem details for HTTP APIs (RFC 9457).
//!
//! Every error of every path has this shape. Beside the members of the RFC: `run_id`, `trace_id`, `retryable` (whether
//! the same call may succeed later) and `errors`, whose items have the form that FastAPI gives its 422s, because that is
//! what LangServe's callers parse.

mod kind;

use std::borrow::Cow;

use serde::Serialize;
use warp::{
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    reply::Response,
};

pub(crate) use kind::{Blame, Kind};

use crate::trace::Traceparent;

/// One mistake in a request: where it is, what it is, and a word for it (pydantic's, or the JSON Schema keyword).
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
pub(crate) struct Problem(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: Kind,
    detail: String,
    mistakes: Vec<Mistake>,
    run_id: Option<String>,
    trace_id: Option<String>,
    allow: Option<&'static str>,
    retry_after: Option<u32>,
}

impl Problem {
    /// `detail` says what is wrong with this very request, and how to mend it.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            detail: schemas::brief(&detail.into()).into_owned(),
            mistakes: Vec::new(),
            run_id: None,
            trace_id: None,
            allow: None,
            retry_after: None,
        }))
    }

    /// A request with mistakes; all of them, not the first.
    pub fn invalid(mistakes: Vec<Mistake>) -> Self {
        let lines: Vec<String> = mistakes
            .iter()
            .map(|it| format!("{}: {}", it.loc.join("."), it.msg))
            .collect();
        let mut problem = Self::new(Kind::Invalid, lines.join("; "));
        problem.0.mistakes = mistakes;
        problem
    }

    /// The brokers did not acknowledge the request of a run: it may go on or may never have begun.
    pub fn unconfirmed(run_id: &str) -> Self {
        let detail =
            format!("the brokers did not confirm the request; look at /runs/{run_id} before you send it again");
        Self::new(Kind::Unconfirmed, detail).of_run(run_id)
    }

    pub fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(Kind::MethodNotAllowed, format!("this path takes {allow}"));
        problem.0.allow = Some(allow);
        problem
    }

    /// Ties the problem to a run and says where to find it.
    pub fn of_run(mut self, run_id: &str) -> Self {
        self.0.run_id = Some(run_id.to_owned());
        self
    }

    pub fn traced(mut self, trace: &Traceparent) -> Self {
        self.0.trace_id = Some(trace.trace_id().to_owned());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    #[cfg(test)]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.0.mistakes
    }

    /// The answer to a request for `path`.
    pub fn into_response(self, path: &str) -> Response {
        let headers = self.headers();
        let (status, text) = self.into_text(path);
        let mut response = Response::new(text.into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// The status and the JSON text of the answer.
    pub fn into_text(self, path: &str) -> (StatusCode, String) {
        let Details {
            kind,
            detail,
            mistakes,
            run_id,
            trace_id,
            ..
        } = &*self.0;
        let body = Body {
            kind: format!("urn:problem-type:millrace:{}", kind.name()),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail,
            instance: path,
            run_id: run_id.as_deref(),
            trace_id: trace_id.as_deref(),
            retryable: kind.is_retryable(),
            errors: mistakes,
        };
        (kind.status(), serde_json::to_string(&body).unwrap_or_default())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(allow) = self.0.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(location) = self
            .0
            .run_id
            .as_ref()
            .and_then(|id| HeaderValue::try_from(format!("/runs/{id}")).ok())
        {
            headers.insert(LOCATION, location);
            // Clients that retry by themselves (OpenAI's obey this header) would begin a second run.
            let should_retry = if self.0.kind.is_retryable() { "true" } else { "false" };
            headers.insert("x-should-retry", HeaderValue::from_static(should_retry));
        }
        headers
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
