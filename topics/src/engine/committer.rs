//! The thread that owns the transactional producer. Group commit clocks itself: while a transaction is under way results
//! gather for the next one; when idle a single result goes at once.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::consumer::BaseConsumer;

use super::{
    EngineError, EngineSettings, Node, committed,
    core::{Batch, Fault, Outcome},
    crash::{self, Point},
    gap::Gap,
    membership::Group,
    producer::TransactionalProducer,
    runs::Runs,
    takeovers::chain,
};
use crate::history::Event;

const ANSWER: Duration = Duration::from_secs(10);
/// After a transaction that failed for a passing reason.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Committer<N> {
    pub(super) settings: EngineSettings,
    pub(super) runs: Arc<Runs<N>>,
    pub(super) producer: Option<TransactionalProducer>,
    /// Isolation read_committed: what it reads is decided.
    pub(super) consumer: Arc<BaseConsumer<Group>>,
}

impl<N: Node> Committer<N> {
    pub(super) fn run(mut self) -> Result<(), EngineError> {
        let mut gap = Gap::new();
        let mut pause = FIRST_PAUSE;
        while let Some(batch) = self.runs.shared.next_batch() {
            let batch = Arc::new(batch);
            if self.producer.as_ref().is_some_and(TransactionalProducer::is_spent) {
                self.producer = None;
            }
            let Some(producer) = self.producer() else { break };
            let started = Instant::now();
            let ended = producer.transact(&batch);
            let (retries, is_spent) = (producer.retries(), producer.is_spent());
            let is_committed = ended.outcome == Outcome::Committed;
            self.note(&batch, started.elapsed(), ended.reason.as_deref(), &ended.outcome);
            let culprit = self.runs.shared.member().settle(&ended.outcome);
            if is_committed {
                crash::point(Point::LedgerCleared, || {});
                if batch.parts.iter().any(|part| part.release) {
                    crash::point(Point::Released, || {});
                }
            }
            if let Some(culprit) = culprit {
                self.runs.replace(&culprit);
            }
            if is_spent || ended.outcome == Outcome::Unknown {
                self.producer = None;
            }
            if ended.outcome == Outcome::Unknown {
                self.resolve();
            }
            self.runs.shared.announce();
            self.runs.dispatch();
            if is_committed {
                pause = FIRST_PAUSE;
                self.runs.shared.trouble().committing = None;
                thread::park_timeout(gap.after_commit(retries));
            } else if ended.outcome != Outcome::Aborted(Fault::Membership) {
                self.runs.shared.trouble().committing = ended.reason;
                self.runs.shared.pause(pause);
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
        Ok(())
    }

    /// The producer, made anew if it had to be thrown away; tried until there is one or the engine has ended.
    fn producer(&mut self) -> Option<&TransactionalProducer> {
        let mut pause = FIRST_PAUSE;
        while self.producer.is_none() && !self.runs.shared.has_ended() {
            match TransactionalProducer::open(&self.settings, &self.runs.writer) {
                Ok(producer) => self.producer = Some(producer),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "cannot replace the producer yet");
                    self.runs.shared.trouble().committing = Some(chain(&error));
                    self.runs.shared.pause(pause);
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
        self.producer.as_ref()
    }

    /// A commit without an answer. The new producer's initialisation ends whatever the old one left open; after it the
    /// committed state is final and says what happened.
    fn resolve(&mut self) {
        let partitions = self.runs.shared.member().unresolved();
        let mut pause = FIRST_PAUSE;
        loop {
            if self.producer().is_none() {
                return;
            }
            match committed::read(
                &self.consumer,
                &partitions,
                self.settings.tuning.transaction_timeout() + ANSWER,
            ) {
                Ok(found) => {
                    let lost = self.runs.shared.member().resolve(&found);
                    if !lost.is_empty() {
                        tracing::warn!(partitions = lost.len(), "taken over by another process meanwhile");
                    }
                    self.runs.shared.cancel(lost);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read yet what came of the commit");
                    self.runs.shared.pause(pause);
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    fn note(&self, batch: &Batch, took: Duration, reason: Option<&str>, outcome: &Outcome) {
        let writer = &self.runs.writer;
        match outcome {
            Outcome::Committed => {
                metrics::histogram!("millrace_commit_seconds", "group" => self.settings.group.clone()).record(took);
                metrics::histogram!("millrace_commit_results", "group" => self.settings.group.clone())
                    .record(batch.results() as f64);
                for part in &batch.parts {
                    let partition = &part.assignment.partition;
                    self.runs.history.note(|| Event::Committed {
                        topic: &partition.topic,
                        partition: partition.partition,
                        watermark: part.offset,
                        seq: part.seq,
                        map: &part.metadata,
                        writer,
                    });
                    if part.release {
                        self.runs.history.note(|| Event::Released {
                            topic: &partition.topic,
                            partition: partition.partition,
                            watermark: part.offset,
                            seq: part.seq,
                            writer,
                        });
                    }
                }
            }
            Outcome::Aborted(_) | Outcome::Unknown => {
                let reason = reason.unwrap_or_default();
                metrics::counter!("millrace_transactions_failed_total", "group" => self.settings.group.clone())
                    .increment(1);
                tracing::warn!(
                    results = batch.results(),
                    ?outcome,
                    reason,
                    "a transaction failed: its results stay in the ledger"
                );
                self.runs.history.note(|| Event::Aborted { writer, reason });
            }
        }
    }
}
