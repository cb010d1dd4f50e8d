//! The thread that polls: rebalance events, errors, and the partitions' queues as far as there is room.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio_util::sync::CancellationToken;

use super::{EngineError, EngineSettings, Node, fetching::Fetching, membership::Group, runs::Runs};
use crate::{TopicPartition, native::queue::Event};

/// Records that one partition may give before the next has its turn.
const TURN: usize = 256;
/// Between two attempts to claim what could not be claimed.
const FIRST_CLAIM: Duration = Duration::from_secs(1);
const LAST_CLAIM: Duration = Duration::from_secs(30);

pub(super) struct Poll<N> {
    pub(super) settings: EngineSettings,
    pub(super) consumer: Arc<BaseConsumer<Group>>,
    pub(super) runs: Arc<Runs<N>>,
    pub(super) shutdown: CancellationToken,
    pub(super) fetching: RefCell<Fetching>,
}

impl<N: Node> Poll<N> {
    /// Until shutdown, then until everything is committed, released and the group is left.
    pub(super) fn run(self) -> Result<(), EngineError> {
        let ended = self.work();
        // A queue holds its consumer, and the consumer the queues.
        self.consumer.context().queues().clear();
        ended
    }

    fn work(&self) -> Result<(), EngineError> {
        self.subscribe()?;
        let (mut claim_at, mut pause) = (None, FIRST_CLAIM);
        while !self.shutdown.is_cancelled() {
            self.serve()?;
            if !self.read() {
                self.runs.monitor.bell.wait();
            }
            self.runs.dispatch();
            if !self.runs.monitor.must_claim() {
                (claim_at, pause) = (None, FIRST_CLAIM);
                continue;
            }
            if Instant::now() >= *claim_at.get_or_insert_with(|| Instant::now() + pause) {
                self.runs.monitor.claims();
                self.consumer.context().claim_again(&self.consumer);
                pause = (pause * 2).min(LAST_CLAIM);
                claim_at = None;
            }
        }
        self.finish()
    }

    fn subscribe(&self) -> Result<(), EngineError> {
        let topics: Vec<&str> = self.settings.inputs.iter().map(|input| input.topic.as_str()).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(|source| EngineError::Subscribe {
                group: self.settings.group.clone(),
                source,
            })
    }

    /// The main queue: rebalance events run inside.
    fn serve(&self) -> Result<(), EngineError> {
        self.consumer.context().tend();
        match self.consumer.poll(Duration::ZERO) {
            None => Ok(()),
            Some(Ok(message)) => {
                // Every partition has a queue of its own, made before it is assigned.
                tracing::error!(
                    topic = message.topic(),
                    partition = message.partition(),
                    "a record outside of its queue"
                );
                Ok(())
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => Err(EngineError::Consumer {
                group: self.settings.group.clone(),
                source: error,
            }),
            Some(Err(error)) => {
                self.trouble(&error);
                Ok(())
            }
        }
    }

    /// What the consumer mends by itself is in its log lines; this needs somebody.
    fn trouble(&self, error: &KafkaError) {
        let why = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => "a request topic does not exist; millrace topics apply",
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "no right to read a request topic",
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => "no right to read as this group",
            _ => return,
        };
        self.runs.monitor.trouble().joining = Some(format!("group {}: {why}", self.settings.group));
    }

    /// Reads what there is room for. True if there was anything.
    fn read(&self) -> bool {
        let mut any = false;
        let mut failed = Vec::new();
        for (partition, queue) in &*self.consumer.context().queues() {
            let mut consumed = 0;
            for _ in 0..TURN {
                if !self.runs.monitor.wants(partition) {
                    break;
                }
                match queue.poll() {
                    None => break,
                    Some(Event::Record(record)) => {
                        self.fetching.borrow_mut().goes_on(partition);
                        self.runs.monitor.member().offer(partition, Arc::new(record));
                        consumed += 1;
                    }
                    Some(Event::End(offset)) => {
                        self.fetching.borrow_mut().goes_on(partition);
                        self.runs.monitor.member().ended(partition, offset);
                    }
                    Some(Event::Failed(error)) => failed.push((partition.clone(), error)),
                }
                any = true;
            }
            if consumed > 0 {
                metrics::counter!("millrace_consumed_total", "topic" => partition.topic.to_string())
                    .increment(consumed);
            }
        }
        for (partition, error) in failed {
            self.fail(&partition, &error);
        }
        self.runs.monitor.trouble().fetching = self.fetching.borrow_mut().trouble(Instant::now());
        any
    }

    fn fail(&self, partition: &TopicPartition, error: &KafkaError) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AutoOffsetReset) {
            let mut fetching = self.fetching.borrow_mut();
            fetching.fails(partition, error.to_string(), Instant::now());
            return;
        }
        let message = format!(
            "the log of {partition} does not have the next offset that group {group} wants: it was deleted or the topic was \
             made anew. To go on at what the log has: stop the group, then kafka-consumer-groups.sh --bootstrap-server \
             BROKERS --group {group} --topic {topic}:{number} --reset-offsets --to-earliest --execute",
            group = self.settings.group,
            topic = partition.topic,
            number = partition.partition,
        );
        tracing::error!(%partition, "{message}");
        let cancelled = self.runs.monitor.member().stop_partition(partition, message);
        self.runs.monitor.cancel(cancelled.into_iter().collect());
    }

    /// Nothing is read any more; what runs may finish within the grace period. What does not is cancelled and left to
    /// others; what did is committed together with the release, and only then the group is left. A member that is given more
    /// meanwhile (another one died) does not make that wait for its own runs: they have the grace of a move from then on.
    fn finish(&self) -> Result<(), EngineError> {
        let monitor = &self.runs.monitor;
        monitor.member().stop();
        let until = Instant::now() + self.settings.tuning.grace();
        let mut until = until;
        while monitor.member().running() > 0 && Instant::now() < until {
            self.serve()?;
            monitor.bell.wait();
            if monitor.must_leave() {
                until = until.min(Instant::now() + self.settings.tuning.revoke_grace());
                monitor.leaves();
            }
        }
        let (held, cancelled, cut) = {
            let mut member = monitor.member();
            let held = member.held();
            (held.clone(), member.revoke(&held), member.running())
        };
        if cut > 0 {
            tracing::warn!(
                runs = cut,
                "the grace period is over: these runs are cancelled and left to others"
            );
        }
        monitor.cancel(cancelled);
        monitor.announce();
        monitor.wait_until(self.settings.tuning.revoke_deadline(), |member| {
            member.is_drained(&held)
        });
        self.leave()
    }

    fn leave(&self) -> Result<(), EngineError> {
        self.consumer.unsubscribe();
        let until = Instant::now() + self.settings.tuning.revoke_deadline() * 2;
        while Instant::now() < until {
            self.serve()?;
            if self.consumer.assignment().is_ok_and(|left| left.count() == 0) {
                break;
            }
            self.runs.monitor.bell.wait();
        }
        Ok(())
    }
}
