//! The attempts of one call. Whatever way the call ends, none of them is lost: they come back as audit rows, or, when
//! the call is dropped or cancelled, they go to the books.

use crate::books::{self, Books};
use crate::config::Model;
use crate::dialect::{Failure, Reply, Tokens, estimate};
use crate::{CallContext, Called, ErrorClass, ModelError, metrics};
use schemas::{Attempt, Audit, Money, Timestamp, Usage, audit_kind, phase, usage_source};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub(super) struct Ledger {
    books: Arc<dyn Books>,
    bookings: TaskTracker,
    redacted: bool,
    rows: Vec<Row>,
    open: Option<Open>,
}

struct Row {
    audit: Audit,
    announced: bool,
    sent: bool,
}

/// The attempt that is running.
pub(super) struct Open {
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

impl Ledger {
    pub(super) fn new(books: Arc<dyn Books>, bookings: TaskTracker, redacted: bool) -> Self {
        Self {
            books,
            bookings,
            redacted,
            rows: Vec::new(),
            open: None,
        }
    }

    pub(super) fn open(
        &mut self,
        model: &Arc<Model>,
        route_reason: &str,
        prompt: &str,
        estimate: Tokens,
        context: &CallContext,
    ) -> &mut Open {
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
            route_reason: route_reason.to_owned(),
            attempt: i32::try_from(self.rows.len() + 1).unwrap_or(i32::MAX),
            prompt: (!self.redacted).then(|| prompt.to_owned()),
            prompt_sha256: sha256(prompt),
            trace_id: context.trace_id.clone(),
            started_at: Timestamp::now(),
            ..Audit::default()
        };
        let began = Instant::now();
        let model = Arc::clone(model);
        self.open.insert(Open {
            audit,
            model,
            began,
            estimate,
            announced: false,
            sent: None,
            streamed: 0,
        })
    }

    /// The running attempt ended.
    pub(super) fn close<T>(&mut self, reply: Reply<T>) -> Result<T, Failure> {
        if let Some(open) = self.open.take() {
            let outcome = reply
                .outcome
                .as_ref()
                .map_or_else(|failure| failure.class.as_str(), |_| "ok");
            let failed = reply.outcome.as_ref().err();
            let (usage, cost) = open.bill(reply.tokens, reply.text.as_deref(), failed);
            let row = open.into_row(outcome, usage, cost, reply.text.as_deref(), self.redacted);
            self.rows.push(row);
        }
        reply.outcome
    }

    pub(super) fn finish<T>(mut self, result: Result<T, ModelError>) -> Called<T> {
        let rows = std::mem::take(&mut self.rows);
        if matches!(&result, Err(error) if error.class == ErrorClass::Cancelled) {
            self.book(&rows);
        }
        let attempts: Vec<Audit> = rows.into_iter().map(|row| row.audit).collect();
        let cost = attempts.iter().map(|audit| audit.cost).sum();
        Called {
            result,
            usage: total(&attempts),
            cost,
            attempts,
        }
    }

    /// Writes what was paid for nothing to the books, behind the back of a caller that is gone.
    fn book(&self, rows: &[Row]) {
        let settled: Vec<Attempt> = rows.iter().filter(|row| row.announced).map(Row::settled).collect();
        if settled.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let books = Arc::clone(&self.books);
        self.bookings
            .spawn(async move { books::write(books.as_ref(), settled).await });
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if let Some(open) = self.open.take() {
            let (usage, cost) = open.bill(None, None, None);
            rows.push(open.into_row(ErrorClass::Cancelled.as_str(), usage, cost, None, self.redacted));
        }
        self.book(&rows);
    }
}

impl Open {
    /// The write-ahead of this attempt: what it may cost at most.
    pub(super) fn announce(&mut self) -> Attempt {
        self.announced = true;
        let Tokens { input, output } = self.estimate;
        let usage = Usage {
            input_tokens: input,
            output_tokens: output,
            source: usage_source::ESTIMATED.to_owned(),
        };
        Attempt {
            usage,
            cost: self.model.price.cost(input, output),
            ..entry(&self.audit, phase::STARTED)
        }
    }

    pub(super) fn queued(&mut self) {
        self.audit.queue_us = micros(self.began.elapsed());
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

    /// The stream has said this much.
    pub(super) fn streamed(&mut self, text: &str) {
        self.streamed = estimate(text);
        if let (None, Some(sent)) = (self.audit.first_token_us, self.sent) {
            self.audit.first_token_us = Some(micros(sent.elapsed()));
        }
    }

    /// What it used, as far as anyone knows. The provider's count wins. An attempt that got an error for an answer, or
    /// never left, costs nothing; one that left and did not come back may be on the bill, so it counts by estimate.
    fn bill(&self, counted: Option<Tokens>, text: Option<&str>, failed: Option<&Failure>) -> (Usage, Money) {
        let (tokens, source) = match counted {
            Some(tokens) => (tokens, usage_source::REPORTED),
            None if self.sent.is_none() || failed.is_some_and(is_free) => return (Usage::default(), Money::ZERO),
            None => {
                let output = text.map_or(self.streamed, estimate);
                (
                    Tokens {
                        input: self.estimate.input,
                        output,
                    },
                    usage_source::ESTIMATED,
                )
            }
        };
        let Tokens { input, output } = tokens;
        let usage = Usage {
            input_tokens: input,
            output_tokens: output,
            source: source.to_owned(),
        };
        (usage, self.model.price.cost(input, output))
    }

    fn into_row(self, outcome: &str, usage: Usage, cost: Money, text: Option<&str>, redacted: bool) -> Row {
        let audit = Audit {
            outcome: outcome.to_owned(),
            usage,
            cost,
            total_us: micros(self.began.elapsed()),
            response: text.filter(|_| !redacted).map(str::to_owned),
            response_sha256: text.map(sha256).unwrap_or_default(),
            ..self.audit
        };
        metrics::record(&audit);
        Row {
            audit,
            announced: self.announced,
            sent: self.sent.is_some(),
        }
    }
}

/// Failures that providers do not bill: they answered with an error, or never heard of the request.
fn is_free(failure: &Failure) -> bool {
    match failure.class {
        ErrorClass::RateLimited
        | ErrorClass::Overloaded
        | ErrorClass::Server
        | ErrorClass::Auth
        | ErrorClass::BadRequest
        | ErrorClass::ContextOverflow
        | ErrorClass::NotFound
        | ErrorClass::QuotaExhausted
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

impl Row {
    fn settled(&self) -> Attempt {
        entry(&self.audit, if self.sent { phase::SETTLED } else { phase::ABANDONED })
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

fn total(attempts: &[Audit]) -> Usage {
    let used = attempts
        .iter()
        .map(|audit| &audit.usage)
        .filter(|usage| !usage.source.is_empty());
    used.fold(Usage::default(), |sum, usage| Usage {
        input_tokens: sum.input_tokens.saturating_add(usage.input_tokens),
        output_tokens: sum.output_tokens.saturating_add(usage.output_tokens),
        source: if sum.source == usage_source::ESTIMATED {
            sum.source
        } else {
            usage.source.clone()
        },
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Lower-case hex.
fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
