//! One attempt from its beginning to its row in the audit.

use crate::config::Model;
use crate::dialect::{Reply, Tokens, estimate, tokens_of};
use crate::{CallContext, ErrorClass};
use schemas::{Attempt, Audit, Timestamp, Usage, audit_kind, phase, usage_source};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// A longer prompt or answer is kept as its hash alone, in bytes: a row that its topic refuses (4 MiB) would cost the
/// run its result.
const MAX_KEPT: usize = 1 << 20;

pub(super) struct Running {
    audit: Audit,
    model: Arc<Model>,
    began: Instant,
    estimate: Tokens,
    /// It is in the books as started, or may be.
    announced: bool,
    /// When its bytes began to leave, from which on it may cost.
    sent: Option<Instant>,
    /// Tokens of a stream so far.
    streamed: i64,
}

pub(super) struct Ended {
    pub(super) audit: Audit,
    announced: bool,
    sent: bool,
}

impl Running {
    pub(super) fn new(model: &Arc<Model>, estimate: Tokens, context: &CallContext) -> Self {
        let audit = Audit {
            kind: audit_kind::ATTEMPT.to_owned(),
            attempt_id: Some(Uuid::now_v7().to_string()),
            request_id: context.request_id.clone(),
            tenant: context.tenant.clone(),
            src: context.src.clone(),
            accepted_at: context.accepted_at,
            turn: context.turn,
            chain: context.chain.clone(),
            step: context.step.clone(),
            provider: model.provider().to_owned(),
            model: model.name.clone(),
            trace_id: context.trace_id.clone(),
            started_at: Timestamp::now(),
            ..Audit::default()
        };
        let (model, began) = (Arc::clone(model), Instant::now());
        Self {
            audit,
            model,
            began,
            estimate,
            announced: false,
            sent: None,
            streamed: 0,
        }
    }

    pub(super) fn number(&mut self, attempt: usize, route_reason: &str) {
        self.audit.attempt = i32::try_from(attempt).unwrap_or(i32::MAX);
        self.audit.route_reason = route_reason.to_owned();
    }

    pub(super) fn prompt(&mut self, prompt: &str, redacted: bool) {
        self.audit.prompt = kept(prompt, redacted);
        self.audit.prompt_sha256 = sha256(prompt);
    }

    /// It has its slot, or gave up waiting for one.
    pub(super) fn queued(&mut self) {
        self.audit.queue_us = micros(self.began.elapsed());
    }

    /// The write-ahead: what it may cost at most.
    pub(super) fn announce(&mut self) -> Attempt {
        self.announced = true;
        let usage = usage(self.estimate, usage_source::ESTIMATED);
        let cost = self.model.price.cost(usage.input_tokens, usage.output_tokens);
        Attempt {
            usage,
            cost,
            ..entry(&self.audit, phase::STARTED)
        }
    }

    pub(super) fn leaves(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// No connection came about, so nothing can be on the bill.
    pub(super) fn never_left(&mut self) {
        self.sent = None;
    }

    pub(super) fn connected(&mut self, after: Duration) {
        self.audit.connect_us = micros(after);
    }

    /// The stream has said this many bytes.
    pub(super) fn streamed(&mut self, bytes: usize) {
        self.streamed = tokens_of(bytes);
        if bytes == 0 {
            return;
        }
        if let (None, Some(sent)) = (self.audit.first_token_us, self.sent) {
            self.audit.first_token_us = Some(micros(sent.elapsed()));
        }
    }

    pub(super) fn end<T>(self, reply: &Reply<T>, redacted: bool) -> Ended {
        let usage = self.usage(reply);
        let text = reply.text.as_deref();
        let audit = Audit {
            outcome: reply
                .outcome
                .as_ref()
                .map_or_else(|failure| failure.class.as_str(), |_| "ok")
                .to_owned(),
            cost: self.model.price.cost(usage.input_tokens, usage.output_tokens),
            usage,
            total_us: micros(self.began.elapsed()),
            response: text.and_then(|text| kept(text, redacted)),
            response_sha256: text.map(sha256).unwrap_or_default(),
            ..self.audit
        };
        self.model.meters().record(&audit);
        Ended {
            audit,
            announced: self.announced,
            sent: self.sent.is_some(),
        }
    }

    /// What it used, as far as anyone knows: the provider's count, else an estimate. An attempt that never left, or got
    /// an error for an answer, used nothing; one that left and did not come back may be on the bill.
    fn usage<T>(&self, reply: &Reply<T>) -> Usage {
        match (reply.tokens, &reply.outcome) {
            (Some(counted), _) => usage(counted, usage_source::REPORTED),
            (None, _) if self.sent.is_none() => Usage::default(),
            // Who has begun to answer bills what was said, also where an error is the end of it.
            (None, Err(failure)) if is_free(failure.class) && self.streamed == 0 => Usage::default(),
            (None, Ok(_) | Err(_)) => {
                let output = reply.text.as_deref().map_or(self.streamed, estimate);
                usage(
                    Tokens {
                        input: self.estimate.input,
                        output,
                    },
                    usage_source::ESTIMATED,
                )
            }
        }
    }
}

/// Whether providers bill nothing for a failure: they answered with an error, or never heard of the request.
fn is_free(class: ErrorClass) -> bool {
    match class {
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Server
        | ErrorClass::Auth
        | ErrorClass::BadRequest
        | ErrorClass::ContextOverflow
        | ErrorClass::NotFound
        | ErrorClass::QuotaExhausted
        | ErrorClass::BudgetExceeded
        | ErrorClass::WriteAheadUnavailable => true,
        ErrorClass::Timeout
        | ErrorClass::Transport
        | ErrorClass::Malformed
        | ErrorClass::ContentFilter
        | ErrorClass::Refused
        | ErrorClass::DeadlineExceeded
        | ErrorClass::Cancelled => false,
    }
}

impl Ended {
    /// What the books still need to hear; nothing if they never heard of it.
    pub(super) fn settled(&self) -> Option<Attempt> {
        let phase = if self.sent { phase::SETTLED } else { phase::ABANDONED };
        self.announced.then(|| entry(&self.audit, phase))
    }
}

/// What the books hold of an attempt.
pub(super) fn entry(audit: &Audit, phase: &str) -> Attempt {
    Attempt {
        attempt_id: audit.attempt_id.clone().unwrap_or_default(),
        phase: phase.to_owned(),
        request_id: audit.request_id.clone(),
        tenant: audit.tenant.clone(),
        src: audit.src.clone(),
        accepted_at: audit.accepted_at,
        turn: audit.turn,
        chain: audit.chain.clone(),
        step: audit.step.clone(),
        provider: audit.provider.clone(),
        model: audit.model.clone(),
        route_reason: audit.route_reason.clone(),
        attempt: audit.attempt,
        usage: audit.usage.clone(),
        cost: audit.cost,
        trace_id: audit.trace_id.clone(),
        at: Timestamp::now(),
    }
}

fn usage(tokens: Tokens, source: &str) -> Usage {
    Usage {
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        source: source.to_owned(),
    }
}

fn kept(text: &str, redacted: bool) -> Option<String> {
    (!redacted && text.len() <= MAX_KEPT).then(|| text.to_owned())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Lower-case hex.
fn sha256(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}
