//! Brings the index to hold exactly the chunks of one document.

use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use models::{CallContext, Called, Caller, ModelError};
use retrieval::{Delete, Index, IndexSpec, RetrievalError, Vector};
use schemas::{Audit, Money, Usage, usage_source};
use topics::engine::Run;

use crate::{
    patience::{Failure, Patience},
    vectors::Planned,
};

/// Embedded by one call: some 40,000 tokens, well within what providers take at once, and written to the index before
/// the next is paid for.
const TEXTS_A_CALL: usize = 96;
/// How long the end of an update waits until reads see it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Indexing {
    pub(crate) caller: Arc<Caller>,
    pub(crate) index: Index,
    pub(crate) spec: IndexSpec,
}

/// What was paid, whatever came of it.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    pub(crate) attempts: Vec<Audit>,
    pub(crate) usage: Usage,
    pub(crate) cost: Money,
}

/// How many chunks were touched.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) kept: usize,
    pub(crate) removed: usize,
}

/// For whom an update is made.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) context: &'a CallContext,
    pub(crate) run: &'a Run,
}

impl Indexing {
    /// After it the index holds `planned` and nothing else whose id begins with `prefix`. Tries until the context's
    /// deadline while what it needs is away.
    pub(crate) async fn update(
        &self,
        prefix: &str,
        planned: Vec<Planned>,
        task: Task<'_>,
        bill: &mut Bill,
    ) -> Result<Changes, Failure> {
        let namespace = self.spec.namespace(&task.context.tenant);
        let stored = task.patiently(|| self.index.list(namespace, prefix)).await?;
        let stored: HashSet<String> = stored.into_iter().collect();
        let (kept, missing): (Vec<_>, Vec<_>) = planned.into_iter().partition(|vector| stored.contains(&vector.id));
        let wanted: HashSet<&str> = kept.iter().map(|vector| vector.id.as_str()).collect();
        let stale: Vec<String> = stored
            .iter()
            .filter(|id| !wanted.contains(id.as_str()))
            .cloned()
            .collect();
        let changes = Changes {
            added: missing.len(),
            kept: kept.len(),
            removed: stale.len(),
        };

        let mut last_write = None;
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            let batch = missing.by_ref().take(TEXTS_A_CALL).collect();
            let vectors = self.embedded(batch, task, bill).await?;
            let written = task.patiently(|| self.index.upsert(namespace, &vectors)).await?;
            last_write = last_write.max(written);
        }
        // The new chunks first: a question in between finds both, never neither.
        if !stale.is_empty() {
            let stale = Delete::Ids(stale);
            let written = task.patiently(|| self.index.delete(namespace, &stale)).await?;
            last_write = last_write.max(written);
        }
        // The next record of this document lists what this one wrote, perhaps in another process.
        if let Some(lsn) = last_write {
            let visible = task
                .patiently(|| self.index.wait_for_lsn(namespace, lsn, VISIBLE_WITHIN))
                .await?;
            if !visible {
                tracing::debug!(lsn, "the index does not show yet what was written");
            }
        }
        Ok(changes)
    }

    async fn embedded(&self, batch: Vec<Planned>, task: Task<'_>, bill: &mut Bill) -> Result<Vec<Vector>, Failure> {
        let texts: Vec<String> = batch.iter().map(|vector| vector.embedded.clone()).collect();
        let mut patience = Patience::new(task.context, task.run);
        let values = loop {
            let called = self.caller.embed(&self.spec.embedding, &texts, task.context).await;
            match bill.enter(called) {
                Ok(response) => break response.vectors,
                Err(error) => patience.after(error).await?,
            }
        };
        let vectors = batch.into_iter().zip(values);
        Ok(vectors.map(|(vector, values)| vector.with_values(values)).collect())
    }
}

impl Task<'_> {
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, RetrievalError>>,
    {
        let mut patience = Patience::new(self.context, self.run);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.after(error).await?,
            }
        }
    }
}

impl Bill {
    fn enter<T>(&mut self, called: Called<T>) -> Result<T, ModelError> {
        let Called {
            result,
            attempts,
            usage,
            cost,
        } = called;
        self.attempts.extend(attempts);
        self.usage.input_tokens += usage.input_tokens;
        self.usage.output_tokens += usage.output_tokens;
        if self.usage.source != usage_source::ESTIMATED && !usage.source.is_empty() {
            self.usage.source = usage.source;
        }
        self.cost = Money(self.cost.0.saturating_add(cost.0));
        result
    }
}
