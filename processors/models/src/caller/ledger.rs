//! The attempts of one call. Whatever way the call ends, none of them is lost: they come back as audit rows, or, when
//! the call is dropped or cancelled, they go to the books.

use super::running::{Ended, Running};
use crate::books::{self, Books};
use crate::config::Model;
use crate::dialect::{Failure, Reply, Tokens};
use crate::{CallContext, Called, ErrorClass, ModelError};
use schemas::{Attempt, Audit, Usage, usage_source};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

pub(super) struct Ledger {
    books: Arc<dyn Books>,
    bookings: TaskTracker,
    redacted: bool,
    running: Option<Running>,
    ended: Vec<Ended>,
}

impl Ledger {
    pub(super) fn new(books: Arc<dyn Books>, bookings: TaskTracker, redacted: bool) -> Self {
        Self {
            books,
            bookings,
            redacted,
            running: None,
            ended: Vec::new(),
        }
    }

    /// The next attempt. `estimate` is what it may use at most.
    pub(super) fn begin(
        &mut self,
        model: &Arc<Model>,
        route_reason: &str,
        prompt: &str,
        estimate: Tokens,
        context: &CallContext,
    ) -> &mut Running {
        let mut running = Running::new(model, estimate, context);
        running.number(self.ended.len() + 1, route_reason);
        running.prompt(prompt, self.redacted);
        self.running.insert(running)
    }

    /// The running attempt ended.
    pub(super) fn end<T>(&mut self, reply: Reply<T>) -> Result<T, Failure> {
        if let Some(running) = self.running.take() {
            self.ended.push(running.end(&reply, self.redacted));
        }
        reply.outcome
    }

    /// The attempt that ended last.
    pub(super) fn last(&self) -> Option<&Audit> {
        self.ended.last().map(|ended| &ended.audit)
    }

    pub(super) fn finish<T>(mut self, result: Result<T, ModelError>) -> Called<T> {
        let ended = std::mem::take(&mut self.ended);
        if matches!(&result, Err(error) if error.class == ErrorClass::Cancelled) {
            self.book(&ended);
        }
        let attempts: Vec<Audit> = ended.into_iter().map(|ended| ended.audit).collect();
        let cost = attempts.iter().map(|audit| audit.cost).sum();
        Called {
            result,
            usage: total(&attempts),
            cost,
            attempts,
        }
    }

    /// Writes what was paid for nothing to the books, behind the back of a caller that is gone.
    fn book(&self, ended: &[Ended]) {
        let entries: Vec<Attempt> = ended.iter().filter_map(Ended::settled).collect();
        if entries.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let books = Arc::clone(&self.books);
        self.bookings
            .spawn(async move { books::write(books.as_ref(), entries).await });
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.running.is_some() {
            let gone: Reply<()> = Reply::failed(Failure::new(ErrorClass::Cancelled, "its caller went away"));
            // Nobody is left to be told, which is why it is booked.
            let _ = self.end(gone);
        }
        self.book(&self.ended);
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
