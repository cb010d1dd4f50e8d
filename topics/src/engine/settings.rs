//! What one engine is told: which topics, in which order, and how much at once.

use std::time::Duration;

use serde::Deserialize;

use crate::{History, KafkaSettings};

/// One engine: one member of one consumer group.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub kafka: KafkaSettings,
    /// The full name of the consumer group; with a UUID behind it, also the transactional id.
    pub group: String,
    pub inputs: Vec<Input>,
    /// The topics of Millrace's that the node's outputs may go to. What brokers leave open in them keeps this process from
    /// committing until it is ended; see [`super::Node::writes_also`] for those of others.
    pub outputs: Vec<String>,
    pub tuning: EngineTuning,
    /// Where claims, dispatches and commits are written down; off by default.
    pub history: History,
}

/// A request topic, by its full name. While several have work, each gets slots in proportion to its weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub topic: String,
    pub weight: u32,
}

/// The `engine:` part of `millrace.yaml`. Every field has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineTuning {
    pub order: Order,
    /// Runs at once, without those that only wait for a provider's limit.
    pub in_flight: usize,
    /// Runs that may wait for a provider's limit at once, on top of `in_flight`.
    pub waiting: usize,
    /// Bytes of requests and results that this process holds.
    pub bytes_in_flight: usize,
    /// The same for a single partition, so that a hot key cannot take all of it.
    pub partition_bytes_in_flight: usize,
    /// Bytes of records that were fetched and are not read yet, as they lie in the batches of the log, of all partitions that
    /// this process may be given. A record that is larger than its partition's share is fetched alone.
    pub fetched_bytes: usize,
    /// Results that one transaction carries at most.
    pub batch: usize,
    /// A dead member's partitions move after this time.
    pub session_timeout_ms: u64,
    pub heartbeat_interval_ms: u64,
    /// An open transaction of a dead process ends after this time even if nobody takes its partitions over.
    pub transaction_timeout_ms: u64,
    /// How long runs may finish when their partition moves to another member; what still runs then is cancelled and runs
    /// there. The member starts nothing meanwhile, of any partition.
    pub revoke_grace_ms: u64,
    /// How long a revocation may then take to commit what is ready.
    pub revoke_deadline_ms: u64,
    /// How long runs may finish after the signal to stop; what still runs then is cancelled and left to others.
    pub grace_ms: u64,
    /// `group.instance.id`, for a deployment that names its copies. Without it copies are stateless.
    pub instance: Option<String>,
}

/// In which order the results of a partition become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Records of one key in their order; null keys in none.
    #[default]
    Key,
    /// One record of a partition at a time.
    Partition,
    /// None: every record runs as soon as there is a slot.
    None,
}

impl EngineSettings {
    #[must_use]
    pub fn new(kafka: KafkaSettings, group: impl Into<String>, inputs: Vec<Input>, outputs: Vec<String>) -> Self {
        Self {
            kafka,
            group: group.into(),
            inputs,
            outputs,
            tuning: EngineTuning::default(),
            history: History::default(),
        }
    }
}

impl Input {
    #[must_use]
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            weight: 1,
        }
    }
}

impl EngineTuning {
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    #[must_use]
    pub fn revoke_grace(&self) -> Duration {
        Duration::from_millis(self.revoke_grace_ms)
    }

    #[must_use]
    pub fn revoke_deadline(&self) -> Duration {
        Duration::from_millis(self.revoke_deadline_ms)
    }

    /// With which nothing would run, or no group be joined: the field, and what is wrong with it.
    #[must_use]
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        for (name, value) in [
            ("in_flight", self.in_flight),
            ("bytes_in_flight", self.bytes_in_flight),
            ("partition_bytes_in_flight", self.partition_bytes_in_flight),
            ("batch", self.batch),
        ] {
            if value == 0 {
                mistakes.push((name, "nothing would ever run; at least 1".to_owned()));
            }
        }
        // The client's own bounds, https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
        if !(1..=3_600_000).contains(&self.session_timeout_ms) {
            mistakes.push(("session_timeout_ms", "between 1 and 3,600,000".to_owned()));
        }
        if self.heartbeat_interval_ms == 0 || self.heartbeat_interval_ms > self.session_timeout_ms / 3 {
            let what = format!(
                "at least 1, and at most a third of session_timeout_ms ({}): a member that loses one or two must not count as dead",
                self.session_timeout_ms
            );
            mistakes.push(("heartbeat_interval_ms", what));
        }
        if !(1_000..=2_147_483_647).contains(&self.transaction_timeout_ms) {
            mistakes.push(("transaction_timeout_ms", "at least 1,000".to_owned()));
        }
        mistakes
    }

    /// A transaction that takes longer hangs: librdkafka's own timeouts are over by then.
    #[must_use]
    pub fn call_deadline(&self) -> Duration {
        self.transaction_timeout() * 2
    }

    #[must_use]
    pub fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(self.transaction_timeout_ms)
    }
}

impl Default for EngineTuning {
    fn default() -> Self {
        Self {
            order: Order::Key,
            in_flight: 1_024,
            waiting: 4_096,
            bytes_in_flight: 256 << 20,
            partition_bytes_in_flight: 64 << 20,
            fetched_bytes: 96 << 20,
            batch: 10_000,
            session_timeout_ms: 6_000,
            heartbeat_interval_ms: 1_000,
            transaction_timeout_ms: 10_000,
            revoke_grace_ms: 1_000,
            revoke_deadline_ms: 4_000,
            grace_ms: 20_000,
            instance: None,
        }
    }
}
