//! The rebalance events of the group. They run on the thread that polls, and block it: an assignment until its
//! partitions are claimed, a revocation until what runs is finished, or its grace is over, and until what is ready is
//! committed and released. The grace is ours, not the protocol's: a call that is cut is paid twice, so a rolling restart
//! of members with calls shorter than it repeats none; it is short because nothing is read or started meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use super::{
    core::{Member, Verdict},
    monitor::Monitor,
    takeovers::Takeovers,
};
use crate::{
    History, TopicPartition, client,
    history::Event,
    native::{self, queue::PartitionQueue},
};

const CLIENT: &str = "member";
/// How often a blocked revocation looks whether the partitions are lost anyway.
const LOOK: Duration = Duration::from_millis(100);
/// A seek is between this process's own threads.
const SOUGHT: Duration = Duration::from_secs(10);

pub(super) type Queues = BTreeMap<TopicPartition, PartitionQueue<Group>>;

/// The context of the member's consumer.
pub(super) struct Group {
    monitor: Arc<Monitor>,
    takeovers: Takeovers,
    history: History,
    consumer: OnceLock<Weak<BaseConsumer<Group>>>,
    /// One queue per partition, made before it is assigned and gone before it is unassigned. They are read, or left
    /// unread, by the thread that polls: that is the backpressure.
    queues: Mutex<Queues>,
}

impl Group {
    pub(super) fn new(monitor: Arc<Monitor>, takeovers: Takeovers, history: History) -> Self {
        Self {
            monitor,
            takeovers,
            history,
            consumer: OnceLock::new(),
            queues: Mutex::default(),
        }
    }

    pub(super) fn attach(&self, consumer: &Arc<BaseConsumer<Self>>) {
        // Set once, right after the consumer was made.
        let _ = self.consumer.set(Arc::downgrade(consumer));
    }

    pub(super) fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its events have no other reader.
    pub(super) fn tend(&self) {
        let _ = self.takeovers.unstable.poll(Duration::ZERO);
    }

    /// Between rebalance events, on the thread that polls: claims what is assigned and not claimed. The other partitions go
    /// on meanwhile, and their runs: to join anew instead would cut the calls of all of them.
    ///
    /// It is as safe as inside of an event. Nothing is given to another member before this one has answered a revocation,
    /// and none is answered before this returns; a member that the group does not know any more has its claim refused, and
    /// joins anew only after it has answered that all was lost. Commits go on with the snapshot of the last event.
    pub(super) fn claim_again(&self, consumer: &BaseConsumer<Self>) {
        self.monitor.trouble().joining = None;
        let partitions = self.unclaimed();
        if partitions.is_empty() || consumer.assignment_lost() {
            return;
        }
        let verdicts = self.takeovers.run(consumer, partitions.clone());
        for partition in &partitions {
            let Offset::Offset(watermark) = self.judge(partition, verdicts.get(partition)) else {
                continue;
            };
            let seek = consumer.seek(&partition.topic, partition.partition, Offset::Offset(watermark), SOUGHT);
            if let Err(error) = seek {
                // What its queue holds is from elsewhere in the log.
                let left = self.monitor.member().forget(std::slice::from_ref(partition));
                self.monitor.cancel(left);
                self.later(partition, &error.to_string());
            }
        }
        self.monitor.announce();
    }

    fn unclaimed(&self) -> Vec<TopicPartition> {
        let queues = self.queues();
        let member = self.monitor.member();
        let unclaimed = queues.keys().filter(|partition| !member.has_decided(partition));
        unclaimed.cloned().collect()
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = partitions(list);
        let is_stopping = self.monitor.member().is_stopping();
        if is_stopping && !partitions.is_empty() {
            tracing::info!(
                partitions = partitions.len(),
                "given to a process that stops: it leaves the group soon"
            );
            self.monitor.ask_to_leave();
        }
        let verdicts = if partitions.is_empty() || is_stopping {
            BTreeMap::new()
        } else {
            self.takeovers.run(consumer, partitions.clone())
        };
        // A snapshot that is taken after the takeover is the one it was done with: no new generation can come about
        // before this event is answered.
        let membership = native::membership(consumer, self.takeovers.settings.tuning.instance.as_deref());
        tracing::info!(
            assigned = partitions.len(),
            generation = membership.as_ref().map(|membership| membership.generation),
            "assignment"
        );
        self.monitor.member().refresh(membership);
        let mut offsets = TopicPartitionList::with_capacity(partitions.len());
        for partition in &partitions {
            let start = self.judge(partition, verdicts.get(partition));
            self.open(partition);
            if let Err(error) = offsets.add_partition_offset(&partition.topic, partition.partition, start) {
                self.unusable(partition, &error.to_string());
            }
        }
        self.assign(consumer, &offsets);
        if !self.monitor.must_claim() {
            self.monitor.trouble().joining = None;
        }
        self.monitor.announce();
    }

    /// One entry that is not accepted is a refusal of all of them: then each is tried by itself.
    fn assign(&self, consumer: &BaseConsumer<Self>, offsets: &TopicPartitionList) {
        let Err(error) = consumer.incremental_assign(offsets) else {
            return;
        };
        tracing::warn!(%error, "the assignment is not accepted as a whole");
        for element in offsets.elements() {
            let mut one = TopicPartitionList::with_capacity(1);
            let assigned = one
                .add_partition_offset(element.topic(), element.partition(), element.offset())
                .and_then(|()| consumer.incremental_assign(&one));
            if let Err(error) = assigned {
                self.unusable(
                    &TopicPartition::new(element.topic(), element.partition()),
                    &error.to_string(),
                );
            }
        }
    }

    /// It is held and cannot be read: said on `/readyz` for as long, and given back with the others.
    fn unusable(&self, partition: &TopicPartition, reason: &str) {
        let message = format!(
            "{partition} is assigned to this process, and its client cannot read it ({reason}): restart the process"
        );
        tracing::error!(%partition, "{message}");
        let cancelled = self.monitor.member().stop_partition(partition, message);
        self.monitor.cancel(cancelled.into_iter().collect());
    }

    /// Where reading starts. What is not claimed is assigned all the same, but its queue is never read.
    fn judge(&self, partition: &TopicPartition, verdict: Option<&Verdict>) -> Offset {
        match verdict {
            Some(Verdict::Claimed(state)) => {
                let assignment = self.monitor.member().claimed(partition.clone(), state.clone());
                let (watermark, map) = (state.progress.watermark(), state.progress.len());
                tracing::info!(%partition, watermark, map, seq = state.seq, "claimed");
                if state.seq == 1 && watermark > 0 {
                    tracing::warn!(%partition, watermark, "nothing but an offset was committed here: taken as set by an operator");
                }
                let encoded = &mut String::new();
                self.history.note(move || {
                    *encoded = state.encode();
                    Event::Claimed {
                        topic: &partition.topic,
                        partition: partition.partition,
                        watermark,
                        seq: state.seq,
                        map: encoded,
                        writer: &self.takeovers.writer,
                    }
                });
                self.monitor.open(assignment);
                Offset::Offset(watermark)
            }
            Some(Verdict::Refused(message)) => {
                tracing::error!(%partition, "{message}");
                self.monitor.member().refused(partition.clone(), message.clone());
                Offset::End
            }
            Some(Verdict::Later(reason)) => {
                self.later(partition, reason);
                Offset::End
            }
            None => Offset::End,
        }
    }

    fn later(&self, partition: &TopicPartition, reason: &str) {
        tracing::warn!(%partition, reason, "cannot be claimed now");
        self.monitor.trouble().joining = Some(format!("{partition} cannot be claimed now: {reason}"));
        self.monitor.ask_to_claim();
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) {
        let partitions = partitions(list);
        if consumer.assignment_lost() {
            tracing::warn!(
                partitions = partitions.len(),
                "the assignment is lost: nothing of it is committed any more"
            );
            self.monitor.member().refresh(None);
        } else {
            self.give_back(consumer, &partitions);
        }
        let left = self.monitor.member().forget(&partitions);
        self.monitor.cancel(left);
        let mut queues = self.queues();
        for partition in &partitions {
            queues.remove(partition);
        }
        drop(queues);
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::error!(%error, "the revocation is not accepted");
        }
        self.monitor.announce();
    }

    fn give_back(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        let tuning = &self.takeovers.settings.tuning;
        let membership = native::membership(consumer, tuning.instance.as_deref());
        {
            let mut member = self.monitor.member();
            member.refresh(membership);
            member.let_finish(partitions);
        }
        self.monitor.announce();
        self.wait_until(consumer, tuning.revoke_grace(), |member| member.is_finished(partitions));

        let cancelled = self.monitor.member().revoke(partitions);
        self.monitor.cancel(cancelled);
        self.monitor.announce();
        let deadline = tuning.revoke_deadline();
        if !self.wait_until(consumer, deadline, |member| member.is_drained(partitions)) {
            tracing::warn!(
                ?deadline,
                "not all results were committed before the partitions had to go: they run again elsewhere"
            );
        }
    }

    /// At most for `deadline`, and no longer than the assignment is ours.
    fn wait_until(&self, consumer: &BaseConsumer<Self>, deadline: Duration, is_so: impl Fn(&Member) -> bool) -> bool {
        let until = Instant::now() + deadline;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.monitor.wait_until(LOOK.min(left), &is_so) {
                return true;
            }
            if left.is_zero() || consumer.assignment_lost() {
                return false;
            }
        }
    }

    fn open(&self, partition: &TopicPartition) {
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else {
            return;
        };
        let mut queues = self.queues();
        // A queue that is replaced must be gone before its successor sets its callback: its end clears it.
        queues.remove(partition);
        let monitor = Arc::clone(&self.monitor);
        let Some(queue) = PartitionQueue::split(&consumer, partition, move || monitor.bell.ring()) else {
            drop(queues);
            self.unusable(partition, "it has no queue");
            return;
        };
        queues.insert(partition.clone(), queue);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            _ => self.revoked(consumer, list),
        }
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(CLIENT, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(CLIENT, &error, reason);
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}
