//! Does what [`Takeover`] says, inside the assign callback.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use rdkafka::{
    consumer::{BaseConsumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    EngineError, EngineSettings,
    committed::{self, is_pending},
    core::{Answer, Step, Takeover, Unfenced, Verdict},
    crash::{self, Point},
    producer::TransactionalProducer,
};
use crate::{TopicPartition, client::Named};

/// A pending transaction blocks the first read for as long as it is open: after this time its writer is asked for.
const FIRST_READ: Duration = Duration::from_millis(300);
const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Takeovers {
    pub(super) settings: EngineSettings,
    pub(super) writer: String,
    /// See [`super::Node::writes_also`].
    pub(super) writes_also: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Isolation read_uncommitted: to learn a writer's name, and which partitions have a commit.
    pub(super) unstable: BaseConsumer<Named>,
}

impl Takeovers {
    pub(super) fn run<C: ConsumerContext>(
        &self,
        member: &BaseConsumer<C>,
        partitions: Vec<TopicPartition>,
    ) -> BTreeMap<TopicPartition, Verdict> {
        let mut takeover = Takeover::new(&self.writer, &self.settings.group, partitions);
        let mut step = takeover.start();
        loop {
            let answer = match &step {
                Step::ReadStable { partitions, patient } => self.read_stable(member, partitions, *patient),
                Step::ReadUnstable { partitions } => {
                    answer(committed::read(&self.unstable, partitions, ANSWER).map(Answer::Read))
                }
                Step::Fence { writers } => Answer::Fenced {
                    failed: self.fence(writers),
                },
                Step::Inspect { partitions } => answer(self.inspect(member, partitions)),
                Step::Claim { claims } => {
                    let failed = committed::claim(member, claims);
                    if failed.is_empty() {
                        crash::point(Point::Claimed, || {});
                    }
                    Answer::Claimed { failed }
                }
                Step::Done(verdicts) => return verdicts.clone(),
            };
            step = takeover.next(answer);
        }
    }

    fn read_stable<C: ConsumerContext>(
        &self,
        member: &BaseConsumer<C>,
        partitions: &[TopicPartition],
        patient: bool,
    ) -> Answer {
        let deadline = if patient {
            self.settings.tuning.transaction_timeout() + ANSWER
        } else {
            FIRST_READ
        };
        match committed::read(member, partitions, deadline) {
            Ok(found) => Answer::Read(found),
            Err(error) if is_pending(&error) => Answer::Pending,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    fn inspect<C: ConsumerContext>(
        &self,
        member: &BaseConsumer<C>,
        partitions: &[TopicPartition],
    ) -> Result<Answer, KafkaError> {
        Ok(Answer::Inspected {
            log_starts: committed::log_starts(member, partitions, ANSWER),
            topics: committed::topics(&self.unstable, partitions, ANSWER)?,
        })
    }

    /// A producer initialised with the writer's transactional id aborts whatever the writer left open, and sweeps up what
    /// brokers left of it. A writer that is alive finds out at its next commit, replaces its producer and emits again from its ledger.
    fn fence(&self, writers: &BTreeSet<String>) -> BTreeMap<String, Unfenced> {
        tracing::info!(
            ?writers,
            "the last owners of these partitions did not release them: fencing"
        );
        thread::scope(|scope| {
            let fences: Vec<_> = writers
                .iter()
                .map(|writer| {
                    (
                        writer,
                        scope.spawn(|| {
                            let producer = TransactionalProducer::open(&self.settings, writer)?;
                            producer.sweep(&self.settings.outputs)?;
                            producer.sweep_meanwhile((self.writes_also)());
                            Ok(())
                        }),
                    )
                })
                .collect();
            let failed = |(writer, fence): (&String, thread::ScopedJoinHandle<'_, Result<_, EngineError>>)| {
                let unfenced = match fence.join() {
                    Ok(Ok(())) => return None,
                    Ok(Err(error)) => Unfenced {
                        reason: chain(&error),
                        is_final: is_final(&error),
                    },
                    Err(_) => Unfenced {
                        reason: "the fencing thread panicked".to_owned(),
                        is_final: false,
                    },
                };
                Some((writer.clone(), unfenced))
            };
            fences.into_iter().filter_map(failed).collect()
        })
    }
}

fn is_final(error: &EngineError) -> bool {
    let EngineError::Producer { source, .. } = error else {
        return false;
    };
    matches!(
        source.rdkafka_error_code(),
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
    )
}

fn answer(result: Result<Answer, KafkaError>) -> Answer {
    result.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
