//! One attempt: a free slot, the write-ahead, the send, the answer.

use super::ledger::Ledger;
use super::operation::Operation;
use super::running::Running;
use super::{Caller, client};
use crate::config::{Dialect, Model};
use crate::dialect::openai::{Body, Endpoint, classify};
use crate::dialect::{Failure, Reply};
use crate::error::causes;
use crate::{CallContext, ErrorClass};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of an error answer that are read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// A stream that is over has this long to end its body, so that its connection can be used again.
const LINGERS: Duration = Duration::from_secs(1);

impl Caller {
    /// Makes one attempt and enters it in `ledger`, however it ends.
    pub(super) async fn attempt<O: Operation>(
        &self,
        operation: &O,
        model: &Arc<Model>,
        route_reason: &str,
        context: &CallContext,
        ledger: &mut Ledger,
    ) -> Result<O::Answer, Failure> {
        let prompt = operation.prompt();
        let running = ledger.begin(model, route_reason, &prompt, operation.estimate(model), context);
        let reply = tokio::select! {
            biased;
            () = context.cancelled.cancelled() => Reply::failed(cancelled()),
            reply = self.make(operation, model, context, running) => reply,
        };
        ledger.end(reply)
    }

    async fn make<O: Operation>(
        &self,
        operation: &O,
        model: &Arc<Model>,
        context: &CallContext,
        running: &mut Running,
    ) -> Reply<O::Answer> {
        let permit = match self.slot(model, context).await {
            Ok(permit) => permit,
            Err(failure) => {
                running.queued();
                return Reply::failed(failure);
            }
        };
        running.queued();
        if !model.price.is_free()
            && let Err(failure) = self.write_ahead(running, context.deadline).await
        {
            return Reply::failed(failure);
        }
        let reply = match &model.provider.dialect {
            Dialect::Local => {
                running.leaves();
                operation.locally(model)
            }
            Dialect::OpenAi(endpoint) => self.ask(operation, model, endpoint, context, running).await,
        };
        drop(permit);
        reply
    }

    /// A slot of the provider's `concurrency`.
    async fn slot(&self, model: &Model, context: &CallContext) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        let Some(slots) = self.slots.get(model.provider()) else {
            return Ok(None);
        };
        if let Ok(permit) = slots.try_acquire() {
            return Ok(Some(permit));
        }
        let _counted = model.meters().waiting();
        let _waiting = context.limit_wait.begin();
        match timeout_at(context.deadline, slots.acquire()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => {
                let message = format!(
                    "no slot of the provider {} came free before the deadline",
                    model.provider()
                );
                Err(Failure::new(ErrorClass::RateLimited, message))
            }
        }
    }

    /// No paid call leaves before its record is acknowledged. A broker that is away is waited for until the deadline.
    async fn write_ahead(&self, running: &mut Running, deadline: Instant) -> Result<(), Failure> {
        let unavailable = |why: String| Failure::new(ErrorClass::WriteAheadUnavailable, why);
        match timeout_at(deadline, self.books.record(running.announce())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(unavailable(causes(&error))),
            Err(_) => Err(unavailable(
                "the write-ahead was not acknowledged before the deadline".to_owned(),
            )),
        }
    }

    async fn ask<O: Operation>(
        &self,
        operation: &O,
        model: &Model,
        endpoint: &Endpoint,
        context: &CallContext,
        running: &mut Running,
    ) -> Reply<O::Answer> {
        let limit = Instant::now()
            .checked_add(context.timeout.unwrap_or(model.timeout))
            .unwrap_or(context.deadline);
        let _in_flight = model.meters().in_flight();
        running.leaves();
        match timeout_at(
            limit.min(context.deadline),
            self.exchange(operation, model, endpoint, context, running),
        )
        .await
        {
            Ok(reply) => reply,
            Err(_) if limit <= context.deadline => Reply::failed(Failure::new(
                ErrorClass::Timeout,
                "no answer within the time limit of an attempt",
            )),
            Err(_) => Reply::failed(past_deadline()),
        }
    }

    async fn exchange<O: Operation>(
        &self,
        operation: &O,
        model: &Model,
        endpoint: &Endpoint,
        context: &CallContext,
        running: &mut Running,
    ) -> Reply<O::Answer> {
        let (url, body) = operation.encode(model, endpoint);
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        if let Some((name, key)) = &endpoint.authorization {
            request = request.header(name, key);
        }
        if let Ok(id) = HeaderValue::from_str(&context.request_id) {
            request = request.header("x-request-id", id);
        }
        let mut response = {
            let (sent, connecting) = client::timing_connect(request.send()).await;
            running.connected(connecting);
            match sent {
                Ok(response) => response,
                Err(error) => {
                    if error.is_connect() {
                        running.never_left();
                    }
                    return Reply::failed(transport(error));
                }
            }
        };
        if !response.status().is_success() {
            return Reply::failed(Box::pin(refusal(response)).await);
        }
        let streamed = operation.streams(model) && is_event_stream(&response);
        let mut body = if streamed {
            Body::Stream(Box::default())
        } else {
            Body::Whole(Vec::new())
        };
        let broken = loop {
            match next(&mut response, silence(&body, model)).await {
                Ok(None) => return operation.decode(model, body),
                Ok(Some(chunk)) => {
                    let pushed = body.push(&chunk);
                    running.streamed(body.length());
                    if let Err(failure) = pushed {
                        break failure;
                    }
                }
                // Nothing is missing.
                Err(_) if body.is_over() => return operation.decode(model, body),
                Err(failure) => break failure,
            }
        };
        Reply {
            text: body.into_said(),
            ..Reply::failed(broken)
        }
    }
}

/// How long a body may be silent. Models think before their first word, so it counts from there; until then, and in an
/// answer of one piece, the time limit of the attempt holds.
fn silence(body: &Body, model: &Model) -> Option<Duration> {
    if body.is_over() {
        return Some(LINGERS);
    }
    (body.length() > 0).then_some(model.idle_timeout)
}

async fn next(response: &mut reqwest::Response, silence: Option<Duration>) -> Result<Option<Bytes>, Failure> {
    let chunk = match silence {
        None => response.chunk().await,
        Some(limit) => timeout(limit, response.chunk()).await.map_err(|_| {
            let message = format!("the stream stopped in the middle of the answer: nothing came for {limit:?}");
            Failure::new(ErrorClass::Timeout, message)
        })?,
    };
    chunk.map_err(transport)
}

pub(super) fn cancelled() -> Failure {
    Failure::new(ErrorClass::Cancelled, "the call was cancelled")
}

pub(super) fn past_deadline() -> Failure {
    Failure::new(ErrorClass::DeadlineExceeded, "the deadline of the run passed")
}

fn transport(error: reqwest::Error) -> Failure {
    // The URL may carry a query with a secret, and the alias already says where the call went.
    let error = error.without_url();
    let class = if error.is_timeout() {
        ErrorClass::Timeout
    } else {
        ErrorClass::Transport
    };
    Failure::new(class, causes(&error))
}

/// An answer with an error status. Of its body so much is read as an error can need.
async fn refusal(mut response: reqwest::Response) -> Failure {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ERROR_BODY {
            break;
        }
    }
    classify(status, &headers, &body, SystemTime::now())
}

fn is_event_stream(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}
