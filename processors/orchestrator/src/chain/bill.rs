//! What a run has cost so far, and what it has read.

use models::{Called, ModelError};
use schemas::{Audit, Money, RetrievedDocument, Usage, usage_source};

use super::leaving::Leaving;

/// Kept per step while it runs, and for the run as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bill {
    /// One audit row per attempt of a paid call.
    pub attempts: Vec<Audit>,
    pub usage: Usage,
    pub cost: Money,
    /// What the retrievals found.
    pub documents: Vec<RetrievedDocument>,
}

impl Bill {
    /// Takes over what a call cost, with as much of its texts as may leave, and gives how it ended.
    pub(crate) fn take<T>(&mut self, called: Called<T>, leaving: &Leaving) -> Result<T, ModelError> {
        self.attempts
            .extend(called.attempts.into_iter().map(|row| leaving.audited(row)));
        self.add(&called.usage, called.cost);
        called.result
    }

    /// The passages belong to the call that embedded their question: the last one.
    pub(crate) fn found(&mut self, documents: impl Iterator<Item = RetrievedDocument>) {
        let from = self.documents.len();
        self.documents.extend(documents);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.documents = self.documents[from..].to_vec();
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.attempts.extend(other.attempts);
        self.documents.extend(other.documents);
        self.add(&other.usage, other.cost);
    }

    fn add(&mut self, usage: &Usage, cost: Money) {
        self.cost = self.cost + cost;
        let total = &mut self.usage;
        total.input_tokens = total.input_tokens.saturating_add(usage.input_tokens);
        total.output_tokens = total.output_tokens.saturating_add(usage.output_tokens);
        // A sum with one estimate in it is an estimate.
        if total.source != usage_source::ESTIMATED && !usage.source.is_empty() {
            total.source.clone_from(&usage.source);
        }
    }
}
