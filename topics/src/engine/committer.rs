//! The thread that owns the transactional producer. Group commit clocks itself: while a transaction is under way results
//! gather for the next one; when idle a single result goes at once.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{consumer::BaseConsumer, error::KafkaError};

use super::{
    EngineError, EngineSettings, Node,
    attempt::Ended,
    committed,
    core::{Batch, Fault, Found, Outcome},
    crash::{self, Point},
    gap::{Commit, Gap},
    membership::Group,
    monitor::Next,
    others::{Before, Others},
    producer::TransactionalProducer,
    runs::Runs,
    takeovers::chain,
    torn::{self, Kept},
    watchdog::Hung,
};
use crate::{TopicPartition, history::Event};

/// How often an idle committer looks whether its producer had trouble.
const LOOK: Duration = Duration::from_secs(1);
/// After a transaction that failed for a passing reason.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// For the state of partitions that are not held any more.
const OF_OTHERS: Duration = Duration::from_secs(2);

pub(super) struct Committer<N> {
    pub(super) settings: EngineSettings,
    pub(super) runs: Arc<Runs<N>>,
    pub(super) producer: Option<TransactionalProducer>,
    pub(super) others: Others,
    /// The last transaction that was acknowledged, and the one that may have been.
    pub(super) kept: Vec<Kept>,
    /// Isolation read_committed: what it reads is decided.
    pub(super) consumer: Arc<BaseConsumer<Group>>,
}

impl<N: Node> Committer<N> {
    pub(super) fn run(mut self) -> Result<(), EngineError> {
        let mut gap = Gap::new();
        let mut last = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_spent() {
                // Whatever was to be committed is in the ledger still.
                self.renew();
            }
            self.look_at_others();
            let next = self.runs.monitor.next(LOOK);
            self.runs.discard();
            let batch = match next {
                Next::Batch(batch) => Arc::new(batch),
                Next::Nothing => {
                    if !self.is_spent() {
                        self.runs.monitor.trouble().committing = None;
                    }
                    continue;
                }
                Next::End => break,
            };
            let started = Instant::now();
            let (ended, retries) = self.transact(&batch);
            let took = started.elapsed();
            let is_committed = ended.outcome == Outcome::Committed;
            let culprits = self.runs.monitor.member().settle(&ended.outcome);
            if is_committed {
                crash::point(Point::LedgerCleared, || {});
                if batch.parts.iter().any(|part| part.release) {
                    crash::point(Point::Released, || {});
                }
            }
            for culprit in culprits {
                self.runs.replace(culprit);
            }
            if ended.outcome == Outcome::Unknown {
                self.renew();
            }
            self.runs.dispatch();
            self.runs.monitor.announce();
            match ended.outcome {
                Outcome::Committed => {
                    pause = FIRST_PAUSE;
                    self.runs.monitor.trouble().committing = None;
                    let commit = Commit {
                        results: batch.results(),
                        took,
                        since: last.elapsed(),
                        shortest_run: self.runs.shortest.take(),
                        retries,
                    };
                    last = Instant::now();
                    let gap = gap.after_commit(commit);
                    if !self.runs.monitor.member().has_suspects() {
                        thread::park_timeout(gap);
                    }
                }
                Outcome::Aborted(Fault::Membership | Fault::Outputs(_) | Fault::HeldBack) => {}
                Outcome::Aborted(Fault::Passing) | Outcome::Unknown => {
                    if ended.outcome != Outcome::Unknown {
                        self.runs.monitor.trouble().committing = ended.reason;
                    }
                    self.runs.monitor.pause(pause);
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
        Ok(())
    }

    /// What is known to be in vain is not tried.
    fn transact(&mut self, batch: &Arc<Batch>) -> (Ended, u64) {
        let aborted = |fault| Ended {
            outcome: Outcome::Aborted(fault),
            reason: None,
        };
        let lost = |hung: Hung| Ended {
            outcome: Outcome::Unknown,
            reason: Some(hung.to_string()),
        };
        let Some(producer) = self.producer.as_ref().filter(|producer| !producer.is_spent()) else {
            // It was not begun; the ledger keeps all of it for the next producer.
            return (aborted(Fault::HeldBack), 0);
        };
        let ended = match self.others.check(batch, producer) {
            Ok(Before::Refused(refusals)) => return (aborted(Fault::Outputs(refusals)), producer.retries()),
            Ok(Before::HeldBack) => return (aborted(Fault::HeldBack), producer.retries()),
            Ok(Before::Goes) => {
                let started = Instant::now();
                let mut ended = producer.transact(batch);
                if producer.is_spent() {
                    // Not even a success is believed that came through trouble: its markers may be lost.
                    ended.outcome = Outcome::Unknown;
                }
                self.note(batch, started.elapsed(), ended.reason.as_deref(), &ended.outcome);
                if ended.outcome == Outcome::Committed {
                    self.kept.clear();
                }
                if matches!(ended.outcome, Outcome::Committed | Outcome::Unknown) {
                    self.kept.push(Kept::new(batch, producer.take_written()));
                }
                ended
            }
            Err(hung) => lost(hung),
        };
        let retries = producer.retries();
        self.others.learn(batch, &ended.outcome);
        (ended, retries)
    }

    fn look_at_others(&mut self) {
        if let Some(producer) = &self.producer
            && self.others.look_again(producer).is_err()
        {
            self.producer = None;
        }
        if let Some(held_back) = self.others.held_back() {
            self.runs.monitor.member().hold_back(held_back);
        }
    }

    fn is_spent(&self) -> bool {
        !self.runs.monitor.has_ended() && self.producer.as_ref().is_none_or(TransactionalProducer::is_spent)
    }

    /// After trouble, and after a commit without an answer: the producer is replaced, which ends whatever the old one left
    /// open, what brokers left open is swept up, and then the committed state is final and says what happened. Tried until
    /// it is done or the engine has ended.
    fn renew(&mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.runs.monitor.has_ended() {
            self.producer = None;
            let Err(error) = self.try_renew() else {
                self.runs.monitor.trouble().committing = None;
                self.runs.dispatch();
                self.runs.monitor.announce();
                return;
            };
            tracing::warn!(error = chain(&error), "cannot replace the producer yet");
            self.runs.monitor.trouble().committing = Some(chain(&error));
            self.runs.monitor.pause(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    fn try_renew(&mut self) -> Result<(), EngineError> {
        let producer = TransactionalProducer::open(&self.settings, &self.runs.writer)?;
        producer.sweep(&self.settings.outputs)?;
        self.others.renewed(self.runs.node.writes_also());
        let asked = self.runs.monitor.member().unresolved();
        let held: BTreeSet<_> = asked.iter().map(|assignment| &assignment.partition).collect();
        let released: BTreeSet<_> = torn::partitions(&self.kept).collect();
        let mut found = self
            .states(&held, self.settings.tuning.transaction_timeout())
            .map_err(|source| EngineError::Unresolved { source })?;
        // A transaction of whoever has them now is nothing to wait for.
        match self.states(&(&released - &held), OF_OTHERS) {
            Ok(states) => found.extend(states),
            Err(error) => tracing::info!(%error, "what came of partitions that are not held any more is not known"),
        }
        let carried = torn::carried(&self.settings, &self.kept, &asked, &found)?;
        let lost = self.runs.monitor.member().resolve(&asked, &found, &carried);
        self.kept.clear();
        if !lost.is_empty() {
            tracing::warn!(
                partitions = lost.len(),
                "the committed state is not what this process left: somebody else has the partitions, or a commit was lost; they are claimed anew"
            );
            self.runs.monitor.ask_to_claim();
        }
        self.runs.monitor.cancel(lost);
        self.producer = Some(producer);
        tracing::info!("the producer was replaced");
        Ok(())
    }

    fn states(&self, partitions: &BTreeSet<&TopicPartition>, deadline: Duration) -> Result<Found, KafkaError> {
        if partitions.is_empty() {
            return Ok(Found::new());
        }
        let partitions: Vec<_> = partitions.iter().copied().cloned().collect();
        committed::read(&self.consumer, &partitions, deadline)
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
