//! The context of a member's client: notes rebalances for the poll thread.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use crate::{TopicPartition, client};

pub(super) enum Change {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

pub(super) struct Rebalances {
    client_id: String,
    changes: Mutex<Vec<Change>>,
    closing: AtomicBool,
}

impl Rebalances {
    pub(super) fn new(client_id: String) -> Self {
        Self {
            client_id,
            changes: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// The rebalances that nobody has answered yet.
    pub(super) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes())
    }

    /// From now on rebalances are answered in the callback: the consumer's close polls by itself.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(&self.client_id, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&self.client_id, &error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = || {
            list.elements()
                .iter()
                .map(|at| TopicPartition::new(at.topic(), at.partition()))
                .collect()
        };
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if !self.closing.load(Ordering::Acquire) {
            let change = if assigned { Change::Assigned } else { Change::Revoked };
            self.changes().push(change(partitions()));
            return;
        }
        let answered = if assigned {
            consumer.incremental_assign(list)
        } else {
            consumer.incremental_unassign(list)
        };
        if let Err(error) = answered {
            tracing::warn!(client = self.client_id, %error, "a rebalance could not be answered at the end");
        }
    }
}
