//! The thread of a follower: answers rebalances, reads the partitions it owns.
//!
//! A rebalance is only noted in librdkafka's callback and answered right after the poll that delivered it, on the same
//! thread and with nothing polled in between. The exception is the consumer's close, which polls by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, mpsc as commands},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    FollowerError, FollowerSettings, Positions,
    rebalances::{Change, Rebalances},
    tenures::Tenures,
};
use crate::{
    KafkaSettings, Record, TopicPartition, client, native,
    queues::{Bell, Fetched, LOOK_AROUND, Queues, Room},
};

const SEEK: Duration = Duration::from_secs(2);
const ASK: Duration = Duration::from_secs(2);

pub(super) enum Item {
    Record {
        partition: TopicPartition,
        epoch: u64,
        record: Record,
    },
    /// All that the log has was read: `next` is the first offset that it does not have.
    End {
        partition: TopicPartition,
        epoch: u64,
        next: i64,
    },
    Failed(FollowerError),
}

pub(super) struct Member {
    pub(super) settings: FollowerSettings,
    pub(super) positions: Positions,
    pub(super) runtime: Handle,
    pub(super) bell: Arc<Bell>,
    pub(super) room: Arc<Room>,
    pub(super) tenures: Arc<Tenures>,
    pub(super) items: mpsc::UnboundedSender<Item>,
    pub(super) reloads: commands::Receiver<Vec<TopicPartition>>,
}

impl Member {
    pub(super) fn connect(self, kafka: &KafkaSettings) -> Result<Reading, FollowerError> {
        let consumer: BaseConsumer<Rebalances> = client::reader(kafka, &self.settings.client_id, &self.settings.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "1000")
            .create_with_context(Rebalances::new(self.settings.client_id.clone()))
            .map_err(FollowerError::Create)?;
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics).map_err(FollowerError::Create)?;
        let queues = Queues::new(consumer, Arc::clone(&self.bell));
        Ok(Reading {
            member: self,
            queues,
            lanes: BTreeMap::new(),
            reloading: BTreeSet::new(),
            stopped: BTreeSet::new(),
        })
    }
}

impl Member {
    fn refused(&self, source: KafkaError) -> FollowerError {
        let group = self.settings.group.clone();
        FollowerError::Group { group, source }
    }
}

/// A member with its consumer.
pub(super) struct Reading {
    member: Member,
    queues: Queues<Rebalances>,
    lanes: BTreeMap<TopicPartition, Lane>,
    /// Asked for and not done yet.
    reloading: BTreeSet<TopicPartition>,
    /// What was out of range: librdkafka has stopped fetching there and refuses to seek.
    stopped: BTreeSet<TopicPartition>,
}

/// What this thread knows of a partition: under which epoch it reads, and the next offset (none: the log's start).
struct Lane {
    epoch: u64,
    next: Option<i64>,
}

/// The caller is gone, or has been told why this thread ends.
struct Over;

impl Reading {
    pub(super) fn run(mut self) {
        let _over = self.follow();
        for partition in std::mem::take(&mut self.lanes).into_keys() {
            self.member.tenures.end(&partition);
            self.queues.close(&partition);
        }
        self.queues.consumer().context().close();
    }

    fn follow(&mut self) -> Result<(), Over> {
        while !self.member.items.is_closed() {
            self.poll_group()?;
            self.reload()?;
            if !self.read()? {
                self.member.bell.wait();
            }
        }
        Ok(())
    }

    fn poll_group(&mut self) -> Result<(), Over> {
        let polled = self
            .queues
            .consumer()
            .poll(Duration::ZERO)
            .map(|message| message.map(drop));
        let changes = self.queues.consumer().context().take();
        for change in changes {
            let (rebalance, partitions) = match &change {
                Change::Assigned(partitions) => ("assigned", partitions),
                Change::Revoked(partitions) => ("revoked", partitions),
            };
            tracing::info!(
                group = self.member.settings.group,
                client = self.member.settings.client_id,
                partitions = partitions.len(),
                "{rebalance}"
            );
            match &change {
                Change::Assigned(partitions) => self.assign(partitions)?,
                Change::Revoked(partitions) => self.unassign(partitions),
            }
        }
        match polled {
            Some(Err(source)) if is_final(&source) => self.fail(self.member.refused(source)),
            // Everything else heals by itself and is logged by the context.
            _ => Ok(()),
        }
    }

    fn assign(&mut self, partitions: &[TopicPartition]) -> Result<(), Over> {
        let offsets = self.load(partitions).inspect_err(|Over| {
            // An assignment without an answer would keep the consumer from closing.
            let _ = list(partitions, |_| Offset::Beginning)
                .and_then(|list| self.queues.consumer().incremental_assign(&list));
        })?;
        for partition in partitions {
            self.queues.open(partition);
            self.stopped.remove(partition);
            let epoch = self.member.tenures.begin(partition);
            self.lanes.insert(
                partition.clone(),
                Lane {
                    epoch,
                    next: offsets.get(partition).copied(),
                },
            );
        }
        list(partitions, |partition| offset(offsets.get(partition).copied()))
            .and_then(|list| self.queues.consumer().incremental_assign(&list))
            .or_else(|source| self.fail(self.member.refused(source)))
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.member.tenures.end(partition);
            self.lanes.remove(partition);
            self.stopped.remove(partition);
            self.queues.close(partition);
        }
        let unassigned =
            list(partitions, |_| Offset::Invalid).and_then(|list| self.queues.consumer().incremental_unassign(&list));
        if let Err(error) = unassigned {
            // The group has moved on without this member; the next rebalance says where it stands.
            tracing::warn!(group = self.member.settings.group, %error, "partitions could not be handed back");
        }
    }

    /// A partition that cannot be sought yet (its broker is away, its assignment is not in force) is tried again; what
    /// is read of it meanwhile is stale by its epoch.
    fn reload(&mut self) -> Result<(), Over> {
        self.reloading.extend(self.member.reloads.try_iter().flatten());
        self.reloading.retain(|partition| self.lanes.contains_key(partition));
        if self.reloading.is_empty() {
            return Ok(());
        }
        let partitions: Vec<_> = self.reloading.iter().cloned().collect();
        let offsets = self.load(&partitions)?;
        for partition in partitions {
            let next = offsets.get(&partition).copied();
            match self.seek(&partition, next) {
                Ok(()) => {
                    let epoch = self.member.tenures.begin(&partition);
                    self.lanes.insert(partition.clone(), Lane { epoch, next });
                    self.reloading.remove(&partition);
                }
                Err(error) => tracing::debug!(%partition, %error, "not at its new position yet"),
            }
        }
        Ok(())
    }

    fn seek(&mut self, partition: &TopicPartition, next: Option<i64>) -> KafkaResult<()> {
        if self.stopped.contains(partition) {
            return self.restart(partition, next);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, offset(next))?;
        let sought = self.queues.consumer().seek_partitions(list, SEEK)?;
        sought.elements().iter().try_for_each(|partition| partition.error())
    }

    fn restart(&mut self, partition: &TopicPartition, next: Option<i64>) -> KafkaResult<()> {
        let one = std::slice::from_ref(partition);
        self.queues.close(partition);
        // It may be unassigned already, by a try whose assignment failed.
        let _ = list(one, |_| Offset::Invalid).and_then(|list| self.queues.consumer().incremental_unassign(&list));
        self.queues.open(partition);
        list(one, |_| offset(next)).and_then(|list| self.queues.consumer().incremental_assign(&list))?;
        self.stopped.remove(partition);
        Ok(())
    }

    /// Asks the caller's store on the caller's runtime, and waits here: a member that does not know where to read has
    /// nothing else to do. The group is kept alive by librdkafka's own thread meanwhile, up to `max.poll.interval.ms`.
    fn load(&self, partitions: &[TopicPartition]) -> Result<BTreeMap<TopicPartition, i64>, Over> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (answer, answered) = commands::sync_channel(1);
        let loading = {
            let _runtime = self.member.runtime.enter();
            (self.member.positions)(partitions.to_vec())
        };
        let task = self.member.runtime.spawn(async move {
            let _ = answer.send(loading.await);
        });
        loop {
            match answered.recv_timeout(LOOK_AROUND) {
                Ok(offsets) => return Ok(offsets),
                Err(commands::RecvTimeoutError::Timeout) if !self.member.items.is_closed() => {}
                Err(_over) => {
                    task.abort();
                    return Err(Over);
                }
            }
        }
    }

    fn read(&mut self) -> Result<bool, Over> {
        let Self {
            member, queues, lanes, ..
        } = self;
        let consumer = queues.consumer();
        let mut failed = None;
        let mut out_of_range = Vec::new();
        let any = queues.read(&member.room, |partition, fetched| {
            let Some(lane) = lanes.get_mut(partition) else { return };
            match fetched {
                // what a client fetches again when the leader changes was given already
                Fetched::Record(record) if lane.next.is_some_and(|next| record.offset < next) => {
                    member.room.give_back(record.size());
                }
                Fetched::Record(record) => {
                    lane.next = Some(record.offset + 1);
                    let _ = member.items.send(Item::Record {
                        partition: partition.clone(),
                        epoch: lane.epoch,
                        record,
                    });
                }
                Fetched::OutOfRange => out_of_range.push(partition.clone()),
                Fetched::End(_) => {
                    let ahead = |next: &i64| lane.next.is_none_or(|known| known < *next);
                    if let Some(next) = native::position(consumer, partition).filter(ahead) {
                        lane.next = Some(next);
                        let _ = member.items.send(Item::End {
                            partition: partition.clone(),
                            epoch: lane.epoch,
                            next,
                        });
                    }
                }
                Fetched::Failed(source) if is_final(&source) => {
                    failed = Some(member.refused(source));
                }
                Fetched::Failed(error) => {
                    tracing::warn!(%partition, %error, "cannot read at the moment");
                }
            }
        });
        if let Some(error) = failed {
            return self.fail(error).map(|()| any);
        }
        for partition in out_of_range {
            self.stopped.insert(partition.clone());
            match self.missing(&partition) {
                Some(error) => {
                    let _ = self.member.items.send(Item::Failed(error));
                }
                None => {
                    self.reloading.insert(partition);
                }
            }
        }
        Ok(any)
    }

    /// What the log has instead of the offset that was asked for. None if it has that offset after all or its broker
    /// does not answer: then it is read there once more.
    fn missing(&self, partition: &TopicPartition) -> Option<FollowerError> {
        let lane = self.lanes.get(partition)?;
        let offset = lane.next?;
        let log = self
            .queues
            .consumer()
            .fetch_watermarks(&partition.topic, partition.partition, ASK);
        let (start, end) = log
            .inspect_err(|error| tracing::debug!(%partition, %error, "cannot ask where its log begins"))
            .ok()?;
        (offset < start || offset > end).then(|| FollowerError::OutOfRange {
            partition: partition.clone(),
            epoch: lane.epoch,
            offset,
            start,
            end,
        })
    }

    fn fail(&self, error: FollowerError) -> Result<(), Over> {
        let _ = self.member.items.send(Item::Failed(error));
        Err(Over)
    }
}

/// Nothing that waiting mends.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::SaslAuthenticationFailed)
        )
}

/// Without a position: where the log begins.
fn offset(next: Option<i64>) -> Offset {
    next.map_or(Offset::Beginning, Offset::Offset)
}

fn list(partitions: &[TopicPartition], offset: impl Fn(&TopicPartition) -> Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset(partition))?;
    }
    Ok(list)
}
