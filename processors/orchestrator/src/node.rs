//! Requests in, results out: the engine's node that runs chains.
//!
//! The default deadline counts from when the broker appended the request. Where a topic keeps the times of its writers, any
//! time may stand there, and a replay would be cancelled record by record: there it counts from when this process read the
//! record, in which the time in a lane is included. An heir reads it anew, so a record whose process dies again and again has
//! its time again and again; what bounds that is what ends the dying. The day of a run stays that of its record.

use std::{collections::HashMap, sync::Arc, time::Duration};

use models::LimitWait;
use schemas::{Audit, Decoder, RunError, RunResult, Timestamp, headers, identity::Identity};
use tokio::time::Instant;
use topics::{
    Output, Record,
    engine::{Node, Prepared, Rejection, Run},
};
use tracing::Instrument;

use crate::{
    barrier::Barrier,
    chain::{Accepted, Bill, Chain, Context, Ending, Failure, Outcome, Services, Trail},
    chains::{Chains, Missing},
    emission, metrics,
    outputs::Outputs,
    peers::{self, Peers},
    report::Report,
    request::{Asked, Binding, Form, Reader, Unread},
};

/// Of a request that says none, for a chain that cannot be read here.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Orchestrator {
    /// By full topic name.
    pub(crate) bindings: HashMap<String, Binding>,
    pub(crate) reader: Reader,
    pub(crate) chains: Arc<Chains>,
    pub(crate) barrier: Barrier,
    /// None where the list of topics has no reports.
    pub(crate) peers: Option<Peers>,
    pub(crate) services: Services,
    pub(crate) outputs: Outputs,
    /// Reads what it wrote itself, when that is thrown away.
    pub(crate) audit: Decoder<Audit>,
}

/// A request that can run.
pub(crate) struct Work {
    pub(crate) identity: Identity,
    pub(crate) turn: i32,
    /// Of a run that was resumed, that of its first turn.
    pub(crate) accepted_at: Timestamp,
    pub(crate) chain: Arc<Chain>,
    pub(crate) accepted: Accepted,
    pub(crate) deadline: Timestamp,
}

impl Node for Orchestrator {
    /// Boxed, and so is what a run needs at its end only: ten thousand runs that wait for models hold little else but the
    /// room for their futures.
    type Ready = Box<Work>;

    async fn prepare(&self, record: &Record) -> Prepared<Box<Work>> {
        match self.reader.read(record, self.binding(record)).await {
            Ok(asked) => match self.admit(record, asked).await {
                Ok(work) => Prepared::Ready(Box::new(work)),
                Err(rejection) => Prepared::Poison(rejection),
            },
            Err(Unread::Later(reason)) => Prepared::Wait { reason },
            Err(Unread::Poison(rejection)) => Prepared::Poison(rejection),
        }
    }

    async fn run(&self, work: Box<Work>, run: Run) -> Vec<Output> {
        let _in_flight = metrics::InFlight::enter();
        let trace_id = trace_id(&run.record);
        let span = tracing::info_span!(
            "run",
            request_id = work.identity.request_id,
            trace_id,
            chain = work.chain.key()
        );
        let started_at = Timestamp::now();
        let outcome = self.outcome(&work, &run, started_at).instrument(span.clone()).await;
        Box::pin(self.conclude(&work, &run, outcome, started_at).instrument(span)).await
    }

    fn writes_also(&self) -> Vec<String> {
        let targets = emission::targets(&self.chains.runnable()).into_iter();
        targets.map(|target| target.topic).collect()
    }

    fn rejected(&self, record: &Record, rejection: &Rejection, spared: &[Output]) -> Vec<Output> {
        metrics::rejected(&rejection.class);
        let sender = self.reader.sender(record, self.binding(record));
        let Identity { request_id, src, .. } = &sender.identity;
        tracing::warn!(
            request_id,
            src,
            class = rejection.class,
            "request rejected: dead letter and failed result"
        );
        let chain = sender
            .chain
            .as_ref()
            .and_then(|reference| self.chains.find(reference).ok());
        let report = Report::of_rejected(&sender, chain.map(|chain| chain.id.clone()), record, rejection);
        // What was paid for stays, whatever became of the result.
        let mut outputs: Vec<Output> = self.outputs.attempts(spared).cloned().collect();
        match self.outputs.of_rejected(record, report, rejection) {
            Ok(rejected) => outputs.extend(rejected),
            // The engine has no result to commit then; our own records fit our own schemas.
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, request_id, src, "a failed result cannot be written");
            }
        }
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
        self.services.caller.settle(&attempts).await;
    }
}

impl Orchestrator {
    fn binding(&self, record: &Record) -> &Binding {
        const OWN: &Binding = &Binding {
            form: Form::Request,
            tenant: None,
        };
        self.bindings.get(&*record.topic).unwrap_or(OWN)
    }

    async fn admit(&self, record: &Record, asked: Asked) -> Result<Work, Rejection> {
        let reject = |class: &str, message: String| Rejection {
            class: class.to_owned(),
            message,
        };
        let chain = self.find(record, &asked).await.map_err(|missing| match missing {
            Missing::Malformed { .. } | Missing::Unknown { .. } => reject("unknown_chain", missing.to_string()),
            Missing::Unusable { .. } => reject("unusable_chain", missing.to_string()),
        })?;
        let accepted = match &asked.state {
            None => chain.accept(asked.input, asked.params),
            Some(state) => chain.resume(state, asked.turn, asked.input),
        };
        let accepted = accepted.map_err(|mistake| reject("invalid_input", mistake))?;
        let deadline = asked.deadline.unwrap_or_else(|| {
            let limit = i64::try_from(chain.deadline.as_micros()).unwrap_or(i64::MAX);
            Timestamp::from_millis(record.accepted_ms()).plus_micros(limit)
        });
        Ok(Work {
            identity: asked.identity,
            turn: asked.turn,
            accepted_at: accepted
                .so_far
                .accepted_at
                .unwrap_or_else(|| Timestamp::from_millis(record.timestamp_ms)),
            chain,
            accepted,
            deadline,
        })
    }

    /// A chain that is not known is looked for to the end of `chains`; one that cannot run here is waited for while it may run
    /// elsewhere. Both wait in the lane of the record: another's record is not theirs to hold up.
    async fn find(&self, record: &Record, asked: &Asked) -> Result<Arc<Chain>, Missing> {
        let reference = &asked.chain;
        let mut found = self.chains.find(reference);
        if let Err(Missing::Unknown { .. }) = found {
            self.barrier.passed().await;
            found = self.chains.find(reference);
        }
        let mut additions = self.chains.additions();
        while let (Err(Missing::Unusable { reference: key, .. }), Some(peers)) = (&found, &self.peers) {
            let left = DEADLINE.as_micros() as i64;
            let deadline = asked
                .deadline
                .unwrap_or_else(|| Timestamp::from_millis(record.accepted_ms()).plus_micros(left));
            if Timestamp::now() >= deadline || !peers.may_run(key).await {
                break;
            }
            // Ends without an addition, too: who may run it is asked again.
            let _waited = tokio::time::timeout(peers::LOOK_AGAIN, additions.changed()).await;
            found = self.chains.find(reference);
        }
        found
    }

    /// What is committed of a run that ended; nothing, if nobody wants it any more.
    async fn conclude(&self, work: &Work, run: &Run, outcome: Outcome, started_at: Timestamp) -> Vec<Output> {
        if run.cancelled.is_cancelled() {
            self.services.caller.settle(&outcome.bill.attempts).await;
            return Vec::new();
        }
        let (ending, emitted) = work.chain.emitted(outcome.ending);
        let outcome = Outcome { ending, ..outcome };
        let report = Report::of_run(work, &run.record, outcome, started_at);
        metrics::ended(&work.chain.name, &report.result);
        log(&report.result);
        let outputs = self.outputs.of_run(&run.record, report, emitted).await;
        outputs.unwrap_or_else(|error| {
            let class = "unwritable".to_owned();
            let message = error.to_string();
            self.rejected(&run.record, &Rejection { class, message }, &[])
        })
    }

    async fn outcome(&self, work: &Work, run: &Run, now: Timestamp) -> Outcome {
        let left = work.deadline.micros_since(now);
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
            let message = "the deadline passed before the run began".to_owned();
            let failure = Failure {
                class: "deadline_exceeded".to_owned(),
                message,
                step: None,
            };
            return Outcome {
                ending: Ending::Cancelled(failure),
                bill: Bill::default(),
                trail: Trail::default(),
            };
        };
        let context = Context {
            request_id: work.identity.request_id.clone(),
            tenant: work.identity.tenant.clone(),
            src: work.identity.src.clone(),
            accepted_at: work.accepted_at,
            turn: work.turn,
            trace_id: trace_id(&run.record),
            deadline: after(Duration::from_micros(left)),
            cancelled: run.cancelled.clone(),
            limit_wait: limit_wait(run),
        };
        work.chain.run(&work.accepted, &context, &self.services).await
    }
}

fn limit_wait(run: &Run) -> LimitWait {
    let run = run.clone();
    LimitWait::new(move || run.wait_for_limit())
}

/// An error's message may quote a prompt or a provider, so it is in the result alone.
fn log(result: &RunResult) {
    match &result.error {
        None => tracing::debug!(status = result.status, ran_us = result.timings.ran_us, "run ended"),
        Some(RunError { class, step, .. }) => {
            tracing::info!(status = result.status, class, step, "run did not complete");
        }
    }
}

/// A moment that far from now; without end where the clock cannot say it.
fn after(left: Duration) -> Instant {
    const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    Instant::now() + left.min(FOREVER)
}

/// The trace id of a W3C `traceparent`, version 00.
pub(crate) fn trace_id(record: &Record) -> Option<String> {
    let mut parts = record.headers.text(headers::TRACEPARENT)?.split('-');
    let (version, trace_id) = (parts.next()?, parts.next()?);
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    (version == "00" && trace_id.len() == 32 && trace_id.chars().all(hex)).then(|| trace_id.to_owned())
}
