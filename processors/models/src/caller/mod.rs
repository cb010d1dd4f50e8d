//! The one way a model is called.
//!
//! - **Write-ahead**: a paid attempt is in the books, acknowledged, before it leaves. While the books are away no call
//!   leaves; it is waited for until the deadline, then the call fails as `write_ahead_unavailable`.
//! - **Retry** on the same model for what passes by itself, with backoff and full jitter, or after what the provider
//!   asked for; **fall back** to the next alias when attempts are used up, when only another model can help, or when the
//!   provider asks for a wait longer than the backoff's cap. A wait that cannot end before the deadline is not begun.
//! - **Whatever the end, every attempt is accounted for**: as a row of [`Called`]; if the call is cancelled or its future
//!   dropped, in the books.

mod attempt;
mod client;
mod ledger;
mod operation;
mod rendered;
mod retry;
mod running;

pub use rendered::Rendered;
pub use retry::Retry;

use crate::config::Model;
use crate::dialect::{Failure, Tokens};
use crate::error::Remedy;
use crate::{
    Books, CallContext, Called, ChatRequest, ChatResponse, EmbedResponse, ErrorClass, ModelError, Models, books,
    metrics,
};
use attempt::{cancelled, past_deadline};
use ledger::Ledger;
use operation::{Operation, Texts};
use schemas::{Attempt, Audit, Money, Usage, phase};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// Calls models: limits → write-ahead → send → classify → retry or fall back → books. One for a process.
pub struct Caller {
    models: Arc<Models>,
    books: Arc<dyn Books>,
    /// Entries that are written to the books while nobody waits for them.
    bookings: TaskTracker,
    http: reqwest::Client,
    /// By provider, where it has a limit.
    slots: HashMap<String, Semaphore>,
}

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for model providers could not be built: check the system's TLS library and certificates")]
pub struct ClientError(#[source] reqwest::Error);

impl Caller {
    /// # Errors
    /// The system's TLS library or its certificates are unusable.
    pub fn new(models: Arc<Models>, books: Arc<dyn Books>) -> Result<Self, ClientError> {
        metrics::describe();
        let limited = models
            .iter()
            .filter_map(|model| Some((model.provider().to_owned(), model.provider.concurrency?)));
        let slots = limited
            .inspect(|(provider, slots)| metrics::limited(provider, *slots))
            .map(|(provider, slots)| (provider, Semaphore::new(slots as usize)))
            .collect();
        let http = client::build().map_err(ClientError)?;
        Ok(Self {
            models,
            books,
            bookings: TaskTracker::new(),
            http,
            slots,
        })
    }

    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// Asks the first of `aliases`, and the next ones where it fails for a reason that another model may not have.
    ///
    /// Dropping the future cancels the call; its attempts go to the books.
    pub async fn chat(&self, aliases: &[String], request: &ChatRequest, context: &CallContext) -> Called<ChatResponse> {
        self.call(aliases, request, context).await
    }

    /// One vector for each of at most [`crate::MAX_EMBED_INPUTS`] texts. No fallback: vectors of two models do not
    /// compare.
    pub async fn embed(&self, alias: &str, texts: &[String], context: &CallContext) -> Called<EmbedResponse> {
        if texts.is_empty() {
            let nothing = EmbedResponse {
                vectors: Vec::new(),
                model: String::new(),
            };
            return Called {
                result: Ok(nothing),
                attempts: Vec::new(),
                usage: Usage::default(),
                cost: Money::ZERO,
            };
        }
        self.call(&[alias.to_owned()], &Texts(texts), context).await
    }

    /// Writes to the books what attempts cost whose result nobody will commit. Call it with the rows of an outcome that
    /// is thrown away; rows that are committed settle themselves, and settling twice does no harm.
    pub async fn settle(&self, attempts: &[Audit]) {
        let paid = |audit: &&Audit| {
            self.models
                .iter()
                .any(|m| m.provider() == audit.provider && m.name == audit.model && !m.price.is_free())
        };
        let entries = attempts.iter().filter(paid).map(|audit| {
            let sent = audit.cost > Money::ZERO || !audit.usage.source.is_empty();
            running::entry(audit, if sent { phase::SETTLED } else { phase::ABANDONED })
        });
        let entries: Vec<Attempt> = entries.collect();
        books::write(self.books.as_ref(), entries).await;
    }

    /// Waits until the books hold all calls that were cancelled or dropped so far. For the end of the process.
    pub async fn drain(&self) {
        self.bookings.close();
        self.bookings.wait().await;
        self.bookings.reopen();
    }

    async fn call<O: Operation>(&self, aliases: &[String], operation: &O, context: &CallContext) -> Called<O::Answer> {
        let mut ledger = Ledger::new(Arc::clone(&self.books), self.bookings.clone(), self.models.redacted);
        let result = self.try_aliases(aliases, operation, context, &mut ledger).await;
        ledger.finish(result)
    }

    async fn try_aliases<O: Operation>(
        &self,
        aliases: &[String],
        operation: &O,
        context: &CallContext,
        ledger: &mut Ledger,
    ) -> Result<O::Answer, ModelError> {
        let mut failed = ModelError {
            class: ErrorClass::BadRequest,
            message: "no model was named".to_owned(),
            alias: String::new(),
            retry_after: None,
        };
        for (i, alias) in aliases.iter().enumerate() {
            let route = Route {
                reason: if i == 0 { "primary" } else { "fallback" },
                is_last: i + 1 == aliases.len(),
            };
            let tried = match self.models.get(alias) {
                Some(model) => self.try_model(model, route, operation, context, ledger).await,
                None => Err(Failure::new(ErrorClass::NotFound, "the models file has no such alias")),
            };
            let Failure {
                class,
                message,
                retry_after,
                ..
            } = match tried {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            failed = ModelError {
                class,
                message,
                alias: alias.clone(),
                retry_after,
            };
            if class.remedy() == Remedy::GiveUp {
                break;
            }
        }
        Err(failed)
    }

    async fn try_model<O: Operation>(
        &self,
        model: &Arc<Model>,
        route: Route,
        operation: &O,
        context: &CallContext,
        ledger: &mut Ledger,
    ) -> Result<O::Answer, Failure> {
        operation.fits(model)?;
        let max_attempts = context.max_attempts.unwrap_or(model.retry.max_attempts);
        let mut made = 0;
        loop {
            if context.cancelled.is_cancelled() {
                return Err(cancelled());
            }
            if Instant::now() >= context.deadline {
                return Err(past_deadline());
            }
            let Tokens { input, output } = operation.estimate(model);
            let reserved = context
                .budget
                .reserve(model.price.cost(input, output), input.saturating_add(output))
                .map_err(|why| Failure::new(ErrorClass::BudgetExceeded, why))?;
            let result = self.attempt(operation, model, route.reason, context, ledger).await;
            if let Some(audit) = ledger.last() {
                reserved.settle(
                    audit.cost,
                    audit.usage.input_tokens.saturating_add(audit.usage.output_tokens),
                );
            }
            let failure = match result {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            made += 1;
            let again = failure.should_retry.unwrap_or(failure.class.remedy() == Remedy::Retry);
            if !again || made >= max_attempts {
                return Err(failure);
            }
            let wait = model.retry.wait(made, failure.retry_after);
            let too_long = !route.is_last && wait > model.retry.max;
            // A provider may ask for a wait that no clock can count.
            let left = context.deadline.saturating_duration_since(Instant::now());
            if too_long || wait >= left {
                return Err(failure);
            }
            let _waiting = context.limit_wait.begin();
            tokio::select! {
                () = context.cancelled.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// How a model came to be asked.
#[derive(Clone, Copy)]
struct Route {
    reason: &'static str,
    /// No alias is left after this one.
    is_last: bool,
}
