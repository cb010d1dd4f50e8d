//! Documents in, vectors into the index, audit out: the engine's node.

use std::{sync::Arc, time::Duration};

use models::{CallContext, LimitWait};
use schemas::{Audit, Decoder, EncodeError, Timestamp, audit_kind, headers, identity::Identity};
use tokio::time::Instant;
use topics::{
    Output, Record,
    engine::{Node, Prepared, Rejection, Run},
};

use crate::{
    Splitting, metrics,
    outputs::Outputs,
    patience::Failure,
    reader::{Reader, Work},
    service::CHAIN,
    update::{Bill, Indexing, Task},
    vectors::{id_prefix, planned},
};

/// The step that attempts and audit rows of embeddings name.
const STEP: &str = "embed";

pub(crate) struct Indexer {
    pub(crate) reader: Reader,
    pub(crate) indexing: Indexing,
    pub(crate) splitting: Splitting,
    pub(crate) patience: Duration,
    pub(crate) outputs: Outputs,
    /// Reads what it wrote itself, when that is thrown away.
    pub(crate) audit: Decoder<Audit>,
}

impl Node for Indexer {
    type Ready = Work;

    async fn prepare(&self, record: &Record) -> Prepared<Work> {
        self.reader.read(record).await
    }

    async fn run(&self, Work { identity, document }: Work, run: Run) -> Vec<Output> {
        let started = Instant::now();
        let started_at = Timestamp::now();
        let context = self.context(&identity, &run, started);
        let prefix = id_prefix(&document.document_id);
        let planned = planned(&document, &self.splitting, &self.indexing.spec);
        drop(document);

        let mut bill = Bill::default();
        let task = Task {
            context: &context,
            run: &run,
        };
        let ended = tokio::select! {
            updated = self.indexing.update(&prefix, planned, task, &mut bill) => Some(updated),
            () = run.cancelled.cancelled() => None,
        };
        let Some(updated) = ended.filter(|_| !run.cancelled.is_cancelled()) else {
            self.indexing.caller.settle(&bill.attempts).await;
            return Vec::new();
        };
        let outcome = updated.as_ref().map_or_else(|failure| failure.class.as_str(), |_| "ok");
        metrics::ended(outcome, started.elapsed());
        let row = Audit {
            outcome: outcome.to_owned(),
            usage: bill.usage,
            cost: bill.cost,
            total_us: micros(started.elapsed()),
            ..run_row(&identity, &run.record, started_at)
        };
        let failure = match updated {
            Ok(changes) => {
                metrics::changed(changes);
                None
            }
            Err(failure) => Some(failure),
        };
        bill.attempts.push(row);
        self.written(&run.record, &identity, &bill.attempts, failure.as_ref())
    }

    fn rejected(&self, record: &Record, rejection: &Rejection, spared: &[Output]) -> Vec<Output> {
        metrics::rejected(&rejection.class);
        let sender = self.reader.sender(record);
        let failure = Failure {
            class: rejection.class.clone(),
            message: rejection.message.clone(),
        };
        let row = Audit {
            outcome: rejection.class.clone(),
            ..run_row(&sender, record, Timestamp::now())
        };
        // What was paid for stays, whatever became of the document.
        let mut outputs: Vec<Output> = self.outputs.attempts(spared).cloned().collect();
        outputs.extend(self.written(record, &sender, &[row], Some(&failure)));
        outputs
    }

    async fn discarded(&self, outputs: Arc<[Output]>) {
        let mut attempts = Vec::new();
        for row in self.outputs.attempts(&outputs) {
            // Our own rows, of our own schema: where one cannot be read the call stays unresolved.
            if let Ok(attempt) = self.audit.decode(row.value.as_deref().unwrap_or_default()).await {
                attempts.push(attempt);
            }
        }
        self.indexing.caller.settle(&attempts).await;
    }
}

impl Indexer {
    fn context(&self, identity: &Identity, run: &Run, started: Instant) -> CallContext {
        CallContext {
            request_id: identity.request_id.clone(),
            tenant: identity.tenant.clone(),
            src: identity.src.clone(),
            accepted_at: Timestamp::from_millis(run.record.timestamp_ms),
            turn: 0,
            chain: Some(CHAIN.to_owned()),
            step: STEP.to_owned(),
            trace_id: trace_id(&run.record),
            deadline: started + self.patience,
            cancelled: run.cancelled.clone(),
            timeout: None,
            max_attempts: None,
            limit_wait: limit_wait(run),
            budget: models::Budget::default(),
        }
    }

    /// The audit, and with a failure the dead letter.
    fn written(&self, record: &Record, sender: &Identity, audit: &[Audit], failure: Option<&Failure>) -> Vec<Output> {
        let rows = audit.iter().map(|row| self.outputs.audit(record, sender, row));
        let letter = failure.map(|failure| {
            tracing::warn!(
                request_id = sender.request_id,
                src = sender.src,
                class = failure.class,
                "a document cannot be indexed: dead letter"
            );
            self.outputs.dead_letter(record, sender, failure)
        });
        let outputs: Result<Vec<Output>, EncodeError> = rows.chain(letter).collect();
        outputs.unwrap_or_else(|error| {
            // Our own records fit our own schemas; the vectors are in the index either way.
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, src = sender.src, "the audit of a document cannot be written");
            Vec::new()
        })
    }
}

fn limit_wait(run: &Run) -> LimitWait {
    let run = run.clone();
    LimitWait::new(move || run.wait_for_limit())
}

fn run_row(sender: &Identity, record: &Record, started_at: Timestamp) -> Audit {
    let accepted_at = Timestamp::from_millis(record.timestamp_ms);
    Audit {
        kind: audit_kind::RUN.to_owned(),
        request_id: sender.request_id.clone(),
        tenant: sender.tenant.clone(),
        src: sender.src.clone(),
        accepted_at,
        chain: Some(CHAIN.to_owned()),
        queue_us: started_at.micros_since(accepted_at),
        trace_id: trace_id(record),
        started_at,
        ..Audit::default()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The trace id of a W3C `traceparent`, version 00.
fn trace_id(record: &Record) -> Option<String> {
    let mut parts = record.headers.text(headers::TRACEPARENT)?.split('-');
    let (version, trace_id) = (parts.next()?, parts.next()?);
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    (version == "00" && trace_id.len() == 32 && trace_id.chars().all(hex)).then(|| trace_id.to_owned())
}
